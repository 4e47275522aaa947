"""The audit: every interaction, who computes it, and that it is counted exactly once.

What is counted are the terms that the engines hold, not the terms that they were meant to hold.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import NamedTuple

import numpy as np
from scipy.spatial.distance import cdist

from scalespan.adapters.interface import CaseError, ForceField, Table, TermCount

from .boundary import H, label, link_rows, not_between_carbons
from .charges import left_over
from .layout import Layout
from .options import ChargeOptions, EmbeddingOptions
from .partition import Partition
from .surroundings import View

_CLASSES = ("bond", "angle", "torsion", "1-4", "Coulomb", "dispersion")
_PLACES = ("inside", "across", "outside")
_CLOSE = 1.0  # Å; a charge nearer than this to an atom of the high level draws its electrons away
_NONE = TermCount(0, 0, 0)
_RULE = (
    "A low-level term is replaced by the high level if all its atoms are in the region; "
    "bonds, angles and torsions across the border stay with the low level."
)


def audit_tables(
    layout: Layout, partition: Partition, view: View, options: EmbeddingOptions, *, conservative: bool
) -> list[Table]:
    """Return the tables of an embedding.

    Raises:
        CaseError: an interaction that is not counted exactly once.
    """
    tables = [_interactions(layout, partition), _region(layout, options)]
    if len(layout.links):
        at_q = view.region[layout.q]
        columns = ("inside", "outside", "bond", "link hydrogen at", "ratio")
        tables.append(Table("Cut bonds", columns, tuple(link_rows(layout.links, layout.topology, at_q, view.partners))))
    if layout.sites is not None:
        tables.append(_charges(layout, view, options.charges))
    warnings = [*not_between_carbons(layout.cuts, layout.topology), *_close_charges(layout, view)]
    warnings += _bare_hydrogens(layout, partition)
    if not conservative:
        warnings.append("energy is not conserved: it jumps when a molecule changes to its other image")
    if warnings:
        tables.append(Table("Look at these", ("warning",), tuple((each,) for each in warnings)))
    return tables


def _interactions(layout: Layout, partition: Partition) -> Table:
    columns = ("interaction", "where", "terms", "low level", "high level", "counted")
    if not isinstance(partition.low, ForceField):
        known = (
            ("all", "inside", "", "added and subtracted", "yes", "once"),
            ("all", "across, outside", "", "yes", "no", "once"),
        )
        note = "The low level is no force field: it computes all atoms, and takes away the capped region."
        return Table("Who computes what", columns, known, f"{note} Bonds are guessed from distances.")
    rows = tuple(_rows(partition.low, partition, layout))
    if wrong := [row for row in rows if row[-1] != "once"]:
        raise CaseError(
            f"{wrong[0][0]} terms {wrong[0][1]} the region are counted {wrong[0][-1]}",
            where="embedding",
            todo="report this: the low level's terms are not divided as they should be",
        )
    return Table("Who computes what", columns, rows, _RULE)


def _rows(low: ForceField, partition: Partition, layout: Layout) -> Iterator[tuple[str, ...]]:
    own, kept = low.terms(layout.region), partition.all.terms(layout.region)
    entered = [
        (round(s.sign), s.adapter.terms(layout.region)) for s in partition.whole if isinstance(s.adapter, ForceField)
    ]
    for name in dict.fromkeys([*_CLASSES, *own, *kept]):
        for place in _PLACES:
            counts = _Counts(
                own=_count(own, name, place),
                kept=_count(kept, name, place),
                entered=sum(sign * _count(terms, name, place) for sign, terms in entered),
            )
            feels = layout.sites is not None and name in ("Coulomb", "1-4")
            yield (name, place, str(counts.own), *_who(counts, place, feels, name, partition.scheme == "capped"))


def _count(terms: Mapping[str, TermCount], name: str, place: str) -> int:
    found: int = getattr(terms.get(name, _NONE), place)
    return found


class _Counts(NamedTuple):
    own: int  # the force field's terms
    kept: int  # those left when the region has no charges
    entered: int  # those that enter the energy


def _who(counts: _Counts, place: str, feels: bool, name: str, capped: bool) -> tuple[str, str, str]:
    """Return what the low level computes, what the high one does, and how often that is.

    ``feels``: the high level feels charges, and this class of terms holds Coulomb energies.
    """
    if place == "inside":
        if capped:
            return "added, and subtracted capped", "yes", "once" if counts.entered == counts.kept else "more than once"
        return str(counts.entered), "yes", "once" if counts.entered == 0 else f"twice ({counts.entered} of them)"
    lost = counts.own - counts.kept  # to the high level, with the region's charges
    low, high = str(counts.entered), "no"
    if lost:
        high = "through charges" if name == "Coulomb" else f"{lost} of them through charges"
    if lost and not (feels and place == "across"):
        return low, "no", f"never ({lost} of them)"
    if feels and name == "Coulomb" and place == "across" and counts.entered:
        return low, "through charges", f"twice ({counts.entered} of them)"
    if counts.entered != counts.kept:
        return low, high, f"by {counts.entered} terms instead of {counts.kept}"
    return low, high, "once"


def _region(layout: Layout, options: EmbeddingOptions) -> Table:
    names = [label(layout.topology, int(i)) for i in layout.region[:6]]
    more = f", and {len(layout.region) - 6} more" if len(layout.region) > 6 else ""
    seen = {
        "mechanical": "the force field's charges, Lennard-Jones and bonded terms",
        "electrostatic": "its electrons and nuclei; of the force field Lennard-Jones and bonded terms, no charges",
    }[options.embedding]
    rows = (
        ("scheme", options.scheme),
        ("embedding", options.embedding),
        ("atoms", f"{len(layout.region)} of {len(layout.topology)}: {', '.join(names)}{more}"),
        ("link hydrogens", str(len(layout.links))),
        ("what the surroundings feel of it", seen),
    )
    return Table("The region", ("", "is"), rows)


def _charges(layout: Layout, view: View, options: ChargeOptions) -> Table:
    sites, low = layout.sites, layout.charges_of_low
    assert sites is not None and low is not None
    inside = float(layout.topology.charges[layout.region].sum())
    total, over = float(layout.topology.charges.sum()), left_over(layout.topology, layout.region, options)
    rows = (
        ("all atoms, force field", f"{total:+.4f} e"),
        ("region, force field", f"{inside:+.4f} e (left over beyond its charge: {over:+.4f} e)"),
        ("region, in the low level now", f"{low[layout.region].sum():+.4f} e"),
        ("outside, force field", f"{total - inside:+.4f} e"),
        ("outside, as the high level feels it", f"{sites.charges.sum():+.4f} e on {len(sites)} sites"),
        ("of these in sight now", f"{view.charges.charges.sum():+.4f} e on {len(view.charges)} sites"),
    )
    edge, reach = layout.edge, "All charges act."
    if edge is not None:
        reach = f"Groups fade from {edge.inner:.2f} to {edge.outer:.2f} Å between their centres and the region's atoms."
    return Table("Charges", ("charge of", "is"), rows, reach)


def _close_charges(layout: Layout, view: View) -> list[str]:
    if not len(view.charges):
        return []
    atoms = layout.capped(view)
    apart, charges = cdist(view.charges.positions, atoms.positions), view.charges.charges
    return [
        f"{atoms[j].symbol} {j} of the high level is {apart[i, j]:.2f} Å from a charge of {charges[i]:+.3f} e"
        for i, j in np.argwhere(apart < _CLOSE)
    ]


def _bare_hydrogens(layout: Layout, partition: Partition) -> list[str]:
    """Return a warning for each kind of hydrogen in the region that no Lennard-Jones wall keeps from charges."""
    if layout.sites is None or not isinstance(partition.low, ForceField):
        return []
    topology = layout.topology
    kinds: dict[tuple[str, str], int] = {}
    for i in layout.region[topology.numbers[layout.region] == H].tolist():
        kinds.setdefault((topology.residue_names[topology.residues[i]], topology.names[i]), i)
    found = []
    for (residue, name), i in kinds.items():
        walls = partition.low.terms(np.array([i])).get("dispersion", _NONE)
        if walls.outside and not walls.inside + walls.across:
            found.append(f"hydrogen {name} of {residue} has no Lennard-Jones term: it may fall onto a negative charge")
    return found
