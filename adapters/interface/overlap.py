"""Atoms inside a continuum: what each of its nodes keeps beside them, and which nodes follow the others.

A node keeps M_I = Σ∫ρN_I − Σ_A m_A N_I(X_A) of its mass, so that each mass of the body is counted once. Where little is
left, the node is slaved to the others by the discrete harmonic extension, u_S = −L_SS⁻¹ L_SF u_F, with the Laplacian L
of the same elements.
"""

from __future__ import annotations

import numpy as np
from ase import Atoms
from pydantic import Field
from scipy.sparse import csr_array

from .data import Array, Indices, Table
from .errors import AtomsError, CaseError, NotOffered
from .materials import Material
from .options import CaseFile, Options
from .solids import Solid
from .units import FEMTOSECOND

JOINT = 0.6  # Δt·ω above which a joint with atoms loses energy


class Overlap(Options):
    """Atoms that another participant moves inside of a continuum: their mass is taken out of the nodes'."""

    sites: CaseFile  # reference positions (Å) and masses of those atoms' sites, in a format that ASE reads
    slaved_below: float = Field(default=0.4, gt=0, lt=1)  # nodes that keep less of their mass follow the others
    beyond_limit: bool = False  # take a step above Δt·ω = 0.6, where a joint with atoms loses energy


def read_sites(overlap: Overlap) -> Atoms:
    """Return the sites of the atoms.

    Raises:
        AtomsError: ASE cannot read them, or there are none.
    """
    from ase.io import read  # it brings all formats: imported where used

    try:
        found = read(overlap.sites, parallel=False)  # each of a continuum's ranks
    except Exception as error:  # ASE's readers raise anything
        raise AtomsError(f"ASE cannot read the sites {overlap.sites}: {error}") from error
    assert isinstance(found, Atoms), "one frame was asked for"
    if not len(found):
        raise AtomsError(f"{overlap.sites} holds no sites")
    return found


class Following:
    """Points that follow the free nodes of a mesh, some by way of slaved ones: D + V S, with both factors thin."""

    def __init__(self, direct: csr_array, via: csr_array, columns: Indices, spread: Array) -> None:
        self._direct, self._via, self._columns, self._spread = direct, via, columns, spread
        if (via.count_nonzero() if len(columns) else 0) * len(columns) < direct.nnz:  # then one product is faster
            self._direct, self._columns = self.matrix(), columns[:0]
        self._back, self._back_via = self._direct.T.tocsr(), via.T.tocsr()  # products with rows are faster

    def take(self, displacement: Array) -> Array:
        """Return the points' displacements (m, d) at those of the free nodes (k, d)."""
        found: Array = self._direct @ displacement
        if len(self._columns):
            found += self._via @ (self._spread @ displacement[self._columns])
        return found

    def give(self, forces: Array) -> Array:
        """Return the free nodes' forces (k, d) that forces (m, d) on the points make: the transpose of `take`."""
        found: Array = self._back @ forces
        if len(self._columns):
            found[self._columns] += self._spread.T @ (self._back_via @ forces)
        return found

    def matrix(self) -> csr_array:
        """Return the map (m, k) as one matrix; its rows are full where points follow slaved nodes."""
        if not len(self._columns):
            return self._direct
        spread = np.zeros((len(self._spread), self._direct.shape[1]))
        spread[:, self._columns] = self._spread
        return csr_array(self._direct + self._via @ csr_array(spread))


class Extension:
    """Nodes in the atoms' region follow the others by discrete harmonic extension, which keeps affine fields."""

    def __init__(self, solid: Solid, taken: Array, below: float) -> None:
        """Slave the nodes of which less than a part ``below`` of the mass is left when ``taken`` (n,) is taken out.

        Raises:
            CaseError: a mesh without free nodes, or one so uneven that a node has no mass left.
        """
        from scipy.sparse.linalg import splu

        left = solid.masses - taken
        slaved = (left < below * solid.masses) & ~solid.held
        self.slaved: Indices = np.flatnonzero(slaved)
        self.others: Indices = np.flatnonzero(~slaved)
        self.count = len(left)
        if len(self.slaved):
            matrix = solid.laplacian().tocsc()
            self._solver = splu(matrix[self.slaved][:, self.slaved].tocsc())
            self._coupling = matrix[self.slaved][:, self.others]
        self.masses = self.gather(left[:, None])[:, 0]  # of `others`
        if not (free := ~solid.held[self.others]).any():
            raise CaseError("no node of the mesh is free", todo="enlarge the mesh, or hold fewer nodes")
        if self.masses[free].min() <= 0.0:
            raise CaseError("a free node of the mesh has no mass left beside the atoms", todo="raise slaved_below")

    def following(self, weights: csr_array) -> Following:
        """Return ``weights`` (m, n) on the filled field as a map of `others`."""
        touched = np.flatnonzero(np.diff(weights[:, self.slaved].tocsc().indptr))
        columns: Indices = np.zeros(0, dtype=np.int64)
        spread: Array = np.zeros((0, 0))
        if len(touched):
            select = np.zeros((len(self.slaved), len(touched)))
            select[touched, np.arange(len(touched))] = 1.0
            columns = np.flatnonzero(np.diff(self._coupling.tocsc().indptr))
            spread = -(self._coupling[:, columns].T @ self._solver.solve(select, trans="T")).T
        return Following(weights[:, self.others], weights[:, self.slaved[touched]], columns, spread)

    def fill(self, displacement: Array) -> Array:
        """Return the displacements (n, d) of all nodes from those of `others`."""
        found = np.zeros((self.count, displacement.shape[1]))
        found[self.others] = displacement
        if len(self.slaved):
            found[self.slaved] = -self._solver.solve(np.ascontiguousarray(self._coupling @ displacement))
        return found

    def gather(self, forces: Array) -> Array:
        """Return the forces on `others` that forces (n, d) on all nodes make: the transpose of `fill`."""
        found: Array = forces[self.others].copy()
        if len(self.slaved):
            found -= self._coupling.T @ self._solver.solve(np.ascontiguousarray(forces[self.slaved]), trans="T")
        return found


def node_frequency(body: Solid, extension: Extension, displacement: Array) -> float:
    """Return the highest frequency (1/ASE's time) of the nodes that move, about a ``displacement`` (n, d), Å."""
    from scipy.sparse.linalg import LinearOperator, eigsh

    stiffness, shape = body.stiffness(displacement), (len(extension.others), body.nodes.shape[1])
    held = body.held[extension.others]
    weights = np.zeros((shape[0], 1))
    weights[~held, 0] = 1.0 / np.sqrt(extension.masses[~held])

    def apply(moved: Array) -> Array:
        field = extension.fill(weights * moved.reshape(shape))
        return (weights * extension.gather((stiffness @ field.ravel()).reshape(field.shape))).ravel()

    operator = LinearOperator((shape[0] * shape[1],) * 2, matvec=apply, dtype=float)
    start = np.random.default_rng(1).standard_normal(operator.shape[0])
    largest = eigsh(operator, k=1, which="LA", v0=start, tol=1e-4, return_eigenvectors=False)[0]
    return float(np.sqrt(max(float(largest), 0.0)))


def check_law(law: Material | None) -> None:
    """Refuse a law at a temperature beside atoms of another participant.

    Raises:
        NotOffered: it is one.
    """
    if law is not None and law.at_rest() is not None:
        raise NotOffered(
            f"the law '{law.name}' holds the atoms' motion, which atoms of another participant have themselves",
            todo='join them in one process, use = "handshake", or take a law of atoms at rest',
        )


class BesideAtoms:
    """A body beside atoms of another participant: masses without theirs, and nodes that follow the others."""

    def __init__(self, body: Solid, overlap: Overlap) -> None:
        self._body, self._overlap = body, overlap
        sites = read_sites(overlap)
        interpolation = body.interpolation(sites.positions[:, : body.nodes.shape[1]])
        self._extension = Extension(body, interpolation.T @ sites.get_masses(), overlap.slaved_below)
        self._fixed = body.held[self._extension.others][:, None]
        self.masses = np.zeros(len(body.nodes))  # amu; zero at nodes that follow
        self.masses[self._extension.others] = self._extension.masses

    def extended(self, field: Array) -> Array:
        """Return a field (n, d) with the nodes that follow where the others put them."""
        return self._extension.fill(field[self._extension.others])

    def acceleration(self, forces: Array) -> Array:
        """Return the accelerations (n, d) by forces (n, d) on all nodes."""
        pull = np.where(self._fixed, 0.0, self._extension.gather(forces))
        return self._extension.fill(pull / self._extension.masses[:, None])

    def audit(self, displacement: Array, timestep: float) -> Table:
        """Return who carries the mass, and what a step of ``timestep`` (ASE's time) is.

        Raises:
            CaseError: a step above Δt·ω = 0.6.
        """
        frequency = node_frequency(self._body, self._extension, displacement)
        product = timestep * frequency
        if product > JOINT and not self._overlap.beyond_limit:
            raise CaseError(
                f"beside atoms, Δt·ω must be at most {JOINT}, and is {product:.3g} at {timestep / FEMTOSECOND:.4g} fs",
                todo=f"take a timestep below {JOINT / frequency / FEMTOSECOND:.3g} fs, or say beyond_limit = true",
            )
        whole = float(self._body.masses.sum())
        rows = (
            ("mass of the whole body", f"{whole:.8g} amu"),
            ("taken out for atoms", f"{whole - float(self.masses.sum()):.8g} amu"),
            ("nodes that follow the others", str(len(self._extension.slaved))),
            (f"Δt·ω of the others, at most {JOINT}", f"{product:.3g}"),
        )
        return Table("Atoms in the continuum: each mass counted once", ("what", "how much"), rows)
