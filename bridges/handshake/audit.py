"""What can be known before running: each site is counted once, no force comes from the joint, no work is lost there."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from scipy.spatial import cKDTree

from scalespan.adapters.interface import Array, CaseError, Chart, Table

from .estimate import region_radius
from .stability import stability_table

if TYPE_CHECKING:
    from collections.abc import Callable

    from .clusters import Clusters
    from .handshake import Handshake
    from .sites import Sites

STRAINS = {"none": (0.0, 0.0), "1 % stretch": (0.01, 0.0), "1 % shear": (0.0, 0.01)}  # stretch, shear


_ROUNDING = 1e-10  # eV/Å
_LEAST = 1e-17  # eV/Å: where the map's colours begin, below rounding
_DRAWN = 4000  # places at most in the map
_SLICE = 0.1  # of it, half the thickness of the slice that the map shows of a body in space
_AROUND = 1.5  # how far the map goes, of the sites
_ADJOINT = 1e-12  # relative: what rounding leaves


def audit_tables(handshake: Handshake) -> list[Table]:
    """Return the tables.

    Raises:
        CaseError: a ghost force above the options' limit, work that is lost between atoms and mesh, or a joint that
            is unstable.
    """
    size = [_size(handshake)] if handshake.sites.dimension > 1 else []  # a chain's defect has no far field
    return [_counts(handshake), _ghosts(handshake), _adjoint(handshake), stability_table(handshake), *size]


def _counts(handshake: Handshake) -> Table:
    sites, solid, extension = handshake.sites, handshake.solid, handshake.extension
    unit = f"Å^{sites.dimension}"
    rows = (
        ("free atoms", str(handshake.free), f"in the place of {sites.free} sites"),
        ("pads", str(len(sites.reference) - sites.free), "atoms that follow the mesh"),
        ("nodes", str(len(solid.nodes)), f"{len(solid.cells)} cells"),
        ("nodes that move freely", str(len(handshake.moving_nodes)), ""),
        ("nodes that follow them", str(len(extension.slaved)), "most of their mass is the atoms'"),
        ("nodes that are held", str(int(solid.held.sum())), ""),
        ("mass of the body", f"{solid.masses.sum():.6g} amu", f"{sites.density:.6g} amu/{unit}"),
        ("of it, in free atoms' sites", f"{sites.masses[: sites.free].sum():.6g} amu", "the rest is in the nodes"),
    )
    return Table("Who carries the body: each site once", ("what", "how much", ""), rows)


def _ghosts(handshake: Handshake) -> Table:
    rows, worst = [], ("", np.zeros(1))
    places = _places(handshake)
    for name, (stretch, shear) in STRAINS.items():
        if handshake.sites.dimension == 1 and shear:
            continue
        forces = np.linalg.norm(handshake.uniform_forces(_deformation(handshake, stretch, shear)), axis=1)
        at = int(forces.argmax())
        what = "atom" if at < handshake.sites.free else "node"
        where = f"{what} at {_point(places[at])}"
        rows.append((name, f"{forces.max():.1e}", f"{np.sqrt((forces**2).mean()):.1e}", where))
        worst = max(worst, (f"{where}, strain: {name}", forces), key=lambda each: float(each[1].max()))
    largest = float(worst[1].max())
    if largest > handshake.options.ghost_force:
        raise _too_large(largest, worst[0], handshake.sites, handshake.slaved.linear)
    heading = ("strain", "largest / (eV/Å)", "rms / (eV/Å)", "largest on")
    told = "rounding" if largest < _ROUNDING else _pattern(handshake, worst[1])
    note = f"a consistent joint has none; here: {told}"
    return Table(
        "Ghost forces on the perfect crystal",
        heading,
        tuple(rows),
        note,
        _map(handshake.sites, places, worst[1], handshake.options.ghost_force),
    )


def _too_large(force: float, where: str, sites: Sites, frozen: bool) -> CaseError:
    count = len(np.unique(sites.basis))
    todo = (
        "make the pad as thick as the engine's cut-off, twice that for many-body forces, and see that crystal and law "
        "are of the same engine"
    )
    if frozen and count > 1:
        todo += (
            f'; the {count} atoms of a cell move beside the strain: with a law of inner = "relaxed" the pads do, too'
        )
    return CaseError(
        f"the perfect crystal under uniform strain feels a ghost force of {force:.2g} eV/Å ({where})", todo=todo
    )


def rim_table(sites: Sites, clusters: Clusters, places: Callable[[Array], Array], limit: float, frozen: bool) -> Table:
    """Return the forces on the region's sites of the strained perfect crystal alone, without a continuum.

    Args:
        sites: of the crystal.
        clusters: the engine's.
        places: from a displacement gradient (d, d) to the positions (s, 3) of all sites.
        limit: eV/Å, that a force may have.
        frozen: whether the pads follow the strain alone.

    Raises:
        CaseError: a force above the limit: the pads are too thin.
    """
    rows, worst = [], ("", np.zeros(1))
    for name, (stretch, shear) in STRAINS.items():
        gradient = np.zeros((sites.dimension,) * 2)
        gradient[0, :2] = (stretch, shear)[: sites.dimension]
        _, forces = clusters.perfect(places(gradient))
        sizes = np.linalg.norm(forces[: sites.free], axis=1)
        where = f"atom at {_point(sites.points[int(sizes.argmax())])}"
        rows.append((name, f"{sizes.max():.1e}", where))
        worst = max(worst, (f"{where}, strain: {name}", sizes), key=lambda each: float(each[1].max()))
    if (largest := float(worst[1].max())) > limit:
        raise _too_large(largest, worst[0], sites, frozen)
    title, heading = "Ghost forces on atoms of the perfect crystal", ("strain", "largest / (eV/Å)", "on")
    chart = _map(sites, sites.points[: sites.free], worst[1], limit)
    return Table(title, heading, tuple(rows), "a consistent joint has none", chart)


def _places(handshake: Handshake) -> Array:
    """Return the reference positions (sites in the region + nodes that move, d) of `uniform_forces`."""
    return np.concatenate([handshake.sites.points[: handshake.sites.free], handshake.nodes])


def _point(place: Array) -> str:
    return "(" + ", ".join(f"{each:.4g}" for each in place) + ") Å"


def _pattern(handshake: Handshake, forces: Array) -> str:
    """Return where the squares of the forces are: by the distance from the outermost atoms of the region."""
    sites = handshake.sites
    inside, pads = cKDTree(sites.points[: sites.free]), cKDTree(sites.points[sites.free :])
    places, thickness = _places(handshake), float(handshake.options.pad)
    core = pads.query(places)[0] > thickness
    core[sites.free :] = False
    far = inside.query(places)[0] > thickness
    total = max(float(forces @ forces), _LEAST**2)
    squares = [100.0 * float(forces[each] @ forces[each]) / total for each in (core, ~core & ~far, far)]
    shares = [f"{each:.0f} %" for each in squares]
    return "of the largest row's squares, {} are in the core, {} within a pad of the joint, {} beyond".format(*shares)


def _map(sites: Sites, places: Array, forces: Array, limit: float) -> Chart:
    """Return forces (n,) at ``places`` (n, d): of a body in space those in the middle plane, of a chain along it."""
    middle = sites.points.mean(axis=0)
    size = float(np.abs(sites.points - middle).max())
    shown = (np.abs(places - middle) < _AROUND * size).all(axis=1)
    if places.shape[1] == 3:
        shown &= np.abs(places[:, 2] - middle[2]) < _SLICE * size
    chosen = np.flatnonzero(shown)
    chosen = chosen[np.argsort(forces[chosen])[::-1][:_DRAWN]]
    y = places[chosen, 1] if places.shape[1] > 1 else np.zeros(len(chosen))
    spots = Chart.points(places[chosen, 0], y, np.maximum(forces[chosen], _LEAST))
    limits = (_LEAST, max(float(forces.max()), 10.0 * limit))
    return Chart("x (Å)", "y (Å)", spots=spots, size="ghost force (eV/Å)", range=limits)


def _deformation(handshake: Handshake, stretch: float, shear: float) -> Array:
    d = handshake.sites.dimension
    found = np.eye(d)
    found[0, 0] += stretch
    if d > 1:
        found[0, 1] += shear
    return found


def _adjoint(handshake: Handshake) -> Table:
    """|⟨Πv, f⟩ − ⟨v, Πᵀf⟩| of random fields, relative to its terms."""
    rng = np.random.default_rng(0)
    d, count = handshake.sites.dimension, len(handshake.solid.nodes)
    moving = rng.standard_normal((len(handshake.extension.others), d))
    forces = rng.standard_normal((len(handshake.sites.reference), d))
    field = handshake.extension.fill(moving)
    interpolation = handshake.slaved.interpolation
    there = float((interpolation @ field * forces).sum())
    back = float((moving * handshake.extension.gather(interpolation.T @ forces)).sum())
    size = float(np.linalg.norm(interpolation @ field) * np.linalg.norm(forces))
    apart = abs(there - back) / size
    if apart > _ADJOINT:
        raise CaseError(
            f"{apart:.1g} of the work between atoms and mesh is lost", todo="look for simplices without a volume"
        )
    rows = ((f"{count} nodes and {len(forces)} sites", f"{apart:.1e}"),)
    return Table("Work on both sides of the joint", ("between", "relative difference"), rows)


def _size(handshake: Handshake) -> Table:
    """Return how an error falls with the size of the region; how large it is, a minimum tells: see `estimate`."""
    sites, radius = handshake.sites, region_radius(handshake)
    power = (sites.dimension + 2.0) / 2.0
    rows = [(f"{radius:.4g} Å", str(sites.free), "1")]
    for share in (2.0, 4.0):
        larger = radius * share ** (1.0 / power)
        rows.append((f"{larger:.4g} Å", f"{sites.free * (larger / radius) ** sites.dimension:.0f}", f"1/{share:g}"))
    note = (
        f"the error of a point defect's strains falls as the radius to the power −{power:g} if the mesh is graded with "
        "the region; the report of a minimisation estimates it"
    )
    return Table("Size of the region", ("radius", "sites", "error, of this one's"), tuple(rows), note)
