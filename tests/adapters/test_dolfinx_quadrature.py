"""DOLFINx at Gauss points: their places and weights, densities read there, functions of one's own problem."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("dolfinx", reason="DOLFINx is not installed: conda install -c conda-forge fenics-dolfinx")

from dolfinx import fem

from scalespan.adapters.dolfinx import DolfinxAdapter
from scalespan.adapters.interface import CaseError
from scalespan.adapters.interface.contract_fields import FieldContract

from .dolfinx_problems import EXACT, box, fixed, make, warm

SHAPES = [((3, 2), "triangle"), ((3, 2), "quadrilateral"), ((2, 1, 2), "tetrahedron"), ((2, 1, 2), "hexahedron")]
PLACES = {"rim": "all", "inside": None}
OWN = """
import ufl
from dolfinx import fem
from scalespan.adapters.dolfinx import Domain, Problem

def diffusion(domain: Domain) -> Problem:
    space = domain.space()
    u, v, k = fem.Function(space), ufl.TestFunction(space), fem.Function(domain.quadrature(2))
    k.x.array[:] = 1.0
    form = k * ufl.inner(ufl.grad(u), ufl.grad(v)) * domain.dx(metadata={"quadrature_degree": 2}) - 4 * v * domain.dx
    return Problem("height", u, v, form, inputs={"k": k, "low": fem.Function(domain.quadrature(1))})
"""


class TestBoundaryContract(FieldContract):
    def make_adapter(self) -> DolfinxAdapter:
        return warm(box(2, 2, 1), "heat_flux", at="quadrature")


class TestVolumeContract(FieldContract):
    def make_adapter(self) -> DolfinxAdapter:
        place = {"takes": ["source", "force"], "at": "quadrature", "degree": 3}
        solid = {"young": 3.0, "poisson": 0.3, "density": 1.0, "fixed": [{"boundary": "left", "value": 0}]}
        return make(mesh=box(3, 2), places={"solid": place}, elasticity=solid)


def open_box(cells: tuple[int, ...], cell: str, takes: dict[str, str], degree: int | None = None) -> DolfinxAdapter:
    places = {
        name: {"boundary": PLACES[name], "at": "quadrature", "takes": [quantity], "degree": degree}
        for name, quantity in takes.items()
    }
    return make(degree=2, mesh=box(*cells, cell=cell), heat={}, places=places)


# ---- where they are, and what they weigh ----


@pytest.mark.parametrize(("cells", "cell"), SHAPES)
@pytest.mark.parametrize("name", PLACES)
@pytest.mark.parametrize("degree", [4, 5])
def test_a_density_at_gauss_points_is_its_integral_as_dolfinx_assembles_it(
    cells: tuple[int, ...], cell: str, name: str, degree: int
) -> None:
    """g v of degree 4 is exact under rules of degree 4 and above: the reference takes one of degree 8."""
    quantity = {"rim": "heat_flux", "inside": "source"}[name]
    adapter = open_box(cells, cell, {name: quantity}, degree)
    domain, problem = adapter.domain, adapter.problem
    x = adapter.points(name).points
    adapter.set_input(f"{name}.{quantity}", (1 + x[:, 0] * x[:, 1] - x[:, -1])[:, None])
    y = domain.coordinate
    density = 1 + y[0] * y[1] - y[len(cells) - 1]
    measure = (domain.ds("all") if name == "rim" else domain.dx)(metadata={"quadrature_degree": 8})
    wanted = fem.assemble_vector(fem.form(density * problem.test * measure)).array
    assert np.abs(adapter.nodal_loads() - wanted).max() < 1e-14


@pytest.mark.parametrize(("cells", "cell"), SHAPES)
@pytest.mark.parametrize("name", PLACES)
def test_a_load_at_gauss_points_is_the_adjoint_of_evaluation(cells: tuple[int, ...], cell: str, name: str) -> None:
    adapter = open_box(cells, cell, {name: "heat"})
    unknown, random = adapter.problem.unknown, np.random.default_rng(3)
    unknown.x.array[:] = random.standard_normal(len(unknown.x.array))
    values = adapter.output(f"{name}.temperature")
    loads = random.standard_normal(values.shape)
    adapter.set_input(f"{name}.heat", loads)
    nodal = adapter.nodal_loads()
    assert nodal @ unknown.x.array == pytest.approx((values * loads).sum(), abs=1e-13 * np.abs(values * loads).sum())


@pytest.mark.parametrize(("cells", "cell"), SHAPES)
@pytest.mark.parametrize("name", PLACES)
def test_what_is_given_is_the_field_at_the_gauss_points(cells: tuple[int, ...], cell: str, name: str) -> None:
    adapter = open_box(cells, cell, {name: "heat"})
    adapter.problem.unknown.interpolate(lambda x: 1 + x[0] ** 2 - 3 * x[0] * x[1])
    x = adapter.points(name).points
    wanted = 1 + x[:, 0] ** 2 - 3 * x[:, 0] * x[:, 1]
    assert np.abs(adapter.output(f"{name}.temperature")[:, 0] - wanted).max() < 1e-13


# ---- what they make ----


@pytest.mark.parametrize(("cells", "cell"), SHAPES)
def test_a_flux_and_a_source_at_gauss_points_give_the_quadratic_solution(cells: tuple[int, ...], cell: str) -> None:
    places = {
        "interface": {"boundary": "right", "takes": ["heat_flux"], "at": "quadrature"},
        "inside": {"takes": ["source"], "at": "quadrature"},
    }
    heat = {"initial": EXACT, "fixed": fixed(EXACT, len(cells), "right")}
    adapter = make(degree=2, mesh=box(*cells, cell=cell), exact=EXACT, heat=heat, places=places)
    adapter.set_input("interface.heat_flux", np.full((len(adapter.points("interface").points), 1), 2.0))
    adapter.set_input("inside.source", np.full((len(adapter.points("inside").points), 1), 1.2 - 8.0))
    adapter.advance(0.1)
    assert adapter.observe()["error/1"] < 1e-13
    assert np.allclose(adapter.output("interface.heat_flux"), -2.0, rtol=0, atol=1e-11)


def test_the_flux_at_gauss_points_is_the_consistent_one_where_another_place_takes_the_unknown() -> None:
    """The flux that the nodes of the same boundary give, linear between them; the gradient of P1 is another."""
    places = {
        "nodes": {"boundary": "right", "takes": ["temperature"]},
        "gauss": {"boundary": "right", "at": "quadrature"},
    }
    heat = {"capacity": 0.0, "source": "10*exp(-x)*y", "fixed": fixed(0, 2, "right")}
    adapter = make(mesh=box(4, 4), heat=heat, places=places)
    adapter.advance(1.0)
    y, q = adapter.points("nodes").points[:, 1], adapter.output("nodes.heat_flux")[:, 0]
    order = np.argsort(y)
    wanted = np.interp(adapter.points("gauss").points[:, 1], y[order], q[order])
    assert adapter.output("gauss.heat_flux")[:, 0] == pytest.approx(wanted, abs=1e-13)


@pytest.mark.parametrize("at", ["nodes", "quadrature"])
def test_the_flux_of_a_boundary_whose_flux_is_given_is_that_flux(at: str) -> None:
    heat = {"capacity": 0.0, "fixed": fixed(0, 1, "right"), "natural": [{"boundary": "right", "value": 2.0}]}
    adapter = make(mesh=box(3, 3), heat=heat, places={"end": {"boundary": "right", "at": at}})
    adapter.advance(1.0)
    assert np.allclose(adapter.output("end.heat_flux"), -2.0, rtol=0, atol=1e-11)


def test_a_traction_at_gauss_points_passes_the_patch_test() -> None:
    """Uniaxial stress in plane strain: ε_xx = (1 − ν²)σ/E, ε_yy = −ν(1 + ν)σ/E (Hughes 2000, sect. 2.7)."""
    linear = ["0.91*x", "-0.39*y"]
    sides = [{"boundary": side, "value": 0.0, "component": i} for i, side in enumerate(("left", "bottom"))]
    place = {"boundary": "right", "takes": ["traction"], "at": "quadrature", "degree": 1}
    solid = {"young": 1.0, "poisson": 0.3, "fixed": sides}
    adapter = make(mesh=box(3, 2), exact=linear, elasticity=solid, places={"end": place})
    adapter.set_input("end.traction", np.tile([1.0, 0.0], (2, 1)))
    adapter.advance(1.0)
    assert adapter.observe()["error/1"] < 1e-12


@pytest.mark.parametrize("degree", [1, 2])
def test_a_source_at_gauss_points_converges_with_the_order_of_the_elements(degree: int) -> None:
    """Its rule of degree 2p keeps the order p + 1 (P. G. Ciarlet 1978, doi:10.1137/1.9780898719208, th. 4.1.6)."""
    exact, errors = "sin(pi*x)*exp(y)", []
    heat, place = {"capacity": 0.0, "fixed": fixed(exact, 2)}, {"takes": ["source"], "at": "quadrature"}
    for n in (6, 12):
        adapter = make(degree=degree, mesh=box(n, n), exact=exact, heat=heat, places={"inside": place})
        x, y = adapter.points("inside").points.T
        adapter.set_input("inside.source", ((np.pi**2 - 1) * np.sin(np.pi * x) * np.exp(y))[:, None])
        adapter.advance(1.0)
        errors.append(adapter.observe()["error/1"])
    assert np.log2(errors[0] / errors[1]) == pytest.approx(degree + 1, abs=0.15)


@pytest.fixture
def own(tmp_path: Path) -> dict[str, Any]:
    (tmp_path / "diffusion.py").write_text(OWN)
    return {"file": str(tmp_path / "diffusion.py"), "function": "diffusion"}


def test_a_coefficient_of_ones_own_problem_is_set_at_gauss_points(own: dict[str, Any]) -> None:
    """−(k u′)′ = 4, u(0) = 0, u′(1) = 0, k = 2 on the left half and 4 on the right: u(1/2) = 3/4, u(1) = 7/8."""
    places = {
        "inside": {"takes": ["k"], "at": "quadrature", "degree": 2},
        "rim": {"boundary": "left", "takes": ["height"]},
    }
    adapter = make(degree=2, mesh=box(4, 2), own=own, places=places)
    x = adapter.points("inside").points[:, 0]
    adapter.set_input("inside.k", np.where(x < 0.5, 2.0, 4.0)[:, None])
    adapter.advance(1.0)
    found = adapter.evaluate("height", np.array([[0.5, 0.5], [1.0, 0.5]]))[:, 0]
    assert found == pytest.approx([0.75, 0.875], abs=1e-12)


@pytest.mark.parametrize(("cells", "cell"), SHAPES)
def test_values_go_to_the_gauss_points_of_dolfinx_in_their_order(
    own: dict[str, Any], cells: tuple[int, ...], cell: str
) -> None:
    place = {"takes": ["k"], "at": "quadrature", "degree": 2}
    adapter = make(degree=2, mesh=box(*cells, cell=cell), own=own, places={"inside": place})
    x = adapter.points("inside").points
    adapter.set_input("inside.k", (x[:, :1] + 10 * x[:, 1:2]))
    there = fem.Function(adapter.domain.quadrature(2))
    there.interpolate(lambda x: x[0] + 10 * x[1])
    assert np.abs(adapter.problem.inputs["k"].x.array - there.x.array).max() < 1e-13


def test_a_function_on_other_gauss_points_is_refused(own: dict[str, Any]) -> None:
    place = {"takes": ["low"], "at": "quadrature", "degree": 2}
    with pytest.raises(CaseError, match=r"Domain\.quadrature\(2\)"):
        make(degree=2, mesh=box(2, 2), own=own, places={"inside": place})


@pytest.mark.parametrize(
    ("place", "sentence"),
    [
        ({"at": "quadrature", "connectivity": True}, "only nodes have connectivity"),
        ({"boundary": "left", "degree": 2}, "a degree is that of points"),
        ({"boundary": "left", "at": "quadrature", "takes": ["temperature"]}, "cannot take 'temperature'"),
        ({"boundary": "left", "at": "quadrature", "takes": ["source"]}, "cannot take 'source'"),
        ({"takes": ["source"]}, "cannot take 'source'"),
    ],
)
def test_what_cannot_be_at_gauss_points_is_said(place: dict[str, Any], sentence: str) -> None:
    with pytest.raises(CaseError, match=sentence):
        make(mesh=box(2, 2), heat={}, places={"here": place})
