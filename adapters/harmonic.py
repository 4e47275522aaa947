"""Harmonic springs between pairs of atoms: the reference adapter. It needs NumPy and no engine.

E = Σ ½ k (r − r₀)² over the springs; F on an end is −k (r − r₀) along the spring.
"""

from __future__ import annotations

import numpy as np
from ase import Atoms
from pydantic import Field

from .interface import AtomsError, ExternalCharges, Options, ParticleAdapter, Quantity, Results
from .interface.units import Length, Spring


class HarmonicSpring(Options):
    """One spring."""

    atoms: tuple[int, int]  # the two ends, from 0
    stiffness: Spring
    length: Length  # at rest


class HarmonicOptions(Options):
    """The springs."""

    springs: list[HarmonicSpring] = Field(min_length=1)


class HarmonicAdapter(ParticleAdapter):
    """Harmonic springs between pairs of atoms, without periodic images."""

    name = "harmonic"
    Options = HarmonicOptions
    offers = frozenset({Quantity.ENERGY, Quantity.FORCES})

    def __init__(self, options: HarmonicOptions) -> None:
        self.ends = np.array([spring.atoms for spring in options.springs])
        self.stiffness = np.array([spring.stiffness for spring in options.springs])
        self.length = np.array([spring.length for spring in options.springs])

    def _compute(self, atoms: Atoms, wanted: frozenset[Quantity], charges: ExternalCharges | None) -> Results:
        if not 0 <= self.ends.min() <= self.ends.max() < len(atoms):
            raise AtomsError(f"a spring ends at atom {self.ends.max()}, and there are {len(atoms)}", where=self.name)
        i, j = self.ends.T
        along = atoms.positions[j] - atoms.positions[i]
        distance = np.linalg.norm(along, axis=1)
        stretch = distance - self.length
        pull = (self.stiffness * stretch / distance)[:, None] * along
        forces = np.zeros((len(atoms), 3))
        np.add.at(forces, i, pull)
        np.add.at(forces, j, -pull)
        energy = float(0.5 * (self.stiffness * stretch**2).sum())
        return Results(energy=energy, forces=forces, components={"springs": energy})
