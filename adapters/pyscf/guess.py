"""The SCF's first density along a path: extrapolated from the last converged ones.

The polynomial through the last K points, newest m = 1 (P. Pulay, G. Fogarasi, Chem. Phys. Lett.
386 (2004) 272, doi:10.1016/j.cplett.2004.01.069), of orbitals projected on the newest ones
(J. VandeVondele et al., Comput. Phys. Commun. 167 (2005) 103, doi:10.1016/j.cpc.2004.12.014, Eq. 20):

    C ≈ Σ_m w_m C_m C_mᵀ S_m C_1,    w_m = (−1)^(m+1) C(K, m),

made orthonormal in the new overlap. K is the one that predicts the new positions best from the
old ones, so a path with kinks falls back to the last density by itself. Kolafa's always stable
predictor (doi:10.1002/jcc.10385) keeps an SCF that is cut short reversible in time; this one
always runs to its end, and from the polynomial it takes a cycle less. The guess is a function
of the stored points and the new positions alone: a saved history gives the same numbers bit for bit.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import comb
from typing import Any

import numpy as np
from ase import Atoms

from ..interface import Array, Indices, State

_POINTS = 6  # the most that one guess is made of
_JUMP = 0.5  # Å; an atom that moved further did not come along a path


@dataclass(frozen=True)
class _Point:
    """One converged calculation."""

    numbers: Indices  # (n,) atomic numbers
    positions: Array  # (n, 3) Å
    orbitals: tuple[Array, ...]  # occupied, (nao, k): one for closed shells, two for open ones
    duals: tuple[Array, ...]  # overlap times orbitals


class History:
    """The last converged orbitals, oldest first."""

    def __init__(self) -> None:
        self._points: list[_Point] = []

    def guess(self, atoms: Atoms, overlap: Array) -> Array | None:
        """Return a density for ``atoms``, or None where the history says nothing of them.

        ``overlap`` is (nao, nao). The density is (nao, nao) for closed shells, else (2, nao, nao).
        Points at these very positions are left out: asking twice gives the same answer twice.
        """
        points = list(self._points)
        while points and np.array_equal(points[-1].positions, atoms.positions):
            points.pop()
        if not points or not _near(points[-1], atoms):
            return None
        weights = min(
            (_weights(k) for k in range(1, min(len(points), _POINTS) + 1)),
            key=lambda weights: float(abs(_ahead(points, weights) - atoms.positions).max()),
        )
        spins = [_density(points, weights, spin, overlap) for spin in range(len(points[-1].orbitals))]
        return 2.0 * spins[0] if len(spins) == 1 else np.array(spins)

    def record(self, atoms: Atoms, overlap: Array, mf: Any) -> None:
        """Keep what ``mf`` converged to at ``atoms``."""
        if self._points and not _near(self._points[-1], atoms):
            self._points.clear()
        if self._points and np.array_equal(self._points[-1].positions, atoms.positions):
            self._points.pop()
        orbitals = _occupied(mf)
        duals = tuple(overlap @ each for each in orbitals)
        self._points.append(_Point(atoms.numbers.copy(), atoms.positions.copy(), orbitals, duals))
        # One more than is used: a calculation that is asked for again leaves out its own point.
        del self._points[: -(_POINTS + 1)]

    def save(self) -> State:
        """Return the stored points."""
        state: State = {}
        for i, point in enumerate(self._points):
            state[f"{i}/numbers"], state[f"{i}/positions"] = point.numbers.copy(), point.positions.copy()
            for spin, (orbitals, dual) in enumerate(zip(point.orbitals, point.duals, strict=True)):
                state[f"{i}/orbitals/{spin}"], state[f"{i}/duals/{spin}"] = orbitals.copy(), dual.copy()
        return state

    def restore(self, state: State) -> None:
        """Return to what `save` gave."""
        self._points = []
        for i in range(sum(key.endswith("/positions") for key in state)):
            spins = range(sum(key.startswith(f"{i}/orbitals/") for key in state))
            self._points.append(
                _Point(
                    np.array(state[f"{i}/numbers"], dtype=np.int64),
                    np.array(state[f"{i}/positions"], dtype=float),
                    tuple(np.array(state[f"{i}/orbitals/{spin}"], dtype=float) for spin in spins),
                    tuple(np.array(state[f"{i}/duals/{spin}"], dtype=float) for spin in spins),
                )
            )


def _near(point: _Point, atoms: Atoms) -> bool:
    same = np.array_equal(point.numbers, atoms.numbers)
    return same and bool(abs(point.positions - atoms.positions).max() < _JUMP)


def _weights(points: int) -> list[float]:
    return [float((-1) ** (m + 1) * comb(points, m)) for m in range(1, points + 1)]


def _ahead(points: list[_Point], weights: list[float]) -> Array:
    terms = [weight * point.positions for weight, point in zip(weights, reversed(points), strict=False)]
    ahead: Array = np.sum(terms, axis=0)
    return ahead


def _density(points: list[_Point], weights: list[float], spin: int, overlap: Array) -> Array:
    newest = points[-1].orbitals[spin]
    orbitals = np.zeros_like(newest)
    for weight, point in zip(weights, reversed(points), strict=False):
        orbitals += weight * point.orbitals[spin] @ (point.duals[spin].T @ newest)
    if orbitals.shape[1] == 0:
        return np.zeros_like(overlap)
    density: Array = orbitals @ np.linalg.solve(orbitals.T @ overlap @ orbitals, orbitals.T)
    return density


def _occupied(mf: Any) -> tuple[Array, ...]:
    coefficients, occupation = mf.mo_coeff, mf.mo_occ
    if np.ndim(coefficients) == 3 or isinstance(coefficients, tuple):
        return tuple(np.array(c[:, n > 0]) for c, n in zip(coefficients, occupation, strict=True))
    if np.any(occupation == 1):  # restricted open shell: alpha, beta
        return np.array(coefficients[:, occupation > 0]), np.array(coefficients[:, occupation == 2])
    return (np.array(coefficients[:, occupation > 0]),)
