"""One side of an exchange of 3-vectors through preCICE, both ways; `test_coupling_cost.py` runs two of them.

python coupling_side.py Ours|Theirs POINTS WINDOWS. Ours takes the windows in turn by bare pyprecice, with vertex
numbers as pyprecice gives them and as a list, and by scalespan's loop, and prints JSON: the processor time (s) of each.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from time import process_time
from typing import Any

import numpy as np

from scalespan.adapters.interface import Array, Options, State
from scalespan.bridges.interface import Bridge, Exchange, Field, Mesh, Read
from scalespan.bridges.run.loop import drive
from scalespan.bridges.run.precice import Precice

NAMES = {"Ours": ("Move", "Load"), "Theirs": ("Load", "Move")}


class Idle(Bridge):
    """Reads once, and writes what it has."""

    name = "idle"
    Options = Options
    longest_step = 1e9

    def __init__(self, side: str, points: int) -> None:
        mesh = f"{side}-Mesh"
        self.mine, self.other = (Field(name, mesh, "1", 3) for name in NAMES[side])
        places = np.random.default_rng(len(side)).random((points, 3))
        self.known = Exchange((self.other,), (self.mine,), {mesh: Mesh(places)})
        self.values = np.ones((points, 3))

    @property
    def exchange(self) -> Exchange:
        return self.known

    def receive(self, read: Read) -> None:
        self.read = read

    def advance(self, dt: float) -> None:
        self.taken = self.read(self.other, dt)

    def write(self, field: Field) -> Array:
        return self.values

    def save(self) -> State:
        return {}

    def restore(self, state: State) -> None:
        return


class OneWindow:
    """A running coupling, for one round of the loop."""

    def __init__(self, coupling: Precice) -> None:
        self.coupling, self.running = coupling, True
        self.read, self.write, self.section = (
            coupling.read,
            coupling.write,
            coupling.section,
        )  # bound outside what is timed

    must_save = property(lambda self: self.coupling.must_save)
    must_restore = property(lambda self: self.coupling.must_restore)
    longest_step = property(lambda self: self.coupling.longest_step)

    def start(self, exchange: Exchange, initial: object) -> None:
        return

    def advance(self, dt: float) -> None:
        self.coupling.advance(dt)
        self.running = False

    def finish(self) -> None:
        return


def bare(participant: Any, bridge: Idle, ids: Any) -> None:
    """Take a window as pyprecice's documentation does."""
    participant.requires_writing_checkpoint()
    dt = participant.get_max_time_step_size()
    participant.read_data(bridge.other.mesh, bridge.other.name, ids, dt)
    participant.write_data(bridge.mine.mesh, bridge.mine.name, ids, bridge.values)
    participant.advance(dt)
    participant.requires_reading_checkpoint()
    participant.is_coupling_ongoing()


def main(side: str, points: int, windows: int) -> None:
    bridge, coupling = Idle(side, points), Precice(Path("config.xml"), side)
    if side == "Theirs":
        drive(bridge, coupling)
        return
    coupling.start(bridge.exchange, {bridge.mine: bridge.values})
    participant = coupling._precice
    numbers = coupling._vertices[bridge.mine.mesh].ids
    once = OneWindow(coupling)
    as_given = np.array(numbers, dtype=np.int32)
    ways = {
        "bare": lambda: bare(participant, bridge, as_given),
        "bare, list": lambda: bare(participant, bridge, numbers),
        "scalespan": lambda: drive(bridge, once),
    }
    times: dict[str, list[float]] = {way: [] for way in ways}
    rng = np.random.default_rng(0)
    for _ in range(windows // len(ways)):
        for way in rng.permutation(list(ways)).tolist():
            coupling._look()
            once.running = True
            start = process_time()
            ways[way]()
            times[way].append(process_time() - start)
    coupling._look()
    coupling.finish()
    print("times", json.dumps(times))


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]))
