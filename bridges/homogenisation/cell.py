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

_SYMMETRIC = 1e-8
_FULL = 1e-9


@dataclass(frozen=True)
class Condensed:
    """What a cell answers under one mean gradient, over its whole volume V."""

    flux: Array  # (m, d)
    energy: float | None
    tangent: Array | None  # (m, d, m, d)
    fluctuation: Array  # (n, m)
    iterations: int
    hill_mandel: float  # |⟨q·∇u⟩ − ⟨q⟩·⟨∇u⟩| over the larger of the two
    voigt: Array | None  # (m, d, m, d) the tangent if the gradient were uniform: never below `tangent`


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
        centred = points - points.mean(axis=0)
        self._affine = np.einsum("nj,ik->nikj", centred, np.eye(self._m)).reshape(-1, self._m * self._d)

    def answer(self, gradient: Array, start: Array | None = None, tangent: bool = False) -> Condensed:
        """Return the cell's answer under a mean gradient H (m, d).

        Args:
            gradient: of displacements, F − 1.
            start: (n, m) the fluctuation from which Newton's method starts.
            tangent: whether the tangent is wanted.

        Raises:
            NotConverged: Newton's method found none.
            EngineFailed: Hill's condition is broken, or the tangent of an energy is not symmetric.
        """
        affine = (self._affine @ gradient.ravel()).reshape(-1, self._m)
        moved = np.zeros_like(affine) if start is None else start.copy()
        size = max(float(np.abs(affine).max()), np.finfo(float).tiny)
        for iteration in range(1, self._options.iterations + 1):
            found = self.micro.answer(affine + moved, stiffness=True)
            assert found.stiffness is not None, "it was wanted"
            if not np.isfinite(found.pull).all():
                break  # an element has been turned inside out
            self._constraint.factor(found.stiffness)
            step = -self._constraint.solve(found.pull.reshape(-1, 1)).reshape(moved.shape)
            moved += step
            if float(np.abs(step).max()) <= self._options.tolerance * size:
                return self._condensed(gradient, affine + moved, moved, iteration, tangent)
        raise NotConverged(
            f"a cell under the mean gradient {np.round(gradient, 6).tolist()} has no answer by Newton's method, "
            f"within {self._options.iterations} iterations",
            where="homogenisation",
            todo="take smaller steps of the load, or raise iterations",
        )

    def _condensed(self, gradient: Array, field: Array, moved: Array, iterations: int, tangent: bool) -> Condensed:
        found = self.micro.answer(field, stiffness=tangent)
        flux, work = found.flux / self.volume, found.work / self.volume
        seen = (self.micro.slopes.T @ field).T / self.volume if self._whole else gradient
        mean = float((flux * seen).sum())
        fault = abs(work - mean) / max(abs(work), abs(mean), np.finfo(float).tiny)
        if fault > self._options.hill_mandel and float(np.abs(gradient).max()) > 0.0:
            raise EngineFailed(
                f"Hill's condition is broken by {fault:.1e}: the work in the cell is not that of its means",
                where="homogenisation",
                todo="take sources out of the cell, and look for elements that overlap",
            )
        energy = None if found.energy is None else found.energy / self.volume
        slope, voigt = self._tangents(found) if tangent else (None, None)
        return Condensed(flux, energy, slope, moved, iterations, fault, voigt)

    def _tangents(self, found: CellAnswer) -> tuple[Array, Array]:
        assert found.stiffness is not None, "it was wanted"
        self._constraint.factor(found.stiffness)
        pulled = found.stiffness @ self._affine
        with_fluctuation = self._affine - self._constraint.solve(pulled)
        shape = (self._m, self._d) * 2
        condensed = pulled.T @ with_fluctuation / self.volume
        fault = float(np.abs(condensed - condensed.T).max() / np.abs(condensed).max())
        if found.energy is not None and fault > _SYMMETRIC:
            raise EngineFailed(f"the tangent of a cell with an energy is unsymmetric by {fault:.1e}")
        return condensed.reshape(shape), (self._affine.T @ pulled / self.volume).reshape(shape)
