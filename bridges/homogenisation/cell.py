r"""A cell under a mean gradient: its fluctuation by Newton's method, its mean flux, and its condensed tangent.

With u = H X + w and the fluctuations' space of `constraints`, w solves ∫ q(∇u)·∇v = 0 for all v of that space;

$$\bar q = \frac1V \int q, \qquad C = \frac1V L^T K (L + W), \qquad K W = -K L \text{ on that space,}$$

with L the n m values of the m d affine fields: the Schur complement of the stiffness at the converged state, no
difference of two solutions (C. Miehe and A. Koch 2002, doi:10.1007/s00419-002-0212-2).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from scalespan.adapters.interface import Array, CaseError, CellAnswer, EngineFailed, Microstructure, NotConverged

from .constraints import constraint_of
from .options import HomogenisationOptions
from .soundness import Soundness

_SYMMETRIC = 1e-8
_FULL = 1e-9
_ROUND_OFF = 1e-7  # of what the displacements would work against stiffness alone: where 1e-8 is that of digits
_TINY = float(np.finfo(float).tiny)
_LEAST = 1e-6  # of a period: a displacement below which a smaller one is not distinguished


@dataclass(frozen=True)
class Effort:
    """How far Newton's method goes for one answer."""

    accept: float  # it ends where the correction that is left is so small, over the largest displacement
    steps: int  # the most that it takes; a single one is taken as it is, whatever is left
    tangent: bool = True  # whether the tangent is wanted


@dataclass(frozen=True, eq=False)
class Condensed:
    """What a cell answers under one mean gradient, over its whole volume V, with the last correction in it."""

    gradient: Array  # (m, d) H
    flux: Array  # (m, d)
    energy: float | None
    tangent: Array | None  # (m, d, m, d)
    fluctuation: Array  # (n, m)
    slope: Array | None  # (n m, m d) ∂w/∂H, known with the tangent
    iterations: int
    left: float  # the last correction, over the largest displacement
    hill_mandel: float  # |⟨q·∇u⟩ − ⟨q⟩·⟨∇u⟩| over ⟨|q| |∇u|⟩; 0 where too much is left to say
    voigt: Array | None  # (m, d, m, d) the tangent if the gradient were uniform: never below `tangent`
    history: Array | None  # (h,) what it would be if this were final
    dissipation: float  # lost since the history that was given, of the volume

    def predicted(self, gradient: Array) -> Array:
        """Return the fluctuation (n, m) under another mean gradient, to first order."""
        if self.slope is None:
            return self.fluctuation
        change: Array = self.slope @ (gradient - self.gradient).ravel()
        return self.fluctuation + change.reshape(self.fluctuation.shape)


@dataclass(frozen=True)
class _End:
    """Where Newton's method ended."""

    found: CellAnswer  # at `field`
    field: Array  # (n, m) of the whole, before the last correction
    moved: Array  # (n, m) the fluctuation after it
    step: Array  # (n, m) the correction
    iteration: int
    left: float


class Cell:
    """One microstructure with one family of boundary conditions."""

    def __init__(self, microstructure: Microstructure, options: HomogenisationOptions) -> None:
        self.micro, self._options = microstructure, options
        points, self._m = microstructure.points, microstructure.components
        self._d = points.shape[1]
        self.periods = np.array(options.periods or np.diag(np.ptp(points, axis=0)), dtype=np.float64)
        if self.periods.shape != (self._d, self._d) or abs(np.linalg.det(self.periods)) == 0.0:
            raise CaseError(f"the cell has {self._d} dimensions, and so many periods of a volume it must have")
        self.volume = float(abs(np.linalg.det(self.periods)))
        self._whole = abs(microstructure.volume / self.volume - 1.0) < _FULL  # no holes
        if microstructure.volume > self.volume * (1.0 + _FULL):
            raise CaseError(
                f"the elements of the cell fill {microstructure.volume / self.volume:.9g} of its volume",
                where="homogenisation",
                todo="look for elements that overlap or are turned inside out",
            )
        self._constraint = constraint_of(options.boundary, microstructure, self.periods)
        self._soundness = Soundness(microstructure, self.volume, options.definite)
        centred = points - points.mean(axis=0)
        self._affine = np.einsum("nj,ik->nikj", centred, np.eye(self._m)).reshape(-1, self._m * self._d)

    def answer(
        self, gradient: Array, start: Array | None = None, tangent: bool = False, history: Array | None = None
    ) -> Condensed:
        """Return the cell's answer under a mean gradient H (m, d).

        Args:
            gradient: of displacements, F − 1.
            start: (n, m) the fluctuation from which Newton's method starts.
            tangent: whether the tangent is wanted.
            history: (h,) what has happened to the cell; None: nothing.

        Raises:
            NotConverged: Newton's method found none.
            EngineFailed: Hill's condition is broken, or the tangent of an energy is not symmetric.
        """
        options = self._options
        return self.approach(gradient, start, history, Effort(options.tolerance, options.iterations, tangent))

    def approach(self, gradient: Array, start: Array | None, history: Array | None, effort: Effort) -> Condensed:
        """Return the answer after some steps of Newton's method, and how much is left.

        The correction a = K⁻¹ r that is left is condensed into the answer, so that its error is of the order a²:
        q̄ − (1/V) Lᵀ K a, with w − a (N. Lange, G. Hütter and B. Kiefer 2021, doi:10.1016/j.cma.2021.113886).

        Raises:
            NotConverged: an element is turned inside out, or the steps were too few.
            EngineFailed: as `answer`.
        """
        affine = (self._affine @ gradient.ravel()).reshape(-1, self._m)
        moved = np.zeros_like(affine) if start is None else start
        least = _LEAST * float(np.abs(self.periods).max())
        for iteration in range(1, effort.steps + 1):
            field = affine + moved
            found = self.micro.answer(field, stiffness=True, history=history)
            assert found.stiffness is not None, "it was wanted"
            if not np.isfinite(found.pull).all():
                break
            self._constraint.factor(found.stiffness)
            step = self._constraint.solve(found.pull.reshape(-1, 1)).reshape(moved.shape)
            moved = moved - step
            left = float(np.abs(step).max()) / max(float(np.abs(affine).max()), float(np.abs(moved).max()), least)
            if not np.isfinite(left):
                break
            if left <= effort.accept or effort.steps == 1:
                return self._condensed(_End(found, field, moved, step, iteration, left), gradient, effort.tangent)
        raise NotConverged(
            f"a cell under the mean gradient {np.round(gradient, 6).tolist()} has no answer by Newton's method, "
            f"within {self._options.iterations} iterations",
            where="homogenisation",
            todo="take smaller steps of the load, or raise iterations",
        )

    def _condensed(self, end: _End, gradient: Array, tangent: bool) -> Condensed:
        found = end.found
        assert found.stiffness is not None, "it was wanted"
        correction = self._affine.T @ (found.stiffness @ end.step.ravel())
        flux = (found.flux - correction.reshape(self._m, self._d)) / self.volume
        energy = None if found.energy is None else (found.energy - 0.5 * float((found.pull * end.step).sum()))
        slopes = self._tangents(found) if tangent else (None, None, None)
        if slopes[0] is not None and slopes[2] is not None and end.left <= self._options.tolerance:
            self._soundness.check(slopes[0], slopes[2], gradient)
        return Condensed(
            gradient,
            flux,
            None if energy is None else energy / self.volume,
            slopes[0],
            end.moved,
            slopes[1],
            end.iteration,
            end.left,
            self._hill_mandel(found, gradient, end.field) if end.left <= self._options.tolerance else 0.0,
            slopes[2],
            found.history,
            found.dissipation / self.volume,
        )

    def _hill_mandel(self, found: CellAnswer, gradient: Array, field: Array) -> float:
        flux, work = found.flux / self.volume, found.work / self.volume
        seen = (self.micro.slopes.T @ field).T / self.volume if self._whole else gradient
        mean = float((flux * seen).sum())
        assert found.stiffness is not None, "it was wanted"
        round_off = _ROUND_OFF * float(np.abs(found.stiffness.diagonal()) @ field.ravel() ** 2)  # of no stress at all
        fault = abs(work - mean) / max(abs(work), abs(mean), (found.gross + round_off) / self.volume, _TINY)
        if fault > self._options.hill_mandel and float(np.abs(gradient).max()) > 0.0:
            raise EngineFailed(
                f"Hill's condition is broken by {fault:.1e}: the work in the cell is not that of its means",
                where="homogenisation",
                todo="take sources out of the cell, and look for elements that overlap",
            )
        return fault

    def _tangents(self, found: CellAnswer) -> tuple[Array, Array, Array]:
        """Return the condensed tangent, the slope of the fluctuation, and the tangent if it did not follow."""
        assert found.stiffness is not None, "it was wanted"
        pulled = found.stiffness @ self._affine
        slope = -self._constraint.solve(pulled)
        shape = (self._m, self._d) * 2
        condensed = self._affine.T @ (pulled + found.stiffness @ slope) / self.volume
        fault = float(np.abs(condensed - condensed.T).max() / np.abs(condensed).max())
        if found.energy is not None and fault > _SYMMETRIC:
            raise EngineFailed(f"the tangent of a cell with an energy is unsymmetric by {fault:.1e}")
        return condensed.reshape(shape), slope, (self._affine.T @ pulled / self.volume).reshape(shape)
