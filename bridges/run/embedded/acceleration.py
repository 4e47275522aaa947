"""What makes an implicit window converge faster: relaxation, Aitken, interface quasi-Newton.

All of them see the sent values x̃ of an iteration (and, in a parallel scheme, the received ones too) and the values x
that led to them, and choose the next x. Numbers are those of preCICE 3.4.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from scalespan.adapters.interface import Array, CouplingError, Indices

from ..precice_config import Acceleration
from .waveform import SAME, Waveform

Key = tuple[str, str]  # (data, mesh)


@dataclass
class Coupled:
    """One field of an implicit scheme: its values now and in the last iteration."""

    now: Waveform
    before: Waveform

    def relax(self, factor: float) -> None:
        """Take ``factor`` of the new values and the rest of the old, after the window's start."""
        old = [self.before.at(time) for time in self.now.times[1:]]
        new = [factor * value + (1.0 - factor) * last for value, last in zip(self.now.values[1:], old, strict=True)]
        self.now.replace(self.now.times, [self.now.values[0], *new])


class Accelerate(Protocol):
    """An acceleration."""

    def improve(self, fields: Mapping[Key, Coupled]) -> None:
        """Replace the values of an iteration that has not converged by better ones."""

    def converged(self, fields: Mapping[Key, Coupled]) -> None:
        """Hear that the iteration has converged, before the next window begins."""


def accelerate(options: Acceleration | None) -> Accelerate:
    """Return the acceleration that the XML describes."""
    if options is None:
        return Constant(1.0)
    if options.kind == "constant":
        return Constant(options.relaxation)
    return Aitken(options) if options.kind == "aitken" else QuasiNewton(options)


class Constant:
    """x ← ω x̃ + (1 - ω) x."""

    def __init__(self, factor: float) -> None:
        self._factor = factor

    def improve(self, fields: Mapping[Key, Coupled]) -> None:
        """Relax every field; with ω = 1 leave the bits alone."""
        if self._factor != 1.0:
            for field in fields.values():
                field.relax(self._factor)

    def converged(self, fields: Mapping[Key, Coupled]) -> None:
        """Nothing is remembered."""


class Weights:
    """Brings fields of unlike size together: each is divided by its share of the residual, summed over iterations.

    With ``update-on-threshold`` the weights change, after the first window, only when one would by a factor of ten.
    """

    def __init__(self, options: Acceleration) -> None:
        self._constant = options.preconditioner == "constant"
        self._lazy, self._freeze_after = options.update_on_threshold, options.freeze_after
        count = len(options.data)
        self._weights: Array = np.ones(count)
        if self._constant:
            self._weights = 1.0 / np.array([scaling for _, _, scaling in options.data])
        self._sum, self._used = np.zeros(count), np.zeros(count)
        self._windows, self._first = 0, True

    def update(self, residuals: Sequence[Array]) -> None:
        """Hear of an iteration's residuals, one vector for each field."""
        if self._constant or 0 < self._freeze_after <= self._windows:
            return
        norms = np.array([np.linalg.norm(residual) for residual in residuals])
        total = float(np.linalg.norm(norms))
        if total > SAME:
            self._sum += norms / total
        present = self._sum > SAME
        ratio = self._used[present] / self._sum[present]
        if self._first or not self._lazy or np.any((ratio > 10.0) | (ratio < 0.1)):
            self._weights[present] = 1.0 / self._sum[present]
            self._used = self._sum.copy()

    def next_window(self) -> None:
        """Hear that the iteration has converged."""
        self._windows += 1
        self._sum[:], self._first = 0.0, False

    def of(self, vectors: Sequence[Array]) -> Array:
        """Return each entry's weight, for vectors of these sizes put end to end."""
        return np.repeat(self._weights, [len(vector) for vector in vectors])


class Aitken:
    """Relaxation with ω ← -ω r·Δr / Δr·Δr, the residual r = x̃ - x at the window's end.

    Küttler, Wall 2008, doi:10.1007/s00466-008-0255-5.
    """

    def __init__(self, options: Acceleration) -> None:
        self._keys = [(data, mesh) for data, mesh, _ in options.data]
        self._largest = self._factor = options.relaxation
        self._weights = Weights(options)
        self._residual: Array | None = None  # of the iteration before, in this window

    def improve(self, fields: Mapping[Key, Coupled]) -> None:
        """Relax every field by the factor that the last two residuals suggest."""
        parts = [
            (fields[key].now.last - fields[key].before.at(fields[key].now.times[-1])).ravel() for key in self._keys
        ]
        self._weights.update(parts)
        residual = np.concatenate(parts)
        if self._residual is None:
            self._factor = float(np.copysign(min(self._largest, abs(self._factor)), self._factor))
        else:
            weights = self._weights.of(parts)
            change = weights * (residual - self._residual)
            self._factor *= -float((weights * self._residual) @ change) / float(change @ change)
        for field in fields.values():
            field.relax(self._factor)
        self._residual = residual

    def converged(self, fields: Mapping[Key, Coupled]) -> None:
        """Begin the next window with the factor of this one, at most the first."""
        self._residual = None
        self._weights.next_window()


class QuasiNewton:
    """IQN-ILS: x ← x̃ + W c with c the least-squares solution of V c = -r.

    Degroote, Bathe, Vierendeels 2009, doi:10.1016/j.compstruc.2008.11.013.
    The columns of V and W are differences of residuals r = x̃ - x and of x̃ between iterations, newest first, of this
    window and of ``time-windows-reused`` earlier ones; the filter leaves out what is nearly linearly dependent.
    """

    def __init__(self, options: Acceleration) -> None:
        self._options = options
        self._keys = [(data, mesh) for data, mesh, _ in options.data]
        self._weights = Weights(options)
        self._v: list[Array] = []
        self._w: list[Array] = []
        self._counts = [0]  # columns of each window, newest first
        self._spare: tuple[list[Array], list[Array], list[int]] = ([], [], [])
        self._last: tuple[Array, Array] | None = None  # residual and values of the iteration before, in this window
        self._first_window = True
        self._grids: dict[Key, Array] = {}  # times of the samples, as parts of the window

    def improve(self, fields: Mapping[Key, Coupled]) -> None:
        """Take a quasi-Newton step, or in the very first iteration a relaxed one.

        Raises:
            CouplingError: the step is not finite.
        """
        first = self._last is None
        residuals, values = self._hear(fields)
        if first and (self._first_window or self._options.enforce):
            for field in fields.values():
                field.relax(self._options.relaxation)
            return
        if not self._v and self._options.time_windows_reused == 0 and not self._options.enforce:
            self._v, self._w, self._counts = (list(each) for each in self._spare)  # type: ignore[assignment]
        self._weights.update(residuals)
        step = self._step(residuals, len(values))
        if not np.all(np.isfinite(step)):
            raise CouplingError(
                "the quasi-Newton step is not finite",
                todo="write values that change with what is read, or raise the limit of the filter",
            )
        self._write(fields, values + step)
        if first and self._options.time_windows_reused == 0:
            self._forget()

    def converged(self, fields: Mapping[Key, Coupled]) -> None:
        """Keep the last differences, and drop those of windows that are too old."""
        first = self._last is None
        self._hear(fields)
        self._last = None
        self._first_window = self._first_window and first
        self._weights.next_window()
        reused = self._options.time_windows_reused
        if self._counts[0] == 0:
            self._counts.pop(0)
        if reused == 0 and self._options.enforce:
            self._v, self._w, self._counts = [], [], []
        elif 0 < reused < len(self._counts):
            old = self._counts.pop()
            self._v, self._w = self._v[:-old], self._w[:-old]
        self._counts.insert(0, 0)

    def _hear(self, fields: Mapping[Key, Coupled]) -> tuple[list[Array], Array]:
        """Add the newest columns; return the residuals, one vector for each field, and all values."""
        if self._last is None and self._first_window:
            self._grids = {key: _parts(field.now) for key, field in fields.items()}
        ends = np.ones(1)
        grids = {key: ends if self._options.reduced_time_grid else self._grids[key] for key in self._keys}
        residuals = [_sampled(fields[key].now, grids[key]) - self._old(fields[key], grids[key]) for key in self._keys]
        values = np.concatenate([_sampled(field.now, self._grids[key]) for key, field in fields.items()])
        residual = np.concatenate(residuals)
        if self._last is not None:
            self._add(residual - self._last[0], values - self._last[1])
        self._last = (residual, values)
        return residuals, values

    @staticmethod
    def _old(field: Coupled, grid: Array) -> Array:
        return np.concatenate([field.before.at(time).ravel() for time in _times(field.now, grid)])

    def _add(self, residual: Array, values: Array) -> None:
        full = len(self._v) == self._options.max_used_iterations or len(self._v) > len(residual)
        self._v.insert(0, residual)
        self._w.insert(0, values)
        self._counts[0] += 1
        if full:
            self._drop(len(self._v) - 1)

    def _drop(self, column: int) -> None:
        del self._v[column], self._w[column]
        ends = np.cumsum(self._counts)
        window = int(np.searchsorted(ends, column, side="right"))
        self._counts[window] -= 1
        if self._counts[window] == 0 and window > 0:
            del self._counts[window]

    def _step(self, residuals: Sequence[Array], size: int) -> Array:
        """Return the change (entries,) of the values."""
        weights = self._weights.of(residuals)
        for column in reversed(dependent(np.array(self._v).T * weights[:, None], self._options)):
            self._drop(column)
        if not self._v:
            return np.zeros(size)
        scaled = np.array(self._v).T * weights[:, None]
        orthogonal, triangle = np.linalg.qr(scaled)
        share = np.linalg.solve(triangle, -orthogonal.T @ (weights * np.concatenate(residuals)))
        return np.asarray(np.array(self._w).T @ share)

    def _write(self, fields: Mapping[Key, Coupled], values: Array) -> None:
        begin = 0
        for key, field in fields.items():
            times = _times(field.now, self._grids[key])
            shape = field.now.values[0].shape
            samples = values[begin : begin + len(times) * field.now.values[0].size].reshape(len(times), *shape)
            begin += samples.size
            field.now.replace([field.now.times[0], *times], [field.now.values[0], *samples])

    def _forget(self) -> None:
        """Drop the earlier window's columns, which were only for this window's first step."""
        if self._v:
            self._spare = (list(self._v), list(self._w), list(self._counts))
        self._v, self._w, self._counts = [], [], [0]


def _parts(waveform: Waveform) -> Array:
    """Return the times after the window's start, as parts of the window."""
    times = np.array(waveform.times)
    return np.asarray((times[1:] - times[0]) / (times[-1] - times[0]))


def _times(waveform: Waveform, grid: Array) -> list[float]:
    start, end = waveform.times[0], waveform.times[-1]
    return [end if part == 1.0 else float(part * (end - start) + start) for part in grid]


def _sampled(waveform: Waveform, grid: Array) -> Array:
    return np.concatenate([waveform.at(time).ravel() for time in _times(waveform, grid)])


def dependent(columns: Array, options: Acceleration) -> list[int]:
    """Return which columns the filter leaves out, in growing order.

    QR1 drops, again and again, the first column whose diagonal entry of R is below the limit times the norm of R
    (QR1-absolute: below the limit). QR2 keeps a column, newest first, when its part orthogonal to those kept is at
    least the limit times its norm; QR3 gives the same with fewer factorisations (Haelterman et al. 2016,
    10.1016/j.compstruc.2015.11.018).
    """
    if options.filter.startswith("QR1"):
        return _dependent_by_diagonal(columns, options.filter_limit, absolute=options.filter == "QR1-absolute")
    kept: list[Array] = []
    out = []
    for index, column in enumerate(columns.T):
        rest = column.copy()
        for _ in range(2):  # twice is enough (Giraud et al. 2005, 10.1007/s00211-005-0615-4)
            for direction in kept:
                rest -= (direction @ rest) * direction
        size = float(np.linalg.norm(rest))
        if (
            len(kept) == len(column)
            or size <= np.finfo(float).tiny
            or size < options.filter_limit * np.linalg.norm(column)
        ):
            out.append(index)
        else:
            kept.append(rest / size)
    return out


def _dependent_by_diagonal(columns: Array, limit: float, *, absolute: bool) -> list[int]:
    left: Indices = np.arange(columns.shape[1])
    while len(left) > 1:
        triangle = np.linalg.qr(columns[:, left], mode="r")
        factor = 1.0 if absolute else float(np.linalg.norm(triangle))
        small = np.flatnonzero(np.abs(np.diag(triangle)) < limit * factor)
        if len(small) == 0:
            break
        left = np.delete(left, small[0])
    return sorted(set(range(columns.shape[1])) - set(left.tolist()))
