"""Part of a system's terms: those inside a region, or the rest, so that their energies add up.

A bonded term, a 1-4 pair and a nonbonded pair are inside if all their atoms are. The rest is the
system without them: a nonbonded pair of the region becomes an exclusion. The inside is the same
pairs as bonds, each with what its exclusion takes away (r is the distance of nearest images):

* no cutoff, cutoff: the pair's own energy; with a cutoff, Coulomb has its reaction field.
* Ewald and PME: an exclusion takes q_i q_j erf(αr)/r from the reciprocal sum (Eq. 2.5 of Essmann
  et al. 1995, doi:10.1063/1.470117) and erfc(αr)/r from the direct sum, which ends at the cutoff. So the
  inside has q_i q_j/r within the cutoff and q_i q_j erf(αr)/r beyond: the sum over both parts is exact,
  and the inside differs from Coulomb's law by erfc(αr)/r, the direct sum's own error. All further images of
  the region, among themselves and with the others, stay in the rest.
* The long-range correction of dispersion is one number of the whole box. It stays in the rest.
* LJPME has no such closed form here and is refused.

A system is taken apart as XML: one form for all forces, exact to the last bit of each parameter.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import combinations
from xml.etree.ElementTree import Element, SubElement, fromstring, tostring

import numpy as np

from ..interface import Array, EngineImport, Indices, NotOffered, Part, RegionError
from .exceptions import Pairs, coulomb_constant, read_pairs, recharge
from .model import PAIRS, PAIRS_14, RESTRAINT

with EngineImport("openmm", install="pip install 'scalespan[openmm]'") as engine:
    import openmm

# type of force -> the element that lists its terms
SECTIONS = {
    "HarmonicBondForce": "Bonds",
    "HarmonicAngleForce": "Angles",
    "PeriodicTorsionForce": "Torsions",
    "RBTorsionForce": "Torsions",
    "CMAPTorsionForce": "Torsions",
    "CustomBondForce": "Bonds",
    "CustomAngleForce": "Angles",
    "CustomTorsionForce": "Torsions",
    "CustomCompoundBondForce": "Bonds",
    "CustomExternalForce": "Particles",
}
_PARTICLE = re.compile(r"(?:p|a|b)\d+|index")


def take_apart(system: openmm.System) -> Element:
    """Return a system as a tree that can be changed."""
    return fromstring(openmm.XmlSerializer.serialize(system))


def put_together(root: Element) -> openmm.System:
    """Return the system of a tree."""
    return openmm.XmlSerializer.deserialize(tostring(root, encoding="unicode"))


def forces_in(root: Element) -> list[Element]:
    """Return the elements of the forces."""
    return list(section(root, "Forces"))


def section(element: Element, name: str) -> Element:
    """Return a child that must be there."""
    found = element.find(name)
    assert found is not None, f"OpenMM's XML of {element.tag} has no {name}"
    return found


def terms_in(force: Element) -> Iterator[tuple[Element, list[int]]]:
    """Yield each bonded term with its particles."""
    for term in section(force, SECTIONS[force.attrib["type"]]):
        yield term, [int(value) for key, value in term.attrib.items() if _PARTICLE.fullmatch(key)]


def select(system: openmm.System, region: Indices, part: Part, charges: Array | None) -> openmm.System:
    """Return a system over the same particles with the terms of one part.

    Constraints that touch the region are left out of every part, because its atoms move by
    another energy; restraints stay with ``all`` and ``rest``.

    Raises:
        NotOffered: a force that cannot be split, named.
        RegionError: a constraint across the border has no bond term to take its place.
    """
    root = take_apart(system)
    inside = {int(i) for i in region}
    if part != "all":
        _refuse_unsplittable(root)
    free_constraints(root, inside)
    pairs = _recharged(root, charges)
    if part == "all":
        return put_together(root)
    for force in forces_in(root):
        _split_bonded(root, force, inside, part)
    if part == "rest":
        _exclude(root, pairs, region)
        return put_together(root)
    _keep_custom_pairs(root, inside)
    for force in [each for each in forces_in(root) if each.attrib["type"] == "NonbondedForce"]:
        section(root, "Forces").remove(force)
    found = put_together(root)
    if pairs is not None and len(region) > 1:
        for bonds in (_pair_bonds(pairs, region), _pair_bonds_14(pairs, inside)):
            found.addForce(bonds)
    return found


def _refuse_unsplittable(root: Element) -> None:
    for force in forces_in(root):
        kind, name = force.attrib["type"], force.attrib["name"]
        if kind not in SECTIONS and kind not in {"NonbondedForce", "CustomNonbondedForce"}:
            raise NotOffered(
                f"the terms of {kind} ('{name}') cannot be split between a region and the rest",
                where="openmm",
                todo="use a force field without it, such as one with explicit solvent",
            )
        if kind == "NonbondedForce" and force.attrib["method"] == "5":
            raise NotOffered(
                "the reciprocal sum of LJPME cannot be split between a region and the rest",
                where="openmm",
                todo="use nonbonded = 'pme'",
            )


def free_constraints(root: Element, atoms: set[int]) -> None:
    """Take away each constraint that touches ``atoms``."""
    constraints = section(root, "Constraints")
    bonded: set[frozenset[int]] | None = None
    for constraint in list(constraints):
        pair = frozenset((int(constraint.attrib["p1"]), int(constraint.attrib["p2"])))
        if not pair & atoms:
            continue
        if not pair <= atoms:
            bonded = _bonded(root) if bonded is None else bonded
            if pair not in bonded:
                raise RegionError(
                    f"the constraint between atoms {min(pair)} and {max(pair)} crosses the region's border "
                    "and no bond or angle term would hold them without it",
                    where="openmm",
                    todo="take whole molecules into the region, or build the system with flexible bonds",
                )
        constraints.remove(constraint)


def _bonded(root: Element) -> set[frozenset[int]]:
    """Return the pairs that a bond term joins, or an angle term as its ends."""
    found: set[frozenset[int]] = set()
    for force in forces_in(root):
        if force.attrib["type"] in {"HarmonicBondForce", "CustomBondForce", "HarmonicAngleForce", "CustomAngleForce"}:
            found |= {frozenset((atoms[0], atoms[-1])) for _, atoms in terms_in(force)}
    return found


def _recharged(root: Element, charges: Array | None) -> Pairs | None:
    force = next((each for each in forces_in(root) if each.attrib["type"] == "NonbondedForce"), None)
    if charges is not None:
        if force is None or any(_charged(each) for each in forces_in(root)):
            raise NotOffered(
                "this force field's charges are not only those of a NonbondedForce, and cannot be replaced",
                where="openmm",
            )
        recharge(force, charges)
    return None if force is None else read_pairs(force)


def _charged(force: Element) -> bool:
    if force.attrib["type"].startswith(("GBSA", "CustomGB", "Amoeba", "Drude")):
        return True
    names = [each.attrib["name"].lower() for each in force.findall("PerParticleParameters/Parameter")]
    return force.attrib["type"] == "CustomNonbondedForce" and any(name in {"q", "charge"} for name in names)


def _split_bonded(root: Element, force: Element, inside: set[int], part: Part) -> None:
    if force.attrib["name"].startswith(RESTRAINT):
        if part == "inside":
            section(root, "Forces").remove(force)
        return
    if force.attrib["type"] not in SECTIONS:
        return
    listed = section(force, SECTIONS[force.attrib["type"]])
    kept = [term for term, atoms in terms_in(force) if inside.issuperset(atoms) == (part == "inside")]
    listed[:] = kept
    if not kept:
        section(root, "Forces").remove(force)


def _exclude(root: Element, pairs: Pairs | None, region: Indices) -> None:
    """Make an exclusion of each pair in the region, in every nonbonded force."""
    inside = {int(i) for i in region}
    wanted = list(combinations(sorted(inside), 2))
    for force in forces_in(root):
        if force.attrib["type"] == "NonbondedForce":
            listed = section(force, "Exceptions")
            kept = [each for each in listed if not {int(each.attrib["p1"]), int(each.attrib["p2"])} <= inside]
            listed[:] = kept
            for i, j in wanted:
                SubElement(listed, "Exception", eps="0", p1=str(i), p2=str(j), q="0", sig="1")
        elif force.attrib["type"] == "CustomNonbondedForce":
            listed = section(force, "Exclusions")
            there = {frozenset((int(each.attrib["p1"]), int(each.attrib["p2"]))) for each in listed}
            for i, j in wanted:
                if frozenset((i, j)) not in there:
                    SubElement(listed, "Exclusion", p1=str(i), p2=str(j))


def _keep_custom_pairs(root: Element, inside: set[int]) -> None:
    """Let each CustomNonbondedForce act between atoms of the region only."""
    for force in [each for each in forces_in(root) if each.attrib["type"] == "CustomNonbondedForce"]:
        force.attrib["useLongRangeCorrection"] = "0"
        groups = section(force, "InteractionGroups")
        sets = [[{int(p.attrib["index"]) for p in each} & inside for each in group] for group in groups]
        sets = sets if len(groups) else [[inside, inside]]
        for group in list(groups):
            groups.remove(group)
        for first, second in sets:
            if first and second:
                group = SubElement(groups, "InteractionGroup")
                for name, members in (("Set1", first), ("Set2", second)):
                    element = SubElement(group, name)
                    for index in sorted(members):
                        SubElement(element, "Particle", index=str(index))
        if not len(groups):
            section(root, "Forces").remove(force)


def _pair_bonds(pairs: Pairs, region: Indices) -> openmm.CustomBondForce:
    """Return the pairs of the region that are not exceptions, as bonds."""
    force = openmm.CustomBondForce(f"{_lennard_jones(pairs)} + {_coulomb(pairs)}")
    for name in ("qq", "sigma", "epsilon"):
        force.addPerBondParameter(name)
    force.setUsesPeriodicBoundaryConditions(pairs.periodic)
    force.setName(PAIRS)
    atoms = np.unique(region)
    apart = {frozenset(each) for each in pairs.exceptions.tolist()}
    for i, j in combinations(atoms.tolist(), 2):
        if frozenset((i, j)) in apart:
            continue
        qq, epsilon = pairs.charges[i] * pairs.charges[j], np.sqrt(pairs.epsilons[i] * pairs.epsilons[j])
        if qq or epsilon:
            force.addBond(i, j, [qq, (pairs.sigmas[i] + pairs.sigmas[j]) / 2, epsilon])
    return force


def _lennard_jones(pairs: Pairs) -> str:
    """4ε((σ/r)¹² − (σ/r)⁶), with the cutoff and the switching polynomial of OpenMM's user guide, 19.6.1."""
    energy = "4*epsilon*((sigma/r)^12-(sigma/r)^6)"
    if pairs.method == "no-cutoff":
        return energy
    energy += f"*step({pairs.cutoff!r}-r)"
    if pairs.switch is not None:
        x = f"(max(r,{pairs.switch!r})-{pairs.switch!r})/{pairs.cutoff - pairs.switch!r}"
        energy += f"*(1-10*({x})^3+15*({x})^4-6*({x})^5)"
    return energy


def _coulomb(pairs: Pairs) -> str:
    """q_i q_j/(4πε₀ r), as each method has it within and beyond its cutoff."""
    factor = f"{coulomb_constant()!r}*qq"
    if pairs.method == "no-cutoff":
        return f"{factor}/r"
    if pairs.method == "ewald":
        return f"{factor}/r*select(step({pairs.cutoff!r}-r),1,erf({pairs.alpha!r}*r))"
    # Tironi et al. 1995, doi:10.1063/1.469273
    k = (pairs.dielectric - 1) / (2 * pairs.dielectric + 1) / pairs.cutoff**3
    c = 3 * pairs.dielectric / (2 * pairs.dielectric + 1) / pairs.cutoff
    return f"{factor}*(1/r+{k!r}*r^2-{c!r})*step({pairs.cutoff!r}-r)"


def _pair_bonds_14(pairs: Pairs, inside: set[int]) -> openmm.CustomBondForce:
    force = openmm.CustomBondForce(f"4*epsilon*((sigma/r)^12-(sigma/r)^6)+{coulomb_constant()!r}*qq/r")
    for name in ("qq", "sigma", "epsilon"):
        force.addPerBondParameter(name)
    force.setUsesPeriodicBoundaryConditions(pairs.periodic)
    force.setName(PAIRS_14)
    for (i, j), (qq, sigma, epsilon) in zip(pairs.exceptions.tolist(), pairs.exception_values.tolist(), strict=True):
        if i in inside and j in inside and (qq or epsilon):
            force.addBond(i, j, [qq, sigma, epsilon])
    return force
