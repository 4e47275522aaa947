r"""Means, scatters and powers of a ladder, each with its standard error.

A quantity Z of cells of the size N in d dimensions has the standard deviation

$$D_Z(N) = D_0\,(A/N^d)^{1/2} \propto N^{-d/2},$$

with A the integral range, where the medium is ergodic and its correlations are short. The mean of n cells has the
relative error e with 95 % confidence for

$$n = \left(\frac{2 D_Z}{e\,\bar Z}\right)^2$$

(T. Kanit, S. Forest, I. Galliet, V. Mounoury, D. Jeulin 2003, doi:10.1016/S0020-7683(03)00143-4). No number
of cells takes away the bias of their size.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from scalespan.adapters.interface import Array


@dataclass(frozen=True)
class Spread:
    """The mean and the standard deviation of independent numbers."""

    count: int
    mean: float
    deviation: float

    @property
    def error(self) -> float:
        """The standard error of the mean."""
        return float(self.deviation / np.sqrt(self.count))

    @property
    def deviation_error(self) -> float:
        """The standard error of the standard deviation, of numbers that are nearly normal."""
        return float(self.deviation / np.sqrt(2.0 * (self.count - 1)))


@dataclass(frozen=True)
class Power:
    """y = c N^p."""

    exponent: float
    error: float  # the standard error of the exponent


def spread_of(numbers: Array) -> Spread:
    """Return the mean of numbers (n,) and their standard deviation, of n − 1."""
    return Spread(len(numbers), float(np.mean(numbers)), float(np.std(numbers, ddof=1)))


def realisations_for(spread: Spread, error: float) -> int:
    """Return how many cells give the mean within a relative ``error``, with 95 % confidence."""
    return max(1, int(np.ceil((2.0 * spread.deviation / (error * abs(spread.mean))) ** 2)))


def power_of(sizes: Array, values: Array, errors: Array) -> Power | None:
    """Return the power law through values (k,) with standard errors (k,), by weighted least squares of the logarithms.

    None where there are fewer than two sizes, or a value that is not above zero.
    """
    if len(sizes) < 2 or float(np.min(values)) <= 0.0:
        return None
    weights = values / np.maximum(errors, 1e-12 * values)  # 1 over the error of the logarithm
    x, y = np.log(sizes), np.log(values)
    centred = x - np.average(x, weights=weights**2)
    spread = float((weights**2 * centred**2).sum())
    return Power(float((weights**2 * centred * y).sum() / spread), spread**-0.5)
