"""A handshake whose continuum is DOLFINx: the patch test, and two participants with the numbers of one process."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("dolfinx", reason="DOLFINx is not installed: conda install -c conda-forge fenics-dolfinx")

from scalespan.adapters.dolfinx import DolfinxAdapter, DolfinxOptions
from scalespan.adapters.interface.units import FEMTOSECOND
from scalespan.bridges.handshake import Handshake, HandshakeOptions

from . import coupled_crystals
from .coupled_crystals import LJ, STEP, apart, by_embedded, recorded, region, together, write_files, xml
from .crystals import WANTED, PairEngine, PairLaw, spacing, triangle

WINDOWS = 100


def body(folder: Path, window: float, size: float = 12.0, coarse: float = 1.9, **beside: Any) -> DolfinxAdapter:
    """Return a body in a system of units with forces in eV/Å."""
    solid = {"material": "law", "scheme": "leapfrog", "fixed": [{"boundary": "all", "value": 0.0}], **beside}
    mesh = {"low": [-size] * 2, "high": [size] * 2, "cells": [round(2 * size / coarse)] * 2}
    units = {"length": "angstrom", "time": "fs", "mass": "eV*fs**2/angstrom**2", "timestep": window / FEMTOSECOND}
    places = {"volume": {"takes": ["force"], "connectivity": True}}
    options = DolfinxOptions.read(units | {"mesh": mesh, "elasticity": solid, "places": places}, folder=folder)
    return DolfinxAdapter(options, PairLaw(LJ, triangle(spacing(LJ, triangle))))


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    write_files(tmp_path, region())
    monkeypatch.setattr(coupled_crystals, "body", body)
    return tmp_path


@pytest.mark.parametrize("strain", [[[0.04, 0.0], [0.0, 0.0]], [[0.0, 0.02], [0.0, 0.0]]])
def test_the_patch_test_is_passed(place: Path, strain: list[list[float]]) -> None:
    table = {key: value for key, value in region().items() if key != "atoms_file"}
    options = HandshakeOptions.read(table | {"deformation": (np.eye(2) + strain).tolist()}, folder=place)
    model = Handshake(options, atoms=PairEngine(LJ), continuum=body(place, STEP))
    assert np.abs(model.compute(model.initial_atoms(), WANTED).forces).max() < 1e-10


@pytest.mark.parametrize("every", [1, 5])
def test_two_participants_give_the_numbers_of_one_process(place: Path, every: int) -> None:
    bridges = apart(place, region(), every)
    found = recorded(bridges)
    by_embedded(place, bridges, xml(every * STEP, WINDOWS))
    model = together(place, region(), every, "staggered")
    for number in range(WINDOWS):
        model.advance(every * STEP)
        positions = model.atoms.positions
        moved = model.displacement(positions)
        assert np.abs(found["Atoms"][number] - positions[: model.free]).max() < 1e-10
        assert np.abs(found["Continuum"][number] - moved).max() < 1e-10
    assert np.ptp(moved) > 1e-3
