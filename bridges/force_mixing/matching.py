"""Elastic matching: both levels are measured in one crystal, and the low one is scaled to the high one's a₀ and B.

    E′(x) = λ E(x / α),  F′(x) = (λ / α) F(x / α),  α = a₀(high) / a₀(low),  λ = α³ B(high) / B(low)

E′ has its minimum at α a₀(low) = a₀(high), and B′ = V′ d²E′/dV′² = (λ / α³) B(low) = B(high). (N. Bernstein,
J. R. Kermode and G. Csányi 2009, doi:10.1088/0034-4885/72/2/026501.) Three cubic constants cannot be fitted by two
numbers: what is left of C′ and C₄₄ is left.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from ase import Atoms
from ase.build import bulk
from numpy.polynomial import Polynomial

from scalespan.adapters.interface import (
    Array,
    CaseError,
    ExternalCharges,
    NotOffered,
    Options,
    ParticleAdapter,
    Quantity,
    Results,
    ScalespanError,
    State,
)

from .options import MatchOptions

_WIDE, _FINE = 0.08, 0.01  # of the lattice constant, on either side: the search, and the fit
_POINTS = 9


@dataclass(frozen=True)
class Crystal:
    """What was measured of a crystal at rest."""

    a0: float  # Å, the cubic lattice constant
    bulk_modulus: float  # eV/Å³


def measure(adapter: ParticleAdapter, options: MatchOptions) -> Crystal:
    """Return a₀ and B of a crystal: minimum and curvature of a quartic through energies within 1 % of the minimum.

    Raises:
        CaseError: no minimum within 8 % of ``options.near``.
        NotOffered: an engine that takes no periodic cell.
    """
    scales = options.near * np.linspace(1.0 - _WIDE, 1.0 + _WIDE, _POINTS)
    energies = _energies(adapter, options, scales)
    lowest = int(energies.argmin())
    if lowest in (0, _POINTS - 1):
        raise CaseError(
            f"{adapter.name} has no minimum between {scales[0]:.2f} and {scales[-1]:.2f} Å for {options.structure} "
            f"{options.element}",
            where="force_mixing.match.near",
            todo="give its lattice constant",
        )
    guess = _minimum(scales, energies)
    for _ in range(2):
        scales = guess * np.linspace(1.0 - _FINE, 1.0 + _FINE, _POINTS)
        energies = _energies(adapter, options, scales)
        guess = _minimum(scales, energies)
    fit = _fit(scales, energies)
    # B = V d²E/dV² with V = a³ (of one cubic cell) and dE/da = 0 at the minimum: B = E″(a₀) / (9 a₀)
    return Crystal(guess, float(fit.deriv(2)(guess)) / (9.0 * guess))


def _energies(adapter: ParticleAdapter, options: MatchOptions, scales: Array) -> Array:
    """Return the energies (p,) eV of one cubic cell at lattice constants (p,)."""
    cells = options.cells
    crystals = [bulk(options.element, options.structure, a=float(a), cubic=True).repeat(cells) for a in scales]
    try:
        found = [adapter.compute(crystal, {Quantity.ENERGY}).energy for crystal in crystals]
    except ScalespanError as error:
        raise NotOffered(
            f"{adapter.name} cannot be measured in a crystal: {error.what}",
            where="force_mixing.match",
            todo="leave 'match' away, or choose engines that take periodic cells",
        ) from error
    return np.array(found, dtype=float) / cells**3


def _fit(scales: Array, energies: Array) -> Polynomial:
    return Polynomial.fit(scales, energies, 4)


def _minimum(scales: Array, energies: Array) -> float:
    roots = _fit(scales, energies).deriv().roots()
    real = roots.real[(abs(roots.imag) < 1e-9) & (roots.real >= scales[0]) & (roots.real <= scales[-1])]
    lowest = float(scales[energies.argmin()])
    return float(real[abs(real - lowest).argmin()]) if len(real) else lowest


@dataclass(frozen=True)
class Match:
    """Both levels as measured, and what follows."""

    high: Crystal
    low: Crystal

    @property
    def alpha(self) -> float:
        """The scale of lengths."""
        return self.high.a0 / self.low.a0

    @property
    def scale(self) -> float:
        """The scale λ of energies."""
        return self.alpha**3 * self.high.bulk_modulus / self.low.bulk_modulus

    def save(self) -> State:
        """Return the four numbers, so that a restart does not measure again."""
        crystals = (self.high, self.low)
        return {"match": np.array([each for crystal in crystals for each in (crystal.a0, crystal.bulk_modulus)])}

    @classmethod
    def saved(cls, state: State) -> Match:
        """Return what `save` gave."""
        numbers = state["match"].astype(float).tolist()
        return cls(Crystal(*numbers[:2]), Crystal(*numbers[2:]))


class Rescaled(ParticleAdapter):
    """An adapter with its lengths and energies scaled, E′(x) = λ E(x / α)."""

    name = "rescaled"
    Options = Options

    def __init__(self, inner: ParticleAdapter, alpha: float, scale: float) -> None:
        self.inner, self.alpha, self.scale = inner, alpha, scale
        self.offers = inner.offers & {Quantity.ENERGY, Quantity.FORCES, Quantity.STRESS}
        self.conservative, self.elements = inner.conservative, inner.elements

    def _compute(self, atoms: Atoms, wanted: frozenset[Quantity], charges: ExternalCharges | None) -> Results:
        mine = atoms.copy()
        mine.set_cell(atoms.cell.array / self.alpha)
        mine.positions = atoms.positions / self.alpha
        found = self.inner.compute(mine, wanted)
        factors = {
            "energy": self.scale,
            "forces": self.scale / self.alpha,
            "stress": self.scale / self.alpha**3,
        }
        scaled = {key: value * by for key, by in factors.items() if (value := getattr(found, key)) is not None}
        return Results(**scaled, components={key: value * self.scale for key, value in found.components.items()})

    def _save_engine(self) -> State:
        return self.inner._save_engine()

    def _restore_engine(self, state: State) -> None:
        self.inner._restore_engine(state)

    def close(self) -> None:
        """Close the engine."""
        self.inner.close()
