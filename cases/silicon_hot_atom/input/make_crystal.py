"""Writes crystal.extxyz: silicon at 300 K in which one atom has been hit."""

from pathlib import Path

import numpy as np
from ase.build import bulk
from ase.io import write
from ase.units import kB

CELLS, A = 4, 5.431  # cubes along each edge, and their edge, Å
ENERGY = 20.0  # eV
WAY = np.array([1.0, 0.2, 0.1])  # along an open channel, and a little beside it

atoms = bulk("Si", a=A, cubic=True).repeat(CELLS)
masses = atoms.get_masses()
momenta = np.random.default_rng(1).standard_normal((len(atoms), 3)) * np.sqrt(600.0 * kB * masses)[:, None]
momenta -= momenta.mean(axis=0)  # of 600 K, half goes into bonds
hit = int(np.linalg.norm(atoms.positions - 0.5 * atoms.cell.lengths(), axis=1).argmin())
momenta[hit] = np.sqrt(2.0 * ENERGY * masses[hit]) * WAY / np.linalg.norm(WAY)
atoms.set_momenta(momenta)
print("the atom that is hit:", hit)
write(Path(__file__).parent / "crystal.extxyz", atoms, columns=["symbols", "positions", "momenta"])
