"""How sites and nodes follow the mesh's free nodes: interpolation, inner displacement, harmonic extension.

Each is a map with its exact transpose, by which forces come back, so that the whole has one energy.
"""

from __future__ import annotations

import numpy as np
from scipy.sparse import csr_array
from scipy.sparse.linalg import splu

from scalespan.adapters.interface import Array, CaseError, Indices, Solid, barycentric, shape_gradients

from .sites import Sites


class SlavedSites:
    """Sites that follow the continuum: s = X + Πu + ξ(F), with the inner displacement ξ where the crystal has one."""

    def __init__(self, solid: Solid, sites: Sites) -> None:
        self._solid, self._sites = solid, sites
        self.interpolation = solid.interpolation(sites.points)
        cells, _ = barycentric(solid.nodes, solid.cells, sites.points)
        self._cells, self._of_site = np.unique(cells, return_inverse=True)
        gradients, _ = shape_gradients(solid.nodes, solid.cells[self._cells])
        self._gradients, self._corners = gradients, solid.cells[self._cells]
        self._inner = solid.inner(np.eye(sites.dimension)[None]) is not None

    @property
    def linear(self) -> bool:
        """Whether there are no inner displacements, so that the sites are a linear map of the nodes."""
        return not self._inner

    def places(self, displacement: Array) -> Array:
        """Return the sites' positions (s, 3) Å at nodal displacements (n, d)."""
        d = self._sites.dimension
        found = self._sites.reference.copy()
        found[:, :d] += self.interpolation @ displacement
        if self._inner:
            shifts, _ = self._shifts(displacement)
            found[:, :d] += shifts[self._of_site, self._sites.basis]
        return found

    def pull(self, forces: Array, displacement: Array) -> Array:
        """Return the nodal forces (n, d) that forces (s, 3) on the sites make at these displacements (n, d)."""
        d = self._sites.dimension
        given = forces[:, :d]
        found: Array = self.interpolation.T @ given
        if self._inner:
            _, slopes = self._shifts(displacement)  # (cells, basis, d, d, d): ∂ξ_i/∂F_kl
            on_gradient = np.zeros((len(self._cells), d, d))
            each = np.einsum("si,sikl->skl", given, slopes[self._of_site, self._sites.basis])
            np.add.at(on_gradient, self._of_site, each)
            np.add.at(found, self._corners, np.einsum("ckl,cal->cak", on_gradient, self._gradients))
        return found

    def _shifts(self, displacement: Array) -> tuple[Array, Array]:
        d = self._sites.dimension
        gradient = np.einsum("cak,cal->ckl", displacement[self._corners], self._gradients)
        found = self._solid.inner(np.eye(d) + gradient)
        assert found is not None, "asked before"
        return found


class Extension:
    """Nodes in the atoms' region follow the others by discrete harmonic extension, which keeps affine fields."""

    def __init__(self, solid: Solid, taken: Array, below: float) -> None:
        """Slave the nodes of which less than a part ``below`` of the mass is left when ``taken`` (n,) is taken out.

        Raises:
            CaseError: a mesh without free nodes, or one so uneven that a node has no mass left.
        """
        left = solid.masses - taken
        slaved = (left < below * solid.masses) & ~solid.held
        self.slaved: Indices = np.flatnonzero(slaved)
        self.others: Indices = np.flatnonzero(~slaved)
        self.count = len(left)
        if len(self.slaved):
            matrix = solid.laplacian().tocsc()
            self._solver = splu(matrix[self.slaved][:, self.slaved].tocsc())
            self._coupling = matrix[self.slaved][:, self.others]
        self.masses = self.gather(left[:, None])[:, 0]  # of `others`
        if not (free := ~solid.held[self.others]).any():
            raise CaseError("no node of the mesh is free", todo="enlarge the mesh, or hold fewer nodes")
        if self.masses[free].min() <= 0.0:
            raise CaseError("a free node of the mesh has no mass left beside the atoms", todo="raise slaved_below")

    def of_others(self, weights: csr_array) -> csr_array:
        """Return the matrix (m, others) that takes `others` where ``weights`` (m, n) takes the filled field."""
        found = weights[:, self.others]
        touched = np.flatnonzero(np.diff(weights[:, self.slaved].tocsc().indptr))
        if len(touched):
            select = np.zeros((len(self.slaved), len(touched)))
            select[touched, np.arange(len(touched))] = 1.0
            rows = -(self._coupling.T @ self._solver.solve(select, trans="T")).T
            found = found + weights[:, self.slaved[touched]] @ csr_array(rows)
        return csr_array(found)

    def fill(self, displacement: Array) -> Array:
        """Return the displacements (n, d) of all nodes from those of `others`."""
        found = np.zeros((self.count, displacement.shape[1]))
        found[self.others] = displacement
        if len(self.slaved):
            found[self.slaved] = -self._solver.solve(np.ascontiguousarray(self._coupling @ displacement))
        return found

    def gather(self, forces: Array) -> Array:
        """Return the forces on `others` that forces (n, d) on all nodes make: the transpose of `fill`."""
        found: Array = forces[self.others].copy()
        if len(self.slaved):
            found -= self._coupling.T @ self._solver.solve(np.ascontiguousarray(forces[self.slaved]), trans="T")
        return found
