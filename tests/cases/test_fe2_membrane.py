"""Cook's membrane by FE² against the same membrane with its layers resolved, computed here."""

from __future__ import annotations

from pathlib import Path

import pytest

pytest.importorskip("dolfinx", reason="DOLFINx is not installed: conda install -c conda-forge fenics-dolfinx")
pytest.importorskip("meshio", reason="meshio, which reads the membrane's mesh, is not installed: pip install meshio")
from scalespan.adapters.dolfinx import DolfinxAdapter
from scalespan.adapters.interface import load_file
from scalespan.bridges.homogenisation import Homogenisation, HomogenisationOptions

CASE = Path(__file__).parents[2] / "cases" / "fe2_membrane"


@pytest.mark.slow
def test_the_membrane_of_cells_is_the_one_of_layers(tmp_path: Path) -> None:
    """Eight pairs of layers, sixteen elements: both are near the limit; the mean of the moduli is far too stiff."""
    cook = load_file(CASE / "input" / "membrane.py")
    mesh = cook.write_mesh(tmp_path / "membrane.msh", 4, 4)
    box = {"low": [0.0, 0.0], "high": [1.0, 1.0], "cells": [2, 1]}
    pair = cook.PAIR | {"young": "where(x < 0.5, 1, 10)"}
    cell = DolfinxAdapter(DolfinxAdapter.Options.read(cook.UNITS | {"mesh": box, "elasticity": pair}))
    law = Homogenisation(HomogenisationOptions(reuse=1e-4), cell=cell)
    body = DolfinxAdapter(DolfinxAdapter.Options.read(cook.table(mesh, material="law")), law=law)
    averaged = DolfinxAdapter(DolfinxAdapter.Options.read(cook.table(mesh, young=5.5, **cook.PAIR)))
    layers = cook.tip(cook.resolved(8, up=16))
    assert cook.tip(body) == pytest.approx(layers, rel=0.025)
    assert abs(cook.tip(averaged)[1] / layers[1] - 1.0) > 0.4
