"""OpenMM keeps the contract of a force field."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from ase import Atoms

from scalespan.adapters.interface import Quantity
from scalespan.adapters.interface.contract import ForceFieldContract
from scalespan.adapters.openmm import OpenMMAdapter, OpenMMOptions

DATA = Path(__file__).parents[1] / "data" / "openmm"
BOX: dict[str, object] = {"cutoff": "5 angstrom", "switch_distance": "4.5 angstrom"}


def make(table: dict[str, object]) -> OpenMMAdapter:
    files = {"pdb": "ethanol_water.pdb", "force_field": ["ethanol_water.xml"], "platform": "Reference"}
    return OpenMMAdapter(OpenMMOptions.read(files | table, folder=DATA))


class TestVacuum(ForceFieldContract):
    timestep = 0.25  # fs; at 0.5 the hydrogens' own velocity-Verlet error is above the contract's bound

    def make_adapter(self) -> OpenMMAdapter:
        return make({"nonbonded": "no-cutoff"})


class TestBox(ForceFieldContract):
    """A switched cutoff, a reaction field and a dispersion correction."""

    timestep = 0.25
    stress_tolerance = 5e-3  # eV, of bonds' some hundred eV per unit strain: OpenMM's strain of a thousandth

    def make_adapter(self) -> OpenMMAdapter:
        return make(BOX | {"nonbonded": "cutoff-periodic"})


class TestMesh(TestBox):
    """PME: its mesh does not move with the atoms, so that translation and the sum of forces are of its precision."""

    energy_tolerance = 1e-4
    force_tolerance = 1e-3

    def make_adapter(self) -> OpenMMAdapter:
        return make(BOX | {"ewald_tolerance": 1e-5})

    def make_atoms(self) -> Atoms:
        """In a cell without symmetry."""
        atoms = super().make_atoms()
        atoms.set_cell([[13.0, 0.3, 0.2], [1.1, 12.5, 0.4], [-2.0, 3.0, 12.0]])
        return atoms


@pytest.mark.parametrize("matrix", [[[0, 1, 0], [1, 0, 0], [0, 0, 1]], [[1, 0, 0], [3, 1, 0], [-1, 2, 1]]])
def test_a_lattice_is_the_same_by_any_vectors(matrix: list[list[int]]) -> None:
    """Left-handed ones, and ones far from OpenMM's reduced form."""
    adapter = make(BOX | {"nonbonded": "cutoff-periodic"})
    atoms = adapter.initial_atoms()
    atoms.set_cell([[13.0, 0.3, 0.2], [1.1, 12.5, 0.4], [-2.0, 3.0, 12.0]])
    other = atoms.copy()
    other.set_cell(np.array(matrix) @ atoms.cell.array)
    wanted = {Quantity.ENERGY, Quantity.FORCES}
    one, same = adapter.compute(atoms, wanted), adapter.compute(other, wanted)
    assert same.energy == pytest.approx(one.energy, abs=1e-10)
    np.testing.assert_allclose(same.forces, one.forces, atol=1e-10)
