"""What holds a cell under a mean gradient H: u = H X + w, with the fluctuation w of one of three families.

Periodic w is the same on opposite sides; kinematic w is zero on the boundary; static w has no mean gradient,
∫∇w = 0, and the boundary carries the uniform traction that its multiplier is. Each brings H about exactly, and each
satisfies Hill's condition ⟨q·∇u⟩ = ⟨q⟩·H (R. Hill 1963, doi:10.1016/0022-5096(63)90036-X); the tangents are ordered,
C_static ≤ C_periodic ≤ C_kinematic (S. Hazanov and C. Huet 1994, doi:10.1016/0022-5096(94)90022-1).
"""

from __future__ import annotations

from abc import ABC, abstractmethod

import numpy as np
from scipy.sparse import block_array, csc_array, csr_array, eye_array, kron
from scipy.sparse.csgraph import connected_components
from scipy.sparse.linalg import splu
from scipy.spatial import cKDTree

from scalespan.adapters.interface import Array, CaseError, EngineFailed, Indices, Microstructure

from .options import Family

_NEAR = 1e-7  # of a period: what lies on a side
_PIVOT = 1e-3  # of the largest in its column: a smaller diagonal is no pivot


class Constraint(ABC):
    """The space of one family's fluctuations. Fields are (n m, k): k right-hand sides at once."""

    def __init__(self) -> None:
        self._known: csr_array | None = None

    def factor(self, stiffness: csr_array) -> None:
        """Make ready to `solve` with a stiffness (n m, n m); with the one before, at no cost.

        Raises:
            EngineFailed: it is singular: the cell falls apart, or is unstable.
        """
        known = self._known
        if known is not None and np.array_equal(known.data, stiffness.data) and known.shape == stiffness.shape:
            return
        try:
            # The pattern is symmetric: this order and the diagonal's preference make it two to five times faster.
            self._solver = splu(
                self._reduced(stiffness),
                permc_spec="MMD_AT_PLUS_A",
                diag_pivot_thresh=_PIVOT,
                options={"SymmetricMode": True},
            )
        except RuntimeError as error:
            raise EngineFailed(
                f"the cell's stiffness is singular: {error}",
                where="homogenisation",
                todo="look for parts that hang on nothing, or for a state that is unstable",
            ) from error
        self._known = stiffness

    @abstractmethod
    def solve(self, pull: Array) -> Array:
        """Return the fluctuation (n m, k) that a force (n m, k) makes."""

    @abstractmethod
    def _reduced(self, stiffness: csr_array) -> csc_array:
        """Return the matrix of the free unknowns."""


class Eliminated(Constraint):
    """w = T v: some unknowns are zero, some are the same as others; the reduced stiffness is Tᵀ K T."""

    def __init__(self, way: csr_array) -> None:
        super().__init__()
        self._way = way

    def _reduced(self, stiffness: csr_array) -> csc_array:
        return csc_array(self._way.T @ stiffness @ self._way)

    def solve(self, pull: Array) -> Array:
        """Return T (Tᵀ K T)⁻¹ Tᵀ f."""
        found: Array = self._way @ self._solver.solve(np.ascontiguousarray(self._way.T @ pull))
        return found


class Uniform(Constraint):
    """∫∇w = 0 by multipliers, which are the uniform flux; one node is held against translation."""

    def __init__(self, slopes: Array, components: int) -> None:
        super().__init__()
        n, d = slopes.shape
        free = csr_array(eye_array(n, format="csr")[:, 1:])
        self._way = csr_array(kron(free, eye_array(components)))
        self._mean = csr_array(kron(slopes.T, eye_array(components))) @ self._way
        self._count = components * d

    def _reduced(self, stiffness: csr_array) -> csc_array:
        scale = float(abs(stiffness.diagonal()).mean())
        joined = scale * self._mean
        return csc_array(block_array([[self._way.T @ stiffness @ self._way, joined.T], [joined, None]]))

    def solve(self, pull: Array) -> Array:
        """Return the part w of (w, λ)."""
        given = np.concatenate([self._way.T @ pull, np.zeros((self._count, pull.shape[1]))])
        found: Array = self._way @ self._solver.solve(given)[: self._way.shape[1]]
        return found


def constraint_of(family: Family, cell: Microstructure, periods: Array) -> Constraint:
    """Return the family's constraint of a cell with these periods (d, d), rows.

    Raises:
        CaseError: the mesh does not fill the periods, or, for periodic ones, has no pairs on its sides.
    """
    fractions = _fractions(cell.points, periods)
    if family == "static":
        return Uniform(cell.slopes, cell.components)
    sides = ((fractions < _NEAR) | (fractions > 1.0 - _NEAR)).any(axis=1)
    count = len(fractions)
    if family == "kinematic":
        way = csr_array(eye_array(count, format="csr")[:, np.flatnonzero(~sides)])
    else:
        groups = _paired(fractions)
        way = csr_array((np.ones(count), (np.arange(count), groups)))[:, 1:]  # the first is the corners': held
    return Eliminated(csr_array(kron(way, eye_array(cell.components))))


def _fractions(points: Array, periods: Array) -> Array:
    found: Array = points @ np.linalg.inv(periods)
    found = found - found.min(axis=0)
    if np.abs(found.max(axis=0) - 1.0).max() > _NEAR:
        raise CaseError(
            f"the cell reaches over {np.round(found.max(axis=0), 6).tolist()} of its periods, and must over 1 of each",
            where="homogenisation",
            todo="mesh one whole cell, and give its edges as periods where it is no box",
        )
    return found


def _paired(fractions: Array) -> Indices:
    """Return the group (n,) of each node: those at the same place modulo the periods; the corners' group is 0."""
    wrapped = np.where(fractions > 1.0 - _NEAR, 0.0, np.clip(fractions, 0.0, None))
    pairs = cKDTree(wrapped).query_pairs(_NEAR, output_type="ndarray")
    joined = csr_array((np.ones(len(pairs)), (pairs[:, 0], pairs[:, 1])), shape=(len(wrapped),) * 2)
    _, groups = connected_components(joined, directed=False)
    on_sides = ((fractions < _NEAR) | (fractions > 1.0 - _NEAR)).sum(axis=1)
    lonely = np.bincount(groups)[groups] != 2**on_sides
    if lonely.any():
        at = np.round(fractions[np.flatnonzero(lonely)[0]], 4).tolist()
        raise CaseError(
            f"{int(lonely.sum())} nodes on the cell's sides have no partner on the other side, the first at {at} of "
            "the periods",
            where="homogenisation",
            todo='mesh opposite sides alike, or take boundary = "kinematic" or "static"',
        )
    corner = groups[np.flatnonzero(on_sides == fractions.shape[1])[0]]
    order = np.concatenate([[corner], np.setdiff1d(np.arange(groups.max() + 1), [corner])])
    place = np.empty_like(order)
    place[order] = np.arange(len(order))
    found: Indices = place[groups]
    return found
