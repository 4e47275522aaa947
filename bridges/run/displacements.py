"""Pictures of a displacement field: for atoms that know their places in a perfect crystal, as a handshake's do."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from ase import Atoms
from ase.io import iread, read
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from scalespan.adapters.interface import Array

from .plots import INK, SOFT, Plot, axes

REFERENCE = "reference"  # the array (n, 3) of those places, Å
_PANELS = 4  # of a sequence
_FRAMES = 400  # at most, of a map over time
_FLAT = 1e-9  # Å: axes along which nothing extends


def displacement_plots(results: Path) -> list[Plot]:
    """Return the pictures of a run's frames; none where the atoms know no reference."""
    start = results / "structure.extxyz"
    if not start.exists():
        return []
    atoms = read(start)
    assert isinstance(atoms, Atoms), "one frame"
    if REFERENCE not in atoms.arrays:
        return []
    reference, nodes = atoms.arrays[REFERENCE], atoms.numbers == 0
    times, fields, moving = _fields(results, atoms)
    if not len(times):
        return []
    if not moving:  # the steps of a search, the points of a scan: the last one counts
        times, fields = times[-1:], fields[-1:]
    spread = np.flatnonzero(np.ptp(reference, axis=0) > _FLAT)
    if len(spread) == 1:
        return [_over_time(reference[:, spread[0]], fields[:, :, spread[0]], times)] if len(times) > 1 else []
    return [_panels(reference, fields, times, nodes)]


def _fields(results: Path, start: Atoms) -> tuple[Array, Array, bool]:
    """Return times (f,) fs, displacements (f, n, 3) Å of some frames, and whether these are times at all.

    Displacements are those beside the uniform one of the cell, where it is strained.
    """
    file = results / "trajectory.extxyz"
    frames: list[Atoms] = list(iread(file)) if file.exists() else []
    final = results / "final.extxyz"
    if not frames and final.exists():
        last = read(final)
        assert isinstance(last, Atoms), "one frame"
        frames = [last]
    keep = frames[:: max(1, len(frames) // _FRAMES)]
    moving = all("time_fs" in each.info for each in keep)
    times = [float(each.info["time_fs"]) if moving else 0.0 for each in keep]
    fields = [each.positions - start.arrays[REFERENCE] @ _strained(start, each) for each in keep]
    return np.array(times), np.array(fields), moving


def _strained(start: Atoms, frame: Atoms) -> Array:
    """Return the transpose of the cell's F."""
    whole = start.cell.rank == 3 == frame.cell.rank
    return np.linalg.solve(start.cell.array, frame.cell.array) if whole else np.eye(3)


def _over_time(places: Array, field: Array, times: Array) -> Plot:
    order = np.argsort(places)
    ax = axes("reference position (Å)", "time (fs)", height=3.8)
    largest = float(np.abs(field).max()) or 1.0
    mesh = ax.pcolormesh(
        places[order],
        times,
        field[:, order],
        cmap="RdBu_r",
        vmin=-largest,
        vmax=largest,
        shading="nearest",
        rasterized=True,
    )
    ax.grid(visible=False)
    figure = ax.figure
    assert isinstance(figure, Figure), "axes makes it"
    figure.set_dpi(160.0)
    bar = figure.colorbar(mesh, ax=ax)
    bar.set_label("displacement (Å)", color=INK, fontsize=10)
    return Plot("Displacement over time", figure, "Atoms in the middle, nodes of the mesh outside; each at its place.")


def _panels(reference: Array, fields: Array, times: Array, nodes: Array) -> Plot:
    """Draw frames side by side, seen along z, coloured by the length of the displacement."""
    chosen = np.unique(np.linspace(0, len(times) - 1, min(_PANELS, len(times))).astype(int))
    sizes = np.linalg.norm(fields[chosen], axis=2)
    middle = np.abs(reference[:, 2] - np.median(reference[:, 2])) < _slice(reference)
    size = 3.0 if len(chosen) > 1 else 4.4
    figure = Figure(figsize=(size * len(chosen) + 0.7, size + 0.3), layout="constrained")
    figure.set_dpi(160.0)
    figure.subplots(1, len(chosen), squeeze=False, sharex=True, sharey=True)
    largest = float(sizes.max()) or 1.0
    points = None
    for ax, lengths, time in zip(figure.axes, sizes, times[chosen], strict=True):
        for some, marker, area in (
            (middle & nodes, "s", 5.0 * size),
            (middle & ~nodes, "o", 5.0 if len(chosen) > 1 else 22.0),
        ):
            x, y = reference[some, 0], reference[some, 1]
            points = ax.scatter(
                x,
                y,
                c=lengths[some],
                s=area,
                marker=marker,
                cmap="viridis",
                vmin=0.0,
                vmax=largest,
                linewidths=0.0,
                rasterized=True,
            )
        ax.set_aspect("equal")
        if len(chosen) > 1:
            ax.set_title(f"{time:g} fs", fontsize=9, color=INK)
        else:
            _approach(ax, reference[~nodes])
        ax.tick_params(colors=SOFT, labelsize=8)
    assert points is not None, "there is a frame"
    figure.colorbar(points, ax=list(figure.axes), shrink=0.75).set_label("displacement (Å)", color=INK, fontsize=10)
    caption = "Dots are atoms, squares the mesh's nodes, at their places in the perfect crystal (Å)."
    return Plot("Displacement", figure, caption)


def _approach(ax: Axes, atoms: Array) -> None:
    """Show the atoms, and as much again around them."""
    middle, half = 0.5 * (atoms.min(axis=0) + atoms.max(axis=0)), 0.5 * float(np.ptp(atoms, axis=0).max())
    ax.set_xlim(middle[0] - 2.0 * half, middle[0] + 2.0 * half)
    ax.set_ylim(middle[1] - 2.0 * half, middle[1] + 2.0 * half)


def _slice(reference: Array) -> float:
    """Return the half width of the layer that is shown: all of a sheet, a twentieth of a body."""
    height = float(np.ptp(reference[:, 2]))
    return max(0.05 * height, 1.0)
