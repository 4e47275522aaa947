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


class Census:
    """The terms of a system by class, read once and counted for any region; restraints are not among them.

    A nonbonded pair counts whatever its distance.
    """

    def __init__(self, root: Element, n: int) -> None:
        self._n = n
        self._terms: list[tuple[str, Indices]] = []  # class, atoms (m, k)
        self._pairs: list[tuple[str, Mask, Indices]] = []  # class, members (n,), all pairs of them but those (m, 2)
        self._whole: list[str] = []  # forces that cannot be split: one term of everyone
        for force in forces_in(root):
            if not force.attrib["name"].startswith(RESTRAINT):
                self._read(force)

    def _read(self, force: Element) -> None:
        kind, name = force.attrib["type"], force.attrib["name"]
        if name == PAIRS:
            self._read_region_pairs(force)
        elif kind in SECTIONS:
            self._terms.append((class_of(kind, name), _stack([atoms for _, atoms in terms_in(force)])))
        elif kind == "NonbondedForce":
            self._read_nonbonded(force)
        elif kind == "CustomNonbondedForce":
            self._read_custom(force)
        else:
            self._whole.append(name)

    def _read_region_pairs(self, force: Element) -> None:
        for name, value in (("Coulomb", "param1"), ("dispersion", "param3")):
            atoms = [atoms for term, atoms in terms_in(force) if float(term.attrib[value])]
            self._terms.append((name, _stack(atoms)))

    def _read_nonbonded(self, force: Element) -> None:
        pairs = read_pairs(force)
        self._pairs.append(("Coulomb", pairs.charges != 0.0, pairs.exceptions))
        self._pairs.append(("dispersion", pairs.epsilons != 0.0, pairs.exceptions))
        kept = (pairs.exception_values[:, [0, 2]] != 0.0).any(axis=1)
        self._terms.append(("1-4", pairs.exceptions[kept]))

    def _read_custom(self, force: Element) -> None:
        """A CustomNonbondedForce is dispersion if it is a power law, else it counts under its name."""
        name = "dispersion" if "r^6" in force.attrib["energy"] else force.attrib["name"]
        apart = _stack([[int(each.attrib["p1"]), int(each.attrib["p2"])] for each in section(force, "Exclusions")])
        groups = [
            [[int(p.attrib["index"]) for p in each] for each in group] for group in section(force, "InteractionGroups")
        ]
        if not groups:
            self._pairs.append((name, np.ones(self._n, dtype=bool), apart))
            return
        found = {(min(i, j), max(i, j)) for first, second in groups for i in first for j in second if i != j}
        found -= {(min(i, j), max(i, j)) for i, j in apart.tolist()}
        self._terms.append((name, _stack([list(pair) for pair in found])))

    def count(self, region: Indices) -> dict[str, TermCount]:
        """Return the counts by class for ``region`` (k,)."""
        inside: Mask = np.zeros(self._n, dtype=bool)
        inside[region] = True
        found: dict[str, Indices] = {name: np.zeros(3, dtype=np.int64) for name in _ALWAYS}
        for name, atoms in self._terms:
            found[name] = found.get(name, 0) + _split(atoms, inside)
        for name, members, apart in self._pairs:
            a = int((members & inside).sum())
            b = int(members.sum()) - a
            both = apart[members[apart].all(axis=1)]
            every = np.array([a * (a - 1) // 2, a * b, b * (b - 1) // 2])
            found[name] = found.get(name, 0) + every - _split(both, inside)
        for name in self._whole:
            found[name] = found.get(name, 0) + np.array([0, 0, 1])
        return {name: TermCount(*numbers.tolist()) for name, numbers in found.items()}


_ALWAYS = ("bond", "angle", "torsion", "1-4", "Coulomb", "dispersion")


def _stack(terms: list[list[int]]) -> Indices:
    return np.array(terms, dtype=np.int64).reshape(len(terms), -1 if terms else 2)


def _split(atoms: Indices, inside: Mask) -> npt.NDArray[np.int64]:
    """Return how many of the terms (m, k) are inside, across and outside."""
    within = inside[atoms].sum(axis=1)
    whole, none = int((within == atoms.shape[1]).sum()), int((within == 0).sum())
    return np.array([whole, len(atoms) - whole - none, none], dtype=np.int64)
