"""The solid as an energy of its nodes, in ASE's units, by the same forms and in the order of the adapter's own nodes.

In two dimensions an energy of three-dimensional materials is that of a sheet as thick as the unit of length.
"""

from __future__ import annotations

import numpy as np
from scipy.sparse import csr_array

from ..interface import Array, CaseError, EngineImport, Indices, NotOffered, Solid
from ..interface.units import convert
from .domain import Domain, compiled
from .elasticity import Elastic, Share, density_to_count
from .law import Law
from .nodes import Nodes, blocked
from .options import ElasticityOptions, Place
from .versions import INSTALL

with EngineImport("dolfinx", install=INSTALL) as engine:
    import ufl
    from dolfinx import fem
    from dolfinx.fem import petsc


class DolfinxSolid(Solid):
    """P1 elements of DOLFINx."""

    def __init__(
        self,
        options: ElasticityOptions,
        domain: Domain,
        law: Law | None,
        units: tuple[str, str, str],
        share: Share | None = None,
    ) -> None:
        if domain.degree != 1 or domain.mesh.topology.cell_name() not in ("triangle", "tetrahedron"):
            raise NotOffered("only P1 elements on simplices are a handshake's", todo="take degree = 1 and simplices")
        mass, length, time = (f"({each})" for each in units)
        self._length = convert(1.0, length, "angstrom")
        self._energy = convert(1.0, f"{mass}*{length}**2/{time}**2", "eV")
        self._options, self._domain, self._law, self._units = options, domain, law, units
        self._u = fem.Function(domain.space(domain.dimension))
        v, trial = ufl.TestFunction(self._u.function_space), ufl.TrialFunction(self._u.function_space)
        solid = Elastic(options, domain, law, share)
        if law is not None:
            law.follow(self._u)
        self._forms = {"energy": compiled(solid.energy(self._u)), "forces": compiled(solid.internal(self._u, v))}
        self._slope = compiled(solid.slope(self._u, trial, v))
        self._residual = petsc.create_vector(self._forms["forces"])
        space = domain.space()
        self._masses = np.zeros(0)
        if options.density or law is not None:
            density = density_to_count(options, law)
            counted = petsc.assemble_vector(compiled(density * ufl.TestFunction(space) * domain.dx))
            self._masses = convert(1.0, mass, "dalton") * counted.array
        self._held, self._held_displacement = self._holds()

    @property
    def nodes(self) -> Array:
        """In the order of the adapter's degrees of freedom."""
        points: Array = self._domain.space().tabulate_dof_coordinates()
        return self._length * points[:, : self._domain.dimension]

    @property
    def cells(self) -> Indices:
        """As DOLFINx has them."""
        return np.asarray(self._domain.space().dofmap.list, dtype=np.int64)

    @property
    def masses(self) -> Array:
        """∫ρN_I."""
        if not len(self._masses):
            density_to_count(self._options, self._law)
        return self._masses.copy()

    @property
    def held(self) -> Array:
        """The nodes of the boundaries that ``fixed`` names."""
        return self._held.copy()

    @property
    def held_displacement(self) -> Array:
        """The values of ``fixed`` at the time 0."""
        return self._held_displacement.copy()

    def elastic(self, displacement: Array) -> tuple[float, Array]:
        """Return ∫W and −∫P:∇N_I."""
        self._take(displacement, tangent=False)
        energy = self._domain.integral(self._forms["energy"])
        self._residual.set(0.0)
        petsc.assemble_vector(self._residual, self._forms["forces"])
        forces = self._residual.array.reshape(-1, self._domain.dimension)
        return self._energy * energy, -self._energy / self._length * forces

    def stiffness(self, displacement: Array) -> csr_array:
        """Return ∫∇N_I:∂P/∂F:∇N_J."""
        self._take(displacement, tangent=True)
        matrix = petsc.assemble_matrix(self._slope)
        matrix.assemble()
        start, columns, values = matrix.getValuesCSR()
        found = csr_array((self._energy / self._length**2 * values, columns, start), shape=matrix.getSize())
        matrix.destroy()
        return found

    def weighted(self, weights: Array) -> DolfinxSolid:
        """Return the same solid whose forms count each cell by its weight."""
        if weights.shape != (len(self.cells),):
            raise CaseError(f"{len(self.cells)} weights of cells are wanted, and the shape is {weights.shape}")
        share = Share(weights, self._domain)
        law = None if self._law is None else Law(self._law.material, self._domain, self._units, share.cells)
        return DolfinxSolid(self._options, self._domain, law, self._units, share)

    def at_rest(self) -> DolfinxSolid | None:
        """Return the same solid with the law's law at rest, where it has one."""
        rest = None if self._law is None else self._law.material.at_rest()
        if rest is None:
            return None
        return DolfinxSolid(self._options, self._domain, Law(rest, self._domain, self._units), self._units)

    def inner(self, deformation: Array) -> tuple[Array, Array] | None:
        """Return the law's, where it has the mesh's dimension."""
        if self._law is None or self._law.material.dimension != self._domain.dimension:
            return None
        return self._law.material.inner(deformation)

    def _take(self, displacement: Array, tangent: bool) -> None:
        blocked(self._u)[:] = displacement / self._length
        if self._law is not None:
            self._law.refresh(tangent)

    def _holds(self) -> tuple[Array, Array]:
        """Return which nodes the options fix, and where.

        Raises:
            NotOffered: one component of a displacement is fixed.
        """
        places, d = self._domain.space().tabulate_dof_coordinates(), self._domain.dimension
        held, values = np.zeros(len(places), dtype=bool), np.zeros((len(places), d))
        for each in self._options.fixed:
            if each.component is not None:
                raise NotOffered("a handshake holds nodes in all components", todo="take `component` out of fixed")
            nodes = Nodes(Place(boundary=each.boundary), self._domain).every
            held[nodes] = True
            values[nodes] = self._length * self._domain.values(each.value, places[nodes], d)
        return held, values
