"""A material from outside, asked at the Gauss points of the mesh.

F = 1 + ∇u goes out; the energy W, the stress P = ∂W/∂F and the tangent ∂P/∂F come back as functions at Gauss points,
which forms hold like any coefficient: ∫ P:∇v and ∫ ∇v:∂P/∂F:∇w (T. J. R. Hughes, The Finite Element Method, 2000,
sect. 4.2, with P in place of σ). A material of three dimensions on a mesh of two is in plane strain: F is completed by
the 1 across.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from ..interface import Array, CaseError, EngineFailed, EngineImport, Indices, Material, Response, State
from ..interface.units import convert
from .domain import Domain
from .noise import ResidualNoise, quiet
from .ranks import Ranks
from .versions import INSTALL

with EngineImport("dolfinx", install=INSTALL) as engine:
    import basix
    import basix.ufl
    import ufl
    from dolfinx import fem


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
        self.degree = domain.gauss_degree
        over = domain.dx if cells is None else domain.part(cells)
        self.dx = over(metadata={"quadrature_degree": self.degree})
        self.stress, self.energy = self._function((d, d)), self._function(())
        self.mean = fem.Function(fem.functionspace(domain.mesh, ("DG", 0, (d, d))))  # of P in each cell, for facets
        self._tangent: Any = None
        self._points, self._weights = basix.make_quadrature(domain.mesh.basix_cell(), self.degree)
        owned = domain.mesh.topology.index_map(domain.mesh.topology.dim).size_local
        self._cells: Indices = np.arange(owned) if cells is None else cells
        self._gradients: dict[str, Any] = {}
        self.dissipates = False  # whether the last answer's material has a history
        self._last: Array | None = None  # F of the last answer
        self._has_tangent, self._exact = False, True  # of the last answer
        self._loosely = False
        self._noise: tuple[ResidualNoise, float] | None = None  # of the residual, and how much of it is taken
        self._ranks = Ranks(domain.comm)
        if domain.comm.size > 1:
            material.share(self._ranks, domain.comm.rank)

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

    def exactly(self, yes: bool) -> bool:
        """Say whether answers must be exact, or may be on the way to an equilibrium; return whether the last was."""
        self._loosely = not yes
        return self._exact

    def quieten(self, wanted: float) -> None:
        """Let each answer be sampled until its noise in the residual is below ``wanted``, in the mesh's units.

        Raises:
            NotOffered: on several ranks.
        """
        self._noise = ResidualNoise(self._domain, self.degree, unit=self._unit, cells=self._cells), wanted

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

    def observe(self) -> dict[str, float]:
        """Return the material's counts over all ranks and, where they share its work, how evenly."""
        own = self._domain.comm.allgather(dict(self.material.observe()))
        found = {f"law_{key}": sum(each[key] for each in own) for key in own[0]}
        return found | dict(self._ranks.observe()) if found else {}

    def restore(self, state: State) -> None:
        """Return to a saved history."""
        self.material.restore(state)
        self._last = None

    def _ask(self, when: str, tangent: bool) -> None:
        d = self._domain.dimension
        deformation = np.asarray(self._gradients[when].eval(self._domain.mesh, self._cells)).reshape(-1, d, d)
        known = self._last is not None and np.array_equal(deformation, self._last)
        enough = (self._exact or self._loosely) and (self._has_tangent or not tangent)
        if self._domain.agreed(known and enough):
            return
        self._ranks.together(lambda: self.material.checked(self._completed(deformation)))
        answer = self._ranks.together(lambda: self._answer(deformation, tangent))
        self._last, self._has_tangent, self._exact = deformation, tangent, self._domain.agreed(answer.exact)
        stress = self._unit * answer.stress[:, :d, :d]
        self._put(self.stress, stress)
        self._put(self.energy, self._unit * answer.energy)
        self.dissipates = answer.dissipation is not None
        weights = self._weights / self._weights.sum()
        self._put(self.mean, np.einsum("q,cqij->cij", weights, stress.reshape(-1, len(weights), d, d)))
        if tangent and answer.tangent is not None:
            self._put(self._tangent, self._unit * answer.tangent[:, :d, :d, :d, :d])

    def _answer(self, deformation: Array, tangent: bool) -> Response:
        ask = self.material.iterate if self._loosely else self.material.respond
        at = self._completed(deformation)
        if self._noise is None:
            answer = ask(at, tangent)
        else:
            answer = quiet(lambda: ask(at, tangent), self.material, *self._noise)
        if tangent and answer.tangent is None:
            raise EngineFailed("it has no tangent", where=self.material.name)
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
