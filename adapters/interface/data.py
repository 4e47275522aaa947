"""The data that crosses the line between an adapter and everyone else."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

# The dtypes are left open for the type checker: NumPy's stubs of 2.2 and 2.4 disagree on what arithmetic gives.
Array: TypeAlias = npt.NDArray[Any]  # float64
Indices: TypeAlias = npt.NDArray[Any]  # int64

# All that a step depends on, as named arrays: the same form in memory, over MPI and on disk.
State: TypeAlias = dict[str, npt.NDArray[np.generic]]


class Quantity(StrEnum):
    """What a particle adapter can be asked for; each is a field of `Results`."""

    ENERGY = "energy"
    FORCES = "forces"
    STRESS = "stress"
    CHARGES = "charges"
    DIPOLE = "dipole"
    CHARGE_FORCES = "charge_forces"
    CHARGE_POTENTIAL = "charge_potential"


@dataclass(frozen=True)
class Results:
    """What ``compute`` found; a quantity that was not wanted may be ``None``."""

    energy: float | None = None  # eV
    forces: Array | None = None  # (n, 3) eV/Å, minus the gradient of `energy`
    stress: Array | None = None  # (6,) eV/Å³, xx yy zz yz xz xy, positive in tension (ASE's sign)
    charges: Array | None = None  # (n,) e, partial charges of the atoms
    dipole: Array | None = None  # (3,) e·Å, about the origin
    charge_forces: Array | None = None  # (m, 3) eV/Å, on the external charges
    charge_potential: Array | None = None  # (m,) V, dE/dq at the external charges
    components: Mapping[str, float] = field(default_factory=dict)  # eV; they add up to `energy`

    def need(self, quantity: Quantity) -> float | Array:
        """Return one quantity, which the caller has asked for and the adapter must have given."""
        value: float | Array | None = getattr(self, quantity.value)
        assert value is not None, f"{quantity.value} was wanted and not given"
        return value


@dataclass(frozen=True)
class ExternalCharges:
    """Charges that act on an adapter's atoms and belong to someone else.

    A positive radius ``a`` makes a charge the Gaussian ``q (π a²)^(-3/2) exp(-r²/a²)``,
    whose potential is ``q erf(r/a)/r``; zero makes it a point. Charges do not act on each other.
    """

    positions: Array  # (m, 3) Å
    charges: Array  # (m,) e
    radii: Array | None = None  # (m,) Å, the Gaussian's 1/e radius; None: all are points

    def __post_init__(self) -> None:
        m = len(self.charges)
        assert self.positions.shape == (m, 3), "one position for each charge"
        assert self.radii is None or self.radii.shape == (m,), "one radius for each charge"

    def __len__(self) -> int:
        return len(self.charges)

    def followed_by(self, other: ExternalCharges) -> ExternalCharges:
        """Return these charges and then the others'."""
        radii = None
        if self.radii is not None or other.radii is not None:
            points = [np.zeros(len(each)) if each.radii is None else each.radii for each in (self, other)]
            radii = np.concatenate(points)
        positions = np.concatenate([self.positions, other.positions])
        return ExternalCharges(positions, np.concatenate([self.charges, other.charges]), radii)


def pairs(bonds: Indices) -> list[tuple[int, int]]:
    """Return bonds (k, 2) as pairs of whole numbers."""
    return [(int(i), int(j)) for i, j in bonds]


@dataclass(frozen=True)
class Topology:
    """Who is bonded to whom, and what the parts are called. Arrays are in the order of the atoms."""

    numbers: Indices  # (n,) atomic numbers; 0 for a site without an element
    names: tuple[str, ...]  # (n,) atom names, "CA"
    residues: Indices  # (n,) index of each atom's residue, from 0
    residue_names: tuple[str, ...]  # (number of residues,) "ALA"
    residue_numbers: tuple[int, ...]  # (number of residues,) as in the file
    chains: tuple[str, ...]  # (number of residues,) chain or segment
    bonds: Indices  # (k, 2) pairs of atoms, each once, i < j
    charges: Array  # (n,) e; zeros where the adapter has none

    def __len__(self) -> int:
        return len(self.numbers)

    def neighbours(self) -> list[list[int]]:
        """Return, for each atom, the atoms bonded to it, ascending."""
        found: list[list[int]] = [[] for _ in range(len(self))]
        for i, j in pairs(self.bonds):
            found[i].append(j)
            found[j].append(i)
        return [sorted(each) for each in found]

    def molecules(self) -> Indices:
        """Return the index (n,) of each atom's molecule: a connected part of the bond graph."""
        from scipy.sparse import coo_array
        from scipy.sparse.csgraph import connected_components

        i, j = self.bonds.T if len(self.bonds) else np.zeros((2, 0), dtype=np.int64)
        graph = coo_array((np.ones(len(i)), (i, j)), shape=(len(self), len(self)))
        labels: Indices = connected_components(graph, directed=False)[1].astype(np.int64)
        return labels


@dataclass(frozen=True)
class Chart:
    """What the report draws beside a table: curves over x, or spots in a plane."""

    x: str  # what is along it, with its unit: "wavelength (Å)"
    y: str
    curves: Mapping[str, tuple[tuple[float, float], ...]] = field(default_factory=dict)  # name -> points
    spots: tuple[tuple[float, float, float], ...] = ()  # x, y, and a size above zero, drawn by its power of ten
    size: str = ""  # what it is of the spots, with its unit
    range: tuple[float, float] = (0.0, 0.0)  # of the sizes' colours
    log: bool = False  # of curves: both axes by powers of ten

    @staticmethod
    def points(*columns: Array) -> tuple[Any, ...]:
        """Return columns (n,) as rows of six digits, for `curves` and `spots`."""
        return tuple(tuple(float(f"{each:.6g}") for each in row) for row in zip(*columns, strict=True))


@dataclass(frozen=True)
class Table:
    """Rows for people: what `scalespan check` and the report print of an adapter."""

    title: str
    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    note: str = ""
    chart: Chart | None = None  # in the report only


@dataclass(frozen=True)
class TermCount:
    """How many terms of one class have their atoms inside a region, on both sides, outside it."""

    inside: int
    across: int
    outside: int
