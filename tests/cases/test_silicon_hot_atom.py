"""The case silicon_hot_atom against its better engine in the whole crystal."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from scalespan.adapters.interface import Quantity, load_file
from scalespan.bridges.force_mixing import ForceMixing
from scalespan.bridges.run.case import read as read_case

CASE = Path(__file__).parents[2] / "cases" / "silicon_hot_atom"


@pytest.mark.slow
def test_the_region_feels_what_it_would_in_a_crystal_of_the_better_engine() -> None:
    case = read_case(CASE)
    model = case.build()
    assert isinstance(model, ForceMixing)
    atoms = case.start_atoms(model)
    atoms.rattle(0.05, seed=1)
    region = model.region_of(atoms)
    low = model.matched.compute(atoms, {Quantity.FORCES}).forces
    difference = model.difference(atoms, low)
    whole = load_file(CASE / "tersoff.py").Silicon().get_forces(atoms)
    expected = whole[region] - low[region]
    np.testing.assert_allclose(difference.forces + difference.removed / len(region), expected, atol=1e-10)
    assert np.abs(expected).max() > 0.1
