"""Make the files of this folder: the crystal without stress, the sites of the disc, and its atoms with a pulse."""

from __future__ import annotations

import tomllib
from pathlib import Path

import numpy as np
from ase import Atoms
from ase.io import write

from scalespan.bridges.handshake import CrystalRegion, find_sites, write_sites
from scalespan.bridges.interface import build

HERE = Path(__file__).parent
LAW = {"use": "cauchy_born", "crystal": {"symbol": "Ar", "structure": "triangular", "a": "3.78 angstrom"}}
HEIGHT, WIDTH = 0.2, 9.5  # Å, of the pulse


def main() -> None:
    from scalespan.bridges.cauchy_born import unstressed

    table = tomllib.loads((HERE.parent / "case.toml").read_text(encoding="utf-8"))["participants"]
    law = build(LAW | {"atoms": table["Atoms"]["atoms"]}, where="make.py")
    cell = unstressed(law).cell.array
    a = float(np.linalg.norm(cell[0]))
    flat = Atoms("Ar", cell=[[a, 0, 0], [a / 2, a * np.sqrt(0.75), 0], [0, 0, 0]], pbc=[True, True, False])
    write(HERE / "crystal.extxyz", flat)
    keys = {key: table["Atoms"][key] for key in ("crystal", "region", "pad")}
    region = CrystalRegion.read(keys, folder=HERE.parent)
    write_sites(region, HERE / "sites.traj")
    sites = find_sites(region)
    atoms = Atoms(sites.numbers[: sites.free], sites.reference[: sites.free])
    x, y = atoms.positions[:, :2].T
    atoms.positions[:, 0] += HEIGHT * np.exp(-0.5 * (x**2 + y**2) / WIDTH**2)
    write(HERE / "atoms.extxyz", atoms)


if __name__ == "__main__":
    main()
