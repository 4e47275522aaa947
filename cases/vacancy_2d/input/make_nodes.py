"""Writes crystal.extxyz, the sheet without stress, and nodes.txt, a mesh that grows coarser away from the atoms."""

from pathlib import Path

import numpy as np
from ase.calculators.lj import LennardJones
from ase.io import write

from scalespan.adapters.ase import ASEAdapter
from scalespan.bridges.cauchy_born import CauchyBorn, CauchyBornOptions, unstressed
from scalespan.bridges.handshake import graded_nodes

here = Path(__file__).parent
engine = ASEAdapter.of(LennardJones(sigma=3.405, epsilon=0.010323166, rc=8.5125, ro=6.81, smooth=True))
sheet = {"structure": "triangular", "symbol": "Ar", "a": "3.784 angstrom"}
crystal = unstressed(CauchyBorn(CauchyBornOptions.read({"crystal": sheet}), atoms=engine))
write(here / "crystal.extxyz", crystal)
np.savetxt(here / "nodes.txt", graded_nodes(crystal, fine=19.0 + 8.6, cells=32), fmt="%.10f")
