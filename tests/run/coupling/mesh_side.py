"""One side of tests of meshes, cells and ranks: Solid writes (1 + t³) A x on a mesh with cells, Cloud reads it.

python mesh_side.py Solid|Cloud, alone or under mpirun; each rank of Cloud leaves its largest errors in Cloud-RANK.json.
"""

from __future__ import annotations

import json
import sys
from dataclasses import replace
from itertools import permutations
from pathlib import Path

import numpy as np

from scalespan.adapters.interface import Array
from scalespan.bridges.interface import Exchange, Field, Mesh
from scalespan.bridges.run.parallel import World, world
from scalespan.bridges.run.precice import Precice
from scalespan.bridges.run.precice_config import read_config

CONFIG = Path("config.xml")
CLOUD, STEPS = 40, 4


def grid(dimension: int) -> Mesh:
    """Return a grid of the unit cube, with cells of every kind that preCICE knows; in 3-D, triangles on its sides."""
    shape = (4,) * dimension
    points = np.array(list(np.ndindex(shape))) / 3.0
    found = []
    for corner in np.ndindex(
        (3,) * dimension
    ):  # a cube is cut into simplices, each a walk along the axes in some order
        for order in permutations(range(dimension)):
            steps = np.eye(dimension, dtype=int)[list(order)]
            walk = np.array(corner) + np.vstack([np.zeros_like(steps[:1]), steps.cumsum(axis=0)])
            found.append(np.ravel_multi_index(tuple(walk.T), shape))
    cells = np.array(found)
    faces = np.sort(np.vstack([np.delete(cells, corner, axis=1) for corner in range(dimension + 1)]), axis=1)
    unique, counts = np.unique(faces, axis=0, return_counts=True)
    if dimension == 2:
        return Mesh(points, edges=unique, triangles=cells)
    return Mesh(points, triangles=unique[counts == 1], tetrahedra=cells)


def cloud(dimension: int) -> Mesh:
    """Return points inside the cube, every second one on one of its sides."""
    points = np.random.default_rng(2).uniform(0.1, 0.9, (CLOUD, dimension))
    points[::2, -1] = 0.0
    return Mesh(points)


def field(points: Array, time: float) -> Array:
    """A linear field of the place, cubic in time."""
    matrix = np.arange(1.0, 1.0 + points.shape[1] ** 2).reshape(2 * (points.shape[1],))
    return (1.0 + time**3) * points @ matrix


def mine(mesh: Mesh, ranks: World) -> Mesh:
    """Return one rank's part: the points alone, as cells would cross."""
    return mesh if ranks.size == 1 else Mesh(np.array_split(mesh.points, ranks.size)[ranks.rank])


def solid(coupling: Precice, shift: Field, mesh: Mesh) -> None:
    time = 0.0
    slopes = field(np.eye(mesh.points.shape[1]), 0.0).T  # (components, dimension)
    gradient = {shift.name: lambda: np.tile((1.0 + time**3) * slopes, (len(mesh.points), 1, 1))}
    coupling.start(Exchange((), (shift,), {shift.mesh: mesh}, gradients=gradient), {})
    while coupling.running:
        dt = min(coupling.longest_step, 0.5 / STEPS)
        time += dt
        coupling.write(shift, field(mesh.points, time))
        coupling.advance(dt)
    coupling.finish()


def reads(coupling: Precice, shift: Field, mesh: Mesh) -> dict[str, float]:
    coupling.start(Exchange((shift,), (), {shift.mesh: mesh}), {})
    found = {"points": float(len(mesh.points)), "end": 0.0, "middle": 0.0, "surface": 0.0}
    number = 0
    while coupling.running:
        for name, part in (("middle", 0.3), ("end", 0.5)):
            # Before the first window nothing was sent: only then is the waveform a cubic from its start.
            if name == "end" or number == 1:
                error = np.abs(coupling.read(shift, part) - field(mesh.points, 0.5 * number + part))
                found[name] = max(found[name], float(error.max(initial=0.0)))
                found["surface"] = max(found["surface"], float(error[mesh.points[:, -1] == 0.0].max(initial=0.0)))
        coupling.advance(coupling.longest_step)
        number += 1
    coupling.finish()
    return found


def main(name: str) -> None:
    ranks = world()
    coupling = Precice(CONFIG, name, ranks)
    dimension = read_config(CONFIG).mesh("Solid-Mesh").dimension
    shift = Field("Shift", f"{name}-Mesh", "m", dimension)
    if name == "Solid":
        mesh = grid(dimension)
        if "nearest-projection" in CONFIG.read_text():  # preCICE would add the sides of the tetrahedra to the triangles
            mesh = replace(mesh, tetrahedra=mesh.tetrahedra[:0])
        solid(coupling, shift, mine(mesh, ranks))
    else:
        found = reads(coupling, shift, mine(cloud(dimension), ranks))
        Path(f"Cloud-{ranks.rank}.json").write_text(json.dumps(found))


if __name__ == "__main__":
    main(sys.argv[1])
