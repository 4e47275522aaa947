"""The middles of a boundary's facets: where finite-volume partners have their values."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..interface import Array, CaseError, EngineImport, Indices, Mesh
from .domain import Domain
from .nodes import Nodes, add_ghosts, blocked
from .options import Place
from .probes import spread
from .versions import INSTALL, basix_element, coordinate_map

with EngineImport("dolfinx", install=INSTALL) as engine:
    import basix
    from dolfinx import fem


class Facets:
    """One point in the middle of each facet; each facet belongs to one rank.

    A function is taken at the middles; a density that is put there is constant on each facet; a
    load acts at the middle, so that it is the adjoint of taking.
    """

    def __init__(self, place: Place, domain: Domain) -> None:
        assert place.boundary is not None
        self.boundary, self._domain = place.boundary, domain
        self._nodes = Nodes(Place(boundary=place.boundary), domain)
        self._cells: Indices = domain.facets(place.boundary)[:, 0]
        if len(np.unique(self._cells)) < len(self._cells):
            raise CaseError(
                f"two facets of the boundary '{place.boundary}' belong to one cell", todo='use at = "nodes" there'
            )
        points, weights = _middles(domain, domain.facets(place.boundary))
        self._basis = spread(domain, weights, self._cells)
        self.mesh = Mesh(points)
        self.local: Indices = np.arange(len(points))
        self.owned = len(points)

    def space(self, components: int) -> Any:
        """Return the space of what is constant on each cell, and so on its facet."""
        shape = () if components == 1 else ((components,),)
        return fem.functionspace(self._domain.mesh, ("DG", 0, *shape))

    def take(self, function: Any) -> Array:
        """Return a function's values (n, components) at the middles."""
        return np.asarray(self._basis @ blocked(function))

    def put(self, values: Array, function: Any) -> None:
        """Set a function of `space` on the facets."""
        table = function.function_space.dofmap.list
        blocked(function)[table[self._cells, 0]] = values
        function.x.scatter_forward()

    def add(self, values: Array, function: Any) -> None:
        """Add loads at the middles to a function that is complete on owned nodes afterwards."""
        whole = fem.Function(function.function_space)
        blocked(whole)[:] = self._basis.T @ values
        add_ghosts(whole)
        function.x.array[:] += whole.x.array

    def dofs(self, components: int) -> Indices:
        """Return the local, unrolled degrees of freedom of the boundary's nodes, ghosts included."""
        return self._nodes.dofs(components)


def _middles(domain: Domain, facets: Indices) -> tuple[Array, Array]:
    """Return the middles (n, dimension), and the basis functions of their cells there (n, nodes)."""
    element, d = basix_element(domain.space()), domain.dimension
    corners, topology = basix.geometry(element.cell_type), basix.topology(element.cell_type)
    coordinates, geometry = domain.mesh.geometry.x, domain.mesh.geometry.dofmap
    references = np.array([corners[each].mean(axis=0) for each in topology[d - 1]])
    weights = element.tabulate(0, references)[0, :, :, 0]
    points = [
        coordinate_map(domain.mesh).push_forward(references[[facet]], coordinates[geometry[cell]][:, :d])[0]
        for cell, facet in facets
    ]
    return np.array(points).reshape(-1, d), weights[facets[:, 1]]
