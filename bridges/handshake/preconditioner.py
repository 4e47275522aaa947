"""An approximate stiffness of atoms in a continuum, by which an optimiser's steps become nearly Newton's.

After D. Packwood et al., J. Chem. Phys. 144, 164109 (2016), doi:10.1063/1.4947024: a Laplacian in place of the second
derivatives, the same along x, y and z. Here it is one over both scales,

    P = Bᵀ L_bonds B + μ L_cells,    L_bonds = Σ_ij k (e_i − e_j)(e_i − e_j)ᵀ,    L_cells = Σ_T w_T ∫_T ∇N·∇N

with B the pads' way to follow the nodes, and bonds between nearest neighbours of which one at least is free. A cell
counts by the part w_T of its nodes' masses that is no atom's. The modulus is the continuum's own, averaged over
directions, μ = tr K / (d tr ∫∇N·∇N); springs k = 2 d μ V / Σ r² have it too, with the crystal's cell of volume V and
the sum over the bonds of all its atoms. P is made larger by the stiffest direction's part: a step too long would
diverge, one too short is corrected by what L-BFGS learns.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from scipy.sparse import block_diag, coo_array, csr_array, eye_array
from scipy.spatial import cKDTree

from scalespan.adapters.interface import Array, Solid

from .sites import Sites

if TYPE_CHECKING:
    from .handshake import Handshake

_STIFFEST = 2.0  # times the mean: what a step must not be longer for (measured on a triangular crystal: 1.4 to 2.0)
_NEIGHBOURS = 1.2  # times the shortest distance: nearest neighbours, of a strained crystal too


def stiffness(handshake: Handshake, free: Array) -> csr_array:
    """Return P (n, n), eV/Å², of free atoms at the undeformed places ``free`` (a, 3), and then of the moving nodes."""
    sites, moves, solid = handshake.sites, handshake.moving_nodes, handshake.solid
    modulus = stiff_modulus(solid)
    taken = handshake.slaved.interpolation[: sites.free].T @ sites.masses[: sites.free]
    left = np.clip(1.0 - taken / solid.masses, 0.0, 1.0)
    columns = handshake.extension.others[moves]
    nodes = modulus * solid.laplacian(left[solid.cells].mean(axis=1))[columns][:, columns]
    pads = handshake.extension.following(handshake.slaved.interpolation[sites.free :]).matrix()[:, moves]
    follow = block_diag([eye_array(len(free)), pads], format="csr")
    places = np.concatenate([free, sites.reference[sites.free :]])
    springs, squares = unit_springs(places, len(free))
    atoms = follow.T @ (spring_of(modulus, sites, squares) * springs) @ follow
    return csr_array(atoms + block_diag([csr_array((len(free), len(free))), nodes], format="csr"))


def stiff_modulus(solid: Solid) -> float:
    """Return μ (eV/Å^d) of a solid at rest, enlarged for its stiffest direction."""
    elastic = solid.stiffness(np.zeros_like(solid.nodes)).diagonal().sum()
    return _STIFFEST * float(elastic / (solid.nodes.shape[1] * solid.laplacian().diagonal().sum()))


def spring_of(modulus: float, sites: Sites, squares: float) -> float:
    """Return k (eV/Å²) of springs that have the modulus; ``squares``: of the bonds' lengths, as `unit_springs` says."""
    return 2.0 * sites.dimension * modulus * sites.volume / (len(np.unique(sites.basis)) * squares)


def unit_springs(places: Array, free: int, weights: Array | None = None) -> tuple[csr_array, float]:
    """Return springs of stiffness 1 (n, n) between nearest neighbours, one of the first ``free`` at least; and Σ r².

    Args:
        places: (n, 3) Å.
        free: how many of them move.
        weights: (n,) of the places, of which a spring has the mean of its ends; None: all 1.

    Returns:
        Σ w_ij (e_i − e_j)(e_i − e_j)ᵀ, and the sum of squared lengths (Å²) over the bonds of one free place, in the
        mean.
    """
    tree = cKDTree(places)
    shortest = float(np.median(tree.query(places[:free], k=2)[0][:, 1]))
    pairs = tree.query_pairs(_NEIGHBOURS * shortest, output_type="ndarray")
    i, j = pairs[pairs.min(axis=1) < free].T
    squares = ((places[i] - places[j]) ** 2).sum(axis=1)
    mean = float((squares[i < free].sum() + squares[j < free].sum()) / free)
    each = np.ones(len(i)) if weights is None else 0.5 * (weights[i] + weights[j])
    values = np.concatenate([each, each, -each, -each])
    rows, columns = np.concatenate([i, j, i, j]), np.concatenate([i, j, j, i])
    return coo_array((values, (rows, columns)), shape=(len(places),) * 2).tocsr(), mean
