"""Charges at a cut bond: schemes that move the charge of M1, as one linear map from atoms to sites.

M1 is the atom outside at a cut bond, M2 its neighbours outside, M3 theirs. With q0 = q_M1 and
n atoms M2 at that M1:

    none   all charges stay
    Z1     M1 has none; Z2: nor M2; Z3: nor M3 (the charge is lost)
    RC     q0/n at each midpoint of M1–M2 (Lin and Truhlar, doi:10.1021/jp0446332)
    RCD    2 q0/n at each midpoint, and −q0/n at M2, which keeps the bonds' dipoles (ibid.)
    CS     q0/n at M2, and ±q0/(2 n f) at M2 ∓ f (M2 − M1), which undo the dipole of the shift
           (Sherwood et al., doi:10.1016/S0166-1280(03)00285-9)

A balanced scheme first changes q0 so that the charges outside and the high level's charge add up
to the force field's total (Wang and Truhlar, doi:10.1021/ct900366m).

Every site is a fixed linear combination of atoms, R = W r, so the forces go back exactly, f_r = Wᵀ f_R.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from ase.data import atomic_numbers, chemical_symbols, covalent_radii
from scipy.sparse import csr_array

from scalespan.adapters.interface import Array, BoundaryError, ChargeError, Indices, OptionError, Topology

from .boundary import Cut, label
from .options import ChargeOptions

_OFF_BY_ONE = 0.5  # e; more than this is no leftover of a cut but another molecule
WHOLE = 1e-4  # e; charges of a force field file add up to an integer this well


@dataclass(frozen=True)
class Sites:
    """The charges that the high level feels."""

    matrix: csr_array  # (m, n) W; a row adds up to one
    charges: Array  # (m,) e
    radii: Array | None  # (m,) Å, Gaussian; None: points

    def __len__(self) -> int:
        return len(self.charges)


@dataclass
class _Draft:
    """Charges on the way from the force field to the high level."""

    topology: Topology
    charges: Array  # (n,) e, of the atoms; none inside the region
    frontier: list[int]  # the atoms M1
    outside: dict[int, list[int]]  # the neighbours outside the region, of M1 and M2
    rows: list[dict[int, float]] = field(default_factory=list)  # extra sites: atom -> weight
    values: list[float] = field(default_factory=list)  # e
    sources: list[int] = field(default_factory=list)  # the M1 that the charge was taken from

    def add(self, row: dict[int, float], value: float, source: int) -> None:
        if value:
            self.rows.append(row)
            self.values.append(value)
            self.sources.append(source)

    def shares(self) -> list[tuple[int, int, float]]:
        """Take the charge off each M1 and return (M1, M2, share) for every bond M1–M2."""
        found = []
        for m1 in self.frontier:
            if not self.outside[m1]:
                raise BoundaryError(
                    f"{label(self.topology, m1)} has no neighbour outside the region to take its charge",
                    todo='choose another cut, or charges.scheme = "Z1"',
                )
            if met := set(self.outside[m1]) & set(self.frontier):
                raise BoundaryError(
                    f"bonds are cut at {label(self.topology, m1)} and at its neighbour "
                    f"{label(self.topology, min(met))}, so charge would return to the boundary",
                    todo='choose another cut, or charges.scheme = "Z2"',
                )
            found += [(m1, m2, self.charges[m1] / len(self.outside[m1])) for m2 in self.outside[m1]]
        self.charges[self.frontier] = 0.0
        return found


def place_charges(topology: Topology, region: Indices, cuts: Sequence[Cut], options: ChargeOptions) -> Sites:
    """Return the sites that the high level feels.

    Raises:
        ChargeError: the region's charges add up to no integer, and nothing says what to do.
        BoundaryError: a scheme that needs M2 at an M1 that has none.
        OptionError: an element without a Gaussian radius.
    """
    draft = _begin(topology, region, cuts)
    leftover = left_over(topology, region, options)
    if options.leftover == "refuse":
        _refuse_leftover(leftover, topology, region, options)
    if options.scheme.startswith("balanced-"):
        _balance(draft, leftover)
    _move(draft, options)
    return _assemble(draft, options)


def _refuse_leftover(leftover: float, topology: Topology, region: Indices, options: ChargeOptions) -> None:
    balanced = options.scheme.startswith("balanced-")
    if abs(leftover) <= (_OFF_BY_ONE if balanced else WHOLE):
        return
    total = float(topology.charges[region].sum())
    is_not = "no integer" if abs(total - round(total)) > WHOLE else f"not the high level's {options.region_charge:+d}"
    if abs(leftover) > _OFF_BY_ONE:
        todo = 'correct the high level\'s charge, or choose leftover = "keep"'
    else:
        todo = 'choose a region of whole charge groups, scheme = "balanced-RCD", or leftover = "keep"'
    raise ChargeError(
        f"the charges of the region add up to {total:+.4f} e, which is {is_not}",
        where="charges",
        todo=todo,
    )


def left_over(topology: Topology, region: Indices, options: ChargeOptions) -> float:
    """Return what the region's charges have beyond the high level's charge (e)."""
    total = float(topology.charges[region].sum())
    return total - (round(total) if options.region_charge is None else options.region_charge)


def _begin(topology: Topology, region: Indices, cuts: Sequence[Cut]) -> _Draft:
    charges = topology.charges.copy()
    charges[region] = 0.0
    frontier = sorted({cut.m for cut in cuts})
    inside = set(region.tolist())
    neighbours = topology.neighbours() if cuts else []
    near = set(frontier) | {b for a in frontier for b in neighbours[a]}
    outside = {a: [b for b in neighbours[a] if b not in inside] for a in near - inside}
    return _Draft(topology, charges, frontier, outside)


def _balance(draft: _Draft, leftover: float) -> None:
    if not draft.frontier and abs(leftover) > WHOLE:
        raise ChargeError(
            f"{leftover:+.4f} e are left over, and there is no cut bond to take them",
            where="charges",
            todo="choose a region of whole molecules",
        )
    draft.charges[draft.frontier] += leftover / max(len(draft.frontier), 1)


def _move(draft: _Draft, options: ChargeOptions) -> None:
    scheme, f = options.scheme.removeprefix("balanced-"), options.spread
    if scheme in ("Z1", "Z2", "Z3"):
        gone = set(draft.frontier)
        for _ in range(int(scheme[1]) - 1):
            gone |= {b for a in gone for b in draft.outside[a]}
        draft.charges[sorted(gone)] = 0.0
    elif scheme != "none":
        for m1, m2, share in draft.shares():
            if scheme == "RC":
                draft.add({m1: 0.5, m2: 0.5}, share, m1)
            elif scheme == "RCD":
                draft.add({m1: 0.5, m2: 0.5}, 2.0 * share, m1)
                draft.charges[m2] -= share
            else:
                draft.charges[m2] += share
                draft.add({m2: 1.0 - f, m1: f}, share / (2.0 * f), m1)
                draft.add({m2: 1.0 + f, m1: -f}, -share / (2.0 * f), m1)


def _assemble(draft: _Draft, options: ChargeOptions) -> Sites:
    atoms = np.flatnonzero(draft.charges)
    rows = [{int(a): 1.0} for a in atoms] + draft.rows
    matrix = csr_array(
        (
            np.array([weight for row in rows for weight in row.values()], dtype=np.float64),
            (
                np.array([i for i, row in enumerate(rows) for _ in row], dtype=np.int64),
                np.array([atom for row in rows for atom in row], dtype=np.int64),
            ),
        ),
        shape=(len(rows), len(draft.charges)),
    )
    sources = np.concatenate([atoms, np.array(draft.sources, dtype=np.int64)])
    return Sites(
        matrix=matrix,
        charges=np.concatenate([draft.charges[atoms], np.array(draft.values, dtype=np.float64)]),
        radii=_radii(draft.topology.numbers[sources], options),
    )


def _radii(numbers: Indices, options: ChargeOptions) -> Array | None:
    """Return the Gaussians' 1/e radii; a moved charge keeps the radius of the atom that it comes from."""
    if options.gaussian_radius is not None:
        return np.full(len(numbers), options.gaussian_radius)
    if options.gaussian_factor is not None:
        factors: Array = options.gaussian_factor * covalent_radii[numbers]
        return factors
    if options.gaussian_radii is None:
        return None
    if strange := set(options.gaussian_radii) - set(atomic_numbers):
        raise OptionError(f"'{min(strange)}' is no element", where="charges.gaussian_radii")
    if lacking := {chemical_symbols[z] for z in numbers} - set(options.gaussian_radii):
        raise OptionError(f"there is no radius for {min(lacking)}", where="charges.gaussian_radii", todo="add it")
    return np.array([options.gaussian_radii[chemical_symbols[z]] for z in numbers])
