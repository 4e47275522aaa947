"""Any problem as the cell of a microstructure: its residual and stiffness without boundary values, on one rank.

Its mean flux is summed at the points of the quadrature by which its residual is integrated. Its history is that of the
problem (`Problem.history`, which `Problem.after` moves on), put there before each answer.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
from scipy.sparse import csr_array

from ..interface import Array, CaseError, CellAnswer, EngineImport, Indices, Microstructure, NotOffered
from .domain import Domain, compiled
from .nodes import blocked
from .problem import Problem
from .versions import INSTALL

with EngineImport("dolfinx", install=INSTALL) as engine:
    import basix
    import ufl
    from dolfinx import fem
    from dolfinx.fem import petsc
    from ufl.algorithms import compute_form_data


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
        self._u, self._m = u, space.dofmap.index_map_bs
        self._means = _Means(problem, domain)
        matrix = ufl.derivative(problem.residual, u, ufl.TrialFunction(space))
        matrix = matrix if problem.tangent is None else matrix + problem.tangent
        self._stiffness, self._pull = compiled(matrix), compiled(problem.residual)
        found = {key: problem.measures.get(key) for key in ("elastic", "dissipated")}
        forms = {key: None if form is None else compiled(form) for key, form in found.items()}
        self._energy, self._dissipated = forms["elastic"], forms["dissipated"]
        self._fresh = self._past()
        self._vector, self._assembled = petsc.create_vector(self._pull), petsc.create_matrix(self._stiffness)
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

    @property
    def linear(self) -> bool:
        """As the problem is."""
        return self._problem.linear

    @property
    def history(self) -> Array | None:
        """Of the problem, when the cell was made."""
        return self._fresh.copy() if len(self._fresh) else None

    def moduli(self) -> tuple[Array, Array] | None:
        """Of a linear problem, at the points of the quadrature."""
        if not self._problem.linear:
            return None
        centred = self.points - self.points.mean(axis=0)
        blocked(self._u)[:] = 0.0
        rest, columns = self._means.flux()[0], []
        for i, j in np.ndindex(self._m, centred.shape[1]):
            blocked(self._u)[:] = 0.0
            blocked(self._u)[:, i] = centred[:, j]
            columns.append(self._means.flux()[0] - rest)
        shape = (-1, *rest.shape[1:], *rest.shape[1:])
        return np.stack(columns, axis=-1).reshape(shape), self._means.flux()[2]

    def answer(self, field: Array, stiffness: bool = False, history: Array | None = None) -> CellAnswer:
        """Return the assembled forms, after a history.

        Raises:
            CaseError: the mean gradient is no small one, where the problem's law takes only such.
        """
        self._check(field)
        self._recall(self._fresh if history is None else history)
        blocked(self._u)[:] = field
        self._problem.refresh(stiffness)
        self._vector.set(0.0)
        petsc.assemble_vector(self._vector, self._pull)
        energy = None if self._energy is None else float(fem.assemble_scalar(self._energy))
        pull = self._vector.array.reshape(-1, self._m).copy()
        flux, gradient, weights = self._means.flux()
        mean, work = np.einsum("qij,q->ij", flux, weights), float(np.einsum("qij,qij,q->", flux, gradient, weights))
        matrix = self._matrix() if stiffness else None
        sizes = np.linalg.norm(flux, axis=(1, 2)) * np.linalg.norm(gradient, axis=(1, 2))
        answer = CellAnswer(pull, mean, work, energy, matrix, gross=float(weights @ sizes))
        if not len(self._fresh):
            return answer
        before = self._lost()
        self._problem.after()
        return replace(answer, history=self._past(), dissipation=self._lost() - before)

    def _check(self, field: Array) -> None:
        mean = float(np.linalg.norm(self._slopes.T @ field)) / self._volume
        if mean > self._problem.largest_gradient:
            raise CaseError(
                f"the mean gradient of a cell is {mean:.3g}: too large for its law, which takes up to "
                f"{self._problem.largest_gradient:g}",
                where="dolfinx",
                todo="load it less, or take a law of finite strains",
            )

    def _past(self) -> Array:
        parts = [function.x.array for function in self._problem.history.values()]
        return np.concatenate(parts) if parts else np.zeros(0)

    def _recall(self, history: Array) -> None:
        start = 0
        for function in self._problem.history.values():
            values = function.x.array
            values[:] = history[start : start + len(values)]
            start += len(values)

    def _lost(self) -> float:
        return 0.0 if self._dissipated is None else float(fem.assemble_scalar(self._dissipated))

    def _matrix(self) -> csr_array:
        self._assembled.zeroEntries()
        petsc.assemble_matrix(self._assembled, self._stiffness)
        self._assembled.assemble()
        start, columns, values = self._assembled.getValuesCSR()
        return csr_array((values, columns, start), shape=self._assembled.getSize())


class _Means:
    """The flux and the gradient at the points of the quadrature."""

    def __init__(self, problem: Problem, domain: Domain) -> None:
        assert problem.flux is not None, "the cell has seen it"
        flux, slope = problem.flux[0], ufl.grad(problem.unknown)
        every = [each[index] for each in (flux, slope) for index in np.ndindex(flux.ufl_shape)]
        size = abs(ufl.JacobianDeterminant(domain.mesh))
        points, self._weights = basix.make_quadrature(domain.mesh.basix_cell(), _degree(problem))
        self._expression = fem.Expression(ufl.as_vector([*every, size]), points, jit_options={"timeout": 600})
        self._mesh = domain.mesh
        self._cells: Indices = np.arange(domain.mesh.topology.index_map(domain.dimension).size_local, dtype=np.int32)

    def flux(self) -> tuple[Array, Array, Array]:
        """Return q and ∇u (q, m, d), and the weights (q,) that sum up to the volume."""
        found = np.asarray(self._expression.eval(self._mesh, self._cells))
        found = found.reshape(len(self._cells), len(self._weights), -1)
        both, weights = found[:, :, :-1], found[:, :, -1] * self._weights
        half = both.shape[2] // 2
        shape = (weights.size, half // self._mesh.geometry.dim, self._mesh.geometry.dim)
        return both[:, :, :half].reshape(shape), both[:, :, half:].reshape(shape), weights.ravel()


def _degree(problem: Problem) -> int:
    """Return the degree of the quadrature by which DOLFINx integrates ∫q·∇v."""
    assert problem.flux is not None, "the cell has seen it"
    flux, dx = problem.flux
    given = dx.metadata().get("quadrature_degree")
    if given is not None:
        return int(given)
    seen = compute_form_data(
        ufl.inner(flux, ufl.grad(problem.test)) * dx,
        do_apply_function_pullbacks=True,
        do_apply_integral_scaling=True,
        do_apply_geometry_lowering=True,
        preserve_geometry_types=(ufl.classes.Jacobian,),
    )
    return max(int(np.max(each.metadata()["estimated_polynomial_degree"])) for each in seen.integral_data[0].integrals)


def _slopes(domain: Domain, space: Any) -> Array:
    scalar = domain.space(1, space.element.basix_element.degree)
    test = ufl.TestFunction(scalar)
    columns = []
    for j in range(domain.dimension):
        vector = petsc.assemble_vector(compiled(test.dx(j) * domain.dx))
        columns.append(vector.array.copy())
        vector.destroy()
    return np.stack(columns, axis=1)
