"""Lagrange nodes joined by simplices: how a coupling mesh gets its edges, triangles and tetrahedra.

A cube of the lattice is cut into simplices along the order of its axes (H. Freudenthal 1942,
doi:10.2307/1968813). A simplex is itself a part of such a cut, in the coordinates that add up its
barycentric ones, so that one rule cuts simplices and tensor cells of any degree.
"""

from __future__ import annotations

from itertools import permutations, product

import numpy as np

from ..interface import Array, Indices


def simplices(nodes: Array, corners: Array, degree: int, tensor: bool) -> Indices:
    """Return (k, d + 1) indices of ``nodes``: the simplices that fill a cell or a facet of dimension d.

    Args:
        nodes: (n, D) reference coordinates of the Lagrange nodes on it.
        corners: (c, D) its corners: d + 1 for a simplex, 2^d for a tensor cell in basix's order.
        degree: of the element; the nodes lie evenly.
        tensor: whether it is a quadrilateral or a hexahedron.
    """
    dimension = len(corners).bit_length() - 1 if tensor else len(corners) - 1
    axes = (corners[1 << np.arange(dimension)] if tensor else corners[1:]) - corners[0]
    steps = np.rint(degree * np.linalg.lstsq(axes.T, (nodes - corners[0]).T, rcond=None)[0].T).astype(int)
    if not tensor:
        steps = np.cumsum(steps[:, ::-1], axis=1)[:, ::-1]
    index = {tuple(step): i for i, step in enumerate(steps)}
    unit, origin = np.eye(dimension, dtype=int), np.zeros((1, dimension), dtype=int)
    found = []
    for start, order in product(product(range(degree), repeat=dimension), permutations(range(dimension))):
        path = start + np.vstack([origin, np.cumsum(unit[list(order)], axis=0)])
        if all(tuple(step) in index for step in path):
            found.append([index[tuple(step)] for step in path])
    return np.array(found, dtype=np.int64).reshape(-1, dimension + 1)
