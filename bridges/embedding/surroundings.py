"""What the region sees from where it is, and how forces on what it sees return to the atoms."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.sparse import csr_array
from scipy.spatial.distance import cdist

from scalespan.adapters.interface import Array, ExternalCharges, Indices, RegionError, Topology

from .boundary import Cut
from .charges import Sites
from .images import Box, Forest
from .switching import Edge

SKIN = 2.0  # Å; a list of near groups serves until an atom has moved half of it


@dataclass(frozen=True)
class Near:
    """The atoms that may matter, until something has moved far; their images do not change meanwhile."""

    reference: Array  # (n, 3) Å, the positions when this was made
    cell: Array | None  # (3, 3) Å
    reach: float  # Å, how far an atom may go
    region: Array  # (k, 3) Å, lattice vectors to add
    partners: Array  # (l, 3) Å, the same for M of each link
    atoms: Indices  # (c,) that carry the sites; those that never fade first, then group by group
    images: Array  # (c, 3) Å, the same for these
    sites: Sites  # m sites over these c atoms
    starts: Indices  # (g,) where each fading group begins in `atoms`
    counts: Indices  # (g,) how many atoms it has
    owner: Indices  # (m,) the fading group of each site, or g: it never fades


@dataclass(frozen=True)
class View:
    """The region, the other ends of its cut bonds and the charges around it, at one configuration."""

    near: Near
    region: Array  # (k, 3) Å, whole
    partners: Array  # (l, 3) Å, M of each link
    charges: ExternalCharges  # the sites whose factor is not zero
    shown: Indices  # (s,) which sites these are
    fading: Indices  # (f,) groups with 0 < factor < 1
    slopes: Array  # (f, k, 3) 1/Å, see Edge.factors

    def share(self, on_charges: Array, potential: Array) -> tuple[Array, Array]:
        """Return what forces on the charges mean for the atoms.

        F_r = Wᵀ F_R − Σ_g (Σ_{sites of g} q ∂E/∂q') ∂s_g/∂r, where q' = s_g q is the charge shown.

        Args:
            on_charges: (s, 3) eV/Å.
            potential: (s,) V, ∂E/∂q'.

        Returns:
            (k, 3) on the region and (c, 3) on `Near.atoms`, eV/Å.
        """
        near = self.near
        on_sites = np.zeros((len(near.sites), 3))
        on_sites[self.shown] = on_charges
        on_atoms: Array = near.sites.matrix.T @ on_sites
        on_region = np.zeros_like(self.region)
        if len(self.fading):
            work = near.sites.charges[self.shown] * potential
            by_group = np.bincount(near.owner[self.shown], weights=work, minlength=len(near.starts) + 1)
            pull = -by_group[self.fading, None, None] * self.slopes
            on_region -= pull.sum(axis=0)
            counts = near.counts[self.fading]
            each = np.repeat(pull.sum(axis=1) / counts[:, None], counts, axis=0)
            first = np.repeat(near.starts[self.fading] - np.cumsum(counts) + counts, counts)
            on_atoms[first + np.arange(len(each))] += each
        return on_region, on_atoms


class Surroundings:
    """Finds, at each configuration, what the region sees.

    The answer depends on the positions and the cell alone; what is kept between calls only makes it quick.
    """

    def __init__(
        self, topology: Topology, groups: Indices, cuts: Sequence[Cut], sites: Sites | None, edge: Edge | None
    ) -> None:
        """Take the charge groups (n,), −1 inside the region; without ``sites`` nothing is seen but the region."""
        self.region = np.flatnonzero(groups < 0)
        self.partners = np.array([cut.m for cut in cuts], dtype=np.int64)
        self.edge = edge
        self._forest = Forest.over(topology, self.region, groups, cuts)
        trees = self._forest.trees
        rooted = np.isin(trees, trees[self.region])  # in one tree with a part of the region
        self._rooted, self._always = np.flatnonzero(rooted), np.flatnonzero(rooted & (groups >= 0))
        self._part = np.unique(trees[self._rooted], return_inverse=True)[1]
        self._free = np.flatnonzero(~rooted)[np.argsort(trees[~rooted], kind="stable")]
        self._starts, self._counts = np.unique(trees[self._free], return_index=True, return_counts=True)[1:]
        self._sites = sites
        if sites is not None:
            group_of = np.full(len(topology), len(self._starts))
            group_of[self._free] = np.repeat(np.arange(len(self._starts)), self._counts)
            self._group = group_of[sites.matrix.indices[sites.matrix.indptr[:-1]]]  # of each site
        self._near: Near | None = None
        self._moved: Array | None = None

    def look(self, positions: Array, cell: Array | None) -> View:
        """Return the view at ``positions`` (n, 3) in ``cell`` (3, 3), or without one.

        Raises:
            RegionError: a box so small that a charge, or a part of the region, would be seen twice.
        """
        near = self._near
        if near is None or not self._serves(near, positions, cell):
            near = self._near = self._gather(positions, cell)
        region = positions[self.region] + near.region
        partners = positions[self.partners] + near.partners
        at = positions[near.atoms] + near.images
        sites = near.sites
        where, charges = sites.matrix @ at, sites.charges
        shown: Indices = np.arange(len(sites))
        fading: Indices = np.zeros(0, dtype=np.int64)
        slopes: Array = np.zeros((0, len(region), 3))
        if self.edge is not None and len(near.starts):
            centres = np.add.reduceat(at, near.starts) / near.counts[:, None]
            factors, fading, slopes = self.edge.factors(centres, region)
            factor = np.append(factors, 1.0)[near.owner]
            shown = np.flatnonzero(factor)
            where, charges = where[shown], (factor * charges)[shown]
        radii = None if sites.radii is None else sites.radii[shown]
        return View(near, region, partners, ExternalCharges(where, charges.copy(), radii), shown, fading, slopes)

    def _serves(self, near: Near, positions: Array, cell: Array | None) -> bool:
        if cell is None or near.cell is None:
            if cell is not near.cell:
                return False
        elif not np.array_equal(near.cell, cell):
            return False
        if near.reach == np.inf:
            return True
        if self._moved is None or self._moved.shape != positions.shape:
            self._moved = np.empty_like(positions)  # kept: new memory would cost more than the subtraction
        moved = np.subtract(positions, near.reference, out=self._moved)
        if max(moved.max(), -moved.min()) < near.reach / np.sqrt(3.0):  # nearly always, and quick
            return True
        return bool(np.einsum("ix,ix->i", moved, moved).max() < near.reach**2)

    def _gather(self, positions: Array, cell: Array | None) -> Near:
        # Images are counted, and turned into vectors once: these depend on the cell alone, to the last bit.
        box = None if cell is None else Box.of(cell)
        room, counts, vectors = np.inf, np.zeros_like(positions), np.zeros_like(positions)
        if box is not None:
            counts = self._forest.unfold(positions, box)
            room = self._join(positions, counts, box)
            vectors = box.vectors(counts)
        chosen: Indices = np.zeros(0, dtype=np.int64)
        if self._sites is not None:
            region = positions[self.region] + vectors[self.region]
            centres = self._centres(positions + vectors)
            if box is not None:
                nearest = box.nearest(centres - region.mean(axis=0))
                centres += box.vectors(nearest)
                counts[self._free] += np.repeat(nearest, self._counts, axis=0)
                vectors = box.vectors(counts)
            chosen, room = self._choose(region, centres, box, room)
        return self._list(chosen, vectors, positions, cell, room / 2.0)

    def _join(self, positions: Array, counts: Array, box: Box) -> float:
        """Bring the parts of the region together, in ``counts``; return how much farther apart they may go."""
        part: Indices = np.full(len(positions), -1)
        part[self._rooted] = self._part
        part = part[self.region]
        sizes = np.bincount(part)
        if len(sizes) == 1:
            return SKIN
        centres = np.zeros((len(sizes), 3))
        np.add.at(centres, part, positions[self.region] + box.vectors(counts[self.region]))
        centres /= sizes[:, None]
        nearest = box.nearest(centres - centres[part[0]])
        centres += box.vectors(nearest)
        counts[self._rooted] += nearest[self._part]
        apart = float(cdist(centres, centres).max())
        if apart >= box.half:
            raise RegionError(
                f"parts of the region are {apart:.2f} Å apart; half the smallest width of the box is {box.half:.2f} Å",
                todo="choose a region of neighbours, or a larger box",
            )
        return min(SKIN, box.half - apart)

    def _centres(self, whole: Array) -> Array:
        if not len(self._free):
            return np.zeros((0, 3))
        sums: Array = np.add.reduceat(whole[self._free], self._starts)
        return sums / self._counts[:, None]

    def _choose(self, region: Array, centres: Array, box: Box | None, room: float) -> tuple[Indices, float]:
        """Return the groups that the region may see, and how far atoms may move before others can."""
        if self.edge is None:  # all, each at its nearest image, which changes at any step
            return np.arange(len(centres)), room if box is None else 0.0
        middle = region.mean(axis=0)
        extent = float(np.linalg.norm(region - middle, axis=1).max())
        room = min(room, SKIN)
        if box is not None:
            if self.edge.outer + extent >= box.half:
                raise RegionError(
                    f"charges within {self.edge.outer:.2f} Å of a region that extends {extent:.2f} Å from its centre "
                    f"would be seen twice: half the smallest width of the box is {box.half:.2f} Å",
                    todo=f"give charges.cutoff below {box.half - extent:.2f} angstrom, or a larger box",
                )
            room = min(room, box.half - extent - self.edge.outer)
        radius = self.edge.outer + room
        near = np.flatnonzero(np.linalg.norm(centres - middle, axis=1) <= radius + extent)
        return near[(cdist(centres[near], region) <= radius).any(axis=1)], room

    def _list(self, chosen: Indices, vectors: Array, positions: Array, cell: Array | None, reach: float) -> Near:
        counts = self._counts[chosen]
        starts = len(self._always) + np.cumsum(counts) - counts
        members = np.repeat(self._starts[chosen] - np.cumsum(counts) + counts, counts) + np.arange(counts.sum())
        atoms = np.concatenate([self._always, self._free[members]])
        if self._sites is None:
            atoms = atoms[:0]
        sites, owner = self._listed_sites(chosen, atoms)
        return Near(
            reference=positions.copy(),
            cell=None if cell is None else cell.copy(),
            reach=reach,
            region=vectors[self.region],
            partners=vectors[self.partners],
            atoms=atoms,
            images=vectors[atoms],
            sites=sites,
            starts=starts,
            counts=counts,
            owner=owner,
        )

    def _listed_sites(self, chosen: Indices, atoms: Indices) -> tuple[Sites, Indices]:
        if self._sites is None:
            none = np.zeros(0, dtype=np.int64)
            return Sites(csr_array((0, len(atoms))), np.zeros(0), None), none
        number = np.full(len(self._starts) + 1, -1)  # of a group in the list
        number[chosen] = np.arange(len(chosen))
        number[-1] = len(chosen)
        rows = np.flatnonzero(number[self._group] >= 0)
        listed = Sites(
            matrix=csr_array(self._sites.matrix[rows][:, atoms]),
            charges=self._sites.charges[rows],
            radii=None if self._sites.radii is None else self._sites.radii[rows],
        )
        return listed, number[self._group[rows]]
