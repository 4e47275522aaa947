"""One side of tests of meshes that change: each side writes (1 + t) A x on its points and reads the other's.

python remeshing_side.py Cloud|Grid: Cloud has other points, and another number of them, in each window; Grid stays.
Each leaves the largest error of what it read, and how often it did, in NAME.json.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from scalespan.adapters.interface import Array, Options, State
from scalespan.bridges.interface import Bridge, Exchange, Field, Mesh, Read
from scalespan.bridges.run.loop import drive
from scalespan.bridges.run.precice import Precice

WINDOW, DATA = 0.5, {"Cloud": "Move", "Grid": "Load"}
MATRIX = np.array([[1.0, 2.0], [-3.0, 0.5]])


def linear(points: Array, time: float) -> Array:
    """A linear field (n, 2) of the place and of time."""
    found: Array = (1.0 + time) * points @ MATRIX
    return found


class Side(Bridge):
    """Writes the field at its points; compares what it reads with the field."""

    name = "side"
    Options = Options
    time_unit = "s"
    longest_step = WINDOW

    def __init__(self, side: str) -> None:
        other = next(name for name in DATA if name != side)
        self.mesh, self.moves = f"{side}-Mesh", side == "Cloud"
        self.mine, self.theirs = (Field(DATA[name], self.mesh, "m", 2) for name in (side, other))
        self.rng = np.random.default_rng(1)
        self.points = self.rng.random((30, 2))
        self.time, self.counts = 0.0, [len(self.points)]
        self.errors: list[float] = []
        self.passes: dict[float, int] = {}  # time at which a window begins -> how often it did

    @property
    def exchange(self) -> Exchange:
        return Exchange([self.theirs], [self.mine], {self.mesh: Mesh(self.points)})

    def receive(self, read: Read) -> None:
        self.read = read

    def advance(self, dt: float) -> None:
        again = self.passes.get(self.time, 0)
        self.passes[self.time] = again + 1
        at = dt if again else 0.0  # a first pass knows what the window begins with, the others how it ends
        if self.time > 0.5 * WINDOW:
            found = self.read(self.theirs, at)
            self.errors.append(float(np.abs(found - linear(self.points, self.time + at)).max()))
        self.time += dt

    def remeshed(self) -> Mapping[str, Mesh]:
        if not self.moves:
            return {}
        self.points = self.rng.random((30 + len(self.counts), 2))
        self.counts.append(len(self.points))
        return {self.mesh: Mesh(self.points)}

    def write(self, field: Field) -> Array:
        return linear(self.points, self.time)

    def save(self) -> State:
        return {"time": self.time}

    def restore(self, state: State) -> None:
        self.time = state["time"]


def main(name: str) -> None:
    side = Side(name)
    drive(side, Precice(Path("config.xml"), name))
    found = {"error": max(side.errors), "reads": len(side.errors), "counts": side.counts}
    Path(f"{name}.json").write_text(json.dumps(found))


if __name__ == "__main__":
    main(sys.argv[1])
