"""DOLFINx with a material from outside: the same answers as its own, exact strains, Newton's quadratic convergence."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

pytest.importorskip("dolfinx", reason="DOLFINx is not installed: conda install -c conda-forge fenics-dolfinx")

from scalespan.adapters.dolfinx import DolfinxAdapter, DolfinxOptions
from scalespan.adapters.interface import Array, CaseError, EngineFailed, Material, Response, State
from scalespan.adapters.interface.contract_fields import FieldContract

from .dolfinx_problems import box, fixed
from .laws import NeoHookean

ASE = {"length": "angstrom", "time": "ase_time", "mass": "dalton"}
PULLED: dict[str, Any] = {
    "fixed": [{"boundary": "left", "value": 0.0}],
    "natural": [{"boundary": "right", "value": [0.2, 0.1]}],
}


def make(law: Material | None, **table: Any) -> DolfinxAdapter:
    return DolfinxAdapter(DolfinxOptions.read(ASE | table), law)


def seated(law: Material, *cells: int, **solid: Any) -> DolfinxAdapter:
    return make(law, mesh=box(*cells), elasticity={"material": "law", **solid}, places={"end": {"boundary": "right"}})


def own(**solid: Any) -> dict[str, Any]:
    """The same material by DOLFINx: μ = 0.7, λ = 1.1."""
    mu, lam = 0.7, 1.1
    young = mu * (3 * lam + 2 * mu) / (lam + mu)
    return {"material": "neo-hookean", "young": young, "poisson": lam / (2 * (lam + mu)), **solid}


class Hardening(NeoHookean):
    """A law with a history: each step that is done makes it stiffer."""

    def __init__(self) -> None:
        super().__init__(2)
        self.times = 0.0

    def _respond(self, deformation: Array, tangent: bool) -> Response:
        found, by = super()._respond(deformation, tangent), 1.0 + self.times
        return Response(by * found.energy, by * found.stress, by * found.tangent if found.tangent is not None else None)

    def advance(self, dt: float) -> None:
        self.times += dt

    def save(self) -> State:
        return {"times": np.array(self.times)}

    def restore(self, state: State) -> None:
        self.times = float(state["times"])


class TestLawContract(FieldContract):
    reciprocal = False  # finite strains are not linear

    def make_adapter(self) -> DolfinxAdapter:
        place = {"boundary": "right", "takes": ["traction", "force"]}
        solid = {"material": "law", "scheme": "generalised-alpha", "spectral_radius": 0.6}
        solid |= {"fixed": [{"boundary": "left", "value": 0}]}
        return make(Hardening(), mesh=box(3, 2), places={"end": place}, elasticity=solid)


@pytest.mark.parametrize("cells", [(3, 2), (2, 2, 2)])
def test_a_uniform_strain_is_exact(cells: tuple[int, ...]) -> None:
    """Any linear displacement on the rim is the displacement inside; energy and traction are those of the law at F."""
    d = len(cells)
    slope = np.array([[0.1, 0.03, 0.0], [-0.02, 0.05, 0.01], [0.02, 0.0, -0.04]])[:d, :d]
    linear = [" + ".join(f"({float(slope[i, j])!r})*{'xyz'[j]}" for j in range(d)) for i in range(d)]
    law = NeoHookean(d)
    solid = {"material": "law", "density": 0.0, "fixed": fixed(linear, d)}
    adapter = make(law, mesh=box(*cells), exact=linear, elasticity=solid, places={"end": {"boundary": "right"}})
    adapter.advance(1.0)
    expected = law.respond(np.eye(d)[None] + slope)
    energy, error = adapter.observe().values()
    assert error < 1e-14
    assert energy == pytest.approx(expected.energy[0], rel=1e-13)
    assert np.allclose(adapter.output("end.traction"), -expected.stress[0][:, 0], rtol=0, atol=1e-13)


@pytest.mark.parametrize(("degree", "cell", "near"), [(1, "triangle", 1e-12), (2, "quadrilateral", 1e-4)])
@pytest.mark.parametrize("dimension", [2, 3])
def test_a_law_moves_as_the_same_material_of_dolfinx_does(degree: int, cell: str, near: float, dimension: int) -> None:
    """Plane strain with a law of three dimensions; P1 agrees to round-off, others to their own quadrature's error."""
    shape = {"degree": degree, "mesh": box(2, 2, cell=cell)}
    one = make(NeoHookean(dimension), **shape, elasticity={"material": "law", "density": 0.0, **PULLED})
    other = make(None, **shape, elasticity=own(**PULLED))
    points = np.random.default_rng(5).random((9, 2))
    moved = []
    for adapter in (one, other):
        adapter.advance(1.0)
        moved.append(adapter.evaluate("displacement", points))
    assert np.abs(moved[0] - moved[1]).max() < near * np.abs(moved[0]).max()
    assert np.abs(moved[0]).max() > 0.1


def test_newton_with_the_laws_tangent_converges_quadratically() -> None:
    adapter = seated(NeoHookean(2), 4, 4, density=0.0, **PULLED)
    norms: list[float] = []
    adapter._step._snes.setMonitor(lambda snes, number, norm: norms.append(norm))  # type: ignore[union-attr]
    adapter.advance(1.0)
    small = [norm / norms[0] for norm in norms if norm < 0.1 * norms[0]]
    assert small[1] < 20 * small[0] ** 2 and small[2] < 20 * small[1] ** 2


@pytest.mark.parametrize("scheme", ["newmark", "generalised-alpha", "leapfrog"])
def test_a_law_swings_as_the_same_material_of_dolfinx_does(scheme: str) -> None:
    """Its density is the law's, unless the options give another."""
    motion = {"scheme": scheme, "spectral_radius": 0.5, "initial": ["0.1*sin(pi*x/2)", "0.0"], **PULLED}
    one = make(NeoHookean(2, density=2.5), mesh=box(3, 3), elasticity={"material": "law", **motion})
    other = make(None, mesh=box(3, 3), elasticity=own(density=2.5, **motion))
    for adapter in (one, other):
        for _ in range(10):
            adapter.advance(0.02)
    assert one.problem.unknown.x.array == pytest.approx(other.problem.unknown.x.array, abs=1e-9)
    assert one.observe() == pytest.approx(other.observe(), rel=1e-8)


def test_stress_and_density_come_in_the_continuums_units() -> None:
    """In m, s and kg: 1 eV/Å³ is 160.2176634 GPa (CODATA 2018), 1 amu/Å³ is 1660.539 kg/m³."""
    law = NeoHookean(3, density=1.0)
    strain = [{"boundary": "all", "value": ["0.01*x", 0.0, 0.0]}]
    solid = {"material": "law", "density": 0.0, "fixed": strain}
    options = {"mesh": box(1, 1, 1), "elasticity": solid, "length": "m", "time": "s", "mass": "kg"}
    adapter = make(law, **options)
    adapter.advance(1.0)
    inside = law.respond(np.diag([1.01, 1.0, 1.0])[None]).energy[0]
    assert next(iter(adapter.observe().values())) == pytest.approx(160.2176634e9 * inside, rel=1e-8)
    still = {"material": "law", "velocity": [1.0, 0.0, 0.0]}
    moving = make(law, **options | {"elasticity": still})
    assert moving.observe()["kinetic/(kg*m**2/s**2)"] == pytest.approx(0.5 * 1660.5390666, rel=1e-7)


@pytest.mark.parametrize("time", ["fs", "ase_time"])
def test_energies_are_in_ev_where_lengths_are_in_angstrom(time: str) -> None:
    """Elastic and kinetic ones; 1 amu (Å/fs)² is 103.6426966 eV (CODATA 2018)."""
    law = NeoHookean(3, density=1.0)
    options = {"mesh": box(1, 1, 1), "length": "angstrom", "time": time, "mass": "dalton"}
    still = make(law, **options, elasticity={"material": "law", "initial": ["0.01*x", 0.0, 0.0], "scheme": "leapfrog"})
    inside = law.respond(np.diag([1.01, 1.0, 1.0])[None]).energy[0]
    assert still.observe()["elastic/eV"] == pytest.approx(inside, rel=1e-8)
    speed = 1.0 if time == "ase_time" else 103.6426966
    moving = make(law, **options, elasticity={"material": "law", "velocity": [1.0, 0.0, 0.0]})
    assert moving.observe()["kinetic/eV"] == pytest.approx(0.5 * speed, rel=1e-7)


def test_a_law_hears_of_each_step_once_and_goes_back_with_the_rest() -> None:
    law = Hardening()
    adapter = seated(law, 2, 2, scheme="leapfrog", initial=["0.01*x", "0.0"], fixed=[{"boundary": "left", "value": 0}])
    adapter.advance(0.1)
    saved = adapter.save()
    adapter.advance(0.1)
    assert law.times == pytest.approx(0.2, rel=1e-12)
    adapter.restore(saved)
    assert law.times == pytest.approx(0.1, rel=1e-12)


@pytest.mark.parametrize(
    ("law", "table", "sentence"),
    [
        (None, {"material": "law"}, "needs a law"),
        (NeoHookean(2), own(), "the table law is not used"),
        (NeoHookean(1), {"material": "law"}, "of 1 dimensions, and the mesh of 2"),
        (None, {"material": "linear", "young": 1.0}, "needs young and poisson"),
        (NeoHookean(2), {"material": "law", "young": 1.0}, "not of a law"),
        (NeoHookean(2), {"material": "law", "density": 0, "scheme": "leapfrog"}, "needs masses"),
    ],
)
def test_what_does_not_fit_is_said(law: Material | None, table: dict[str, Any], sentence: str) -> None:
    with pytest.raises(CaseError, match=sentence):
        make(law, mesh=box(2, 2), elasticity=table)


def test_a_law_that_fails_ends_the_step() -> None:
    class Broken(NeoHookean):
        def _respond(self, deformation: Array, tangent: bool) -> Response:
            found = super()._respond(deformation, tangent)
            return Response(found.energy, found.stress * (np.nan if np.ptp(deformation) > 1.0 else 1.0), found.tangent)

    adapter = seated(Broken(2), 2, 2, density=0.0, **PULLED)
    with pytest.raises(EngineFailed, match="not finite"):
        adapter.advance(1.0)
