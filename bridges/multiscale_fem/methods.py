r"""How a coarse element answers for the microstructure inside it: the one interface of all methods.

An element with the values v (4,) at its corners pulls with p(v) and has the stiffness ∂p/∂v. By a law at Gauss points,

$$p_i = \sum_q w_q\, \bar q(\nabla u_q) \cdot \nabla N_i, \qquad \nabla u_q = \sum_j v_j \nabla N_j(x_q),$$

with the mean flux of a cell under the mean gradient ∇u_q (`HMM`: W. E and B. Engquist 2003,
doi:10.4310/CMS.2003.v1.n1.a8; A. Abdulle, W. E, B. Engquist and E. Vanden-Eijnden 2012,
doi:10.1017/S0962492912000025), or, for comparison, that of the coefficient's arithmetic mean (`Mean`, Voigt's bound).
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar, TypeAlias

import numpy as np

from scalespan.adapters.interface import Array, Indices
from scalespan.bridges.homogenisation import Cell

from .grid import Grid, grid_of, shapes, slopes
from .medium import Medium
from .options import Family

Source: TypeAlias = Callable[[Array], Array]  # f (p,) at points (p, 2)

_GAUSS = 0.5 + np.array([[i, j] for i in (-0.5, 0.5) for j in (-0.5, 0.5)]) / np.sqrt(3.0)
_POINTS, _WEIGHTS = np.polynomial.legendre.leggauss(4)
_FINE = 0.5 + 0.5 * np.stack(np.meshgrid(_POINTS, _POINTS, indexing="ij"), axis=-1).reshape(-1, 2)
_FINE_WEIGHTS = 0.25 * np.outer(_WEIGHTS, _WEIGHTS).ravel()


@dataclass
class Spent:
    """What a method has asked of the fine scale, which is what it costs."""

    problems: int = 0  # local problems, one right-hand side each
    factorisations: int = 0
    largest: int = 0  # unknowns of the largest of them
    work: float = 0.0  # Σ n^1.5, what a factorisation of n unknowns in the plane takes (doi:10.1137/0710032)

    def factored(self, unknowns: int, problems: int) -> None:
        """Count one factorisation, and the problems that were solved with it."""
        self.problems += problems
        self.factorisations += 1
        self.largest = max(self.largest, unknowns)
        self.work += float(unknowns) ** 1.5


class Method(ABC):
    """One method on one coarse mesh. A subclass gives `answer`, `load` and `fine`."""

    linear: ClassVar[bool] = True  # the answer is a matrix times the values, the same at all of them

    def __init__(self, medium: Medium, grid: Grid) -> None:
        self.medium, self.grid, self.spent = medium, grid, Spent()

    @abstractmethod
    def answer(self, element: int, values: Array) -> tuple[Array, Array]:
        """Return the pull (4,) and the stiffness (4, 4) of an element with values (4,) at its corners."""

    @abstractmethod
    def load(self, element: int, source: Source) -> Array:
        """Return ∫ f φ (4,) over an element."""

    @abstractmethod
    def fine(self, values: Array, points: Array) -> Array:
        """Return the field (p,) with its oscillations at points (p, 2), from the values (n,) at the coarse nodes."""


class GaussPoints(Method):
    """A law at the element's four Gauss points, which are exact for a constant one. A subclass gives `flux`."""

    @abstractmethod
    def flux(self, element: int, point: int, gradient: Array) -> tuple[Array, Array]:
        """Return the mean flux (2,) and its slope (2, 2) at a Gauss point, under a mean gradient (2,)."""

    def place(self, element: int, point: int) -> Array:
        """Return the middle (2,) of a Gauss point's cell: the point, but half a period or more from the boundary."""
        low, high = self.grid.corners(element)
        rim = 0.5 * self.medium.period
        found: Array = np.clip(low + _GAUSS[point] * (high - low), self.grid.low + rim, self.grid.high - rim)
        return found

    def answer(self, element: int, values: Array) -> tuple[Array, Array]:
        """Sum the law over the Gauss points."""
        pull, stiffness = np.zeros(4), np.zeros((4, 4))
        weight = 0.25 * float(self.grid.size.prod())
        for point, gradients in enumerate(slopes(_GAUSS, self.grid.size)):
            flux, tangent = self.flux(element, point, values @ gradients)
            pull += weight * gradients @ flux
            stiffness += weight * gradients @ tangent @ gradients.T
        return pull, stiffness

    def load(self, element: int, source: Source) -> Array:
        """Integrate by sixteen Gauss points."""
        low, high = self.grid.corners(element)
        weights = _FINE_WEIGHTS * float((high - low).prod())
        found: Array = shapes(_FINE).T @ (weights * source(low + _FINE * (high - low)))
        return found

    def fine(self, values: Array, points: Array) -> Array:
        """Add the fluctuation of the nearest Gauss point's cell, which repeats itself from period to period."""
        found = np.asarray(self.grid.interpolation(points) @ values)
        gradients = self.grid.gradient(values, points)
        for (element, point), mine in self._nearest(points):
            found[mine] += self.fluctuation(element, point, gradients[mine], points[mine])
        return found

    def fluctuation(self, element: int, point: int, gradients: Array, points: Array) -> Array:
        """Return what a Gauss point's cell adds (p,) to the mean field at points (p, 2), where that has gradients."""
        return np.zeros(len(points))

    def _nearest(self, points: Array) -> list[tuple[tuple[int, int], Indices]]:
        """Return the Gauss points, those that are alike once, and which points are nearest to each."""
        elements, places = self.grid.locate(points)
        numbers = 4 * elements + 2 * (places[:, 0] > 0.5) + (places[:, 1] > 0.5)
        groups: dict[object, list[Indices]] = {}
        first: dict[object, tuple[int, int]] = {}
        order = np.argsort(numbers, kind="stable")
        for mine in np.split(order, np.flatnonzero(np.diff(numbers[order])) + 1):
            element, point = divmod(int(numbers[mine[0]]), 4)
            key = self.alike(element, point)
            first.setdefault(key, (element, point))
            groups.setdefault(key, []).append(mine)
        return [(first[key], np.concatenate(parts)) for key, parts in groups.items()]

    def alike(self, element: int, point: int) -> object:
        """Return what tells a Gauss point's fluctuation from those of others."""
        return element, point


@dataclass(frozen=True)
class LinearLaw:
    """The answer of one linear cell: its conductivity and its two correctors, and Voigt's mean."""

    conductivity: Array  # (2, 2)
    correctors: Array  # (n, 2) in the order of the grid, of mean zero
    grid: Grid
    mean: Array  # (2, 2) of the coefficient itself

    @classmethod
    def of(cls, cell: Cell) -> LinearLaw:
        """Solve a cell under both unit gradients."""
        first, second = (cell.answer(np.array([each]), tangent=True) for each in np.eye(2))
        assert first.tangent is not None and first.voigt is not None, "they were wanted"
        grid, order = grid_of(cell.micro.points)
        fields = np.hstack([first.fluctuation, second.fluctuation])[order]
        return cls(first.tangent[0, :, 0], _centred(fields, grid), grid, first.voigt[0, :, 0])


class HMM(GaussPoints):
    """The heterogeneous multiscale method: a linear cell at each Gauss point, once, or once for all that are alike."""

    def __init__(self, medium: Medium, grid: Grid, boundary: Family = "periodic") -> None:
        super().__init__(medium, grid)
        self._boundary = boundary
        self._laws: dict[tuple[object, ...], LinearLaw] = {}
        self._matrices: dict[int, Array] = {}

    def answer(self, element: int, values: Array) -> tuple[Array, Array]:
        """Return the element's matrix, the same for all where the medium is periodic, and what it pulls with."""
        key = 0 if self.medium.periodic else element
        if key not in self._matrices:
            self._matrices[key] = super().answer(element, np.zeros(4))[1]
        return self._matrices[key] @ values, self._matrices[key]

    def law(self, element: int, point: int) -> LinearLaw:
        """Return the law at a Gauss point."""
        key, cell = self.medium.cell(self.place(element, point), self._boundary)
        if key not in self._laws:
            self._laws[key] = LinearLaw.of(cell)
            self.spent.factored(len(cell.micro.points), 2)
        return self._laws[key]

    def flux(self, element: int, point: int, gradient: Array) -> tuple[Array, Array]:
        """Return a* ∇u and a*."""
        found = self.law(element, point).conductivity
        return found @ gradient, found

    def fluctuation(self, element: int, point: int, gradients: Array, points: Array) -> Array:
        """Return χ·∇u."""
        law = self.law(element, point)
        found: Array = (_repeated(law.grid, law.correctors, points) * gradients).sum(axis=1)
        return found

    def alike(self, element: int, point: int) -> object:
        """Return the key of the cell."""
        if self.medium.periodic:
            return ()
        return self.medium.cell(self.place(element, point), self._boundary)[0]


class Mean(HMM):
    """The arithmetic mean of the coefficient: what the cell would answer if its gradient were uniform."""

    def flux(self, element: int, point: int, gradient: Array) -> tuple[Array, Array]:
        """Return ⟨a⟩ ∇u and ⟨a⟩."""
        found = self.law(element, point).mean
        return found @ gradient, found

    def fine(self, values: Array, points: Array) -> Array:
        """Return the bilinear field."""
        return np.asarray(self.grid.interpolation(points) @ values)


class NonlinearHMM(GaussPoints):
    """The same on the fly: each Gauss point's cell is asked at every iteration, from where its last answer was."""

    linear = False

    def __init__(self, medium: Medium, grid: Grid, boundary: Family = "periodic") -> None:
        super().__init__(medium, grid)
        self._boundary = boundary
        self._last: dict[tuple[int, int], Array] = {}  # fluctuations, by element and Gauss point

    def flux(self, element: int, point: int, gradient: Array) -> tuple[Array, Array]:
        """Return the cell's mean flux and its condensed tangent."""
        _, cell = self.medium.cell(self.place(element, point), self._boundary)
        found = cell.answer(gradient[None], self._last.get((element, point)), tangent=True)
        assert found.tangent is not None, "it was wanted"
        self._last[element, point] = found.fluctuation
        for _ in range(found.iterations + 1):
            self.spent.factored(len(found.fluctuation), 1)
        return found.flux[0], found.tangent[0, :, 0]

    def fluctuation(self, element: int, point: int, gradients: Array, points: Array) -> Array:
        """Return the last fluctuation w."""
        _, cell = self.medium.cell(self.place(element, point), self._boundary)
        grid, order = grid_of(cell.micro.points)
        found: Array = _repeated(grid, _centred(self._last[element, point][order], grid), points)[:, 0]
        return found


def _centred(fields: Array, grid: Grid) -> Array:
    """Take the means off fields (n, k)."""
    found: Array = fields - grid.weights @ fields / grid.weights.sum()
    return found


def _repeated(grid: Grid, fields: Array, points: Array) -> Array:
    """Return fields (n, k) of one period at any points (p, 2)."""
    found: Array = grid.interpolation(grid.low + np.mod(points - grid.low, grid.high - grid.low)) @ fields
    return found
