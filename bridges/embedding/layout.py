"""What is settled once the region is known: links, charges, and what the region sees."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from ase import Atoms

from scalespan.adapters.interface import Array, AtomsError, Indices, NotOffered, Topology

from .boundary import Cut, Links
from .charges import Sites, place_charges
from .images import charge_groups
from .options import ChargeOptions, EmbeddingOptions
from .surroundings import Surroundings, View
from .switching import Edge

CUTOFF = 10.0  # Å, in a box
FADING = 2.0  # Å, at most half the cutoff


def cell_of(atoms: Atoms) -> Array | None:
    """Return the cell (3, 3) Å of periodic atoms, None without one.

    Raises:
        AtomsError: atoms that are periodic in one or two directions.
    """
    if not atoms.pbc.any():
        return None
    if not atoms.pbc.all():
        raise AtomsError("the atoms are periodic in some directions only", where="embedding", todo="in all, or in none")
    cell: Array = atoms.cell.array.copy()
    return cell


@dataclass(frozen=True)
class Layout:
    """The high level's atoms among all others: the region's, ascending, then one hydrogen for each cut bond."""

    topology: Topology
    region: Indices  # (k,)
    nuclei: Indices  # (k',) positions within `region` that have an element: the others are sites of the low level
    cuts: Sequence[Cut]
    links: Links
    q: Indices  # (l,) Q of each link, as a position within `region`
    sites: Sites | None  # None: mechanical embedding
    edge: Edge | None  # None: charges do not fade
    surroundings: Surroundings

    @classmethod
    def of(
        cls, topology: Topology, region: Indices, cuts: Sequence[Cut], options: EmbeddingOptions, *, periodic: bool
    ) -> Layout:
        """Return the layout of a region and its cut bonds."""
        links = Links.place(cuts, topology.numbers, options.links)
        electrostatic = options.embedding == "electrostatic"
        sites = place_charges(topology, region, cuts, options.charges) if electrostatic else None
        edge = _edge(options.charges, periodic) if electrostatic else None
        groups = charge_groups(topology, region, options.charges.largest_molecule)
        surroundings = Surroundings(topology, groups, cuts, sites, edge)
        nuclei, q = np.flatnonzero(topology.numbers[region]), np.searchsorted(region, links.q)
        return cls(topology, region, nuclei, cuts, links, q, sites, edge, surroundings)

    @property
    def charges_of_low(self) -> Array | None:
        """The charges (n,) e in the force field: none in the region where the high level feels them; None: its own."""
        if self.sites is None:
            return None
        charges = self.topology.charges.copy()
        charges[self.region] = 0.0
        return charges

    def check(self, atoms: Atoms) -> None:
        """Raise AtomsError unless ``atoms`` are those of the topology."""
        if len(atoms) != len(self.topology):
            raise AtomsError(
                f"the low level has {len(self.topology)} atoms, and {len(atoms)} were given", where="embedding"
            )
        if len(strange := np.flatnonzero(atoms.numbers != self.topology.numbers)):
            raise AtomsError(
                f"atom {strange[0]} is a {atoms.symbols[strange[0]]}, and another element at the low level",
                where="embedding",
                todo="give the atoms in the order of the low level's input",
            )

    def check_sites(self) -> None:
        """Raise NotOffered if charges sit on sites that are no atoms: only their engine knows whom they pull."""
        if self.sites is not None and not self.topology.numbers[self.sites.matrix.indices].all():
            raise NotOffered(
                "the charges of virtual sites pull on atoms by a rule that only the low level's engine knows",
                where="embedding",
                todo="run dynamics, which go on inside that engine, or choose a water model without such sites",
            )

    def capped(self, view: View) -> Atoms:
        """Return the high level's atoms: the region and its link hydrogens, without a cell."""
        hydrogens = self.links.positions(view.region[self.q], view.partners)
        numbers = self.topology.numbers[self.region[self.nuclei]]
        return Atoms(
            numbers=np.concatenate([numbers, np.ones(len(hydrogens), dtype=np.int64)]),
            positions=np.concatenate([view.region[self.nuclei], hydrogens]),
        )

    def add_capped_forces(self, forces: Array, view: View, capped: Array) -> None:
        """Add to ``forces`` (n, 3) those on the high level's atoms, ``capped`` (k' + l, 3), by the chain rule."""
        k = len(self.nuclei)
        on_q, on_m = self.links.share(view.region[self.q], view.partners, capped[k:])
        forces[self.region[self.nuclei]] += capped[:k]
        np.add.at(forces, self.links.q, on_q)
        np.add.at(forces, self.links.m, on_m)

    def add_charge_forces(self, forces: Array, view: View, on_charges: Array, potential: Array) -> None:
        """Add to ``forces`` (n, 3) those on the charges of ``view`` (s, 3), with ∂E/∂q (s,) for the fading ones."""
        on_region, on_atoms = view.share(on_charges, potential)
        forces[self.region] += on_region
        forces[view.near.atoms] += on_atoms


def _edge(options: ChargeOptions, periodic: bool) -> Edge | None:
    if options.all_charges or (options.cutoff is None and not periodic):
        return None
    outer = CUTOFF if options.cutoff is None else options.cutoff
    inner = outer - min(FADING, outer / 2.0) if options.switch is None else options.switch
    return Edge(inner, outer)
