"""What the second derivatives of a law say: elastic constants, plane waves, stability."""

from __future__ import annotations

import numpy as np

from scalespan.adapters.interface import Array, Material

from .strain import PAIRS, StrainResponse, matrices

_DIRECTIONS = 400
_CHUNK = 1000  # tangents at once


def elastic_constants(material: Material) -> Array:
    """Return ℂ (k, k) = ∂²W/∂e² at F = 1, in the material's unit, in Voigt's order (xx yy zz yz xz xy).

    ∂P_iJ/∂F_kL = ℂ_iJkL + δ_ik S_JL there, so that a residual stress is taken off.
    """
    d = material.dimension
    answer = material.respond(np.eye(d)[None], tangent=True)
    assert answer.tangent is not None, "the tangent was wanted"
    found = answer.tangent[0] - np.einsum("ik,jl->ijkl", np.eye(d), answer.stress[0])
    return np.array([[found[i, j, k, m] for k, m in PAIRS[d]] for i, j in PAIRS[d]])


def acoustic_tensor(tangent: Array, directions: Array) -> Array:
    """Return Q_ik = A_iJkL N_J N_L (n, m, d, d) of tangents A (n, d, d, d, d) along unit directions N (m, d).

    Q divided by the density has the squared velocities of plane waves as its eigenvalues.
    """
    found: Array = np.einsum("niJkL,mJ,mL->nmik", tangent, directions, directions, optimize=True)
    return found


def ellipticity(tangent: Array) -> Array:
    """Return the least stiffness (n,) of a plane wave, over the directions: at or below zero the law is not stable.

    In three dimensions, over 400 directions and the axes, face and space diagonals of a cube; in two, over 400.
    It is Legendre and Hadamard's condition (J. E. Marsden and T. J. R. Hughes, Mathematical Foundations of Elasticity,
    § 4.3): strains that break it have no continuum that follows the atoms.
    """
    directions = _directions(tangent.shape[1])
    parts = [tangent[i : i + _CHUNK] for i in range(0, len(tangent), _CHUNK)]
    found = [np.linalg.eigvalsh(acoustic_tensor(part, directions)).min(axis=(1, 2)) for part in parts]
    return np.concatenate([np.zeros(0), *found])


def surely_elliptic(strain: StrainResponse, deformation: Array) -> Array:
    """Return whether (n,) every plane wave is stiff by an estimate from below: cheap, and never wrong where it says so.

    With u = Fᵀa, a wave's stiffness is N·S·N |a|² + sym(u ⊗ N):ℂ:sym(u ⊗ N), and |sym(u ⊗ N)|² ≥ ½ |u|².
    """
    assert strain.tangent is not None, "it is needed"
    d = deformation.shape[1]
    even = np.array([1.0 if i == j else np.sqrt(2.0) for i, j in PAIRS[d]])
    stiff = np.linalg.eigvalsh(even[:, None] * strain.tangent * even)[:, 0]
    narrow = np.linalg.eigvalsh(np.einsum("nki,nkj->nij", deformation, deformation))[:, 0]
    pressed = np.linalg.eigvalsh(matrices(strain.stress, d))[:, 0]
    found: Array = (stiff > 0.0) & (pressed + 0.5 * stiff * narrow > 0.0)
    return found


def _directions(dimension: int) -> Array:
    if dimension == 1:
        return np.ones((1, 1))
    count = np.arange(_DIRECTIONS)
    if dimension == 2:
        angles = np.pi * count / _DIRECTIONS
        return np.stack([np.cos(angles), np.sin(angles)], axis=1)
    height = (count + 0.5) / _DIRECTIONS  # half a sphere, by Fibonacci's spiral
    angles, width = np.pi * (1.0 + np.sqrt(5.0)) * count, np.sqrt(1.0 - height**2)
    spiral = np.stack([width * np.cos(angles), width * np.sin(angles), height], axis=1)
    lattice = np.array(list(np.ndindex(3, 3, 3)), dtype=float) - 1.0
    lattice = lattice[np.abs(lattice).sum(axis=1) > 0.0]
    return np.concatenate([spiral, lattice / np.linalg.norm(lattice, axis=1)[:, None]])
