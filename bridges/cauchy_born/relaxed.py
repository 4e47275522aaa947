r"""The law asked of the engine: inner displacements relaxed, and condensed out of the tangent.

$$W(e) = \min_\eta W(e, \eta), \quad S = \partial_e W, \quad
\mathbb{C} = W_{ee} - W_{e\eta} W_{\eta\eta}^{-1} W_{\eta e}, \quad
\frac{d\eta}{de} = -W_{\eta\eta}^{-1} W_{\eta e}$$

Source: M. Born and K. Huang, Dynamical Theory of Crystal Lattices (1954), §§ 11 and 23; E. B. Tadmor, G. S. Smith,
N. Bernstein and E. Kaxiras, Phys. Rev. B 59, 235 (1999), doi:10.1103/PhysRevB.59.235.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from scalespan.adapters.interface import Array, NotConverged

from .cell import Cell, CellAnswer
from .strain import StrainResponse

_STEPS = 60  # of a relaxation
_RESET = 12  # steps after which the second derivatives are computed anew
_LARGEST = 0.2  # Å, of a step
_DIGITS = 13  # strains that agree to so many decimals are one
_KEPT = 50_000  # answers
_SOFT = 1e-8  # of the stiffest inner displacement: softer ones are translations


@dataclass(frozen=True)
class Tangent:
    """Second derivatives at one strain."""

    stiffness: Array  # (k, k) ℂ, eV/Å^d
    inner: Array  # (3b, k) dη/de, Å


class Asked:
    """The law by the engine: each strain is asked once."""

    def __init__(self, cell: Cell, relaxed: bool, tolerance: float, step: float) -> None:
        self.cell, self.step = cell, step
        self.relaxed = relaxed and cell.count > 1
        self._tolerance = tolerance / cell.crystal.volume
        self._answers: dict[bytes, tuple[CellAnswer, Array]] = {}
        self._tangents: dict[bytes, Tangent] = {}
        self._start: tuple[Array, Array] | None = None  # ∂²W/∂η² and dη/de at no strain
        self._length = cell.crystal.volume ** (1.0 / cell.crystal.dimension)  # Å: turns strains into displacements

    def respond(self, strains: Array, tangent: bool) -> StrainResponse:
        """Answer at strains (n, k)."""
        which, back = np.unique(rounded(strains), axis=0, return_inverse=True)
        back = back.ravel()
        answers = [self.answer(strain)[0] for strain in which]
        energy = np.array([each.energy for each in answers])[back]
        stress = np.array([each.stress for each in answers]).reshape(-1, strains.shape[1])[back]
        if not tangent:
            return StrainResponse(energy, stress)
        found = np.array([self.tangent(strain).stiffness for strain in which])
        return StrainResponse(energy, stress, found.reshape(-1, *2 * strains.shape[1:])[back])

    def inner(self, strains: Array) -> tuple[Array, Array]:
        """Return η (n, 3b) Å and dη/de (n, 3b, k) at strains (n, k); the mean of η is zero."""
        which, back = np.unique(rounded(strains), axis=0, return_inverse=True)
        back = back.ravel()
        places = np.array([self.answer(strain)[1] for strain in which])
        return places[back], np.array([self.tangent(strain).inner for strain in which])[back]

    def answer(self, strain: Array) -> tuple[CellAnswer, Array]:
        """Return the relaxed answer at one strain (k,), and its η (3b,) Å."""
        key = strain.tobytes()
        if key not in self._answers:
            if len(self._answers) >= _KEPT:
                self._answers.clear()
            still = np.zeros(3 * self.cell.count)
            found = self._relax(strain) if self.relaxed else (self.cell.ask(strain, still), still)
            self._answers[key] = found
        return self._answers[key]

    def tangent(self, strain: Array) -> Tangent:
        """Return the second derivatives at one strain (k,)."""
        key = strain.tobytes()
        if key not in self._tangents:
            if len(self._tangents) >= _KEPT:
                self._tangents.clear()
            self._tangents[key] = self._condensed(strain, self.answer(strain)[1])
        return self._tangents[key]

    def _condensed(self, strain: Array, inner: Array) -> Tangent:
        stiffness, mixed = self.cell.differences(strain, inner, self.step)
        if not self.relaxed or np.abs(mixed).max() < self._tolerance / self.step:
            return Tangent(stiffness, np.zeros_like(mixed))
        slope = -_inverse(self._hessian(strain, inner)) @ mixed
        return Tangent(stiffness + mixed.T @ slope, slope)

    def _hessian(self, strain: Array, inner: Array) -> Array:
        return self.cell.inner_hessian(strain, inner, self.step * self._length)

    def _relax(self, strain: Array) -> tuple[CellAnswer, Array]:
        """Minimise over η by BFGS from where the unstrained crystal's linear response puts it."""
        inner: Array = np.zeros(self.cell.count * 3)
        inverse: Array = np.zeros((0, 0))
        answer = self.cell.ask(strain, inner)
        for step in range(_STEPS):
            if np.abs(answer.pull).max() < self._tolerance:
                return answer, inner
            if step == 0:
                hessian, slope = self._first()
                inverse, move = _inverse(hessian), slope @ strain
            else:
                inverse = _inverse(self._hessian(strain, inner)) if step % _RESET == 0 else inverse
                move = -inverse @ answer.pull
            move = move * min(1.0, _LARGEST / max(float(np.abs(move).max()), 1e-300))
            following = self.cell.ask(strain, inner + move)
            inverse = _updated(inverse, move, following.pull - answer.pull)
            inner, answer = inner + move, following
        left = float(np.abs(answer.pull).max()) * self.cell.crystal.volume
        raise NotConverged(
            f"the inner displacements at the strain {strain.tolist()} keep a force of {left:.1e} eV/Å after {_STEPS} "
            "steps",
            todo="raise 'force_tolerance' where the engine is no more exact, or take a smaller strain",
        )

    def _first(self) -> tuple[Array, Array]:
        if self._start is None:
            none, still = np.zeros(self.cell.size), np.zeros(3 * self.cell.count)
            hessian = self._hessian(none, still)
            mixed = self.cell.differences(none, still, self.step)[1]
            self._start = hessian, -_inverse(hessian) @ mixed
        return self._start


def rounded(strains: Array) -> Array:
    """Return strains (n, k) to the decimals by which they are told apart."""
    return np.round(strains, _DIGITS) + 0.0  # no negative zeros: they have other bytes


def _inverse(hessian: Array) -> Array:
    """Return the inverse on everything but translations, which keep the mean of η where it is."""
    found: Array = np.linalg.pinv(hessian, rcond=_SOFT, hermitian=True)
    return found


def _updated(inverse: Array, move: Array, change: Array) -> Array:
    """Return the BFGS update of an inverse Hessian (Nocedal and Wright, Numerical Optimization, eq. 6.17)."""
    curvature = float(move @ change)
    if curvature <= 1e-12 * float(np.linalg.norm(move) * np.linalg.norm(change)):
        return inverse
    turned = np.eye(len(move)) - np.outer(move, change) / curvature
    found: Array = turned @ inverse @ turned.T + np.outer(move, move) / curvature
    return found
