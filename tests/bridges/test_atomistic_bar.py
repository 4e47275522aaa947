"""A bar of DOLFINx whose quadrature points ask boxes of atoms, against the law of their crystal."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from ase.build import bulk
from ase.io import write

from scalespan.adapters.interface import Array, Material
from scalespan.adapters.stillinger_weber import StillingerWeberAdapter, StillingerWeberOptions
from scalespan.bridges.atomistic_cell import AtomisticCell, AtomisticCellOptions
from scalespan.bridges.cauchy_born import CauchyBorn, CauchyBornOptions

pytest.importorskip("dolfinx", reason="DOLFINx is not installed")
from scalespan.adapters.dolfinx import DolfinxAdapter

ENGINE = StillingerWeberAdapter(StillingerWeberOptions())


def tip(law: Material) -> Array:
    """Return the displacement of the end of a bar under its own weight, the strain 3 %."""
    table = {
        "mesh": {"low": [0.0, 0.0], "high": [1.0, 0.5], "cells": [1, 1]},
        "elasticity": {
            "material": "law",
            "density": 0.0,
            "source": ["8e9", 0.0],
            "fixed": [{"boundary": "left", "value": 0.0}],
        },
        "timestep": 1.0,
    }
    bar = DolfinxAdapter(DolfinxAdapter.Options.read(table), law=law)
    bar.advance(1.0)
    found: Array = bar.evaluate("displacement", np.array([[1.0, 0.25]]))
    return found


def test_a_bar_of_atoms_at_rest_is_one_of_their_crystal(tmp_path: Path) -> None:
    """Silicon: eight atoms in each box, two in the crystal's cell; at finite strain, relaxed at each point."""
    write(tmp_path / "box.xyz", bulk("Si", a=5.431, cubic=True), format="extxyz")
    options = {"file": "box.xyz", "force_tolerance": "1e-8 eV/angstrom"}
    boxes = AtomisticCell(AtomisticCellOptions.read(options, folder=tmp_path), ENGINE)
    crystal = {"symbol": "Si", "structure": "diamond", "a": "5.431 angstrom"}
    expected = tip(CauchyBorn(CauchyBornOptions.read({"crystal": crystal}), ENGINE))
    np.testing.assert_allclose(tip(boxes), expected, rtol=0, atol=1e-8)
    assert expected[0, 0] > 0.02
