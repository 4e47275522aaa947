"""Values over a coupling window: samples in time and the spline through them."""

from __future__ import annotations

import numpy as np
from scipy.interpolate import BSpline, make_interp_spline

from scalespan.adapters.interface import Array

# preCICE takes times that differ by less for one.
SAME = 1e-14


class Waveform:
    """Samples at growing times, the first at the window's start; between them a B-spline through all.

    The spline's degree is ``degree``, or one less than the number of samples where that is smaller; its knots are the
    averages of de Boor (A Practical Guide to Splines, 2001, p. 175), as in preCICE
    (Rodenberg, Uekermann 2025, arXiv:2511.07616).

    Args:
        degree: of the spline.
        time: of the first sample.
        values: the first sample (n, components).
    """

    def __init__(self, degree: int, time: float, values: Array) -> None:
        self._degree = degree
        self.times, self.values = [time], [values]
        self._spline: BSpline | None = None

    @property
    def last(self) -> Array:
        """The sample (n, components) at the latest time."""
        return self.values[-1]

    def add(self, time: float, values: Array) -> None:
        """Add a sample (n, components), or replace the one at that time."""
        if abs(time - self.times[-1]) <= SAME:
            self.times.pop()
            self.values.pop()
        self.times.append(time)
        self.values.append(values)
        self._spline = None

    def replace(self, times: list[float], values: list[Array]) -> None:
        """Take these samples instead of all."""
        self.times, self.values, self._spline = list(times), list(values), None

    def cut(self) -> None:
        """Drop all samples but the first: the window starts again."""
        self.replace(self.times[:1], self.values[:1])

    def move(self) -> None:
        """Drop all samples but the last: it starts the next window."""
        self.replace(self.times[-1:], self.values[-1:])

    def copy(self) -> Waveform:
        """Return a waveform with the same samples."""
        copy = Waveform(self._degree, self.times[0], self.values[0])
        copy.replace(self.times, self.values)
        return copy

    def at(self, time: float) -> Array:
        """Return the values (n, components) at ``time``; beyond the samples, the nearest one's."""
        for known, values in zip(self.times, self.values, strict=True):
            if abs(known - time) <= SAME:
                return values
        degree = min(self._degree, len(self.times) - 1)
        if degree == 0:
            return self.values[-1 if time > self.times[-1] else int(np.searchsorted(self.times, time))]
        start, length = self.times[0], self.times[-1] - self.times[0]
        if self._spline is None:
            self._spline = _interpolant(degree, (np.array(self.times) - start) / length, np.array(self.values))
        return np.asarray(self._spline(min(max((time - start) / length, 0.0), 1.0)))


def _interpolant(degree: int, times: Array, values: Array) -> BSpline:
    """Return the B-spline of ``degree`` through ``values`` at ``times`` from 0 to 1, with averaged knots."""
    inner = [float(times[first : first + degree].mean()) for first in range(1, len(times) - degree)]
    knots = np.concatenate([np.zeros(degree + 1), inner, np.ones(degree + 1)])
    return make_interp_spline(times, values, k=degree, t=knots)
