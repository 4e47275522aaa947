"""Pictures of displacement fields: over time for a chain, side by side for a sheet, the last frame of a search."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from ase import Atoms
from ase.io import write

from scalespan.bridges.run.displacements import displacement_plots


def results(folder: Path, reference: np.ndarray, frames: int, *, moving: bool) -> Path:
    """Write a run's files: two atoms in three are nodes, and all are displaced along x."""
    numbers = np.where(np.arange(len(reference)) % 3, 0, 18)
    start = Atoms(numbers, positions=reference)
    start.set_array("reference", reference)
    write(folder / "structure.extxyz", start)
    images = []
    for step in range(frames):
        image = Atoms(numbers, positions=reference + np.array([0.01 * step, 0.0, 0.0]))
        image.info |= {"step": step} | ({"time_fs": 2.0 * step} if moving else {})
        images.append(image)
    write(folder / "trajectory.extxyz", images)
    return folder


CHAIN = np.stack([np.arange(9.0), np.zeros(9), np.zeros(9)], axis=1)
SHEET = np.array([[i, j, 0.0] for i in range(6) for j in range(6)], dtype=float)


@pytest.mark.parametrize(
    ("reference", "moving", "title", "panels"),
    [
        (CHAIN, True, "Displacement over time", 1),
        (SHEET, True, "Displacement", 4),
        (SHEET, False, "Displacement", 1),
    ],
)
def test_each_kind_of_run_has_its_picture(
    tmp_path: Path, reference: np.ndarray, moving: bool, title: str, panels: int
) -> None:
    (plot,) = displacement_plots(results(tmp_path, reference, 8, moving=moving))
    assert plot.title == title
    assert len(plot.figure.axes) == panels + 1  # and the bar of colours
    assert plot.svg().startswith("<svg")


def test_without_a_reference_there_is_none(tmp_path: Path) -> None:
    write(tmp_path / "structure.extxyz", Atoms("Ar3", positions=CHAIN[:3]))
    assert displacement_plots(tmp_path) == []
