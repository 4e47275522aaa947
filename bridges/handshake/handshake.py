"""Atoms and a continuum of the same crystal as one energy, in which every site is counted once.

    E(y, U) = E_at[y ∪ s_P] − E_at[s_A ∪ s_P] + E_FE[U],    s = X + ΠU + ξ

The mesh of the continuum covers the whole body. The atoms y replace the crystal's sites A; pads P around them, and in
the second term A itself, follow the mesh. This is the subtractive scheme of ONIOM (doi:10.1021/jp962071j) with a
continuum as its low level. Under a uniform strain the two clusters are the same, so that their forces on pads and
nodes cancel to the last digit and the patch test is passed at every strain, whatever the engine's energy is made of.
Nodes that the atoms' region has taken over follow the others harmonically; masses are counted like the energy.
All forces are derivatives of this one energy: a symplectic integrator has no drift.
"""

from __future__ import annotations

import numpy as np
from ase import Atoms
from ase.cell import Cell
from scipy.sparse import csr_array
from scipy.spatial import cKDTree

from scalespan.adapters.interface import (
    Array,
    AtomsError,
    CaseError,
    Extension,
    ExternalCharges,
    FieldAdapter,
    Indices,
    Motion,
    Observation,
    OptionError,
    ParticleAdapter,
    Quantity,
    RegionError,
    Results,
    State,
    Table,
    shape_gradients,
)

from .audit import audit_tables
from .clocks import motion_tables
from .clusters import Clusters
from .estimate import error_table
from .ledger import observed
from .motion import TwoClocks
from .options import HandshakeOptions
from .paced import ThreeClocks
from .preconditioner import stiffness
from .sites import find_sites, free_atoms
from .slaved import SlavedSites
from .warm import counted

_SAME_DENSITY = 1e-6  # relative


class Handshake(ParticleAdapter):
    """Free atoms in a continuum; its atoms are the free atoms, followed by the free nodes as element X."""

    name = "handshake"
    Options = HandshakeOptions
    parts = ("atoms", "perfect", "continuum")
    offers = frozenset({Quantity.ENERGY, Quantity.FORCES})
    ensembles = frozenset({"nve"})  # a thermostat is the handshake's own option: it spares core and continuum

    def __init__(
        self,
        options: HandshakeOptions,
        *,
        atoms: ParticleAdapter | None = None,
        perfect: ParticleAdapter | None = None,
        continuum: FieldAdapter | None = None,
    ) -> None:
        if not isinstance(atoms, ParticleAdapter) or not isinstance(continuum, FieldAdapter):
            raise OptionError(
                "a handshake joins atoms and a continuum", todo="give it the parts 'atoms' and 'continuum'"
            )
        self.options, self.engine, self.continuum = options, atoms, continuum
        self.solid = continuum.solid()
        self.sites = find_sites(options, self.solid.lattice())
        if self.solid.nodes.shape[1] != self.sites.dimension:
            raise CaseError(
                f"the mesh has {self.solid.nodes.shape[1]} dimensions, and the crystal {self.sites.dimension}"
            )
        self._perfect = perfect or atoms.surroundings()
        self.elements = None
        self.slaved = SlavedSites(self.solid, self.sites)
        self._check_density()
        taken = self.slaved.interpolation[: self.sites.free].T @ self.sites.masses[: self.sites.free]
        self.extension = Extension(self.solid, taken, options.slaved_below)
        self._moves: Indices = np.flatnonzero(~self.solid.held[self.extension.others])  # among `others`
        self.counted = counted(self.solid, self.sites, self._of_nodes())  # the same, but for a law at a temperature
        self._nodes: Array = self.solid.nodes[self.extension.others[self._moves]]
        pads = self.slaved.interpolation[self.sites.free :]
        self._to_pads = self.extension.following(pads) if self.slaved.linear else None
        start = free_atoms(options, self.sites)
        self.clusters = Clusters(atoms, self._perfect, start, self.sites)
        self.free = len(start)
        self.conservative = atoms.conservative
        self._start = self._initial(start)
        self._deform(np.asarray(options.deformation or np.eye(self.sites.dimension)))
        self._hold(self._start.cell)

    def initial_atoms(self) -> Atoms:
        """The free atoms, then the free nodes (X) with their masses, all under the options' deformation.

        Their cell is the box around the body. What the body is held by follows it: strain the cell to load the body.
        """
        copy: Atoms = self._start.copy()
        return copy

    def preconditioner(self, atoms: Atoms) -> csr_array:
        """Return one Laplacian over atoms and nodes."""
        return stiffness(self, free_atoms(self.options, self.sites).positions)

    def focus(self, atoms: Atoms) -> Indices:
        """Return the free atoms."""
        return np.arange(self.free)

    @property
    def moving_nodes(self) -> Indices:
        """Which of the extension's ``others`` (k,) are among the atoms."""
        return self._moves

    @property
    def nodes(self) -> Array:
        """The reference positions (k, dimension) of the nodes among the atoms, Å."""
        return self._nodes

    def displacement(self, positions: Array) -> Array:
        """Return the displacements (n, dimension) of all nodes of the mesh at the atoms' ``positions``."""
        return self.extension.fill(self._others(positions))

    def _of_nodes(self) -> Array:
        """Return an atom's mass (n,) for each node that moves, 0 for the others."""
        found = np.zeros(len(self.solid.nodes))
        found[self.extension.others[self._moves]] = self.sites.masses.mean()
        return found

    def _others(self, positions: Array) -> Array:
        found = self._held.copy()
        found[self._moves] = positions[self.free :, : self.sites.dimension] - self._nodes
        return found

    def _compute(self, atoms: Atoms, wanted: frozenset[Quantity], charges: ExternalCharges | None) -> Results:
        if not np.array_equal(atoms.numbers, self._start.numbers):
            raise AtomsError(
                f"a handshake takes its own {len(self._start)} atoms and nodes", todo="start from initial_atoms()"
            )
        self._hold(atoms.cell)
        fast, slow = self.fast(atoms.positions), self.slow(atoms.positions)
        return Results(
            energy=sum(fast.components.values()) + sum(slow.components.values()),
            forces=np.asarray(fast.forces) + np.asarray(slow.forces),
            components={**fast.components, **slow.components},
        )

    def fast(self, positions: Array) -> Results:
        """Return what changes with every step of the atoms: E_at[y ∪ s_P]."""
        others = self._others(positions)
        if self._to_pads is not None:
            pads = self.sites.reference[self.sites.free :].copy()
            pads[:, : self.sites.dimension] += self._to_pads.take(others)
            energy, on_atoms, on_pads = self.clusters.mixed(positions[: self.free], pads)
            on_others = self._to_pads.give(on_pads[:, : self.sites.dimension])
        else:
            field = self.extension.fill(others)
            pads = self.slaved.places(field)[self.sites.free :]
            energy, on_atoms, on_pads = self.clusters.mixed(positions[: self.free], pads)
            on_sites = np.concatenate([np.zeros((self.sites.free, 3)), on_pads])
            on_others = self.extension.gather(self.slaved.pull(on_sites, field))
        return Results(energy=energy, forces=self._forces(on_others, on_atoms), components={"atoms": energy})

    def slow(self, positions: Array) -> Results:
        """Return what changes with the continuum only: E_FE[U] − E_at[s_A ∪ s_P]."""
        field = self.displacement(positions)
        energy, on_sites = self.clusters.perfect(self.slaved.places(field))
        elastic, on_nodes = self.counted.elastic(field)
        forces = self._forces(self.extension.gather(on_nodes - self.slaved.pull(on_sites, field)))
        components = {"counted twice": -energy, "continuum": elastic}
        return Results(energy=elastic - energy, forces=forces, components=components)

    def start(self, atoms: Atoms, motion: Motion) -> None:
        """Take a copy of ``atoms`` as the state that `advance` moves, the continuum by its own step.

        Raises:
            NotOffered: a thermostat in ``motion``.
            CaseError: clocks that do not fit each other.
        """
        mine = atoms.copy()
        self._hold(mine.cell)
        mine.calc = self.as_calculator()
        paced = self.engine.paced(motion.timestep)
        self._motion = TwoClocks(mine, motion, self) if paced is None else ThreeClocks(mine, motion, self, paced)

    def observe(self) -> Observation:
        """Return the ledger of the moving atoms and nodes as they stand, without asking the engine again."""
        moving = self._moving
        assert isinstance(moving, TwoClocks), "start makes it"
        return observed(moving)

    def save(self) -> State:
        """Return positions, momenta, the forces of the last step, and the thermostat's random numbers."""
        return self._moving.save()

    def restore(self, state: State) -> None:
        """Return to a saved state."""
        self._moving.restore(state)

    def audit(self, atoms: Atoms) -> list[Table]:
        """Return the count of sites and masses, the ghost forces on the strained perfect crystal, and adjointness.

        Raises:
            CaseError: a ghost force above the options' limit: the pad is too thin, or the law is of another crystal.
            RegionError: the engine treats pads apart.
        """
        seen = self.clusters.atoms.copy()
        pads = self.slaved.places(self.displacement(atoms.positions))[self.sites.free :]
        seen.positions = np.concatenate([atoms.positions[: self.free], pads])
        if (self.engine.focus(seen) >= self.free).any():
            raise RegionError(f"the region of {self.engine.name} reaches the pads", todo="enlarge the atoms' region")
        return [*audit_tables(self), *self.engine.audit(seen), *self.continuum.audit()]

    def check_motion(self, atoms: Atoms, motion: Motion) -> list[Table]:
        """Return the clocks, and what a probe of the joint sends back.

        Raises:
            CaseError: clocks that do not fit each other, or a step that is too long.
        """
        return motion_tables(self, motion)

    def review(self, atoms: Atoms) -> list[Table]:
        """Return how far the strains of a minimum can be trusted."""
        return error_table(self, atoms)

    def close(self) -> None:
        """Close engines and continuum."""
        for part in (self.engine, self._perfect, self.continuum):
            part.close()

    def uniform_forces(self, deformation: Array) -> Array:
        """Return the forces (sites in the region + nodes, dimension), eV/Å, on the perfect crystal under a uniform F.

        The two clusters are then one and the same, so that a single call of the engine tells: every force that is left
        is a ghost.
        """
        d, free = self.sites.dimension, self.sites.free
        field = self.solid.nodes @ (deformation - np.eye(d)).T
        _, on_sites = self.clusters.perfect(self.slaved.places(field))
        _, on_nodes = self.solid.elastic(field)
        on_atoms = on_sites[:free, :d].copy()
        on_sites[free:] = 0.0
        nodes = self.extension.gather(on_nodes - self.slaved.pull(on_sites, field))
        return np.concatenate([on_atoms, nodes[self._moves]])

    def cluster_forces(self, moved: Array) -> Array:
        """Return the forces (sites in the region + nodes, d), eV/Å, of E_at[y ∪ s_P] − E_at[s_A ∪ s_P] alone.

        Args:
            moved: (the same shape) Å, from the perfect crystal as it is deformed; a vacancy's site is one like others.
        """
        d, free = self.sites.dimension, self.sites.free
        others = self._others(self._start.positions)
        places = self.slaved.places(self.extension.fill(others))
        others[self._moves] += moved[free:]
        field = self.extension.fill(others)
        slaved = self.slaved.places(field)
        places[:free, :d] += moved[:free]
        places[free:] = slaved[free:]
        _, on_sites = self.clusters.perfect(places)
        _, twice = self.clusters.perfect(slaved)
        on_atoms = on_sites[:free, :d].copy()
        on_sites[:free] = 0.0
        nodes = self.extension.gather(self.slaved.pull(on_sites - twice, field))
        return np.concatenate([on_atoms, nodes[self._moves]])

    def _forces(self, on_others: Array, on_atoms: Array | None = None) -> Array:
        d, forces = self.sites.dimension, np.empty((len(self._start), 3))
        forces[: self.free] = 0.0 if on_atoms is None else on_atoms
        forces[self.free :, :d], forces[self.free :, d:] = on_others[self._moves], 0.0
        return forces

    def _initial(self, start: Atoms) -> Atoms:
        places = np.zeros((len(self._moves), 3))
        places[:, : self.sites.dimension] = self.nodes
        masses = self.extension.masses[self._moves]
        found: Atoms = start + Atoms(numbers=np.zeros(len(places), dtype=int), positions=places, masses=masses)
        _, nearest = cKDTree(self.sites.reference).query(start.positions)
        self._basis: Indices = self.sites.basis[nearest]
        found.set_array("reference", np.concatenate([self.sites.reference[nearest], places]))
        return found

    def _deform(self, deformation: Array) -> None:
        """Deform the start uniformly, and the box around the body."""
        d, box = self.sites.dimension, np.eye(3)
        if deformation.shape != (d, d) or np.linalg.det(deformation) <= 0.0:
            raise OptionError(
                f"the deformation must be a {d}×{d} matrix with a determinant above zero",
                todo="write F, which has ones on its diagonal where nothing is strained",
            )
        self._start.positions = self.deformed(self._start.positions, deformation)
        self._start.set_array("reference", self.deformed(self._start.arrays["reference"], deformation))
        box[:d, :d] = np.diag(np.ptp(self.solid.nodes, axis=0)) @ deformation.T
        self._start.cell = box

    def _hold(self, cell: Cell) -> None:
        """Let held nodes follow the box around the body.

        Raises:
            AtomsError: a box without volume.
        """
        if cell.rank != 3:
            raise AtomsError("a handshake's atoms need the body's box as their cell", todo="start from initial_atoms()")
        d = self.sites.dimension
        box = np.diag(np.ptp(self.solid.nodes, axis=0))
        deformation = np.linalg.solve(box, cell.array[:d, :d]).T
        others = self.extension.others
        self._held = self.solid.held_displacement[others] + self.solid.nodes[others] @ (deformation - np.eye(d)).T

    def deformed(self, positions: Array, deformation: Array) -> Array:
        """Return positions (n, 3) under a uniform F and the inner displacements of its crystal."""
        d = self.sites.dimension
        found = positions.copy()
        found[:, :d] = positions[:, :d] @ deformation.T
        shifts = self.solid.inner(deformation[None])
        if shifts is not None:
            found[: self.free, :d] += shifts[0][0][self._basis]
        return found

    def _check_density(self) -> None:
        nodes, cells = self.solid.nodes, self.solid.cells
        density = float(self.solid.masses.sum() / shape_gradients(nodes, cells)[1].sum())
        if abs(density / self.sites.density - 1.0) > _SAME_DENSITY:
            raise CaseError(
                f"the continuum has {density:.6g} amu/Å^{self.sites.dimension}, and the crystal "
                f"{self.sites.density:.6g}",
                todo="give the continuum the crystal's density",
            )
