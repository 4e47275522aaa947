"""Compute the reference: the same bar of the same atoms by the tabulated quasi-harmonic Cauchy–Born law.

The bar is one-dimensional, and its two elements carry the load to their right: P₁₁ = f (1 − x) in their middles.
curves.csv holds the law, the one without motion, and what one box of atoms answers, for the picture.
"""

from pathlib import Path

import numpy as np
from scipy.interpolate import CubicSpline
from scipy.optimize import brentq

from scalespan.adapters.interface.units import convert
from scalespan.adapters.openmm import OpenMMAdapter, OpenMMOptions
from scalespan.bridges.atomistic_cell import AtomisticCell, AtomisticCellOptions
from scalespan.bridges.cauchy_born import CauchyBorn, CauchyBornOptions

HERE = Path(__file__).parent
FILES = {"system": "system.xml", "pdb": "box.pdb"}
LOAD = 2.5e7  # N/m³, of a bar of 1 m
STRETCHES = np.linspace(0.998, 1.008, 6)

engine = OpenMMAdapter(OpenMMOptions.read(FILES | {"platform": "Reference"}, folder=HERE))
crystal = {"symbol": "Ar", "structure": "fcc", "a": "5.318 angstrom", "cubic": True, "mass": "39.948 dalton"}
table = {"crystal": crystal, "repeat": [3, 3, 3], "vibrations": {"temperature": "5 K", "repeat": [3, 3, 3]}}
law = CauchyBorn(CauchyBornOptions.read(table), engine)
deformation = np.tile(np.eye(3), (len(STRETCHES), 1, 1))
deformation[:, 0, 0] = STRETCHES
pascal = convert(1.0, law.stress_unit, "Pa")
warm, rest = (pascal * each.respond(deformation).stress[:, 0, 0] for each in (law, law.at_rest()))
stress = CubicSpline(STRETCHES, warm)
print(f"P at F = 1: {1e-6 * float(stress(1.0)):.3f} MPa, C11 {1e-9 * float(stress(1.0, 1)):.4f} GPa")
for time in (0.5, 1.0):
    wanted = [time * LOAD * (1.0 - x) for x in (0.25, 0.75)]
    found = [brentq(lambda f, p=p: stress(f) - p, STRETCHES[0], STRETCHES[-1]) for p in wanted]
    print(f"t = {time}: tip {np.mean(found) - 1.0:.6e} m")

cpu = OpenMMAdapter(OpenMMOptions.read(FILES | {"platform": "CPU", "threads": 1}, folder=HERE))
sampling = {"temperature": "5 K", "timestep": "10 fs", "friction": "3 / ps", "samples": 80}
seen = AtomisticCell(AtomisticCellOptions.read({"sampling": sampling}), cpu).respond(deformation)
error = np.sqrt(seen.covariance[:, 0, 0, 0, 0])
columns = 1e-6 * np.stack([warm, rest, pascal * seen.stress[:, 0, 0], pascal * error], axis=1)
header = "stretch,quasi-harmonic,at_rest,box,error"
rows = np.column_stack([STRETCHES, columns])
np.savetxt(HERE / "curves.csv", rows, delimiter=",", header=header, comments="", fmt="%.6g")
