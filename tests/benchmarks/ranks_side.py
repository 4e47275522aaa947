"""What test_field_ranks runs under mpirun: steps of heat conduction with a partner's temperature at one side."""

from __future__ import annotations

import json
import sys
from time import perf_counter

import numpy as np
from mpi4py import MPI

from scalespan.adapters.dolfinx import DolfinxAdapter, DolfinxOptions

WORLD = MPI.COMM_WORLD


def main(cells: int, steps: int) -> None:
    """Print the number of unknowns, and the seconds of a step of the adapter and of its solver alone."""
    solver = {"ksp_type": "cg", "pc_type": "gamg", "ksp_rtol": 1e-10}
    mesh = {"low": [0, 0, 0], "high": [1, 1, 1], "cells": [cells] * 3}
    heat = {"source": 1.0, "fixed": [{"boundary": "left", "value": 0.0}]}
    places = {"side": {"boundary": "right", "takes": ["temperature"]}}
    adapter = DolfinxAdapter(DolfinxOptions.read({"mesh": mesh, "heat": heat, "places": places, "solver": solver}))
    points = adapter.points("side").points
    unknowns = adapter.problem.unknown.function_space.dofmap.index_map.size_global
    taken = []
    for step in range(steps + 1):
        WORLD.Barrier()
        begin = perf_counter()
        adapter.set_input("side.temperature", np.full((len(points), 1), 1.0 + 0.1 * step))
        adapter.advance(0.01)
        adapter.output("side.heat_flux")
        WORLD.Barrier()
        taken.append(perf_counter() - begin)
    if WORLD.rank == 0:
        print(json.dumps({"unknowns": unknowns, "step": float(np.median(taken[1:]))}))


main(int(sys.argv[1]), int(sys.argv[2]))
