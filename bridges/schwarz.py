"""Overlapping Schwarz: atoms and a continuum of the same crystal, each solved in turn by what the other shows it.

The atoms relax among pads that follow the mesh; the continuum relaxes around the nodes deep in the atoms' region, which
take the atoms' displacements there. Only displacements are exchanged, and where they settle, both are at rest and
agree in the overlap between. For a chain clamped at ±L with pads from b and nodes that follow the atoms up to a, a pass
leaves of the error (P.-L. Lions 1988, in Domain Decomposition Methods, SIAM, p. 1)

    ρ = (L − b)/(L − a) of what is even, and a (L − b)/(b (L − a)) of what is odd;

in the plane, for pads at R_a in a disc of R∞, ln(R∞/R_a)/ln(R∞/R_c) of a translation. Both are near 1 in large bodies:
let the minimisation accelerate it (``optimiser = "anderson"``). There is no ghost force, since each part is asked only
where it is whole; there is no energy of which the forces are the gradient either, and what is shown as the energy is
the handshake's count of the state that was found.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from ase import Atoms
from pydantic import Field
from scipy.optimize import NoConvergence, newton_krylov
from scipy.sparse import coo_array, csr_array
from scipy.sparse.linalg import LinearOperator, splu
from scipy.spatial import cKDTree

from scalespan.adapters.interface import (
    Array,
    AtomsError,
    CaseError,
    EngineFailed,
    ExternalCharges,
    FieldAdapter,
    Indices,
    Motion,
    NotOffered,
    OptionError,
    ParticleAdapter,
    Quantity,
    Results,
    Table,
)
from scalespan.adapters.interface.units import Force, Length

from .handshake import Clusters, CrystalRegion, SlavedSites, find_sites, free_atoms, rim_table, unit_springs

_NEWTON = 30  # steps at most


class SchwarzOptions(CrystalRegion):
    """Atoms and a continuum that overlap."""

    overlap: Length = Field(gt=0)  # nodes farther than this from the pads, inside, take the atoms' displacements
    tolerance: Force = Field(default=1e-8, gt=0)  # the largest force that each part's own solution leaves
    unstable_dynamics: bool = False  # let it move in time all the same, to see that it is unstable


class Schwarz(ParticleAdapter):
    """Atoms and continuum in turn, by displacements only; its atoms are the free atoms, then the free nodes (X)."""

    name = "schwarz"
    Options = SchwarzOptions
    parts = ("atoms", "continuum")
    offers = frozenset({Quantity.ENERGY, Quantity.FORCES})
    conservative = False

    def __init__(
        self,
        options: SchwarzOptions,
        *,
        atoms: ParticleAdapter | None = None,
        continuum: FieldAdapter | None = None,
    ) -> None:
        if not isinstance(atoms, ParticleAdapter) or not isinstance(continuum, FieldAdapter):
            raise OptionError("Schwarz joins atoms and a continuum", todo="give it the parts 'atoms' and 'continuum'")
        self.options, self.engine, self.continuum = options, atoms, continuum
        self.solid = continuum.solid()
        self.sites = find_sites(options, self.solid.lattice())
        self.slaved = SlavedSites(self.solid, self.sites)
        start = free_atoms(options, self.sites)
        self.free = len(start)
        self.clusters = Clusters(atoms, atoms, start, self.sites)
        self._follow, self._average, self._reference = self._core(start)
        self._moves: Indices = np.setdiff1d(np.flatnonzero(~self.solid.held), self._follow)
        self._springs = unit_springs(np.concatenate([start.positions, self._pad_sites]), self.free)[0]
        self._start, self._field = self._deformed(start)

    @property
    def _pad_sites(self) -> Array:
        return self.sites.reference[self.sites.free :]

    def _core(self, start: Atoms) -> tuple[Indices, csr_array, Array]:
        """Return the nodes that follow the atoms, the matrix that averages for them, and each atom's site (n, d)."""
        d, nodes = self.sites.dimension, self.solid.nodes
        _, nearest = cKDTree(self.sites.points).query(nodes)
        depth, _ = cKDTree(self._pad_sites[:, :d]).query(nodes)
        follow = np.flatnonzero((nearest < self.sites.free) & (depth > self.options.overlap) & ~self.solid.held)
        if not len(follow):
            raise CaseError(
                "no node lies deeper in the atoms' region than the overlap", todo="make the overlap thinner"
            )
        _, which = cKDTree(self.sites.points[: self.sites.free]).query(start.positions[:, :d])
        reference = self.sites.points[which]
        return follow, _affine_average(reference, nodes[follow]), reference

    def _deformed(self, start: Atoms) -> tuple[Atoms, Array]:
        d = self.sites.dimension
        deformation = np.asarray(self.options.deformation or np.eye(d))
        if deformation.shape != (d, d) or np.linalg.det(deformation) <= 0.0:
            raise OptionError(f"the deformation must be a {d}×{d} matrix with a determinant above zero")
        field = self.solid.held_displacement + self.solid.nodes @ (deformation - np.eye(d)).T
        places = np.zeros((len(self._moves), 3))
        places[:, :d] = self.solid.nodes[self._moves] + field[self._moves]
        start.positions[:, :d] = start.positions[:, :d] @ deformation.T
        nodes = Atoms(np.zeros(len(places), dtype=int), places, masses=self.solid.masses[self._moves])
        return start + nodes, field

    def initial_atoms(self) -> Atoms:
        """The free atoms, then the free nodes (X), all under the options' deformation."""
        copy: Atoms = self._start.copy()
        return copy

    def focus(self, atoms: Atoms) -> Indices:
        """Return the free atoms."""
        return np.arange(self.free)

    def displacement(self, positions: Array) -> Array:
        """Return the displacements (n, d) of all nodes at the atoms' ``positions``."""
        d = self.sites.dimension
        found = self._field.copy()
        found[self._moves] = positions[self.free :, :d] - self.solid.nodes[self._moves]
        found[self._follow] = self._average @ (positions[: self.free, :d] - self._reference)
        return found

    def _compute(self, atoms: Atoms, wanted: frozenset[Quantity], charges: ExternalCharges | None) -> Results:
        if len(atoms) != len(self._start):
            raise AtomsError(f"Schwarz takes its own {len(self._start)} atoms and nodes", todo="use initial_atoms()")
        field = self.displacement(atoms.positions)
        sites = self.slaved.places(field)
        energy, on_atoms, _ = self.clusters.mixed(atoms.positions[: self.free], sites[self.sites.free :])
        elastic, on_nodes = self.solid.elastic(field)
        twice, _ = self.clusters.perfect(sites)
        forces = np.zeros((len(atoms), 3))
        forces[: self.free] = on_atoms
        forces[self.free :, : self.sites.dimension] = on_nodes[self._moves]
        parts = {"atoms": energy, "counted twice": -twice, "continuum": elastic}
        return Results(energy=sum(parts.values()), forces=forces, components=parts)

    def sweep(self, positions: Array) -> Array:
        """Return the positions after the atoms have relaxed among the pads, and the continuum around the atoms."""
        found = positions.copy()
        pads = self.slaved.places(self.displacement(positions))[self.sites.free :]
        found[: self.free] = self._relaxed_atoms(positions[: self.free], pads)
        field = self._relaxed_field(self.displacement(found))
        found[self.free :, : self.sites.dimension] = (self.solid.nodes + field)[self._moves]
        return found

    def _relaxed_atoms(self, positions: Array, pads: Array) -> Array:
        d = self.sites.dimension
        solver = splu(self._springs[: self.free][:, : self.free].tocsc())

        def residual(x: Array) -> Array:
            places = positions.copy()
            places[:, :d] = x
            found: Array = self.clusters.mixed(places, pads)[1][:, :d]
            return found

        def soft(forces: Array) -> Array:
            found: Array = solver.solve(forces.reshape(-1, d)).ravel()
            return found

        size = self.free * d
        found = positions.copy()
        found[:, :d] = self._root(residual, positions[:, :d], LinearOperator((size, size), matvec=soft, dtype=float))
        return found

    def _root(self, residual: Callable[[Array], Array], start: Array, inverse: LinearOperator) -> Array:
        if np.abs(residual(start)).max() < self.options.tolerance:
            return start
        try:
            found: Array = newton_krylov(
                residual, start, f_tol=self.options.tolerance, maxiter=_NEWTON, inner_M=inverse
            )
        except NoConvergence as error:
            raise EngineFailed("the atoms found no rest among their pads", where=self.name) from error
        return found

    def _relaxed_field(self, field: Array) -> Array:
        """Return the displacements at which the free nodes feel no force, by Newton's method."""
        d = self.sites.dimension
        unknown = (d * self._moves[:, None] + np.arange(d)).ravel()
        for _ in range(_NEWTON):
            _, forces = self.solid.elastic(field)
            if np.abs(forces[self._moves]).max() < self.options.tolerance:
                return field
            matrix = self.solid.stiffness(field)[unknown][:, unknown]
            field = field.copy()
            field[self._moves] += splu(matrix.tocsc()).solve(forces[self._moves].ravel()).reshape(-1, d)
        raise EngineFailed("the continuum found no rest around the atoms", where=self.name)

    def check_motion(self, atoms: Atoms, motion: Motion) -> list[Table]:
        """Refuse, unless the options ask for what is unstable.

        Raises:
            NotOffered: motion.
        """
        if not self.options.unstable_dynamics:
            raise NotOffered(
                "in time, atoms and a continuum that exchange displacements both ways are exponentially unstable as "
                "soon as the two discretisations differ",
                where=self.name,
                todo='take use = "handshake", or unstable_dynamics = true to see it',
            )
        return []

    def start(self, atoms: Atoms, motion: Motion) -> None:
        """Move, where `check_motion` lets it."""
        self.check_motion(atoms, motion)
        super().start(atoms, motion)

    def audit(self, atoms: Atoms) -> list[Table]:
        """Return the forces on the strained perfect crystal's atoms, and the engine's tables.

        Raises:
            CaseError: a force above the options' limit: the pad is too thin.
        """
        limit = self.options.ghost_force
        ghosts = rim_table(self.sites, self.clusters, self._strained, limit, self.slaved.linear)
        return [ghosts, *self.engine.audit(atoms[: self.free])]

    def _strained(self, gradient: Array) -> Array:
        return self.slaved.places(self.solid.nodes @ gradient.T)

    def close(self) -> None:
        """Close engine and continuum."""
        self.engine.close()
        self.continuum.close()


def _affine_average(sites: Array, points: Array) -> csr_array:
    """Return the matrix (m, n) of averages over sites near each point, right for affine fields.

    Moving least squares (P. Lancaster and K. Salkauskas 1981, doi:10.1090/S0025-5718-1981-0616367-1).
    """
    d = sites.shape[1]
    count = min(4 * d, len(sites))
    distance, near = cKDTree(sites).query(points, k=count)
    rows = []
    for at, sphere, each in zip(points, distance.reshape(len(points), -1), near.reshape(len(points), -1), strict=True):
        root = np.exp(-((sphere / sphere[min(d, count - 1)]) ** 2))  # the square root of a weight
        basis = np.concatenate([np.ones((count, 1)), sites[each] - at], axis=1)
        rows.append(np.linalg.pinv(root[:, None] * basis)[0] * root)
    shape = (len(points), len(sites))
    where = (np.repeat(np.arange(len(points)), count), near.ravel())
    return coo_array((np.concatenate(rows), where), shape=shape).tocsr()
