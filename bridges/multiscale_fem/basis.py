r"""The multiscale finite element method: a basis that knows the microstructure, made once for each coarse element.

$$-\nabla\cdot(a \nabla \varphi_i) = 0 \text{ in } K, \quad \varphi_i = N_i \text{ on } \partial K, \qquad
  K_{ij} = \varphi_i^T A\, \varphi_j$$

with A the fine stiffness (T. Y. Hou and X.-H. Wu 1997, doi:10.1006/jcph.1997.5682). The linear boundary values are not
those of the true field: the error is C (H² + ε/H), and grows where the element H comes near the period ε. A basis cut
out of a larger box feels less of its boundary (oversampling, ibidem); it does not fit together along the elements'
edges, and is therefore tested with N_i (T. Y. Hou, X.-H. Wu and Y. Zhang 2004, doi:10.4310/CMS.2004.v2.n2.a3).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.sparse import csc_array

from scalespan.adapters.interface import Array, CaseError

from .grid import CORNERS, Grid, shapes
from .linear import factored
from .medium import Medium, Patch
from .methods import Method, Source, Spent


@dataclass(frozen=True)
class Basis:
    """The four functions of one element, and the element's matrix."""

    grid: Grid  # of the first element that it was made for; those like it are moved
    functions: Array  # (n, 4)
    tests: Array  # (n, 4) the same, or the bilinear ones
    matrix: Array  # (4, 4)


class MsFEM(Method):
    """Bases by local problems with bilinear boundary values."""

    def __init__(self, medium: Medium, grid: Grid) -> None:
        super().__init__(medium, grid)
        self._known: dict[tuple[object, ...], Basis] = {}

    def basis(self, element: int) -> Basis:
        """Return an element's basis: made once, and for elements that are alike, once for all."""
        low, high = self.grid.corners(element)
        key = self.medium.key(low, high - low)
        if key not in self._known:
            self._known[key] = self._make(low, high)
        return self._known[key]

    def answer(self, element: int, values: Array) -> tuple[Array, Array]:
        """Return the element's matrix, and what it pulls with."""
        matrix = self.basis(element).matrix
        return matrix @ values, matrix

    def load(self, element: int, source: Source) -> Array:
        """Integrate over the fine nodes."""
        low, _ = self.grid.corners(element)
        found = self.basis(element)
        points = found.grid.nodes + (low - found.grid.low)
        loads: Array = found.tests.T @ (found.grid.weights * source(points))
        return loads

    def fine(self, values: Array, points: Array) -> Array:
        """Return Σ v_i φ_i."""
        elements, _ = self.grid.locate(points)
        found, order = np.empty(len(points)), np.argsort(elements, kind="stable")
        for mine in np.split(order, np.flatnonzero(np.diff(elements[order])) + 1):
            element = int(elements[mine[0]])
            low, basis = self.grid.corners(element)[0], self.basis(element)
            field = basis.functions @ values[self.grid.elements[element]]
            found[mine] = basis.grid.interpolation(points[mine] - (low - basis.grid.low)) @ field
        return found

    def _make(self, low: Array, high: Array) -> Basis:
        patch = self.medium.patch(low, high)
        functions = harmonic(patch, self.spent)
        return Basis(patch.grid, functions, functions, functions.T @ (patch.stiffness @ functions))


class Oversampled(MsFEM):
    """Bases cut out of boxes that reach some periods over the element."""

    def __init__(self, medium: Medium, grid: Grid, periods: int = 1) -> None:
        super().__init__(medium, grid)
        self._margin = periods * medium.period

    def _make(self, low: Array, high: Array) -> Basis:
        patch, larger = self.medium.patch(low, high), self.medium.patch(low - self._margin, high + self._margin)
        fields = harmonic(larger, self.spent)
        begin = larger.grid.low + self._margin  # of the element, in the larger box
        at_corners = larger.grid.interpolation(begin + CORNERS * (high - low)) @ fields
        inside = patch.grid.nodes - patch.grid.low
        functions = larger.grid.interpolation(begin + inside) @ fields @ np.linalg.inv(at_corners)
        tests = shapes(inside / (high - low))
        return Basis(patch.grid, functions, tests, tests.T @ (patch.stiffness @ functions))


def harmonic(patch: Patch, spent: Spent) -> Array:
    """Return the four fields (n, 4) without a source that are bilinear on the boundary of a box.

    Raises:
        CaseError: the box has no nodes inside.
        EngineFailed: the fine stiffness is singular.
    """
    grid, matrix = patch.grid, csc_array(patch.stiffness)
    if not len(grid.inside):
        raise CaseError(
            f"an element of {grid.counts[0]} × {grid.counts[1]} fine elements resolves nothing inside it",
            where="multiscale_fem",
            todo="take fewer coarse elements, or a finer mesh of the part 'cell'",
        )
    fields = shapes((grid.nodes - grid.low) / (grid.high - grid.low))
    edge = np.setdiff1d(np.arange(len(grid.nodes)), grid.inside)
    rows = matrix[grid.inside]
    fields[grid.inside] = -factored(csc_array(rows[:, grid.inside]))(rows[:, edge] @ fields[edge])
    spent.factored(len(grid.inside), 4)
    return fields
