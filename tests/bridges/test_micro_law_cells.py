"""A cell of DOLFINx with a history as a micro model: many points, one law, and none learns of the others."""

from __future__ import annotations

import pickle
from typing import Any

import numpy as np
import pytest

from scalespan.adapters.interface import Array, State
from scalespan.adapters.interface.contract_micro import MicroContract
from scalespan.bridges.homogenisation import Homogenisation, HomogenisationOptions
from scalespan.bridges.micro_law import MicroLaw, MicroLawOptions, whole

pytest.importorskip("dolfinx", reason="DOLFINx is not installed: conda install -c conda-forge fenics-dolfinx")
from scalespan.adapters.dolfinx import DolfinxAdapter

PLASTIC: dict[str, Any] = {
    "material": "j2",
    "young": "where(x < 0.5, 200.0, 100.0)",
    "poisson": 0.3,
    "yield_stress": "where(x < 0.5, 1.0, 2.0)",
    "hardening": "where(x < 0.5, 10.0, 4.0)",
    "kinematic": "where(x < 0.5, 5.0, 20.0)",
    "largest_gradient": 1.0,
}
PATHS = [np.linspace(0, top, 4)[1:, None] * np.array([1.0, -0.3, 0.5]) for top in (0.012, -0.008)]  # of strains


def law() -> Homogenisation:
    mesh = {"low": [0.0, 0.0], "high": [1.0, 1.0], "cells": [2, 2]}
    body = DolfinxAdapter(DolfinxAdapter.Options.read({"mesh": mesh, "elasticity": PLASTIC}))
    return Homogenisation(HomogenisationOptions(), cell=body)


def step(model: MicroLaw, state: State, row: Array) -> tuple[State, Array, Array]:
    after, answer = model.step(state, {"Strains1to2": row[:2], "Strains3": row[2:]}, 1.0)
    tangent = whole(np.concatenate([answer[f"Cmat{i}"] for i in (1, 2, 3)]))
    return after, np.concatenate([answer["Stresses1to2"], answer["Stresses3"]]), tangent


def alone(path: Array) -> list[Array]:
    """Return the stresses (xx, yy, xy) of a law that has only one point."""
    mine, found = law(), []
    for xx, yy, xy in path:
        stress = mine.respond(np.eye(2)[None] + np.array([[[xx, 0.5 * xy], [0.5 * xy, yy]]])).stress[0]
        mine.advance(1.0)
        found.append(np.array([stress[0, 0], stress[1, 1], 0.5 * (stress[0, 1] + stress[1, 0])]))
    return found


class TestLayers(MicroContract):
    def make_model(self) -> MicroLaw:
        return MicroLaw(MicroLawOptions(), law())

    def make_inputs(self) -> list[dict[str, Array]]:
        return [{"Strains1to2": row[:2], "Strains3": row[2:]} for row in PATHS[0]]


def test_points_that_take_turns_have_each_its_own_history() -> None:
    model = MicroLaw(MicroLawOptions(), law())
    states, seen = [model.initial() for _ in PATHS], [[] for _ in PATHS]
    for rows in zip(*PATHS, strict=True):
        for i, row in enumerate(rows):
            states[i], stress, _ = step(model, pickle.loads(pickle.dumps(states[i])), row)
            seen[i].append(stress)
    for path, stresses in zip(PATHS, seen, strict=True):
        np.testing.assert_allclose(stresses, alone(path), rtol=1e-7, atol=1e-9)


def test_the_tangent_is_that_of_the_condensed_cell() -> None:
    model = MicroLaw(MicroLawOptions(), law())
    state, _, _ = step(model, model.initial(), PATHS[0][1])
    _, _, tangent = step(model, state, PATHS[0][2])
    slope = [
        (step(model, state, PATHS[0][2] + h)[1] - step(model, state, PATHS[0][2] - h)[1]) / 2e-7
        for h in 1e-7 * np.eye(3)
    ]
    np.testing.assert_allclose(np.array(slope).T, tangent, atol=2e-5 * np.abs(tangent).max())
