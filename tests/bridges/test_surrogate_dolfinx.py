"""DOLFINx on a table of a noisy law: Newton's method ends as on a formula, and the answer is the formula's."""

from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip("dolfinx", reason="DOLFINx is not installed: conda install -c conda-forge fenics-dolfinx")

from scalespan.adapters.dolfinx import DolfinxAdapter, DolfinxOptions
from scalespan.adapters.interface import Material, NotConverged
from scalespan.bridges.surrogate import Surrogate, SurrogateOptions

from .noisy import Noisy
from .potentials import LennardJonesLaw

SIGMA = 2.0 ** (1.0 / 6.0)
SHEET = LennardJonesLaw(SIGMA * np.array([[1.0, 0.0], [0.5, np.sqrt(0.75)]]), reach=1.5)


def body(law: Material) -> DolfinxAdapter:
    """Return a square that is held at its left side and pulled at the right one, to strains of about 2 %."""
    table = {
        **{"length": "angstrom", "time": "ase_time", "mass": "dalton"},
        "mesh": {"low": [0, 0], "high": [1, 1], "cells": [5, 5]},
        "elasticity": {
            "material": "law",
            "density": 0.0,
            "fixed": [{"boundary": "left", "value": 0.0}],
            "natural": [{"boundary": "right", "value": [1.0, 0.2]}],
        },
        "solver": {"snes_rtol": 1e-10, "snes_max_it": 20},
    }
    return DolfinxAdapter(DolfinxOptions.read(table), law)


def energy(adapter: DolfinxAdapter) -> float:
    return next(value for name, value in adapter.observe().items() if name.startswith("elastic"))


def test_a_body_on_a_table_is_in_equilibrium_to_the_last_digit() -> None:
    table = Surrogate(SurrogateOptions.read({"stress_error": "0.02 eV/angstrom**2", "smooth": 0.05}), Noisy(SHEET, 5.0))
    ours, exact = body(table), body(SHEET)
    ours.advance(1.0)
    exact.advance(1.0)
    zero = SHEET.respond(np.eye(2)[None]).energy[0]
    assert energy(ours) == pytest.approx(energy(exact) - zero, rel=0.05)
    assert 0 < table.asked < 50
    assert table.answered >= 50


def test_without_the_table_newtons_method_does_not_end() -> None:
    with pytest.raises(NotConverged):
        body(Noisy(SHEET, 5.0, samples=(5.0 / 0.02) ** 2)).advance(1.0)
