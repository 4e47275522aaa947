"""DOLFINx: patch tests, orders of convergence, fluxes, point loads, and what every field adapter keeps."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("dolfinx", reason="DOLFINx is not installed: conda install -c conda-forge fenics-dolfinx")

from dolfinx import fem

from scalespan.adapters.dolfinx import DolfinxAdapter
from scalespan.adapters.interface.contract_fields import FieldContract

from .dolfinx_problems import box, fixed, make, warm

SOLID_CELLS = [((2, 1, 1), "tetrahedron"), ((2, 1, 1), "hexahedron")]
UFL = """
import ufl
from dolfinx import fem
from scalespan.adapters.dolfinx import Domain, Problem

def membrane(domain: Domain) -> Problem:
    space = domain.space()
    u, v, push = fem.Function(space), ufl.TestFunction(space), fem.Function(space)
    slope = ufl.grad(u)
    area = ufl.sqrt(1 + ufl.inner(slope, slope))
    form = ufl.inner(slope / area, ufl.grad(v)) * domain.dx - push * v * domain.dx
    return Problem("height", u, v, form, inputs={"push": push}, measures={"area": area * domain.dx})
"""


# ---- the contract ----


class TestHeatContract(FieldContract):
    def make_adapter(self) -> DolfinxAdapter:
        return warm(box(3, 3), "heat_flux", connectivity=True)


class TestTemperatureContract(FieldContract):
    def make_adapter(self) -> DolfinxAdapter:
        return warm(box(2, 2, cell="quadrilateral"), "temperature", connectivity=True)


class TestFacetsContract(FieldContract):
    def make_adapter(self) -> DolfinxAdapter:
        return warm(box(2, 2, 2), "heat_flux", at="facets")


class TestSolidContract(FieldContract):
    def make_adapter(self) -> DolfinxAdapter:
        solid = {"young": 3.0, "poisson": 0.3, "density": 1.0, "scheme": "generalised-alpha", "spectral_radius": 0.6}
        place = {"boundary": "right", "takes": ["traction", "force"]}
        return make(
            mesh=box(3, 2), places={"end": place}, elasticity=solid | {"fixed": [{"boundary": "left", "value": 0}]}
        )


class TestOwnContract(FieldContract):
    reciprocal = False  # a membrane that bends far is not linear

    @pytest.fixture(autouse=True)
    def _file(self, tmp_path: Path) -> None:
        self.path = tmp_path / "membrane.py"
        self.path.write_text(UFL)

    def make_adapter(self) -> DolfinxAdapter:
        return make(
            mesh=box(2, 2),
            places={"all": {"takes": ["push"]}, "rim": {"boundary": "all", "takes": ["height"]}},
            own={"file": str(self.path), "function": "membrane"},
        )


# ---- heat ----


@pytest.mark.parametrize(
    ("cells", "cell"),
    [((3, 2), "triangle"), ((3, 2), "quadrilateral"), ((2, 1, 2), "tetrahedron"), ((2, 1, 2), "hexahedron")],
)
def test_quadratic_elements_and_implicit_euler_give_the_quadratic_solution(cells: tuple[int, ...], cell: str) -> None:
    """And its flux at the boundary: −∂u/∂x = −2 there, at the beginning as an answer of the residual."""
    adapter = warm(box(*cells, cell=cell), "temperature")
    points = adapter.points("interface").points
    for time in (0.1, 0.4):
        exact = 1 + points[:, 0] ** 2 + 3 * points[:, 1] ** 2 + 1.2 * time
        adapter.set_input("interface.temperature", exact[:, None])
        assert np.allclose(adapter.output("interface.heat_flux"), -2.0, rtol=0, atol=1e-11)
        adapter.advance(time - adapter.save()["time"][0])
        assert adapter.observe()["error/1"] < 1e-13
    assert np.allclose(adapter.output("interface.heat_flux"), -2.0, rtol=0, atol=1e-11)


def test_a_heat_flux_that_enters_makes_the_same_solution() -> None:
    adapter = warm(box(3, 3), "heat_flux")
    adapter.set_input("interface.heat_flux", np.full((7, 1), 2.0))
    adapter.advance(0.1)
    assert adapter.observe()["error/1"] < 1e-13


@pytest.mark.parametrize("degree", [1, 2])
def test_steady_heat_converges_in_space_with_the_order_of_the_elements(degree: int) -> None:
    """‖u − u_h‖ = O(h^(p+1)) (Hughes, The Finite Element Method, 2000, sect. 4.1)."""
    exact, errors = "sin(pi*x)*exp(y)", []
    table = {"capacity": 0.0, "source": "(pi**2 - 1)*sin(pi*x)*exp(y)", "fixed": fixed(exact, 2)}
    for n in (6, 12):
        adapter = make(degree=degree, mesh=box(n, n), exact=exact, heat=table)
        adapter.advance(1.0)
        errors.append(adapter.observe()["error/1"])
    assert np.log2(errors[0] / errors[1]) == pytest.approx(degree + 1, abs=0.15)


def test_the_flux_written_drives_the_partner_to_the_joined_solution() -> None:
    """A source that P1 cannot follow: alternating Dirichlet–Neumann ends at the solution of the joined mesh."""
    table = {"capacity": 0.0, "source": "10*exp(-3*((x - 1)**2 + y**2))"}
    whole = make(mesh=box(8, 4) | {"high": [2.0, 1.0]}, heat=table | {"fixed": fixed(0, 2)})
    whole.advance(1.0)
    left = make(
        mesh=box(4, 4),
        heat=table | {"fixed": fixed(0, 2, "right")},
        places={"interface": {"boundary": "right", "takes": ["temperature"]}},
    )
    right = make(
        mesh=box(4, 4, start=1.0),
        heat=table | {"fixed": fixed(0, 2, "left")},
        places={"interface": {"boundary": "left", "takes": ["heat_flux"]}},
    )
    here, there = (np.argsort(each.points("interface").points[:, 1]) for each in (left, right))
    values = np.zeros((5, 1))
    for _ in range(60):
        left.set_input("interface.temperature", values[np.argsort(here)])
        left.advance(1.0)
        flux = left.output("interface.heat_flux")[here]
        right.set_input("interface.heat_flux", flux[np.argsort(there)])
        right.advance(1.0)
        values = 0.5 * (values + right.output("interface.temperature")[there])
    points = np.array([[0.3, 0.4], [0.9, 0.55], [1.0, 0.5]])
    assert np.abs(left.evaluate("temperature", points) - whole.evaluate("temperature", points)).max() < 1e-12
    points[:, 0] = 2.0 - points[:, 0]
    assert np.abs(right.evaluate("temperature", points) - whole.evaluate("temperature", points)).max() < 1e-12


def test_the_reactions_of_a_fixed_boundary_add_up_to_the_heat_that_leaves() -> None:
    """Steady, with the source 3 in the unit square: 3 leaves, whatever the mesh."""
    place = {"rim": {"boundary": "all"}}
    adapter = make(mesh=box(5, 3), heat={"capacity": 0.0, "source": 3.0, "fixed": fixed(0, 2)}, places=place)
    adapter.advance(1.0)
    assert adapter.output("rim.heat").sum() == pytest.approx(3.0, abs=1e-12)


# ---- solids ----


@pytest.mark.parametrize("material", ["linear", "neo-hookean"])
@pytest.mark.parametrize("cell", ["triangle", "quadrilateral"])
def test_a_solid_passes_the_patch_test(material: str, cell: str) -> None:
    """Any linear displacement on the rim is the displacement inside (Irons; Hughes 2000, sect. 4.6)."""
    linear = ["0.1*x + 0.03*y", "-0.02*x + 0.05*y"]
    solid = {"young": 2.0, "poisson": 0.3, "material": material, "fixed": fixed(linear, 2)}
    adapter = make(mesh=box(3, 2, cell=cell), exact=linear, elasticity=solid, places={"end": {"boundary": "right"}})
    adapter.advance(1.0)
    assert adapter.observe()["error/1"] < 1e-12


def test_newton_is_not_content_with_the_first_guess_in_small_units() -> None:
    """No absolute tolerance: the residual of a solid of 1e-15 is small from the start."""
    linear = ["0.1*x", "0.05*y"]
    solid = {"young": 1e-15, "poisson": 0.3, "material": "neo-hookean", "fixed": fixed(linear, 2)}
    adapter = make(mesh=box(3, 3), exact=linear, elasticity=solid)
    adapter.advance(1.0)
    adapter.advance(1.0)  # and it is content with the answer
    assert adapter.observe()["error/1"] < 1e-11


def test_uniaxial_stretch_gives_youngs_modulus() -> None:
    """In 3-D with free sides, the force that leaves through the end is −E ε A, and the traction is even."""
    solid: dict[str, Any] = {"young": 2.0, "poisson": 0.3}
    solid["fixed"] = [
        {"boundary": side, "value": 0.0, "component": i} for i, side in enumerate(("left", "bottom", "back"))
    ]
    solid["fixed"] += [{"boundary": "right", "value": 0.01, "component": 0}]
    adapter = make(mesh=box(2, 2, 2), elasticity=solid, places={"end": {"boundary": "right"}})
    adapter.advance(1.0)
    force = adapter.output("end.force").sum(axis=0)
    assert force == pytest.approx([-0.02, 0.0, 0.0], abs=1e-12)
    assert np.allclose(adapter.output("end.traction"), [-0.02, 0.0, 0.0], rtol=0, atol=1e-12)


def test_simple_shear_of_the_neo_hookean_solid() -> None:
    """P = μ (F − F⁻ᵀ) at det F = 1: a shear γ on the top gives the force μγ along it, and −μγ² = P₁₁ on the end."""
    shear = 0.5
    motion = [f"{shear}*y", 0.0]
    solid = {"young": 2.6, "poisson": 0.3, "material": "neo-hookean", "fixed": fixed(motion, 2)}
    adapter = make(mesh=box(2, 2), elasticity=solid, places={"top": {"boundary": "top"}, "left": {"boundary": "left"}})
    adapter.advance(1.0)
    density = adapter.output("top.traction")  # −P·n, μ = 1
    assert np.allclose(density, [-shear, 0.0], rtol=0, atol=1e-11)
    assert np.allclose(adapter.output("left.traction"), [0.0, shear], rtol=0, atol=1e-11)


def vibrating(**more: Any) -> tuple[DolfinxAdapter, float]:
    """A bar that swings in its first mode, u = sin(πx/2) cos(ωt) with ω = π/2 √(E/ρ) at Poisson's ratio 0."""
    solid: dict[str, Any] = {"young": 4.0, "poisson": 0.0, "density": 1.0, "initial": ["sin(pi*x/2)", 0.0], **more}
    solid["fixed"] = [{"boundary": "left", "value": 0.0}]
    adapter = make(degree=2, mesh=box(8, 1, cell="quadrilateral"), elasticity=solid)
    return adapter, np.pi


@pytest.mark.parametrize("scheme", [{"scheme": "newmark"}, {"scheme": "generalised-alpha", "spectral_radius": 0.5}])
def test_motion_converges_in_time_with_order_two(scheme: dict[str, Any]) -> None:
    errors, end = [], np.array([[1.0, 0.5]])
    for steps in (10, 20, 40):
        adapter, frequency = vibrating(**scheme)
        for _ in range(steps):
            adapter.advance(0.7 / steps)
        moved = adapter.evaluate("displacement", end)[0, 0], adapter.evaluate("velocity", end)[0, 0]
        phase = 0.7 * frequency
        errors.append(np.abs(np.subtract(moved, [np.cos(phase), -frequency * np.sin(phase)])))
    assert np.log2(errors[0] / errors[1]) == pytest.approx([2, 2], abs=0.2)
    assert np.log2(errors[1] / errors[2]) == pytest.approx([2, 2], abs=0.1)


def test_newmark_keeps_the_energy_of_a_linear_solid() -> None:
    adapter, _ = vibrating()
    energies = []
    for _ in range(40):
        adapter.advance(0.05)
        energies.append(sum(adapter.observe().values()))
    assert np.ptp(energies) < 1e-11 * energies[0]
    assert energies[0] == pytest.approx(np.pi**2 / 4, rel=1e-4)  # ∫ ½ E (π/2)² cos²(πx/2)


def test_generalised_alpha_damps_what_newmark_keeps() -> None:
    adapter, _ = vibrating(scheme="generalised-alpha", spectral_radius=0.0)
    for _ in range(20):
        adapter.advance(0.25)
    assert sum(adapter.observe().values()) < 0.9 * np.pi**2 / 4


def test_a_partners_steady_traction_acts_from_the_beginning_as_the_options_own_does() -> None:
    """The first acceleration holds it; without, the velocity would be wrong by an order."""
    solid: dict[str, Any] = {"young": 4.0, "poisson": 0.0, "density": 2.0, "fixed": [{"boundary": "left", "value": 0}]}
    place = {"end": {"boundary": "right", "takes": ["traction"]}}
    ours = make(mesh=box(3, 2), elasticity=solid | {"natural": [{"boundary": "right", "value": [1.0, -2.0]}]})
    theirs = make(mesh=box(3, 2), elasticity=solid, places=place)
    theirs.set_input("end.traction", np.tile([1.0, -2.0], (3, 1)))
    theirs.begin()
    for _ in range(3):
        ours.advance(0.2)
        theirs.advance(0.2)
    point = np.array([[0.7, 0.6]])
    moved = ours.evaluate("displacement", point)
    assert np.abs(moved).min() > 1e-3
    assert np.abs(theirs.evaluate("displacement", point) - moved).max() < 1e-13


def test_a_free_body_falls_exactly() -> None:
    """Under an even force on the volume, u = ½ (f/ρ) t² by the trapezoidal rule."""
    adapter = make(mesh=box(2, 2), elasticity={"young": 4.0, "poisson": 0.0, "density": 2.0, "source": [3.0, -1.0]})
    for _ in range(5):
        adapter.advance(0.2)
    assert adapter.evaluate("displacement", np.array([[0.3, 0.6]]))[0] == pytest.approx([0.75, -0.25], abs=1e-12)


# ---- electrostatics ----


def test_a_point_charge_before_a_grounded_plane() -> None:
    """φ = q/(4πε) (1/r − 1/r′), the image solution (Jackson, 3rd ed., sect. 2.1), away from the charge."""
    charge, place = 2.0, np.array([0.5, 0.5, 0.3])
    image = place * [1, 1, -1]
    potential = "{}/sqrt((x - 0.5)**2 + (y - 0.5)**2 + (z - {})**2)".format
    exact = f"{charge / (4 * np.pi)!r}*({potential(1, 0.3)} - {potential(1, -0.3)})"
    cg = {"ksp_type": "cg", "pc_type": "gamg"}
    adapter = make(degree=2, mesh=box(8, 8, 8), poisson={"fixed": fixed(exact, 3)}, solver=cg)
    adapter.load(place[None], np.array([[charge]]))
    adapter.advance(1.0)
    points = np.array([[0.5, 0.5, 0.75], [0.1, 0.5, 0.3], [0.85, 0.2, 0.6]])
    truth = [charge / (4 * np.pi) * (1 / np.linalg.norm(p - place) - 1 / np.linalg.norm(p - image)) for p in points]
    assert adapter.evaluate("potential", points)[:, 0] == pytest.approx(truth, rel=5e-3)


def test_the_field_of_a_slab_is_even() -> None:
    table = {"fixed": [{"boundary": "left", "value": 0.0}, {"boundary": "right", "value": 2.0}]}
    adapter = make(mesh=box(3, 2), poisson=table, places={"plate": {"boundary": "left"}, "space": {}})
    adapter.advance(1.0)
    assert np.allclose(adapter.output("space.electric_field"), [-2.0, 0.0], rtol=0, atol=1e-12)
    assert np.allclose(adapter.output("plate.surface_charge"), 2.0, rtol=0, atol=1e-12)


# ---- points ----


@pytest.mark.parametrize(("cells", "cell"), [((3, 2), "triangle"), *SOLID_CELLS])
def test_facets_give_and_take_in_their_middles(cells: tuple[int, ...], cell: str) -> None:
    """An even flux is exact, the temperature is the solution's at the middle, and a load there is the adjoint."""
    adapter = warm(box(*cells, cell=cell), "heat_flux", at="facets")
    points = adapter.points("interface").points
    assert np.all(points[:, 0] == 1.0)
    adapter.set_input("interface.heat_flux", np.full((len(points), 1), 2.0))
    adapter.advance(0.1)
    assert adapter.observe()["error/1"] < 1e-13
    exact = 1 + points[:, 0] ** 2 + 3 * points[:, 1] ** 2 + 0.12
    assert np.allclose(adapter.output("interface.temperature")[:, 0], exact, rtol=0, atol=1e-12)
    other = warm(box(*cells, cell=cell), "heat", at="facets")
    loads = np.arange(1.0, 1.0 + len(points))[:, None]
    other.set_input("interface.heat", loads)
    other.problem.unknown.x.array[:] = np.cos(np.arange(len(other.problem.unknown.x.array)))
    work = float((other.output("interface.temperature") * loads).sum())
    assert float(other.nodal_loads() @ other.problem.unknown.x.array) == pytest.approx(work, abs=1e-12)


@pytest.mark.parametrize(
    ("cells", "cell"), [((3, 2), "quadrilateral"), ((2, 2, 1), "tetrahedron"), ((1, 1, 2), "hexahedron")]
)
@pytest.mark.parametrize("degree", [1, 2])
def test_a_load_is_the_adjoint_of_evaluation(cells: tuple[int, ...], cell: str, degree: int) -> None:
    """⟨Πu, f⟩ = ⟨u, Πᵀf⟩ to 1e-13, and constants and linear functions are evaluated exactly."""
    adapter = make(degree=degree, mesh=box(*cells, cell=cell), poisson={})
    random = np.random.default_rng(3)
    points, loads = random.random((20, len(cells))), random.standard_normal((20, 1))
    unknown = adapter.problem.unknown
    unknown.interpolate(lambda x: 1 + 2 * x[0] - 3 * x[1])
    assert np.allclose(adapter.evaluate("potential", points)[:, 0], 1 + 2 * points[:, 0] - 3 * points[:, 1], atol=1e-13)
    unknown.x.array[:] = random.standard_normal(unknown.x.array.shape)
    adapter.load(points, loads)
    work = float((adapter.evaluate("potential", points) * loads).sum())
    nodal = fem.Function(unknown.function_space)
    nodal.x.array[:] = adapter.nodal_loads()
    assert float(nodal.x.array @ unknown.x.array) == pytest.approx(work, abs=1e-13)
    assert nodal.x.array.sum() == pytest.approx(loads.sum(), abs=1e-12)


@pytest.mark.parametrize("degree", [1, 2])
@pytest.mark.parametrize(
    ("cells", "cell"),
    [((3, 2), "triangle"), ((3, 2), "quadrilateral"), ((2, 1, 1), "tetrahedron"), ((2, 1, 1), "hexahedron")],
)
def test_connectivity_fills_the_place_once(cells: tuple[int, ...], cell: str, degree: int) -> None:
    places = {"space": {"connectivity": True}, "side": {"boundary": "right", "connectivity": True}}
    adapter = make(degree=degree, mesh=box(*cells, cell=cell), poisson={}, places=places)
    space, side = adapter.points("space"), adapter.points("side")
    whole, part = (space.triangles, side.edges) if len(cells) == 2 else (space.tetrahedra, side.triangles)
    corners = space.points[whole]
    volumes = np.abs(np.linalg.det(corners[:, 1:] - corners[:, :1])) / (2 if len(cells) == 2 else 6)
    assert volumes.min() > 1e-6
    assert volumes.sum() == pytest.approx(1.0, abs=1e-12)
    flat = side.points[part][:, :, 1:]
    sizes = np.abs(np.linalg.det(flat[:, 1:] - flat[:, :1])) / (1 if len(cells) == 2 else 2)
    assert sizes.sum() == pytest.approx(1.0, abs=1e-12)
