"""Atoms and a coarser mesh that overlap: weighted energies and masses, tied weakly at the mesh's nodes.

    H = Σ_i (1 − β_i)(½ m v² + Φ_i) + Σ_T v_T β (½ ρ V² + W),    Σ_i N_K(X_i) (ΠV − v)_i = 0 at each node K

The sum runs over the atoms of the overlap, 0 < β < 1. It is the bridging domain of S. P. Xiao and T. Belytschko 2004
(doi:10.1016/j.cma.2003.12.053), tied at nodes and not at atoms (K. Fackeldey, D. Krause, R. Krause and C. Lenzen,
Multiscale Model. Simul. 9, 1459, 2011). After each half kick A λ = g is solved with the whole matrix
A = C M⁻¹ Cᵀ, as RATTLE does (H. C. Andersen 1983, doi:10.1016/0021-9991(83)90014-1): lumping A would take a third of
the energy of waves that the mesh can carry. Motions that the mesh does not carry come back from the overlap, unless
`friction` takes them away.
"""

from __future__ import annotations

import numpy as np
from ase import Atoms
from ase.constraints import FixConstraint
from pydantic import Field
from scipy.linalg import cho_factor, cho_solve

from scalespan.adapters.interface import (
    Array,
    AtomsError,
    CaseError,
    ExternalCharges,
    FieldAdapter,
    Indices,
    Motion,
    OptionError,
    ParticleAdapter,
    Quantity,
    Results,
    Table,
    shape_gradients,
)
from scalespan.adapters.interface.units import Frequency

from .blending import Blend, FadeOptions, Layout, find_layout
from .handshake import FineScale


class BridgingDomainOptions(FadeOptions):
    """The overlap is the blend: `width` wide, and `shape` linear where waves are to pass best."""

    # Of what the atoms of the overlap do beside the mesh; 0: it comes back, and the energy is kept.
    friction: Frequency = Field(default=0.0, ge=0)


class WeakTies(FixConstraint):
    """C (u) = 0 of displacements u of atoms and nodes, kept in the metric of their masses.

    ASE's velocity Verlet with it is RATTLE: a linear constraint of positions and velocities, each solved exactly.
    """

    def __init__(self, matrix: Array, masses: Array, dimension: int) -> None:
        self._matrix, self._dimension = matrix, dimension
        self._back = matrix.T / masses[:, None]  # M⁻¹ Cᵀ
        self._factor = cho_factor(matrix @ self._back)

    def get_removed_dof(self, atoms: Atoms) -> int:
        """Return how many degrees of freedom are tied."""
        return len(self._matrix) * self._dimension

    def adjust_positions(self, atoms: Atoms, new: Array) -> None:
        """Take out of a step what would break the ties."""
        new[:, : self._dimension] -= self._broken(new - atoms.positions)

    def adjust_momenta(self, atoms: Atoms, momenta: Array) -> None:
        """Take out V −= M⁻¹Cᵀλ, A λ = C V."""
        masses = atoms.get_masses()[:, None]
        momenta[:, : self._dimension] -= masses * self._broken(momenta / masses)

    def adjust_forces(self, atoms: Atoms, forces: Array) -> None:
        """Add the ties' own forces."""
        self.adjust_momenta(atoms, forces)

    def _broken(self, vectors: Array) -> Array:
        given = self._matrix @ vectors[:, : self._dimension]
        found: Array = self._back @ cho_solve(self._factor, given)
        return found


class BridgingDomain(ParticleAdapter):
    """Free atoms and free nodes (X), both with the share of their mass that counts, tied in the overlap."""

    name = "bridging_domain"
    Options = BridgingDomainOptions
    parts = ("atoms", "continuum")
    offers = frozenset({Quantity.ENERGY, Quantity.FORCES})
    ensembles = frozenset({"nve"})

    def __init__(
        self,
        options: BridgingDomainOptions,
        *,
        atoms: ParticleAdapter | None = None,
        continuum: FieldAdapter | None = None,
    ) -> None:
        if not isinstance(atoms, ParticleAdapter) or not isinstance(continuum, FieldAdapter):
            raise OptionError(
                "a bridging domain joins atoms and a continuum", todo="give it the parts 'atoms' and 'continuum'"
            )
        self.options, self.engine, self.continuum = options, atoms, continuum
        self.layout = find_layout(options, continuum.solid(), shared=False)
        self.blend = Blend(atoms, self.layout, np.ones(self.layout.sites.free, dtype=bool))
        d = self.layout.sites.dimension
        start = np.eye(d) if options.deformation is None else np.asarray(options.deformation, dtype=float)
        self._start = self.blend.atoms.copy()
        self._start.positions, self._held = self.blend.uniform(start)
        self._held = self._held + self.layout.solid.held_displacement
        self._start.set_masses(np.concatenate([_atom_masses(self.layout), _node_masses(self.layout)]))
        self._overlap: Indices = np.flatnonzero(self.layout.fade[: self.layout.sites.free] > 0.0)
        if not len(self._overlap):
            raise CaseError("no atom lies in the overlap", todo="make its width several atoms")
        self._shapes = self.layout.solid.interpolation(self.layout.sites.points[self._overlap]).toarray()
        self._start.set_constraint(self._ties())

    def initial_atoms(self) -> Atoms:
        """The free atoms and the free nodes (X) with their ties, under the options' deformation."""
        copy: Atoms = self._start.copy()
        return copy

    def focus(self, atoms: Atoms) -> Indices:
        """Return the atoms outside the overlap."""
        return np.flatnonzero(self.layout.fade[: self.layout.sites.free] == 0.0)

    def _compute(self, atoms: Atoms, wanted: frozenset[Quantity], charges: ExternalCharges | None) -> Results:
        if not np.array_equal(atoms.numbers, self._start.numbers):
            raise AtomsError(
                f"a bridging domain takes its own {len(self._start)} atoms and nodes", todo="start from initial_atoms()"
            )
        return self.blend.compute(atoms.positions, self._held)

    def start(self, atoms: Atoms, motion: Motion) -> None:
        """Take a copy of ``atoms``, tied whether they come with the ties or not."""
        mine = atoms.copy()
        mine.set_constraint(self._start.constraints)
        mine.set_momenta(mine.get_momenta())  # of which the ties take what breaks them
        kept = np.exp(-self.options.friction * motion.timestep)
        self._loss = 1.0 - float(kept)
        self._fine = FineScale(self._shapes, mine.get_masses()[self._overlap]) if self._loss > 0.0 else None
        super().start(mine, motion)

    def advance(self, dt: float) -> None:
        """Move by ``dt`` (ASE's time); the friction acts after each timestep."""
        moving = self._moving
        if self._fine is None:
            moving.advance(dt)
            return
        steps = round(dt / moving.motion.timestep)
        if abs(steps * moving.motion.timestep - dt) > 1e-9 * dt or steps < 1:
            raise CaseError("friction takes whole timesteps only", todo="make windows whole multiples of the timestep")
        for _ in range(steps):
            moving.advance(moving.motion.timestep)
            momenta, on, d = moving.atoms.get_momenta(), self._overlap, self.layout.sites.dimension
            masses = moving.atoms.get_masses()[on][:, None]
            momenta[on, :d] -= self._loss * masses * self._fine.of(momenta[on, :d] / masses)
            moving.atoms.set_momenta(momenta)

    def audit(self, atoms: Atoms) -> list[Table]:
        """Return what overlaps, and the ghost forces at no strain."""
        ghost = np.asarray(self.blend.compute(*self.blend.uniform(np.eye(self.layout.sites.dimension))).forces)
        rows = (
            ("atoms outside the overlap", str(len(self.focus(atoms)))),
            ("atoms in it", str(len(self._overlap))),
            ("nodes that move freely", str(len(self.blend.own))),
            ("ties", str(len(self._ties()._matrix))),
            ("mass of atoms and nodes", f"{self._start.get_masses().sum():.9g} amu"),
            ("largest ghost force", f"{np.linalg.norm(ghost, axis=1).max():.1e} eV/Å"),
        )
        return [Table("What overlaps", ("what", "how much"), rows)]

    def close(self) -> None:
        """Close engine and continuum."""
        for part in (self.blend, self.engine, self.continuum):
            part.close()

    def _ties(self) -> WeakTies:
        """Return the matrix C of Σ_i N_K(X_i) (Πu − u)_i on atoms and free nodes."""
        tied = np.flatnonzero((np.abs(self._shapes) > 0.0).any(axis=0))
        free, own = self.layout.sites.free, self.blend.own
        tests = self._shapes[:, tied].T
        matrix = np.zeros((len(tied), free + len(own)))
        matrix[:, self._overlap] = -tests
        matrix[:, free:] = (tests @ self._shapes)[:, own]
        return WeakTies(matrix, self._start.get_masses(), self.layout.sites.dimension)


def _atom_masses(layout: Layout) -> Array:
    free = layout.sites.free
    found: Array = (1.0 - layout.fade[:free]) * layout.sites.masses[:free]
    return found


def _node_masses(layout: Layout) -> Array:
    """Return Σ_T ρ v_T β / (d + 1) of the free nodes."""
    nodes, cells = layout.solid.nodes, layout.solid.cells
    _, volumes = shape_gradients(nodes, cells)
    density = layout.solid.masses.sum() / volumes.sum()
    found = np.zeros(len(nodes))
    np.add.at(found, cells, (density * volumes * layout.cell_weights / cells.shape[1])[:, None])
    return found[layout.own]
