"""The cluster that the high level sees: region, buffer, and what closes the bonds that leave them.

A region in a periodic cell is made whole along the shortest links between its atoms (their minimum spanning tree of
nearest-image distances); each atom of the buffer is taken in the image that the search found it in. So a cluster
may lie across any face of any cell, and where it would meet its own image it is refused.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from ase import Atoms
from ase.data import atomic_numbers, covalent_radii
from ase.geometry import find_mic
from scipy.sparse.csgraph import breadth_first_order, minimum_spanning_tree

from scalespan.adapters.interface import Array, Indices, RegionError

from ..embedding import HYDRIDE_LENGTHS, Links
from .neighbourhood import Neighbourhood, Pairs
from .options import BufferOptions, EndOptions, ForceMixingOptions

_AXES = "abc"


@dataclass(frozen=True)
class Cluster:
    """Atoms of the whole in the images that belong together: the region's first, then the buffer's; and its ends."""

    region: Indices  # (k,) atoms whose forces are used, ascending
    members: Indices  # (m,) the region, then the buffer, ascending
    images: Indices  # (m, 3) cell vectors added to each
    links: Links  # at the cut bonds; q, m are positions in `members` and atoms of the whole
    beyond: Indices  # (l, 3) cell vectors added to each outer end of a cut bond
    cuts: int  # bonds that are cut, closed or dangling
    element: int  # of the ends

    @property
    def buffer(self) -> Indices:
        """The atoms that the high level sees as well."""
        return self.members[len(self.region) :]

    def atoms(self, whole: Atoms, along: tuple[bool, ...]) -> Atoms:
        """Return what the high level is given: members, then ends, in a cell along the vectors where it repeats."""
        at_members, at_outer = self.places(whole)
        ends = self.links.positions(at_members[self.links.q], at_outer)
        return Atoms(
            numbers=np.concatenate([whole.numbers[self.members], np.full(len(ends), self.element)]),
            positions=np.concatenate([at_members, ends]),
            cell=whole.cell if any(along) else None,
            pbc=along,
        )

    def places(self, whole: Atoms) -> tuple[Array, Array]:
        """Return where the members (m, 3) and the outer ends of the cut bonds (l, 3) are, in one piece."""
        cell = whole.cell.complete().array
        positions = whole.positions
        return positions[self.members] + self.images @ cell, positions[self.links.m] + self.beyond @ cell

    def forces_on_region(self, whole: Atoms, forces: Array) -> Array:
        """Return the forces (k, 3) on the region from those (m + l, 3) on the cluster.

        The share of an end's force that belongs to its inner atom, by the chain rule, is passed on to it; what is
        left on the buffer and outside is discarded, as force mixing does with all that is not the region's.
        """
        at_members, at_outer = self.places(whole)
        m = len(self.members)
        on_members = forces[:m].copy()
        on_q, _ = self.links.share(at_members[self.links.q], at_outer, forces[m:])
        np.add.at(on_members, self.links.q, on_q)
        return on_members[: len(self.region)]


def carve(whole: Atoms, region: Indices, options: ForceMixingOptions, around: Neighbourhood | None = None) -> Cluster:
    """Return the cluster around a region (k,) of ``whole``.

    Raises:
        RegionError: the cluster would meet its own image.
    """
    around = around or Neighbourhood(whole)
    repeats = np.array([axis in options.along for axis in _AXES])
    growth = _Growth(around, region, _made_whole(whole, region), repeats)
    if options.buffer.radius is not None:
        growth.take(growth.pairs(around.within(region, options.buffer.radius), region))
    else:
        for _ in range(options.buffer.hops or 0):
            growth.take(growth.bonds(options.buffer.bond_factor))
    growth.close_up(options.buffer)
    order = np.concatenate([region, np.setdiff1d(growth.members, region)])
    return _ended(growth, order, region, options)


def _ended(growth: _Growth, order: Indices, region: Indices, options: ForceMixingOptions) -> Cluster:
    cut = growth.outside(growth.bonds(options.buffer.bond_factor))
    place = np.full(len(growth.around), -1)
    place[order] = np.arange(len(order))
    closed = cut.keep(np.full(len(cut.atoms), options.ends.element != "none"))
    inner = growth.members[closed.centres]
    element = atomic_numbers.get(options.ends.element, 0)
    lengths = np.array([_length(int(z), element, options.ends) for z in growth.around.numbers[inner]])
    return Cluster(
        region=region,
        members=order,
        images=growth.images[order],
        links=Links(place[inner], closed.atoms, lengths, fixed=True),
        beyond=growth.images[inner] + closed.shifts,
        cuts=len(cut.atoms),
        element=element,
    )


def _length(inner: int, element: int, ends: EndOptions) -> float:
    if ends.distance is not None:
        return ends.distance
    usual = float(covalent_radii[inner] + covalent_radii[element])
    return HYDRIDE_LENGTHS.get(inner, usual) if element == 1 else usual


class _Growth:
    """A cluster as it grows; each atom that comes brings its image along."""

    def __init__(self, around: Neighbourhood, region: Indices, images: Indices, repeats: Array) -> None:
        self.around, self._repeats = around, repeats
        self.images = np.zeros((len(around), 3), dtype=np.int64)
        self.images[region] = images
        self._inside = np.zeros(len(around), dtype=bool)
        self._inside[region] = True
        self.members = region

    def pairs(self, found: Pairs, centres: Indices) -> Pairs:
        """Return pairs whose atoms' images are those in the cluster's frame."""
        absolute = found.shifts + self.images[centres[found.centres]]
        return Pairs(found.centres, found.atoms, absolute, found.distances)

    def bonds(self, factor: float) -> Pairs:
        """Return the bonds of all members, in the cluster's frame."""
        return self.pairs(self.around.bonded(self.members, factor), self.members)

    def take(self, pairs: Pairs) -> None:
        """Take in the atoms of ``pairs``, each in the image of its shortest pair."""
        pairs = pairs.keep(np.argsort(pairs.distances, kind="stable"))
        atoms, first = np.unique(pairs.atoms, return_index=True)
        new = ~self._inside[atoms]
        self.images[atoms[new]] = pairs.shifts[first[new]]
        self._inside[atoms] = True
        self.members = np.flatnonzero(self._inside)
        self._refuse_own_image(pairs)

    def outside(self, pairs: Pairs) -> Pairs:
        """Return the pairs that leave the cluster, with shifts seen from the member again."""
        self._refuse_own_image(pairs)
        shifts = pairs.shifts - self.images[self.members[pairs.centres]]
        return Pairs(pairs.centres, pairs.atoms, shifts, pairs.distances).keep(~self._inside[pairs.atoms])

    def close_up(self, buffer: BufferOptions) -> None:
        """Take in the outer atoms most of whose bonds lead to the cluster, until none is left."""
        while True:
            bonds = self.bonds(buffer.bond_factor)
            leaving = bonds.keep(~self._inside[bonds.atoms])
            if not len(leaving.atoms):
                return
            # One image of an atom is one candidate: bonds from both sides of a cell do not add up.
            place = np.column_stack([leaving.atoms, leaving.shifts])
            candidates, which, counts = np.unique(place, axis=0, return_inverse=True, return_counts=True)
            own = self.around.bonded(candidates[:, 0], buffer.bond_factor)
            degrees = np.bincount(own.centres, minlength=len(candidates))
            joins = counts > buffer.join * degrees  # above one half the cut bonds become fewer, so that this ends
            if not joins.any():
                return
            self.take(leaving.keep(joins[which.ravel()]))

    def _refuse_own_image(self, pairs: Pairs) -> None:
        other = pairs.shifts - self.images[pairs.atoms]
        met = ((other != 0) & ~self._repeats & self._inside[pairs.atoms][:, None]).any(axis=0)
        if met.any():
            axis = _AXES[int(np.flatnonzero(met)[0])]
            raise RegionError(
                f"the cluster meets its own image along the cell vector {axis}",
                where="force_mixing",
                todo=f'take a larger cell or a smaller buffer, or let it repeat: along = ["{axis}"]',
            )


def _made_whole(whole: Atoms, region: Indices) -> Indices:
    """Return the cell vectors (k, 3) to add to each atom of the region so that it is in one piece."""
    k = len(region)
    images = np.zeros((k, 3), dtype=np.int64)
    if k == 1 or not whole.pbc.any():
        return images
    at, cell = whole.positions[region], whole.cell.complete().array
    i, j = np.triu_indices(k, 1)
    nearest, lengths = find_mic(at[j] - at[i], whole.cell, whole.pbc)
    shifts = np.rint((nearest - (at[j] - at[i])) @ np.linalg.inv(cell)).astype(np.int64)
    graph, moves = np.zeros((k, k)), np.zeros((k, k, 3), dtype=np.int64)
    graph[i, j] = lengths
    moves[i, j], moves[j, i] = shifts, -shifts
    order, before = breadth_first_order(minimum_spanning_tree(graph), 0, directed=False)
    for atom in order[1:]:
        images[atom] = images[before[atom]] + moves[before[atom], atom]
    return images
