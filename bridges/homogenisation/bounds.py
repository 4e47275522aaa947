r"""Bounds of effective constants, from the phases' constants and fractions alone.

Voigt's (uniform strain, W. Voigt 1889, doi:10.1002/andp.18892741206) and Reuss's (uniform stress, A. Reuss 1929,
doi:10.1002/zamm.19290090104) hold of any medium, and as matrices. Closer ones hold of media that are isotropic:

$$k_* = \left\langle \frac{1}{k + \zeta} \right\rangle^{-1} - \zeta, \qquad
  \mu_* = \left\langle \frac{1}{\mu + \eta} \right\rangle^{-1} - \eta, \qquad
  \kappa_* = \left\langle \frac{1}{\kappa + (d-1)\,\kappa_0} \right\rangle^{-1} - (d-1)\,\kappa_0,$$

in 3-D with ζ = 4μ₀/3 and η = μ₀(9k₀ + 8μ₀)/(6(k₀ + 2μ₀)) (Z. Hashin and S. Shtrikman 1963,
doi:10.1016/0022-5096(63)90060-7; L. J. Walpole 1966, doi:10.1016/0022-5096(66)90035-4, where the phase that is stiffer
in k is softer in μ), across fibres in plane strain with ζ = μ₀ and η = μ₀k₀/(k₀ + 2μ₀), where k = λ + μ
(R. Hill 1964, doi:10.1016/0022-5096(64)90019-5; Z. Hashin 1965, doi:10.1016/0022-5096(65)90015-3), and of conductors
in d dimensions (Z. Hashin and S. Shtrikman 1962, doi:10.1063/1.1728579). The smallest k₀, μ₀, κ₀ of the phases give the
lower bound, the largest the upper one.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from scalespan.adapters.interface import Array, CaseError, Table


@dataclass(frozen=True)
class Interval:
    """A number's lower and upper bound."""

    low: float
    high: float

    def holds(self, value: float, slack: float = 0.0) -> bool:
        """Say whether a value lies between, within a relative ``slack``."""
        return self.low * (1.0 - slack) <= value <= self.high * (1.0 + slack)


@dataclass(frozen=True)
class Phase:
    """An isotropic elastic phase."""

    fraction: float
    young: float
    poisson: float

    @property
    def shear(self) -> float:
        """The shear modulus μ."""
        return self.young / (2.0 * (1.0 + self.poisson))

    def bulk(self, dimension: int) -> float:
        """Return k = λ + 2μ/d: of the volume in 3-D, of the area in plane strain in 2-D."""
        first = self.young * self.poisson / ((1.0 + self.poisson) * (1.0 - 2.0 * self.poisson))
        return first + 2.0 * self.shear / dimension


def voigt_reuss(values: Array, fractions: Array) -> Interval:
    """Return the harmonic and the arithmetic mean of bulk moduli, shear moduli or conductivities (k,) of phases.

    Raises:
        CaseError: fractions (k,) that do not add up to 1, or a value that is not above zero.
    """
    values, fractions = _checked(values, fractions)
    return Interval(1.0 / float((fractions / values).sum()), float((fractions * values).sum()))


def conductivity_bounds(values: Array, fractions: Array, dimension: int) -> Interval:
    """Return Hashin and Shtrikman's bounds of an isotropic conductor of phases of conductivities (k,).

    Raises:
        CaseError: see `voigt_reuss`; a dimension that is neither 2 nor 3.
    """
    values, fractions = _checked(values, fractions)
    _known(dimension)
    return _between(values, fractions, [(dimension - 1) * float(each) for each in (values.min(), values.max())])


def elastic_bounds(phases: list[Phase], dimension: int) -> dict[str, Interval]:
    """Return bounds of the bulk modulus, ``"bulk"``, and the shear modulus, ``"shear"``, of an isotropic medium.

    In 3-D they are Hashin and Shtrikman's, in 2-D (plane strain, across fibres) Hill's and Hashin's.

    Raises:
        CaseError: see `conductivity_bounds`.
    """
    _known(dimension)
    bulk, fractions = _checked([each.bulk(dimension) for each in phases], [each.fraction for each in phases])
    shear, _ = _checked([each.shear for each in phases], fractions)
    ends = [(float(bulk.min()), float(shear.min())), (float(bulk.max()), float(shear.max()))]
    around = [4.0 * mu / 3.0 if dimension == 3 else mu for _, mu in ends]
    along = [_eta(k, mu, dimension) for k, mu in ends]
    return {"bulk": _between(bulk, fractions, around), "shear": _between(shear, fractions, along)}


def bounds_table(found: dict[str, float], bounds: dict[str, Interval], unit: str) -> Table:
    """Return a table of numbers and of the bounds of the same names."""
    rows = [
        (name, f"{each.low:.7g}", f"{found[name]:.7g}", f"{each.high:.7g}", "yes" if each.holds(found[name]) else "no")
        for name, each in bounds.items()
    ]
    return Table(f"Effective constants and their bounds, {unit}", ("of", "low", "found", "high", "within"), tuple(rows))


def _between(values: Array, fractions: Array, around: list[float]) -> Interval:
    low, high = (1.0 / float((fractions / (values + each)).sum()) - each for each in around)
    return Interval(low, high)


def _eta(bulk: float, shear: float, dimension: int) -> float:
    if dimension == 3:
        return shear * (9.0 * bulk + 8.0 * shear) / (6.0 * (bulk + 2.0 * shear))
    return shear * bulk / (bulk + 2.0 * shear)


def _checked(values: object, fractions: object) -> tuple[Array, Array]:
    known, parts = np.asarray(values, dtype=np.float64), np.asarray(fractions, dtype=np.float64)
    if known.shape != parts.shape or known.ndim != 1 or not len(known):
        raise CaseError(f"{known.size} constants and {parts.size} fractions of phases: one of each is wanted")
    if not np.isfinite(known).all() or known.min() <= 0.0:
        raise CaseError(f"a phase with the constant {known.min():g}: bounds are of constants above zero")
    if parts.min() < 0.0 or abs(parts.sum() - 1.0) > 1e-9:
        raise CaseError(f"the fractions of the phases add up to {parts.sum():.9g}", todo="make it 1")
    return known, parts


def _known(dimension: int) -> None:
    if dimension not in (2, 3):
        raise CaseError(f"bounds are known in 2 and 3 dimensions, not in {dimension}")
