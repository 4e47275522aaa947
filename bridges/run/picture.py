"""A picture of the atoms: a projection with depth, the region in full colour and what is around it pale."""

from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from ase import Atoms
from ase.data import chemical_symbols, covalent_radii
from ase.data.colors import jmol_colors
from ase.geometry import find_mic
from ase.neighborlist import neighbor_list
from matplotlib.axes import Axes
from matplotlib.collections import EllipseCollection, LineCollection
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from scipy.spatial import cKDTree

from scalespan.adapters.interface import Array, Indices

_AROUND = 6.0  # Å of the surroundings that are shown
_MOST = 2500  # atoms drawn at most, the nearest ones
_LAYERS = 30  # of depth: what is nearer covers what is farther
_WIDTH = 6.4  # inches at most
_INCHES = 0.62  # of the paper for 1 Å, where there is room


@dataclass(frozen=True)
class _Scene:
    """What is drawn, x and y on the paper, z towards the eye."""

    numbers: Indices  # (n,)
    places: Array  # (n, 3) Å, in the order in which they are drawn
    inside: Indices  # (n,) whether each is of the region
    bonds: Indices  # (k, 2)


def picture(atoms: Atoms, region: Sequence[int]) -> tuple[bytes, int]:
    """Return a PNG, and its width on a page in CSS's pixels, seen along the thinnest direction.

    With a region it shows the region and what is within 6 Å of it; without, all atoms.
    """
    scene = _scene(atoms, np.asarray(region, dtype=np.int64))
    low, high = scene.places.min(axis=0) - 0.9, scene.places.max(axis=0) + 0.9
    low[1] -= 0.35 / _INCHES  # room for the legend
    size = high - low
    scale = min(_INCHES, _WIDTH / size[0])
    figure = Figure(figsize=(max(2.4, scale * size[0]), scale * size[1]), dpi=170)
    ax = figure.add_axes((0.0, 0.0, 1.0, 1.0))
    ax.set_axis_off()
    middle, half = (low[0] + high[0]) / 2.0, max(2.4 / scale, size[0]) / 2.0
    ax.set_xlim(middle - half, middle + half)
    ax.set_ylim(low[1], high[1])
    _draw(ax, scene, points=72.0 * scale)
    shown = sorted(set(scene.numbers[scene.inside.astype(bool)] if len(region) else scene.numbers))
    _legend(ax, [int(number) for number in shown if number > 0])
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png")
    return buffer.getvalue(), round(100.0 * figure.get_figwidth())


def _scene(atoms: Atoms, region: Indices) -> _Scene:
    inside = np.zeros(len(atoms), dtype=np.int64)
    inside[region] = 1
    away = _around(atoms, region) if len(region) else atoms.positions - atoms.positions.mean(axis=0)
    reach = np.linalg.norm(away[region], axis=1).max() + _AROUND if len(region) else np.inf
    distance = _distance_of_parent(atoms.numbers, away)
    chosen = np.argsort(distance, kind="stable")[:_MOST]
    chosen = chosen[(distance[chosen] <= reach) & (atoms.numbers[chosen] > 0)]
    places = away[chosen] @ _view(away[region] if len(region) > 2 else away[chosen]).T
    order = np.lexsort((places[:, 2], inside[chosen]))  # the region lies above all others
    chosen, places = chosen[order], places[order]
    numbers = atoms.numbers[chosen]
    return _Scene(numbers, places, inside[chosen], _bonds(numbers, places))


def _distance_of_parent(numbers: Indices, away: Array) -> Array:
    """Return the distances (n,) from the middle; a hydrogen has that of the atom that it belongs to."""
    distance: Array = np.linalg.norm(away, axis=1)
    heavy, light = np.flatnonzero(numbers > 1), np.flatnonzero(numbers == 1)
    if len(heavy) and len(light):
        apart, nearest = cKDTree(away[heavy]).query(away[light])
        distance[light] = np.where(apart < 1.6, distance[heavy[nearest]], distance[light])
    return distance


def _around(atoms: Atoms, region: Indices) -> Array:
    """Return the atoms' images nearest to the region, (n, 3) Å from its middle."""
    first = atoms.positions[region[0]]
    middle = first + find_mic(atoms.positions[region] - first, atoms.cell, atoms.pbc)[0].mean(axis=0)
    away: Array = find_mic(atoms.positions - middle, atoms.cell, atoms.pbc)[0]
    return away


def _view(places: Array) -> Array:
    """Return the rotation (3, 3) that lays the longest direction along x and the shortest along z."""
    _, _, axes = np.linalg.svd(places - places.mean(axis=0), full_matrices=True)
    if np.linalg.det(axes) < 0.0:
        axes[2] *= -1.0
    turned: Array = axes
    return turned


def _bonds(numbers: Indices, places: Array) -> Indices:
    radii = [1.15 * covalent_radii[number] for number in numbers]
    i, j = neighbor_list("ij", Atoms(numbers=numbers, positions=places), radii)
    keep = (i < j) & ~((numbers[i] == 1) & (numbers[j] == 1))
    return np.stack([i[keep], j[keep]], axis=1)


def _draw(ax: Axes, scene: _Scene, points: float) -> None:
    """Draw back to front; ``points`` is the size of 1 Å on the paper."""
    colours = _colours(scene)
    diameters = 2.0 * 0.42 * np.array([covalent_radii[number] for number in scene.numbers])
    nearer = scene.bonds.max(axis=1, initial=-1)
    layers = np.array_split(np.arange(len(scene.places)), min(_LAYERS, len(scene.places)))
    for height, layer in enumerate(layers):
        bonds = scene.bonds[(nearer >= layer[0]) & (nearer <= layer[-1])]
        both = scene.inside[bonds].all(axis=1) | ~scene.inside.any()
        for chosen, grey, width in ((~both, "#ccd3da", 0.09), (both, "#5d6875", 0.14)):
            ends = _between_surfaces(scene.places, bonds[chosen], diameters / 2.0)
            ax.add_collection(LineCollection(list(ends), colors=grey, linewidths=width * points, zorder=2 * height))
        ax.add_collection(
            EllipseCollection(
                widths=diameters[layer],
                heights=diameters[layer],
                angles=np.zeros(len(layer)),
                units="xy",
                offsets=scene.places[layer, :2],
                offset_transform=ax.transData,
                facecolors=colours[layer],
                edgecolors=[(0.11, 0.14, 0.19, 0.9) if scene.inside[k] else (0.11, 0.14, 0.19, 0.25) for k in layer],
                linewidths=0.8,
                zorder=2 * height + 1,
            )
        )


def _between_surfaces(places: Array, bonds: Indices, radii: Array) -> Array:
    """Return the ends (k, 2, 2) of the bonds on the paper, where they leave the balls."""
    ends = places[bonds]
    along = ends[:, 1] - ends[:, 0]
    along /= np.maximum(np.linalg.norm(along, axis=1), 1e-9)[:, None]
    ends[:, 0] += 0.9 * along * radii[bonds[:, 0], None]
    ends[:, 1] -= 0.9 * along * radii[bonds[:, 1], None]
    kept: Array = ends[:, :, :2]
    return kept


def _colours(scene: _Scene) -> Array:
    """Return RGB (n, 3): the elements' colours, paler with depth, and pale outside the region."""
    z = scene.places[:, 2]
    far = (z.max() - z) / max(float(np.ptp(z)), 1e-9)
    pale = np.where(scene.inside == 1, 0.0, 0.62 + 0.23 * far) if scene.inside.any() else 0.5 * far
    mixed: Array = jmol_colors[scene.numbers] * (1.0 - pale)[:, None] + pale[:, None]
    return mixed


def _legend(ax: Axes, numbers: Sequence[int]) -> None:
    marks = [
        Line2D([], [], marker="o", linestyle="", markersize=8, color=jmol_colors[n], markeredgecolor="#1c2430")
        for n in numbers[:10]
    ]
    names = [chemical_symbols[n] for n in numbers[:10]]
    ax.legend(
        marks, names, loc="lower left", ncols=10, frameon=False, fontsize=10, handletextpad=0.1, columnspacing=1.0
    )
