"""Mappings between two point clouds as matrices, so that conservative is the exact transpose of consistent.

A consistent mapping takes values v on points to H v on other points. The conservative mapping
that goes with it takes loads on those other points to Hᵀ f: the virtual work (H v)·f = v·(Hᵀ f)
is kept to the last bit (Farhat, Lesoinne, Le Tallec 1998, doi:10.1016/S0045-7825(97)00216-8).
Numbers are those of preCICE 3.4's mappings of the same names.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping
from itertools import combinations
from typing import TypeAlias

import numpy as np
from scipy.linalg import LinAlgError, LinAlgWarning, qr, solve
from scipy.sparse import csr_array
from scipy.spatial import cKDTree
from scipy.spatial.distance import cdist

from scalespan.adapters.interface import Array, CaseError, Indices
from scalespan.bridges.interface import Mesh

from ..precice_config import Element

Matrix: TypeAlias = "csr_array | Array"

# Cells tried around each point, by their middles, before all others.
_NEAR = 16
# A barycentric weight above this counts as inside, as in preCICE.
_INSIDE = -1e-14
# A linear polynomial whose matrix is worse conditioned loses its shortest axis, as in preCICE.
_FLAT = 1e5
_TINY = 1e-14


def nearest_neighbor(source: Array, target: Array) -> csr_array:
    """Return H (targets, sources) that takes each target's value from its nearest source."""
    count = len(target)
    nearest = cKDTree(source).query(target)[1] if count else np.zeros(0, dtype=int)
    return csr_array((np.ones(count), (np.arange(count), nearest)), shape=(count, len(source)))


def linear_cells(source: Mesh, target: Array) -> csr_array:
    """Return H (targets, sources) that interpolates linearly in the cell around each target.

    The cells are triangles in 2-D and tetrahedra in 3-D; a target outside all of them gets the value of the nearest
    point of the mesh: on a face, an edge or a vertex. (preCICE looks at the four cells or faces only whose bounding
    boxes are nearest, and may take a point farther away.)
    """
    points, cells = source.points, source.triangles if source.points.shape[1] == 2 else source.tetrahedra
    if len(cells) == 0 or len(target) == 0:
        return nearest_neighbor(points, target)
    corners = cells[_around(points[cells], target)]
    weights = _barycentric(points[corners], target)
    outside = np.flatnonzero(weights.min(axis=1) < _INSIDE)
    faces = _boundary(cells) if len(outside) else []
    vertices = cKDTree(points).query(target[outside])[1] if len(outside) else []
    for row, vertex in zip(outside, vertices, strict=True):
        corners[row], weights[row] = _nearest(points, faces, target[row], int(vertex))
    rows = np.repeat(np.arange(len(target)), cells.shape[1])
    return csr_array((weights.ravel(), (rows, corners.ravel())), shape=(len(target), len(points)))


def _around(corners: Array, target: Array) -> Indices:
    """Return for each target the cell (cells, k, dimension) around it, or any cell where there is none."""
    near = min(_NEAR, len(corners))
    tried = np.reshape(cKDTree(corners.mean(axis=1)).query(target, k=near)[1], (-1, near))
    weights = _barycentric(corners[tried.ravel()], np.repeat(target, near, axis=0)).min(axis=1).reshape(-1, near)
    found = tried[np.arange(len(target)), weights.argmax(axis=1)]
    low, high = corners.min(axis=1) - _TINY, corners.max(axis=1) + _TINY
    for row in np.flatnonzero(weights.max(axis=1) < _INSIDE):
        close = np.flatnonzero(np.all((low <= target[row]) & (target[row] <= high), axis=1))
        inside = _barycentric(corners[close], target[row]).min(axis=1)
        if len(close):
            found[row] = close[inside.argmax()]
    return np.asarray(found)


def _boundary(cells: Indices) -> list[Indices]:
    """Return the faces (n, corners) of the cells' boundary: facets, and in 3-D their edges."""
    count = cells.shape[1]
    facets = np.sort(np.concatenate([np.delete(cells, corner, axis=1) for corner in range(count)]), axis=1)
    unique, times = np.unique(facets, axis=0, return_counts=True)
    outer = unique[times == 1]
    lower = [outer[:, list(each)] for size in range(2, count - 1) for each in combinations(range(count - 1), size)]
    return [outer, *([np.unique(np.concatenate(lower), axis=0)] if lower else [])]


def _nearest(points: Array, faces: list[Indices], point: Array, vertex: int) -> tuple[Indices, Array]:
    """Return the corners of the face that is nearest to ``point``, or ``vertex``, and their weights, filled up."""
    count = points.shape[1] + 1
    best, found = float(np.linalg.norm(points[vertex] - point)), (np.full(count, vertex), np.eye(count)[0])
    for each in faces:
        weights = _barycentric(points[each], point)
        feet = np.einsum("fk,fkd->fd", weights, points[each])
        distance = np.where(weights.min(axis=1) >= _INSIDE, np.linalg.norm(feet - point, axis=1), np.inf)
        first = int(np.argmin(distance))
        if distance[first] < best:
            fill = count - each.shape[1]
            corners = np.concatenate([each[first], np.full(fill, vertex)])
            best, found = float(distance[first]), (corners, np.concatenate([weights[first], np.zeros(fill)]))
    return found


def _barycentric(corners: Array, point: Array) -> Array:
    """Return the weights (f, k) of a point's projection on each simplex (f, k, dimension); or of one for each."""
    origin, edges = corners[:, 0], corners[:, 1:] - corners[:, :1]
    if edges.shape[1] == 0:
        return np.ones((len(corners), 1))
    gram = edges @ edges.transpose(0, 2, 1)
    right = np.einsum("fkd,fd->fk", edges, point - origin)
    rest = np.linalg.solve(gram, right[..., None])[..., 0] if len(corners) else right
    return np.concatenate([1.0 - rest.sum(axis=1, keepdims=True), rest], axis=1)


def radial_basis(source: Array, target: Array, basis: Callable[[Array], Array], polynomial: bool) -> Array:
    """Return H (targets, sources) of interpolation with radial basis functions.

    With ``polynomial``, a linear polynomial is fitted by least squares first and the basis functions interpolate the
    rest (preCICE's ``polynomial="separate"``): linear functions are reproduced exactly.

    Raises:
        CaseError: the basis functions do not determine an interpolant.
    """
    # H = A C⁻¹ (1 - Q Q⁺) + V Q⁺ with A, C the basis functions and V, Q the polynomial at targets and sources.
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", LinAlgWarning)
            spread = np.asarray(solve(basis(cdist(source, source)), basis(cdist(target, source)).T, assume_a="sym")).T
    except (LinAlgError, LinAlgWarning) as error:
        raise CaseError(
            "the radial basis functions do not determine an interpolant on these points",
            todo="let no two points coincide, or make the support-radius smaller",
        ) from error
    if not polynomial:
        return spread
    axes = _axes(source)
    inner, outer = _linear(source, axes), _linear(target, axes)
    orthogonal, triangle = qr(inner, mode="economic")
    fit = np.linalg.solve(triangle, orthogonal.T)
    return np.asarray(spread - (spread @ inner) @ fit + outer @ fit)


def _linear(points: Array, axes: list[int]) -> Array:
    return np.column_stack([np.ones(len(points)), points[:, axes]])


def _axes(points: Array) -> list[int]:
    """Return the axes in which the points spread enough to fit a slope."""
    axes = list(range(points.shape[1]))
    while axes:
        singular = np.linalg.svd(_linear(points, axes), compute_uv=False)
        if len(points) > len(axes) and singular[0] <= _FLAT * max(singular[-1], _TINY):
            break
        axes.remove(min(axes, key=lambda axis: float(np.ptp(points[:, axis]))))
    return axes


def _compact(polynomial: Callable[[Array], Array]) -> Callable[[Element], Callable[[Array], Array]]:
    """Return what makes a basis function with a support radius from its polynomial in p = r / radius."""

    def make(element: Element) -> Callable[[Array], Array]:
        radius = element.number("support-radius")
        return lambda r: np.where(r < radius, polynomial(np.minimum(r / radius, 1.0)), 0.0)

    return make


def _shaped(function: Callable[[Array, float], Array]) -> Callable[[Element], Callable[[Array], Array]]:
    """Return what makes a basis function with a shape parameter."""
    return lambda element: lambda r: function(r, element.number("shape-parameter"))


def _gaussian(element: Element) -> Callable[[Array], Array]:
    """exp(-(s r)²), cut where it falls below 1e-9; a support radius is that distance, and gives s."""
    reach = float(np.sqrt(-np.log(1e-9)))
    by_radius = "support-radius" in element.attributes
    shape = reach / element.number("support-radius") if by_radius else element.number("shape-parameter")
    return lambda r: np.where(shape * r > reach, 0.0, np.exp(-((shape * r) ** 2)))


# Wendland's functions (1995, doi:10.1007/BF02123482) and the splines, by preCICE's names.
BASIS: Mapping[str, Callable[[Element], Callable[[Array], Array]]] = {
    "compact-polynomial-c0": _compact(lambda p: (1 - p) ** 2),
    "compact-polynomial-c2": _compact(lambda p: (1 - p) ** 4 * (4 * p + 1)),
    "compact-polynomial-c4": _compact(lambda p: (1 - p) ** 6 * (35 * p**2 + 18 * p + 3)),
    "compact-polynomial-c6": _compact(lambda p: (1 - p) ** 8 * (32 * p**3 + 25 * p**2 + 8 * p + 1)),
    "compact-polynomial-c8": _compact(
        lambda p: (1 - p) ** 10 * (1287 * p**4 + 1350 * p**3 + 630 * p**2 + 150 * p + 15)
    ),
    "gaussian": _gaussian,
    "multiquadrics": _shaped(lambda r, c: np.sqrt(c**2 + r**2)),
    "inverse-multiquadrics": _shaped(lambda r, c: 1.0 / np.sqrt(c**2 + r**2)),
    "thin-plate-splines": lambda element: lambda r: r**2 * np.log(np.maximum(r, _TINY)),
    "volume-splines": lambda element: lambda r: r,
}


def matrix(element: Element, source: Mesh, target: Mesh) -> Matrix:
    """Return M (targets, sources) of a ``<mapping:…>`` between two meshes.

    Raises:
        CaseError: the mapping is not defined on these points.
    """
    if element.text("constraint") == "conservative":
        return _consistent(element, target, source).T
    return _consistent(element, source, target)


def _consistent(element: Element, source: Mesh, target: Mesh) -> Matrix:
    if len(source.points) == 0 and len(target.points) > 0:
        raise element.wrong("one of its meshes has no points")
    if element.kind == "nearest-neighbor":
        return nearest_neighbor(source.points, target.points)
    if element.kind == "linear-cell-interpolation":
        return linear_cells(source, target.points)
    basis = element.all("basis-function")[0]
    dead = [element.flag(f"{axis}-dead", default=False) for axis in "xyz"[: source.points.shape[1]]]
    alive = np.flatnonzero(~np.array(dead))
    separate = element.text("polynomial", default="separate") == "separate"
    try:
        return radial_basis(source.points[:, alive], target.points[:, alive], BASIS[basis.kind](basis), separate)
    except CaseError as error:
        raise element.wrong(error.what, todo=error.todo) from error
