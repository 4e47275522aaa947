"""Straight lines through series: the drift of an energy, and how well a short run can know it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from scalespan.adapters.interface import Array


@dataclass(frozen=True)
class Line:
    """A line fitted by least squares."""

    slope: float  # y's unit over x's
    error: float  # standard error of `slope`
    scatter: float  # rms distance of y from the line


def fit_line(x: Array, y: Array) -> Line:
    """Return the line through the points.

    An oscillation that is sampled densely does not give as many independent points as
    samples: the error counts one for each stretch on one side of the line, and is
    scatter / (std(x) √stretches). With two points it is the slope itself.
    """
    if len(x) < 2:
        return Line(0.0, 0.0, 0.0)
    dx, dy = x - x.mean(), y - y.mean()
    slope = float((dx @ dy) / (dx @ dx))
    if len(x) == 2:
        return Line(slope, abs(slope), 0.0)
    away = dy - slope * dx
    scatter = float(np.sqrt((away**2).mean()))
    stretches = 1 + int(np.count_nonzero(np.diff(away > 0.0)))
    return Line(slope, scatter / float(dx.std() * np.sqrt(stretches)), scatter)


class RunningLine:
    """The slope of a line while its points come in."""

    def __init__(self) -> None:
        self._n, self._x, self._y, self._xx, self._xy = 0, 0.0, 0.0, 0.0, 0.0

    def add(self, x: Sequence[float] | Array, y: Sequence[float] | Array) -> None:
        """Take points in (Welford's update, doi:10.1080/00401706.1962.10490022)."""
        for one, two in zip(x, y, strict=True):
            self._n += 1
            dx = one - self._x
            self._x += dx / self._n
            self._y += (two - self._y) / self._n
            self._xx += dx * (one - self._x)
            self._xy += dx * (two - self._y)

    @property
    def slope(self) -> float:
        """The slope so far; zero with one point."""
        return float(self._xy / self._xx) if self._xx > 0.0 else 0.0


def conserved(table: Mapping[str, Array]) -> Array:
    """Return what an exact motion would keep (eV) of a series: the energy, less what was given where that is known."""
    return table["conserved/eV"] if "conserved/eV" in table else table["total/eV"]
