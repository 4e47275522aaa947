"""Equal rectangles with bilinear elements: the coarse mesh, and the nodes of a microstructure where they are such."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from scipy.sparse import csr_array

from scalespan.adapters.interface import Array, CaseError, Indices

_SAME = 1e-6  # of a rectangle's side
CORNERS = np.array([[0.0, 0.0], [1.0, 0.0], [0.0, 1.0], [1.0, 1.0]])  # in the order of `Grid.elements`


@dataclass(frozen=True)
class Grid:
    """Rectangles over a box; node (i, j) has the number i (counts_y + 1) + j."""

    low: Array  # (2,)
    high: Array  # (2,)
    counts: tuple[int, int]  # rectangles along x and y

    @property
    def size(self) -> Array:
        """The sides (2,) of a rectangle."""
        found: Array = (self.high - self.low) / np.array(self.counts)
        return found

    @cached_property
    def nodes(self) -> Array:
        """The nodes (n, 2)."""
        along = [np.linspace(self.low[i], self.high[i], self.counts[i] + 1) for i in range(2)]
        return np.stack(np.meshgrid(*along, indexing="ij"), axis=-1).reshape(-1, 2)

    @cached_property
    def elements(self) -> Indices:
        """The nodes (k, 4) of each rectangle: low, right, above, opposite."""
        across = self.counts[1] + 1
        first = (np.arange(self.counts[0])[:, None] * across + np.arange(self.counts[1])).reshape(-1, 1)
        found: Indices = first + np.array([0, across, 1, across + 1])
        return found

    @cached_property
    def inside(self) -> Indices:
        """The nodes that are not on the boundary."""
        i, j = np.divmod(np.arange(len(self.nodes)), self.counts[1] + 1)
        return np.flatnonzero((i > 0) & (i < self.counts[0]) & (j > 0) & (j < self.counts[1]))

    @cached_property
    def weights(self) -> Array:
        """∫N (n,) of the bilinear functions."""
        along = [np.ones(count + 1) for count in self.counts]
        for each in along:
            each[[0, -1]] = 0.5
        return np.outer(*along).ravel() * float(self.size.prod())

    def corners(self, element: int) -> tuple[Array, Array]:
        """Return the low and the high corner (2,) of a rectangle."""
        nodes = self.nodes[self.elements[element]]
        return nodes[0], nodes[3]

    def locate(self, points: Array) -> tuple[Indices, Array]:
        """Return the rectangle (p,) of points (p, 2), and their place in it (p, 2), from 0 to 1.

        Raises:
            CaseError: a point outside.
        """
        at = (points - self.low) / self.size
        if at.min(initial=0.0) < -_SAME or (at - self.counts).max(initial=0.0) > _SAME:
            raise CaseError("a point is outside of the domain", where="multiscale_fem", todo="ask for points inside")
        whole = np.clip(np.floor(at).astype(int), 0, np.array(self.counts) - 1)
        found: Indices = whole[:, 0] * self.counts[1] + whole[:, 1]
        return found, at - whole

    def interpolation(self, points: Array) -> csr_array:
        """Return the matrix (p, n) that takes values at nodes to values at points."""
        element, place = self.locate(points)
        rows = np.repeat(np.arange(len(points)), 4)
        shape = (len(points), len(self.nodes))
        return csr_array((shapes(place).ravel(), (rows, self.elements[element].ravel())), shape=shape)

    def gradient(self, values: Array, points: Array) -> Array:
        """Return the gradient (p, 2) of values (n,) at points, one-sided at the edges of elements."""
        element, place = self.locate(points)
        found: Array = np.einsum("pi,pid->pd", values[self.elements[element]], slopes(place, self.size))
        return found


def shapes(place: Array) -> Array:
    """Return the four bilinear functions (p, 4) at places (p, 2) in a rectangle."""
    s, t = place.T
    return np.stack([(1 - s) * (1 - t), s * (1 - t), (1 - s) * t, s * t], axis=1)


def slopes(place: Array, size: Array) -> Array:
    """Return their gradients (p, 4, 2) in a rectangle with sides (2,)."""
    s, t = place.T
    along = np.stack([t - 1, 1 - t, -t, t], axis=1) / size[0]
    across = np.stack([s - 1, -s, 1 - s, s], axis=1) / size[1]
    return np.stack([along, across], axis=2)


def grid_of(points: Array) -> tuple[Grid, Indices]:
    """Return the grid that points (n, 2) are the nodes of, and the order (n,) in which they are its nodes.

    Raises:
        CaseError: they are not the nodes of equal rectangles.
    """
    low, high = points.min(axis=0), points.max(axis=0)
    apart = _SAME * (high - low) / np.sqrt(len(points))
    counts = [int((np.diff(np.sort(points[:, i])) > apart[i]).sum()) for i in range(2)]
    if points.shape[1] == 2 and min(counts) > 0 and (counts[0] + 1) * (counts[1] + 1) == len(points):
        grid = Grid(low, high, (counts[0], counts[1]))
        at = np.rint((points - low) / grid.size).astype(int)
        order = np.argsort(at[:, 0] * (counts[1] + 1) + at[:, 1])
        if np.abs(points[order] - grid.nodes).max() < _SAME * float(grid.size.max()):
            return grid, order
    raise CaseError(
        "the nodes of the part 'cell' are not those of equal rectangles",
        where="multiscale_fem",
        todo="give it a mesh with low, high and cells, in two dimensions",
    )
