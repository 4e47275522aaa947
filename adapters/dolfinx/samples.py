"""Points inside of cells and facets, of whose integrals they are a rule: the middles of facets, and Gauss points.

With Π the matrix of the basis functions at the points and W the rule's weights times the measure there, taking is
u ↦ Πu, a load is f ↦ Πᵀf, and a density enters as g ↦ ΠᵀWg, which is ∫ g v (T. J. R. Hughes, The Finite Element
Method, 2000, sect. 3.8). So ⟨Πu, f⟩ = ⟨u, Πᵀf⟩ whatever the mesh and the ranks.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from ..interface import Array, CaseError, EngineImport, Indices, Mesh
from .domain import Domain
from .nodes import Nodes, add_ghosts, blocked
from .options import Place
from .probes import spread
from .versions import INSTALL, basix_element, coordinate_element, coordinate_nodes

with EngineImport("dolfinx", install=INSTALL) as engine:
    import basix
    from dolfinx import fem


class Samples:
    """Points of a boundary, or of the volume, each of the rank that owns its cell."""

    def __init__(self, boundary: str | None, domain: Domain, rule: tuple[Array, Array]) -> None:
        self.boundary, self._domain = boundary, domain
        self._nodes = Nodes(Place(boundary=boundary), domain)
        parts = [_placed(domain, *each, rule[1]) for each in _entities(domain, boundary, rule[0])]
        cells, points, measures, weights = (np.concatenate(each) for each in zip(*parts, strict=True))
        self.cells: Indices = cells
        self._measures: Array = measures
        self._basis = spread(domain, weights, cells)
        self.mesh = Mesh(points)
        self.local: Indices = np.arange(len(points))
        self.owned = len(points)

    def take(self, function: Any) -> Array:
        """Return a function's values (n, components) at the points."""
        return np.asarray(self._basis @ blocked(function))

    def add(self, values: Array, function: Any) -> None:
        """Add loads at the points to a function that is complete on owned nodes afterwards."""
        whole = fem.Function(function.function_space)
        blocked(whole)[:] = self._basis.T @ values
        add_ghosts(whole)
        function.x.array[:] += whole.x.array

    def integrate(self, values: Array, function: Any) -> None:
        """Add the loads of a density at the points, which are its integrals with the basis functions."""
        self.add(self._measures[:, None] * values, function)

    def dofs(self, components: int) -> Indices:
        """Return the local, unrolled degrees of freedom of the place's nodes, ghosts included."""
        return self._nodes.dofs(components)


class Facets(Samples):
    """The middle of each of a boundary's facets, where finite-volume partners have their values.

    A density that is put there is constant on each facet.
    """

    def __init__(self, place: Place, domain: Domain) -> None:
        corners = basix.geometry(_facet(domain))
        super().__init__(place.boundary, domain, (corners.mean(axis=0)[None], np.ones(1)))
        if len(np.unique(self.cells)) < len(self.cells):
            raise CaseError(
                f"two facets of the boundary '{place.boundary}' belong to one cell", todo='use at = "nodes" there'
            )

    def space(self, components: int) -> Any:
        """Return the space of what is constant on each cell, and so on its facet."""
        shape = () if components == 1 else ((components,),)
        return fem.functionspace(self._domain.mesh, ("DG", 0, *shape))

    def put(self, values: Array, function: Any) -> None:
        """Set a function of `space` on the facets."""
        blocked(function)[function.function_space.dofmap.list[self.cells, 0]] = values
        function.x.scatter_forward()


class Gauss(Samples):
    """The Gauss points of each facet or cell, exact for polynomials up to a degree."""

    def __init__(self, place: Place, domain: Domain) -> None:
        self._degree = 2 * domain.degree if place.degree is None else place.degree
        kind = _facet(domain) if place.boundary else basix_element(domain.space()).cell_type
        super().__init__(place.boundary, domain, basix.make_quadrature(kind, self._degree))

    def fits(self, function: Any, name: str) -> None:
        """Raise if a function does not live on the points."""
        components = function.function_space.dofmap.index_map_bs
        if function.function_space != self._domain.quadrature(self._degree, components):
            raise CaseError(
                f"'{name}' does not live on the Gauss points of degree {self._degree}",
                todo=f"take its space from Domain.quadrature({self._degree})",
            )

    def put(self, values: Array, function: Any) -> None:
        """Set a function of `Domain.quadrature` on the cells that this rank owns, and pass it on."""
        table: Indices = function.function_space.dofmap.list
        blocked(function)[table[: len(values) // table.shape[1]].ravel()] = values
        function.x.scatter_forward()


def _facet(domain: Domain) -> Any:
    kinds = basix.CellType
    cell = basix_element(domain.space()).cell_type
    return {
        kinds.triangle: kinds.interval,
        kinds.quadrilateral: kinds.interval,
        kinds.tetrahedron: kinds.triangle,
        kinds.hexahedron: kinds.quadrilateral,
    }[cell]


def _entities(domain: Domain, boundary: str | None, rule: Array) -> Iterator[tuple[Indices, Array, Array]]:
    """Yield cells (n,), points (q, d) in the reference cell, and the axes (d, k) of the facet or cell there."""
    d, kind = domain.dimension, basix_element(domain.space()).cell_type
    if boundary is None:
        yield np.arange(domain.mesh.topology.index_map(d).size_local), rule, np.eye(d)
        return
    facets = domain.facets(boundary)
    for number, corners in enumerate(basix.topology(kind)[d - 1]):
        places = basix.geometry(kind)[corners]
        axes = places[1:d] - places[0]
        yield facets[facets[:, 1] == number, 0], places[0] + rule @ axes, axes.T


def _placed(
    domain: Domain, cells: Indices, references: Array, axes: Array, weights: Array
) -> tuple[Indices, Array, Array, Array]:
    """Return of all cells' points: the cell, where (n·q, d), the weight by the measure, the basis functions."""
    d, q = domain.dimension, len(references)
    shape = coordinate_element(domain.mesh).tabulate(1, references)[:, :, :, 0]
    corners = domain.mesh.geometry.x[coordinate_nodes(domain.mesh)[cells]][:, :, :d]
    points = np.einsum("qk,nkd->nqd", shape[0], corners)
    tangents = np.einsum("aqk,nkd->nqda", shape[1:], corners) @ axes
    measures = weights * np.sqrt(np.linalg.det(tangents.swapaxes(2, 3) @ tangents))
    basis = basix_element(domain.space()).tabulate(0, references)[0, :, :, 0]
    return np.repeat(cells, q), points.reshape(-1, d), measures.ravel(), np.tile(basis, (len(cells), 1))
