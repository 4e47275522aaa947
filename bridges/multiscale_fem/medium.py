"""What lies inside the coarse elements: the fine stiffness of any box of the part's microstructure."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.sparse import csr_array

from scalespan.adapters.interface import Array, CaseError, FieldAdapter, Microstructure
from scalespan.bridges.homogenisation import Cell, HomogenisationOptions

from .grid import Grid, grid_of
from .options import Family

_SAME = 1e-6
_NO_SOURCE = 1e-10


@dataclass(frozen=True)
class Patch:
    """The fine stiffness of a box, in the order of its grid's nodes."""

    grid: Grid
    stiffness: csr_array  # (n, n) ∫ a ∇N_i·∇N_j


class Medium:
    """A microstructure in the plane, with one unknown: of one period, which is the part's mesh, and of any other box.

    Raises:
        CaseError: a part of another kind, or, where it is said to be periodic, one that is not.
    """

    def __init__(self, part: FieldAdapter, periodic: bool) -> None:
        micro = part.microstructure()
        if micro.components != 1 or micro.points.shape[1] != 2:
            raise CaseError(
                "the part 'cell' must be a conductor in two dimensions: one unknown, and no displacements",
                where="multiscale_fem",
                todo="give it heat with capacity = 0, and a mesh in the plane",
            )
        grid, _ = grid_of(micro.points)
        self._part, self.periodic = part, periodic
        self.low, self.period, self.spacing = grid.low, grid.high - grid.low, grid.size
        self._cells: dict[tuple[object, ...], Cell] = {}
        self._patches: dict[tuple[object, ...], Patch] = {}

    def key(self, low: Array, size: Array) -> tuple[object, ...]:
        """Return what tells one box from another: where it lies in the period, and its size, in fine elements."""
        at = (low - self.low) / self.spacing
        if self.periodic:
            at = np.mod(np.rint(1e3 * at), np.rint(1e3 * self.period / self.spacing))
            return (*at.astype(int).tolist(), *np.rint(size / self.spacing).astype(int).tolist())
        return (*np.rint(1e3 * at).astype(int).tolist(), *np.rint(size / self.spacing).astype(int).tolist())

    def patch(self, low: Array, high: Array) -> Patch:
        """Return the stiffness of a box with these corners (2,).

        Raises:
            CaseError: a source in it, a coefficient that is not positive, or no whole number of fine elements.
        """
        if not self.periodic:  # each is asked once, and they would fill the memory
            return self._patch(low, high)
        key = self.key(low, high - low)
        if key not in self._patches:
            self._patches[key] = self._patch(low, high)
        found = self._patches[key]  # perhaps made for another box like this one
        return Patch(Grid(low, high, found.grid.counts), found.stiffness)

    def cell(self, place: Array, boundary: Family = "periodic") -> tuple[tuple[object, ...], Cell]:
        """Return the period at a place (2,), as a cell of homogenisation, and the key that tells it from others."""
        low = self.low
        key: tuple[object, ...] = (boundary,)
        if not self.periodic:  # about the place, on the fine mesh's lines
            corner = (place - 0.5 * self.period - self.low) / self.spacing
            low = self.low + self.spacing * np.floor(corner + _SAME)
            key = (boundary, *self.key(low, self.period))
        if key not in self._cells:
            micro = self._part.microstructure_of(low, low + self.period)
            self._cells[key] = Cell(micro, HomogenisationOptions(boundary=boundary))
        return key, self._cells[key]

    def check(self, domain: Grid) -> None:
        """Compare the part's own period with others of the domain.

        Raises:
            CaseError: they differ, and it was said that they do not.
        """
        if not self.periodic:
            return
        own = self._patch(self.low, self.low + self.period).stiffness
        for share in (0.31, 0.77, 1.0):
            whole = np.maximum(np.floor(share * (domain.high - self.low) / self.period - 1.0 + _SAME), 0.0)
            low = self.low + self.period * whole
            there = self._patch(low, low + self.period).stiffness
            fault = float(abs(there - own).max() / abs(own).max())
            if fault > _SAME:
                raise CaseError(
                    f"the microstructure is not periodic with the part's box: the stiffness at {low.tolist()} differs "
                    f"by {fault:.1e}",
                    where="multiscale_fem",
                    todo="make the box of the part 'cell' one period, or say periodic = false",
                )

    def check_linear(self) -> None:
        """Compare what one period pulls with at a field, and its stiffness at none.

        Raises:
            CaseError: it is not linear.
        """
        micro = self._part.microstructure()
        field = np.cos(micro.points @ (1.0 / self.period))[:, None]
        pull, straight = micro.answer(field).pull, _linear(micro) @ field
        fault = float(np.abs(pull - straight).max() / np.abs(straight).max())
        if fault > _SAME:
            raise CaseError(
                f"the part 'cell' is not linear: it pulls with {fault:.1e} more or less than its stiffness says",
                where="multiscale_fem",
                todo='say nonlinear = true, with methods = ["hmm"]',
            )

    def _patch(self, low: Array, high: Array) -> Patch:
        micro = self._part.microstructure_of(low, high)
        grid, order = grid_of(micro.points)
        return Patch(grid, _linear(micro)[order][:, order])


def _linear(micro: Microstructure) -> csr_array:
    """Return the stiffness of a linear microstructure.

    Raises:
        CaseError: a source in it, or a coefficient that is not positive.
    """
    found = micro.answer(np.zeros((len(micro.points), 1)), stiffness=True)
    assert found.stiffness is not None, "it was wanted"
    diagonal = found.stiffness.diagonal()
    if not diagonal.min() > 0.0:  # nor where it is not finite
        at = micro.points[int(diagonal.argmin())]
        raise CaseError(
            f"the coefficient is not positive around {np.round(at, 6).tolist()}",
            where="multiscale_fem",
            todo="correct the conductivity of the part 'cell'",
        )
    if np.abs(found.pull).max() > _NO_SOURCE * diagonal.max():
        raise CaseError(
            "the part 'cell' has a source, or a flux through its sides",
            where="multiscale_fem",
            todo="take it out, and give the study's own 'sources'",
        )
    return found.stiffness
