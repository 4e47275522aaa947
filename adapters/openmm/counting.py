"""How many terms of each class a system holds, and where their atoms are."""

from __future__ import annotations

from xml.etree.ElementTree import Element

import numpy as np
import numpy.typing as npt

from ..interface import Indices, TermCount
from .exceptions import read_pairs
from .model import PAIRS, PAIRS_14, RESTRAINT
from .selection import SECTIONS, forces_in, section, terms_in

Mask = npt.NDArray[np.bool_]


def class_of(kind: str, name: str) -> str:
    """Return the class of the terms of a bonded force, from its type and name."""
    if "Urey" in name:
        return "Urey-Bradley"
    if name in {PAIRS_14, "LennardJonesExceptions"}:  # the second is the GROMACS reader's
        return "1-4"
    classes = {
        "HarmonicBondForce": "bond",
        "HarmonicAngleForce": "angle",
        "CustomAngleForce": "angle",
        "PeriodicTorsionForce": "torsion",
        "RBTorsionForce": "torsion",
        "CustomTorsionForce": "torsion",
        "CMAPTorsionForce": "CMAP",
        "NonbondedForce": "nonbonded",
        "CustomNonbondedForce": "nonbonded",
    }
    if name in {"GROMOSBondForce"}:
        return "bond"
    return "nonbonded" if name == PAIRS else classes.get(kind, name)


class Counter:
    """Adds up terms by class, split by a region."""

    def __init__(self, n: int, region: Indices) -> None:
        self.inside: Mask = np.zeros(n, dtype=bool)
        self.inside[region] = True
        self.counts: dict[str, list[int]] = {name: [0, 0, 0] for name in ("bond", "angle", "torsion", "1-4")}
        self.counts |= {"Coulomb": [0, 0, 0], "dispersion": [0, 0, 0]}

    def result(self) -> dict[str, TermCount]:
        """Return the counts."""
        return {name: TermCount(*numbers) for name, numbers in self.counts.items()}

    def add(self, name: str, atoms: list[int]) -> None:
        """Count one term."""
        within = int(self.inside[atoms].sum())
        place = 0 if within == len(atoms) else 2 if within == 0 else 1
        self.counts.setdefault(name, [0, 0, 0])[place] += 1

    def add_pairs(self, name: str, members: Mask, apart: Indices) -> None:
        """Count all pairs of ``members`` (n,) but those of ``apart`` (m, 2)."""
        both = members[apart].all(axis=1)
        a = int((members & self.inside).sum())
        b = int(members.sum()) - a
        numbers = [a * (a - 1) // 2, a * b, b * (b - 1) // 2]
        taken = self.inside[apart[both]].sum(axis=1)
        for place, within in enumerate((2, 1, 0)):
            numbers[place] -= int((taken == within).sum())
        total = self.counts.setdefault(name, [0, 0, 0])
        self.counts[name] = [old + new for old, new in zip(total, numbers, strict=True)]


def count(root: Element, n: int, region: Indices) -> dict[str, TermCount]:
    """Return the terms of a system by class; restraints are not terms of the force field.

    A nonbonded pair counts whatever its distance.
    """
    counter = Counter(n, region)
    for force in forces_in(root):
        kind, name = force.attrib["type"], force.attrib["name"]
        if name.startswith(RESTRAINT):
            continue
        if name == PAIRS:
            _count_region_pairs(counter, force)
        elif kind in SECTIONS:
            for _, atoms in terms_in(force):
                counter.add(class_of(kind, name), atoms)
        elif kind == "NonbondedForce":
            _count_nonbonded(counter, force)
        elif kind == "CustomNonbondedForce":
            _count_custom(counter, force)
        else:
            counter.counts.setdefault(name, [0, 0, 1])  # a force that cannot be split is one term of everyone
    return counter.result()


def _count_region_pairs(counter: Counter, force: Element) -> None:
    for term, atoms in terms_in(force):
        if float(term.attrib["param1"]):
            counter.add("Coulomb", atoms)
        if float(term.attrib["param3"]):
            counter.add("dispersion", atoms)


def _count_nonbonded(counter: Counter, force: Element) -> None:
    pairs = read_pairs(force)
    if pairs.charges.any():
        counter.add_pairs("Coulomb", pairs.charges != 0.0, pairs.exceptions)
    if pairs.epsilons.any():
        counter.add_pairs("dispersion", pairs.epsilons != 0.0, pairs.exceptions)
    for atoms, (qq, _, epsilon) in zip(pairs.exceptions.tolist(), pairs.exception_values.tolist(), strict=True):
        if qq or epsilon:
            counter.add("1-4", atoms)


def _count_custom(counter: Counter, force: Element) -> None:
    """Count the pairs of a CustomNonbondedForce: dispersion if it is a power law, else under its name."""
    name = "dispersion" if "r^6" in force.attrib["energy"] else force.attrib["name"]
    n = len(counter.inside)
    listed = [[int(each.attrib["p1"]), int(each.attrib["p2"])] for each in section(force, "Exclusions")]
    apart = np.array(listed, dtype=np.int64).reshape(-1, 2)
    listed_groups = section(force, "InteractionGroups")
    groups = [[[int(p.attrib["index"]) for p in each] for each in group] for group in listed_groups]
    if not groups:
        counter.add_pairs(name, np.ones(n, dtype=bool), apart)
        return
    excluded = {frozenset(pair) for pair in apart.tolist()}
    pairs = {frozenset((i, j)) for first, second in groups for i in first for j in second if i != j} - excluded
    for pair in pairs:
        counter.add(name, list(pair))
