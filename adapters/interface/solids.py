"""What a solid is: an elastic continuum as an energy of its nodes, for those who join it with atoms.

Everything is in ASE's units (eV, Å, amu), whatever the adapter's own are, and on one rank.
"""

from __future__ import annotations

from abc import ABC, abstractmethod

import numpy as np
from ase import Atoms
from scipy.sparse import coo_array, csr_array
from scipy.spatial import cKDTree

from .data import Array, Indices
from .errors import CaseError, NotOffered

_INSIDE = 1e-9  # how far below zero a barycentric coordinate may be by rounding
_TRIED = 32  # cells tried around a point before all are


class Solid(ABC):
    """P1 elements on simplices: E(u) of the nodal displacements, its forces, its stiffness."""

    @property
    @abstractmethod
    def nodes(self) -> Array:
        """The nodes' reference positions (n, d), Å."""

    @property
    @abstractmethod
    def cells(self) -> Indices:
        """The nodes (k, d + 1) of each simplex."""

    @property
    @abstractmethod
    def masses(self) -> Array:
        """The lumped masses (n,), amu."""

    @property
    @abstractmethod
    def held(self) -> Array:
        """Whether a node (n,) is kept where the continuum's options put it."""

    @property
    @abstractmethod
    def held_displacement(self) -> Array:
        """Where: displacements (n, d), Å, zero for the others."""

    @abstractmethod
    def elastic(self, displacement: Array) -> tuple[float, Array]:
        """Return the energy (eV) and the forces (n, d) (eV/Å), minus its gradient, at displacements (n, d)."""

    @abstractmethod
    def stiffness(self, displacement: Array) -> csr_array:
        """Return the second derivatives (n d, n d), eV/Å², node by node."""

    def inner(self, deformation: Array) -> tuple[Array, Array] | None:
        """Return the inner displacements of the material's cell, and their slopes: see `Material.inner`."""
        return None

    def weighted(self, weights: Array) -> Solid:
        """Return the same solid whose energy counts each simplex by a weight (k,); masses and nodes are as before.

        A simplex of weight 0 is not asked for: its nodes may be anywhere.

        Raises:
            NotOffered: the continuum cannot do that.
        """
        raise NotOffered("this continuum cannot weigh its cells", todo='use = "simplex"')

    def at_rest(self) -> Solid | None:
        """Return the same solid with the law of atoms at rest: see `Material.at_rest`."""
        return None

    def lattice(self) -> Atoms | None:
        """Return the cell of the material's crystal: see `Material.lattice`."""
        return None

    def interpolation(self, points: Array) -> csr_array:
        """Return the matrix Π (m, n) of the shape functions at reference points (m, d).

        Its transpose gives back forces at the points as forces at the nodes, so that ⟨Πu, f⟩ = ⟨u, Πᵀf⟩.

        Raises:
            CaseError: a point outside the mesh.
        """
        cells, weights = barycentric(self.nodes, self.cells, points)
        rows = np.repeat(np.arange(len(points)), self.cells.shape[1])
        weights = np.where(np.abs(weights) < _INSIDE, 0.0, weights)
        found = csr_array((weights.ravel(), (rows, self.cells[cells].ravel())), shape=(len(points), len(self.nodes)))
        found.eliminate_zeros()
        return found

    def laplacian(self, weights: Array | None = None) -> csr_array:
        """Return the matrix (n, n) of Σ_T w_T ∫_T ∇N_I·∇N_J: without ``weights`` (k,), 0 on affine fields inside."""
        gradients, volumes = shape_gradients(self.nodes, self.cells)
        volumes = volumes if weights is None else weights * volumes
        entries = np.einsum("eai,ebi,e->eab", gradients, gradients, volumes)
        count = self.cells.shape[1]
        rows, columns = np.repeat(self.cells, count, axis=1), np.tile(self.cells, (1, count))
        return coo_array((entries.ravel(), (rows.ravel(), columns.ravel())), shape=(len(self.nodes),) * 2).tocsr()


def shape_gradients(nodes: Array, cells: Indices) -> tuple[Array, Array]:
    """Return ∇N (k, d + 1, d) of each simplex's shape functions, and the volumes (k,)."""
    d = nodes.shape[1]
    edges = (nodes[cells[:, 1:]] - nodes[cells[:, :1]]).transpose(0, 2, 1)  # columns are edges
    inverse = np.linalg.inv(edges)
    gradients = np.concatenate([-inverse.sum(axis=1, keepdims=True), inverse], axis=1)
    return gradients, np.abs(np.linalg.det(edges)) / float(np.prod(np.arange(1, d + 1)))


def barycentric(nodes: Array, cells: Indices, points: Array) -> tuple[Indices, Array]:
    """Return the simplex (m,) that holds each point (m, d), and its barycentric coordinates (m, d + 1) there.

    Raises:
        CaseError: a point outside.
    """
    gradients, _ = shape_gradients(nodes, cells)
    first = nodes[cells[:, 0]]
    tree = cKDTree(nodes[cells].mean(axis=1))
    found, weights = np.zeros(len(points), dtype=np.int64), np.zeros((len(points), cells.shape[1]))
    left = np.arange(len(points))
    for tried in (min(_TRIED, len(cells)), len(cells)):
        if not len(left):
            break
        for some in np.array_split(left, 1 + len(left) * tried // 200_000):
            _, near = tree.query(points[some], k=tried)
            near = np.asarray(near).reshape(len(some), tried)
            all_weights = np.einsum("meaj,mej->mea", gradients[near], points[some, None] - first[near])
            all_weights[:, :, 0] += 1.0
            best = all_weights.min(axis=2).argmax(axis=1)
            rows = np.arange(len(some))
            found[some], weights[some] = near[rows, best], all_weights[rows, best]
        left = left[weights[left].min(axis=1) < -_INSIDE]
    if len(left):
        raise CaseError(
            f"{len(left)} of {len(points)} points lie outside the mesh, the first at {points[left[0]].tolist()}",
            todo="enlarge the mesh, or move the points inside",
        )
    return found, weights
