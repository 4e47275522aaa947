"""One step: F(u; v) = loads, by PETSc's SNES; a linear problem takes one linear solve."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from itertools import count
from typing import Any

import numpy as np

from ..interface import Array, EngineFailed, EngineImport, Indices, NotConverged, ScalespanError
from .domain import compiled
from .nodes import add_ghosts
from .problem import Problem
from .versions import INSTALL

with EngineImport("dolfinx", install=INSTALL) as engine:
    import ufl
    from dolfinx import fem
    from dolfinx.fem import petsc
    from petsc4py import PETSc

_DIRECT: dict[str, str | int | float | bool] = {
    "ksp_type": "preonly",
    "pc_type": "lu",
    "pc_factor_zeropivot": 0.0,  # PETSc's 2e-14 is absolute, and in some units every pivot is smaller
}
# Far below any coupling's tolerance; PETSc's own 1e-5 would be what the coupling sees.
_TIGHT: dict[str, str | int | float | bool] = {"ksp_rtol": 1e-12, "snes_rtol": 1e-10}
_serial = count()


class Step:
    """Solves for a function, with some of its degrees of freedom fixed."""

    def __init__(self, problem: Problem, entering: Any, options: Mapping[str, Any]) -> None:
        """Entering: what partners let in, a part of the residual; None where there is nothing."""
        self._problem, self.unknown, self._linear = problem, problem.unknown, problem.linear
        space = self.unknown.function_space
        residual = problem.residual if entering is None else problem.residual + entering
        matrix = ufl.derivative(residual, self.unknown, ufl.TrialFunction(space))
        if problem.tangent is not None:
            matrix = matrix + problem.tangent
        self._forms = compiled(residual), compiled(matrix)
        self.last = 0.0  # no step depends on the length of the one before
        self.raw = fem.Function(space)  # F(u; ·) at every degree of freedom
        self._loads = np.zeros_like(self.raw.x.array)
        self._fixed: Indices = np.zeros(0, dtype=np.int32)
        self._rows: Indices = np.zeros(0, dtype=np.int32)
        self._matrix = petsc.create_matrix(self._forms[1])
        self._point = self.unknown.x.petsc_vec.duplicate()
        self._assembled_for: float | None = None
        self._cause: ScalespanError | None = None
        self._locked = False
        self._first: float | None = None  # the norm of the residual at the first guess
        self._reduced = self._matrix
        if problem.slaved is not None:  # whose pattern is found from a matrix that has its own
            petsc.assemble_matrix(self._matrix, self._forms[1])
            self._matrix.assemble()
            self._reduced = self._matrix.PtAP(problem.slaved.matrix)
            self._reduced.setOption(PETSc.Mat.Option.KEEP_NONZERO_PATTERN, True)
        self._snes = self._create(space.mesh.comm, options)

    def fix(self, fixed: Indices) -> None:
        """Say which degrees of freedom (local, unrolled, ghosts included) keep the values that the unknown has."""
        if self._problem.slaved is not None:  # in the reduced system they do not move by themselves
            fixed = np.union1d(fixed, self._problem.slaved.dofs()).astype(np.int32)
        if not np.array_equal(fixed, self._fixed):
            self._fixed, self._rows, self._assembled_for = fixed, global_rows(self.unknown, fixed), None

    def solve(self, loads: Array, dt: float) -> None:
        """Solve for the unknown; what it holds is the first guess.

        Args:
            loads: on every local degree of freedom, complete on the owned ones.
            dt: what a linear problem's matrix depends on.

        Raises:
            NotConverged: Newton's method, or the linear solver, ended without an answer.
            EngineFailed: PETSc raised.
            ScalespanError: what a law raised.
        """
        self._loads = loads
        if not self._linear or self._assembled_for != dt:
            self._assembled_for = None
        self._dt, self._cause = dt, None
        self.unknown.x.petsc_vec.copy(self._point)
        exactly = self._problem.exactly
        if exactly is None:
            self._search()
        else:
            self._search_loosely(exactly)
        self._take(self._point)
        self.assemble()

    def _search_loosely(self, exactly: Callable[[bool], bool]) -> None:
        """Search with answers that may be loose; then with exact ones, to the same size of the residual.

        Where loose ones lead nowhere, exact ones start from the first guess.
        """
        self._first, lost = None, False
        guess = self._point.copy()
        exactly(False)
        try:
            self._search()
        except ScalespanError:
            if self._locked or (exactly(True) and self._cause is None):
                raise
            self._begin_again(guess)
            lost = True
        finally:
            exact = exactly(True)
            guess.destroy()
        if exact and not lost:
            return
        relative, absolute, *_ = self._snes.getTolerances()
        self._snes.setTolerances(atol=max(absolute, relative * (self._first or 0.0)))
        try:
            self._search()
        finally:
            self._snes.setTolerances(atol=absolute)

    def _begin_again(self, guess: Any) -> None:
        """Return to the first guess."""
        guess.copy(self._point)

    def _search(self) -> None:
        self._cause = None
        try:
            self._snes.solve(None, self._point)
        except PETSc.Error as error:
            self._locked = True  # an error on its way through PETSc leaves vectors locked: no other solve
            if self._cause is not None:  # a law's
                raise self._cause from error
            raise EngineFailed(f"PETSc could not solve a step: {error}", where="dolfinx") from error
        reason = self._snes.getConvergedReason()
        if reason < 0 or self._snes.ksp.getConvergedReason() < 0:
            if self._cause is not None:
                raise self._cause
            raise NotConverged(
                f"a step has no answer after {self._snes.getIterationNumber()} iterations of Newton's method (SNES "
                f"{reason}, KSP {self._snes.ksp.getConvergedReason()})",
                where="dolfinx",
                todo="take a shorter timestep, or other options in [solver]",
            )

    def assemble(self) -> None:
        """Set `raw` to F(u; ·) − loads at the unknown as it stands."""
        self._refresh(tangent=False)
        self.raw.x.array[:] = 0.0
        petsc.assemble_vector(self.raw.x.petsc_vec, self._forms[0])
        add_ghosts(self.raw)
        self.raw.x.array[:] -= self._loads
        self.raw.x.scatter_forward()
        if self._problem.slaved is not None:
            self._problem.slaved.gather(self.raw)

    def _refresh(self, tangent: bool) -> None:
        try:
            self._problem.refresh(tangent)
        except ScalespanError as error:
            self._cause = error
            raise

    def _create(self, comm: Any, options: Mapping[str, Any]) -> Any:
        snes = PETSc.SNES().create(comm)
        snes.setFunction(self._function, self.raw.x.petsc_vec.duplicate())
        snes.setJacobian(self._jacobian, self._reduced)
        given = _TIGHT | (dict(options) if options else _DIRECT)
        configure(snes, {"snes_type": "ksponly" if self._linear else "newtonls"} | given)
        return snes

    def _take(self, point: Any) -> None:
        point.copy(self.unknown.x.petsc_vec)
        self.unknown.x.scatter_forward()
        if self._problem.slaved is not None:
            self._problem.slaved.fill(self.unknown)

    def _function(self, snes: Any, point: Any, value: Any) -> None:
        self._take(point)
        try:
            self.assemble()
        except ScalespanError:
            if self._linear or self._cause is None:
                raise
            value.set(np.nan)  # Newton's method ends there by itself
            return
        self.raw.x.petsc_vec.copy(value)
        owned = self._fixed[self._fixed < value.getLocalSize()]
        value.array[owned] = 0.0
        if self._first is None:
            self._first = value.norm()

    def _jacobian(self, snes: Any, point: Any, matrix: Any, other: Any) -> None:
        if self._linear and self._assembled_for == self._dt:
            return
        self._refresh(tangent=True)
        self._matrix.zeroEntries()
        petsc.assemble_matrix(self._matrix, self._forms[1])
        self._matrix.assemble()
        if self._problem.slaved is not None:
            self._matrix.PtAP(self._problem.slaved.matrix, matrix)
        # As large as the others, whatever the units: a 1 would spoil the condition number.
        size = matrix.getDiagonal().norm(PETSc.NormType.INFINITY)
        matrix.zeroRowsColumns(self._rows, size or 1.0)
        self._assembled_for = self._dt

    def close(self) -> None:
        """Give PETSc's objects back."""
        for each in (self._snes, self._matrix, self._reduced):
            each.destroy()


def configure(solver: Any, options: Mapping[str, str | int | float | bool]) -> None:
    """Set a PETSc solver by a table of PETSc's own options, and leave no trace in its database."""
    prefix = f"scalespan_{next(_serial)}_"
    database = PETSc.Options()
    solver.setOptionsPrefix(prefix)
    for key, value in options.items():
        database.setValue(prefix + key, value)
    solver.setFromOptions()
    for key in options:
        database.delValue(prefix + key)


def direct(matrix: Any) -> Any:
    """Return a KSP that solves with an assembled matrix by LU."""
    ksp = PETSc.KSP().create(matrix.comm)
    ksp.setOperators(matrix)
    configure(ksp, _DIRECT)
    return ksp


def global_rows(function: Any, dofs: Indices) -> Indices:
    """Return the global numbers of the owned ones among local, unrolled degrees of freedom."""
    dofmap = function.function_space.dofmap
    blocks, bs = dofmap.index_map, dofmap.index_map_bs
    owned = np.sort(dofs[dofs < blocks.size_local * bs])
    first: int = blocks.local_range[0] * bs
    return (owned + first).astype(PETSc.IntType)
