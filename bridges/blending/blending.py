"""Atoms' own energies faded into a continuum of the same crystal: BQCE and BGFC.

    E(y, U) = Σ_i (1 − β_i) Φ_i(y) + Σ_T v_T β W(∇U) − ⟨g, y − y₀⟩

Φ_i is the energy of atom i (half of each of its pairs, the angles around it, its embedding), which the engine must be
able to weigh; β rises from 0 to 1 over the blend. Without g it is the blended quasicontinuum energy (M. Luskin,
C. Ortner and B. Van Koten 2013, arXiv:1112.2377), whose ghost forces fall with the width of the blend;
with g = ∂E/∂y of the perfect crystal at y₀ = F₀X, the blended ghost-force correction (C. Ortner and L. Zhang 2016,
arXiv:1407.0053): no ghost force at F₀, and still one energy. A width of 0 is the sharp quasicontinuum.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from ase import Atoms
from scipy.sparse import coo_array, csr_array, eye_array, vstack

from scalespan.adapters.interface import (
    Array,
    AtomsError,
    ExternalCharges,
    FieldAdapter,
    Indices,
    OptionError,
    ParticleAdapter,
    Quantity,
    RegionError,
    Results,
    Table,
)

from ..handshake import Clusters, SlavedSites, rim_table, spring_of, stiff_modulus, unit_springs
from .layout import Layout, find_layout, vacant
from .options import BlendingOptions

_WANTED = frozenset({Quantity.ENERGY, Quantity.FORCES})
_SHOWN = {"none": (0.0, 0.0), "1 % stretch": (0.01, 0.0), "4 % stretch": (0.04, 0.0), "2 % shear": (0.0, 0.02)}


class Blend:
    """The energy of the sites that are there and of the free nodes, with its forces, without dead load."""

    def __init__(self, engine: ParticleAdapter, layout: Layout, present: Array) -> None:
        """Take ``present`` (free sites,): which sites have an atom.

        Raises:
            RegionError: a vacancy in the blend.
        """
        sites, free = layout.sites, layout.sites.free
        self.layout, self.present, self.own = layout, np.flatnonzero(present), layout.own
        place = np.full(free, -1)
        place[self.present] = np.arange(len(self.present))
        atom = np.where(layout.at_site >= 0, place[layout.at_site], -1)
        lost = int((layout.counted & (layout.at_site >= 0) & (atom < 0)).sum())
        if lost := max(lost, int((layout.fade[:free][~present] > 0.0).sum())):
            raise RegionError(f"{lost} vacancies lie in the blend", todo="widen the region of atoms around them")
        self._nodes: Indices = np.flatnonzero(atom >= 0)  # that are atoms
        self._atoms: Indices = atom[self._nodes]
        self._solid = layout.solid.weighted(layout.cell_weights)
        pads = {name: getattr(sites, name)[free:] for name in ("reference", "numbers", "masses", "basis")}
        self._pads = SlavedSites(layout.solid, replace(sites, **pads, free=0))
        kept = np.concatenate([self.present, np.arange(free, len(sites.reference))])
        self._whole, self._engine = engine, engine.weighted(1.0 - layout.fade[kept])
        seen = {name: getattr(sites, name)[kept] for name in ("reference", "numbers", "masses", "basis")}
        self._seen = replace(sites, **seen, free=len(self.present))
        self._cluster = Atoms(sites.numbers[kept], sites.reference[kept], masses=sites.masses[kept])
        self.atoms = self._cluster[: len(self.present)] + Atoms(
            numbers=np.zeros(len(self.own), dtype=int),
            positions=np.pad(layout.solid.nodes[self.own], ((0, 0), (0, 3 - sites.dimension))),
            masses=layout.solid.masses[self.own],
        )

    def displacement(self, positions: Array, held: Array) -> Array:
        """Return the displacements (n, d) of all nodes; those without an energy follow nobody and stay."""
        nodes, d = self.layout.solid.nodes, self.layout.sites.dimension
        found = held.copy()
        found[self._nodes] = positions[self._atoms, :d] - nodes[self._nodes]
        found[self.own] = positions[len(self.present) :, :d] - nodes[self.own]
        return found

    def compute(self, positions: Array, held: Array) -> Results:
        """Return energy, forces and components at ``positions`` (atoms and nodes, 3), with nodes ``held`` (n, d)."""
        field, count = self.displacement(positions, held), len(self.present)
        self._cluster.positions = np.concatenate([positions[:count], self._pads.places(field)])
        atoms = self._engine.compute(self._cluster, _WANTED)
        on_cluster = np.asarray(atoms.forces)
        elastic, on_nodes = self._solid.elastic(field)
        on_nodes = on_nodes + self._pads.pull(on_cluster[count:], field)
        forces, d = np.zeros_like(positions), self.layout.sites.dimension
        forces[:count] = on_cluster[:count]
        np.add.at(forces, (self._atoms[:, None], np.arange(d)), on_nodes[self._nodes])
        forces[count:, :d] = on_nodes[self.own]
        energy = float(np.asarray(atoms.energy))
        return Results(energy=energy + elastic, forces=forces, components={"atoms": energy, "continuum": elastic})

    def uniform(self, deformation: Array) -> tuple[Array, Array]:
        """Return the positions of atoms and nodes, and the displacements of all nodes, under a uniform F."""
        sites, nodes = self.layout.sites, self.layout.solid.nodes
        found = self.atoms.positions.copy()
        found[:, : sites.dimension] = found[:, : sites.dimension] @ deformation.T
        if (inner := self.layout.solid.inner(deformation[None])) is not None:
            found[: len(self.present), : sites.dimension] += inner[0][0][sites.basis[self.present]]
        return found, nodes @ (deformation - np.eye(sites.dimension)).T

    def stiffness(self) -> csr_array:
        """Return an approximate stiffness (n, n), eV/Å², of atoms and nodes: springs and cells by their weights.

        As that of a handshake: bonds between nearest neighbours, of which pads follow the mesh, and a Laplacian.
        """
        layout, count = self.layout, len(self.present)
        solid, modulus = layout.solid, stiff_modulus(layout.solid)
        rows = np.concatenate([self._nodes, self.own])
        columns = np.concatenate([self._atoms, count + np.arange(len(self.own))])
        shape = (len(solid.nodes), count + len(self.own))
        field = coo_array((np.ones(len(rows)), (rows, columns)), shape=shape).tocsr()  # of the nodes
        cluster = vstack([eye_array(count, shape[1]), self._pads.interpolation @ field], format="csr")
        weights = np.concatenate([1.0 - layout.fade[self.present], np.zeros(len(self._cluster) - count)])
        springs, squares = unit_springs(self._cluster.positions, count, weights)
        atoms = spring_of(modulus, layout.sites, squares) * (cluster.T @ springs @ cluster)
        return csr_array(atoms + modulus * (field.T @ solid.laplacian(layout.cell_weights) @ field))

    def check_pads(self, limit: float) -> None:
        """Ask the engine, without weights, for the forces on the strained crystal's atoms, as a handshake does.

        Raises:
            CaseError: one above ``limit`` (eV/Å): the pad is thinner than forces reach.
        """
        slaved, nodes = SlavedSites(self.layout.solid, self._seen), self.layout.solid.nodes
        clusters = Clusters(self._whole, self._whole, self._cluster[: len(self.present)], self._seen)
        rim_table(self._seen, clusters, lambda gradient: slaved.places(nodes @ gradient.T), limit, slaved.linear)

    def close(self) -> None:
        """Close the weighted engine."""
        self._engine.close()


class BlendedEnergy(ParticleAdapter):
    """Free atoms that fade into a continuum; its atoms are those, followed by the free nodes as element X."""

    name = "blending"
    Options = BlendingOptions
    parts = ("atoms", "perfect", "continuum")
    offers = frozenset({Quantity.ENERGY, Quantity.FORCES})
    ensembles = frozenset({"nve"})

    def __init__(
        self,
        options: BlendingOptions,
        *,
        atoms: ParticleAdapter | None = None,
        perfect: ParticleAdapter | None = None,
        continuum: FieldAdapter | None = None,
    ) -> None:
        if not isinstance(atoms, ParticleAdapter) or not isinstance(continuum, FieldAdapter):
            raise OptionError("a blend joins atoms and a continuum", todo="give it the parts 'atoms' and 'continuum'")
        self.options, self.engine, self.continuum = options, atoms, continuum
        self.layout = find_layout(options, continuum.solid())
        everywhere = np.ones(self.layout.sites.free, dtype=bool)
        self.blend = Blend(atoms, self.layout, everywhere & ~vacant(options, self.layout))
        self.perfect = self._without_vacancies(perfect, everywhere)
        d = self.layout.sites.dimension
        start = _matrix(options.deformation, d)
        self._start = self.blend.atoms.copy()
        self._start.positions, self._held = self.blend.uniform(start)
        self._held = self._held + self.layout.solid.held_displacement
        self.dead_load = np.zeros_like(self._start.positions)  # eV/Å, added to the forces
        self._from = self.blend.atoms.positions
        if options.correction != "none":
            self.correct(start if options.correction == "deformed" else np.eye(d))

    def _without_vacancies(self, perfect: ParticleAdapter | None, everywhere: Array) -> Blend:
        if not self.options.vacancies:
            return self.blend
        if perfect is None:
            raise OptionError(
                "beside vacancies, a blend needs an engine of all sites for its ghost forces",
                todo="add the part 'perfect'",
            )
        return Blend(perfect, self.layout, everywhere)

    def initial_atoms(self) -> Atoms:
        """The free atoms, then the free nodes (X) with their masses, all under the options' deformation."""
        copy: Atoms = self._start.copy()
        return copy

    def focus(self, atoms: Atoms) -> Indices:
        """Return the atoms that count fully."""
        return np.flatnonzero(self.layout.fade[self.blend.present] == 0.0)

    def preconditioner(self, atoms: Atoms) -> csr_array:
        """Return springs and cells by their weights."""
        return self.blend.stiffness()

    def correct(self, deformation: Array) -> None:
        """Make the dead load that of the perfect crystal under a uniform F₀ (d, d): no ghost forces there."""
        keep = self._kept()
        self.dead_load = -self._raw_ghost_forces(deformation)[keep]
        self._from = self.perfect.uniform(deformation)[0][keep]

    def ghost_forces(self, deformation: Array) -> Array:
        """Return the forces (n, 3), dead load included, on the perfect crystal under a uniform F: all should vanish.

        Sites without an atom are left out.
        """
        found: Array = self._raw_ghost_forces(deformation)[self._kept()] + self.dead_load
        return found

    def _kept(self) -> Indices:
        """Return which atoms and nodes of the perfect crystal are there."""
        return np.concatenate([self.blend.present, np.arange(self.layout.sites.free, len(self.perfect.atoms))])

    def _raw_ghost_forces(self, deformation: Array) -> Array:
        return np.asarray(self.perfect.compute(*self.perfect.uniform(deformation)).forces)

    def displacement(self, positions: Array) -> Array:
        """Return the displacements (n, d) of all nodes of the mesh at the atoms' ``positions``."""
        return self.blend.displacement(positions, self._held)

    def _compute(self, atoms: Atoms, wanted: frozenset[Quantity], charges: ExternalCharges | None) -> Results:
        if not np.array_equal(atoms.numbers, self._start.numbers):
            raise AtomsError(
                f"a blend takes its own {len(self._start)} atoms and nodes", todo="start from initial_atoms()"
            )
        found = self.blend.compute(atoms.positions, self._held)
        load = -float((self.dead_load * (atoms.positions - self._from)).sum())
        components = dict(found.components) | ({"dead load": load} if self.options.correction != "none" else {})
        return Results(
            energy=float(np.asarray(found.energy)) + load,
            forces=np.asarray(found.forces) + self.dead_load,
            components=components,
        )

    def audit(self, atoms: Atoms) -> list[Table]:
        """Return who counts how much, and the ghost forces on the perfect crystal at four strains.

        Raises:
            CaseError: the pad is thinner than forces reach.
        """
        self.perfect.check_pads(self.options.ghost_force)
        return [self._counts(), self._ghosts()]

    def close(self) -> None:
        """Close engines and continuum."""
        for part in (self.blend, self.perfect, self.engine, self.continuum):
            part.close()

    def _counts(self) -> Table:
        layout, fade = self.layout, self.layout.fade[: self.layout.sites.free]
        whole, counted = layout.count()
        rows = (
            ("atoms that count fully", str(int((fade == 0.0).sum()))),
            ("atoms in the blend", str(int((fade > 0.0).sum()))),
            ("pads, which follow the mesh", str(len(layout.fade) - len(fade))),
            ("nodes that move freely", str(len(layout.own))),
            ("sites in the body", f"{whole:.9g}"),
            ("of them, counted", f"{counted:.9g}"),
        )
        return Table("Who counts", ("what", "how many"), rows)

    def _ghosts(self) -> Table:
        d, rows = self.layout.sites.dimension, []
        for name, (stretch, shear) in _SHOWN.items():
            deformation = np.eye(d)
            deformation[0, 0] += stretch
            deformation[0, -1] += shear if d > 1 else 0.0
            worst = float(np.linalg.norm(self.ghost_forces(deformation), axis=1).max())
            rows.append((name, f"{worst:.1e}"))
        return Table("Ghost forces on the perfect crystal", ("strain", "largest / (eV/Å)"), tuple(rows))


def _matrix(given: list[list[float]] | None, dimension: int) -> Array:
    found = np.eye(dimension) if given is None else np.asarray(given, dtype=float)
    if found.shape != (dimension, dimension) or np.linalg.det(found) <= 0.0:
        raise OptionError(f"the deformation must be a {dimension}×{dimension} matrix with a determinant above zero")
    return found
