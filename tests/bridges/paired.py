"""Two ends of a serial-explicit coupling in one process, for the tests: a thread for the second participant.

The first participant sets the length of the windows. Values pass as they are, by mesh and field.
"""

from __future__ import annotations

from collections.abc import Mapping
from queue import Queue
from threading import Thread

import numpy as np

from scalespan.adapters.interface import Array
from scalespan.bridges.interface import Bridge, Exchange, Field
from scalespan.bridges.run.loop import drive

WAIT = 60.0  # s; a test that hangs fails
Message = tuple[float, dict[str, Array]] | BaseException


class End:
    """One participant's side."""

    must_save = must_restore = False

    def __init__(self, put: Queue[Message], get: Queue[Message], first: bool, until: float) -> None:
        self._put, self._get, self._first, self._until = put, get, first, until
        self._meshes: dict[str, Array] = {}
        self.time, self._window = 0.0, until
        self._values: dict[str, Array] = {}
        self._before: dict[str, Array] = {}
        self._writes: dict[str, Array] = {}
        self.windows = 0
        self.finished = False

    def start(self, exchange: Exchange, initial: Mapping[Field, Array]) -> None:
        self._put.put((0.0, {name: mesh.points.copy() for name, mesh in exchange.meshes.items()}))
        self._meshes = self._receive()[1] | {name: mesh.points for name, mesh in exchange.meshes.items()}
        self._values = {f.name: np.zeros((len(self._meshes[f.mesh]), f.components)) for f in exchange.reads}
        if not self._first:
            self._next()

    def _receive(self) -> tuple[float, dict[str, Array]]:
        message = self._get.get(timeout=WAIT)
        if isinstance(message, BaseException):
            raise message
        return message

    def _next(self) -> None:
        self._before = self._values
        self._window, self._values = self._receive()

    def points(self, mesh: str) -> Array:
        return self._meshes[mesh].copy()

    @property
    def running(self) -> bool:
        return self.time < self._until

    @property
    def longest_step(self) -> float:
        return self._until - self.time if self._first else self._window

    def read(self, field: Field, at: float, points: Array | None = None) -> Array:
        assert points is None
        held = self._values if self._first or at == self._window else self._before
        return held[field.name].copy()

    def write(self, field: Field, values: Array, points: Array | None = None) -> None:
        assert values.shape == (len(self._meshes[field.mesh]), field.components), field.name
        self._writes[field.name] = values.copy()

    def advance(self, dt: float) -> None:
        self._put.put((dt, self._writes))
        self._writes = {}
        self.windows += 1
        self.time += dt
        if self._first:
            self._next()
        elif self.running:
            self._next()

    def finish(self) -> None:
        self.finished = True


class Pair:
    """A second participant that runs in a thread, and the coupling of the first."""

    def __init__(self, second: Bridge, until: float = 1e9) -> None:
        there: Queue[Message] = Queue()
        back: Queue[Message] = Queue()
        self.second = second
        self.ends = End(there, back, True, until), End(back, there, False, until)
        self._back = back
        self._thread = Thread(target=self._serve, daemon=True)

    def __call__(self) -> End:
        """Start the second, and return the end of the first."""
        self._thread.start()
        return self.ends[0]

    def _serve(self) -> None:
        try:
            drive(self.second, self.ends[1])
        except BaseException as error:  # what a supervisor does: the first cause ends the other one
            self._back.put(error)

    def join(self) -> None:
        """Wait for the end of the second."""
        self._thread.join(WAIT)
        assert not self._thread.is_alive(), "the second participant did not end"
