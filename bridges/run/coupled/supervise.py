"""`scalespan run` of a case with participants: starts them all, watches them, ends them all."""

from __future__ import annotations

import contextlib
import importlib.util
import os
import re
import shutil
import signal
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from math import inf
from pathlib import Path
from types import FrameType
from typing import Any

from scalespan.adapters.interface import CaseError, CouplingError, EngineFailed, EngineMissing, ScalespanError

from ..files import write_whole
from ..progress import Progress
from ..record import Record
from .case import CoupledCase
from .look import Look
from .order import Order
from .processes import Guard, Program, end_all
from .recorded import new_name
from .rehearsal import STAGE
from .restart import rest_of, time_at
from .rules import fit
from .slot import Slot, peek, retold

GATE = ".gate"  # in the results, once the participants may meet
_PAUSE = 0.02  # s between two looks at the participants
_BUILDING = 10  # patience for the first participant to be built, in those for all others
_GRACE = 1.0  # s that the others get to end, or to say why, once one has ended badly
_TAIL = 8192  # bytes at the end of preCICE's file that are read: a window's passes
_LONG_GRACE = 2.5  # s, while all that is known is that a partner has left
_CLASSES: dict[int, type[ScalespanError]] = {1: ScalespanError, 2: CaseError, 3: EngineMissing, 4: EngineFailed}


@dataclass
class _Member:
    """A participant while it runs."""

    name: str
    program: Program
    place: Path  # its results
    foreign: bool
    look: Look | None = None
    phase: str = ""
    where: Mapping[str, Any] = field(default_factory=dict)

    def update(self) -> None:
        """Read what it has left since."""
        if not self.foreign and self.look is None and (self.place / "look.json").exists():
            self.look = Look.read(self.place / "look.json")
        self.where = peek(self.place / "status.json") or self.where
        self.phase = str(self.where.get("phase", ""))

    @property
    def failed(self) -> bool:
        """Whether it has ended, and not as it should."""
        status = self.program.status
        return status is not None and (status != 0 or not (self.foreign or self._end))

    @property
    def _end(self) -> dict[str, Any]:
        return peek(self.place / "end.json")

    def cause(self) -> tuple[int, float, ScalespanError]:
        """Return why it ended: how surely that was the first cause (0 is surest), when, and the error."""
        end, status = self._end, self.program.status
        if end.get("error"):
            return (2 if end["status"] == CouplingError.status else 0), end["at"], retold(end)
        log = self.place / "log.txt"
        if status is not None and status < 0:
            what = f"{self.name} was ended by the signal {_signal(-status)}"
        elif status == 0:
            what = f"{self.name} ended before its last window, and said nothing"
        else:
            what = f"{self.name} ended with status {status}: {_last_line(log)}"
        return 1, 0.0, _CLASSES.get(status or 5, CouplingError)(what, todo=f"its log is {log}")


class _Stopped(BaseException):
    """A signal to this process."""


def supervise(case: CoupledCase, *, window: int, progress: Progress, record: Record) -> dict[str, Look]:
    """Run all participants from the end of ``window`` to their end; return what they showed of themselves.

    Raises:
        ScalespanError: the first cause of what went wrong; all have been ended.
        KeyboardInterrupt: a signal; all have been ended.
    """
    orders = _orders(case, record.folder, window)
    guard = Guard()
    members: list[_Member] = []
    try:
        with _signals():
            for name in (*case.parts, *case.foreign):
                members.append(_start(case, name, orders[name]))
                guard.watch(members[-1].program)
            _check(case, members, Path(orders[next(iter(case.parts))].gate))
            _follow(case, members, progress, orders)
    except _Stopped as stop:
        raise KeyboardInterrupt from stop
    finally:
        end_all(member.program for member in members)
        guard.dismiss()
        (record.folder / GATE).unlink(missing_ok=True)
        shutil.rmtree(record.folder / STAGE, ignore_errors=True)
    return {member.name: member.look for member in members if member.look}


def command(case: CoupledCase, name: str, order: Path) -> list[str]:
    """Return what starts the process of a participant; mpirun where it has several ranks.

    Raises:
        EngineMissing: there is no mpirun, and it needs one.
    """
    own = [sys.executable, "-m", "scalespan.bridges.run.coupled", str(order)]
    ranks = case.part(name).ranks
    if ranks == 1:
        return own
    mpirun = shutil.which("mpirun")
    if mpirun is None:
        raise EngineMissing.named("mpirun", "apt install openmpi-bin (or load the MPI of your cluster)")
    return [mpirun, "-n", str(ranks), *_open_mpi(mpirun), *own]


def _open_mpi(mpirun: str) -> list[str]:
    """Return Open MPI's options to run more ranks than there are cores, and as root in a container."""
    if "openmpi" not in str(Path(mpirun).resolve()) and shutil.which("ompi_info") is None:
        return []
    return ["--oversubscribe", *(["--allow-run-as-root"] if os.geteuid() == 0 else [])]


def _orders(case: CoupledCase, results: Path, window: int) -> dict[str, Order]:
    """Make the folders, the XML of this run and the orders."""
    if case.kind == "precice" and importlib.util.find_spec("precice") is None:
        raise EngineMissing.named("pyprecice", "pip install 'pyprecice==3.4.*', or: scalespan run --coupling embedded")
    if case.foreign and case.kind == "embedded":
        raise CaseError(
            f"{case.foreign[0]} is another program, and the embedded coupling knows only ours", todo="install pyprecice"
        )
    xml = results / case.xml.name
    write_whole(xml, rest_of(case.config, window, time_at(case, window)) if window else case.xml.read_bytes())
    gate = results / GATE
    gate.unlink(missing_ok=True)
    orders = {}
    for name in (*case.parts, *case.foreign):
        place = results / name
        place.mkdir(exist_ok=True)
        if not window and (place / "series.csv").exists():  # a restart from the beginning: keep what there was
            (place / "series.csv").rename(new_name(place / "series.csv"))
        for stale in ("end.json", "status.json", "look.json", "traceback.txt"):
            (place / stale).unlink(missing_ok=True)
        orders[name] = Order(
            case=str(case.folder),
            name=name,
            kind=case.kind,
            xml=str(case.xml if case.foreign else xml),
            folder=str(place),
            meeting=str(results),
            gate=str(gate),
            window=window,
            restart=(place / "task").is_dir(),
        )
    _clear(case, results)
    return orders


def started_in(case: CoupledCase, name: str, results: Path) -> Path:
    """Return the folder where a participant starts, from which the XML's exchange-directory leads.

    A foreign program starts in its own folder of the case, and then ours must start beside it.
    """
    return case.folder / name if case.foreign else results / name


def _clear(case: CoupledCase, results: Path) -> None:
    """Remove the addresses that a killed run left for preCICE; the lock on the results says that none is running."""
    for connection in case.config.connections:
        place = started_in(case, connection.acceptor, results)
        place.mkdir(exist_ok=True)
        shutil.rmtree((place / connection.folder / "precice-run").resolve(), ignore_errors=True)


def _start(case: CoupledCase, name: str, order: Order) -> _Member:
    foreign = name in case.foreign
    log = order.place / "log.txt"
    if foreign:
        program = Program(["./run.sh"], case.folder / name, log)
        return _Member(name, program, order.place, foreign)
    Slot(order.place / "end.json").close()  # its room on the disk, while there is some
    place = started_in(case, name, order.place.parent)
    place.mkdir(exist_ok=True)
    return _Member(name, Program(command(case, name, order.write()), place, log), order.place, foreign)


def _check(case: CoupledCase, members: list[_Member], gate: Path) -> None:
    """Wait until all have shown themselves, compare them, and open the gate."""
    patience = case.coupling.patience_s
    until, waiting = time.monotonic() + _BUILDING * patience, False
    while any(member.look is None for member in members if not member.foreign):
        if not waiting and any(member.look for member in members):
            until, waiting = time.monotonic() + patience, True
        slow = [member.name for member in members if member.look is None and not member.foreign]
        limit = patience if waiting else _BUILDING * patience
        _pause(members, until, f"{' and '.join(slow)} has not been built within {limit:g} s")
    fit(case, {member.name: member.look for member in members if member.look})
    gate.touch()


def _follow(case: CoupledCase, members: list[_Member], progress: Progress, orders: Mapping[str, Order]) -> None:
    """Show how far the run is, until all have ended."""
    first = next(member for member in members if not member.foreign)
    done = orders[first.name].window
    total = case.windows
    progress.start(case.folder.name, total or 1, done)
    until, meeting, shown = time.monotonic() + case.coupling.patience_s, True, -1
    while any(member.program.status is None for member in members) or any(member.failed for member in members):
        waiting = [member.name for member in members if member.phase in ("", "waiting") and not member.foreign]
        meeting = meeting and bool(waiting)
        late = f"{' and '.join(waiting)} has not met its partners within {case.coupling.patience_s:g} s"
        _pause(members, until if meeting else inf, late)
        window = int(first.where.get("window", done))
        if not meeting and window != shown:
            shown = window
            progress.show(window if total else 0, *_line(case, first))
    progress.show(total or 1, f"windows {total or first.where.get('window')}")


def _line(case: CoupledCase, first: _Member) -> list[str]:
    where = first.where
    words = [f"window {where['window']}", f"t {where['time']:g} {case.coupling.time}"]
    if case.config.schemes[0].implicit:
        words.append(f"iterations {where['iterations']}")
        residual = where.get("residual")
        residual = _of_precice(case, first.place.parent) if residual is None else residual
        if residual is not None:
            words.append(f"residual {residual:.1e}")
    return words


def _of_precice(case: CoupledCase, results: Path) -> float | None:
    """Return the largest residual at the end of the last window, from the file that one participant's preCICE keeps."""
    for name in (*case.parts, *case.foreign):
        path = started_in(case, name, results) / f"precice-{name}-convergence.log"
        with contextlib.suppress(OSError, ValueError), path.open("rb") as file:
            head = file.readline().decode().split()
            file.seek(max(file.tell(), path.stat().st_size - _TAIL))
            rows = [dict(zip(head, line.split(), strict=False)) for line in file.read().decode().splitlines()]
            begun = max(number for number, row in enumerate(rows) if row.get("Iteration") == "1")
            ended = rows[:begun][-1:]
            return max(float(value) for row in ended for column, value in row.items() if column.startswith("Res"))
    return None


def _pause(members: list[_Member], until: float, late: str) -> None:
    """Wait a moment; raise where one has failed, or what is ``late`` after the time ``until``."""
    time.sleep(_PAUSE)
    for member in members:
        member.update()
    if any(member.failed for member in members):
        raise _first_cause(members)
    if time.monotonic() > until:
        raise CouplingError(late, todo='see its log.txt, or raise patience = "…" in [coupling]')


def _first_cause(members: list[_Member]) -> ScalespanError:
    """Give the others a moment to fail too, and return what failed first."""
    began = time.monotonic()
    while any(member.program.status is None for member in members):
        surest = min(member.cause()[0] for member in members if member.failed)
        if surest == 0 or time.monotonic() > began + (_GRACE if surest == 1 else _LONG_GRACE):
            break
        time.sleep(_PAUSE)
    causes = [member.cause() for member in members if member.failed]
    return min(causes, key=lambda each: each[:2])[2]


@contextmanager
def _signals() -> Iterator[None]:
    """Turn SIGTERM and SIGHUP into what Ctrl-C does."""

    def stop(number: int, frame: FrameType | None) -> None:
        raise _Stopped

    numbers = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
    before = [signal.signal(number, stop) for number in numbers]
    try:
        yield
    finally:
        for number, old in zip(numbers, before, strict=True):
            signal.signal(number, old)


def _signal(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return str(number)


def _last_line(log: Path) -> str:
    try:
        lines = [line for line in log.read_text(errors="replace").splitlines() if re.search(r"\w", line)]
    except OSError:
        return "there is no log"
    return lines[-1].strip()[:300] if lines else "it printed nothing"
