"""Continua of cells for the tests of FE²: in one process, and as a program under mpirun, of which rank 0 prints."""

from __future__ import annotations

import json
import sys
from typing import Any

import numpy as np

from scalespan.adapters.dolfinx import DolfinxAdapter
from scalespan.adapters.interface import ScalespanError
from scalespan.bridges.homogenisation import Homogenisation, HomogenisationOptions

DIAMOND = {"material": "neo-hookean", "young": "where(abs(x - 0.5) + abs(y - 0.5) < 0.5, 10.0, 1.0)", "poisson": 0.3}


def law(cells: int = 4, solid: dict[str, Any] | None = None, **options: Any) -> Homogenisation:
    """Return the law of a square cell with a stiff diamond in a soft matrix."""
    mesh = {"low": [0.0, 0.0], "high": [1.0, 1.0], "cells": [cells, cells]}
    body = DolfinxAdapter(DolfinxAdapter.Options.read({"mesh": mesh, "elasticity": solid or DIAMOND}))
    return Homogenisation(HomogenisationOptions(**options), cell=body)


def cantilever(micro: Homogenisation, cells: tuple[int, int] = (4, 2), load: float = 0.03) -> DolfinxAdapter:
    """Return a block of 2 × 1 that is held on the left half of its rim and pulled upwards at its right end."""
    box = {"low": [0.0, 0.0], "high": [2.0, 1.0], "cells": list(cells), "cell": "quadrilateral"}
    solid = {
        "material": "law",
        "fixed": [{"boundary": "held", "value": 0.0}],
        "natural": [{"boundary": "right", "value": [0.0, f"{load}*t"]}],
    }
    table = {"mesh": box | {"boundaries": {"held": "x < 1.0001"}}, "elasticity": solid, "timestep": 1.0}
    return DolfinxAdapter(DolfinxAdapter.Options.read(table), law=micro)


def numbers(scheme: str) -> dict[str, float]:
    """Return what must not depend on the ranks, after two steps, and how the work was shared."""
    body = cantilever(law(scheme=scheme), (8, 1))
    body.advance(1.0)
    body.advance(1.0)
    u = body.problem.unknown
    owned = u.function_space.dofmap.index_map.size_local * 2
    squares = body.domain.comm.allreduce(float((u.x.array[:owned] ** 2).sum()))
    return {"displacement": float(np.sqrt(squares))} | dict(body.observe())


def failure() -> dict[str, float]:
    """Return on how many ranks a step fails that turns cells inside out."""
    body = cantilever(law(iterations=2, scheme="plain"), (8, 1), load=2.0)
    failed = 0
    try:
        body.advance(1.0)
    except ScalespanError:
        failed = 1
    return {"failed": float(body.domain.comm.allreduce(failed))}


if __name__ == "__main__":
    found = {each: numbers(each) for each in ("nested", "monolithic")} | {"failure": failure()}
    from mpi4py import MPI

    if MPI.COMM_WORLD.rank == 0:
        json.dump(found, sys.stdout)
