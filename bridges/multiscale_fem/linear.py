"""Sparse linear systems by LU, factored once for many right-hand sides."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from scipy.sparse import csc_array
from scipy.sparse.linalg import splu

from scalespan.adapters.interface import Array, EngineFailed


def factored(matrix: csc_array) -> Callable[[Array], Array]:
    """Return the function that solves with a matrix of symmetric pattern, for right-hand sides (n,) or (n, k).

    Raises:
        EngineFailed: it is singular.
    """
    try:
        found = splu(matrix, permc_spec="MMD_AT_PLUS_A", options={"SymmetricMode": True})
    except RuntimeError as error:
        raise EngineFailed(
            f"a stiffness is singular: {error}",
            where="multiscale_fem",
            todo="look for a coefficient that is zero in some part of the microstructure",
        ) from error
    return lambda loads: np.asarray(found.solve(np.ascontiguousarray(loads)))
