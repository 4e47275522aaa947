"""Any problem as the cell of a microstructure: its residual and stiffness without boundary values, on one rank."""

from __future__ import annotations

from typing import Any

import numpy as np
from scipy.sparse import csr_array

from ..interface import Array, CellAnswer, EngineImport, Microstructure, NotOffered
from .domain import Domain, compiled
from .nodes import blocked
from .problem import Problem
from .versions import INSTALL

with EngineImport("dolfinx", install=INSTALL) as engine:
    import ufl
    from dolfinx import fem
    from dolfinx.fem import petsc


class DolfinxCell(Microstructure):
    """The nodes of one mesh.

    Raises:
        NotOffered: a problem without a flux, or with rates in it; several ranks.
    """

    def __init__(self, problem: Problem, domain: Domain, flux_unit: str) -> None:
        if problem.flux is None:
            raise NotOffered(
                "only a problem at rest that names its flux is a cell", todo="take density = 0, or capacity = 0"
            )
        if domain.comm.size > 1:
            raise NotOffered("a cell is on one rank", todo="take ranks = 1: different cells go to different ranks")
        self._problem, self._domain, self._unit = problem, domain, flux_unit
        u = problem.unknown
        space = u.function_space
        self._u, self._m, d = u, space.dofmap.index_map_bs, domain.dimension
        flux, dx = problem.flux
        matrix = ufl.derivative(problem.residual, u, ufl.TrialFunction(space))
        self._stiffness = compiled(matrix if problem.tangent is None else matrix + problem.tangent)
        self._pull = compiled(problem.residual)
        parts = [flux[j] for j in range(d)] if self._m == 1 else [flux[i, j] for i in range(self._m) for j in range(d)]
        self._flux = [compiled(part * dx) for part in parts]
        self._work = compiled(ufl.inner(flux, ufl.grad(u)) * dx)
        energy = problem.measures.get("elastic")
        self._energy = None if energy is None else compiled(energy)
        self._vector = petsc.create_vector(self._pull)
        self._slopes = _slopes(domain, space)
        self._volume = domain.integral(compiled(fem.Constant(domain.mesh, 1.0) * domain.dx))

    @property
    def points(self) -> Array:
        """The Lagrange nodes."""
        found: Array = self._u.function_space.tabulate_dof_coordinates()[:, : self._domain.dimension]
        return found

    @property
    def slopes(self) -> Array:
        """By the forms of the space."""
        return self._slopes

    @property
    def volume(self) -> float:
        """Of the mesh."""
        return self._volume

    @property
    def components(self) -> int:
        """Of the unknown."""
        return int(self._m)

    @property
    def flux_unit(self) -> str:
        """Of the problem."""
        return self._unit

    def answer(self, field: Array, stiffness: bool = False) -> CellAnswer:
        """Return the assembled forms."""
        blocked(self._u)[:] = field
        self._problem.refresh(stiffness)
        self._vector.set(0.0)
        petsc.assemble_vector(self._vector, self._pull)
        flux = np.array([fem.assemble_scalar(each) for each in self._flux]).reshape(self._m, -1)
        energy = None if self._energy is None else float(fem.assemble_scalar(self._energy))
        work = float(fem.assemble_scalar(self._work))
        pull = self._vector.array.reshape(-1, self._m).copy()
        return CellAnswer(pull, flux, work, energy, self._matrix() if stiffness else None)

    def _matrix(self) -> csr_array:
        matrix = petsc.assemble_matrix(self._stiffness)
        matrix.assemble()
        start, columns, values = matrix.getValuesCSR()
        found = csr_array((values, columns, start), shape=matrix.getSize())
        matrix.destroy()
        return found


def _slopes(domain: Domain, space: Any) -> Array:
    scalar = domain.space(1, space.element.basix_element.degree)
    test = ufl.TestFunction(scalar)
    columns = []
    for j in range(domain.dimension):
        vector = petsc.assemble_vector(compiled(test.dx(j) * domain.dx))
        columns.append(vector.array.copy())
        vector.destroy()
    return np.stack(columns, axis=1)
