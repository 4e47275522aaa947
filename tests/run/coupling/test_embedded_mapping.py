"""Mappings of the embedded coupling: each pair is an exact transpose, and each reproduces what it must."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.interpolate import RBFInterpolator
from scipy.spatial import Delaunay

from scalespan.adapters.interface import CaseError
from scalespan.bridges.interface import Mesh
from scalespan.bridges.run.embedded.mapping import BASIS, linear_cells, matrix, radial_basis
from scalespan.bridges.run.precice_config import Element, parse

COMPACT = [name for name in BASIS if name.startswith("compact")]


def element(kind: str, constraint: str, basis: str = "") -> Element:
    inside = f"<basis-function:{basis} support-radius='0.9' shape-parameter='0.3'/>" if basis else ""
    if basis == "gaussian":
        inside = "<basis-function:gaussian shape-parameter='2.0'/>"
    return parse(f"<mapping:{kind} constraint='{constraint}'>{inside}</mapping:{kind}>".encode(), "test.xml")


KINDS = [("nearest-neighbor", ""), ("linear-cell-interpolation", ""), *(("rbf-global-direct", name) for name in BASIS)]


@pytest.fixture(params=[2, 3])
def clouds(request: pytest.FixtureRequest) -> tuple[Mesh, Mesh]:
    """Two clouds of the unit square or cube, with cells; the second sticks out."""
    rng = np.random.default_rng(0)
    points = rng.random((40, request.param)), 1.2 * rng.random((25, request.param)) - 0.1
    name = "triangles" if request.param == 2 else "tetrahedra"
    first, second = (Mesh(each, **{name: Delaunay(each).simplices.astype(np.int64)}) for each in points)
    return first, second


@pytest.mark.parametrize(("kind", "basis"), KINDS)
def test_conservative_is_the_transpose_of_consistent(clouds, kind: str, basis: str) -> None:
    one, other = clouds
    rng = np.random.default_rng(1)
    values, loads = rng.random((len(one.points), 3)), rng.random((len(other.points), 3))
    there = matrix(element(kind, "consistent", basis), one, other) @ values
    back = matrix(element(kind, "conservative", basis), other, one) @ loads
    assert np.sum(there * loads) == pytest.approx(np.sum(values * back), rel=1e-14)


@pytest.mark.parametrize(("kind", "basis"), KINDS)
def test_a_constant_stays_and_a_force_keeps_its_sum(clouds, kind: str, basis: str) -> None:
    one, other = clouds
    loads = np.random.default_rng(2).random((len(other.points), 1))
    assert matrix(element(kind, "consistent", basis), one, other) @ np.ones(40) == pytest.approx(1.0, abs=1e-10)
    assert np.sum(matrix(element(kind, "conservative", basis), other, one) @ loads) == pytest.approx(np.sum(loads))


@pytest.mark.parametrize("basis", BASIS)
def test_radial_basis_reproduces_linear_functions_and_keeps_the_moment_of_a_force(clouds, basis: str) -> None:
    one, other = clouds
    slope = np.arange(1.0, one.points.shape[1] + 1.0)
    forth = matrix(element("rbf-global-direct", "consistent", basis), one, other)
    assert forth @ (one.points @ slope) == pytest.approx(other.points @ slope, abs=1e-10)
    force = np.random.default_rng(3).random(len(other.points))
    assert one.points.T @ (forth.T @ force) == pytest.approx(other.points.T @ force, abs=1e-10)


@pytest.mark.parametrize(
    ("basis", "scipys"), [("thin-plate-splines", "thin_plate_spline"), ("volume-splines", "linear")]
)
def test_radial_basis_passes_through_its_data_as_scipys_does(clouds, basis: str, scipys: str) -> None:
    one, _ = clouds
    values = np.sin(3.0 * one.points[:, 0])
    same = matrix(element("rbf-global-direct", "consistent", basis), one, one) @ values
    theirs = RBFInterpolator(one.points, values, kernel=scipys, degree=1)(one.points)
    assert same == pytest.approx(values, abs=1e-9)
    assert same == pytest.approx(theirs, abs=1e-9)


@pytest.mark.parametrize("basis", COMPACT)
def test_wendlands_functions_are_positive_definite(clouds, basis: str) -> None:
    one, _ = clouds
    distances = np.linalg.norm(one.points[:, None] - one.points[None], axis=2)
    function = BASIS[basis](element("rbf-global-direct", "consistent", basis).all("basis-function")[0])
    assert np.linalg.eigvalsh(function(distances)).min() > 0.0


def test_points_on_a_line_lose_the_axis_that_they_do_not_span() -> None:
    line = np.column_stack([np.linspace(0.0, 1.0, 9), np.zeros(9)])
    target = np.array([[0.3, 0.0], [0.71, 0.0]])
    found = radial_basis(line, target, lambda r: r, polynomial=True)
    assert found @ (2.0 * line[:, 0] + 1.0) == pytest.approx(2.0 * target[:, 0] + 1.0, abs=1e-12)


def test_linear_cells_reproduce_linear_functions_inside(clouds) -> None:
    one, _ = clouds
    cells = one.triangles if one.points.shape[1] == 2 else one.tetrahedra
    inside = one.points[cells].mean(axis=1)
    slope = np.arange(1.0, one.points.shape[1] + 1.0)
    assert linear_cells(one, inside) @ (one.points @ slope) == pytest.approx(inside @ slope, abs=1e-12)


@pytest.mark.parametrize(
    ("point", "nearest"),
    [((0.4, -0.3), (0.4, 0.0)), ((-0.2, -0.1), (0.0, 0.0)), ((0.8, 0.8), (0.5, 0.5)), ((2.0, 0.0), (1.0, 0.0))],
)
def test_a_point_outside_takes_the_value_of_the_nearest_point_of_the_mesh(point, nearest) -> None:
    triangle = Mesh(np.array([[0.0, 0.0], [1.0, 0.0], [0.0, 1.0]]), triangles=np.array([[0, 1, 2]]))
    assert linear_cells(triangle, np.array([point])) @ triangle.points == pytest.approx(np.array([nearest]), abs=1e-14)


def test_linear_cells_without_cells_are_nearest_neighbours(clouds) -> None:
    one, other = clouds
    bare = linear_cells(Mesh(one.points), other.points)
    assert np.array_equal(bare.toarray(), matrix(element("nearest-neighbor", "consistent"), one, other).toarray())


def test_two_points_in_one_place_are_refused_with_the_line_of_the_mapping() -> None:
    twice = Mesh(np.array([[0.0, 0.0], [0.0, 0.0], [1.0, 0.0], [0.0, 1.0]]))
    wrong = element("rbf-global-direct", "consistent", "compact-polynomial-c2")
    with pytest.raises(CaseError, match=r"test\.xml line 1 <mapping:rbf-global-direct>: .* let no two points coincide"):
        matrix(wrong, twice, twice)
