"""DOLFINx as a solid for a handshake, and meshes of points: energies, their slopes, units, nodes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from ase.build import bulk

pytest.importorskip("dolfinx", reason="DOLFINx is not installed: conda install -c conda-forge fenics-dolfinx")

from scalespan.adapters.dolfinx import DolfinxAdapter, DolfinxOptions
from scalespan.adapters.dolfinx.cloud import joined, read_points
from scalespan.adapters.interface import Array, CaseError, Material, NotOffered, OptionError, Solid
from scalespan.adapters.interface.units import convert
from scalespan.adapters.simplex import SimplexSolid

from .dolfinx_problems import box, fixed
from .laws import NeoHookean

ASE = {"length": "angstrom", "time": "ase_time", "mass": "dalton"}
MATERIALS: dict[str, dict[str, Any]] = {
    "linear": {"young": 2.0, "poisson": 0.3, "density": 1.5},
    "neo-hookean": {"young": 2.0, "poisson": 0.3, "density": 1.5, "material": "neo-hookean"},
    "law": {"material": "law"},
}


def make(law: Material | None = None, **table: Any) -> DolfinxAdapter:
    return DolfinxAdapter(DolfinxOptions.read(ASE | {"mesh": box(3, 2)} | table), law)


def solid_of(material: str, dimension: int, **more: Any) -> tuple[DolfinxAdapter, Solid]:
    law = NeoHookean(3) if material == "law" else None
    adapter = make(law, mesh=box(*(3, 2, 2)[:dimension]), elasticity=MATERIALS[material] | more)
    return adapter, adapter.solid()


def moved(solid: Solid) -> Array:
    values: Array = 0.05 * np.random.default_rng(1).standard_normal(solid.nodes.shape)
    return values


# ---- the solid ----


@pytest.mark.parametrize(("material", "dimension"), [("linear", 2), ("neo-hookean", 2), ("law", 2), ("law", 3)])
def test_forces_and_stiffness_are_the_slopes_of_the_energy(material: str, dimension: int) -> None:
    _, solid = solid_of(material, dimension)
    u, way = moved(solid), np.random.default_rng(2).standard_normal(solid.nodes.shape)
    forces, h = solid.elastic(u)[1], 1e-5
    up, down = solid.elastic(u + h * way), solid.elastic(u - h * way)
    assert (up[0] - down[0]) / (2 * h) == pytest.approx(-float((forces * way).sum()), rel=1e-7)
    pull = (up[1] - down[1]) / (2 * h)
    stiffness = solid.stiffness(u)
    assert np.abs(pull.ravel() + stiffness @ way.ravel()).max() < 1e-6 * np.abs(pull).max()
    assert abs(stiffness - stiffness.T).max() < 1e-12 * abs(stiffness).max()


def test_a_uniform_strain_has_the_laws_energy_and_no_force_inside() -> None:
    _, solid = solid_of("law", 3)
    slope = np.array([[0.04, 0.02, 0.0], [0.0, -0.01, 0.0], [0.01, 0.0, 0.0]])
    energy, forces = solid.elastic(solid.nodes @ slope.T)
    inside = ((solid.nodes > 1e-9) & (solid.nodes < 1 - 1e-9)).all(axis=1)
    assert energy == pytest.approx(NeoHookean(3).respond(np.eye(3)[None] + slope).energy[0], rel=1e-12)
    assert inside.any() and np.abs(forces[inside]).max() < 1e-14


def test_its_nodes_are_the_adapters_and_so_is_its_interpolation() -> None:
    adapter, solid = solid_of("law", 3)
    u = moved(solid)
    adapter.problem.unknown.x.array[:] = u.ravel()
    points = np.random.default_rng(3).random((30, 3))
    assert np.abs(solid.interpolation(points) @ u - adapter.evaluate("displacement", points)).max() < 1e-14


def test_masses_are_those_of_the_body() -> None:
    assert solid_of("law", 3)[1].masses.sum() == pytest.approx(2.0, rel=1e-13)
    assert solid_of("linear", 2)[1].masses.sum() == pytest.approx(1.5, rel=1e-13)
    assert solid_of("law", 2, density=0.0)[1].masses.sum() == pytest.approx(2.0, rel=1e-13), "at rest, the law's"


def test_it_speaks_ases_units_whatever_the_adapters_are() -> None:
    """The same body in Å, dalton and ASE's time and in m, kg and s."""
    small, stress = 1e-10, convert(1.0, "eV/angstrom**3", "kg/m/s**2")
    here = make(elasticity=MATERIALS["linear"], mesh=box(2, 2, 2)).solid()
    elastic = {"young": 2.0 * stress, "poisson": 0.3, "density": 1.5 * convert(1.0, "dalton/angstrom**3", "kg/m**3")}
    mesh = box(2, 2, 2) | {"high": [small] * 3}
    there = make(mesh=mesh, elasticity=elastic, length="m", time="s", mass="kg").solid()
    u = moved(here)
    assert np.allclose(there.nodes, here.nodes, rtol=0, atol=1e-14)
    assert there.elastic(u)[0] == pytest.approx(here.elastic(u)[0], rel=1e-12)
    assert np.allclose(there.elastic(u)[1], here.elastic(u)[1], rtol=1e-12, atol=1e-13)
    assert there.masses == pytest.approx(here.masses, rel=1e-12)
    assert abs(there.stiffness(u) - here.stiffness(u)).max() < 1e-12


def test_nodes_are_held_where_the_options_fix_them() -> None:
    solid = solid_of("linear", 2, fixed=[{"boundary": "left", "value": ["0.1*y", "0.2"]}])[1]
    left = solid.nodes[:, 0] < 1e-9
    assert np.array_equal(solid.held, left)
    assert np.allclose(solid.held_displacement[left, 0], 0.1 * solid.nodes[left, 1], atol=1e-15)
    assert not solid.held_displacement[~left].any()


@pytest.mark.parametrize(
    ("table", "sentence"),
    [
        ({"degree": 2, "elasticity": MATERIALS["linear"]}, "P1 elements"),
        ({"mesh": box(2, 2, cell="quadrilateral"), "elasticity": MATERIALS["linear"]}, "P1 elements"),
        ({"heat": {}}, "only a solid"),
        (
            {"elasticity": MATERIALS["linear"] | {"fixed": [{"boundary": "left", "value": 0, "component": 0}]}},
            "all components",
        ),
    ],
)
def test_what_is_no_such_solid_is_refused(table: dict[str, Any], sentence: str) -> None:
    adapter = make(**table)
    with pytest.raises(NotOffered, match=sentence):
        adapter.solid()


def test_masses_that_nobody_says_are_asked_for() -> None:
    solid = make(elasticity={"young": 2.0, "poisson": 0.3}).solid()
    with pytest.raises(OptionError, match="density"):
        _ = solid.masses


# ---- cells that count by a weight ----


@pytest.mark.parametrize("dimension", [2, 3])
def test_weighted_cells_are_those_of_the_reference_continuum(dimension: int) -> None:
    """Energy, forces and stiffness, against NumPy's elements on the same mesh; masses stay."""
    adapter = make(NeoHookean(dimension), mesh=box(*(3, 2, 2)[:dimension]), elasticity={"material": "law"})
    solid = adapter.solid()
    plain = SimplexSolid(solid.nodes, solid.cells, NeoHookean(dimension))
    u, count = moved(solid), len(solid.cells)
    weights = np.where(np.arange(count) % 3, np.random.default_rng(4).random(count), 0.0)
    for ours, theirs in ((solid, plain), (solid.weighted(weights), plain.weighted(weights))):
        assert ours.elastic(u)[0] == pytest.approx(theirs.elastic(u)[0], rel=1e-12)
        assert np.abs(ours.elastic(u)[1] - theirs.elastic(u)[1]).max() < 1e-12
        assert abs(ours.stiffness(u) - theirs.stiffness(u)).max() < 1e-11
        assert np.array_equal(ours.masses, solid.masses)
    assert abs(solid.elastic(u)[0] / solid.weighted(weights).elastic(u)[0] - 1.0) > 0.1


@pytest.mark.parametrize("material", MATERIALS)
def test_weights_add_up_and_ones_are_the_plain_solid(material: str) -> None:
    _, solid = solid_of(material, 2)
    u, weights = moved(solid), np.random.default_rng(5).random(len(solid.cells))
    first, rest, whole = (solid.weighted(each).elastic(u) for each in (weights, 1.0 - weights, np.ones_like(weights)))
    energy, forces = solid.elastic(u)
    assert whole[0] == pytest.approx(energy, rel=1e-14) == first[0] + rest[0]
    assert np.abs(first[1] + rest[1] - forces).max() < 1e-14 > np.abs(whole[1] - forces).max()


@pytest.mark.parametrize("material", ["neo-hookean", "law"])
def test_a_cell_of_weight_0_may_be_inside_out(material: str) -> None:
    _, solid = solid_of(material, 2)
    weights, u = np.ones(len(solid.cells)), moved(solid)
    corner = int(np.argmin(np.bincount(solid.cells.ravel())))  # of the fewest cells
    weights[(solid.cells == corner).any(axis=1)] = 0.0
    u[corner] += 5.0
    energy, forces = solid.weighted(weights).elastic(u)
    assert np.isfinite(energy) and not forces[corner].any()
    with pytest.raises(CaseError, match="weights of cells are wanted"):
        solid.weighted(weights[1:])


# ---- meshes of points ----


def volumes(points: Array, cells: Array) -> Array:
    corners = points[cells]
    found: Array = np.abs(np.linalg.det(corners[:, 1:] - corners[:, :1])) / (2 if points.shape[1] == 2 else 6)
    return found


def clouds() -> dict[str, Array]:
    line = np.arange(5.0)
    square = np.stack(np.meshgrid(line, line, indexing="ij"), axis=-1).reshape(-1, 2)
    cube = np.stack(np.meshgrid(line, line, line, indexing="ij"), axis=-1).reshape(-1, 3)
    ball = np.random.default_rng(0).standard_normal((60, 3))
    shells = [r * ball / np.linalg.norm(ball, axis=1)[:, None] for r in (4.0, 8.0, 20.0, 50.0)]
    crystal = (bulk("Cu", cubic=True) * (4, 4, 4)).positions
    return {
        "square": square,
        "triangular": square @ np.array([[1.0, 0.0], [0.5, 0.75**0.5]]),
        "cube": cube,
        "fcc": crystal,
        "diamond": (bulk("Si", cubic=True) * (3, 3, 3)).positions,
        "graded": np.concatenate([0.5 * (cube - 2.0), *shells]),
    }


@pytest.mark.parametrize("name", clouds())
def test_points_of_a_crystal_are_joined_without_slivers_and_gaps(name: str) -> None:
    """`joined` raises at a gap; of a lattice no simplex is smaller than its smallest, far from flat."""
    points = clouds()[name]
    cells = joined(points)
    assert np.array_equal(np.unique(cells), np.arange(len(points)))
    if name != "graded":
        assert volumes(points, cells).min() > 0.2 * volumes(points, cells).max()


@pytest.mark.parametrize("suffix", [".txt", ".npy", ".xyz"])
def test_a_mesh_of_points_passes_the_patch_test(suffix: str, tmp_path: Path) -> None:
    points, path = clouds()["graded"], tmp_path / f"nodes{suffix}"
    if suffix == ".npy":
        np.save(path, points)
    elif suffix == ".txt":
        np.savetxt(path, points)
    else:
        path.write_text(f"{len(points)}\n\n" + "".join(f"X {x!r} {y!r} {z!r}\n" for x, y, z in points.tolist()))
    linear = ["0.1*x + 0.03*y", "-0.02*x + 0.05*z", "0.01*x"]
    solid = MATERIALS["linear"] | {"density": 0.0, "fixed": [{"boundary": "all", "value": linear}]}
    adapter = make(mesh={"points": str(path)}, exact=linear, elasticity=solid)
    adapter.advance(1.0)
    assert adapter.observe()["error/1"] < 1e-13
    assert len(adapter.solid().nodes) == len(points)


def test_points_of_a_plane_are_two_dimensional(tmp_path: Path) -> None:
    path = tmp_path / "nodes.txt"
    np.savetxt(path, clouds()["square"])
    adapter = make(mesh={"points": str(path)}, heat={"capacity": 0.0, "source": 3.0, "fixed": fixed(0, 0)})
    assert adapter.dimension == 2


@pytest.mark.parametrize(
    ("text", "sentence"),
    [("0 0 0\n1 0 0\n0 1 0\n", "span no volume"), ("0 0\n1 x\n", "cannot be read"), ("1 2 3 4\n", "of the shape")],
)
def test_points_that_make_no_mesh_are_refused(text: str, sentence: str, tmp_path: Path) -> None:
    path = tmp_path / "nodes.txt"
    path.write_text(text)
    with pytest.raises(CaseError, match=sentence):
        joined(read_points(path) if sentence != "span no volume" else np.loadtxt(path))


def test_points_given_twice_are_refused() -> None:
    points = clouds()["square"]
    with pytest.raises(CaseError, match="in no simplex"):
        joined(np.concatenate([points, points[3:4]]))
