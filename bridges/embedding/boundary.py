"""Covalent boundaries: the bonds that leave the region, which may be cut, and the hydrogens that close them.

Q is the end inside the region, M the end outside, L the link hydrogen on the way from Q to M.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from ase.data import chemical_symbols, covalent_radii

from scalespan.adapters.interface import Array, BoundaryError, Indices, Topology, pairs

from .options import LinkOptions

H, C, N, O, S = 1, 6, 7, 8, 16  # noqa: E741

# Å; experimental equilibrium lengths of CH4, NH3, H2O, SiH4, PH3 and H2S (NIST CCCBDB, doi:10.18434/T47C7Z).
HYDRIDE_LENGTHS = {C: 1.09, N: 1.01, O: 0.96, 14: 1.48, 15: 1.42, S: 1.34}

_NON_METALS = {1, 2, 5, 6, 7, 8, 9, 10, 14, 15, 16, 17, 18, 33, 34, 35, 36, 52, 53, 54}
# Fewer neighbours than this means a multiple bond, an aromatic ring or a lone charge.
_SATURATED = {C: 4, N: 3, O: 2, S: 2, 14: 4, 15: 3, 34: 2}
_LARGEST_RING = 7  # a larger ring is not taken for an aromatic one


@dataclass(frozen=True)
class Cut:
    """A bond that leaves the region."""

    q: int  # inside
    m: int  # outside


def label(topology: Topology, i: int) -> str:
    """Return what a person calls an atom: ``ALA 12 CA``."""
    residue = topology.residues[i]
    return f"{topology.residue_names[residue]} {topology.residue_numbers[residue]} {topology.names[i]}"


def find_cuts(topology: Topology, region: Indices, allowed: Sequence[str] = ()) -> list[Cut]:
    """Return the bonds between ``region`` and the rest, ordered by Q, then M.

    Args:
        topology: the bonds of all atoms.
        region: (k,) atoms inside.
        allowed: cuts to be made although they are refused, by the names of both ends:
            ``"CA-C"``, or with residue numbers ``"12:C-13:N"``.

    Raises:
        BoundaryError: a bond that should not be cut, or an allowed one that is not there.
    """
    inside = np.zeros(len(topology), dtype=bool)
    inside[region] = True
    crossing = topology.bonds[inside[topology.bonds].sum(axis=1) == 1] if len(topology.bonds) else topology.bonds
    cuts = sorted((Cut(i, j) if inside[i] else Cut(j, i) for i, j in pairs(crossing)), key=lambda c: (c.q, c.m))
    for pattern in allowed:
        if not any(_matches(pattern, cut, topology) for cut in cuts):
            raise BoundaryError(
                f"allow_cuts names '{pattern}', and no such bond is cut",
                todo="cut are: " + (", ".join(_name(cut, topology) for cut in cuts) or "none"),
            )
    neighbours = topology.neighbours()
    for cut in cuts:
        _refuse_hydrogen(cut, topology)
        if not any(_matches(pattern, cut, topology) for pattern in allowed):
            _refuse(cut, cuts, topology, neighbours)
    return cuts


def _refuse_hydrogen(cut: Cut, topology: Topology) -> None:
    if H in (topology.numbers[cut.q], topology.numbers[cut.m]):
        raise BoundaryError(
            f"the region cuts the bond {_name(cut, topology)} to a hydrogen", todo="take both atoms in, or neither"
        )


def _refuse(cut: Cut, cuts: Sequence[Cut], topology: Topology, neighbours: list[list[int]]) -> None:
    reason = bond_kind(cut.q, cut.m, topology.numbers, neighbours)
    if reason != "single":
        raise BoundaryError(
            f"the region cuts {_name(cut, topology)}, a bond of the kind {reason}",
            todo=f'cut a single bond between sp3 carbons, or allow_cuts = ["{_pattern(cut, topology)}"]',
        )
    if sum(other.m == cut.m for other in cuts) > 1:
        raise BoundaryError(
            f"two cut bonds meet at {label(topology, cut.m)}, so that two link atoms would crowd there",
            todo=f'take that atom into the region, or allow_cuts = ["{_pattern(cut, topology)}"] for each of them',
        )


def bond_kind(i: int, j: int, numbers: Indices, neighbours: list[list[int]]) -> str:
    """Return ``single``, ``metal``, ``peptide C–N``, ``aromatic``, ``multiple`` or ``conjugated``.

    Decided from elements and coordination alone: an atom with fewer neighbours than its
    saturated form has (C 4, N 3, O 2, …) is unsaturated; a bond between two of these is multiple
    or aromatic, and one from an unsaturated carbon to N, O or S with a lone pair is conjugated.
    All hydrogens must be there.
    """
    if not {int(numbers[i]), int(numbers[j])} <= _NON_METALS:
        return "metal"
    poor = [_unsaturated(a, numbers, neighbours) for a in (i, j)]
    if all(poor):
        return "aromatic" if _in_small_ring(i, j, neighbours) else "multiple"
    if any(numbers[a] in (O, S, N) and len(neighbours[a]) == 1 for a in (i, j)):
        return "multiple"  # the oxygens of a phosphate or a sulfone, whose P or S has neighbours enough
    for a, b in ((i, j), (j, i)):
        if (
            numbers[a] == C
            and len(neighbours[a]) == 3
            and numbers[b] in (N, O, S)
            and not _cationic(b, numbers, neighbours)
        ):
            return "peptide C–N" if numbers[b] == N and _has_terminal_oxygen(a, numbers, neighbours) else "conjugated"
    return "single"


def _unsaturated(a: int, numbers: Indices, neighbours: list[list[int]]) -> bool:
    return len(neighbours[a]) < _SATURATED.get(int(numbers[a]), 1)


def _cationic(a: int, numbers: Indices, neighbours: list[list[int]]) -> bool:
    return len(neighbours[a]) > _SATURATED[int(numbers[a])]  # an ammonium has no lone pair to share


def _has_terminal_oxygen(a: int, numbers: Indices, neighbours: list[list[int]]) -> bool:
    return any(numbers[b] in (O, S) and len(neighbours[b]) == 1 for b in neighbours[a])


def _in_small_ring(i: int, j: int, neighbours: list[list[int]]) -> bool:
    """Whether another way leads from ``i`` to ``j`` that makes a ring of at most `_LARGEST_RING` atoms."""
    seen, front = {i}, {i}
    for step in range(_LARGEST_RING - 1):
        front = {b for a in front for b in neighbours[a] if not (step == 0 and b == j)} - seen
        if j in front:
            return True
        seen |= front
    return False


def _name(cut: Cut, topology: Topology) -> str:
    return f"{label(topology, cut.q)} – {label(topology, cut.m)}"


def _pattern(cut: Cut, topology: Topology) -> str:
    numbers = [topology.residue_numbers[topology.residues[a]] for a in (cut.q, cut.m)]
    return f"{numbers[0]}:{topology.names[cut.q]}-{numbers[1]}:{topology.names[cut.m]}"


def _matches(pattern: str, cut: Cut, topology: Topology) -> bool:
    one, two = pattern.split("-")
    return any(_is(one, a, topology) and _is(two, b, topology) for a, b in ((cut.q, cut.m), (cut.m, cut.q)))


def _is(text: str, a: int, topology: Topology) -> bool:
    number, colon, name = text.strip().rpartition(":")
    right_residue = not colon or number == str(topology.residue_numbers[topology.residues[a]])
    return right_residue and name == topology.names[a]


@dataclass(frozen=True)
class Links:
    """Where the link hydrogens sit, and who feels their forces.

    Scaled, r_L = r_Q + g (r_M − r_Q): dE/dr_M = g dE/dr_L and dE/dr_Q = (1 − g) dE/dr_L.
    Fixed, r_L = r_Q + d u with u = (r_M − r_Q)/|r_M − r_Q|: dE/dr_M = J dE/dr_L and
    dE/dr_Q = (1 − J) dE/dr_L, with J = (d/|r_M − r_Q|) (1 − u uᵀ). Both leave the net
    force and the torque as they are. (Dapprich et al., doi:10.1016/S0166-1280(98)00475-8;
    Senn and Thiel, doi:10.1002/anie.200802019.)
    """

    q: Indices  # (l,) atoms inside
    m: Indices  # (l,) atoms outside
    lengths: Array  # (l,) Å if fixed, the ratio g if scaled
    fixed: bool

    @classmethod
    def place(cls, cuts: Sequence[Cut], numbers: Indices, options: LinkOptions) -> Links:
        """Return the links of ``cuts``, with the usual lengths where the options give none."""
        q = np.array([cut.q for cut in cuts], dtype=np.int64)
        m = np.array([cut.m for cut in cuts], dtype=np.int64)
        fixed = options.kind == "fixed"
        given = options.distance if fixed else options.ratio
        lengths = np.array([_length(numbers[a], numbers[b], fixed) for a, b in zip(q, m, strict=True)])
        return cls(q, m, lengths if given is None else np.full(len(cuts), given), fixed)

    def __len__(self) -> int:
        return len(self.q)

    def positions(self, at_q: Array, at_m: Array) -> Array:
        """Return where the hydrogens are (l, 3), from the positions (l, 3) of both ends."""
        along = at_m - at_q
        g = self.lengths / np.linalg.norm(along, axis=1) if self.fixed else self.lengths
        placed: Array = at_q + g[:, None] * along
        return placed

    def share(self, at_q: Array, at_m: Array, forces: Array) -> tuple[Array, Array]:
        """Return the shares (l, 3) of Q and of M in ``forces`` (l, 3) on the hydrogens."""
        if not self.fixed:
            on_m = self.lengths[:, None] * forces
        else:
            along = at_m - at_q
            length = np.linalg.norm(along, axis=1)[:, None]
            u = along / length
            on_m = self.lengths[:, None] / length * (forces - (forces * u).sum(axis=1)[:, None] * u)
        return forces - on_m, on_m


def _length(q: int, m: int, fixed: bool) -> float:
    hydride = HYDRIDE_LENGTHS.get(int(q), float(covalent_radii[q] + covalent_radii[H]))
    return hydride if fixed else hydride / float(covalent_radii[q] + covalent_radii[m])


def link_rows(links: Links, topology: Topology, at_q: Array, at_m: Array) -> list[tuple[str, ...]]:
    """Return a row for each link: Q, M, their distance, Q–H, and the ratio of the two."""
    bonds = np.linalg.norm(at_m - at_q, axis=1)
    hydrogens = np.linalg.norm(links.positions(at_q, at_m) - at_q, axis=1)
    return [
        (label(topology, q), label(topology, m), f"{bond:.3f} Å", f"{h:.3f} Å", f"{h / bond:.3f}")
        for q, m, bond, h in zip(links.q, links.m, bonds, hydrogens, strict=True)
    ]


def not_between_carbons(cuts: Sequence[Cut], topology: Topology) -> list[str]:
    """Return a warning for each cut bond that is polar: the link hydrogen changes it most."""
    return [
        f"the cut bond {_name(cut, topology)} is not between two carbon atoms "
        f"({chemical_symbols[topology.numbers[cut.q]]}–{chemical_symbols[topology.numbers[cut.m]]})"
        for cut in cuts
        if {int(topology.numbers[cut.q]), int(topology.numbers[cut.m])} != {C}
    ]
