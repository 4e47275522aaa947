"""The case silicon_vacancy_3d against the full crystal."""

from __future__ import annotations

import tomllib
from pathlib import Path

import numpy as np
import pytest
from ase.build import bulk
from ase.optimize import LBFGS

from scalespan.adapters.stillinger_weber import StillingerWeberAdapter, StillingerWeberOptions

CASE = Path(__file__).parents[2] / "cases" / "silicon_vacancy_3d"


@pytest.mark.slow
def test_the_relaxation_energy_is_that_of_a_periodic_cell() -> None:
    engine = StillingerWeberAdapter(StillingerWeberOptions())
    table = tomllib.loads((CASE / "case.toml").read_text())["model"]
    crystal = bulk("Si", "diamond", a=float(table["continuum"]["law"]["crystal"]["a"].split()[0]), cubic=True).repeat(4)
    crystal.set_cell(crystal.cell.array @ np.array(table["deformation"]).T, scale_atoms=True)
    crystal.calc = engine.as_calculator()
    LBFGS(crystal, logfile=None).run(fmax=1e-5, steps=50)  # inner displacements
    del crystal[len(crystal) // 2]
    crystal.calc = engine.as_calculator()
    before = crystal.get_potential_energy()
    LBFGS(crystal, logfile=None).run(fmax=1e-3, steps=100)
    reference = tomllib.loads((CASE / "reference.toml").read_text())["energy_change"]
    assert crystal.get_potential_energy() - before == pytest.approx(reference["value"], abs=reference["tolerance"])
