"""The case of the pulse made small: a disc of 37 sites in a sheet of 8 × 8 cells, one atoms' step in a window."""

from __future__ import annotations

import shutil
import tomllib
from pathlib import Path

import numpy as np
from ase import Atoms
from ase.io import write

from scalespan.adapters.interface import Motion
from scalespan.bridges.handshake import CrystalRegion, Handshake, find_sites, write_sites
from scalespan.bridges.interface import build

CASE = Path(__file__).parents[3] / "cases" / "pulse_2d"
WINDOW = 40.0  # fs
_EDITS = {
    "case.toml": {
        "low = [-90.0, -90.0], high = [90.0, 90.0], cells = [28, 28]": "low = [-30.0, -30.0], high = [30.0, 30.0], "
        "cells = [8, 8]",
        "timestep = 60.0 ": f"timestep = {WINDOW} ",
        'window = "60 fs"': f'window = "{WINDOW} fs"',
        'timestep = "20 fs"': 'timestep = "STEP fs"',
        'radius = "23 angstrom"': 'radius = "11.5 angstrom"',
        "atoms.extxyz": "atoms.traj",
        'use = "continuum"': 'use = "continuum"\nranks = RANKS',
        "every = 5 ": "every = 0\nrestart_every = KEEP ",
    },
    "precice-config.xml": {'value="60"': f'value="{WINDOW:g}"', 'max-time value="4800"': 'max-time value="END"'},
}


def small_pulse(folder: Path, windows: int = 200, steps: int = 1, ranks: int = 1, keep: int = 100) -> Path:
    """Return a small copy of the case, with a vacancy.

    Args:
        folder: where it is put.
        windows: how many.
        steps: of the atoms in a window.
        ranks: of the continuum.
        keep: windows between two states on disk.
    """
    case = shutil.copytree(CASE, folder / "pulse", ignore=shutil.ignore_patterns("results*", "precice-run"))
    numbers = {"STEP": f"{WINDOW / steps:g}", "RANKS": str(ranks), "KEEP": str(keep), "END": f"{windows * WINDOW:g}"}
    for name, edits in _EDITS.items():
        text = (case / name).read_text(encoding="utf-8")
        for old, new in edits.items():
            assert old in text, old
            text = text.replace(old, new)
        for key, value in numbers.items():
            text = text.replace(key, value)
        (case / name).write_text(text, encoding="utf-8")
    (case / "reference.toml").unlink(missing_ok=True)
    _write_atoms(case)
    return case


def _write_atoms(case: Path) -> None:
    table = tables(case)["Atoms"]
    region = CrystalRegion.read({key: table[key] for key in ("crystal", "region", "pad")}, folder=case)
    write_sites(region, case / "input" / "sites.traj")
    sites = find_sites(region)
    atoms = Atoms(sites.numbers[: sites.free], sites.reference[: sites.free])
    atoms.positions[:, 0] += 0.2 * np.exp(-0.5 * ((atoms.positions / 6.0) ** 2).sum(axis=1))
    del atoms[0]
    write(case / "input" / "atoms.traj", atoms)


def tables(case: Path) -> dict:
    """Return the participants' tables."""
    return tomllib.loads((case / "case.toml").read_text(encoding="utf-8"))["participants"]


def in_one_process(case: Path) -> Handshake:
    """Return the handshake of the same atoms and the same continuum in this process, started."""
    table = tables(case)
    atoms, continuum = table["Atoms"], table["Continuum"]["model"]
    del continuum["elasticity"]["overlap"]
    kept = {key: atoms[key] for key in ("crystal", "region", "pad", "atoms_file", "atoms")}
    clocks = {"continuum_step": atoms["window"], "scheme": "staggered"}
    model = build({"use": "handshake", "continuum": continuum} | kept | clocks, where="test", folder=case)
    assert isinstance(model, Handshake)
    model.start(model.initial_atoms(), Motion.read({"timestep": atoms["timestep"]}))
    return model
