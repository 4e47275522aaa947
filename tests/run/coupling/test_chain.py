"""A chain of atoms in two participants, tied both ways through a wall: the undivided velocity Verlet."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from ase import Atoms
from ase.io import write
from ase.units import fs

from scalespan.adapters.harmonic import HarmonicAdapter, HarmonicOptions
from scalespan.adapters.interface import Motion
from scalespan.bridges.interface import build

from .pair import embedded

CONFIG = """<?xml version="1.0"?>
<precice-configuration>
  <data:vector name="Wall" waveform-degree="1"/><data:vector name="Force" waveform-degree="1"/>
  <mesh name="Left-Mesh" dimensions="3"><use-data name="Wall"/><use-data name="Force"/></mesh>
  <mesh name="Wall-Mesh" dimensions="3"><use-data name="Wall"/><use-data name="Force"/></mesh>
  <participant name="Left">
    <provide-mesh name="Left-Mesh"/>
    <write-data name="Wall" mesh="Left-Mesh"/><read-data name="Force" mesh="Left-Mesh"/>
  </participant>
  <participant name="Right">
    <provide-mesh name="Wall-Mesh"/><receive-mesh name="Left-Mesh" from="Left"/>
    <read-data name="Wall" mesh="Wall-Mesh"/><write-data name="Force" mesh="Wall-Mesh"/>
    <mapping:nearest-neighbor direction="read" from="Left-Mesh" to="Wall-Mesh" constraint="consistent"/>
    <mapping:nearest-neighbor direction="write" from="Wall-Mesh" to="Left-Mesh" constraint="conservative"/>
  </participant>
  <m2n:sockets acceptor="Left" connector="Right"/>
  <coupling-scheme:serial-{kind}>
    <participants first="Left" second="Right"/>
    <max-time-windows value="{windows}"/><time-window-size value="{window}"/>
    <exchange data="Wall" mesh="Left-Mesh" from="Left" to="Right" substeps="true"/>
    <exchange data="Force" mesh="Left-Mesh" from="Right" to="Left" substeps="true" initialize="true"/>
    {implicit}
  </coupling-scheme:serial-{kind}>
</precice-configuration>
"""
IMPLICIT = """<max-iterations value="40"/>
    <absolute-convergence-measure data="Force" mesh="Left-Mesh" limit="1e-11"/>
    <absolute-convergence-measure data="Wall" mesh="Left-Mesh" limit="1e-11"/>"""
SPRINGS = [
    {"atoms": [0, 1], "stiffness": "2 eV/angstrom**2", "length": "2.4 angstrom"},
    {"atoms": [1, 2], "stiffness": "3 eV/angstrom**2", "length": "2.6 angstrom"},
]
LINE = Atoms("ArArAr", [(0.0, 0.0, 0.0), (2.6, 0.1, 0.0), (5.0, 0.0, 0.3)])


def halves(folder: Path, config: str, every_step: bool) -> tuple[np.ndarray, list[float]]:
    """Run a chain of three atoms in two participants; return their positions (3, 3), and the total energy by window.

    Left has the atoms 0 and 1. Right has 2 and the spring between 1 and 2; its copy of 1 is a wall that Left moves,
    and what the wall feels is the force on 1 in Left.
    """
    write(folder / "left.xyz", LINE[:2])
    write(folder / "right.xyz", LINE[1:])
    base = {"use": "particles", "motion": {"timestep": "1 fs"}, "every_step": every_step}
    left = {
        "mesh": "Left-Mesh",
        "select": [1],
        "atoms": {"file": "left.xyz"},
        "model": {"use": "harmonic", "springs": [SPRINGS[0]]},
        "reads": {"forces": "Force"},
        "writes": {"displacements": "Wall"},
    }
    right = {
        "atoms": {"file": "right.xyz"},
        "walls": {"atoms": [0], "mesh": "Wall-Mesh", "displacements": "Wall", "forces": "Force"},
        "model": {"use": "harmonic", "springs": [SPRINGS[1] | {"atoms": [0, 1]}]},
    }
    sides = {name: build(base | table, where=name, folder=folder) for name, table in (("Left", left), ("Right", right))}
    totals: list[float] = []
    seen = {name: [] for name in sides}
    for name, side in sides.items():
        side.accept = lambda time, name=name, side=side: seen[name].append(side.observe())
    embedded(folder, sides, config)
    for one, other in zip(seen["Left"], seen["Right"], strict=True):
        totals.append(sum(each["potential/eV"] + each["kinetic/eV"] for each in (one, other)))
    ends = [side._mover.atoms.positions for side in sides.values()]
    assert np.allclose(ends[0][1], ends[1][0], rtol=0, atol=1e-7)
    return np.vstack([ends[0], ends[1][1:]]), totals


def whole() -> tuple[np.ndarray, float]:
    """Return the undivided chain after 40 timesteps of velocity Verlet, and its energy."""
    model = HarmonicAdapter(HarmonicOptions.read({"springs": SPRINGS}))
    model.start(LINE, Motion.read({"timestep": "1 fs"}))
    model.advance(40.0 * fs)
    seen = model.observe()
    return model.atoms.positions, seen.potential + seen.kinetic


@pytest.mark.parametrize("steps", [1, 2])
def test_an_implicitly_coupled_chain_is_the_undivided_one(tmp_path, steps):
    """The forces at a window's end belong to it, as in velocity Verlet: what is left is the iterations' limit.

    With several timesteps in a window the partners see each of them.
    """
    positions, energy = whole()
    config = CONFIG.format(kind="implicit", windows=40 // steps, window=steps, implicit=IMPLICIT)
    found, totals = halves(tmp_path, config, every_step=steps > 1)
    assert np.abs(positions - LINE.positions).max() > 0.05
    assert np.abs(found - positions).max() < 1e-9
    assert totals[-1] == pytest.approx(energy, abs=1e-9)


def test_an_explicitly_coupled_chain_is_not(tmp_path):
    """Guard of the test above: the force on the atom between is a window late."""
    config = CONFIG.format(kind="explicit", windows=20, window=2, implicit="")
    found, _ = halves(tmp_path, config, every_step=True)
    assert 1e-4 < np.abs(found - whole()[0]).max() < 1.0
