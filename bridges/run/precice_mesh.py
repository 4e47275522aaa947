"""What of a mesh preCICE gets, checked first: pyprecice asserts, aborts or takes wrong shapes as they come."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from scalespan.adapters.interface import Array, CaseError, Indices
from scalespan.bridges.interface import Mesh


@dataclass(frozen=True)
class Vertices:
    """The points of one mesh as preCICE numbers them."""

    ids: list[int]  # pyprecice converts a list faster than its own arrays
    points: Array  # (n, dimension)


def provide(participant: Any, name: str, mesh: Mesh, dimension: int) -> Vertices:
    """Give the points to preCICE's ``participant``, and the cells where a mapping wants them.

    Raises:
        CaseError: points of another dimension, or cells with corners that do not exist.
    """
    points = matrix(mesh.points, dimension, f"the mesh '{name}'")
    ids = participant.set_mesh_vertices(name, points)
    if participant.requires_mesh_connectivity_for(name):
        edges, triangles, tetrahedra = (
            ids[_corners(each, len(points), name)] for each in (mesh.edges, mesh.triangles, mesh.tetrahedra)
        )
        if len(edges):
            participant.set_mesh_edges(name, edges)
        if dimension == 2:  # pyprecice's bulk function refuses every triangle of a 2-D mesh
            for triangle in triangles.tolist():
                participant.set_mesh_triangle(name, *triangle)
        elif len(triangles):
            participant.set_mesh_triangles(name, triangles)
        if len(tetrahedra):
            participant.set_mesh_tetrahedra(name, tetrahedra)
    return Vertices(ids.tolist(), points)


def matrix(values: Array, columns: int, what: str, rows: int | None = None) -> Array:
    """Return values (rows, columns) as numbers.

    Raises:
        CaseError: another shape, or numbers that are not finite.
    """
    found = np.asarray(values, dtype=float)
    if found.ndim != 2 or found.shape[1] != columns or rows not in (None, len(found)):
        wanted = f"({'n' if rows is None else rows}, {columns})"
        raise CaseError(f"{what} has the shape {found.shape}", todo=f"give {wanted}, as the XML's dimensions say")
    if not np.isfinite(found).all():
        raise CaseError(f"{what} is not finite")
    return found


def _corners(cells: Indices, points: int, mesh: str) -> Indices:
    found = np.asarray(cells, dtype=np.int64)
    if found.size and not 0 <= found.min() <= found.max() < points:
        raise CaseError(f"a cell of the mesh '{mesh}' has the corner {found.max()}, and there are {points} points")
    return found
