"""A coarse mesh with any method: the coarse solution, and the field with its oscillations."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from scipy.sparse import csc_array

from scalespan.adapters.interface import Array, CaseError, NotConverged

from .frame import write_image
from .grid import Grid
from .linear import factored
from .medium import Medium
from .methods import Method, Source

_LARGEST = 300_000  # unknowns that LU takes in seconds, and a gigabyte


@dataclass(frozen=True)
class Solution:
    """The values at the coarse nodes, and what they stand for."""

    method: Method
    nodes: Array  # (n,)
    iterations: int

    def at(self, points: Array) -> Array:
        """Return the coarse field (p,), bilinear, at points (p, 2)."""
        found: Array = self.method.grid.interpolation(points) @ self.nodes
        return found

    def fine(self, points: Array) -> Array:
        """Return the field (p,) with its oscillations at points (p, 2)."""
        return self.method.fine(self.nodes, points)

    def write(self, path: Path, squares: tuple[int, int]) -> None:
        """Write the coarse and the fine field in the middles of so many rectangles, as ``.vti`` for ParaView."""
        grid = Grid(self.method.grid.low, self.method.grid.high, squares)
        points = grid.nodes[grid.elements[:, 0]] + 0.5 * grid.size
        write_image(path, grid, {"coarse": self.at(points), "fine": self.fine(points)})


class Multiscale:
    """Solves −∇·(a ∇u) = f with u = 0 on the boundary, on the coarse mesh of a method.

    A linear method's elements are asked, and its matrix is factored, once for all sources; a nonlinear one's are asked
    at every iteration of Newton's method.
    """

    def __init__(self, method: Method, tolerance: float = 1e-9, iterations: int = 25) -> None:
        self.method, self._tolerance, self._iterations = method, tolerance, iterations
        self._solve: Callable[[Array], Array] | None = None
        self.factorisations = 0  # of the coarse matrix

    def solve(self, source: Source) -> Solution:
        """Return the solution for one source.

        Raises:
            NotConverged: Newton's method found none.
            EngineFailed: the coarse matrix is singular.
        """
        grid = self.method.grid
        loads = np.zeros(len(grid.nodes))
        for element, nodes in enumerate(grid.elements):
            loads[nodes] += self.method.load(element, source)
        values = np.zeros(len(grid.nodes))
        for iteration in range(1, self._iterations + 1):
            pull: Array = np.zeros(len(values))
            if self._solve is None or not self.method.linear:
                pull = self._ask(values)
            assert self._solve is not None, "asking makes it"
            step = self._solve((loads - pull)[grid.inside])
            values[grid.inside] += step
            if self.method.linear or float(np.abs(step).max()) <= self._tolerance * float(np.abs(values).max()):
                return Solution(self.method, values, iteration)
        raise NotConverged(
            f"the coarse problem has no answer within {self._iterations} iterations of Newton's method",
            where="multiscale_fem",
            todo="take a smaller source, or raise iterations",
        )

    def _ask(self, values: Array) -> Array:
        """Ask all elements at values (n,): factor the stiffness, and return the pull (n,)."""
        grid = self.method.grid
        pull, parts = np.zeros(len(values)), []
        for element, nodes in enumerate(grid.elements):
            pulled, stiffness = self.method.answer(element, values[nodes])
            pull[nodes] += pulled
            parts.append(stiffness)
        rows, columns = np.repeat(grid.elements, 4, axis=1), np.tile(grid.elements, 4)
        matrix = csc_array((np.array(parts).ravel(), (rows.ravel(), columns.ravel())), shape=(len(values),) * 2)
        self._solve = factored(csc_array(matrix[grid.inside][:, grid.inside]))
        self.factorisations += 1
        return pull


def resolved(medium: Medium, domain: Grid, sources: list[Source]) -> tuple[Grid, Array]:
    """Return the fine grid over the whole domain and the solutions (n, k) on it, by LU.

    Raises:
        CaseError: too many unknowns for it.
    """
    unknowns = float(np.prod((domain.high - domain.low) / medium.spacing - 1.0))
    if unknowns > _LARGEST:
        raise CaseError(
            f"the resolved problem has {unknowns:.2g} unknowns, too many for LU",
            where="multiscale_fem",
            todo="give it the part 'resolved', with an iterative solver",
        )
    patch = medium.patch(domain.low, domain.high)
    inside, grid = patch.grid.inside, patch.grid
    loads = np.column_stack([grid.weights * source(grid.nodes) for source in sources])
    values = np.zeros(loads.shape)
    values[inside] = factored(csc_array(patch.stiffness[inside][:, inside]))(loads[inside])
    return grid, values
