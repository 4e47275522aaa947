"""The one participant loop, and the two couplings that need no partner."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import ceil

import numpy as np

from scalespan.adapters.interface import Array, CaseError, CouplingError, State
from scalespan.bridges.interface import Bridge, Coupling, Exchange, Field, Unchanging

# A step that ends this close to the window's end, as a part of the step, ends the window.
_ROUNDING = 1e-9


def drive(bridge: Bridge, coupling: Coupling, time: float = 0.0) -> None:
    """Take ``bridge`` from ``time`` to the end of ``coupling``, window by window.

    The order of calls is preCICE's (doi:10.12688/openreseurope.14445.2). A window that must
    be done again starts from the saved state; `Bridge.accept` hears of each window's end
    once, when it is final. What the bridge itself takes is profiled as "bridge.advance" and the like.
    """
    exchange = bridge.exchange
    own = [field for field in exchange.writes if field.mesh in exchange.meshes]
    coupling.start(exchange, {field: bridge.write(field) for field in own})
    for mesh in exchange.regions:
        bridge.meet(mesh, coupling.points(mesh))
    began, saved, final = time, State(), False
    while coupling.running:
        if coupling.must_save:
            with coupling.section("bridge.save"):
                began, saved = time, bridge.save()
        left = coupling.longest_step
        dt = left if bridge.longest_step > left * (1.0 - _ROUNDING) else bridge.longest_step
        bridge.receive(coupling.read)
        with coupling.section("bridge.advance"):
            bridge.advance(dt)
        if final and dt == left and (meshes := bridge.remeshed()):
            coupling.remesh(meshes)
        for field in exchange.writes:
            coupling.write(field, bridge.write(field), bridge.where(field))
        coupling.advance(dt)
        time += dt
        final = dt == left and not coupling.must_restore
        if coupling.must_restore:
            time = began
            with coupling.section("bridge.restore"):
                bridge.restore(saved)
        elif final:
            bridge.accept(time)
    coupling.finish()


class _Windows:
    """Counts windows as whole numbers, so that their ends do not drift; the last may be shorter."""

    def __init__(self, duration: float, window: float) -> None:
        if not (duration >= 0.0 and window > 0.0):
            raise CaseError(f"no windows of length {window:g} fill the duration {duration:g}")
        self.count = ceil(duration / window - _ROUNDING)
        self._window, self._last = window, duration - (self.count - 1) * window
        self.index = 0
        self._inside = 0.0

    @property
    def left(self) -> float:
        """The time left in this window."""
        return (self._window if self.index < self.count - 1 else self._last) - self._inside

    def advance(self, dt: float) -> bool:
        """Move by ``dt``; return whether that is the window's end."""
        end = dt >= self.left * (1.0 - _ROUNDING)
        self._inside = 0.0 if end else self._inside + dt
        return end


class Alone(Unchanging):
    """The coupling of a participant without partners: windows until the end, none done again."""

    must_save = False
    must_restore = False

    def __init__(self, duration: float, window: float) -> None:
        self._windows = _Windows(duration, window)

    def start(self, exchange: Exchange, initial: Mapping[Field, Array]) -> None:
        """Make sure that nobody waits for a partner.

        Raises:
            CouplingError: the participant reads a field.
        """
        if exchange.reads:
            raise CouplingError(
                f"a participant that runs alone reads the field '{exchange.reads[0].name}'",
                todo="give the case a partner that writes it",
            )

    @property
    def running(self) -> bool:
        """Whether there is another window."""
        return self._windows.index < self._windows.count

    @property
    def longest_step(self) -> float:
        """The time left in this window."""
        return self._windows.left

    def points(self, mesh: str) -> Array:
        """Raise: nobody provides a mesh."""
        raise CouplingError(f"nobody provides the mesh '{mesh}'")

    def read(self, field: Field, at: float, points: Array | None = None) -> Array:
        """Raise: `start` has refused every field that could be read."""
        raise CouplingError(f"nobody writes the field '{field.name}'")

    def write(self, field: Field, values: Array, points: Array | None = None) -> None:
        """Drop ``values``: nobody reads them."""

    def advance(self, dt: float) -> None:
        """Say that a step of ``dt`` is done."""
        if self._windows.advance(dt):
            self._windows.index += 1

    def finish(self) -> None:
        """Part from nobody."""


class Recording(Unchanging):
    """A partner on tape: plays what a participant reads, keeps what it writes.

    With ``repeats`` every window is done again that many times, as an implicit scheme would,
    and each time it must write the same numbers bit for bit.

    Args:
        duration: the whole time.
        window: the length of one window.
        plays: field name -> one array (n, components) for each window.
        repeats: how often each window is done again.
    """

    def __init__(
        self, duration: float, window: float, plays: Mapping[str, Sequence[Array]] | None = None, repeats: int = 0
    ) -> None:
        self._windows = _Windows(duration, window)
        self._plays, self._repeats = plays or {}, repeats
        self._pass = 0
        self._first: list[tuple[Field, Array]] = []  # the writes of this window's first pass
        self._now: list[tuple[Field, Array]] = []  # the writes of this pass
        self.initial: dict[str, Array] = {}  # what the participant gave before the first step
        self.written: dict[str, list[Array]] = {}  # field name -> one array for each step, final ones only
        self.must_save = self.must_restore = False
        self.finished = False

    def start(self, exchange: Exchange, initial: Mapping[Field, Array]) -> None:
        """Keep ``initial``, and make sure that the tape holds every field that is read."""
        self.initial = {field.name: values.copy() for field, values in initial.items()}
        self.written = {field.name: [] for field in exchange.writes}
        for field in exchange.reads:
            length = len(self._plays.get(field.name, ()))
            if length < self._windows.count:
                raise CouplingError(f"the recording of '{field.name}' holds {length} of {self._windows.count} windows")
        self.must_save = self._repeats > 0

    @property
    def running(self) -> bool:
        """Whether there is another window."""
        return self._windows.index < self._windows.count

    @property
    def longest_step(self) -> float:
        """The time left in this window."""
        return self._windows.left

    def points(self, mesh: str) -> Array:
        """Raise: a tape has no mesh."""
        raise CouplingError(f"a recording holds no mesh '{mesh}'")

    def read(self, field: Field, at: float, points: Array | None = None) -> Array:
        """Return this window's recorded values."""
        return self._plays[field.name][self._windows.index].copy()

    def write(self, field: Field, values: Array, points: Array | None = None) -> None:
        """Keep ``values``."""
        self._now.append((field, values.copy()))

    def advance(self, dt: float) -> None:
        """Say that a step of ``dt`` is done; at a window's end, compare or go on.

        Raises:
            CouplingError: a repeated window wrote other numbers than its first pass.
        """
        self.must_save = self.must_restore = False
        if not self._windows.advance(dt):
            return
        if self._pass > 0:
            self._compare()
        else:
            self._first = self._now
        self._now = []
        self._pass += 1
        self.must_restore = self._pass <= self._repeats
        if not self.must_restore:
            for field, values in self._first:
                self.written[field.name].append(values)
            self._windows.index += 1
            self._pass = 0
            self.must_save = self._repeats > 0

    def finish(self) -> None:
        """Say that the participant came to its end."""
        self.finished = True

    def _compare(self) -> None:
        same = len(self._first) == len(self._now) and all(
            one is two and np.array_equal(first, now)
            for (one, first), (two, now) in zip(self._first, self._now, strict=True)
        )
        if not same:
            raise CouplingError(
                f"repeat {self._pass} of window {self._windows.index} wrote other numbers than its first pass",
                todo="let save and restore hold everything that a step depends on",
            )
