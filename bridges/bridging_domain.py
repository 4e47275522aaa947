"""Atoms and a coarser mesh that overlap: weighted energies and masses, tied weakly at the mesh's nodes.

    H = Σ_i (1 − β_i)(½ m v² + Φ_i) + Σ_T v_T β (½ ρ V² + W),    Σ_i N_K(X_i) (ΠV − v)_i = 0 at each node K

The sum runs over the atoms of the overlap: those between nodes that count. β is the mesh's own, set at the nodes by
where they lie and interpolated between, so that a cell and the atoms in it weigh by one function. It is the bridging
domain of S. P. Xiao and T. Belytschko 2004 (doi:10.1016/j.cma.2003.12.053), tied at nodes and not at atoms
(K. Fackeldey, D. Krause, R. Krause and C. Lenzen, Multiscale Model. Simul. 9, 1459, 2011). After each half kick,
A λ = g is solved with the whole matrix A = C M⁻¹ Cᵀ, as RATTLE does (H. C. Andersen 1983,
doi:10.1016/0021-9991(83)90014-1): lumping A would take a third of the energy of waves that the mesh can carry. Motions
that the mesh does not carry come back from the overlap, unless `friction` takes them away. The weighted energies have
the ghost forces of a blend without correction: the patch test is not passed.
"""

from __future__ import annotations

import numpy as np
from ase import Atoms, units
from ase.constraints import FixConstraint
from pydantic import Field
from scipy.linalg import cho_factor, cho_solve
from scipy.linalg.lapack import dpstrf
from scipy.sparse import coo_array, csr_array, hstack
from scipy.spatial import cKDTree

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

from .blending import Blend, FadeOptions, Layout, find_layout, vacant
from .handshake import FineScale, highest_frequency

_NONE = 1e-9  # of a shape function
_DEPENDENT = 1e-8  # of a tie's square: what the others leave of it
_NEIGHBOURS = 1.2  # times the shortest distance: nearest neighbours


class BridgingDomainOptions(FadeOptions):
    """The overlap is the blend: `width` wide, and `shape` linear where waves are to pass best."""

    # Of what the atoms of the overlap do beside the mesh; 0: it comes back, and the energy is kept.
    friction: Frequency = Field(default=0.0, ge=0)


class WeakTies(FixConstraint):
    """C (u) = 0 of displacements u of atoms and nodes, kept in the metric of their masses.

    ASE's velocity Verlet with it is RATTLE: a linear constraint of positions and velocities, each solved exactly.
    Rows of ``matrix`` (t, n) that the others imply, such as those of two nodes that one atom alone ties, are left out.
    """

    def __init__(self, matrix: csr_array, masses: Array, dimension: int) -> None:
        self.matrix, self._dimension = matrix[_independent(matrix, masses)], dimension
        self._back = csr_array(self.matrix.T / masses[:, None])  # M⁻¹ Cᵀ
        self._factor = cho_factor((self.matrix @ self._back).toarray())

    def get_removed_dof(self, atoms: Atoms) -> int:
        """Return how many degrees of freedom are tied."""
        return int(self.matrix.shape[0]) * self._dimension

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
        given = self.matrix @ vectors[:, : self._dimension]
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
        self.blend = Blend(atoms, self.layout, ~vacant(options, self.layout))
        d = self.layout.sites.dimension
        start = np.eye(d) if options.deformation is None else np.asarray(options.deformation, dtype=float)
        self._start = self.blend.atoms.copy()
        self._start.positions, self._held = self.blend.uniform(start)
        self._held = self._held + self.layout.solid.held_displacement
        self._fade: Array = self.layout.fade[self.blend.present]
        shapes = self.layout.solid.interpolation(self.layout.sites.points[self.blend.present])
        self._start.set_masses(self._masses(shapes))
        # Atoms among nodes that all count: those of 0 < β < 1, and those at the overlap's inner edge.
        self._overlap: Indices = np.flatnonzero(shapes @ (~self.layout.counted).astype(float) < _NONE)
        if options.width == 0.0 or not len(self._overlap):
            raise CaseError("no atom lies in the overlap", todo="make its width several atoms")
        self._shapes = shapes[self._overlap]
        self._start.set_constraint(self._ties())

    def initial_atoms(self) -> Atoms:
        """The free atoms and the free nodes (X) with their ties, under the options' deformation."""
        copy: Atoms = self._start.copy()
        return copy

    def focus(self, atoms: Atoms) -> Indices:
        """Return the atoms outside the overlap."""
        return np.flatnonzero(self._fade == 0.0)

    def displacement(self, positions: Array) -> Array:
        """Return the displacements (n, d) of all nodes of the mesh at the atoms' ``positions``."""
        return self.blend.displacement(positions, self._held)

    def _compute(self, atoms: Atoms, wanted: frozenset[Quantity], charges: ExternalCharges | None) -> Results:
        if not np.array_equal(atoms.numbers, self._start.numbers):
            raise AtomsError(
                f"a bridging domain takes its own {len(self._start)} atoms and nodes", todo="start from initial_atoms()"
            )
        return self.blend.compute(atoms.positions, self._held)

    def preconditioner(self, atoms: Atoms) -> csr_array:
        """Return springs and cells by their weights; the ties are the atoms' own."""
        return self.blend.stiffness()

    def start(self, atoms: Atoms, motion: Motion) -> None:
        """Take a copy of ``atoms``, tied whether they come with the ties or not."""
        mine = atoms.copy()
        mine.set_constraint(self._start.constraints)
        mine.set_momenta(mine.get_momenta())  # of which the ties take what breaks them
        kept = np.exp(-self.options.friction * motion.timestep)
        self._loss = 1.0 - float(kept)
        self._fine = FineScale(self._shapes.toarray(), mine.get_masses()[self._overlap]) if self._loss > 0.0 else None
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
        """Return what overlaps, what is counted, the ghost forces at no strain, and the longest step.

        Raises:
            CaseError: the pad is thinner than forces reach. With vacancies no engine knows the perfect crystal to ask.
        """
        if not self.options.vacancies:
            self.blend.check_pads(self.options.ghost_force)
        whole, counted = self.layout.count()
        rows = (
            ("atoms outside the overlap", str(len(self.focus(atoms)))),
            ("atoms in it", str(len(self._overlap))),
            ("nodes that move freely", str(len(self.blend.own))),
            ("ties", str(self._start.constraints[0].matrix.shape[0])),
            ("mass of atoms and nodes", f"{self._start.get_masses().sum():.9g} amu"),
            ("sites in the body", f"{whole:.9g}"),
            ("of them, counted", f"{counted:.9g}"),
            ("largest ghost force", f"{self._largest(np.eye(self.layout.sites.dimension)):.1e} eV/Å"),
            ("longest stable step, 2/ω", f"{2.0 / self.frequency() / units.fs:.4g} fs"),
        )
        return [Table("What overlaps", ("what", "how much"), rows)]

    def ghost_forces(self, deformation: Array) -> Array:
        """Return the forces (n, 3) that the ties leave on the perfect crystal under a uniform F (d, d)."""
        atoms = self.initial_atoms()
        positions, field = self.blend.uniform(deformation)
        atoms.set_positions(positions, apply_constraint=False)
        found = np.array(self.blend.compute(positions, field).forces)
        atoms.constraints[0].adjust_forces(atoms, found)
        return found

    def frequency(self) -> float:
        """Return the highest frequency (1/ASE's time) of what is tied, where it is at the start."""
        atoms = self.initial_atoms()
        ties, start = atoms.constraints[0], atoms.positions.copy()

        def forces(positions: Array) -> Array:
            kept = positions.copy()
            ties.adjust_positions(atoms, kept)
            found = np.array(self.blend.compute(kept, self._held).forces)
            ties.adjust_forces(atoms, found)
            return found

        return highest_frequency(forces, start, atoms.get_masses())

    def _largest(self, deformation: Array) -> float:
        return float(np.linalg.norm(self.ghost_forces(deformation), axis=1).max())

    def close(self) -> None:
        """Close engine and continuum."""
        for part in (self.blend, self.engine, self.continuum):
            part.close()

    def _ties(self) -> WeakTies:
        """Return the matrix C of Σ_i N_K(X_i) (Πu − u)_i on atoms and free nodes."""
        tests = self._shapes[:, np.flatnonzero(self._shapes.sum(axis=0))].T
        on_nodes = (tests @ self._shapes)[:, self.blend.own]
        rows = coo_array(-tests)
        shape = (tests.shape[0], len(self.blend.present))
        on_atoms = coo_array((rows.data, (rows.row, self._overlap[rows.col])), shape=shape)
        matrix = hstack([on_atoms, on_nodes], format="csr")
        return WeakTies(matrix, self._start.get_masses(), self.layout.sites.dimension)

    def _masses(self, shapes: csr_array) -> Array:
        """Return the masses of atoms and free nodes, weighted as their energies are.

        An atom at the overlap's outer edge may weigh next to nothing beside neighbours that pull at it. It gets half of
        what the heaviest of them weighs, out of the nodes around it: no frequency is then far above the crystal's.
        """
        layout, present = self.layout, self.blend.present
        weights, sites = 1.0 - self._fade, layout.sites.reference[present]
        tree, heaviest = cKDTree(sites), weights.copy()
        shortest = float(np.median(tree.query(sites, k=2)[0][:, 1]))
        i, j = tree.query_pairs(_NEIGHBOURS * shortest, output_type="ndarray").T
        np.maximum.at(heaviest, i, weights[j])
        np.maximum.at(heaviest, j, weights[i])
        atoms = np.maximum(weights, 0.5 * heaviest) * layout.sites.masses[present]
        lent = shapes.T @ (atoms - weights * layout.sites.masses[present])
        nodes = (_node_masses(layout) - lent)[layout.own]
        if len(nodes) and nodes.min() <= 0.0:
            raise CaseError("a node of the overlap has no mass", todo="take larger cells, or a wider overlap")
        return np.concatenate([atoms, nodes])


def _independent(matrix: csr_array, masses: Array) -> Indices:
    """Return rows of C none of which the others imply: the pivots of Cholesky's factors of C M⁻¹ Cᵀ, scaled."""
    gram = (matrix @ csr_array(matrix.T / masses[:, None])).toarray()
    scale = 1.0 / np.sqrt(np.diag(gram))
    _, pivots, rank, _ = dpstrf(scale[:, None] * gram * scale, tol=_DEPENDENT)
    return np.sort(pivots[:rank] - 1)


def _node_masses(layout: Layout) -> Array:
    """Return Σ_T ρ v_T β / (d + 1) of all nodes."""
    nodes, cells = layout.solid.nodes, layout.solid.cells
    _, volumes = shape_gradients(nodes, cells)
    density = layout.solid.masses.sum() / volumes.sum()
    found = np.zeros(len(nodes))
    np.add.at(found, cells, (density * volumes * layout.cell_weights / cells.shape[1])[:, None])
    return found
