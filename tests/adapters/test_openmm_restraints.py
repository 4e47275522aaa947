"""Restraints and umbrella biases through OpenMM: energies by hand, forces by differences, and where they stay."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from ase import Atoms

from scalespan.adapters.interface import AtomsError, OptionError, Quantity
from scalespan.adapters.interface.units import KJ_PER_MOL
from scalespan.adapters.openmm import OpenMMAdapter, OpenMMOptions

DATA = Path(__file__).parents[1] / "data" / "openmm"


def make(**table: object) -> OpenMMAdapter:
    files = {"pdb": "ethanol_water.pdb", "force_field": ["ethanol_water.xml"], "platform": "Reference"}
    return OpenMMAdapter(OpenMMOptions.read(files | {"cutoff": "5 angstrom"} | table, folder=DATA))


RESTRAINTS: list[dict[str, object]] = [
    {"kind": "position", "name": "tether", "atoms": [0, 9], "force_constant": "2 eV/angstrom**2"},
    {
        "kind": "distance",
        "name": "umbrella",
        "atoms": [7, 9],
        "centre": "3 angstrom",
        "force_constant": "5 kcal/mol/angstrom**2",
    },
    {"kind": "angle", "name": "bend", "atoms": [8, 7, 9], "centre": "100 deg", "force_constant": "30 kJ/mol/rad**2"},
    {
        "kind": "dihedral",
        "name": "twist",
        "atoms": [0, 4, 7, 8],
        "centre": "-170 deg",
        "force_constant": "1 eV/rad**2",
    },
]


def test_restraints_have_their_textbook_energies() -> None:
    """½ k (x − x₀)², each under its own name; the torsion takes the short way round."""
    adapter = make(restraints=RESTRAINTS)
    atoms = adapter.initial_atoms()
    atoms.positions[0] += [0.1, 0.2, -0.2]
    atoms.positions[9] += atoms.cell.array[1]  # another image of the oxygen
    found = adapter.compute(atoms, {Quantity.ENERGY}).components
    kcal, degree = 4.184 * KJ_PER_MOL, np.pi / 180.0
    distance = atoms.get_distance(7, 9, mic=True)
    angle = atoms.get_angle(8, 7, 9, mic=True)
    turn = (atoms.get_dihedral(0, 4, 7, 8, mic=True) + 170.0 + 180.0) % 360.0 - 180.0
    assert found["tether"] == pytest.approx(0.5 * 2.0 * 0.09, abs=1e-9)
    assert found["umbrella"] == pytest.approx(0.5 * 5.0 * kcal * (distance - 3.0) ** 2, abs=1e-9)
    assert found["bend"] == pytest.approx(0.5 * 30.0 * KJ_PER_MOL * ((angle - 100.0) * degree) ** 2, abs=1e-9)
    assert found["twist"] == pytest.approx(0.5 * (turn * degree) ** 2, abs=1e-9)


def test_restraints_stay_with_the_rest() -> None:
    """They are the user's, and not among the terms that a quantum region replaces."""
    bare, biased = make(), make(restraints=RESTRAINTS[1:])
    atoms, region = bare.initial_atoms(), np.arange(12)
    bias = sum(biased.compute(atoms, {Quantity.ENERGY}).components[str(each["name"])] for each in RESTRAINTS[1:])
    for part, share in (("all", 1.0), ("inside", 0.0), ("rest", 1.0)):
        with_bias, without = (
            each.select(region, part).compute(atoms, {Quantity.ENERGY}).energy for each in (biased, bare)
        )
        assert with_bias - without == pytest.approx(share * bias, abs=1e-10)
    assert biased.terms(region) == bare.terms(region)


def test_restraints_are_forces_too() -> None:
    """Against a central difference along a random direction."""
    adapter = make(restraints=RESTRAINTS)
    atoms = adapter.initial_atoms()
    atoms.rattle(0.1, seed=4)
    along = np.random.default_rng(5).normal(size=(15, 3))
    energies = []
    for step in (1e-4, -1e-4):
        moved = atoms.copy()
        moved.positions += step * along
        energies.append(adapter.compute(moved, {Quantity.ENERGY}).energy)
    forces = adapter.compute(atoms, {Quantity.FORCES}).forces
    assert -np.sum(forces * along) == pytest.approx((energies[0] - energies[1]) / 2e-4, abs=1e-5)


def test_wrong_restraints() -> None:
    twice = [RESTRAINTS[0], RESTRAINTS[0]]
    with pytest.raises(OptionError, match="two restraints are called 'tether'"):
        make(restraints=twice)
    with pytest.raises(OptionError, match="2 atoms and 1 centres"):
        make(restraints=[{**RESTRAINTS[0], "centres": [["1 nm", "1 nm", "1 nm"]]}])
    adapter = make(restraints=RESTRAINTS[:1])
    atoms: Atoms = adapter.initial_atoms()
    atoms.rotate(30, "z", rotate_cell=True)
    with pytest.raises(AtomsError, match="the cell is turned"):
        adapter.compute(atoms, {Quantity.ENERGY})
