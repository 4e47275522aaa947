"""An approximate stiffness of atoms in a continuum, by which an optimiser's steps become nearly Newton's.

After D. Packwood et al., J. Chem. Phys. 144, 164109 (2016), doi:10.1063/1.4947024: a Laplacian in place of the second
derivatives, the same along x, y and z. Here it is one over both scales,

    P = Bᵀ L_bonds B + μ L_cells,    L_bonds = Σ_ij k (e_i − e_j)(e_i − e_j)ᵀ,    L_cells = Σ_T w_T ∫_T ∇N·∇N

with B the pads' way to follow the nodes, and bonds between nearest neighbours of which one at least is free. A cell
counts by the part w_T of its nodes' masses that is no atom's. The modulus is the continuum's own, averaged over
directions, μ = tr K / (d tr ∫∇N·∇N); springs k = 2 d μ V / Σ r² have it too, with the crystal's cell of volume V and
the sum over the bonds of all its atoms.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from scipy.sparse import block_diag, coo_array, csr_array, eye_array
from scipy.spatial import cKDTree

from scalespan.adapters.interface import Array, Indices, shape_gradients

from .sites import free_atoms

if TYPE_CHECKING:
    from .handshake import Handshake

_NEIGHBOURS = 1.2  # times the shortest distance: nearest neighbours, of a strained crystal too


def stiffness(handshake: Handshake) -> csr_array:
    """Return P (n, n), eV/Å², of the free atoms and then the moving nodes, where they are at the start."""
    sites, moves = handshake.sites, handshake.moving_nodes
    solid = handshake.solid
    elastic = solid.stiffness(np.zeros_like(solid.nodes)).diagonal().sum()
    modulus = float(elastic / (sites.dimension * solid.laplacian().diagonal().sum()))
    nodes = modulus * _cells(handshake)[handshake.extension.others[moves]][:, handshake.extension.others[moves]]
    pads = handshake.extension.of_others(handshake.slaved.interpolation[sites.free :])[:, moves]
    follow = block_diag([eye_array(handshake.free), pads], format="csr")
    places = np.concatenate([free_atoms(handshake.options, sites).positions, sites.reference[sites.free :]])
    bonds, squares = _bonds(places, handshake.free)
    spring = 2.0 * sites.dimension * modulus * sites.volume / (len(np.unique(sites.basis)) * squares)
    atoms = follow.T @ (spring * _laplacian(bonds, follow.shape[0])) @ follow
    return csr_array(atoms + block_diag([csr_array((handshake.free, handshake.free)), nodes], format="csr"))


def _bonds(places: Array, free: int) -> tuple[Indices, float]:
    """Return the pairs (b, 2) of nearest neighbours with a free one of the first ``free``, and the mean Σ r² of one."""
    tree = cKDTree(places)
    shortest = float(np.median(tree.query(places[:free], k=2)[0][:, 1]))
    pairs = tree.query_pairs(_NEIGHBOURS * shortest, output_type="ndarray")
    pairs = pairs[pairs.min(axis=1) < free]
    squares = ((places[pairs[:, 0]] - places[pairs[:, 1]]) ** 2).sum(axis=1)
    of_free = np.repeat(squares, 2)[pairs.ravel() < free]
    return pairs, float(of_free.sum() / free)


def _laplacian(pairs: Indices, count: int) -> csr_array:
    i, j = pairs.T
    ones = np.ones(len(pairs))
    values = np.concatenate([ones, ones, -ones, -ones])
    rows, columns = np.concatenate([i, j, i, j]), np.concatenate([i, j, j, i])
    return coo_array((values, (rows, columns)), shape=(count, count)).tocsr()


def _cells(handshake: Handshake) -> csr_array:
    """Return L_cells (nodes, nodes)."""
    solid, sites = handshake.solid, handshake.sites
    taken = handshake.slaved.interpolation[: sites.free].T @ sites.masses[: sites.free]
    left = np.clip(1.0 - taken / solid.masses, 0.0, 1.0)
    gradients, volumes = shape_gradients(solid.nodes, solid.cells)
    parts = left[solid.cells].mean(axis=1) * volumes
    entries = np.einsum("e,eai,ebi->eab", parts, gradients, gradients)
    width = solid.cells.shape[1]
    rows, columns = np.repeat(solid.cells, width, axis=1), np.tile(solid.cells, (1, width))
    count = len(solid.nodes)
    return coo_array((entries.ravel(), (rows.ravel(), columns.ravel())), shape=(count, count)).tocsr()
