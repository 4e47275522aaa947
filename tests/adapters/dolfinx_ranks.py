"""What test_dolfinx_ranks runs under mpirun: each line of the answer is a number that must not depend on the ranks."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
from mpi4py import MPI

sys.path.insert(0, str(Path(__file__).parent))
from dolfinx_problems import box, make, warm

WORLD = MPI.COMM_WORLD


def total(values: Any) -> float:
    return float(WORLD.allreduce(float(np.sum(values))))


def mine(points: np.ndarray, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """A rank's part of points that all know, dealt out without regard to who owns their cells."""
    return points[WORLD.rank :: WORLD.size], rows[WORLD.rank :: WORLD.size]


def adjoint(cells: tuple[int, ...]) -> dict[str, float]:
    random = np.random.default_rng(7)
    points, loads = mine(random.random((40, len(cells))), random.standard_normal((40, 1)))
    adapter = make(degree=2, mesh=box(*cells), poisson={})
    unknown = adapter.problem.unknown
    unknown.interpolate(lambda x: np.sin(3 * x[0]) + x[1] ** 2)
    adapter.load(points, loads)
    values = adapter.evaluate("potential", points)
    owned = unknown.function_space.dofmap.index_map.size_local
    nodal = total(adapter.nodal_loads()[:owned] * unknown.x.array[:owned])
    order = points @ np.arange(1.0, 1.0 + len(cells))
    return {"work": total(values * loads), "nodal": nodal, "ordered": total(values[:, 0] * order)}


def conduction(cells: tuple[int, ...]) -> dict[str, float]:
    """Temperature in, flux out; then the saved state again."""
    adapter = warm(box(*cells), "temperature", connectivity=True)
    mesh = adapter.points("interface")
    points = mesh.points

    def step(time: float) -> np.ndarray:
        exact = 1 + points[:, 0] ** 2 + 3 * points[:, 1] ** 2 + 1.2 * time
        adapter.set_input("interface.temperature", exact[:, None])
        adapter.advance(0.1)
        return adapter.output("interface.heat_flux")

    step(0.1)
    saved = adapter.save()
    first = step(0.2)
    adapter.restore(saved)
    again = step(0.2)
    whole = mesh.edges if len(cells) == 2 else mesh.triangles
    corners = points[whole][:, :, 1:]
    sizes = np.abs(np.linalg.det(corners[:, 1:] - corners[:, :1])) / (len(cells) - 1)
    return {
        "error": adapter.observe()["error/1"],
        "flux": float(WORLD.allreduce(np.abs(first + 2.0).max(initial=0.0), op=MPI.MAX)),
        "same": total(not np.array_equal(first, again)),
        "area": total(sizes),
        "owned": total(len(adapter.points("space").points)),
    }


def doubled() -> dict[str, float]:
    """Loads on doubled points add up, each where it arrives."""
    solid = {"young": 3.0, "poisson": 0.3, "fixed": [{"boundary": "left", "value": 0.0}]}
    place = {"space": {"takes": ["force"], "connectivity": True}, "wall": {"boundary": "left"}}
    adapter = make(mesh=box(4, 4), elasticity=solid, places=place)
    points = adapter.points("space").points
    adapter.set_input("space.force", np.full(points.shape, 0.5))
    adapter.advance(1.0)
    force = adapter.output("wall.force")
    return {"given": total(np.full(points.shape, 0.5)), "leaves": total(force)}


def quadrature(cells: tuple[int, ...]) -> dict[str, float]:
    """Loads at Gauss points are the adjoint of evaluation; densities there add up to their integrals."""
    places = {
        "rim": {"boundary": "all", "at": "quadrature", "takes": ["surface_charge"]},
        "inside": {"at": "quadrature", "takes": ["source"]},
        "loaded": {"boundary": "right", "at": "quadrature", "takes": ["charge"]},
    }
    adapter = make(degree=2, mesh=box(*cells), poisson={}, places=places)
    unknown = adapter.problem.unknown
    unknown.interpolate(lambda x: np.sin(3 * x[0]) + x[1] ** 2)
    owned = unknown.function_space.dofmap.index_map.size_local
    x = adapter.points("loaded").points
    loads = np.cos(x @ np.arange(1.0, 1.0 + len(cells)))[:, None]
    adapter.set_input("loaded.charge", loads)
    found = {
        "work": total(adapter.output("loaded.potential") * loads),
        "nodal": total(adapter.nodal_loads()[:owned] * unknown.x.array[:owned]),
    }
    for name in ("rim.surface_charge", "inside.source"):
        points = adapter.points(name.partition(".")[0]).points
        adapter.set_input(name, points[:, :1] ** 2)
    adapter.set_input("loaded.charge", np.zeros_like(loads))
    return found | {"given": total(adapter.nodal_loads()[:owned])}


if __name__ == "__main__":
    answers = {
        "2": adjoint((6, 5)),
        "3": adjoint((3, 3, 2)),
        "heat2": conduction((5, 4)),
        "heat3": conduction((2, 3, 2)),
    }
    answers["doubled"] = doubled()
    answers |= {"gauss2": quadrature((5, 4)), "gauss3": quadrature((3, 2, 2))}
    if WORLD.rank == 0:
        sys.stdout.write(json.dumps(answers))
