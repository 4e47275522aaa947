r"""Means of correlated samples, with their errors.

The beginning is left out by maximising the number of effective samples (J. D. Chodera 2016,
doi:10.1021/acs.jctc.5b00784), in pymbar. What follows has n samples of statistical inefficiency g, so that the
covariance of the mean is

$$\mathrm{cov}(\bar a, \bar b) = \frac{\sqrt{g_a g_b}}{n} \, \mathrm{cov}(a, b);$$

blocks, at least two correlation times long, give the error once more without g (H. Flyvbjerg and H. G. Petersen 1989,
doi:10.1063/1.457480), and the error of what is no mean by leaving each out in turn (the jackknife).
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from itertools import pairwise
from types import ModuleType

import numpy as np

from scalespan.adapters.interface import Array, EngineMissing, NotConverged

_FEWEST = 5  # blocks
_MOST = 20


@dataclass(frozen=True)
class Average:
    """The mean of k series."""

    mean: Array  # (k,)
    covariance: Array  # (k, k) of the mean
    inefficiency: Array  # (k,) g: this many samples count as one
    block_errors: Array  # (k,) standard errors, by blocks
    count: int  # n samples, of equilibrium

    @property
    def errors(self) -> Array:
        """The standard errors (k,)."""
        found: Array = np.sqrt(np.diag(self.covariance))
        return found


def equilibrated(series: Array) -> int:
    """Return how many of the first samples of series (n, k) are to be left out: until the slowest is there.

    At most half: the maximum is flat, and that of a short series lies anywhere. Where half is not enough, what is left
    drifts, and its inefficiency and its errors are large.
    """
    count, detect = len(series), _timeseries().detect_equilibration
    found = max(int(detect(each, nskip=max(1, count // 40))[0]) for each in series.T)
    return min(found, count // 2)


def average(series: Array) -> Average:
    """Return the mean of series (n, k) at equilibrium.

    Raises:
        NotConverged: too few samples for blocks of two correlation times.
    """
    count = len(series)
    inefficiency = np.array([_inefficiency(each) for each in series.T])
    spread = np.cov(series.T).reshape(series.shape[1], -1)
    weight = np.sqrt(inefficiency)
    parts = blocks(count, float(inefficiency.mean()))
    means = np.array([series[part].mean(axis=0) for part in parts])
    return Average(
        mean=series.mean(axis=0),
        covariance=spread * np.outer(weight, weight) / count,
        inefficiency=inefficiency,
        block_errors=means.std(axis=0, ddof=1) / np.sqrt(len(parts)),
        count=count,
    )


def blocks(count: int, inefficiency: float) -> list[slice]:
    """Return 5 to 20 parts of a series of ``count`` samples, each at least 2 g long.

    Raises:
        NotConverged: there are too few samples.
    """
    number = min(_MOST, int(count / (2.0 * inefficiency)))
    if number < _FEWEST:
        raise NotConverged(
            f"{count} samples at equilibrium, {inefficiency:.1f} of which count as one, are too few for errors",
            where="atomistic_cell",
            todo=f"raise samples by a factor of {2.0 * inefficiency * _FEWEST / count * 1.5:.1f}, or the interval",
        )
    edges = np.linspace(0, count, number + 1).astype(int)
    return [slice(int(a), int(b)) for a, b in pairwise(edges)]


def jackknife(estimate: Callable[[Array], Array], count: int, parts: list[slice]) -> Array:
    """Return the variance of an estimate, a function of the mask (count,) of the samples that it may use."""
    without = []
    for part in parts:
        mask = np.ones(count, dtype=bool)
        mask[part] = False
        without.append(estimate(mask))
    spread = np.array(without)
    found: Array = (len(parts) - 1.0) * spread.var(axis=0)
    return found


def _inefficiency(series: Array) -> float:
    if np.ptp(series) <= 1e-12 * max(1.0, float(np.abs(series).max())):
        return 1.0
    return float(_timeseries().statistical_inefficiency(series))


@cache
def _timeseries() -> ModuleType:
    """Return pymbar's time series, without what it logs when it is imported."""
    log = logging.getLogger("pymbar")
    level = log.level
    log.setLevel(logging.CRITICAL)
    try:
        from pymbar import timeseries
    except ModuleNotFoundError as error:
        raise EngineMissing.named("pymbar", "pip install 'scalespan[statistics]'") from error
    finally:
        log.setLevel(level)
    found: ModuleType = timeseries
    return found
