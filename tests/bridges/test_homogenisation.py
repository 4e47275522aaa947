"""Cells of a microstructure against exact laminates, conductors and bounds; their tangent against differences."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from scalespan.adapters.interface import Array, CaseError, EngineFailed, NotOffered, ScalespanError
from scalespan.bridges.homogenisation import Cell, Homogenisation, HomogenisationOptions

pytest.importorskip("dolfinx", reason="DOLFINx is not installed")
from scalespan.adapters.dolfinx import DolfinxAdapter

FAMILIES = ("static", "periodic", "kinematic")
LAMINATE = {"young": "where(x < 0.5, 1.0, 10.0)", "poisson": "where(x < 0.5, 0.3, 0.2)"}


def continuum(cells: tuple[int, ...] = (8, 4), degree: int = 2, **problem: Any) -> DolfinxAdapter:
    """Return a unit cell of triangles (or tetrahedra)."""
    d = len(cells)
    mesh = {"low": [0.0] * d, "high": [1.0] * d, "cells": list(cells)}
    return DolfinxAdapter(DolfinxAdapter.Options.read({"mesh": mesh, "degree": degree} | problem))


def law(boundary: str = "periodic", **more: Any) -> Homogenisation:
    solid = more.pop("elasticity", LAMINATE)
    return Homogenisation(HomogenisationOptions(boundary=boundary), cell=continuum(elasticity=solid, **more))


def conductivity(formula: str, cells: int, degree: int = 1, boundary: str = "periodic") -> Array:
    heat = {"conductivity": formula, "capacity": 0.0}
    cell = Cell(continuum((cells, cells), degree, heat=heat).microstructure(), HomogenisationOptions(boundary=boundary))
    found = cell.answer(np.array([[1.0, 0.5]]), tangent=True)
    assert found.tangent is not None
    return found.tangent[0, :, 0]


def tangent(model: Homogenisation, deformation: Array | None = None) -> Array:
    d = model.dimension
    found = model.respond((np.eye(d) if deformation is None else deformation)[None], tangent=True).tangent
    assert found is not None
    return found[0]


def exact_laminate() -> tuple[float, float, float, float]:
    """Return C11, C22, C12, C66 of layers normal to x (G. W. Milton, The Theory of Composites, ch. 9)."""
    young, ratio = np.array([1.0, 10.0]), np.array([0.3, 0.2])
    first, shear = young * ratio / ((1.0 + ratio) * (1.0 - 2.0 * ratio)), young / (2.0 * (1.0 + ratio))
    wave = first + 2.0 * shear
    c11 = 1.0 / (1.0 / wave).mean()
    c12 = c11 * (first / wave).mean()
    return c11, (wave - first**2 / wave).mean() + c12**2 / c11, c12, 1.0 / (1.0 / shear).mean()


def test_a_periodic_laminate_is_exact() -> None:
    found = tangent(law())
    constants = found[0, 0, 0, 0], found[1, 1, 1, 1], found[0, 0, 1, 1], found[0, 1, 0, 1]
    assert constants == pytest.approx(exact_laminate(), rel=1e-12)


def test_the_families_are_ordered_as_matrices() -> None:
    static, periodic, kinematic = (tangent(law(each)).reshape(4, 4) for each in FAMILIES)
    assert np.linalg.eigvalsh(periodic - static).min() > -1e-12
    assert np.linalg.eigvalsh(kinematic - periodic).min() > -1e-12
    assert np.linalg.eigvalsh(kinematic - static).max() > 0.1


@pytest.mark.parametrize("boundary", FAMILIES)
def test_hills_condition_holds(boundary: str) -> None:
    found = law(boundary).cell.answer(np.array([[1e-3, 2e-3], [0.0, 5e-4]]))
    assert found.hill_mandel < 1e-12


@pytest.mark.parametrize("boundary", FAMILIES)
def test_a_source_in_the_cell_breaks_hills_condition(boundary: str) -> None:
    with pytest.raises(EngineFailed, match="Hill's condition is broken"):
        law(boundary, elasticity=LAMINATE | {"source": ["x", 0.0]}).cell.answer(np.array([[1e-3, 0.0], [0.0, 0.0]]))


@pytest.mark.parametrize("boundary", FAMILIES)
def test_a_flipped_element_is_caught(boundary: str) -> None:
    body = continuum(degree=1, elasticity=LAMINATE)
    points = body.domain.mesh.geometry.x
    inside = np.flatnonzero(np.abs(points[:, :2] - 0.5).max(axis=1) < 0.3)
    points[inside[0], 0] += 0.2  # beyond its neighbour
    with pytest.raises(CaseError, match="overlap or are turned inside out"):
        Homogenisation(HomogenisationOptions(boundary=boundary), cell=body)


@pytest.mark.parametrize("boundary", FAMILIES)
def test_stress_and_tangent_are_the_derivatives_of_the_energy(boundary: str) -> None:
    model = law(boundary, cells=(4, 4), elasticity=LAMINATE | {"material": "neo-hookean"})
    at = np.array([[1.08, 0.05], [-0.03, 0.94]])
    answer = model.respond(at[None], tangent=True)
    step = 1e-5
    for i, j in np.ndindex(2, 2):
        shift = np.zeros((2, 2))
        shift[i, j] = step
        up, down = (model.respond((at + sign * shift)[None]) for sign in (1.0, -1.0))
        assert answer.stress[0, i, j] == pytest.approx((up.energy - down.energy)[0] / (2 * step), abs=1e-8)
        assert answer.tangent is not None
        assert answer.tangent[0, :, :, i, j] == pytest.approx((up.stress - down.stress)[0] / (2 * step), abs=1e-7)


IN_SERIES = {"young": "where(x < 0.5, 1.0, 10.0)", "poisson": 0.0, "material": "neo-hookean"}


def series(stress: float) -> tuple[float, float]:
    """Return the stretch of two phases in series under P = μ(f − 1/f), and C_t = [Σ c/E_t]⁻¹ with E_t = μ(1 + 1/f²)."""
    shear = np.array([0.5, 5.0])
    stretch = 0.5 * (stress / shear + np.sqrt((stress / shear) ** 2 + 4.0))
    return float(stretch.mean()), float(1.0 / (1.0 / (shear * (1.0 + stretch**-2))).mean())


def test_phases_in_series_have_their_exact_stress_and_tangent() -> None:
    stretch, slope = series(0.3)
    answer = law(cells=(4, 2), elasticity=IN_SERIES).respond(np.diag([stretch, 1.0])[None], tangent=True)
    assert answer.stress[0, 0, 0] == pytest.approx(0.3, rel=1e-10)
    assert answer.tangent is not None
    assert answer.tangent[0, 0, 0, 0, 0] == pytest.approx(slope, rel=1e-10)


def test_newtons_method_converges_quadratically_with_the_condensed_tangent() -> None:
    model, stretch, errors = law(cells=(4, 2), elasticity=IN_SERIES), 1.0, []
    for _ in range(5):
        answer = model.respond(np.diag([stretch, 1.0])[None], tangent=True)
        assert answer.tangent is not None
        errors.append(abs(answer.stress[0, 0, 0] - 0.9))
        stretch -= (answer.stress[0, 0, 0] - 0.9) / answer.tangent[0, 0, 0, 0, 0]
    assert errors[2] < errors[1] ** 2
    assert errors[3] < errors[2] ** 2
    assert errors[4] < 1e-11


def test_layers_conduct_with_the_harmonic_mean_across_and_the_mean_along() -> None:
    found = conductivity("1.1 + sin(2*pi*y)", 64, degree=2)
    assert found == pytest.approx(np.diag([1.1, np.sqrt(1.1**2 - 1.0)]), rel=1e-5, abs=1e-9)


def test_a_checkerboard_tends_to_the_geometric_mean() -> None:
    """A. M. Dykhne 1971: √(1·10); the corners make it slow."""
    board = "where((x - 0.5)*(y - 0.5) > 0, 1.0, 10.0)"
    errors = [abs(conductivity(board, cells)[0, 0] / np.sqrt(10.0) - 1.0) for cells in (16, 32, 64)]
    assert errors[0] > errors[1] > errors[2]
    assert errors[2] < 0.05


def test_the_coefficient_of_hou_and_wu() -> None:
    """T. Y. Hou and X.-H. Wu 1997, doi:10.1006/jcph.1997.5682, P = 1.8; a* by a finer cell, and to four digits."""
    x, y = "2*pi*x", "2*pi*y"
    a = f"(2 + 1.8*sin({x}))/(2 + 1.8*cos({y})) + (2 + sin({y}))/(2 + 1.8*sin({x}))"
    assert conductivity(a, 32, degree=2) == pytest.approx(np.diag([3.9465, 3.3416]), abs=2e-3)


@pytest.mark.slow
def test_a_cell_with_one_phase_is_its_material() -> None:
    plain = {"young": 2.0, "poisson": 0.25}
    found = tangent(law(cells=(2, 2, 2), degree=1, elasticity=plain))
    assert found[0, 0, 0, 0] == pytest.approx(2.0 * 0.75 / (1.25 * 0.5), rel=1e-12)


def test_a_skewed_cell_is_given_by_its_periods() -> None:
    body = continuum((4, 4), 1, elasticity=LAMINATE)
    points = body.domain.mesh.geometry.x
    points[:, 1] += 0.25 * points[:, 0]
    with pytest.raises(CaseError, match=r"over 1 of each|no partner"):
        Homogenisation(HomogenisationOptions(), cell=body)
    model = Homogenisation(HomogenisationOptions(periods=[[1.0, 0.25], [0.0, 1.0]]), cell=body)
    assert tangent(model)[0, 0, 0, 0] == pytest.approx(exact_laminate()[0], rel=1e-12)


def test_a_cell_shows_how_small_it_is_beside_the_body() -> None:
    model = Homogenisation(HomogenisationOptions(body=20.0), cell=continuum(elasticity=LAMINATE))
    assert ("its size over that of the body", "0.05") in model.audit()[0].rows


def test_a_mesh_with_other_nodes_on_the_other_side_is_refused() -> None:
    body = continuum((4, 4), 1, elasticity=LAMINATE)
    points = body.domain.mesh.geometry.x
    points[(points[:, 0] > 0.99) & (np.abs(points[:, 1] - 0.5) < 0.1), 1] += 0.03
    with pytest.raises(CaseError, match="nodes on the cell's sides have no partner"):
        Homogenisation(HomogenisationOptions(), cell=body)


def test_a_problem_with_rates_is_no_cell() -> None:
    with pytest.raises(NotOffered, match="at rest"):
        continuum(heat={"capacity": 1.0}).microstructure()


def test_a_restored_law_answers_bit_for_bit() -> None:
    model = law(cells=(4, 4), elasticity=LAMINATE | {"material": "neo-hookean"})
    model.respond(np.diag([1.1, 1.0])[None])
    state = model.save()
    first = model.respond(np.diag([1.15, 0.98])[None]).stress
    model.restore(state)
    assert np.array_equal(model.respond(np.diag([1.15, 0.98])[None]).stress, first)


def test_a_bar_of_laminate_has_the_energy_of_its_phases() -> None:
    """FE²: two elements of a bar, each Gauss point with its own cell; phases in series, so that the answer is exact."""
    micro = law(cells=(4, 2), degree=1, elasticity=IN_SERIES)
    stretch, _ = series(0.4)
    ends = [{"boundary": "left", "value": 0.0, "component": 0}, {"boundary": "all", "value": 0.0, "component": 1}]
    pulled = {"boundary": "right", "value": 4.0 * (stretch - 1.0), "component": 0}
    table = {
        "mesh": {"low": [0.0, 0.0], "high": [4.0, 1.0], "cells": [2, 1]},
        "elasticity": {"material": "law", "fixed": [*ends, pulled]},
        "timestep": 1.0,
    }
    bar = DolfinxAdapter(DolfinxAdapter.Options.read(table), law=micro)
    bar.advance(1.0)
    shear = np.array([0.5, 5.0])
    each = 0.5 * (0.4 / shear + np.sqrt((0.4 / shear) ** 2 + 4.0))
    energy = (0.5 * shear * (each**2 - 1.0 - 2.0 * np.log(each))).mean()
    (measured,) = (value for name, value in bar.observe().items() if name.startswith("elastic"))
    assert measured == pytest.approx(4.0 * energy, rel=1e-9)


MISTAKES = {
    "no cell": (lambda: Homogenisation(HomogenisationOptions()), "needs a cell"),
    "a conductor": (
        lambda: Homogenisation(HomogenisationOptions(), cell=continuum((2, 2), 1, heat={"capacity": 0.0})),
        "displacements as its unknown",
    ),
    "a cell as large as the body": (
        lambda: Homogenisation(HomogenisationOptions(body=4.0), cell=continuum(elasticity=LAMINATE)),
        "its size over that of the body is 0.25, and 0.1 is the limit",
    ),
    "flat periods": (
        lambda: Cell(law().engine.microstructure(), HomogenisationOptions(periods=[[1, 0], [2, 0]])),
        "periods of a volume",
    ),
    "longer periods": (
        lambda: Cell(law().engine.microstructure(), HomogenisationOptions(periods=[[2, 0], [0, 1]])),
        "over 1 of each",
    ),
    "no answer": (
        lambda: law(elasticity=LAMINATE | {"material": "neo-hookean"}).cell.answer(np.diag([-1.2, 0.0])),
        "no answer by Newton's method",
    ),
}


@pytest.mark.parametrize("mistake", MISTAKES)
def test_a_mistake_has_its_sentence(mistake: str) -> None:
    make, says = MISTAKES[mistake]
    with pytest.raises(ScalespanError, match=says):
        make()
