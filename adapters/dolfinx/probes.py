"""Fields at any points, and point loads: one matrix of basis functions, and its transpose.

A rank asks for its own points; the rank whose cell holds a point (found by the bounding-box tree)
answers. With Π the matrix of the basis functions at the points, evaluation is u ↦ Πu and a load
is f ↦ Πᵀf, so that ⟨Πu, f⟩ = ⟨u, Πᵀf⟩ whatever the mesh and the ranks.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from scipy.sparse import csr_array

from ..interface import Array, CaseError, EngineImport
from .domain import Domain
from .nodes import add_ghosts, blocked
from .versions import INSTALL, basix_element, coordinate_map, coordinate_nodes, owners

with EngineImport("dolfinx", install=INSTALL) as engine:
    from dolfinx import fem

_PADDING = 1e-10  # of the mesh's unit: how far outside a cell a point may lie by rounding


class Probes:
    """Points (m, dimension), found in the mesh once."""

    def __init__(self, points: Array, domain: Domain) -> None:
        self.points, self._comm = points.copy(), domain.comm
        padded = np.zeros((len(points), 3))
        padded[:, : domain.dimension] = points
        asked, asking, held, cells = owners(domain.mesh, padded, _PADDING)
        lost = np.flatnonzero(asked < 0)
        if self._comm.allreduce(len(lost)):
            where = f"at {points[lost[0]]}" if len(lost) else "of another rank"
            raise CaseError(f"a point {where} lies outside the mesh", todo="move it inside, or enlarge the mesh")
        # The points that leave for one rank keep their order, and so do their answers on the way back.
        self._asked = np.argsort(asked, kind="stable")
        self._answered = np.argsort(asking, kind="stable")
        size = self._comm.size
        self._out = np.bincount(asked, minlength=size)
        self._in = np.bincount(asking, minlength=size)
        held = np.asarray(held).reshape(-1, 3)
        self._basis = _basis(domain, held[self._answered], np.asarray(cells)[self._answered])

    def evaluate(self, function: Any) -> Array:
        """Return a function's values (m, components) at the points."""
        given = self._basis @ blocked(function)
        values = np.empty((len(self.points), given.shape[1]))
        values[self._asked] = self._exchange(given, self._in, self._out)
        return values

    def load(self, values: Array, function: Any) -> None:
        """Add the loads (m, components) to a function that is complete on owned nodes afterwards."""
        given = self._exchange(np.ascontiguousarray(values[self._asked]), self._out, self._in)
        whole = fem.Function(function.function_space)
        blocked(whole)[:] = self._basis.T @ given
        add_ghosts(whole)
        function.x.array[:] += whole.x.array

    def _exchange(self, values: Array, sent: Array, received: Array) -> Array:
        width = values.shape[1]
        found = np.empty((int(received.sum()), width))
        values = np.ascontiguousarray(values)
        self._comm.Alltoallv([values, sent * width], [found, received * width])
        return found


def _basis(domain: Domain, points: Array, cells: Array) -> Any:
    """Return the basis functions' values: a matrix (points, local nodes)."""
    space = domain.space()
    table, element = space.dofmap.list, basix_element(space)
    geometry, coordinates = coordinate_nodes(domain.mesh), domain.mesh.geometry.x
    count = len(points)
    weights = np.zeros((count, table.shape[1]))
    for i, (point, cell) in enumerate(zip(points, cells, strict=True)):
        corners = coordinates[geometry[cell]][:, : domain.dimension]
        place = coordinate_map(domain.mesh).pull_back(point[None, : domain.dimension], corners)
        weights[i] = element.tabulate(0, place)[0, 0, :, 0]
    return spread(domain, weights, cells)


def spread(domain: Domain, weights: Array, cells: Array) -> Any:
    """Return the matrix (points, local nodes) of weights (points, nodes of a cell) on each point's cell."""
    space = domain.space()
    rows = np.repeat(np.arange(len(cells)), weights.shape[1])
    total = space.dofmap.index_map.size_local + space.dofmap.index_map.num_ghosts
    columns = space.dofmap.list[cells].ravel()
    return csr_array((weights.ravel(), (rows, columns)), shape=(len(cells), total))
