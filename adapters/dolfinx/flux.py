"""What leaves through a boundary: the density whose moments are the residual, and the projections of formulas.

On a boundary where the unknown is given, −F(u; v) = ∮ q v ds holds for the flux q that leaves
(the consistent flux: P. M. Gresho, R. L. Lee, R. L. Sani, M. K. Maslanik, B. E. Eaton 1987,
doi:10.1002/fld.1650070406). Solved for q on the boundary, it integrates against a matching
partner's test functions to the residual itself, so that the coupled solution is the one of the
joined mesh. A node that is fixed by someone else has more than this flux in its residual: there
q is the projection of its formula, and so it is wherever the unknown is free.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from ..interface import Array, EngineImport, Indices
from .domain import Domain, compiled
from .nodes import Nodes, add_ghosts
from .problem import Problem
from .samples import Samples
from .solve import direct, global_rows
from .versions import INSTALL

with EngineImport("dolfinx", install=INSTALL) as engine:
    import ufl
    from dolfinx import fem
    from dolfinx.fem import petsc
    from petsc4py import PETSc


class Outflow:
    """The flux that leaves through one boundary."""

    def __init__(self, problem: Problem, domain: Domain, nodes: Nodes | Samples, elsewhere: Indices) -> None:
        self._problem, space = problem, problem.unknown.function_space
        ds, trial = domain.ds(str(nodes.boundary)), ufl.TrialFunction(space)
        self._mass = assembled(compiled(ufl.inner(trial, problem.test) * ds))
        self._moments = compiled(ufl.inner(problem.outflow, problem.test) * ds)
        every = nodes.dofs(space.dofmap.index_map_bs)
        every = every[every < len(self._owned(problem.unknown))]
        self._every, self._free = every, np.setdiff1d(every, elsewhere)
        self._solvers: dict[str, Any] = {}

    def projected(self) -> Any:
        """Return the boundary projection of the flux's formula."""
        moments = fem.Function(self._problem.unknown.function_space)
        petsc.assemble_vector(moments.x.petsc_vec, self._moments)
        add_ghosts(moments)
        flux = fem.Function(self._problem.unknown.function_space)
        self._owned(flux)[self._every] = self._solve("every", self._every, self._owned(moments)[self._every])
        flux.x.scatter_forward()
        return flux

    def consistent(self, raw: Any) -> Any:
        """Return the flux whose moments are those of the residual ``raw``."""
        flux = self.projected()
        self._owned(flux)[self._free] = 0.0
        known = flux.x.petsc_vec.duplicate()
        self._mass.mult(flux.x.petsc_vec, known)
        moments = -self._owned(raw)[self._free] - known.array[self._free]
        self._owned(flux)[self._free] = self._solve("free", self._free, moments)
        flux.x.scatter_forward()
        return flux

    def _owned(self, function: Any) -> Array:
        dofmap = function.function_space.dofmap
        values: Array = function.x.array[: dofmap.index_map.size_local * dofmap.index_map_bs]
        return values

    def _solve(self, name: str, dofs: Indices, moments: Array) -> Array:
        if name not in self._solvers:
            rows = PETSc.IS().createGeneral(global_rows(self._problem.unknown, dofs).tolist(), self._mass.comm)
            self._solvers[name] = direct(self._mass.createSubMatrix(rows, rows))
        matrix = self._solvers[name].getOperators()[0]
        answer, given = matrix.createVecs()
        given.array[:] = moments
        self._solvers[name].solve(given, answer)
        values: Array = answer.array.copy()
        return values


class Projection:
    """The L2 projection of a formula of UFL onto a Lagrange space."""

    def __init__(self, expression: Any, domain: Domain) -> None:
        components = expression.ufl_shape[0] if expression.ufl_shape else 1
        self.function = fem.Function(domain.space(components))
        space = self.function.function_space
        trial, test = ufl.TrialFunction(space), ufl.TestFunction(space)
        self._moments = compiled(ufl.inner(expression, test) * domain.dx)
        self._solver = direct(assembled(compiled(ufl.inner(trial, test) * domain.dx)))

    def now(self) -> Any:
        """Return the projection of the formula as it stands."""
        moments = fem.Function(self.function.function_space)
        petsc.assemble_vector(moments.x.petsc_vec, self._moments)
        add_ghosts(moments)
        self._solver.solve(moments.x.petsc_vec, self.function.x.petsc_vec)
        self.function.x.scatter_forward()
        return self.function


def assembled(form: Any) -> Any:
    """Return a form's matrix."""
    matrix = petsc.create_matrix(form)
    petsc.assemble_matrix(matrix, form)
    matrix.assemble()
    return matrix
