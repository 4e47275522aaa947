"""The nodes of a place: which they are, where, how they are joined, and how values come and go."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from ..interface import Array, CaseError, EngineImport, Indices, Mesh
from .domain import Domain
from .lattice import simplices
from .options import Place
from .versions import INSTALL, basix_element

with EngineImport("dolfinx", install=INSTALL) as engine:
    import basix
    from dolfinx import fem
    from petsc4py import PETSc


class Nodes:
    """The Lagrange nodes of a boundary, or of the volume: those that this rank owns come first.

    With connectivity, a rank also gives the nodes of its cells or facets that another rank owns:
    a mesh for linear-cell interpolation has no gaps then. A load on a doubled node counts where it arrives.
    """

    def __init__(self, place: Place, domain: Domain) -> None:
        self.boundary, self._domain = place.boundary, domain
        space = domain.space()
        self._table: Indices = space.dofmap.list
        owned = space.dofmap.index_map.size_local
        cells = list(self._entities(space))
        mark = fem.Function(space)
        mark.x.array[np.unique(np.concatenate([nodes for nodes, *_ in cells] or [np.zeros(0, dtype=np.int64)]))] = 1.0
        shared = mark.x.array > 0.0
        add_ghosts(mark)
        self.every: Indices = np.flatnonzero(mark.x.array)  # ghosts included
        mine = self.every[self.every < owned]
        extra = self.every[(self.every >= owned) & shared[self.every]] if place.connectivity else mine[:0]
        self.local: Indices = np.concatenate([mine, extra])  # the points, as nodes of the space
        self.owned = len(mine)
        points = space.tabulate_dof_coordinates()[self.local, : domain.dimension]
        self.mesh = self._joined(points, cells) if place.connectivity else Mesh(points)

    def fits(self, function: Any, name: str) -> None:
        """Raise if a function's nodes are not those of the place's space."""
        if not np.array_equal(function.function_space.dofmap.list, self._table):
            raise CaseError(f"'{name}' does not live on the nodes of Domain.space", todo="take its space from there")

    def take(self, function: Any) -> Array:
        """Return a function's values (n, components) at the points."""
        return blocked(function)[self.local].copy()

    def put(self, values: Array, function: Any) -> None:
        """Set a function at the points that this rank owns, and pass it on."""
        blocked(function)[self.local[: self.owned]] = values[: self.owned]
        function.x.scatter_forward()

    def add(self, values: Array, function: Any) -> None:
        """Add values at all points, doubled ones too, to a function that is complete on owned nodes afterwards."""
        whole = fem.Function(function.function_space)
        np.add.at(blocked(whole), self.local, values)
        add_ghosts(whole)
        function.x.array[:] += whole.x.array

    def dofs(self, components: int) -> Indices:
        """Return the local, unrolled degrees of freedom, ghosts included."""
        found: Indices = (components * self.every[:, None] + np.arange(components)).ravel().astype(np.int32)
        return found

    def _entities(self, space: Any) -> Iterator[tuple[Indices, Indices, Indices]]:
        """Yield of each facet or cell: its nodes, their number in the reference cell, its reference corners."""
        mesh, layout = space.mesh, space.dofmap.dof_layout
        kind = basix_element(space).cell_type
        topology, d = basix.topology(kind), self._domain.dimension
        if self.boundary is None:
            whole = np.arange(layout.num_dofs)
            for cell in range(mesh.topology.index_map(d).size_local):
                yield self._table[cell], whole, np.array(topology[d][0])
            return
        for cell, facet in self._domain.facets(self.boundary):
            inside = np.array(layout.entity_closure_dofs(d - 1, int(facet)))
            yield self._table[cell][inside], inside, np.array(topology[d - 1][facet])

    def _joined(self, points: Array, cells: list[tuple[Indices, Indices, Indices]]) -> Mesh:
        element = basix_element(self._domain.space())
        corners, index = basix.geometry(element.cell_type), {int(node): i for i, node in enumerate(self.local)}
        tensor = element.cell_type in (basix.CellType.quadrilateral, basix.CellType.hexahedron)
        patterns: dict[bytes, Indices] = {}
        found = []
        for nodes, inside, vertices in cells:
            key = inside.tobytes()
            if key not in patterns:
                flat = tensor and len(vertices) > 2
                patterns[key] = simplices(element.points[inside], corners[vertices], element.degree, flat)
            found.append(np.array([index[int(node)] for node in nodes])[patterns[key]])
        width = self._domain.dimension + (self.boundary is None)
        joined = np.concatenate(found) if found else np.zeros((0, width), dtype=np.int64)
        return Mesh(points, **{{2: "edges", 3: "triangles", 4: "tetrahedra"}[width]: joined})


def blocked(function: Any) -> Array:
    """Return a function's values (nodes, components) as a view."""
    values: Array = function.x.array.reshape(-1, function.function_space.dofmap.index_map_bs)
    return values


def add_ghosts(function: Any) -> None:
    """Add what the ghosts of a function hold to their owners, and tell the ghosts."""
    function.x.petsc_vec.ghostUpdate(PETSc.InsertMode.ADD, PETSc.ScatterMode.REVERSE)
    function.x.scatter_forward()
