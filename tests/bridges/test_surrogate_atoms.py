"""A table of argon that OpenMM moves: its stress is another trajectory's within the errors of both."""

from __future__ import annotations

import numpy as np
import pytest

from scalespan.bridges.atomistic_cell import AtomisticCell, AtomisticCellOptions
from scalespan.bridges.surrogate import Surrogate, SurrogateOptions

from .argon import argon, engine

pytest.importorskip("pymbar", reason="pymbar is not installed")


def warm(seed: int, samples: int) -> AtomisticCell:
    table = {"timestep": "10 fs", "friction": "10 / ps", "temperature": "10 K", "seed": seed, "samples": samples}
    return AtomisticCell(AtomisticCellOptions.read({"sampling": table}), engine(argon(), "CPU"))


@pytest.mark.slow
def test_the_table_of_a_box_of_argon_is_another_trajectorys_stress() -> None:
    table = Surrogate(SurrogateOptions.read({"stress_error": "0.8 MPa", "smooth": 0.05}), warm(seed=1, samples=150))
    path = [np.diag([1.0 + strain, 1.0, 1.0])[None] for strain in (0.0, 0.005, 0.01)]
    for at in path:
        table.respond(at)
    asked = table.asked
    for at in path:
        found = table.respond(at, tangent=True)
    assert table.asked <= asked + 1
    other = warm(seed=7, samples=300).respond(path[-1])
    error = np.sqrt(np.einsum("nijij->nij", found.covariance + other.covariance))
    assert (np.abs(found.stress - other.stress) < 4.5 * error + 1e-12).all()
    assert np.abs(found.stress - table.respond(path[0]).stress).max() > 20.0 * error.max(), "the strain is seen"
    assert found.tangent == pytest.approx(np.einsum("niJkL->nkLiJ", found.tangent), abs=1e-12)
