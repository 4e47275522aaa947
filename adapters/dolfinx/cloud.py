"""A mesh of nodes that a file gives: Delaunay's simplices of the points, which fill their convex hull.

A lattice has more points on a sphere than a simplex has corners; which simplices fill it is then left to rounding, and
flat ones come between squares whose diagonals differ. The triangulation is therefore Delaunay's of the sheared points:
one metric for all, in which no lattice is so regular, chooses the same diagonal on both sides of each square.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from ase import Atoms
from ase.io import read
from scipy.spatial import ConvexHull, Delaunay, QhullError

from ..interface import Array, CaseError, EngineImport, Indices, ScalespanError
from .versions import INSTALL

with EngineImport("dolfinx", install=INSTALL) as engine:
    import basix.ufl
    from dolfinx import mesh as meshes

_SHEAR = np.array([[1.0, 0.0613, 0.0271], [0.0, 1.0, 0.0457], [0.0, 0.0, 1.0]])
_FLAT = 1e-8  # of the longest edge to the power of the dimension: slivers between points of the hull


def read_points(file: Path) -> Array:
    """Return the points (n, d) of a text file (a point a line), a .npy, or anything that ASE reads.

    Raises:
        CaseError: it cannot be read, or holds no points of two or three dimensions.
    """
    try:
        if file.suffix == ".npy":
            points = np.load(file)
        elif file.suffix in (".txt", ".dat", ".csv"):
            points = np.loadtxt(file, ndmin=2, delimiter="," if file.suffix == ".csv" else None)
        else:
            found = read(file, parallel=False)  # one rank reads
            assert isinstance(found, Atoms), "one frame was asked for"
            points = found.positions
    except Exception as error:  # NumPy's and ASE's readers raise anything
        raise CaseError(f"the points cannot be read: {error}", where=file.name, todo="write a point a line") from error
    points = np.asarray(points, dtype=np.float64)
    if points.ndim != 2 or points.shape[1] not in (2, 3) or not np.isfinite(points).all():
        raise CaseError(f"points of the shape {points.shape}", where=file.name, todo="give two or three numbers each")
    if points.shape[1] == 3 and not np.ptp(points[:, 2]):
        points = points[:, :2]  # .xyz knows no plane
    return points


def joined(points: Array) -> Indices:
    """Return the simplices (k, d + 1) that fill the convex hull of points (n, d).

    Raises:
        CaseError: the points are too few or lie in a plane, or the simplices leave a gap.
    """
    d = points.shape[1]
    try:
        cells = np.asarray(Delaunay(points @ _SHEAR[:d, :d]).simplices, dtype=np.int64)
        hull = ConvexHull(points)
    except (QhullError, ValueError) as error:
        raise CaseError("the points span no volume", todo="give more of them, not all in one plane") from error
    corners = points[cells]
    sizes = np.linalg.norm(corners[:, :, None] - corners[:, None], axis=-1).max(axis=(1, 2))
    volumes = np.abs(np.linalg.det(corners[:, 1:] - corners[:, :1]))
    whole: Indices = cells[volumes > _FLAT * sizes**d]
    _check_whole(points, whole, hull)
    return whole


def _check_whole(points: Array, cells: Indices, hull: ConvexHull) -> None:
    """Raise unless the facets of one cell are those of the hull, and each point is a node."""
    missing = np.setdiff1d(np.arange(len(points)), cells)
    if len(missing):
        raise CaseError(
            f"{len(missing)} points are in no simplex, the first is number {missing[0]}", todo="give each point once"
        )
    width = cells.shape[1]
    facets = np.sort(np.concatenate([np.delete(cells, i, axis=1) for i in range(width)]), axis=1)
    each, times = np.unique(facets, axis=0, return_counts=True)
    outer = points[each[times == 1]]
    edges = outer[:, 1:] - outer[:, :1]
    area = float(np.sqrt(np.linalg.det(edges @ edges.swapaxes(1, 2))).sum()) / (width - 2)
    if times.max() > 2 or abs(area - hull.area) > _FLAT * hull.area:
        raise CaseError(
            f"the simplices leave gaps: their surface is {area:.9g}, and that of the points' hull {hull.area:.9g}",
            todo="move points that are nearly in a plane",
        )


def mesh_of_points(file: Path, comm: Any) -> Any:
    """Return the mesh, made on one rank and spread over all."""
    points: Array = np.zeros((0, 3))
    cells: Indices = np.zeros((0, 4), dtype=np.int64)
    error: ScalespanError | None = None
    if comm.rank == 0:
        try:
            points = read_points(file)
            cells = joined(points)
        except ScalespanError as raised:
            error = raised
    error, d = comm.bcast((error, points.shape[1]))
    if error is not None:  # on all ranks, or the others would wait for ever
        raise error
    kind = {2: "triangle", 3: "tetrahedron"}[d]
    element = basix.ufl.element("Lagrange", kind, 1, shape=(d,))
    points, cells = np.ascontiguousarray(points[:, :d]), cells[:, : d + 1]
    return meshes.create_mesh(comm, np.ascontiguousarray(cells), e=element, x=points)
