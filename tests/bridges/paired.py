"""Two ends of a serial-explicit coupling in one process, for the tests: a thread for the second participant.

Values pass as they are, by field. Windows have a length, or the first participant sets it.
"""

from __future__ import annotations

from collections.abc import Mapping
from math import inf
from queue import Queue
from threading import Thread

import numpy as np

from scalespan.adapters.interface import Array
from scalespan.bridges.interface import Bridge, Exchange, Field, Unchanging
from scalespan.bridges.run.loop import drive

WAIT = 60.0  # s; a test that hangs fails
Message = tuple[float, dict[str, Array]] | BaseException


class End(Unchanging):
    """One participant's side."""

    must_save = must_restore = False

    def __init__(self, put: Queue[Message], get: Queue[Message], first: bool, until: float, window: float) -> None:
        self._put, self._get, self._first, self._until, self._window = put, get, first, until, window
        self._meshes: dict[str, Array] = {}
        self._values: dict[str, Array] = {}  # at the window's end for the second, at its beginning for the first
        self._before: dict[str, Array] = {}
        self._writes: dict[str, Array] = {}
        self.time = 0.0
        self.windows = 0
        self.finished = False

    def start(self, exchange: Exchange, initial: Mapping[Field, Array]) -> None:
        given = {field.name: values.copy() for field, values in initial.items()}
        self._put.put((0.0, {name: mesh.points.copy() for name, mesh in exchange.meshes.items()}))
        self._meshes = self._receive()[1] | {name: mesh.points for name, mesh in exchange.meshes.items()}
        self._put.put((0.0, given))
        zeros = {f.name: np.zeros((len(self._meshes[f.mesh]), f.components)) for f in exchange.reads}
        self._values = zeros | self._receive()[1]
        if not self._first:
            self._next()

    def _receive(self) -> tuple[float, dict[str, Array]]:
        message = self._get.get(timeout=WAIT)
        if isinstance(message, BaseException):
            raise message
        return message

    def _next(self) -> None:
        self._before = self._values
        self._length, self._values = self._receive()

    def points(self, mesh: str) -> Array:
        return self._meshes[mesh].copy()

    @property
    def running(self) -> bool:
        return self.time < self._until

    @property
    def longest_step(self) -> float:
        return min(self._window, self._until - self.time) if self._first else self._length

    def read(self, field: Field, at: float, points: Array | None = None) -> Array:
        assert points is None
        held = self._values if self._first or at == self._length else self._before
        return held[field.name].copy()

    def write(self, field: Field, values: Array, points: Array | None = None) -> None:
        assert values.shape == (len(self._meshes[field.mesh]), field.components), field.name
        self._writes[field.name] = values.copy()

    def advance(self, dt: float) -> None:
        self._put.put((dt, self._writes))
        self._writes = {}
        self.windows += 1
        self.time += dt
        if self._first or self.running:
            self._next()

    def finish(self) -> None:
        self.finished = True


class Pair:
    """A second participant that runs in a thread, and the coupling of the first."""

    def __init__(self, second: Bridge, until: float = 1e9, window: float = inf) -> None:
        there: Queue[Message] = Queue()
        back: Queue[Message] = Queue()
        self.second = second
        self.ends = End(there, back, True, until, window), End(back, there, False, until, window)
        self._back = back
        self._thread = Thread(target=self._serve, daemon=True)

    def __call__(self) -> End:
        """Start the second, and return the end of the first."""
        self._thread.start()
        return self.ends[0]

    def drive(self, first: Bridge) -> None:
        """Run both participants to the end."""
        drive(first, self())
        self.join()

    def _serve(self) -> None:
        try:
            drive(self.second, self.ends[1])
        except BaseException as error:  # what a supervisor does: the first cause ends the other one
            self._back.put(error)

    def join(self) -> None:
        """Wait for the end of the second."""
        self._thread.join(WAIT)
        assert not self._thread.is_alive(), "the second participant did not end"
