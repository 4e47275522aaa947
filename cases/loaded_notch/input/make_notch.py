"""Writes crystal.extxyz, the sheet without stress; notch.extxyz, atoms around the notch; nodes.txt, a graded mesh."""

from pathlib import Path

import numpy as np
from ase import Atoms
from ase.calculators.lj import LennardJones
from ase.io import write

from scalespan.adapters.ase import ASEAdapter
from scalespan.bridges.cauchy_born import CauchyBorn, CauchyBornOptions, unstressed
from scalespan.bridges.handshake import graded_nodes

RADIUS, PAD = 40.0, 8.6  # Å, of the region, and around it
CELLS = 48  # of the sheet to either side
LONG, SHORT = 5.5, 1.3  # semi-axes of the notch in lattice constants, half-way between atoms: along rows, and across

here = Path(__file__).parent
engine = ASEAdapter.of(LennardJones(sigma=3.405, epsilon=0.010323166, rc=8.5125, ro=5.1075, smooth=True))
sheet = {"structure": "triangular", "symbol": "Ar", "a": "3.784 angstrom"}
crystal = unstressed(CauchyBorn(CauchyBornOptions.read({"crystal": sheet}), atoms=engine))
a = crystal.cell.lengths()[0]
steps = np.stack(np.meshgrid(*[np.arange(-CELLS, CELLS + 1)] * 2), axis=-1).reshape(-1, 2)
places = steps @ crystal.cell.array[:2]
inside = np.linalg.norm(places, axis=1) < RADIUS
notch = np.hypot(places[:, 0] / (LONG * a), places[:, 1] / (SHORT * a)) < 1.0
atoms = Atoms("Ar" * int((inside & ~notch).sum()), places[inside & ~notch])
write(here / "crystal.extxyz", crystal)
write(here / "notch.extxyz", atoms, columns=["symbols", "positions"])
np.savetxt(here / "nodes.txt", graded_nodes(crystal, fine=RADIUS + PAD, cells=CELLS), fmt="%.10f")
