r"""A continuum at a temperature, under atoms that move by themselves.

The law at a temperature is a free energy W(F, T): it holds the motion of all atoms that nobody moves. Where atoms are
atoms, that motion is theirs, and what the handshake subtracts is the crystal at rest; and a node of the mesh that
moves is one more thing that moves (R. E. Rudd and J. Q. Broughton, Phys. Rev. B 72, 144104 (2005),
doi:10.1103/PhysRevB.72.144104). For all of these the law at rest, W(F), stands,

    E_FE[U] = Σ_T v_T ((1 − θ_T) W(F_T, T) + θ_T W(F_T)),    θ_T = α_T + mean of m / M_I at its nodes that move

with α the part of a cell that is nearer to the region's sites than to others, and m an atom's mass in the mean: each
site's motion is there once, whatever the mesh. One as fine as the lattice is atoms at rest, which then move; a coarse
one is all W(F, T). In the mean over the motion nothing then moves the joint at the crystal's own a(T). For atoms at
rest the sum is no energy of a balanced crystal: the patch test at rest is that of one law throughout.
"""

from __future__ import annotations

import numpy as np
from ase import Atoms
from scipy.sparse import csr_array
from scipy.spatial import cKDTree
from scipy.stats import qmc

from scalespan.adapters.interface import Array, Indices, Solid, shape_gradients

from .sites import Sites

_SAMPLES = 128  # of a cell


def counted(solid: Solid, sites: Sites, own: Array) -> Solid:
    """Return the continuum that a handshake counts: itself, or with its law at rest for what moves by itself.

    Args:
        solid: the continuum.
        sites: those in the region, and around them.
        own: (n,) amu, the mass of an atom at each node that moves, 0 at others.
    """
    rest = solid.at_rest()
    if rest is None:
        return solid
    share = parts_inside(solid, sites) + (own / solid.masses)[solid.cells].mean(axis=1)
    return Shared(solid, rest, np.clip(share, 0.0, 1.0))


def parts_inside(solid: Solid, sites: Sites) -> Array:
    """Return the part (k,) of each cell that is nearer to a free site than to others, by sampling.

    The parts of cells that are cut are scaled, so that all together have the volume of the free sites.
    """
    _, volumes = shape_gradients(solid.nodes, solid.cells)
    corners, points = solid.nodes[solid.cells], sites.points
    middle = corners.mean(axis=1)
    reach = np.linalg.norm(corners - middle[:, None], axis=2).max(axis=1)
    near = np.flatnonzero(cKDTree(points[: sites.free]).query(middle)[0] < reach + _reach(points))
    found = np.zeros(len(corners))
    samples = np.einsum("sa,kai->ksi", _barycentric(points.shape[1]), corners[near])
    found[near] = (cKDTree(points).query(samples)[1] < sites.free).mean(axis=1)
    cut = (found > 0.0) & (found < 1.0)
    wanted = sites.masses[: sites.free].sum() / sites.density - volumes[found == 1.0].sum()
    found[cut] *= wanted / max(float(found[cut] @ volumes[cut]), 1e-300)
    return np.clip(found, 0.0, 1.0)


def _reach(points: Array) -> float:
    """Return the distance of neighbours."""
    return float(cKDTree(points).query(points[:1], k=2)[0][0, 1])


def _barycentric(d: int) -> Array:
    """Return points (s, d + 1) that fill a simplex evenly."""
    even = (qmc.Halton(d, scramble=False).random(_SAMPLES) + 0.5 / _SAMPLES) % 1.0  # along a line, midpoints
    cuts = np.sort(even, axis=1)
    ends = np.column_stack([np.zeros(len(cuts)), cuts, np.ones(len(cuts))])
    return np.asarray(np.diff(ends, axis=1))


class Shared(Solid):
    """One solid with two laws, each cell's energy shared between them.

    Args:
        warm: with the law at a temperature.
        rest: with the law at rest.
        share: (k,) of the law at rest in each cell.
    """

    def __init__(self, warm: Solid, rest: Solid, share: Array) -> None:
        self._whole, self.share = warm, share
        self._parts = (warm.weighted(1.0 - share), rest.weighted(share))

    @property
    def nodes(self) -> Array:
        """The solid's."""
        return self._whole.nodes

    @property
    def cells(self) -> Indices:
        """The solid's."""
        return self._whole.cells

    @property
    def masses(self) -> Array:
        """The solid's."""
        return self._whole.masses

    @property
    def held(self) -> Array:
        """The solid's."""
        return self._whole.held

    @property
    def held_displacement(self) -> Array:
        """The solid's."""
        return self._whole.held_displacement

    def elastic(self, displacement: Array) -> tuple[float, Array]:
        """Return the sum over both laws."""
        (one, first), (other, second) = (part.elastic(displacement) for part in self._parts)
        return one + other, first + second

    def stiffness(self, displacement: Array) -> csr_array:
        """Return the sum over both laws."""
        one, other = (part.stiffness(displacement) for part in self._parts)
        return csr_array(one + other)

    def inner(self, deformation: Array) -> tuple[Array, Array] | None:
        """Return the solid's."""
        return self._whole.inner(deformation)

    def lattice(self) -> Atoms | None:
        """Return the solid's."""
        return self._whole.lattice()
