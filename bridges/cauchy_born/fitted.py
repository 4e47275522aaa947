r"""Laws that ask the engine once and then compute: a polynomial in the strain, of which the quadratic law is the least.

The polynomial is the least-squares fit to the engine's W and S at quasi-random strains in a ball; S and ℂ are its own
derivatives, so that the stress stays the gradient of an energy. Its degree rises until the stress at other strains
of the ball is right.

The quadratic law is the expansion at F = 1, with the residual stress S₀ and the measured constants:

$$W = W_0 + S_0 \cdot e + \tfrac{1}{2} e \cdot \mathbb{C} e$$
"""

from __future__ import annotations

from itertools import combinations_with_replacement

import numpy as np
from scipy.linalg import lstsq
from scipy.special import ndtri
from scipy.stats import qmc

from scalespan.adapters.interface import Array, CaseError

from .options import PolynomialOptions
from .relaxed import Asked
from .strain import PAIRS, StrainResponse

_TESTS = 96  # strains at which a fit is tried
_SPARE = 1.6  # equations for each unknown
_EDGE = 1.0 + 1e-9  # rounding in the norm of a strain


class Quadratic:
    """The law at small strains: the engine's elastic constants at F = 1."""

    def __init__(self, asked: Asked) -> None:
        none = np.zeros(asked.cell.size)
        answer, self._place = asked.answer(none)
        tangent = asked.tangent(none)
        self._energy, self._stress = answer.energy, answer.stress
        self._stiffness, self._slope = tangent.stiffness, tangent.inner

    def respond(self, strains: Array, tangent: bool) -> StrainResponse:
        """Answer at strains (n, k)."""
        added = strains @ self._stiffness
        energy = self._energy + strains @ self._stress + 0.5 * (added * strains).sum(axis=1)
        found = np.broadcast_to(self._stiffness, (len(strains), *self._stiffness.shape)) if tangent else None
        return StrainResponse(energy, self._stress + added, found)

    def inner(self, strains: Array) -> tuple[Array, Array]:
        """Return η (n, 3b) Å and dη/de (n, 3b, k) at strains (n, k)."""
        slope = np.broadcast_to(self._slope, (len(strains), *self._slope.shape))
        return self._place + strains @ self._slope.T, slope


class Monomials:
    """All monomials of k variables up to a degree, those of lower degrees first."""

    def __init__(self, variables: int, degree: int) -> None:
        self.variables, self.degree = variables, degree
        terms = [t for m in range(degree + 1) for t in combinations_with_replacement(range(variables), m)]
        index = {term: i for i, term in enumerate(terms)}
        self.counts = np.searchsorted([len(t) for t in terms], np.arange(degree + 2))  # where each degree begins
        self._parents = np.array([index[t[:-1]] for t in terms])
        self._last = np.array([t[-1] if t else 0 for t in terms])
        self._powers = np.array([[t.count(v) for v in range(variables)] for t in terms])
        self._lowered = np.array(
            [[index[_without(t, v)] if v in t else 0 for v in range(variables)] for t in terms]
        )  # the term of a derivative

    def values(self, points: Array) -> Array:
        """Return the monomials (n, terms) at points (n, k)."""
        found = np.ones((len(points), len(self._last)))
        for first, last in zip(self.counts[1:-1], self.counts[2:], strict=True):
            block = slice(first, last)
            found[:, block] = found[:, self._parents[block]] * points[:, self._last[block]]
        return found

    def derivative(self, coefficients: Array, variable: int) -> Array:
        """Return the coefficients (terms, …) of a derivative of a polynomial with ``coefficients`` (terms, …)."""
        found = np.zeros_like(coefficients)
        powers = self._powers[:, variable].reshape(-1, *[1] * (coefficients.ndim - 1))
        # Each term of a derivative comes from one term alone.
        some = self._powers[:, variable] > 0
        found[self._lowered[some, variable]] = (powers * coefficients)[some]
        return found

    def slopes(self, values: Array, variable: int) -> Array:
        """Return the derivatives (n, terms) of the monomials with ``values`` (n, terms)."""
        found: Array = values[:, self._lowered[:, variable]] * self._powers[:, variable]
        return found


def _without(term: tuple[int, ...], variable: int) -> tuple[int, ...]:
    place = term.index(variable)
    return term[:place] + term[place + 1 :]


class Polynomial:
    """The law as a polynomial within a ball of strains."""

    def __init__(self, asked: Asked, options: PolynomialOptions) -> None:
        self.asked, self.options = asked, options
        self._zero = asked.answer(np.zeros(asked.cell.size))[0].energy
        tests = self._strains(_TESTS, seed=1)
        truth = asked.respond(tests, tangent=False)
        for degree in range(2, options.degree + 1):
            self._fit(degree)
            wrong = np.abs(self._polynomial(tests, tangent=False).stress - truth.stress).max()
            self.error = float(wrong / np.abs(truth.stress).max())  # of the stress at the tests, of the largest
            self.degree = degree
            if self.error <= options.error:
                return
        raise CaseError(
            f"a polynomial of degree {options.degree} keeps an error of {self.error:.1e} of the largest stress at "
            f"strains up to {options.strain}",
            where="polynomial",
            todo="take a smaller 'strain', a higher 'degree' or a larger 'error'; no sharp cut-off can be fitted",
        )

    def _strains(self, count: int, seed: int) -> Array:
        """Return strains (n, k), quasi-random in the ball, more of them near its surface."""
        k = self.asked.cell.size
        # Halton's sequences begin alike for all lengths, so that a higher degree asks for the new strains alone.
        cube = np.clip(qmc.Halton(k + 1, seed=seed).random(count), 1e-12, 1.0 - 1e-12)
        normal = ndtri(cube[:, :k])
        ball = normal / np.linalg.norm(normal, axis=1)[:, None] * cube[:, k:] ** (1.0 / k)
        found: Array = np.round(self.options.strain * ball * self._shears(), 13)
        return found

    def _shears(self) -> Array:
        return np.array([1.0 if i == j else np.sqrt(2.0) for i, j in PAIRS[self.asked.cell.crystal.dimension]])

    def _fit(self, degree: int) -> None:
        basis = self._base = Monomials(self.asked.cell.size, degree)
        terms, below = int(basis.counts[-1]), int(basis.counts[-2])
        count = 1 + int(_SPARE * max(terms / (1 + basis.variables), below if self.asked.relaxed else 0))
        strains = self._strains(count, seed=0)
        scaled, size = strains / self.options.strain, self.options.strain
        truth = self.asked.respond(strains, tangent=False)
        values = basis.values(scaled)
        rows = [values, *(basis.slopes(values, v) for v in range(basis.variables))]
        right = [truth.energy - self._zero, *(size * truth.stress.T)]
        self._energy = lstsq(np.concatenate(rows), np.concatenate(right), lapack_driver="gelsy")[0]
        if self.asked.relaxed:
            places = np.array([self.asked.answer(strain)[1] for strain in strains])
            found = lstsq(values[:, :below], places, lapack_driver="gelsy")[0]
            self._places = np.concatenate([found, np.zeros((terms - below, found.shape[1]))])
        self._first = np.stack([basis.derivative(self._energy, v) for v in range(basis.variables)], axis=1)
        self._second = np.stack([basis.derivative(self._first, v) for v in range(basis.variables)], axis=2)

    def respond(self, strains: Array, tangent: bool) -> StrainResponse:
        """Answer at strains (n, k).

        Raises:
            CaseError: a strain beyond the fit, where the engine is not to be asked.
        """
        outside = self._outside(strains)
        if not outside.any():
            return self._polynomial(strains, tangent)
        inside, asked = self._polynomial(strains[~outside], tangent), self.asked.respond(strains[outside], tangent)
        return StrainResponse(
            _merged(outside, asked.energy, inside.energy),
            _merged(outside, asked.stress, inside.stress),
            None
            if inside.tangent is None or asked.tangent is None
            else _merged(outside, asked.tangent, inside.tangent),
        )

    def _outside(self, strains: Array) -> Array:
        norms = np.linalg.norm(strains / self._shears(), axis=1)
        outside: Array = norms > self.options.strain * _EDGE
        if outside.any() and self.options.beyond == "refuse":
            raise CaseError(
                f"{outside.sum()} of {len(strains)} strains are beyond {self.options.strain}, to which the law was "
                f"fitted; the largest is {norms.max():.3g}",
                where="cauchy_born",
                todo='raise polynomial.strain, or say polynomial.beyond = "engine"',
            )
        return outside

    def _polynomial(self, strains: Array, tangent: bool) -> StrainResponse:
        size, values = self.options.strain, self._base.values(strains / self.options.strain)
        energy = self._zero + values @ self._energy
        second = np.einsum("nt,tpq->npq", values, self._second, optimize=True) / size**2 if tangent else None
        return StrainResponse(energy, values @ self._first / size, second)

    def inner(self, strains: Array) -> tuple[Array, Array]:
        """Return η (n, 3b) Å and dη/de (n, 3b, k) at strains (n, k); a polynomial of a degree less."""
        outside = self._outside(strains)
        basis, size = self._base, self.options.strain
        values = basis.values(strains / size)
        slopes = [values @ basis.derivative(self._places, v) / size for v in range(basis.variables)]
        places, turned = values @ self._places, np.stack(slopes, axis=2)
        if outside.any():
            places[outside], turned[outside] = self.asked.inner(strains[outside])
        return places, turned


def _merged(where: Array, there: Array, elsewhere: Array) -> Array:
    found = np.zeros((len(where), *there.shape[1:]))
    found[where], found[~where] = there, elsewhere
    return found
