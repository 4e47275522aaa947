"""How steep an unknown has become, where the law of its flux is of small gradients."""

from __future__ import annotations

from math import inf

import numpy as np

from ..interface import CaseError, EngineImport
from .domain import Domain
from .problem import Problem
from .versions import INSTALL

with EngineImport("dolfinx", install=INSTALL) as engine:
    import basix
    import ufl
    from dolfinx import fem


class Steepness:
    """The norm of ∇u at the Gauss points of the cells that this rank owns."""

    def __init__(self, problem: Problem, domain: Domain) -> None:
        self._domain, self._limit = domain, problem.largest_gradient
        if self._limit < inf:
            slope = ufl.grad(problem.unknown)
            points, _ = basix.make_quadrature(domain.mesh.basix_cell(), domain.gauss_degree)
            options = {"timeout": 600}
            self._norm = fem.Expression(ufl.sqrt(ufl.inner(slope, slope)), points, jit_options=options)

    def check(self) -> None:
        """Raise where the norm is larger than the problem takes.

        Raises:
            CaseError: on all ranks.
        """
        if self._limit == inf:
            return
        owned = self._domain.mesh.topology.index_map(self._domain.dimension).size_local
        norms = np.asarray(self._norm.eval(self._domain.mesh, np.arange(owned, dtype=np.int32)))
        largest = max(self._domain.comm.allgather(float(norms.max(initial=0.0))))
        if largest > self._limit:
            raise CaseError(
                f"the gradient reaches {largest:.3g}, and the law is of small ones, up to {self._limit:g}",
                where="dolfinx",
                todo="load it less, or raise largest_gradient where a large one is local",
            )
