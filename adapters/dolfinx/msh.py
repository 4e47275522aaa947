"""Meshes from the .msh files that gmsh writes, read by meshio: gmsh itself is GPL and stays out of this process."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from ..interface import Array, CaseError, EngineImport, EngineMissing, Indices, ScalespanError
from .versions import INSTALL

with EngineImport("dolfinx", install=INSTALL) as engine:
    import basix.ufl
    from dolfinx import cpp
    from dolfinx import mesh as meshes
    from dolfinx.graph import adjacencylist
    from dolfinx.io.utils import distribute_entity_data


class _Kind(NamedTuple):
    """A kind of cell: its name, dimension and degree in DOLFINx, and what meshio calls its facets."""

    cell: str
    dimension: int
    degree: int
    facet: str


# By meshio's names, the highest dimension first.
_CELLS = {
    "tetra": _Kind("tetrahedron", 3, 1, "triangle"),
    "hexahedron": _Kind("hexahedron", 3, 1, "quad"),
    "tetra10": _Kind("tetrahedron", 3, 2, "triangle6"),
    "hexahedron27": _Kind("hexahedron", 3, 2, "quad9"),
    "triangle": _Kind("triangle", 2, 1, "line"),
    "quad": _Kind("quadrilateral", 2, 1, "line"),
    "triangle6": _Kind("triangle", 2, 2, "line3"),
    "quad9": _Kind("quadrilateral", 2, 2, "line3"),
}


class Content(NamedTuple):
    """What a file says: points (n, 3); cells and facets (n, nodes) in VTK's order; the group of each of both."""

    kind: _Kind
    points: Array
    cells: Indices
    facets: Indices
    groups: Indices  # of the facets
    bodies: Indices  # of the cells; none where the file has no groups of them

    def none_of_it(self) -> Content:
        """Return the same with no rows: what the ranks have that do not read."""
        return self._replace(
            **{name: getattr(self, name)[:0] for name in ("points", "cells", "facets", "groups", "bodies")}
        )


class Read(NamedTuple):
    """A mesh, spread over the ranks."""

    mesh: Any
    tags: Any = None  # of its facets, by physical group
    bodies: Indices | None = None  # of this rank's cells, ghosts included: the group or the block that each is of
    phases: Indices | None = None  # of the bodies: 0, 1 …
    kinds: int = 0  # of phases that the medium has; one realisation may have fewer


def read_msh(file: Path, comm: Any, dimension: int) -> Read:
    """Return the mesh of a .msh file, with its facets and its cells known by their physical group.

    Facets are known by the group's number, of several the first; cells by its rank among theirs.

    Raises:
        CaseError: no file of gmsh, cells of several kinds, of degree above 2, or of another dimension.
        EngineMissing: meshio is not installed.
    """
    return spread(lambda: content_of(file, dimension), comm, dimension)


def spread(make: Callable[[], Content], comm: Any, dimension: int) -> Read:
    """Return the mesh of what the first rank reads; what it raises, all raise."""
    found = _tried(make) if comm.rank == 0 else None
    said = comm.bcast(found.none_of_it() if isinstance(found, Content) else found)
    if isinstance(said, ScalespanError):  # on all ranks, or the others would wait for ever
        raise found if isinstance(found, ScalespanError) else said
    content = found if isinstance(found, Content) else said
    mesh = _mesh(content, comm, dimension)
    groups, bodies = np.unique(comm.bcast(content.bodies), return_inverse=True)
    mine = bodies[mesh.topology.original_cell_index] if len(bodies) else None
    return Read(mesh, _tags(content, mesh), mine, np.arange(len(groups)), len(groups))


def _tried(make: Callable[[], Content]) -> Content | ScalespanError:
    try:
        return make()
    except ScalespanError as error:
        return error


def content_of(file: Path, dimension: int) -> Content:
    """Return what a file says, on the rank that reads it."""
    read = _read(file)
    blocks = read.cells_dict
    name, kind = _cells(blocks, file)
    if kind.dimension > dimension:
        raise CaseError(f"{kind.cell} cells in {dimension} dimensions", where=file.name, todo="set mesh.dimension = 3")
    physical = read.cell_data_dict.get("gmsh:physical", {})
    groups, bodies = (physical.get(each, np.zeros(0)) for each in (kind.facet, name))
    facets = blocks[kind.facet] if len(groups) else np.zeros((0, 0))
    # A number below zero is a group's that takes the surface turned round.
    numbers = (blocks[name], facets, np.abs(groups), np.abs(bodies))
    return Content(kind, read.points, *(each.astype(np.int64) for each in numbers))


def _cells(blocks: Mapping[str, Indices], file: Path) -> tuple[str, _Kind]:
    """Return meshio's name of the cells and their kind: those of the highest dimension."""
    known = [name for name in _CELLS if name in blocks]
    if not known:
        raise CaseError(
            f"no cells of degree 1 or 2; there are: {', '.join(blocks)}",
            where=file.name,
            todo="mesh with Mesh.ElementOrder = 1",
        )
    kind = _CELLS[known[0]]
    several = [name for name in known if _CELLS[name].dimension == kind.dimension]
    if len(several) > 1:
        raise CaseError(f"cells of several kinds: {', '.join(several)}", where=file.name, todo="mesh with one")
    return known[0], kind


def _read(file: Path) -> Any:
    try:
        from meshio import gmsh  # here, because it brings sixty formats
    except ModuleNotFoundError as error:
        raise EngineMissing.named("meshio", "pip install 'scalespan[mesh]'") from error
    try:
        return gmsh.read(file)
    except Exception as error:  # a file that it does not understand ends in errors of many unrelated classes
        raise CaseError(
            f"meshio cannot read it ({error})" if str(error) else "meshio cannot read it",
            where=file.name,
            todo="write it with gmsh's defaults: format 4.1, Mesh.SaveAll = 0, no parametric coordinates",
        ) from error


def _mesh(content: Content, comm: Any, dimension: int) -> Any:
    kind = content.kind
    element = basix.ufl.element(
        "Lagrange", kind.cell, kind.degree, lagrange_variant=basix.LagrangeVariant.equispaced, shape=(dimension,)
    )
    cells = _ordered(content.cells, getattr(meshes.CellType, kind.cell))
    return meshes.create_mesh(comm, cells, e=element, x=np.ascontiguousarray(content.points[:, :dimension]))


def _tags(content: Content, mesh: Any) -> Any:
    dimension = mesh.topology.dim - 1
    if not mesh.comm.allreduce(len(content.groups)):
        return None
    shape = cpp.mesh.cell_entity_type(mesh.topology.cell_type, dimension, 0)
    facets = _ordered(content.facets, shape)
    rows, groups = distribute_entity_data(mesh, dimension, facets, content.groups.astype(np.int32))
    mesh.topology.create_connectivity(dimension, dimension + 1)
    return meshes.meshtags_from_entities(mesh, dimension, adjacencylist(rows), groups.astype(np.int32))


def _ordered(nodes: Indices, cell: Any) -> Indices:
    """Return the nodes (n, m) of cells, or of facets, in DOLFINx's order."""
    order = cpp.io.perm_vtk(cell, nodes.shape[1])
    return np.ascontiguousarray(nodes[:, order])
