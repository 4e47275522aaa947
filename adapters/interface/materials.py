"""What a material is: the law that a continuum asks at its quadrature points.

The answer may be a formula, a table, a crystal under the Cauchy–Born rule or a whole
microstructure; the continuum sees the deformation gradient F go in, and the energy, the first
Piola–Kirchhoff stress P = ∂W/∂F and the tangent ∂P/∂F come out.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from math import inf
from typing import Protocol, TypeVar, final

import numpy as np
from ase import Atoms

from .adapter import Adapter
from .data import Array, State, Table
from .errors import CaseError, EngineFailed, NotOffered

_Item = TypeVar("_Item")
_Found = TypeVar("_Found")


class Spread(Protocol):
    """Does the same work to many items, as `map` does, perhaps not all of it here."""

    def __call__(self, work: Callable[[_Item], _Found], items: Sequence[_Item], costs: Sequence[float]) -> list[_Found]:
        """Return what the work makes of each item; items and findings can be pickled.

        Called by all who share, in the same order, each with its own items. Costs may be in any unit.

        Raises:
            ScalespanError: the first that the work raised, of anyone's items, on all.
        """


def in_turn(work: Callable[[_Item], _Found], items: Sequence[_Item], costs: Sequence[float]) -> list[_Found]:
    """Do it all here, one item after the other."""
    return [work(each) for each in items]


@dataclass(frozen=True)
class Response:
    """A material's answer at n points, in units of `Material.stress_unit`."""

    energy: Array  # (n,) W, of the undeformed volume
    stress: Array  # (n, d, d) P = ∂W/∂F
    tangent: Array | None = None  # (n, d, d, d, d) ∂P_ij/∂F_kl; None where it was not wanted
    covariance: Array | None = None  # (n, d, d, d, d) of P_ij and P_kl, of a law that is measured; None: exact
    tangent_variance: Array | None = None  # (n, d, d, d, d) of each component, likewise
    dissipation: Array | None = None  # (n,) lost since the last `advance`; None of a law that loses nothing
    exact: bool = True  # False: of `iterate`, and `respond` would answer better


class Material(Adapter):
    """A law of solids. A subclass gives `dimension`, `stress_unit`, `density` and `_respond`.

    Points are asked in the same order and number until `advance`, so that a law may keep a history for each.
    """

    @property
    @abstractmethod
    def dimension(self) -> int:
        """The dimension d of F: 1 for a chain, 2 for a sheet (W is of the area), 3."""

    @property
    @abstractmethod
    def stress_unit(self) -> str:
        """The unit of W, P and the tangent, in pint's spelling: "eV/angstrom**3"; of a sheet, "eV/angstrom**2"."""

    @property
    @abstractmethod
    def density(self) -> float:
        """The mass of the undeformed volume, in amu/Å^d."""

    @final
    def respond(self, deformation: Array, tangent: bool = False) -> Response:
        """Return energy, stress and, where wanted, tangent at deformation gradients F (n, d, d).

        Raises:
            CaseError: another shape, an F that is not finite or turns the material inside out.
            EngineFailed: the law's engine failed, or answered with something not finite.
        """
        return self._finite(self._respond(self.checked(deformation), tangent))

    @final
    def iterate(self, deformation: Array, tangent: bool = False) -> Response:
        """Answer on the way to an equilibrium: perhaps not exactly yet.

        An iteration whose last answer was not exact asks `respond` at the F where it ends, and goes on from there if
        that is another.

        Raises:
            CaseError, EngineFailed: as `respond`.
        """
        return self._finite(self._iterate(self.checked(deformation), tangent))

    @final
    def checked(self, deformation: Array) -> Array:
        """Return deformation gradients as `respond` takes them.

        Raises:
            CaseError: another shape, an F that is not finite or turns the material inside out.
        """
        d = self.dimension
        given = np.asarray(deformation, dtype=np.float64)
        if given.ndim != 3 or given.shape[1:] != (d, d):
            raise CaseError(f"deformation gradients have the shape {given.shape}, and must have (n, {d}, {d})")
        if not np.isfinite(given).all() or (len(given) and float(_volumes(given).min()) <= 0.0):
            raise CaseError(f"{self.name} was given a deformation that turns the material inside out")
        return given

    def _finite(self, answer: Response) -> Response:
        if not (np.isfinite(answer.energy).all() and np.isfinite(answer.stress).all()):
            raise EngineFailed("the stress is not finite", where=self.name)
        return answer

    @abstractmethod
    def _respond(self, deformation: Array, tangent: bool) -> Response:
        """Answer; F has been checked."""

    def _iterate(self, deformation: Array, tangent: bool) -> Response:
        """Answer, on the way; F has been checked. Most laws have no cheaper answer than the exact one."""
        return self._respond(deformation, tangent)

    def share(self, spread: Spread, rank: int) -> None:
        """Hear who shares the work of answering: a law that takes long at its points spreads them from now on.

        All who share then ask at the same time, each at its own points; ``rank`` is this one's number, so that a
        law with noise has other noise on each.
        """
        return

    def observe(self) -> Mapping[str, float]:
        """Return numbers to keep, counted since the beginning, with units in their names: ``{"cells/1": 12}``."""
        return {}

    def inner(self, deformation: Array) -> tuple[Array, Array] | None:
        """Return how the atoms of a crystal's cell move beside F: None where F takes each to its place.

        Args:
            deformation: (n, d, d).

        Returns:
            the inner displacements ξ (n, b, d), Å, of the cell's b atoms, whose centre of mass stays, and their
            slopes ∂ξ_i/∂F_kl (n, b, d, d, d).
        """
        return None

    def lattice(self) -> Atoms | None:
        """Return the cell of the crystal whose law it is, in the order of `inner`; None of any other material."""
        return None

    def at_rest(self) -> Material | None:
        """Return the law of the same atoms at rest, where this one is of atoms that move; None where they are one.

        A law at a temperature is a free energy: it holds the atoms' motion. A handshake needs both, see there.
        """
        return None

    def sharpen(self, factor: float) -> None:
        """Take ``factor`` times as many samples from the next answer on; those that are there stay in the mean.

        Raises:
            NotOffered: the law is no mean of samples.
        """
        raise NotOffered(f"{self.name} is no mean of samples, so that more of them do not make it sharper")

    def tolerate(self, errors: Array) -> None:
        """Bring the stress's standard error at each point below ``errors`` (n,), from the next answer on.

        By more samples, until the step is final. They are in `stress_unit`, in the order of the last answer's points,
        and of the stress's worst direction: the root of the largest eigenvalue of its covariance.

        Raises:
            NotOffered: the law cannot take more samples at one point than at another.
        """
        raise NotOffered(f"{self.name} cannot take more samples at one point than at another")

    @property
    def longest_step(self) -> float:
        """Endless: a law has no time of its own unless it says so."""
        return inf

    def advance(self, dt: float) -> None:
        """Hear that the last answers' step is final; a law with a history moves it on here."""

    def save(self) -> State:
        """Return the history; most laws have none."""
        return {}

    def restore(self, state: State) -> None:
        """Return to a saved history."""

    def audit(self) -> list[Table]:
        """Return what a person should see before running; raise what makes running wrong."""
        return []


def _volumes(deformation: Array) -> Array:
    """Return det F (n,); in space by the triple product, which is several times faster than LAPACK."""
    if deformation.shape[1] != 3:
        return np.asarray(np.linalg.det(deformation))
    found: Array = np.einsum("ni,ni->n", deformation[:, 0], np.cross(deformation[:, 1], deformation[:, 2]))
    return found
