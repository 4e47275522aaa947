"""Neyman's allocation: the sum's error is what was wanted, and no other samples of the same cost do better."""

from __future__ import annotations

import numpy as np
import pytest

from scalespan.adapters.interface.allocation import neyman

RANDOM = np.random.default_rng(8)
VARIANCES, COSTS = RANDOM.uniform(0.5, 20.0, 12), RANDOM.uniform(0.2, 5.0, 12)


@pytest.mark.parametrize("costs", [None, COSTS])
def test_the_error_is_the_wanted_one(costs) -> None:
    factors = neyman(VARIANCES, 0.3, costs)
    assert (VARIANCES / factors).sum() == pytest.approx(0.3**2, rel=1e-12)
    assert (factors > 1.0).all()


def test_two_points_by_hand() -> None:
    """g = 4 and 1, τ = 1, costs 1: f = 2·3 and 1·3; the variance 4/6 + 1/3 is 1."""
    assert neyman(np.array([4.0, 1.0]), 1.0) == pytest.approx([6.0, 3.0])


def test_no_other_samples_of_the_cost_do_better() -> None:
    factors = neyman(VARIANCES, 0.3, COSTS)
    best = (VARIANCES / factors).sum()
    for _ in range(200):
        other = factors * RANDOM.uniform(0.5, 2.0, 12)
        other *= (COSTS @ factors) / (COSTS @ other)
        assert (VARIANCES / other).sum() >= best * (1.0 - 1e-12)


def test_samples_that_are_there_stay() -> None:
    """A point whose error is small already keeps its samples; the others make up for what it leaves."""
    variances = np.array([100.0, 1e-4, 50.0, 0.0])
    factors = neyman(variances, 5.0)
    assert factors[1] == 1.0
    assert factors[3] == 1.0
    assert (variances / factors).sum() == pytest.approx(25.0, rel=1e-12)


def test_enough_is_enough() -> None:
    assert neyman(VARIANCES, 100.0) == pytest.approx(np.ones(12))
