"""What a person should see of a force mixing before it runs."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ase import Atoms
from ase.units import GPa
from scipy.spatial.distance import pdist

from scalespan.adapters.interface import Indices, Table

from .cluster import Cluster
from .matching import Match, measure

if TYPE_CHECKING:
    from .force_mixing import ForceMixing

_CROWDED = 1.2  # Å; ends nearer to each other than this repel
_NOTE = (
    "The forces are the gradient of no energy and need not add up to zero. "
    "The energy shown is the low level's: not the forces' potential."
)


def audit_tables(mixing: ForceMixing, atoms: Atoms, cluster: Cluster, seen: Atoms) -> list[Table]:
    """Return the tables of region, buffer and ends, of what is not conserved, and of the match where there is one."""
    tables = [_region(mixing, atoms, cluster, seen), _conserved(mixing)]
    if mixing.match is not None:
        tables.append(_matched(mixing, mixing.match))
    if warnings := _warnings(mixing, cluster, seen):
        tables.append(Table("Look at these", ("warning",), tuple((each,) for each in warnings)))
    return tables


def _region(mixing: ForceMixing, atoms: Atoms, cluster: Cluster, seen: Atoms) -> Table:
    options, buffer = mixing.options, mixing.options.buffer
    moving, ends = options.moving, len(cluster.links)
    lengths = ", ".join(f"{each:g}" for each in sorted(set(cluster.links.lengths.round(3).tolist())))
    rows = (
        ("seeds", str(len(mixing.seeds_of(atoms)))),
        ("region", f"{len(cluster.region)} of {len(atoms)}: {_formula(atoms, cluster.region)}"),
        ("region moves", "no" if moving is None else f"in at {moving.enter:g} Å, out at {moving.leave:g} Å"),
        ("buffer", f"{len(cluster.buffer)}: {_formula(atoms, cluster.buffer)}"),
        ("buffer reaches", f"{buffer.radius:g} Å" if buffer.radius is not None else f"{buffer.hops} bonds"),
        ("bonds cut", str(cluster.cuts)),
        (
            "ends",
            f"{ends} {options.ends.element} at {lengths} Å" if ends else "none",
        ),
        ("the high level sees", f"{len(seen)} atoms: {seen.get_chemical_formula()}"),
        ("the cluster repeats along", ", ".join(options.along) or "no direction"),
    )
    return Table("Who moves by whose forces", ("", "is"), rows)


def _formula(atoms: Atoms, which: Indices) -> str:
    return str(atoms[which].get_chemical_formula()) or "none"


def _conserved(mixing: ForceMixing) -> Table:
    options, margin = mixing.options, mixing.options.thermostat_margin
    net = "left" if options.net_force == "leave" else "taken from the region's atoms, the same from each"
    rows = (
        ("net force of the mixing", net),
        ("momentum", "not conserved" if options.net_force == "leave" else "conserved"),
        ("energy", "not conserved: let a thermostat take the heat of the border away"),
        ("thermostat", "on all atoms" if margin is None else f"on atoms farther than {margin:g} Å from the region"),
    )
    return Table("What is not conserved", ("", "is"), rows, _NOTE)


def _matched(mixing: ForceMixing, match: Match) -> Table:
    assert mixing.options.match is not None
    after = measure(mixing.matched, mixing.options.match)
    rows = tuple(
        (name, f"{each.a0:.5f} Å", f"{each.a0 / match.high.a0 - 1.0:+.2e}", *_modulus(each.bulk_modulus, match))
        for name, each in (("high", match.high), ("low, before", match.low), ("low, after", after))
    )
    columns = ("level", "a₀", "relative to high", "B", "relative to high")
    return Table(f"Match in {mixing.options.match.structure} {mixing.options.match.element}", columns, rows)


def _modulus(modulus: float, match: Match) -> tuple[str, str]:
    return f"{modulus / GPa:.2f} GPa", f"{modulus / match.high.bulk_modulus - 1.0:+.2e}"


def _warnings(mixing: ForceMixing, cluster: Cluster, seen: Atoms) -> list[str]:
    found = []
    ends = seen.positions[len(cluster.members) :]
    if len(ends) > 1 and not seen.pbc.any() and (least := float(pdist(ends).min())) < _CROWDED:
        found.append(f"two ends are {least:.2f} Å apart: lower buffer.join, or take a thicker buffer")
    if len(cluster.links) and (cluster.links.q < len(cluster.region)).any():
        found.append("an atom of the region carries an end itself: its force feels the cut; take a thicker buffer")
    if mixing.options.ends.element == "none" and cluster.cuts:
        found.append(f"{cluster.cuts} cut bonds dangle: right for short-ranged potentials, wrong for electrons")
    return found
