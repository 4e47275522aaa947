"""Compute the case's reference numbers: by the handshake in one process, and by a sheet that is atoms throughout.

    python input/reference.py             # prints both
    python input/reference.py picture.svg # and draws the sequence

In one process, the two clocks are stepped as the coupling does (``scheme = "staggered"``); nothing of the coupling is
used. The sheet has atoms in place of nodes and one clock: the difference is the handshake's.
"""

from __future__ import annotations

import sys
import tomllib
from pathlib import Path

import numpy as np
from ase import Atoms, units
from ase.calculators.lj import LennardJones
from ase.constraints import FixAtoms
from ase.io import read
from ase.md.verlet import VelocityVerlet

from scalespan.adapters.interface import Motion
from scalespan.bridges.handshake import AtomsRegion, CrystalRegion, find_sites
from scalespan.bridges.interface import build

CASE = Path(__file__).parents[1]
WINDOW, STEP, END = 60.0, 20.0, 4800.0  # fs
HALF = 65.0  # Å, of the sheet that is atoms throughout: what its edge sends back comes too late to be seen
PICTURES = (0.0, 1200.0, 2400.0, 3600.0)  # fs


def together():
    """Return the handshake in one process, started."""
    table = tomllib.loads((CASE / "case.toml").read_text(encoding="utf-8"))["participants"]
    atoms, continuum = table["Atoms"], table["Continuum"]["model"]
    del continuum["elasticity"]["overlap"]
    keys = {key: atoms[key] for key in ("crystal", "region", "pad", "atoms_file", "atoms")}
    clocks = {"continuum_step": atoms["window"], "scheme": "staggered"}
    model = build({"use": "handshake", "continuum": continuum} | keys | clocks, where="reference.py", folder=CASE)
    model.start(model.initial_atoms(), Motion.read({"timestep": atoms["timestep"]}))
    return model


def sheet() -> tuple[Atoms, np.ndarray]:
    """Return all atoms of the sheet with the pulse in the disc, and which are in it."""
    table = tomllib.loads((CASE / "case.toml").read_text(encoding="utf-8"))["participants"]["Atoms"]
    region = CrystalRegion.read({key: table[key] for key in ("crystal", "region", "pad")}, folder=CASE)
    corners = AtomsRegion.read({"low": [f"{-HALF} angstrom"] * 2, "high": [f"{HALF} angstrom"] * 2})
    whole = find_sites(region.model_copy(update={"region": corners, "pad": 0.1}))
    atoms = Atoms(whole.numbers[: whole.free], whole.reference[: whole.free])
    disc = read(CASE / "input" / "atoms.extxyz")
    inside = np.linalg.norm(atoms.positions, axis=1) <= region.region.radius + 1e-6
    nearest = np.linalg.norm(atoms.positions[inside][:, None] - disc.positions[None], axis=2).argmin(axis=1)
    atoms.positions[inside] = disc.positions[nearest]
    edge = np.abs(atoms.positions[:, :2]).max(axis=1) > HALF - 8.5
    atoms.set_constraint(FixAtoms(np.flatnonzero(edge)))
    keys = table["atoms"]["keywords"]
    atoms.calc = LennardJones(**keys)
    return atoms, inside


def shown(model) -> dict[str, float]:
    """Return what the participant Atoms shows at its end."""
    atoms = model.atoms[: model.free]
    seen = model.observe().components
    return {"atoms": seen["atoms"], "counted twice": seen["counted twice"], "kinetic": atoms.get_kinetic_energy()}


def main() -> None:
    model = together()
    frames = {0.0: (model.atoms.positions[: model.free], model.displacement(model.atoms.positions))}
    for window in range(1, round(END / WINDOW) + 1):
        model.advance(WINDOW * units.fs)
        if window * WINDOW in PICTURES:
            positions = model.atoms.positions
            frames[window * WINDOW] = positions[: model.free], model.displacement(positions)
    print("one process:", shown(model))
    if len(sys.argv) > 1:
        draw(model, frames, Path(sys.argv[1]))
    whole, inside = sheet()
    motion, kinetic = VelocityVerlet(whole, STEP * units.fs), []
    begin = whole.get_potential_energy()
    for _ in range(round(END / WINDOW)):
        motion.run(round(WINDOW / STEP))
        kinetic.append(whole[inside].get_kinetic_energy())
    print("whole sheet:", {"kinetic": kinetic[-1], "largest": max(kinetic), "energy": begin})


def draw(model, frames: dict, file: Path) -> None:
    """Draw the displacement along x: atoms as dots, the continuum as triangles."""
    import matplotlib.pyplot as plt

    plt.rcParams["svg.hashsalt"] = "pulse"
    figure, axes = plt.subplots(1, len(frames), figsize=(10, 2.9), layout="constrained")
    sites = model.sites.reference[: model.free]
    for axis, (time, (atoms, moved)) in zip(axes, frames.items(), strict=True):
        nodes = model.solid.nodes
        limit = {"cmap": "RdBu_r", "vmin": -0.06, "vmax": 0.06}
        axis.tripcolor(*nodes.T, moved[:, 0], triangles=model.solid.cells, shading="gouraud", rasterized=True, **limit)
        axis.scatter(*sites[:, :2].T, c=atoms[:, 0] - sites[:, 0], s=3, edgecolors="0.3", linewidths=0.1, **limit)
        axis.set(title=f"{time / 1000.0:.1f} ps", aspect="equal", xticks=[-60, 0, 60], yticks=[])
    figure.savefig(file, metadata={"Date": None}, dpi=72)


if __name__ == "__main__":
    main()
