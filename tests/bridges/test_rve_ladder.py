"""The ladder of cell sizes: its statistics against exact ones, a random checkerboard, and what is refused."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from scalespan.adapters.interface import Conclusion, ScalespanError
from scalespan.bridges.rve_ladder import (
    RveLadder,
    RveLadderOptions,
    Spread,
    power_of,
    realisations_for,
    spread_of,
)


def ladder(options: dict[str, Any], **problem: Any) -> RveLadder:
    """Return a ladder over a random checkerboard; conduction 1 : 10 by default."""
    pytest.importorskip("dolfinx", reason="DOLFINx is not installed")
    from scalespan.adapters.dolfinx import DolfinxAdapter

    mesh = {"checkerboard": {"squares": [2, 2], "seed": 0, "cells": 4}, "cell": "quadrilateral"}
    solved = problem or {"heat": {"conductivity": [1.0, 10.0], "capacity": 0.0}}
    cell = DolfinxAdapter(DolfinxAdapter.Options.read({"mesh": mesh} | solved))
    return RveLadder(RveLadderOptions.read(options), cell=cell)


def concluded(study: RveLadder) -> Conclusion:
    rows = np.array([study.row(number) for number in range(study.rows)])
    return study.conclude(dict(zip(study.columns, rows.T, strict=True)))


# ---- statistics ----


def test_a_power_is_found_with_its_error() -> None:
    sizes = np.array([4.0, 8.0, 16.0])
    found = power_of(sizes, 3.0 * sizes**-1.0, 0.3 * sizes**-1.0)
    assert found is not None
    assert found.exponent == pytest.approx(-1.0, rel=1e-12)
    assert found.error == pytest.approx(0.1 / np.sqrt(2.0 * np.log(2.0) ** 2), rel=1e-12)


def test_an_exponent_scatters_by_its_error() -> None:
    numbers, sizes, off = np.random.default_rng(3), np.array([4, 8, 16]), []
    for _ in range(200):
        spreads = [spread_of(numbers.normal(1.0, 1.0 / size, 50)) for size in sizes]
        both = np.array([(each.deviation, each.deviation_error) for each in spreads])
        power = power_of(sizes, *both.T)
        assert power is not None
        off.append((power.exponent + 1.0) / power.error)
    assert np.std(off) == pytest.approx(1.0, abs=0.2)


def test_one_size_has_no_power() -> None:
    assert power_of(np.array([4]), np.array([1.0]), np.array([0.1])) is None


def test_the_realisations_that_are_needed() -> None:
    """T. Kanit et al. 2003: (2·0.3/(0.01·3))²."""
    assert realisations_for(Spread(10, 3.0, 0.3), 0.01) == 400


# ---- a random checkerboard ----


@pytest.mark.slow
def test_scatter_and_bias_fall_with_the_size_of_a_cell() -> None:
    """In 2-D the scatter is ∝ 1/N (the integral range); so is the bias, which falls slower among small cells."""
    found = concluded(ladder({"sizes": [4, 8, 16], "realisations": [80, 40, 16]}))
    for family in ("kinematic", "periodic", "static"):
        power, error = (
            found.values[f"conductivity_{family}_scatter_{what}"][0] for what in ("exponent", "exponent_error")
        )
        assert abs(power + 1.0) < 3.5 * error < 0.5
    assert -1.05 < found.values["conductivity_bias_exponent"][0] < -0.6
    assert found.values["conductivity_last_bias_exponent"][0] < found.values["conductivity_bias_exponent"][0]
    assert (
        found.values["conductivity_static_16"][0] < np.sqrt(10.0) * 1.03 < found.values["conductivity_kinematic_16"][0]
    )


def test_each_realisation_is_bounded_from_both_sides() -> None:
    study = ladder({"sizes": [2, 5], "realisations": [4, 4]})
    rows = np.array([study.row(number) for number in range(study.rows)])
    kinematic, periodic, static = rows[:, 2:].T
    assert (kinematic >= periodic - 1e-12).all() and (periodic >= static - 1e-12).all()
    assert (kinematic - static).max() > 0.1


def test_a_row_depends_on_its_number_alone() -> None:
    study = ladder({"sizes": [2, 3], "realisations": [2, 2]})
    forwards = [study.row(number) for number in range(4)]
    assert [study.row(number) for number in (3, 2, 1, 0)] == forwards[::-1]


def test_a_solid_of_one_material_has_its_moduli_and_no_scatter() -> None:
    options = {"sizes": [2, 3], "realisations": [2, 2], "families": ["periodic"]}
    found = concluded(ladder(options, elasticity={"young": [2.0, 2.0], "poisson": 0.25})).values
    assert found["bulk_periodic_3"][0] == pytest.approx(0.8 + 0.8, rel=1e-10)  # λ + μ in plane strain
    assert found["shear_periodic_3"][0] == pytest.approx(0.8, rel=1e-10)
    assert found["bulk_periodic_deviation_3"][0] < 1e-12
    assert found["shear_periodic_realisations_3"][0] == 1.0


def test_two_tables_are_shown_with_their_curves() -> None:
    means, falling = concluded(ladder({"sizes": [2, 4], "realisations": [3, 3]})).tables
    assert means.chart is not None and set(means.chart.curves) == {"kinematic", "periodic", "static"}
    assert falling.chart is not None and falling.chart.log
    assert [row[0] for row in falling.rows] == ["2", "4", "power", "of the last two"]


# ---- mistakes ----


def plain() -> RveLadder:
    pytest.importorskip("dolfinx", reason="DOLFINx is not installed")
    from scalespan.adapters.dolfinx import DolfinxAdapter

    table = {"mesh": {"low": [0, 0], "high": [1, 1], "cells": [2, 2]}, "heat": {"capacity": 0.0}}
    return RveLadder(
        RveLadderOptions(sizes=[2], realisations=[2]), cell=DolfinxAdapter(DolfinxAdapter.Options.read(table))
    )


MISTAKES: dict[str, tuple[Callable[[], object], str]] = {
    "no cell": (lambda: RveLadder(RveLadderOptions(sizes=[2], realisations=[2])), "a ladder needs a cell"),
    "no random medium": (plain, "the mesh is of no random medium"),
    "one realisation": (
        lambda: RveLadderOptions.read({"sizes": [2], "realisations": [1]}),
        "equal to 2",
    ),
    "other lengths": (lambda: RveLadderOptions.read({"sizes": [2, 4], "realisations": [9]}), "one of each is wanted"),
    "no ladder": (lambda: RveLadderOptions.read({"sizes": [4, 2], "realisations": [9, 9]}), "must grow"),
    "twice a family": (
        lambda: RveLadderOptions.read({"sizes": [4], "realisations": [9], "families": ["static", "static"]}),
        "each family is named once",
    ),
}


@pytest.mark.parametrize("mistake", MISTAKES)
def test_a_mistake_has_its_sentence(mistake: str) -> None:
    make, says = MISTAKES[mistake]
    with pytest.raises(ScalespanError, match=says):
        make()
