"""A material from outside, asked at the Gauss points of the mesh.

F = 1 + ∇u goes out; the energy W, the stress P = ∂W/∂F and the tangent ∂P/∂F come back as functions at Gauss points,
which forms hold like any coefficient: ∫ P:∇v and ∫ ∇v:∂P/∂F:∇w (T. J. R. Hughes, The Finite Element Method, 2000,
sect. 4.2, with P in place of σ). A material of three dimensions on a mesh of two is in plane strain: F is completed by
the 1 across.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from ..interface import Array, CaseError, EngineFailed, EngineImport, Indices, Material, Response, ScalespanError, State
from ..interface.units import convert
from .domain import Domain
from .versions import INSTALL

with EngineImport("dolfinx", install=INSTALL) as engine:
    import basix
    import basix.ufl
    import ufl
    from dolfinx import fem

_SIMPLICES = ("triangle", "tetrahedron")


class Law:
    """The functions at Gauss points through which a form sees a material."""

    def __init__(
        self, material: Material, domain: Domain, units: tuple[str, str, str], cells: Indices | None = None
    ) -> None:
        """Units: of mass, length and time; ``cells`` are those that are asked: all that this rank owns, by default."""
        mass, length, time = (f"({each})" for each in units)
        d, full = domain.dimension, material.dimension
        if full not in (d, 3):
            raise CaseError(f"the law '{material.name}' is of {full} dimensions, and the mesh of {d}")
        self.material, self._domain = material, domain
        self.density = convert(material.density, f"dalton/angstrom**{full}", f"{mass}/{length}**{full}")
        self._unit = convert(1.0, material.stress_unit, f"{mass}*{length}**2/{time}**2/{length}**{full}")
        self._ase_time = convert(1.0, time, "ase_time")
        self.degree = _degree(domain)
        over = domain.dx if cells is None else domain.part(cells)
        self.dx = over(metadata={"quadrature_degree": self.degree})
        self.stress, self.energy = self._function((d, d)), self._function(())
        self.mean = fem.Function(fem.functionspace(domain.mesh, ("DG", 0, (d, d))))  # of P in each cell, for facets
        self._tangent: Any = None
        self._points, self._weights = basix.make_quadrature(domain.mesh.basix_cell(), self.degree)
        owned = domain.mesh.topology.index_map(domain.mesh.topology.dim).size_local
        self._cells: Indices = np.arange(owned) if cells is None else cells
        self._gradients: dict[str, Any] = {}
        self._last: Array | None = None  # F of the last answer
        self._has_tangent = False

    def follow(self, displacement: Any, end: Any = None) -> None:
        """Say what F is of: a function or an expression in UFL, and another one for the end of a step."""
        for name, each in {"stage": displacement, "end": end}.items():
            if each is not None:
                form = ufl.Identity(self._domain.dimension) + ufl.grad(each)
                self._gradients[name] = fem.Expression(form, self._points, jit_options={"timeout": 600})

    def tangent(self, trial: Any, test: Any, weight: Any = 1) -> Any:
        """Return ∫ ∇v:∂P/∂F:∇w as a form, its cells counted by a ``weight``."""
        if self._tangent is None:
            self._tangent = self._function((self._domain.dimension,) * 4)
        i, j, k, m = ufl.indices(4)
        return weight * self._tangent[i, j, k, m] * ufl.grad(trial)[k, m] * ufl.grad(test)[i, j] * self.dx

    def refresh(self, tangent: bool) -> None:
        """Ask the material at the displacement as it stands."""
        self._ask("stage", tangent)

    def settle(self) -> None:
        """Ask the material at the end of a step, where that is another displacement than the last one asked at."""
        if "end" in self._gradients:
            self._ask("end", False)

    @property
    def longest_step(self) -> float:
        """The material's, in this unit of time."""
        return self.material.longest_step / self._ase_time

    def advance(self, dt: float) -> None:
        """Let the material's history move on; the next answer may be another at the same displacement."""
        self.material.advance(self._ase_time * dt)
        self._last = None

    def restore(self, state: State) -> None:
        """Return to a saved history."""
        self.material.restore(state)
        self._last = None

    def _ask(self, when: str, tangent: bool) -> None:
        d = self._domain.dimension
        deformation = np.asarray(self._gradients[when].eval(self._domain.mesh, self._cells)).reshape(-1, d, d)
        known = self._last is not None and np.array_equal(deformation, self._last)
        if self._domain.agreed(known and (not tangent or self._has_tangent)):
            return
        answer = self._on_all_ranks(deformation, tangent)
        self._last, self._has_tangent = deformation, tangent
        stress = self._unit * answer.stress[:, :d, :d]
        self._put(self.stress, stress)
        self._put(self.energy, self._unit * answer.energy)
        weights = self._weights / self._weights.sum()
        self._put(self.mean, np.einsum("q,cqij->cij", weights, stress.reshape(-1, len(weights), d, d)))
        if tangent and answer.tangent is not None:
            self._put(self._tangent, self._unit * answer.tangent[:, :d, :d, :d, :d])

    def _on_all_ranks(self, deformation: Array, tangent: bool) -> Response:
        """Ask; where one rank's points cannot be answered, all raise, or the others would wait for ever."""
        answer, error = None, None
        try:
            answer = self.material.respond(self._completed(deformation), tangent)
            if tangent and answer.tangent is None:
                raise EngineFailed("it has no tangent", where=self.material.name)
        except ScalespanError as raised:
            error = raised
        first = next((each for each in self._domain.comm.allgather(error) if each is not None), None)
        if first is not None:
            raise error or first
        assert answer is not None
        return answer

    def _completed(self, deformation: Array) -> Array:
        d, full = self._domain.dimension, self.material.dimension
        if d == full:
            return deformation
        found = np.tile(np.eye(full), (len(deformation), 1, 1))
        found[:, :d, :d] = deformation
        return found

    def _function(self, shape: tuple[int, ...]) -> Any:
        cell = self._domain.mesh.basix_cell()
        element = basix.ufl.quadrature_element(cell, value_shape=shape, degree=self.degree)
        return fem.Function(fem.functionspace(self._domain.mesh, element))

    def _put(self, function: Any, values: Array) -> None:
        """Set a function on the cells that are asked; no form is integrated over others."""
        dofmap = function.function_space.dofmap
        table = dofmap.list[self._cells].ravel()
        function.x.array.reshape(-1, dofmap.bs)[table] = values.reshape(len(table), -1)


def _degree(domain: Domain) -> int:
    """Return the degree of quadrature: exact for a linear material on affine cells, one point for P1."""
    simplex = domain.mesh.basix_cell().name in _SIMPLICES
    return max(1, 2 * domain.degree - 2) if simplex else 2 * domain.degree
