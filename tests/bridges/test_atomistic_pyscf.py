"""A crystal by PySCF as a box of atoms: its stress is the slope of its energy."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from ase import Atoms
from ase.calculators.calculator import all_changes
from ase.io import write

from scalespan.adapters.ase import ASEAdapter
from scalespan.bridges.atomistic_cell import AtomisticCell, AtomisticCellOptions

pytest.importorskip("pyscf", reason="PySCF is not installed")
from pyscf.data.nist import BOHR
from pyscf.pbc import dft, gto
from pyscf.pbc.tools.pyscf_ase import PySCF

AT = np.eye(3) + np.array([[0.02, 0.01, 0.0], [0.0, -0.01, 0.02], [0.01, 0.0, 0.01]])


class Crystal(PySCF):
    """PySCF 2.14 hands ASE a stress in hartree per bohr cubed as if it were per bohr."""

    def calculate(self, atoms: Any = None, properties: Any = ("energy",), system_changes: Any = all_changes) -> None:
        self.results = {}
        super().calculate(atoms, properties, system_changes)
        if "stress" in self.results:
            self.results["stress"] /= BOHR**2


@pytest.mark.slow
def test_a_crystal_by_pyscf(tmp_path: Path) -> None:
    """Helium in a small cubic cell, LDA, at a strain with shear and rotation."""
    atoms = Atoms("He", positions=[[0.1, 0.2, 0.3]], cell=[2.4, 2.4, 2.4], pbc=True)
    places = [("He", atoms.positions[0])]
    cell = gto.Cell(atom=places, a=atoms.cell.array, basis="gth-szv", pseudo="gth-pade", ke_cutoff=40, verbose=0)
    cell.build()
    method = dft.KRKS(cell, cell.make_kpts([1, 1, 1]))
    method.xc, method.conv_tol = "lda,vwn", 1e-10
    write(tmp_path / "box.xyz", atoms, format="extxyz")
    options = AtomisticCellOptions.read({"file": "box.xyz", "force_tolerance": "0.1 eV/angstrom"}, folder=tmp_path)
    law = AtomisticCell(options, ASEAdapter.of(Crystal(method=method)))
    along = np.array([[1.0, 0.4, -0.3], [0.4, 0.7, 0.2], [-0.3, 0.2, 0.5]])
    found = law.respond(np.stack([AT - 1e-3 * along, AT, AT + 1e-3 * along]))
    slope = (found.energy[2] - found.energy[0]) / 2e-3
    assert float((found.stress[1] * along).sum()) == pytest.approx(slope, rel=1e-3)
