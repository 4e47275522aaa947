r"""Small-strain plasticity of von Mises with linear hardening, isotropic and kinematic, at Gauss points.

$$\Phi = |\xi| - \sqrt{2/3}\,(\sigma_Y + H\alpha) \le 0, \qquad \xi = 2\mu\,\mathrm{dev}(\epsilon - \epsilon_p)
- \tfrac23 K \epsilon_p, \qquad \dot\epsilon_p = \dot\gamma\,\xi/|\xi|, \quad \dot\alpha = \sqrt{2/3}\,\dot\gamma$$

By the backward Euler method the plastic strain returns radially: Δγ = Φ_trial / (2μ + ⅔(H + K)), with Φ_trial and ξ of
the strain reached and the history before (J. C. Simo and T. J. R. Hughes, Computational Inelasticity, 1998,
doi:10.1007/b98904, Boxes 3.1 and 3.2; Prager's back stress ⅔ K ε_p needs no history of its own). UFL derives the stress
as it is computed, so that the tangent is the consistent one (J. C. Simo and R. L. Taylor 1985,
doi:10.1016/0045-7825(85)90070-2). The energy ½(ε − ε_p):C:(ε − ε_p) + ½Hα² + ⅓K|ε_p|² can be had back; σ_Y Δα is lost.

In two dimensions the strain is plane, and the stress across is part of the law.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from ..interface import Array, CaseError, EngineImport
from .domain import Domain
from .options import ElasticityOptions, Formulas
from .versions import INSTALL

with EngineImport("dolfinx", install=INSTALL) as engine:
    import basix
    import ufl
    from dolfinx import fem

_PAIRS = {2: ((0, 0), (1, 1), (0, 1)), 3: ((0, 0), (1, 1), (0, 1), (0, 2), (1, 2))}  # the zz follows: no trace
_SMALL = 1e-12  # of the yield stress: keeps |ξ| differentiable at 0, and no digit elsewhere


class Plasticity:
    """The forms, and the history: ε_p and α at the Gauss points, when the last step was final."""

    def __init__(self, options: ElasticityOptions, domain: Domain) -> None:
        assert options.young is not None and options.poisson is not None, "the options check it"
        assert options.yield_stress is not None, "the options check it"
        self._domain, degree = domain, domain.gauss_degree
        self._points, weights = basix.make_quadrature(domain.mesh.basix_cell(), degree)
        self._weights = weights / weights.sum()
        owned = domain.mesh.topology.index_map(domain.dimension).size_local
        self._cells = np.arange(owned, dtype=np.int32)
        young, ratio = self._number(options.young), self._number(options.poisson)
        self._stiff = young * ratio / ((1.0 + ratio) * (1.0 - 2.0 * ratio))
        self._shear = young / (2.0 * (1.0 + ratio))
        self._yield = self._number(options.yield_stress)
        self._isotropic, self._kinematic = self._number(options.hardening), self._number(options.kinematic)
        self._look(young, ratio)
        self._pairs = _PAIRS[domain.dimension]
        count = len(self._pairs) + 1
        self.dx = domain.dx(metadata={"quadrature_degree": degree})
        self._past = fem.Function(domain.quadrature(degree, count))
        self._mean = fem.Function(fem.functionspace(domain.mesh, ("DG", 0, (count,))))  # for facets
        self.history = {"plastic": self._past, "mean plastic": self._mean}

    def stress(self, u: Any) -> Any:
        """Return σ after the step to u."""
        plastic, _ = self._returned(u)
        return self._elastic_stress(u, plastic)

    def stress_in_cells(self, u: Any) -> Any:
        """Return σ of the final history's mean over each cell, where facets can see it too."""
        return self._elastic_stress(u, self._unpacked(self._mean)[0])

    def energy(self, u: Any) -> Any:
        """Return the density of what can be had back, elastic and of hardening, after the step to u."""
        plastic, alpha = self._returned(u)
        elastic = self._strain(u) - plastic
        energy = self._shear * ufl.inner(elastic, elastic) + 0.5 * self._stiff * ufl.tr(elastic) ** 2
        return energy + 0.5 * self._isotropic * alpha**2 + self._kinematic * ufl.inner(plastic, plastic) / 3.0

    @property
    def dissipated(self) -> Any:
        """The density of what has been lost until the last final step, σ_Y α."""
        return self._yield * self._unpacked(self._past)[1]

    def follow(self, u: Any) -> None:
        """Say of which displacement the history is."""
        plastic, alpha = self._returned(u)
        self._new = self._expression([*(plastic[i, j] for i, j in self._pairs), alpha])

    def commit(self) -> None:
        """Make the history that of the displacement as it stands."""
        found = self._evaluated(self._new, len(self._pairs) + 1)
        self._put(self._past, found)
        self._put(self._mean, np.einsum("q,cqk->ck", self._weights, found))

    def _expression(self, parts: list[Any]) -> Any:
        return fem.Expression(ufl.as_vector(parts), self._points, jit_options={"timeout": 600})

    def _evaluated(self, expression: Any, count: int) -> Array:
        """Return values (c, q, count) at the Gauss points of the cells that this rank owns."""
        found = np.asarray(expression.eval(self._domain.mesh, self._cells))
        return found.reshape(len(self._cells), -1, count)

    def _put(self, function: Any, values: Array) -> None:
        dofmap = function.function_space.dofmap
        table = dofmap.list[self._cells].ravel()
        function.x.array.reshape(-1, dofmap.bs)[table] = values.reshape(len(table), -1)
        function.x.scatter_forward()

    def _returned(self, u: Any) -> tuple[Any, Any]:
        """Return ε_p and α after the step to u."""
        plastic, alpha = self._unpacked(self._past)
        both, root = self._isotropic + self._kinematic, np.sqrt(2.0 / 3.0)
        trial = 2.0 * self._shear * ufl.dev(self._strain(u) - plastic) - 2.0 / 3.0 * self._kinematic * plastic
        size = ufl.sqrt(ufl.inner(trial, trial) + (_SMALL * self._yield) ** 2)
        beyond = ufl.max_value(0.0, 1.0 - root * (self._yield + self._isotropic * alpha) / size)
        share = beyond / (2.0 * self._shear + 2.0 / 3.0 * both)
        return plastic + share * trial, alpha + root * share * size

    def _elastic_stress(self, u: Any, plastic: Any) -> Any:
        d, elastic = self._domain.dimension, self._strain(u) - plastic
        stress = 2.0 * self._shear * elastic + self._stiff * ufl.tr(elastic) * ufl.Identity(3)
        return ufl.as_tensor([[stress[i, j] for j in range(d)] for i in range(d)])

    def _strain(self, u: Any) -> Any:
        d, strain = self._domain.dimension, ufl.sym(ufl.grad(u))
        return ufl.as_tensor([[strain[i, j] if max(i, j) < d else 0.0 for j in range(3)] for i in range(3)])

    def _unpacked(self, history: Any) -> tuple[Any, Any]:
        rows: list[list[Any]] = [[0.0] * 3 for _ in range(3)]
        for value, (i, j) in enumerate(self._pairs):
            rows[i][j] = rows[j][i] = history[value]
        rows[2][2] = -(history[0] + history[1])
        return ufl.as_tensor(rows), history[len(self._pairs)]

    def _number(self, text: Formulas) -> Any:
        """Return a formula as UFL; a number as a constant, so that others need no other machine code."""
        if isinstance(text, (int, float)):
            return fem.Constant(self._domain.mesh, float(text))
        return self._domain.formula(text)

    def _look(self, young: Any, ratio: Any) -> None:
        """Look at the moduli at every Gauss point."""
        place = [self._domain.coordinate[i] for i in range(self._domain.dimension)]
        numbers = {"young": young, "yield_stress": self._yield}
        numbers |= {"hardening": self._isotropic, "kinematic": self._kinematic}
        parts = [*numbers.values(), 0.5 - ratio, 1.0 + ratio, *place]
        found = self._evaluated(self._expression(parts), len(parts)).reshape(-1, len(parts))
        for column, name in enumerate([*numbers, "0.5 - poisson", "1 + poisson"]):
            may_vanish = name in ("hardening", "kinematic")
            wrong = np.flatnonzero(found[:, column] < 0.0 if may_vanish else found[:, column] <= 0.0)
            if len(wrong):
                at, value = np.round(found[wrong[0], 6:], 6).tolist(), float(found[wrong[0], column])
                raise CaseError(
                    f"{name} is {value:.6g} at {at}, and must {'not be negative' if may_vanish else 'be positive'}",
                    where="elasticity",
                    todo="softening needs a length, which this law has not" if may_vanish else "",
                )
