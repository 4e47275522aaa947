"""Bounds of effective constants against closed formulas of others, and the separation of scales."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from scalespan.adapters.interface import CaseError
from scalespan.bridges.homogenisation import (
    Phase,
    bounds_table,
    conductivity_bounds,
    elastic_bounds,
    separation,
    voigt_reuss,
)

MATRIX, FIBRE = Phase(0.85, 50e3, 0.2), Phase(0.15, 210e3, 0.3)


def test_spheres_of_mori_and_tanaka_are_the_lower_bound() -> None:
    """T. Mori and K. Tanaka 1973, doi:10.1016/0001-6160(73)90064-3, with Eshelby's sphere: α = (1 + ν)/(3(1 − ν)),
    β = 2(4 − 5ν)/(15(1 − ν)) (J. D. Eshelby 1957, doi:10.1098/rspa.1957.0133)."""
    alpha, beta = (1 + 0.2) / (3 * 0.8), 2 * (4 - 5 * 0.2) / (15 * 0.8)
    found = elastic_bounds([MATRIX, FIBRE], 3)
    for name, part in {"bulk": alpha, "shear": beta}.items():
        stiff, soft = (each.bulk(3) if name == "bulk" else each.shear for each in (FIBRE, MATRIX))
        tanaka = soft + 0.15 * (stiff - soft) / (1 + 0.85 * part * (stiff / soft - 1))
        assert found[name].low == pytest.approx(tanaka, rel=1e-12)


def test_the_plane_bulk_bound_is_hashins_cylinder_assemblage() -> None:
    """Z. Hashin and B. W. Rosen 1964, doi:10.1115/1.3629590: k₁ + c₂/(1/(k₂ − k₁) + c₁/(k₁ + μ₁)), exact for it."""
    k1, k2 = MATRIX.bulk(2), FIBRE.bulk(2)
    exact = k1 + 0.15 / (1 / (k2 - k1) + 0.85 / (k1 + MATRIX.shear))
    assert elastic_bounds([MATRIX, FIBRE], 2)["bulk"].low == pytest.approx(exact, rel=1e-12)


@pytest.mark.parametrize("dimension", [2, 3])
def test_maxwells_spheres_are_the_lower_bound_of_conductors(dimension: int) -> None:
    """J. C. Maxwell 1873, art. 314: κ₁ (1 + d c₂ b/(1 − c₂ b)), b = (κ₂ − κ₁)/(κ₂ + (d − 1) κ₁)."""
    b = (10.0 - 1.0) / (10.0 + (dimension - 1))
    maxwell = 1.0 + dimension * 0.3 * b / (1.0 - 0.3 * b)
    found = conductivity_bounds(np.array([1.0, 10.0]), np.array([0.7, 0.3]), dimension)
    assert found.low == pytest.approx(maxwell, rel=1e-12)


@pytest.mark.parametrize("dimension", [2, 3])
def test_the_bounds_lie_within_those_of_voigt_and_reuss(dimension: int) -> None:
    phases, fractions = [MATRIX, FIBRE], np.array([0.85, 0.15])
    found = elastic_bounds(phases, dimension)
    wide = voigt_reuss(np.array([each.bulk(dimension) for each in phases]), fractions)
    assert wide.low < found["bulk"].low < found["bulk"].high < wide.high


def test_equal_phases_leave_nothing_open() -> None:
    same = elastic_bounds([Phase(0.3, 7.0, 0.25), Phase(0.7, 7.0, 0.25)], 3)
    assert same["shear"].low == pytest.approx(same["shear"].high) == pytest.approx(2.8)


def test_a_table_says_what_lies_outside() -> None:
    bounds = elastic_bounds([MATRIX, FIBRE], 2)
    table = bounds_table({"bulk": bounds["bulk"].low + 1.0, "shear": bounds["shear"].low - 1.0}, bounds, "MPa")
    assert [row[-1] for row in table.rows] == ["yes", "no"]


# ---- the separation of scales ----


def test_the_change_of_a_linear_strain_is_its_slope() -> None:
    places = np.random.default_rng(1).random((60, 2))
    strains = np.zeros((60, 2, 2))
    strains[:, 0, 0] = 1e-3 * (2.0 + places[:, 0])
    found = separation(0.05, 1.0, places, strains)
    assert found.ratio == pytest.approx(0.05)
    assert found.gradient == pytest.approx(0.05 / (2.0 + places[:, 0].min()), rel=1e-9)


def test_where_there_is_next_to_no_strain_its_change_is_not_asked_for() -> None:
    places = np.linspace(-1.0, 1.0, 41)[:, None]
    assert separation(0.1, 2.0, places, 1e-3 * places).gradient == pytest.approx(0.1 / 0.1, rel=0.5)


MISTAKES: dict[str, tuple[Callable[[], object], str]] = {
    "no body": (lambda: separation(0.1, 0.0), "both are above zero"),
    "too few points": (lambda: separation(0.1, 1.0, np.zeros((2, 2)), np.zeros((2, 2))), "2 points are too few"),
    "a large cell": (lambda: separation(0.2, 1.0).need(), "its size over that of the body is 0.2, and 0.1 is"),
    "a steep strain": (
        lambda: separation(0.1, 10.0, np.eye(3)[:, :1] + [[0], [0], [3.0]], np.array([[1.0], [2.0], [9.0]])).need(),
        "the change of the strain across it",
    ),
    "fractions": (lambda: voigt_reuss(np.ones(2), np.array([0.5, 0.6])), "add up to 1.1"),
    "one fraction": (lambda: voigt_reuss(np.ones(2), np.ones(1)), "one of each is wanted"),
    "a hole": (lambda: conductivity_bounds(np.array([0.0, 1.0]), np.array([0.5, 0.5]), 2), "above zero"),
    "a line": (lambda: elastic_bounds([MATRIX, FIBRE], 1), "2 and 3 dimensions, not in 1"),
}


@pytest.mark.parametrize("mistake", MISTAKES)
def test_a_mistake_has_its_sentence(mistake: str) -> None:
    make, says = MISTAKES[mistake]
    with pytest.raises(CaseError, match=says):
        make()
