r"""Whether a cell is small enough beside what it stands for.

Homogenisation of first order keeps two terms small: the size of the cell over that of the body, and over the length by
which the mean strain E changes,

$$\varepsilon = \frac{L_{RVE}}{L_{macro}}, \qquad g = \max \frac{L_{RVE}\,|\nabla E|}{|E|}$$

(M. G. D. Geers, V. G. Kouznetsova and W. A. M. Brekelmans 2010, doi:10.1016/j.cam.2009.08.077). Its error is of the
order of both.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.spatial import cKDTree

from scalespan.adapters.interface import Array, CaseError

_FAINT = 0.1  # of the largest |E|: where it is less, |∇E|/|E| says nothing of what the body carries


@dataclass(frozen=True)
class Separation:
    """How far two scales are apart; both numbers should be small."""

    ratio: float  # ε
    gradient: float  # g

    def need(self, ratio: float = 0.1, gradient: float = 0.1) -> None:
        """Raise where the scales are closer than these limits.

        Raises:
            CaseError: one of them is broken.
        """
        for value, limit, name in (
            (self.ratio, ratio, "its size over that of the body"),
            (self.gradient, gradient, "the change of the strain across it"),
        ):
            if value > limit:
                raise CaseError(
                    f"the cell is too large for the body: {name} is {value:.3g}, and {limit:g} is the limit",
                    where="homogenisation",
                    todo="take a smaller cell, compute the region with its microstructure, or raise the limit",
                )


def separation(cell: float, body: float, places: Array | None = None, strains: Array | None = None) -> Separation:
    """Return how far a cell of the size ``cell`` is from a body of the size ``body``, of one unit.

    Args:
        cell: the longest edge of the cell.
        body: the shortest length by which the body's shape or load changes: a thickness, a notch's radius.
        places: (n, d) points of the body, such as its Gauss points; None: the gradient is left out, as 0.
        strains: (n, …) the mean strain, F − 1 or a temperature's gradient, at each of them.

    Raises:
        CaseError: a length that is not above zero, or too few points.
    """
    if cell <= 0.0 or body <= 0.0:
        raise CaseError(f"a cell of the size {cell:g} in a body of the size {body:g}: both are above zero")
    if places is None or strains is None:
        return Separation(cell / body, 0.0)
    n, d = places.shape
    flat = np.asarray(strains, dtype=np.float64).reshape(n, -1)
    if n < d + 2:
        raise CaseError(f"{n} points are too few for a gradient of the strain", todo=f"give {d + 2} or more")
    size = np.linalg.norm(flat, axis=1)
    counts = size > _FAINT * size.max()
    slopes = np.linalg.norm(_slopes(places, flat), axis=(1, 2))
    return Separation(cell / body, float((cell * slopes[counts] / size[counts]).max(initial=0.0)))


def _slopes(places: Array, values: Array) -> Array:
    """Return the gradients (n, k, d) of values (n, k) by least squares over each point's neighbours."""
    n, d = places.shape
    _, near = cKDTree(places).query(places, k=min(n, 4 * d + 1))
    offsets = places[near] - places[:, None]
    found = np.linalg.pinv(offsets) @ (values[near] - values[:, None])
    return np.asarray(found.transpose(0, 2, 1))
