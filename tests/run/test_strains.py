"""Pictures of a body under load."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from ase import Atoms
from ase.io import write

from scalespan.bridges.run.strains import largest_stretches, strain_plots

CELL = np.array([[1.0, 0.0, 0.0], [0.5, 0.75**0.5, 0.0], [0.0, 0.0, 1.0]])
STEPS = np.stack(np.meshgrid(np.arange(-3, 4), np.arange(-3, 4), [0]), axis=-1).reshape(-1, 3)
SHEET = STEPS @ CELL


def test_the_largest_stretch_of_an_affine_field_is_the_largest_singular_value() -> None:
    affine = np.array([[1.02, 0.03], [-0.01, 1.05]])
    found = largest_stretches(SHEET[:, :2] @ affine.T, SHEET[:, :2])
    np.testing.assert_allclose(found, np.linalg.svd(affine)[1][0], rtol=1e-12)


def test_a_row_of_atoms_has_no_strain_across() -> None:
    row = np.stack([np.arange(4.0), np.zeros(4)], axis=1)
    assert np.isnan(largest_stretches(row, row)).all()


def loaded(folder: Path, header: str) -> Path:
    start = Atoms(np.where(np.abs(STEPS).max(axis=1) < 2, 18, 0), positions=SHEET, cell=np.eye(3))
    start.set_array("reference", SHEET)
    write(folder / "structure.extxyz", start)
    frames = []
    for strain in (0.0, 0.01, 0.02):
        frame = start.copy()
        frame.set_cell(np.diag([1.0, 1.0 + strain, 1.0]), scale_atoms=True)
        frame.info["coordinate"] = strain
        frames.append(frame)
    write(folder / "trajectory.extxyz", frames)
    rows = "\n".join(f"{n},{0.01 * n},{-1.0 + 0.1 * n},{0.2 * n}" for n in range(3))
    (folder / "scan.csv").write_text(f"{header}\n{rows}\n")
    return folder


def test_a_scan_along_a_strain_has_pictures(tmp_path: Path) -> None:
    plots = strain_plots(loaded(tmp_path, "point,strain/1,energy/eV,load/eV"))
    assert [plot.title for plot in plots] == ["Strain at the atoms", "Load"]
    shown = [ax.collections[0].get_array() for ax in plots[0].figure.axes[:-1]]
    assert [float(np.max(each)) for each in shown] == pytest.approx([1.0, 2.0])  # per cent; not the first frame
    assert plots[0].svg().startswith("<svg")


def test_no_other_scan_has(tmp_path: Path) -> None:
    assert strain_plots(loaded(tmp_path, "point,distance/angstrom,energy/eV,energy_part/eV")) == []
    assert strain_plots(tmp_path / "nowhere") == []
