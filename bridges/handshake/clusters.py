"""What the atoms' engine is asked: whole clusters, and nothing else.

E₁ = E_at[y ∪ s_P], the free atoms y among the slaved pads s_P, and E₂ = E_at[s_A ∪ s_P], the perfect crystal on the
same sites, slaved throughout. Terms among pads alone, and the free surface outside the pads, are in both: the
difference E₁ − E₂ holds each interaction of the region once, whatever the engine's energy is made of.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
from ase import Atoms

from scalespan.adapters.interface import Array, ParticleAdapter, Quantity

from .sites import Sites

_WANTED = frozenset({Quantity.ENERGY, Quantity.FORCES})


class Clusters:
    """Asks the engine for the free atoms among pads, and for the perfect crystal.

    Args:
        engine: of the free atoms among their pads.
        perfect: of the perfect crystal; the same one, unless it is built for a fixed number of atoms.
    """

    def __init__(self, engine: ParticleAdapter, perfect: ParticleAdapter, atoms: Atoms, sites: Sites) -> None:
        self._engine, self._perfect = engine, perfect
        self.free = len(atoms)
        pads = slice(sites.free, None)
        numbers = np.concatenate([atoms.numbers, sites.numbers[pads]])
        masses = np.concatenate([atoms.get_masses(), sites.masses[pads]])
        self._mixed = Atoms(numbers, np.concatenate([atoms.positions, sites.reference[pads]]), masses=masses)
        self._slaved = Atoms(sites.numbers, sites.reference, masses=sites.masses)

    @property
    def atoms(self) -> Atoms:
        """The free atoms among their pads, as they were last asked about."""
        return self._mixed

    @contextmanager
    def asking(self, engine: ParticleAdapter) -> Iterator[None]:
        """Ask another engine about the free atoms among their pads, for a while."""
        usual, self._engine = self._engine, engine
        try:
            yield
        finally:
            self._engine = usual

    def mixed(self, positions: Array, pads: Array) -> tuple[float, Array, Array]:
        """Return E₁ (eV), and the forces on the free atoms and on the pads.

        Args:
            positions: of the free atoms, (n, 3) Å.
            pads: (p, 3) Å.
        """
        self._mixed.positions[: self.free], self._mixed.positions[self.free :] = positions, pads
        found = self._engine.compute(self._mixed, _WANTED)
        forces = np.asarray(found.need(Quantity.FORCES))
        return float(found.need(Quantity.ENERGY)), forces[: self.free], forces[self.free :]

    def perfect(self, slaved: Array) -> tuple[float, Array]:
        """Return E₂ (eV), and the forces on all sites (s, 3)."""
        self._slaved.positions = slaved
        found = self._perfect.compute(self._slaved, _WANTED)
        return float(found.need(Quantity.ENERGY)), np.asarray(found.need(Quantity.FORCES))
