"""How sites follow the mesh's nodes: interpolation and inner displacement.

Each is a map with its exact transpose, by which forces come back, so that the whole has one energy.
"""

from __future__ import annotations

import numpy as np

from scalespan.adapters.interface import Array, Solid, barycentric, shape_gradients

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
        self._known: tuple[Array, tuple[Array, Array]] | None = None  # the last displacements, and their shifts
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
        """Return ξ and its slopes in each cell that holds sites; `places` and `pull` ask at the same displacement."""
        moved = displacement[self._corners]
        if self._known is None or not np.array_equal(self._known[0], moved):
            gradient = np.einsum("cak,cal->ckl", moved, self._gradients)
            found = self._solid.inner(np.eye(self._sites.dimension) + gradient)
            assert found is not None, "asked before"
            self._known = moved, found
        return self._known[1]
