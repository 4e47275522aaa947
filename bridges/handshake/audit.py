"""What can be known before running: that each site is counted once, and that no force comes from the joint."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from scalespan.adapters.interface import Array, CaseError, Table

from .clocks import clock_table

if TYPE_CHECKING:
    from .handshake import Handshake

STRAINS = {"none": (0.0, 0.0), "1 % stretch": (0.01, 0.0), "1 % shear": (0.0, 0.01)}  # stretch, shear


def audit_tables(handshake: Handshake) -> list[Table]:
    """Return the tables.

    Raises:
        CaseError: a ghost force above the options' limit, or a continuum's step that is too long.
    """
    clocks = [] if handshake.options.continuum_step is None else [clock_table(handshake)]
    return [_counts(handshake), _ghosts(handshake), _adjoint(handshake), *clocks]


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
    rows, worst = [], 0.0
    for name, (stretch, shear) in STRAINS.items():
        forces = np.linalg.norm(handshake.uniform_forces(_deformation(handshake, stretch, shear)), axis=1)
        at = int(forces.argmax())
        what = "atom" if at < handshake.sites.free else "node"
        rows.append((name, f"{forces.max():.1e}", f"{np.sqrt((forces**2).mean()):.1e}", what))
        worst = max(worst, float(forces.max()))
    if worst > handshake.options.ghost_force:
        raise CaseError(
            f"the perfect crystal under uniform strain feels a ghost force of {worst:.2g} eV/Å",
            todo="make the pad as thick as the engine's cut-off, twice that for many-body forces, and see that crystal "
            "and law are of the same engine",
        )
    heading = ("strain", "largest / (eV/Å)", "rms / (eV/Å)", "largest on")
    return Table("Ghost forces on the perfect crystal", heading, tuple(rows), note="a consistent joint has none")


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
    rows = ((f"{count} nodes and {len(forces)} sites", f"{abs(there - back) / size:.1e}"),)
    return Table("Work on both sides of the joint", ("between", "relative difference"), rows)
