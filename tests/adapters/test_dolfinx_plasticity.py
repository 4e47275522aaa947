"""Von Mises plasticity against the exact bar, on any path; its tangent against differences; its energy."""

from __future__ import annotations

import pickle
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest

pytest.importorskip("dolfinx", reason="DOLFINx is not installed: conda install -c conda-forge fenics-dolfinx")

from scalespan.adapters.dolfinx import DolfinxAdapter, DolfinxOptions
from scalespan.adapters.interface import Array, CellAnswer, ScalespanError
from scalespan.adapters.interface.contract_fields import FieldContract

from .dolfinx_problems import box, fixed

STEEL: dict[str, Any] = {"young": 200.0, "poisson": 0.3, "yield_stress": 1.0, "hardening": 10.0, "kinematic": 5.0}
MODULI = (200.0, 0.3, 1.0, 10.0, 5.0)
PATH = (0.004, 0.006, 0.012, 0.009, 0.001, -0.003, -0.015, 0.0, 0.02)  # loading, unloading, back, and again
END = {"end": {"boundary": "right"}}


@dataclass
class Bar:
    """The exact bar: σ = E(ε − ε_p), |σ − K ε_p| ≤ σ_Y + H α, dα = |dε_p|; between turns its path does not matter."""

    young: float
    plastic: float = 0.0
    alpha: float = 0.0

    def stress(self, strain: float) -> float:
        _, _, yields, isotropic, kinematic = MODULI
        trial = self.young * (strain - self.plastic)
        relative = trial - kinematic * self.plastic
        flow = max(abs(relative) - yields - isotropic * self.alpha, 0.0) / (self.young + isotropic + kinematic)
        self.plastic += float(np.sign(relative)) * flow
        self.alpha += flow
        return self.young * (strain - self.plastic)


SHEARED = 1.5 * 200.0 / 1.3  # 3μ: the bar of √3 τ and γ/√3


def plastic(*cells: int, **more: Any) -> DolfinxAdapter:
    table = {"mesh": box(*cells), "elasticity": {"material": "j2", **STEEL, **more.pop("solid", {})}, **more}
    return DolfinxAdapter(DolfinxOptions.read(table))


def along(path: tuple[float, ...]) -> str:
    """Return the formula of t that has the path's values at t = 1, 2, …"""
    terms = [f"where(abs(t - {step + 1}) < 0.5, {value!r}, 0.0)" for step, value in enumerate(path)]
    return "(" + " + ".join(terms) + ")"


def tractions(adapter: DolfinxAdapter, steps: int) -> Array:
    """Return the traction (steps, d) at the end, after each step."""
    found = []
    for _ in range(steps):
        adapter.advance(1.0)
        found.append(adapter.output("end.traction")[0])
    return -np.array(found)


def uniform(*cells: int, column: int, row: int = 0) -> DolfinxAdapter:
    """Return a body whose displacement at its whole rim is that of one component of ∇u, along PATH."""
    value: list[Any] = [0.0] * len(cells)
    value[row] = f"{'xyz'[column]}*{along(PATH)}"
    return plastic(*cells, solid={"fixed": fixed(value, len(cells))}, places=END)


def test_a_bar_of_three_dimensions_is_the_exact_bar() -> None:
    """Loading, unloading, reloading, a cycle: σ of each strain; the sides are free."""
    ends = [{"boundary": side, "value": 0.0, "component": i} for i, side in enumerate(("left", "bottom", "back"))]
    pulled = {"boundary": "right", "value": along(PATH), "component": 0}
    body = plastic(1, 1, 1, solid={"fixed": [*ends, pulled]}, places=END)
    bar = Bar(200.0)
    exact = [bar.stress(strain) for strain in PATH]
    assert tractions(body, len(PATH))[:, 0] == pytest.approx(exact, rel=1e-8)
    energy, lost = body.observe().values()
    stored = 0.5 * (exact[-1] ** 2 / 200.0 + 10.0 * bar.alpha**2 + 5.0 * bar.plastic**2)
    assert energy == pytest.approx(stored, rel=1e-8)
    assert lost == pytest.approx(1.0 * bar.alpha, rel=1e-8)


@pytest.mark.parametrize("cells", [(2, 2), (1, 1, 1)])
def test_shear_in_plane_strain_and_in_space_is_exact(cells: tuple[int, ...]) -> None:
    bar, root = Bar(SHEARED), np.sqrt(3.0)
    exact = [bar.stress(strain / root) / root for strain in PATH]
    assert tractions(uniform(*cells, column=0, row=1), len(PATH))[:, 1] == pytest.approx(exact, rel=1e-10)


@pytest.mark.parametrize("cells", [(2, 2), (1, 1, 1)])
def test_a_body_that_is_held_aside_yields_as_the_stress_across_says(cells: tuple[int, ...]) -> None:
    """Uniaxial strain ε: σ_xx − σ_yy is the stress of a bar of E = 3μ at 2ε/3, and σ_xx = kε + ⅔(σ_xx − σ_yy)."""
    bar, bulk = Bar(SHEARED), 200.0 / (3.0 * (1.0 - 2.0 * 0.3))
    exact = [bulk * strain + 2.0 / 3.0 * bar.stress(2.0 / 3.0 * strain) for strain in PATH]
    assert tractions(uniform(*cells, column=0), len(PATH))[:, 0] == pytest.approx(exact, rel=1e-10)


def strained(cells: tuple[int, ...], degree: int = 1) -> tuple[Any, Array, Array]:
    """Return a cell, a history of it, and a field that has it flow further, and some of it unload."""
    micro = plastic(*cells, degree=degree).microstructure()
    points = micro.points
    first = 0.006 * np.sin(2.0 * points @ np.ones((len(cells),) * 2) + np.arange(len(cells)))
    history = micro.answer(first).history
    assert history is not None
    return micro, history, first + 0.004 * np.cos(points * np.arange(1.0, 1.0 + len(cells)))


@pytest.mark.parametrize("cells", [(2, 2), (1, 1, 1)])
def test_the_stiffness_is_the_derivative_of_the_pull_through_flow_and_unloading(cells: tuple[int, ...]) -> None:
    micro, history, field = strained(cells)
    answer, rng = micro.answer(field, stiffness=True, history=history), np.random.default_rng(0)
    assert answer.dissipation > 0.0
    for _ in range(3):
        way = rng.normal(size=field.shape)
        up, down = (micro.answer(field + sign * 1e-7 * way, history=history).pull for sign in (1.0, -1.0))
        slope = (answer.stiffness @ way.ravel()).reshape(field.shape)
        assert slope == pytest.approx((up - down) / 2e-7, abs=1e-6 * np.abs(slope).max())


def test_newtons_method_is_quadratic_through_flow() -> None:
    """The rim is sheared and bent, the inside finds its place: the last corrections are each the square of the last."""
    micro = plastic(4, 4, degree=2).microstructure()
    x, y = micro.points.T
    inside = np.repeat((np.abs(micro.points - 0.5) < 0.49).all(axis=1), 2)
    field, sizes = 0.02 * np.stack([y + 0.5 * x * y, 0.3 * x**2], axis=1), []
    for _ in range(6):
        answer: CellAnswer = micro.answer(field, stiffness=True)
        assert answer.stiffness is not None
        matrix = answer.stiffness.toarray()[np.ix_(inside, inside)]
        step = np.linalg.solve(matrix, answer.pull.ravel()[inside])
        field.ravel()[inside] -= step
        sizes.append(float(np.abs(step).max()))
    assert sizes[2] < 100.0 * sizes[1] ** 2
    assert sizes[3] < 100.0 * sizes[2] ** 2 + 1e-15
    assert sizes[-1] < 1e-16
    assert answer.dissipation > 1e-3


def test_an_answer_depends_on_nothing_but_field_and_history() -> None:
    micro, history, field = strained((2, 2))
    first = micro.answer(field, history=history)
    micro.answer(2.0 * field)
    again = micro.answer(field, history=pickle.loads(pickle.dumps(history)))
    assert np.array_equal(first.pull, again.pull)
    assert first.history is not None and again.history is not None
    assert np.array_equal(first.history, again.history)
    assert not np.array_equal(first.pull, micro.answer(field).pull)


def test_a_phase_with_a_large_yield_stress_stays_elastic() -> None:
    micro = plastic(2, 2, solid={"yield_stress": 1e9}).microstructure()
    linear = plastic(2, 2, solid={"yield_stress": 1e3}).microstructure()
    field = 0.01 * np.sin(micro.points)
    answer = micro.answer(field)
    assert answer.dissipation == 0.0
    assert answer.energy == pytest.approx(0.5 * answer.work, rel=1e-12)
    assert answer.pull == pytest.approx(linear.answer(field).pull, rel=1e-12)


def test_the_traction_of_a_free_boundary_is_what_was_given() -> None:
    """It is projected from the stress of the plastic strain in each cell."""
    solid = {
        "fixed": [
            {"boundary": "left", "value": 0.0, "component": 0},
            {"boundary": "bottom", "value": 0.0, "component": 1},
        ]
    }
    solid["natural"] = [{"boundary": "right", "value": [1.3, 0.0]}]
    body = plastic(2, 2, solid=solid, places=END)
    body.advance(1.0)
    assert list(body.observe().values())[1] > 1e-3
    assert -body.output("end.traction")[:, 0] == pytest.approx(1.3, rel=1e-8)


def test_a_body_in_motion_loses_what_flows() -> None:
    solid = {"density": 1.0, "velocity": ["0.02*sin(pi*x)", 0.0], "fixed": fixed(0.0, 2, "bottom", "top")}
    body = plastic(8, 1, solid=solid | {"young": 20.0, "yield_stress": 0.01})
    first = sum(value for name, value in body.observe().items())
    for _ in range(40):
        body.advance(0.01)
    elastic, lost, kinetic = body.observe().values()
    assert lost > 0.1 * first
    assert elastic + lost + kinetic == pytest.approx(first, rel=0.02)


class TestPlasticContract(FieldContract):
    reciprocal = False

    def make_adapter(self) -> DolfinxAdapter:
        place = {"boundary": "right", "takes": ["traction", "force"]}
        solid = {"yield_stress": 0.005, "largest_gradient": 10.0, "fixed": [{"boundary": "left", "value": 0.0}]}
        return plastic(3, 2, solid=solid, places={"end": place})


MISTAKES: dict[str, tuple[dict[str, Any], str]] = {
    "no yield stress": ({"yield_stress": None}, "which needs one"),
    "a negative yield stress": ({"yield_stress": -1.0}, r"yield_stress is -1 at \[.*\], and must be positive"),
    "one that vanishes somewhere": ({"yield_stress": "where(x < 0.5, 1.0, 0.0)"}, "yield_stress is 0 at"),
    "hardening that softens": ({"hardening": -3.0}, "hardening is -3 at .*softening needs a length"),
    "kinematic hardening that softens": ({"kinematic": "1 - 4*x"}, "kinematic is .* must not be negative"),
    "a formula that makes it incompressible": ({"poisson": "0.3 + x"}, "0.5 - poisson is -.* must be positive"),
    "a leapfrog": ({"density": 1.0, "scheme": "leapfrog"}, "and not by leapfrog"),
    "an elastic solid that yields": ({"material": "linear"}, "yield_stress is that of"),
    "hardening of no plasticity": (
        {"material": "linear", "yield_stress": None},
        "hardening, kinematic and",
    ),
}


@pytest.mark.parametrize("mistake", MISTAKES)
def test_a_mistake_has_its_sentence(mistake: str) -> None:
    solid, says = MISTAKES[mistake]
    with pytest.raises(ScalespanError, match=says):
        plastic(2, 2, solid=solid)


def test_a_large_strain_is_refused() -> None:
    pulled = {"fixed": fixed(["0.3*x", 0.0], 2)}
    with pytest.raises(ScalespanError, match=r"the gradient reaches 0.3, and the law is of small ones, up to 0.1"):
        plastic(2, 2, solid=pulled).advance(1.0)
    plastic(2, 2, solid=pulled | {"largest_gradient": 0.4}).advance(1.0)


def test_a_plastic_solid_is_no_energy_of_its_nodes() -> None:
    with pytest.raises(ScalespanError, match="a plastic solid has a history"):
        plastic(2, 2).solid()
