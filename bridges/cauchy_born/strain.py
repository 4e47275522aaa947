"""Green's strain E = ½(FᵀF − 1) as a vector in Voigt's order, and what a law of it says of F.

xx yy zz yz xz xy in three dimensions, xx yy xy in two, xx in one; shears are twice the tensor's, so that the
second Piola–Kirchhoff stress S is ∂W/∂e and ℂ = ∂²W/∂e² is the matrix of elastic constants.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from scalespan.adapters.interface import Array, Response

PAIRS: dict[int, tuple[tuple[int, int], ...]] = {
    1: ((0, 0),),
    2: ((0, 0), (1, 1), (0, 1)),
    3: ((0, 0), (1, 1), (2, 2), (1, 2), (0, 2), (0, 1)),
}


@dataclass(frozen=True)
class StrainResponse:
    """A law's answer at n strains."""

    energy: Array  # (n,) W, eV/Å^d
    stress: Array  # (n, k) S, eV/Å^d
    tangent: Array | None = None  # (n, k, k) ℂ, eV/Å^d


def green(deformation: Array) -> Array:
    """Return the strains e (n, k) of deformation gradients (n, d, d)."""
    d = deformation.shape[1]
    right = np.einsum("nki,nkj->nij", deformation, deformation) - np.eye(d)
    return np.stack([0.5 * right[:, i, j] if i == j else right[:, i, j] for i, j in PAIRS[d]], axis=1)


def matrices(vectors: Array, dimension: int, shear: float = 1.0) -> Array:
    """Return symmetric matrices (n, d, d) of vectors (n, k); ``shear`` multiplies the off-diagonal entries."""
    found = np.zeros((len(vectors), dimension, dimension))
    for p, (i, j) in enumerate(PAIRS[dimension]):
        found[:, i, j] = found[:, j, i] = vectors[:, p] * (1.0 if i == j else shear)
    return found


def stretch(strain: Array, dimension: int) -> Array:
    """Return the upper triangular F (3, 3) with Green's strain e (k,): FᵀF = 1 + 2E.

    Every F with this strain is a rotation of it; this one keeps a cell in the form that OpenMM and LAMMPS take.

    Raises:
        numpy.linalg.LinAlgError: no F has such a strain.
    """
    right = np.eye(dimension) + 2.0 * matrices(strain[None], dimension, 0.5)[0]
    found = np.eye(3)
    found[:dimension, :dimension] = np.linalg.cholesky(right).T
    return found


def slopes(deformation: Array) -> Array:
    """Return ∂e/∂F (n, k, d, d)."""
    n, d, _ = deformation.shape
    found = np.zeros((n, len(PAIRS[d]), d, d))
    for p, (i, j) in enumerate(PAIRS[d]):
        found[:, p, :, i] += deformation[:, :, j] * (0.5 if i == j else 1.0)
        found[:, p, :, j] += deformation[:, :, i] * (0.5 if i == j else 1.0)
    return found


def at_deformation(answer: StrainResponse, deformation: Array) -> Response:
    """Return W, P = F S and ∂P_iJ/∂F_kL = δ_ik S_JL + ∂e_p/∂F_iJ ℂ_pq ∂e_q/∂F_kL at F (n, d, d).

    Source: J. Bonet and R. D. Wood, Nonlinear Continuum Mechanics for Finite Element Analysis, ch. 5 and 6,
    doi:10.1017/CBO9780511755446.
    """
    d = deformation.shape[1]
    second = matrices(answer.stress, d)
    first = deformation @ second
    if answer.tangent is None:
        return Response(answer.energy, first)
    of = slopes(deformation)
    tangent = np.einsum("npiJ,npq,nqkL->niJkL", of, answer.tangent, of, optimize=True)
    tangent += np.einsum("ik,nJL->niJkL", np.eye(d), second)
    return Response(answer.energy, first, tangent)
