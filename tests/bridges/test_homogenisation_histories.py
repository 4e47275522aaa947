"""Cells with a history: layers of plastic phases against exact bars, their tangent, dissipation, FE² and its memory."""

from __future__ import annotations

import pickle
from itertools import pairwise
from typing import Any

import numpy as np
import pytest

from scalespan.adapters.interface import Array, Material, ScalespanError
from scalespan.bridges.homogenisation import Cell, Homogenisation, HomogenisationOptions

pytest.importorskip("dolfinx", reason="DOLFINx is not installed: conda install -c conda-forge fenics-dolfinx")
from scalespan.adapters.dolfinx import DolfinxAdapter

from .bars import Bar, sheared

ROOT = np.sqrt(3.0)
LAYERS: dict[str, Any] = {
    "material": "j2",
    "young": "where(x < 0.5, 200.0, 100.0)",
    "poisson": 0.3,
    "yield_stress": "where(x < 0.5, 1.0, 2.0)",
    "hardening": "where(x < 0.5, 10.0, 4.0)",
    "kinematic": "where(x < 0.5, 5.0, 20.0)",
    "largest_gradient": 1.0,
}
PLAIN: dict[str, Any] = {"material": "j2", "young": 200.0, "poisson": 0.3, "yield_stress": 1.0, "hardening": 10.0}


def bars() -> tuple[Bar, Bar]:
    return sheared(200.0, 0.3, 1.0, 10.0, 5.0), sheared(100.0, 0.3, 2.0, 4.0, 20.0)


def body(cells: tuple[int, ...] = (2, 2), degree: int = 1, **more: Any) -> DolfinxAdapter:
    mesh = {"low": [0.0] * len(cells), "high": [1.0] * len(cells), "cells": list(cells)}
    return DolfinxAdapter(DolfinxAdapter.Options.read({"mesh": mesh, "degree": degree} | more))


def cell_of(cells: tuple[int, ...] = (2, 2), degree: int = 1, **options: Any) -> Cell:
    solid = options.pop("elasticity", LAYERS)
    micro = body(cells, degree, elasticity=solid).microstructure()
    return Cell(micro, HomogenisationOptions(**options))


def law(elasticity: dict[str, Any], **options: Any) -> Homogenisation:
    return Homogenisation(HomogenisationOptions(**options), cell=body(elasticity=elasticity))


def slopes(row: int, column: int, gammas: list[float]) -> list[Array]:
    found = [np.zeros((3, 3)) for _ in gammas]
    for each, gamma in zip(found, gammas, strict=True):
        each[row, column] = gamma
    return found


def test_layers_in_series_have_the_stress_of_bars_in_series() -> None:
    """Sheared across: one τ, the mean of γ; each path of τ has its exact γ."""
    phases, taus = bars(), [0.5, 1.4, 2.2, 0.4, -1.9, -2.6, 0.0, 2.9]
    gammas = [ROOT * float(np.mean([each.to_stress(tau) for each in phases])) for tau in taus]
    cell, history, start, lost = cell_of((2, 1, 1)), None, None, 0.0
    for gradient, tau in zip(slopes(1, 0, gammas), taus, strict=True):
        found = cell.answer(gradient, start, history=history)
        assert found.flux[1, 0] == pytest.approx(tau / ROOT, abs=1e-9)
        history, start, lost = found.history, found.fluctuation, lost + found.dissipation
    assert lost == pytest.approx(np.mean([each.dissipated for each in phases]), rel=1e-8)
    assert found.energy == pytest.approx(np.mean([each.energy for each in phases]), rel=1e-8)


def test_layers_in_parallel_have_the_stress_of_bars_in_parallel() -> None:
    """Sheared along: one γ, the mean of τ."""
    phases, gammas = bars(), [0.01, 0.025, 0.01, -0.02, -0.04, 0.0, 0.05]
    cell, history = cell_of((2, 1, 1)), None
    for gradient, gamma in zip(slopes(1, 2, gammas), gammas, strict=True):
        found = cell.answer(gradient, history=history)
        exact = np.mean([each.to_strain(gamma / ROOT) for each in phases])
        assert found.flux[1, 2] == pytest.approx(exact / ROOT, rel=1e-9)
        history = found.history


def loaded(cell: Cell) -> tuple[Array, Any]:
    """Return a mean gradient and the answer one step before it, after flow and some unloading."""
    first = 0.006 * np.array([[1.0, 0.5], [0.2, -0.7]])
    before = cell.answer(first)
    return first + 0.005 * np.array([[0.3, 0.9], [0.4, 0.2]]), before


@pytest.mark.parametrize("boundary", ["static", "periodic", "kinematic"])
def test_the_condensed_tangent_is_the_derivative_of_the_stress_through_flow(boundary: str) -> None:
    cell = cell_of((4, 4), boundary=boundary, tolerance=1e-13)
    gradient, before = loaded(cell)
    found = cell.answer(gradient, before.fluctuation, tangent=True, history=before.history)
    assert found.tangent is not None
    assert found.dissipation > 0.0
    size = np.abs(found.tangent).max()
    for i, j in np.ndindex(2, 2):
        shift = np.zeros((2, 2))
        shift[i, j] = 1e-7
        up, down = (
            cell.answer(gradient + sign * shift, found.fluctuation, history=before.history).flux for sign in (1.0, -1.0)
        )
        assert found.tangent[:, :, i, j] == pytest.approx((up - down) / 2e-7, abs=1e-6 * size)


@pytest.mark.parametrize("boundary", ["static", "periodic", "kinematic"])
def test_hills_condition_holds_with_residual_stresses_and_none_in_the_mean(boundary: str) -> None:
    """Unloaded by the tangent until the mean stress is zero: what is left works on itself alone."""
    cell = cell_of((4, 4), boundary=boundary)
    _, found = loaded(cell)
    history, gradient = found.history, 0.9 * found.gradient  # away from the kink of the yield surface
    for _ in range(8):
        found = cell.answer(gradient, found.fluctuation, tangent=True, history=history)
        assert found.tangent is not None
        slope = found.tangent.reshape(4, 4)
        gradient = gradient - (np.linalg.pinv(slope, rcond=1e-10) @ found.flux.ravel()).reshape(2, 2)
    assert np.abs(found.flux).max() < 1e-12
    assert found.energy is not None
    assert found.energy > 1e-5
    assert found.hill_mandel < 1e-12


def test_newtons_method_for_a_mean_stress_is_quadratic_with_the_condensed_tangent() -> None:
    cell, tau, errors = cell_of((2, 1, 1)), 2.2 / ROOT, []
    gamma = 0.02
    for _ in range(6):
        found = cell.answer(slopes(1, 0, [gamma])[0], tangent=True)
        assert found.tangent is not None
        errors.append(abs(found.flux[1, 0] - tau))
        gamma -= (found.flux[1, 0] - tau) / found.tangent[1, 0, 1, 0]
    assert gamma == pytest.approx(ROOT * np.mean([each.to_stress(2.2) for each in bars()]), rel=1e-10)
    assert errors[-1] < 1e-12


def test_in_a_closed_cycle_all_work_is_dissipated_or_stored() -> None:
    """Shear by way of the corners of the exact path, between which it is linear: the trapezoidal rule is exact."""
    bar, root, strains = sheared(200.0, 0.3, 1.0, 10.0, 0.0), ROOT, [0.0]
    for turn in (1.3, -1.6, 1.9):
        strains += [bar.to_stress(each) * root for each in (bar.elastic_range[int(turn > 0.0)], turn)]
    strains += [bar.to_stress(bar.elastic_range[0]) * root, 0.0]
    micro = body((1, 1), elasticity=PLAIN).microstructure()
    history, work, lost, before = None, 0.0, 0.0, 0.0
    for earlier, strain in pairwise(strains):
        field = np.stack([np.zeros(len(micro.points)), strain * micro.points[:, 0]], axis=1)
        answer = micro.answer(field, history=history)
        assert answer.dissipation >= -1e-16
        work += 0.5 * (before + answer.flux[1, 0]) * (strain - earlier)
        history, before, lost = answer.history, answer.flux[1, 0], lost + answer.dissipation
    assert answer.energy is not None
    assert work == pytest.approx(lost + answer.energy, rel=1e-10)
    assert lost > 0.5 * work


def bar(model: Material | None, **solid: Any) -> DolfinxAdapter:
    """Return a bar of two elements that is bent, pulled and let go as time goes on."""
    way = "(where(t < 2.5, t, 5 - t))"
    ends = [
        {"boundary": "left", "value": 0.0},
        {"boundary": "right", "value": [f"0.006*{way}", f"0.02*{way}"]},
    ]
    table = {
        "mesh": {"low": [0.0, 0.0], "high": [2.0, 1.0], "cells": [2, 1]},
        "elasticity": {"fixed": ends, **solid},
        "places": {"end": {"boundary": "right"}},
    }
    return DolfinxAdapter(DolfinxAdapter.Options.read(table), model)


def reactions(adapter: DolfinxAdapter, steps: int) -> Array:
    found = []
    for _ in range(steps):
        adapter.advance(1.0)
        found.append(adapter.output("end.force"))
    return np.array(found)


def test_a_continuum_of_uniform_cells_is_the_continuum_of_their_material() -> None:
    """Each point's history is committed once for each step, whatever Newton's method asks in between."""
    solid = PLAIN | {"largest_gradient": 1.0}  # what Newton's method tries where the load turns back is larger
    of_cells = bar(law(solid), material="law", density=0.0)
    direct = bar(None, **solid)
    both = [reactions(each, 6) for each in (of_cells, direct)]
    assert both[0] == pytest.approx(both[1], abs=1e-8 * np.abs(both[1]).max())
    assert list(direct.observe().values())[1] > 1e-4


def test_a_continuum_of_plastic_cells_goes_back_bit_for_bit() -> None:
    first = bar(law(LAYERS), material="law", density=0.0)
    reactions(first, 2)
    state = pickle.loads(pickle.dumps(first.save()))
    assert all(isinstance(each, np.ndarray) for each in state.values())
    after = reactions(first, 3)
    first.restore(state)
    assert np.array_equal(reactions(first, 3), after)
    other = bar(law(LAYERS), material="law", density=0.0)
    other.restore(state)
    assert np.array_equal(reactions(other, 3), after)


def test_each_point_has_its_own_history_and_trials_leave_none() -> None:
    model = law(PLAIN)
    small, large = (np.eye(2) + np.array([[0.0, each], [0.0, 0.0]]) for each in (0.002, 0.03))
    model.respond(np.stack([large, large]))  # a trial
    found = model.respond(np.stack([small, large]))
    assert found.dissipation is not None
    assert found.dissipation[0] == 0.0 < found.dissipation[1]
    model.advance(1.0)
    again = model.respond(np.stack([small, np.eye(2)]))
    assert again.dissipation is not None
    exact = sheared(200.0, 0.3, 1.0, 10.0, 0.0)
    exact.to_strain(0.03 / ROOT)
    assert again.stress[1, 0, 1] == pytest.approx(exact.to_strain(0.0) / ROOT, rel=1e-9)
    assert again.stress[0, 0, 1] == pytest.approx(0.002 * 200.0 / 2.6, rel=1e-9)


def conductor(formula: str, **options: Any) -> Cell:
    heat = {"conductivity": formula, "capacity": 0.0}
    return Cell(body((10, 4), heat=heat).microstructure(), HomogenisationOptions(**options))


FLOWS = PLAIN | {"hardening": 0.0}
SHEAR = np.array([[0.0, 0.05], [0.0, 0.0]])


def test_a_tangent_that_is_lost_is_refused_unless_it_may_be() -> None:
    with pytest.raises(ScalespanError, match=r"not positive definite .*the cell softens or is unstable"):
        cell_of(boundary="kinematic", elasticity=FLOWS).answer(SHEAR, tangent=True)
    found = cell_of(boundary="kinematic", elasticity=FLOWS, definite=False).answer(SHEAR, tangent=True)
    assert found.flux[0, 1] == pytest.approx(1.0 / ROOT, rel=1e-9)


WRONG = """
import ufl
from dolfinx import fem
from scalespan.adapters.dolfinx import Domain, Problem

def problem(domain: Domain) -> Problem:
    u, v = fem.Function(domain.space()), ufl.TestFunction(domain.space())
    form = ufl.inner(ufl.grad(u), ufl.grad(v)) * domain.dx
    return Problem("potential", u, v, form, flux=(2.0 * ufl.grad(u), domain.dx), linear=True)
"""


def test_a_flux_that_is_not_that_of_the_residual_breaks_reusss_bound(tmp_path: Any) -> None:
    (tmp_path / "own.py").write_text(WRONG)
    micro = body(own={"file": tmp_path / "own.py"}).microstructure()
    with pytest.raises(ScalespanError, match="below Reuss's bound"):
        Cell(micro, HomogenisationOptions()).answer(np.array([[1.0, 0.0]]), tangent=True)


def test_a_layer_that_conducts_backwards_breaks_voigts_bound() -> None:
    """Across, 1/(0.1/(-1) + 0.9) = 1.25 is more than the mean along, 0.8."""
    with pytest.raises(ScalespanError, match=r"above Voigt's bound by 0\.45"):
        conductor("where(x < 0.1, -1.0, 1.0)").answer(np.array([[1.0, 0.0]]), tangent=True)


def test_layers_reach_both_bounds() -> None:
    """Reuss's across and Voigt's along, to the last digit: a bound that were too narrow would be broken."""
    found = conductor("1.1 + sin(2*pi*x)").answer(np.array([[1.0, 0.0]]), tangent=True)
    assert found.tangent is not None
    assert found.tangent[0, 0, 0, 0] < found.tangent[0, 1, 0, 1]


def nested() -> Homogenisation:
    inner = law(PLAIN)
    table = {"mesh": {"low": [0.0, 0.0], "high": [1.0, 1.0], "cells": [1, 1]}, "elasticity": {"material": "law"}}
    outer = DolfinxAdapter(
        DolfinxAdapter.Options.read(table | {"elasticity": {"material": "law", "density": 0.0}}), inner
    )
    return Homogenisation(HomogenisationOptions(), cell=outer)


def other_points() -> None:
    model = law(PLAIN)
    model.respond(np.tile(np.eye(2), (2, 1, 1)))
    model.advance(1.0)
    model.respond(np.tile(np.eye(2), (3, 1, 1)))


MISTAKES = {
    "a cell of cells that remember": (nested, "keeps the history of one"),
    "other points than those of the history": (other_points, "3 points ask a law that has the history of 2"),
    "a deformation far from 1": (
        lambda: law(PLAIN).respond(np.diag([1.3, 1.0])[None]),
        "the mean gradient of a cell is 0.3: too large for its law, which takes up to 0.1",
    ),
    "a phase that softens": (
        lambda: law(LAYERS | {"hardening": "where(x < 0.5, 10.0, -4.0)"}),
        "hardening is -4 at .* must not be negative",
    ),
    "a rotation": (
        lambda: law(PLAIN).respond(np.array([[[0.8, -0.6], [0.6, 0.8]]])),
        "the mean gradient of a cell",
    ),
}


@pytest.mark.parametrize("mistake", MISTAKES)
def test_a_mistake_has_its_sentence(mistake: str) -> None:
    make, says = MISTAKES[mistake]
    with pytest.raises(ScalespanError, match=says):
        make()
