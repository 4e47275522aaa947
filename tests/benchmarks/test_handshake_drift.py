"""Does a handshake keep its energy? 100 000 steps of a pulse that starts in the atoms, and two schemes that do not.

Chains and a sheet of Lennard-Jones atoms, and silicon by Stillinger and Weber, in bodies of simplices whose nodes at
the outside are held: all is closed. Beside it, on the chain: the same coupling with the pads' forces handed to their
nearest nodes, which is no transpose (h = 4a), and the exchange of displacements both ways (Schwarz, h = 2a).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from ase.io import write

from scalespan.adapters.interface import Array, Motion, ParticleAdapter
from scalespan.adapters.interface.units import FEMTOSECOND
from scalespan.bridges.cauchy_born import unstressed
from scalespan.bridges.run.plots import BLUE, INK, ORANGE, VERMILION, axes
from tests.bridges.crystals import WANTED, LennardJones, ball, box, chain, fs, handshake, spacing, triangle
from tests.bridges.potentials import stillinger_weber
from tests.bridges.test_handshake_silicon import DIAMOND, law, silicon
from tests.bridges.test_schwarz import schwarz

from .table import write_table

STEPS = 100_000
SEEN = 40  # steps between two looks
PICTURE = Path(__file__).parents[2] / "docs" / "pictures" / "drift.svg"
LJ = LennardJones()


@dataclass
class Run:
    """A closed system and its pulse."""

    name: str
    make: Callable[[Path], ParticleAdapter]
    dt: float  # ASE's time
    every: int = 1  # steps of the atoms in one of the continuum
    amplitude: float = 0.01  # Å, along x
    width: float = 4.5  # Å


def clock(dt: float, every: int) -> dict[str, str]:
    return {"continuum_step": fs(every * dt)} if every > 1 else {}


def in_chain(h: float, every: int = 1) -> Run:
    a = spacing(LJ, chain)

    def make(folder: Path) -> ParticleAdapter:
        region = ball(16.2 * a, 1)
        return handshake(folder, chain(a), LJ, box([64.0 * a], h * a), region=region, **clock(0.005, every))

    return Run(f"chain, h = {h:g}a", make, 0.005, every)


def in_sheet(h: float, every: int = 1) -> Run:
    a = spacing(LJ, triangle)

    def make(folder: Path) -> ParticleAdapter:
        region = ball(5.1 * a, 2)
        return handshake(folder, triangle(a), LJ, box([16.0 * a] * 2, h * a), region=region, **clock(0.005, every))

    return Run(f"triangular sheet, h = {h:g}a", make, 0.005, every, amplitude=0.05, width=2.5)


def in_silicon(every: int) -> Run:
    dt = 1.0 * FEMTOSECOND

    def make(folder: Path) -> ParticleAdapter:
        engine = stillinger_weber()
        write(folder / "crystal.extxyz", unstressed(law(engine, DIAMOND)))
        fitted = {"law": "polynomial", "polynomial": {"strain": 0.02, "beyond": "engine"}}
        return silicon(engine, folder, law_options=fitted, **clock(dt, every))

    return Run("silicon, three-body forces, h = 2a", make, dt, every, amplitude=0.05, width=3.0)


def nearest(folder: Path) -> ParticleAdapter:
    """Return the chain with h = 4a whose pads give their force to the nearest node."""
    model = in_chain(4.0).make(folder)
    follow = model._to_pads
    weights = follow.matrix().toarray()
    back = (weights == weights.max(axis=1, keepdims=True)).T.astype(float)
    follow.give = lambda forces: back @ forces
    return model


def both_ways(folder: Path) -> ParticleAdapter:
    """Return the chain with h = 2a that exchanges displacements both ways."""
    a = spacing(LJ, chain)
    options = {"region": ball(16.2 * a, 1), "overlap": f"{8.0 * a} angstrom", "unstable_dynamics": True}
    return schwarz(folder, chain(a), LJ, box([64.0 * a], 2.0 * a), **options)


def errors(run: Run, folder: Path, steps: int = STEPS) -> Array:
    """Return the error of the energy over the pulse's (looks, 2): after how many steps, and how much."""
    folder.mkdir()
    model = run.make(folder)
    atoms = model.initial_atoms()
    rest = model.compute(atoms, WANTED).energy
    free = model.free
    squares = (atoms.positions[:free] ** 2).sum(axis=1)
    atoms.positions[:free, 0] += run.amplitude * np.exp(-0.5 * squares / run.width**2)
    model.start(atoms, Motion(timestep=fs(run.dt)))
    begin, seen = total(model), []
    for k in range(steps // SEEN):
        model.advance(SEEN * run.dt)
        seen.append(((k + 1) * SEEN, (total(model) - begin) / (begin - rest)))
        if abs(seen[-1][1]) > 1e3:
            break
    return np.array(seen)


def total(model: ParticleAdapter) -> float:
    seen = model.observe()
    return seen.potential + seen.kinetic


CONSERVING = [
    *(in_chain(h) for h in (1.0, 2.0, 4.0, 8.0)),
    *(in_chain(4.0, every) for every in (5, 10, 20)),
    *(in_sheet(h) for h in (2.0, 4.0)),
    in_sheet(2.0, 10),
    in_silicon(5),
]
OTHERS = [Run("forces to the nearest node", nearest, 0.005), Run("displacements both ways", both_ways, 0.005)]


def row(run: Run, error: Array) -> tuple[str, ...]:
    """Return a line of the table: the trend is of the last nine tenths."""
    late = error[len(error) // 10 :]
    trend = 1e4 * np.polyfit(late[:, 0], late[:, 1], 1)[0]
    largest = np.abs(error[:, 1]).max()
    return run.name, f"{run.every} : 1", f"{int(error[-1, 0]):,}", f"{largest:.1e}", f"{trend:+.0e}"


def draw(found: list[tuple[Run, Array]]) -> None:
    """Draw the largest error so far against the steps."""
    ax = axes("steps of the atoms", "largest error of the energy / the pulse's", height=4.2)
    for run, error in found:
        colour = VERMILION if run in OTHERS else {1: BLUE}.get(run.every, ORANGE)
        so_far = np.maximum.accumulate(np.abs(error[:, 1]))
        ax.loglog(error[:, 0], so_far, color=colour, linewidth=1.4)
        if run in OTHERS:
            ax.annotate(run.name, (error[-1, 0], so_far[-1]), xytext=(6, -4), textcoords="offset points", color=INK)
    for name, at, colour in (("one clock", 2e-5, BLUE), ("two clocks", 7e-4, ORANGE)):
        ax.annotate(name, (1.1 * STEPS, at), color=colour, annotation_clip=False)
    ax.figure.savefig(PICTURE, bbox_inches="tight")


@pytest.mark.benchmark
def test_the_energy_does_not_grow(tmp_path: Path) -> None:
    found = [(run, errors(run, tmp_path / str(k))) for k, run in enumerate([*CONSERVING, *OTHERS])]
    write_table("drift", ("system", "clocks", "steps", "largest", "trend in 10⁴ steps"), [row(*each) for each in found])
    draw(found)
    for run, error in found[: len(CONSERVING)]:
        assert np.abs(error[len(error) // 2 :, 1]).max() < 1.5 * np.abs(error[: len(error) // 2, 1]).max(), run.name
    for run, error in found[len(CONSERVING) :]:
        assert np.abs(error[:, 1]).max() > 0.1, run.name
