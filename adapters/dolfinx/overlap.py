"""Where another participant's atoms stand in this continuum: their mass is taken out, and some nodes follow the others.

A node keeps M_I = Σ∫ρN_I − Σ_A m_A N_I(X_A), so that each mass of the body is counted once. Where little is left, the
node is slaved: u_S = −L_SS⁻¹ L_SF u_F, the discrete harmonic extension by the Laplacian L of the same elements, which
keeps affine fields inside the mesh. The forces on slaved nodes, and the mass that is left at them, go to the others by
the transpose: ⟨Hu, f⟩ = ⟨u, Hᵀf⟩.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from scipy.sparse import coo_array, csr_array, vstack
from scipy.sparse.linalg import splu

from ..interface import Array, CaseError, EngineImport, Indices, Overlap, Table, read_sites
from ..interface.units import convert
from .domain import Domain, compiled
from .flux import assembled
from .nodes import Nodes, add_ghosts, blocked
from .options import Fixed, Place
from .probes import Probes
from .versions import INSTALL

with EngineImport("dolfinx", install=INSTALL) as engine:
    import ufl
    from dolfinx import fem
    from dolfinx.fem import petsc
    from petsc4py import PETSc


class Extension:
    """The map P from the nodes that move to all of them, of a vector field, and its transpose."""

    def __init__(self, domain: Domain, counted: Counted, below: float, fixed: list[Fixed]) -> None:
        """Slave the nodes that keep less than a part ``below`` of their mass, but where they are fixed."""
        self._domain, self.counted, d = domain, counted, domain.dimension
        light = counted.left < below * counted.whole
        self.slaved: Array = light[:, None] & ~_held(fixed, domain)  # (owned nodes, d)
        index_map = domain.space().dofmap.index_map
        self._dofs: Indices = np.flatnonzero(self.slaved)
        known: dict[bytes, csr_array] = {}
        parts = []
        for c in range(d):
            key = b"".join(domain.comm.allgather(self.slaved[:, c].tobytes()))
            if key not in known:
                known[key] = _harmonic(domain, self.slaved[:, c])
            each = known[key].tocoo()
            parts.append((each.row * d + c, each.col * d + c, each.data))
        rows, columns, values = (np.concatenate(each) for each in zip(*parts, strict=True))
        size = index_map.size_local * d, index_map.size_global * d
        local = coo_array((values, (rows, columns)), shape=size).tocsr()
        kind = PETSc.IntType
        csr = local.indptr.astype(kind), local.indices.astype(kind), local.data
        self.matrix = PETSc.Mat().createAIJ((size, size), csr=csr, comm=domain.comm)

    def dofs(self) -> Indices:
        """Return the owned degrees of freedom that are slaved."""
        return self._dofs.astype(np.int32)

    def fill(self, function: Any) -> None:
        """Set the slaved nodes to the extension of the others."""
        function.x.array[self._dofs] = 0.0
        self._apply(self.matrix.mult, function)

    def gather(self, function: Any) -> None:
        """Pass what is on slaved nodes to the others: forces, masses."""
        self._apply(self.matrix.multTranspose, function)
        function.x.array[self._dofs] = 0.0
        function.x.scatter_forward()

    def audit(self) -> Table:
        """Return who carries the body's mass."""
        total = self._domain.comm.allreduce
        whole, left = total(float(self.counted.whole.sum())), total(float(self.counted.left.sum()))
        slaved: Array = np.asarray(self.slaved.any(axis=1))
        outside = np.zeros(len(slaved), dtype=bool)
        every = Nodes(Place(boundary="all"), self._domain).every
        outside[every[every < len(slaved)]] = True
        rows = (
            ("mass of the whole body", f"{whole:.8g}"),
            ("taken out for atoms", f"{whole - left:.8g}"),
            ("left in the nodes", f"{left:.8g}"),
            ("nodes that follow the others", str(total(int(slaved.sum())))),
            ("of them on the surface, where affine fields are not kept", str(total(int((slaved & outside).sum())))),
        )
        return Table("Atoms in the continuum: each mass counted once", ("what", "how much"), rows)

    def _apply(self, multiply: Any, function: Any) -> None:
        found = function.x.petsc_vec.duplicate()
        multiply(function.x.petsc_vec, found)
        function.x.array[: found.getLocalSize()] = found.array
        function.x.scatter_forward()


class Counted:
    """The masses at the nodes that this rank owns: of the whole body, and without the sites of atoms."""

    def __init__(self, overlap: Overlap, domain: Domain, units: tuple[str, str], density: float) -> None:
        """Units: of mass and length."""
        if domain.degree != 1:
            raise CaseError("a continuum that overlaps with atoms has elements of degree 1", todo="take degree = 1")
        self.overlap, sites = overlap, read_sites(overlap)
        every = slice(domain.comm.rank, None, domain.comm.size)
        points = convert(1.0, "angstrom", units[1]) * sites.positions[every, : domain.dimension]
        masses = convert(1.0, "dalton", units[0]) * sites.get_masses()[every, None]
        whole = fem.Function(domain.space())
        petsc.assemble_vector(whole.x.petsc_vec, compiled(density * ufl.TestFunction(domain.space()) * domain.dx))
        add_ghosts(whole)
        self.taken = fem.Function(domain.space())  # Σ_A m_A N_I(X_A)
        Probes(points, domain).load(masses, self.taken)
        owned = domain.space().dofmap.index_map.size_local
        self.whole: Array = whole.x.array[:owned].copy()
        self.left: Array = self.whole - self.taken.x.array[:owned]

    def take_out(self, masses: Any) -> None:
        """Take the atoms' masses out of each component of a vector function."""
        blocked(masses)[:] -= self.taken.x.array[:, None]


def _held(fixed: list[Fixed], domain: Domain) -> Array:
    """Say which owned nodes (n, d) the options fix."""
    owned, d = domain.space().dofmap.index_map.size_local, domain.dimension
    found = np.zeros((owned, d), dtype=bool)
    for each in fixed:
        every = Nodes(Place(boundary=each.boundary), domain).every
        found[every[every < owned], slice(None) if each.component is None else each.component] = True
    return found


def _harmonic(domain: Domain, slaved: Array) -> csr_array:
    """Return this rank's rows of P for scalars: (owned nodes, all nodes), by global numbers.

    The slaved nodes are few, those of the atoms' region: each rank solves for all of them and keeps its own.
    """
    u, v = ufl.TrialFunction(domain.space()), ufl.TestFunction(domain.space())
    matrix = assembled(compiled(ufl.inner(ufl.grad(u), ufl.grad(v)) * domain.dx))
    start, columns, values = matrix.getValuesCSR()
    first, owned, total = matrix.getOwnershipRange()[0], len(slaved), matrix.getSize()[0]
    mine = np.flatnonzero(slaved)
    own = csr_array((values, columns, start), shape=(owned, total))[mine]
    matrix.destroy()
    found = domain.comm.allgather((mine + first, own))
    every, rows = np.concatenate([ids for ids, _ in found]), vstack([part for _, part in found]).tocsc()
    others = np.setdiff1d(np.unique(rows.tocoo().col), every)
    unit = np.arange(owned)
    identity = coo_array((np.ones(owned), (unit, unit + first)), shape=(owned, total)).tocsr()
    if not len(every):
        return identity
    follow = -splu(rows[:, every].tocsc()).solve(rows[:, others].toarray())[np.isin(every, mine + first)]
    place = np.repeat(mine, len(others)), np.tile(others, len(mine))
    return (identity + coo_array((follow.ravel(), place), shape=(owned, total)).tocsr()).tocsr()
