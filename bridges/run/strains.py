"""Pictures of a body under load: the strain at each atom, and the load against the strain of the whole."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from ase import Atoms
from ase.io import iread, read
from matplotlib.figure import Figure
from scipy.spatial import cKDTree

from scalespan.adapters.interface import Array, Indices

from .displacements import REFERENCE
from .plots import BLUE, INK, SOFT, Plot, axes
from .record import read_series

_NEIGHBOURS = 1.2  # times the shortest distance: the first shell
_PANELS = 3  # after the first frame
_SHOWN = 98.0  # per cent of the atoms that colours tell apart: a tip's few would take them all
_FLAT = 1e-9  # Å: axes along which nothing extends


def strain_plots(results: Path) -> list[Plot]:
    """Return the pictures of a scan along a strain; none of any other run."""
    table = read_series(results / "scan.csv") if (results / "scan.csv").exists() else {}
    if "load/eV" not in table or len(table["load/eV"]) < 2:
        return []
    return [*_local(results), _load(table)]


def largest_stretches(places: Array, reference: Array) -> Array:
    """Return the largest principal stretch (n,) at each atom, of the affine map that best moves its neighbours.

    With R the reference vectors to the neighbours and r those now, F = (Σ r Rᵀ)(Σ R Rᵀ)⁻¹ (M. L. Falk and J. S. Langer
    1998, doi:10.1103/PhysRevE.57.7192); NaN where the neighbours do not span the space.

    Args:
        places: (n, d) Å.
        reference: (n, d) Å, in the perfect crystal.
    """
    i, j = _bonds(reference)
    now, before = places[j] - places[i], reference[j] - reference[i]
    mixed, own = (np.zeros((len(places), reference.shape[1], reference.shape[1])) for _ in range(2))
    np.add.at(mixed, i, now[:, :, None] * before[:, None, :])
    np.add.at(own, i, before[:, :, None] * before[:, None, :])
    found = np.full(len(places), np.nan)
    full = np.linalg.matrix_rank(own) == reference.shape[1]
    found[full] = np.linalg.svd(mixed[full] @ np.linalg.inv(own[full]), compute_uv=False)[:, 0]
    return found


def _bonds(reference: Array) -> tuple[Indices, Indices]:
    tree = cKDTree(reference)
    pairs = tree.query_pairs(_NEIGHBOURS * float(tree.query(reference, k=2)[0][:, 1].min()), output_type="ndarray")
    i, j = np.concatenate([pairs, pairs[:, ::-1]]).T
    return i, j


def _local(results: Path) -> list[Plot]:
    """Draw the largest stretch at each atom, seen along z, for some frames side by side."""
    start = read(results / "structure.extxyz")
    assert isinstance(start, Atoms), "one frame"
    file = results / "trajectory.extxyz"
    if REFERENCE not in start.arrays or not file.exists():
        return []
    frames = list(iread(file))
    chosen = [frames[k] for k in np.unique(np.ceil(np.linspace(0, len(frames) - 1, _PANELS + 1)[1:]).astype(int))]
    atoms, reference = start.numbers > 0, start.arrays[REFERENCE]
    spread = np.ptp(reference[atoms], axis=0) > _FLAT
    if spread.sum() < 2:
        return []
    where = np.ix_(atoms, spread)
    stretches = [100.0 * (largest_stretches(frame.positions[where], reference[where]) - 1.0) for frame in chosen]
    figure = Figure(figsize=(2.2 * len(chosen) + 0.6, 2.6), layout="constrained")
    figure.set_dpi(160.0)
    top = float(np.nanpercentile(stretches[-1], _SHOWN))
    panels = figure.subplots(1, len(chosen), squeeze=False, sharey=True)[0]
    for ax, frame, found in zip(panels, chosen, stretches, strict=True):
        x, y, *_ = frame.positions[where].T
        points = ax.scatter(x, y, c=found, s=5.0, cmap="viridis", vmin=0.0, vmax=top, linewidths=0.0, rasterized=True)
        ax.set_aspect("equal")
        ax.set_title(f"strain {frame.info['coordinate']:g}", fontsize=9, color=INK)
        ax.tick_params(colors=SOFT, labelsize=8)
    bar = figure.colorbar(points, ax=list(figure.axes), shrink=0.8, extend="max")
    bar.set_label("largest stretch (%)", color=INK, fontsize=10)
    caption = "Of each free atom's neighbours against the perfect crystal, at its place (Å)."
    return [Plot("Strain at the atoms", figure, caption)]


def _load(table: dict[str, Array]) -> Plot:
    ax = axes("strain of the whole", "load dE/dλ (eV)")
    ax.plot(table["strain/1"], table["load/eV"], color=BLUE, linewidth=1.5, marker="o", markersize=4)
    figure = ax.figure
    assert isinstance(figure, Figure), "axes makes it"
    return Plot("Load", figure, "The energy's slope in the strain: the stress that works on it, times the volume.")
