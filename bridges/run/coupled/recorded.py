"""A bridge and its coupling while a run is recorded: series, frames, restart states, where it is."""

from __future__ import annotations

import traceback
from collections.abc import Mapping
from contextlib import AbstractContextManager
from math import nan
from pathlib import Path
from time import monotonic

import numpy as np

from scalespan.adapters.interface import Array, EngineFailed, ScalespanError, State, Table
from scalespan.bridges.interface import Bridge, Coupling, Exchange, Field, Mesh, Read

from ..mishaps import of_the_machine
from ..record import Record, Series
from .case import CoupledCase
from .order import Order
from .restart import keep, old_states, state_name
from .slot import Slot

_CALLS = (
    "accept",
    "advance",
    "audit",
    "exchange",
    "frame",
    "longest_step",
    "meet",
    "observe",
    "receive",
    "remeshed",
    "restore",
    "save",
    "where",
    "write",
)
_PAUSE = 0.1  # s between two messages of where the run is


class Whereabouts:
    """How far a participant is, and says so in its ``status.json``; ranks but the first keep silent."""

    def __init__(self, order: Order, rank: int) -> None:
        self.order = order
        self.window, self.iterations = order.window, 0  # windows behind; passes through the present one
        self.last = 0  # passes through the window before
        self.residual: float | None = None  # of the last pass, where the coupling tells it
        self._slot = Slot(order.place / "status.json") if rank == 0 else None
        self._told, self._time = -_PAUSE, 0.0

    def tell(self, phase: str, *, time: float = 0.0) -> None:
        """Say it; while running, what comes too soon after the last message is left out."""
        now = monotonic()
        self._time = time or self._time
        if self._slot is None or (phase == "running" and now - self._told < _PAUSE):
            return
        self._told = now
        where = {"phase": phase, "window": self.window, "time": self._time}
        self._slot.put({**where, "iterations": self.iterations or self.last, "residual": self.residual})

    def finish(self) -> None:
        """Say that all windows are done."""
        self.tell("finished")


class Recorded(Bridge):
    """The participant's bridge; whatever it raises names the call, and a window's end leaves its traces.

    Args:
        bridge: the one that does the work.
        case: its case.
        here: where the run is.
        record: the participant's results; None on all ranks but the first.
        rank: of this process.
    """

    name = "recorded"

    def __init__(self, bridge: Bridge, case: CoupledCase, here: Whereabouts, record: Record | None, rank: int) -> None:
        self._bridge, self._record, self._rank, self._order = bridge, record, rank, here.order
        self._here, order = here, here.order
        self.time_unit = bridge.time_unit
        self._every, self._restart_every = case.output.every, case.restart_every
        self._partners = tuple(name for name in case.parts if name != order.name)
        self._foreign = bool(case.foreign)
        draws = self._every > 0 and type(bridge).frame is not Bridge.frame
        self._frames = new_name(order.place / "frames") if draws else None
        self._calls = {call: _Call(f"{call} of '{bridge.name}'", order) for call in _CALLS}
        self._series: Series | None = None
        self._columns: tuple[str, ...] = ()

    @property
    def exchange(self) -> Exchange:
        """The bridge's."""
        with self._calls["exchange"]:
            return self._bridge.exchange

    @property
    def longest_step(self) -> float:
        """The bridge's."""
        with self._calls["longest_step"]:
            return self._bridge.longest_step

    def receive(self, read: Read) -> None:
        """Let the bridge receive."""
        with self._calls["receive"]:
            self._bridge.receive(read)

    def advance(self, dt: float) -> None:
        """Let the bridge advance."""
        with self._calls["advance"]:
            self._bridge.advance(dt)

    def write(self, field: Field) -> Array:
        """Return what the bridge writes.

        Raises:
            EngineFailed: it is not finite.
        """
        with self._calls["write"]:
            values = self._bridge.write(field)
            finite = np.isfinite(values).all()
        if not finite:
            raise EngineFailed(
                f"'{field.name}' is not finite in window {self._here.window + 1}",
                where=self._order.name,
                todo="look at its series; a smaller step or window may help",
            )
        return values

    def where(self, field: Field) -> Array | None:
        """Return the bridge's points."""
        with self._calls["where"]:
            return self._bridge.where(field)

    def meet(self, mesh: str, points: Array) -> None:
        """Let the bridge meet."""
        with self._calls["meet"]:
            self._bridge.meet(mesh, points)

    def remeshed(self) -> Mapping[str, Mesh]:
        """Return the bridge's new meshes."""
        with self._calls["remeshed"]:
            return self._bridge.remeshed()

    def save(self) -> State:
        """Return the bridge's state."""
        with self._calls["save"]:
            return self._bridge.save()

    def restore(self, state: State) -> None:
        """Let the bridge go back."""
        with self._calls["restore"]:
            self._bridge.restore(state)

    def accept(self, time: float) -> None:
        """Let the bridge accept, then keep what the window's end is worth."""
        with self._calls["accept"]:
            self._bridge.accept(time)
        self._here.window += 1
        window = self._here.window
        self._observe(time)
        if self._frames is not None and window % self._every == 0:
            with self._calls["frame"]:
                self._frames.mkdir(exist_ok=True)
                self._bridge.frame(self._frames, time)
        if self._restart_every and window % self._restart_every == 0:
            self._keep(window, time)
        self._here.tell("running", time=time)
        self._here.last, self._here.iterations = self._here.iterations, 0

    def audit(self) -> list[Table]:
        """Return the bridge's."""
        with self._calls["audit"]:
            return self._bridge.audit()

    def close(self) -> None:
        """Let the bridge give back what it holds."""
        self._bridge.close()

    def _observe(self, time: float) -> None:
        with self._calls["observe"]:
            found = self._bridge.observe()
        if self._record is None:
            return
        if self._series is None:
            self._columns = tuple(found)
            head = ("window", f"time/{self.time_unit}", "iterations", *self._columns)
            self._series = self._record.series("series", head)
        new = [name for name in found if name not in self._columns]
        if new:
            raise EngineFailed(
                f"observe of '{self._bridge.name}' gave {new[0]}, which the first window did not have",
                where=self._order.name,
                todo="let it give every name from the first window on, nan where it has no number",
            )
        row = (found.get(name, nan) for name in self._columns)
        self._series.row((self._here.window, time, self._here.iterations, *row))

    def _keep(self, window: int, time: float) -> None:
        with self._calls["save"]:
            state = self._bridge.save()
        keep(self._order.place / state_name(window, self._rank), window, time, state, self._record)
        for path in old_states(self._order, self._rank, () if self._foreign else self._partners):
            path.unlink(missing_ok=True)


class _Call:
    """Turns what a call of a bridge raises, which may be anybody's, into one sentence; its own errors stay."""

    def __init__(self, what: str, order: Order) -> None:
        self._what, self._order = what, order

    def __enter__(self) -> None:
        pass

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: object) -> None:
        if isinstance(error, Exception) and not isinstance(error, ScalespanError):
            raise foreign(error, self._what, self._order) from error


def foreign(error: Exception, what: str, order: Order) -> ScalespanError:
    """Keep the traceback of an error that a bridge let through; return the sentence."""
    if isinstance(error, OSError) and (found := of_the_machine(error, order.place)):
        return found
    kept = order.place / "traceback.txt"
    todo = f"the traceback is in {kept}"
    try:
        kept.write_text("".join(traceback.format_exception(error)), encoding="utf-8")
    except OSError:
        todo = "run it with --participant to see the traceback"
    frame = traceback.extract_tb(error.__traceback__)[-1]
    place = f"{order.name}: {Path(frame.filename).name}, line {frame.lineno}"
    return EngineFailed(f"{what} raised {type(error).__name__}: {error}".rstrip(": "), where=place, todo=todo)


class Watched:
    """A coupling that counts iterations, and says when the participants have met."""

    def __init__(self, coupling: Coupling, here: Whereabouts) -> None:
        self._coupling, self._here = coupling, here

    def start(self, exchange: Exchange, initial: Mapping[Field, Array]) -> None:
        """Meet the partners."""
        self._here.tell("waiting")
        self._coupling.start(exchange, initial)
        self._here.tell("met")

    def points(self, mesh: str) -> Array:
        """Return a partner's points."""
        return self._coupling.points(mesh)

    @property
    def running(self) -> bool:
        """Whether there is another window."""
        return self._coupling.running

    @property
    def must_save(self) -> bool:
        """Whether this window may have to be done again."""
        return self._coupling.must_save

    @property
    def longest_step(self) -> float:
        """The time left in this window."""
        return self._coupling.longest_step

    def read(self, field: Field, at: float, points: Array | None = None) -> Array:
        """Return a partner's values."""
        return self._coupling.read(field, at, points)

    def write(self, field: Field, values: Array, points: Array | None = None) -> None:
        """Send values."""
        self._coupling.write(field, values, points)

    def section(self, name: str) -> AbstractContextManager[None]:
        """Return the coupling's."""
        return self._coupling.section(name)

    def remesh(self, meshes: Mapping[str, Mesh]) -> None:
        """Give new points."""
        self._coupling.remesh(meshes)

    def advance(self, dt: float) -> None:
        """Say that a step is done."""
        window_ends = dt >= self._coupling.longest_step
        self._coupling.advance(dt)
        if window_ends:
            self._here.iterations += 1
            self._here.residual = getattr(self._coupling, "residual", None)

    @property
    def must_restore(self) -> bool:
        """Whether the window is to be done again."""
        return self._coupling.must_restore

    def finish(self) -> None:
        """Part from the partners."""
        self._coupling.finish()


def new_name(path: Path) -> Path:
    """Return a name that is free: each part of a restarted run has frames of its own."""
    number, found = 1, path
    while found.exists():
        number += 1
        found = path.with_name(f"{path.stem}-{number}{path.suffix}")
    return found
