"""The case vacancy_2d against all atoms of the same sheet."""

from __future__ import annotations

import tomllib
from pathlib import Path

import numpy as np
import pytest
from ase import Atoms
from ase.calculators.lj import LennardJones
from ase.io import read
from scipy.optimize import minimize

CASE = Path(__file__).parents[2] / "cases" / "vacancy_2d"
HALF = 32  # cells of the sheet to either side, as in make_nodes.py
OPTIONS = {"ftol": 1e-16, "gtol": 5e-4, "maxcor": 30}  # meV/Å


@pytest.mark.slow
def test_the_relaxation_energy_is_that_of_all_atoms() -> None:
    table = tomllib.loads((CASE / "case.toml").read_text())["model"]
    cell = read(CASE / "input" / "crystal.extxyz").cell.array[:2, :2]
    steps = np.stack(np.meshgrid(*[np.arange(-HALF - 3, HALF + 4)] * 2), axis=-1).reshape(-1, 2)
    steps = steps[(steps != 0).any(axis=1)]
    free = np.abs(steps).max(axis=1) < HALF
    places = np.zeros((len(steps), 3))
    places[:, :2] = steps @ cell @ np.array(table["deformation"]).T
    atoms = Atoms("Ar" * len(steps), positions=places, calculator=LennardJones(**table["atoms"]["keywords"]))
    before = atoms.get_potential_energy()

    def moved(by: np.ndarray) -> tuple[float, np.ndarray]:
        atoms.positions[free, :2] = places[free, :2] + by.reshape(-1, 2)
        return 1e3 * (atoms.get_potential_energy() - before), -1e3 * atoms.get_forces()[free, :2].ravel()

    found = minimize(moved, np.zeros(2 * int(free.sum())), jac=True, method="L-BFGS-B", options=OPTIONS)
    reference = tomllib.loads((CASE / "reference.toml").read_text())["energy_change"]
    assert 1e-3 * found.fun == pytest.approx(reference["value"], abs=reference["tolerance"])
