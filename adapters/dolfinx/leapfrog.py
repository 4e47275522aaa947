"""Explicit motion by the staggered leapfrog (Störmer–Verlet; E. Hairer, C. Lubich, G. Wanner 2003,
doi:10.1017/S0962492902000144, Eq. 1.5), with lumped masses M:

    v(n+½) = v(n−½) + Δt M⁻¹ (f_ext(t_n) − f_int(u_n)),    u(n+1) = u_n + Δt v(n+½)

What partners give is wanted for the beginning of the step. The first step starts with half a kick; where Δt changes, a
kick is half of either step. It is stable for Δt ω < 2, ω the highest frequency of M⁻¹K. The kinetic energy is
½ v(n−½)·M v(n+½), whose sum with the elastic energy is the invariant of a linear solid.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from ..interface import JOINT, Array, CaseError, EngineImport, Indices, Table
from .domain import compiled
from .nodes import add_ghosts
from .problem import Problem
from .versions import INSTALL

with EngineImport("dolfinx", install=INSTALL) as engine:
    import ufl
    from dolfinx import fem
    from dolfinx.fem import petsc
    from petsc4py import PETSc

_KRYLOV = 60  # steps of Lanczos's method: the highest frequency to four digits


class Leapfrog:
    """Moves a function; its problem is explicit in time."""

    def __init__(self, problem: Problem, entering: Any) -> None:
        self._problem, self.unknown, space = problem, problem.unknown, problem.unknown.function_space
        self._static = compiled(problem.residual)
        self._entering = None if entering is None else compiled(entering)
        self.raw = fem.Function(space)  # what holds the fixed nodes, and zero elsewhere
        self.last = 0.0  # the length of the last step
        self.work = 0.0  # of the loads since the start: Σ f(t_n)·(u(n+1) − u(n))
        self._fixed: Indices = np.zeros(0, dtype=np.int32)
        masses = fem.Function(space)
        petsc.assemble_vector(masses.x.petsc_vec, compiled(problem.lumped))
        add_ghosts(masses)
        if problem.slaved is not None:
            problem.slaved.counted.take_out(masses)
            problem.slaved.gather(masses)
        self._masses: Array = masses.x.array
        self._slaved: Indices = np.zeros(0, dtype=np.int32) if problem.slaved is None else problem.slaved.dofs()
        self._frequency: float | None = None
        self._owned = space.dofmap.index_map.size_local * space.dofmap.index_map_bs
        self._moves = self._free_degrees()
        self._check_masses()

    def fix(self, fixed: Indices) -> None:
        """Say which degrees of freedom (local, unrolled, ghosts included) keep the values that the unknown has."""
        if not np.array_equal(fixed, self._fixed):
            self._fixed, self._frequency = fixed, None
            self._moves = self._free_degrees()

    def begin(self, loads: Array) -> None:
        """Find the forces at the very beginning."""
        history = self._problem.history
        for each in (self.unknown, history["half"]):
            self._fill(each)
        history["old"].x.array[:] = self.unknown.x.array
        self._find_internal()
        self._look(loads, 0.0 * history["half"].x.array)

    def solve(self, loads: Array, dt: float) -> None:
        """Kick and drift by ``dt``.

        Args:
            loads: at the step's beginning, on every local degree of freedom, complete on the owned ones.
            dt: the step.

        Raises:
            CaseError: a step too long to be stable.
        """
        if dt != self.last:
            self.check(dt)
        history, moves = self._problem.history, self._moves
        old, half = history["old"].x.array, history["half"].x.array
        before = half.copy()
        half[moves] += 0.5 * (self.last + dt) * self._pull(loads)[moves] / self._masses[moves]
        self.unknown.x.array[moves] = old[moves] + dt * half[moves]
        self.unknown.x.scatter_forward()
        half[self._fixed] = (self.unknown.x.array[self._fixed] - old[self._fixed]) / dt
        for each in (self.unknown, history["half"]):
            self._fill(each)
        done = float(loads[: self._owned] @ (self.unknown.x.array - old)[: self._owned])
        self.work += float(self.unknown.function_space.mesh.comm.allreduce(done))
        old[:] = self.unknown.x.array
        self.last = dt
        self._find_internal()
        self._look(loads, (half - before) / dt)

    def kinetic(self) -> float:
        """Return ½ v(n−½)·M v(n+½), with the forces that are known now."""
        half = self._problem.history["half"].x.array[: self._owned]
        coming = half + self.last * self._problem.fields["acceleration"].x.array[: self._owned]
        own = float((self._masses[: self._owned] * half * coming).sum())
        return 0.5 * float(self.unknown.function_space.mesh.comm.allreduce(own))

    def check(self, dt: float) -> None:
        """Raise if a step is not stable, or beside atoms too long for the joint."""
        product, beside = dt * self.frequency(), self._problem.slaved
        if product >= 2.0:
            raise CaseError(
                f"the leapfrog needs Δt·ω below 2, and a step of {dt:.4g} makes it {product:.3g}",
                todo=f"take a timestep below {2.0 / self.frequency():.3g}, or larger cells",
            )
        if product > JOINT and beside is not None and not beside.counted.overlap.beyond_limit:
            raise CaseError(
                f"beside atoms, Δt·ω must be at most {JOINT}, and is {product:.3g}",
                todo=f"take a timestep below {JOINT / self.frequency():.3g}, or say beyond_limit = true",
            )

    def audit(self, dt: float) -> Table:
        """Return how far a step is from what is too long, and raise if it is."""
        self.check(dt)
        rows = (
            ("highest frequency ω of the mesh", f"{self.frequency():.5g}"),
            ("Δt·ω, stable below 2", f"{dt * self.frequency():.3g}"),
            (f"longest step beside atoms, Δt·ω = {JOINT}", f"{JOINT / self.frequency():.4g}"),
        )
        return Table("The leapfrog's step", ("what", "how much"), rows)

    def frequency(self) -> float:
        """Return the highest frequency of M⁻¹K at the displacement as it stands when it is first asked for."""
        if self._frequency is None:
            self._frequency = float(np.sqrt(self._highest()))
        return self._frequency

    def close(self) -> None:
        """Hold nothing of PETSc's."""

    def _pull(self, loads: Array) -> Array:
        """Return the forces on the nodes that move, complete on the owned ones."""
        total = fem.Function(self.unknown.function_space)
        if self._entering is not None:
            petsc.assemble_vector(total.x.petsc_vec, self._entering)
            add_ghosts(total)
        total.x.array[:] = loads - self._problem.history["internal"].x.array - total.x.array
        if self._problem.slaved is not None:
            self._problem.slaved.gather(total)
        pull: Array = total.x.array
        return pull

    def _find_internal(self) -> None:
        """Assemble the forces of the solid and its options at the unknown as it stands."""
        self._problem.refresh(False)
        internal = self._problem.history["internal"]
        internal.x.array[:] = 0.0
        petsc.assemble_vector(internal.x.petsc_vec, self._static)
        add_ghosts(internal)

    def _look(self, loads: Array, change: Array) -> None:
        """Set what outputs show at the time reached: with the loads known, and the last change of fixed nodes."""
        history, fields, pull = self._problem.history, self._problem.fields, self._pull(loads)
        acceleration = fields["acceleration"].x.array
        acceleration[:] = 0.0
        acceleration[self._moves] = pull[self._moves] / self._masses[self._moves]
        acceleration[self._fixed] = change[self._fixed]
        fields["acceleration"].x.scatter_forward()
        self._fill(fields["acceleration"])
        fields["velocity"].x.array[:] = history["half"].x.array + 0.5 * self.last * acceleration
        self.raw.x.array[:] = 0.0
        fixed = self._fixed
        self.raw.x.array[fixed] = self._masses[fixed] * acceleration[fixed] - pull[fixed]
        self.raw.x.scatter_forward()

    def _fill(self, function: Any) -> None:
        if self._problem.slaved is not None:
            self._problem.slaved.fill(function)
        else:
            function.x.scatter_forward()

    def _free_degrees(self) -> Array:
        """Say which owned degrees of freedom move by their forces."""
        free = np.ones(len(self._masses), dtype=bool)
        free[self._fixed], free[self._slaved], free[self._owned :] = False, False, False
        return free

    def _check_masses(self) -> None:
        comm = self.unknown.function_space.mesh.comm
        counted = self._masses[: self._owned] > 0.0
        counted[self._slaved] = True
        if not all(comm.allgather(bool(counted.all()))):
            raise CaseError("a node has no mass left beside the atoms", todo="raise overlap.slaved_below")

    def _highest(self) -> float:
        """Return the largest eigenvalue of M^(−½) K M^(−½), by Lanczos's method in PETSc's conjugate gradients."""
        self._problem.refresh(True)
        form = ufl.derivative(self._problem.residual, self.unknown)
        if self._problem.tangent is not None:
            form = self._problem.tangent
        matrix = petsc.assemble_matrix(compiled(form))
        matrix.assemble()
        if self._problem.slaved is not None:
            matrix = matrix.PtAP(self._problem.slaved.matrix)
        scale, answer = matrix.createVecs()
        moves = self._moves[: self._owned]
        scale.array[:] = np.where(moves, 1.0, 0.0)
        scale.array[moves] /= np.sqrt(self._masses[: self._owned][moves])
        matrix.diagonalScale(scale, scale)
        ksp = PETSc.KSP().create(matrix.comm)
        ksp.setOperators(matrix)
        ksp.setType("cg")
        ksp.getPC().setType("none")
        ksp.setComputeSingularValues(True)
        ksp.setTolerances(rtol=1e-14, max_it=_KRYLOV)
        given = matrix.createVecRight()
        first = given.getOwnershipRange()[0]
        given.array[:] = np.where(moves, np.sin(12.9898 * np.arange(first, first + len(moves)) ** 2), 0.0)
        ksp.solve(given, answer)
        highest = float(ksp.computeExtremeSingularValues()[0])
        for each in (ksp, matrix, scale, answer, given):
            each.destroy()
        return highest
