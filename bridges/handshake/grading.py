"""Nodes of a body around a defect: every site of the lattice near it, ever fewer with the distance."""

from __future__ import annotations

import numpy as np
from ase import Atoms

from scalespan.adapters.interface import Array, CaseError


def graded_nodes(crystal: Atoms, fine: float, cells: int) -> Array:
    """Return nodes (n, d) around the origin, Å, at lattice points of which `simplex` or a mesh of points make a body.

    The strain of a point defect falls as r⁻ᵈ, and linear elements of size h err by h |∇²u|. For a given number of
    nodes the error is least where h ∝ |∇²u|^(−2/(d+2)) ∝ r^(2(d+1)/(d+2)) (M. Luskin and C. Ortner,
    Acta Numerica 22, 397 (2013), doi:10.1017/S0962492913000068): h = (r/fine)^(2(d+1)/(d+2)) cells, rounded down to a
    power of two.

    Args:
        crystal: its cell, periodic along its first d axes.
        fine: up to this distance every cell has a node; the atoms' region and its pad should lie within.
        cells: the body goes so many cells of the crystal along each axis, to either side.

    Raises:
        CaseError: a body that ends within ``fine``.
    """
    d = int(crystal.pbc.sum())
    cell = crystal.cell.array[:d, :d]
    # The nearest face of the parallelepiped.
    if (shortest := cells / float(np.linalg.norm(np.linalg.inv(cell), axis=0).max())) < fine:
        raise CaseError(f"the body ends at {shortest:.4g} Å, within the fine mesh of {fine:.4g} Å", todo="add cells")
    coarsest = cells & -cells  # the largest power of two that divides it: the body's corners have to be nodes
    found, step = [], 1
    while step <= coarsest:
        axis = np.arange(-cells, cells + 1, step)
        indices = np.stack([each.ravel() for each in np.meshgrid(*[axis] * d, indexing="ij")], axis=1)
        wanted = _steps(np.linalg.norm(indices @ cell, axis=1) / fine, d, coarsest)
        known = (indices % (2 * step) == 0).all(axis=1) & (2 * step <= coarsest)
        found.append(indices[(wanted <= step) & ~known])
        step *= 2
    return np.asarray(np.concatenate(found) @ cell)


def _steps(distance: Array, dimension: int, coarsest: int) -> Array:
    """Return h in cells (n,): powers of two."""
    power = 2.0 * (dimension + 1) / (dimension + 2)
    found: Array = 2.0 ** np.floor(power * np.log2(np.maximum(distance, 1.0)))
    return np.minimum(found, float(coarsest))
