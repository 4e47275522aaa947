"""FE²: schemes that agree, cells counted, answers reused within the stated error, nothing final that is not at rest."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from scalespan.adapters.interface import Array, EngineFailed

pytest.importorskip("dolfinx", reason="DOLFINx is not installed: conda install -c conda-forge fenics-dolfinx")
from scalespan.adapters.dolfinx import DolfinxAdapter
from scalespan.adapters.dolfinx.ranks import shared_out
from scalespan.bridges.homogenisation.cell import Effort

from .fe2_bodies import DIAMOND, cantilever, law

LINEAR = DIAMOND | {"material": "linear"}
STRETCHED = np.array([[1.1, 0.08], [-0.05, 0.95]])


def near(count: int, size: float, seed: int = 3) -> Array:
    """Return deformations (count, 2, 2) around a stretched one."""
    return STRETCHED + size * np.random.default_rng(seed).uniform(-1.0, 1.0, (count, 2, 2))


def moved(**options: Any) -> tuple[Array, float]:
    """Return the displacements of the cantilever after one step, and the iterations of its cells."""
    micro = law(**options)
    body = cantilever(micro, load=0.1)
    body.advance(1.0)
    return body.problem.unknown.x.array.copy(), micro.observe()["cell_iterations/1"]


def test_nested_and_monolithic_agree_and_the_latter_takes_at_most_half_the_iterations() -> None:
    plain, most = moved(scheme="plain")
    nested, full = moved(scheme="nested", forcing=0.0)
    forced, some = moved(scheme="nested")
    monolithic, least = moved(scheme="monolithic")
    for each in (nested, forced, monolithic):
        assert np.abs(each - plain).max() < 1e-10 * np.abs(plain).max()
    assert least <= some < full < most
    assert least <= 0.5 * full


@pytest.mark.parametrize("scheme", ["nested", "monolithic"])
def test_the_continuums_newton_stays_quadratic(scheme: str) -> None:
    body = cantilever(law(scheme=scheme), load=0.12)
    norms: list[float] = []
    body._step._snes.setMonitor(lambda snes, number, norm: norms.append(norm))  # type: ignore[union-attr]
    body.advance(1.0)
    small = [norm / norms[0] for norm in norms if 1e-11 * norms[0] < norm < 0.5 * norms[0]]
    assert len(small) >= 3
    assert all(after < 10.0 * before**2 for before, after in pairwise(small))


def held(micro: Any) -> DolfinxAdapter:
    """Return a body whose nodes all are where the rim says: its own Newton iteration has nothing to do."""
    box = {"low": [0.0, 0.0], "high": [1.0, 1.0], "cells": [2, 1], "cell": "quadrilateral"}
    rim = [{"boundary": "all", "value": ["0.2*x*y", "0.1*x - 0.15*y"]}]
    table = {"mesh": box, "elasticity": {"material": "law", "fixed": rim}, "timestep": 1.0}
    return DolfinxAdapter(DolfinxAdapter.Options.read(table), law=micro)


def test_a_step_does_not_end_before_its_cells_are_at_rest() -> None:
    energies = []
    for scheme in ("plain", "monolithic"):
        body = held(law(scheme=scheme))
        body.advance(1.0)
        energies.append(next(iter(body.observe().values())))
    assert energies[1] == pytest.approx(energies[0], rel=1e-12)


def test_where_loose_cells_lead_nowhere_exact_ones_begin_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """Cells that need a second step are not to be had loosely here; the body is the one that nested cells give."""
    expected, _ = moved(scheme="nested")
    micro = law(scheme="monolithic")
    monkeypatch.setattr(micro, "_effort", lambda site: Effort(1e-10, 2))
    body = cantilever(micro, load=0.1)
    begin_again, times = body._step._begin_again, []  # type: ignore[union-attr]
    monkeypatch.setattr(body._step, "_begin_again", lambda guess: (times.append(1), begin_again(guess)))
    body.advance(1.0)
    assert len(times) == 1
    assert np.abs(body.problem.unknown.x.array - expected).max() < 1e-10 * np.abs(expected).max()


def test_on_the_way_a_cell_takes_one_step_and_no_such_answer_is_made_final() -> None:
    micro = law(scheme="monolithic")
    exact = law().respond(STRETCHED[None]).stress
    loose = micro.iterate(STRETCHED[None])
    assert micro.observe()["cell_iterations/1"] == 1.0
    assert np.abs(loose.stress - exact).max() > 1e-4
    micro.iterate(STRETCHED[None], tangent=True)
    assert micro.observe()["cell_iterations/1"] == 1.0, "it is the same F"
    with pytest.raises(EngineFailed, match="not at rest"):
        micro.advance(1.0)
    assert micro.respond(STRETCHED[None]).stress == pytest.approx(exact, rel=1e-9)
    micro.advance(1.0)


def test_the_condensed_stress_of_a_loose_cell_is_better_than_its_mean() -> None:
    """The stress with the correction condensed has an error of the second order: halve the step, quarter it."""
    errors = []
    for part in (1.0, 0.5, 0.25):
        micro, change = law(scheme="monolithic"), part * np.array([[0.05, 0.02], [0.0, -0.04]])
        micro.respond(STRETCHED[None], tangent=True)
        loose = micro.iterate(STRETCHED[None] + change)
        errors.append(np.abs(loose.stress - law().respond(STRETCHED[None] + change).stress).max())
    assert errors[1] < errors[0] / 8.0, "the prediction is of the second order, and the condensed stress of its square"
    assert errors[2] < errors[1] / 8.0


def test_a_linear_cell_is_solved_once() -> None:
    micro, plain = law(solid=LINEAR), law(solid=LINEAR, scheme="plain")
    asked = near(7, 0.1)
    for _ in range(3):
        answer, other = (each.respond(asked, tangent=True) for each in (micro, plain))
    assert micro.observe()["cells/1"] == 1.0 and plain.observe()["cells/1"] == 21.0
    for name in ("stress", "tangent", "energy"):
        assert getattr(answer, name) == pytest.approx(getattr(other, name), rel=1e-9, abs=1e-13)


@pytest.mark.parametrize("reuse", [1e-3, 1e-5])
def test_cells_answer_for_points_near_them_within_the_stated_error(reuse: float) -> None:
    """The error of the stress over the size of the tangent is below what the options say, and some of it is there."""
    micro, asked = law(reuse=reuse), near(60, 0.5 * reuse**0.5)
    answer, exact = micro.respond(asked, tangent=True), law().respond(asked, tangent=True)
    assert answer.tangent is not None
    sizes = np.sqrt((answer.tangent**2).sum(axis=(1, 2, 3, 4)))
    errors = np.sqrt(((answer.stress - exact.stress) ** 2).sum(axis=(1, 2))) / sizes
    assert errors.max() < reuse
    assert errors.max() > 1e-3 * reuse
    solved = micro.observe()["cells/1"] - 5.0  # five measure how fast the tangent changes
    assert solved < 60


LAYERS = {"material": "neo-hookean", "poisson": 0.0}


def hanging(cells: int, solid: dict[str, Any], micro: Any = None) -> float:
    """Return by how much a bar of length 1 grows that is held at its left and pulled by its own weight."""
    held = [{"boundary": "left", "value": 0.0, "component": 0}, {"boundary": "all", "value": 0.0, "component": 1}]
    box = {"low": [0.0, 0.0], "high": [1.0, 0.1], "cells": [cells, 1], "cell": "quadrilateral"}
    table = {"mesh": box, "degree": 2, "timestep": 1.0, "elasticity": solid | {"fixed": held, "source": [1.0, 0.0]}}
    bar = DolfinxAdapter(DolfinxAdapter.Options.read(table), law=micro)
    bar.advance(1.0)
    return float(bar.evaluate("displacement", np.array([[1.0, 0.05]]))[0, 0])


def test_a_bar_with_its_layers_resolved_tends_to_the_one_of_cells() -> None:
    """The layers' width is all that is between them: half the width, half the difference."""
    cells = hanging(8, {"material": "law"}, law(2, LAYERS | {"young": "where(x < 0.5, 1.0, 10.0)"}))
    apart = []
    for pairs in (4, 8, 16):
        layers = LAYERS | {"young": f"where(sin(2*pi*{pairs}*x) > 0, 1.0, 10.0)"}
        apart.append(hanging(4 * pairs, layers) - cells)
    assert apart[0] < 0.2 * cells
    assert [wide / narrow for wide, narrow in pairwise(apart)] == pytest.approx([2.0, 2.0], rel=0.02)


PLASTIC = {
    "material": "j2",
    "young": "where(x < 0.5, 200.0, 100.0)",
    "poisson": 0.3,
    "yield_stress": "where(x < 0.5, 1.0, 2.0)",
    "hardening": 10.0,
}


def test_points_that_share_a_cell_share_its_history() -> None:
    """Through flow, further flow and back; the error is of the first order in each step's difference from the cell."""
    reuse, path = 1e-5, (0.01, 0.03, 0.005)
    micro, each = law(2, PLASTIC, reuse=reuse), law(2, PLASTIC)
    directions = np.array([[1.0, 0.3], [0.3, -0.2]]) * np.linspace(1.0, 1.0005, 25)[:, None, None]
    for step, size in enumerate(path, 1):
        answer, exact = (one.respond(np.eye(2) + size * directions, tangent=True) for one in (micro, each))
        assert exact.tangent is not None and exact.dissipation is not None and answer.dissipation is not None
        modulus = np.sqrt((exact.tangent**2).sum(axis=(1, 2, 3, 4))).max()
        error = np.sqrt(((answer.stress - exact.stress) ** 2).sum(axis=(1, 2))).max() / modulus
        assert 0.0 < error < step * reuse
        if step < 3:
            assert answer.dissipation.min() > 0.0
            assert answer.dissipation == pytest.approx(exact.dissipation, rel=1e-2)
        for one in (micro, each):
            one.advance(1.0)
    assert micro.observe()["cells/1"] < 0.5 * each.observe()["cells/1"]


def test_without_reuse_only_the_same_deformation_shares_a_cell() -> None:
    micro = law()
    micro.respond(np.concatenate([near(2, 0.1)] * 4))
    assert micro.observe() == {"points/1": 8.0, "cells/1": 2.0, "cell_iterations/1": pytest.approx(8.0, abs=5.0)}


@pytest.mark.parametrize("options", [{}, {"scheme": "monolithic", "reuse": 1e-4}])
def test_a_restored_continuum_goes_on_bit_for_bit(options: dict[str, Any]) -> None:
    body = cantilever(law(**options))
    body.advance(1.0)
    state = body.save()
    body.advance(1.0)
    first = body.problem.unknown.x.array.copy()
    body.restore(state)
    body.advance(1.0)
    assert np.array_equal(body.problem.unknown.x.array, first)


def test_work_goes_from_those_who_have_much_to_those_who_have_little() -> None:
    owners = np.array([0] * 9 + [1])
    costs = np.array([3.0, 1.0, 1.0, 1.0, 2.0, 1.0, 1.0, 1.0, 1.0, 2.0])
    loads = np.bincount(shared_out(costs, owners, 2), costs)
    assert loads.max() <= costs.sum() / 2 + costs.max()
    assert loads.max() < 0.75 * costs[:9].sum()
    even = np.array([0, 0, 1, 1])
    assert np.array_equal(shared_out(np.ones(4), even, 2), even), "nothing moves without need"


Answers = dict[str, dict[str, float]]


def answers(ranks: int) -> Answers:
    launcher = shutil.which("mpirun")
    if launcher is None:
        pytest.skip("mpirun is not installed")
    program = str(Path(__file__).parent / "fe2_bodies.py")
    # Open MPI's session folder is named by the process's number, which another container may have too.
    with tempfile.TemporaryDirectory(prefix="mpi") as folder:
        command = [launcher, "-n", str(ranks), sys.executable, program]
        environment = os.environ | {"TMPDIR": folder}
        done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    found: Answers = json.loads(done.stdout[done.stdout.index("{") :])
    return found


@pytest.mark.slow
def test_two_ranks_share_the_cells_and_give_the_numbers_of_one() -> None:
    """All that bends is on one rank; shared, each has about the same."""
    one, two = answers(1), answers(2)
    for scheme in ("nested", "monolithic"):
        for number in ("displacement", "elastic/(kg*m**2/s**2)"):
            assert two[scheme][number] == pytest.approx(one[scheme][number], rel=1e-12)
        assert two[scheme]["law_balance_by_owner/1"] < 0.6
        assert two[scheme]["law_balance/1"] > 0.9
    assert (one["failure"]["failed"], two["failure"]["failed"]) == (1.0, 2.0)
