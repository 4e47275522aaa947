"""Errors of correlated samples against those that are known."""

from __future__ import annotations

import logging
import subprocess
import sys

import numpy as np
import pytest

from scalespan.adapters.interface import Array, NotConverged

pytest.importorskip("pymbar", reason="pymbar is not installed")
from scalespan.bridges.atomistic_cell.statistics import average, blocks, equilibrated, jackknife

MEMORY = 0.7  # of x' = a x + noise: g = (1 + a)/(1 − a) = 5.67, the variance 1/(1 − a²)
SAMPLES = 4000


def walk(seed: int, count: int = SAMPLES) -> Array:
    """Return two series (count, 2) with memory, whose noise has the correlation 0.5."""
    noise = np.random.default_rng(seed).multivariate_normal([0.0, 0.0], [[1.0, 0.5], [0.5, 1.0]], count)
    found = np.zeros((count, 2))
    found[0] = noise[0] / np.sqrt(1.0 - MEMORY**2)
    for i in range(1, count):
        found[i] = MEMORY * found[i - 1] + noise[i]
    return found


EXACT = (1.0 + MEMORY) / (1.0 - MEMORY) / (1.0 - MEMORY**2) / SAMPLES * np.array([[1.0, 0.5], [0.5, 1.0]])


def test_the_covariance_of_a_mean_holds_the_memory() -> None:
    found = np.mean([average(walk(seed)).covariance for seed in range(8)], axis=0)
    np.testing.assert_allclose(found, EXACT, rtol=0.12)


def test_blocks_say_the_same() -> None:
    found = np.mean([average(walk(seed)).block_errors ** 2 for seed in range(8)], axis=0)
    np.testing.assert_allclose(found, np.diag(EXACT), rtol=0.35)


def test_leaving_blocks_out_gives_the_error_of_a_mean() -> None:
    found = []
    for seed in range(8):
        series = walk(seed)[:, :1]
        parts = blocks(SAMPLES, 5.67)
        found.append(jackknife(lambda used, x=series: x[used].mean(axis=0), SAMPLES, parts)[0])
    assert np.mean(found) == pytest.approx(EXACT[0, 0], rel=0.35)


def test_the_beginning_is_left_out() -> None:
    """A start that decays over fifty samples."""
    series = walk(3, 1000)
    series[:, 0] += 30.0 * np.exp(-np.arange(1000) / 50.0)
    assert 100 < equilibrated(series) < 500


def test_what_drifts_all_along_is_refused() -> None:
    series = walk(3, 1000)
    series[:, 0] += 0.05 * np.arange(1000)
    with pytest.raises(NotConverged, match="too few for errors"):
        average(series[equilibrated(series) :])


def test_too_few_samples_say_how_many_more() -> None:
    with pytest.raises(NotConverged, match=r"too few for errors; .*raise samples by a factor of 3\.0"):
        blocks(50, 10.0)


def test_pymbar_says_nothing_when_it_is_imported() -> None:
    code = "import scalespan.bridges.atomistic_cell.statistics as s; s._timeseries()"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60)
    assert done.stdout + done.stderr == ""
    assert logging.getLogger("pymbar").level == logging.NOTSET
