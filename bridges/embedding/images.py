"""Everything where the region sees it: molecules made whole, at their nearest image.

In a cell, an atom may be stored in any image. The region is made whole along its bonds; what is
bonded to it at a cut stays with it; every other group of charges goes, as a whole, to the image
whose centre is nearest to the region's centre. For a vector shorter than half the smallest
perpendicular width of a cell, rounding its fractional coordinates finds that image in any basis,
because |f_i| ≤ |v|/w_i < ½. So one rule serves every triclinic cell, in its shortest basis, and a box
in which a charge could be seen twice is refused.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from ase.geometry import minkowski_reduce
from scipy.sparse import coo_array
from scipy.sparse.csgraph import breadth_first_order, connected_components

from scalespan.adapters.interface import Array, Indices, Topology

from .boundary import Cut


@dataclass(frozen=True)
class Box:
    """A lattice, in the shortest basis that it has, whose widths are the largest."""

    basis: Array  # (3, 3) Å, rows are vectors
    half: float  # Å, half the smallest perpendicular width

    @classmethod
    def of(cls, cell: Array) -> Box:
        """Return the box of a cell (3, 3) Å."""
        basis = np.asarray(minkowski_reduce(cell)[0], dtype=np.float64)
        longest = float(np.linalg.norm(np.linalg.inv(basis), axis=0).max())  # of the reciprocal vectors, 1/Å
        return cls(basis, 0.5 / longest)

    def nearest(self, vectors: Array) -> Array:
        """Return how many of each basis vector (m, 3), added to ``vectors`` (m, 3), bring them nearest to zero."""
        counts: Array = -np.rint(vectors @ np.linalg.inv(self.basis))
        return counts

    def vectors(self, counts: Array) -> Array:
        """Return the lattice vectors (m, 3) Å of ``counts`` (m, 3), the same bits whatever m is."""
        a, b, c = self.basis
        found: Array = counts[:, :1] * a + counts[:, 1:2] * b + counts[:, 2:] * c
        return found


def charge_groups(topology: Topology, region: Indices, largest: int) -> Indices:
    """Return the group (n,) of each atom outside the region, from 0; −1 inside.

    A group is what a molecule has outside; of a molecule larger than ``largest`` atoms, what a
    residue has. A site without an element belongs to its residue's first atom.
    """
    n = len(topology)
    bonded = np.concatenate([topology.bonds, _site_bonds(topology)])
    molecules = _components(n, bonded)
    size = np.bincount(molecules)[molecules]
    groups = np.where(size <= largest, molecules, n + topology.residues)
    groups[region] = -1
    outside = groups >= 0
    groups[outside] = np.unique(groups[outside], return_inverse=True)[1]
    numbered: Indices = groups
    return numbered


def _site_bonds(topology: Topology) -> Indices:
    sites = np.flatnonzero(topology.numbers == 0)
    first = np.unique(topology.residues, return_index=True)[1]
    owners = first[topology.residues[sites]]
    bonds: Indices = np.stack([owners, sites], axis=1)[owners != sites]
    return bonds


def _components(n: int, edges: Indices) -> Indices:
    labels: Indices = connected_components(_graph(n, edges), directed=False)[1].astype(np.int64)
    return labels


def _graph(n: int, edges: Indices) -> coo_array:
    return coo_array((np.ones(len(edges)), (edges[:, 0], edges[:, 1])), shape=(n, n)).tocsr()


@dataclass(frozen=True)
class Forest:
    """The way from atom to atom that makes everything whole, one generation after another.

    A tree holds a group of charges, or a connected part of the region with the groups that hold
    an M1 or M2 of its boundary; it moves as a whole.
    """

    generations: tuple[tuple[Indices, Indices], ...]  # children and their parents
    trees: Indices  # (n,) the tree of each atom

    @classmethod
    def over(cls, topology: Topology, region: Indices, groups: Indices, cuts: Sequence[Cut]) -> Forest:
        """Return the forest along the bonds of the region, the cut bonds and those within ``groups`` (n,)."""
        n = len(topology)
        owner = groups.copy()
        owner[np.isin(groups, _bonded_groups(topology, groups, cuts))] = -1
        edges = topology.bonds[owner[topology.bonds[:, 0]] == owner[topology.bonds[:, 1]]]
        edges = np.concatenate([edges, _joints(n, edges, groups)])
        trees = _components(n, edges)
        return cls(_generations(n, edges, trees, region), trees)

    def unfold(self, positions: Array, box: Box) -> Array:
        """Return how many of each basis vector (n, 3), added to the atoms, make each tree whole."""
        whole, counts = positions.copy(), np.zeros_like(positions)
        for children, parents in self.generations:
            counts[children] = box.nearest(whole[children] - whole[parents])
            whole[children] += box.vectors(counts[children])
        return counts


def _bonded_groups(topology: Topology, groups: Indices, cuts: Sequence[Cut]) -> Indices:
    """Return the groups of M1 and M2: they hold sites of the boundary and never fade."""
    m1 = np.array(sorted({cut.m for cut in cuts}), dtype=np.int64)
    at_m1 = np.isin(topology.bonds, m1).any(axis=1)
    around = np.union1d(m1, topology.bonds[at_m1].ravel())
    found: Indices = np.unique(groups[around][groups[around] >= 0])
    return found


def _joints(n: int, edges: Indices, groups: Indices) -> Indices:
    """Return edges from the first atom of each group to the first of its atoms in each piece not bonded to it."""
    pieces = _components(n, edges)
    outside = np.flatnonzero(groups >= 0)
    first = outside[np.unique(groups[outside], return_index=True)[1]]
    heads = outside[np.unique(n * groups[outside] + pieces[outside], return_index=True)[1]]
    owners = first[groups[heads]]
    joints: Indices = np.stack([owners, heads], axis=1)[pieces[owners] != pieces[heads]]
    return joints


def _generations(n: int, edges: Indices, trees: Indices, region: Indices) -> tuple[tuple[Indices, Indices], ...]:
    order = np.concatenate([region, np.setdiff1d(np.arange(n), region)])
    roots = order[np.unique(trees[order], return_index=True)[1]]
    above = np.stack([np.full(len(roots), n), roots], axis=1)  # one more node, the parent of all roots
    graph = _graph(n + 1, np.concatenate([edges, above]))
    visited, parents = breadth_first_order(graph, n, directed=False)
    depth = np.zeros(n + 1, dtype=np.int64)
    for atom in visited[1:].tolist():
        depth[atom] = depth[parents[atom]] + 1
    found = []
    for level in range(2, int(depth.max()) + 1):
        children = np.flatnonzero(depth == level)
        found.append((children, parents[children].astype(np.int64)))
    return tuple(found)
