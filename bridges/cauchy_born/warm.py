r"""The quasi-harmonic law: a crystal's energy at rest and the free energy of its vibrations, as a function of strain.

$$W(e, T) = W(e) + A(e, \eta(e); T), \qquad S = W_e + A_e, \qquad \mathbb{C} = W_{ee} + A_{ee}$$

with inner displacements η where the atoms at rest have them (the zero static internal stress approximation,
S. Taylor, G. D. Barrera, N. L. Allan and T. H. K. Barron, Phys. Rev. B 56, 14380 (1997),
doi:10.1103/PhysRevB.56.14380). It is exact to the first order in T; what is left out, phonons that meet, is of the
second. A's slopes are fourth-order differences.
"""

from __future__ import annotations

import numpy as np

from scalespan.adapters.interface import Array

from .cell import CellAnswer
from .relaxed import Asked, Tangent
from .vibrations import Vibrations

_STEP = 2e-3  # strain
_SIDES = ((1, 8.0 / 12.0), (-1, -8.0 / 12.0), (2, -1.0 / 12.0), (-2, 1.0 / 12.0))
_CURVE = ((1, 16.0 / 12.0), (-1, 16.0 / 12.0), (2, -1.0 / 12.0), (-2, -1.0 / 12.0))
_MIDDLE = -30.0 / 12.0


class Warm(Asked):
    """A law asked of an engine, with vibrations."""

    def __init__(self, rest: Asked, vibrations: Vibrations) -> None:
        super().__init__(rest.cell, rest.relaxed, 0.0, rest.step)
        self.rest, self.vibrations = rest, vibrations
        self._free: dict[bytes, float] = {}

    def answer(self, strain: Array) -> tuple[CellAnswer, Array]:
        """Return the answer at one strain (k,), and its η (3b,) Å."""
        key = strain.tobytes()
        if key not in self._answers:
            rest, inner = self.rest.answer(strain)
            ways = _STEP * np.eye(len(strain))
            slopes = [sum(w * self.free_energy(strain + t * way) for t, w in _SIDES) / _STEP for way in ways]
            energy = rest.energy + self.free_energy(strain)
            self._answers[key] = CellAnswer(energy, rest.stress + np.array(slopes), rest.pull), inner
        return self._answers[key]

    def tangent(self, strain: Array) -> Tangent:
        """Return the second derivatives at one strain (k,)."""
        key = strain.tobytes()
        if key not in self._tangents:
            rest = self.rest.tangent(strain)
            self._tangents[key] = Tangent(rest.stiffness + self._curvature(strain), rest.inner)
        return self._tangents[key]

    def free_energy(self, strain: Array) -> float:
        """Return A (eV/Å^d) at one strain (k,)."""
        at = np.round(strain, 13) + 0.0
        key = at.tobytes()
        if key not in self._free:
            self._free[key] = self.vibrations.free_energy(at, self.rest.answer(at)[1])
        return self._free[key]

    def _curvature(self, strain: Array) -> Array:
        """Return ∂²A/∂e² (k, k), from its curvature along axes and along their sums."""
        axes = np.eye(len(strain))
        alone = np.array([self._along(strain, way) for way in axes])
        found = np.diag(alone)
        for p, q in zip(*np.triu_indices(len(strain), 1), strict=True):
            both = self._along(strain, axes[p] + axes[q])
            found[p, q] = found[q, p] = 0.5 * (both - alone[p] - alone[q])
        return found

    def _along(self, strain: Array, way: Array) -> float:
        sides = sum(weight * self.free_energy(strain + times * _STEP * way) for times, weight in _CURVE)
        return (sides + _MIDDLE * self.free_energy(strain)) / _STEP**2
