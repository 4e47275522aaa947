"""From a case with participants to its results: look at it, run it, sum it up."""

from __future__ import annotations

import json
import os
import signal
import tempfile
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

from scalespan.adapters.interface import CaseError, CouplingError, ScalespanError, Table
from scalespan.adapters.interface.units import convert

from .. import parallel
from ..files import write_whole
from ..log import keep_log
from ..progress import Progress
from ..record import Record, read_series
from ..results import Check, Outcome, Value, Values, compare, statistics
from . import rehearsal
from .case import XML, CoupledCase, Kind
from .look import Look
from .order import Order
from .participant import main
from .processes import Guard, Program, end_all
from .restart import last_common, rest_of, same_case, time_at
from .rules import fit
from .slot import Slot, peek, retold
from .supervise import command, supervise
from .tables import tables

_ADJOINT = 1e-9  # of the largest work: what two sides of a joint may differ by


@dataclass(frozen=True)
class Checked:
    """A case with participants and nothing found wrong."""

    looks: Mapping[str, Look]
    tables: tuple[Table, ...]


def check(case: CoupledCase) -> Checked:
    """Build every bridge in a process of its own and compare all with the XML; nobody meets anybody.

    Raises:
        ScalespanError: the first thing that is wrong.
    """
    with tempfile.TemporaryDirectory(prefix="scalespan-") as place:
        looks = _looks(case, Path(place))
    fit(case, looks)
    return Checked(looks, tuple(tables(case, looks)))


def run(case: CoupledCase, *, restart: bool, progress: Progress) -> Outcome:
    """Run all participants and write the results; earlier ones are kept as ``results.1``, ….

    Raises:
        ScalespanError: it went wrong; `summary.json` says so too.
    """
    window, same = last_common(case) if restart else 0, same_case(case)
    if window:
        time_at(case, window)  # before anything is written
    record = Record(case.results, same, None) if restart else Record.fresh(case.results, same)
    write_whole(record.folder / "case.toml", (case.folder / "case.toml").read_bytes())
    record.summarise(case=case.title, status="running", task="coupled", coupling=case.kind, checks=[])
    try:
        looks = supervise(case, window=window, progress=progress, record=record)
        found = values(case, looks)
        record.summarise(
            values={name: {"value": each.value, "unit": each.unit} for name, each in found.items()},
            participants={name: {"bridge": look.bridge, "versions": look.versions} for name, look in looks.items()},
            audit=[asdict(table) for table in tables(case, looks)],
        )
        checks = tuple(compare(found, case.references)) + _task_checks(case) + _rehearsed(case) + joint_checks(found)
        record.summarise(status="finished", checks=[each.as_dict() for each in checks])
        return Outcome(found, checks, record.wall_s)
    except BaseException as error:
        _tell(record, error)
        raise
    finally:
        progress.close()
        record.close()


def run_one(case: CoupledCase, name: str, *, restart: bool) -> int:
    """Be one participant of a case, in this process and under the user's own mpirun; return the exit status.

    With ``restart`` it goes on from the last window that all have kept. All must be started so: each finds that window
    before it meets its partners, and none keeps another one before that.

    Raises:
        CaseError: no such participant, or nothing to go on from.
    """
    case.part(name)
    ranks = parallel.world()
    place = case.results / name
    window = last_common(case) if restart else 0
    task = restart and name == case.coupling.task and (place / "task").is_dir()
    xml = place / XML if window else case.xml
    if ranks.rank == 0:
        if window:
            write_whole(xml, rest_of(case.config, window, time_at(case, window)))
        elif not task:
            Record.fresh(place, same_case(case)).close()
        for earlier in ("end.json", "status.json"):
            (place / earlier).unlink(missing_ok=True)
        keep_log(place / "log.txt")
    ranks.together()
    beside = case.folder / name  # where a foreign partner would start: the XML's exchange-directory leads from there
    beside.mkdir(exist_ok=True)
    os.chdir(beside)
    order = Order(
        str(case.folder), name, case.kind, str(xml), str(place), str(case.folder), window=window, restart=task
    )
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    return main(order)


def values(case: CoupledCase, looks: Mapping[str, Look]) -> Values:
    """Return first, last, mean, … of every column of every participant's series: ``Left.total_mean``."""
    found: dict[str, Value] = {}
    for name in looks:
        path = case.results / name / "series.csv"
        if path.exists():
            found |= {f"{name}.{key}": value for key, value in _statistics(path).items()}
        found |= _task_values(case.results / name)
    return found


def _statistics(path: Path) -> dict[str, Value]:
    found: dict[str, Value] = {}
    for column, every in read_series(path).items():
        name, _, unit = column.partition("/")
        series = every[~np.isnan(every)]  # a window for which a bridge had no number
        if len(series) and name not in ("window", "time"):
            found |= statistics(name, series, unit.strip("()") if unit.startswith("(") else unit or "1")
    return found


def _task_values(place: Path) -> dict[str, Value]:
    path = place / "task" / "summary.json"
    if not path.exists():
        return {}
    text = json.loads(path.read_text(encoding="utf-8"))
    return {name: Value(each["value"], each["unit"]) for name, each in text.get("values", {}).items()}


def joint_checks(found: Values) -> tuple[Check, ...]:
    """Compare what a participant books as ``work on partner`` with what each other one books as ``work`` of its loads.

    They are equal where the mappings of displacement and force are each other's transpose, ⟨Πv, f⟩ = ⟨v, Πᵀf⟩.
    """
    checks = []
    for key, done in found.items():
        name, _, column = key.partition(".")
        if column != "work on partner_last":
            continue
        size = max(abs(found[f"{name}.work on partner_{each}"].value) for each in ("min", "max"))
        for other in sorted({each.partition(".")[0] for each in found} - {name}):
            felt = found.get(f"{other}.work_last")
            if felt is not None:
                arrived, limit = convert(felt.value, felt.unit, done.unit), _ADJOINT * size
                source = "the mappings are each other's transpose: ⟨Πv, f⟩ = ⟨v, Πᵀf⟩"
                checks.append(Check(f"{name}.work on {other}", arrived, done.value, limit, done.unit, source))
    return tuple(checks)


def _rehearsed(case: CoupledCase) -> tuple[Check, ...]:
    """Return what random fields have shown of the joints, before the first step."""
    source = "the mappings are each other's transpose: |⟨Πv, f⟩ − ⟨v, Πᵀf⟩| / (|Πv| |f|) of random v and f"
    return tuple(
        Check(f"{name}: work of {joint} that is lost at the start", lost, 0.0, rehearsal.LIMIT, "1", source)
        for name in sorted({read.target for read, _ in rehearsal.rehearsed(case)})
        for joint, lost in rehearsal.kept(case.results / name).items()
    )


def _task_checks(case: CoupledCase) -> tuple[Check, ...]:
    """Return the diagnoses that the task makes of itself."""
    if case.single is None:
        return ()
    path = case.results / str(case.coupling.task) / "task" / "summary.json"
    text = json.loads(path.read_text(encoding="utf-8"))
    return tuple(Check(**{key: each[key] for key in each if key != "passed"}) for each in text.get("checks", []))


def _looks(case: CoupledCase, place: Path) -> dict[str, Look]:
    """Let every participant show itself; raise the error of the first that cannot."""
    guard = Guard()
    programs: dict[str, Program] = {}
    try:
        for name in case.parts:
            order = _look_order(case, name, case.kind, place)
            part = command(case, name, order.write())
            programs[name] = Program(part[part.index("-m") - 1 :], order.place, order.place / "log.txt")
            guard.watch(programs[name])
        until = time.monotonic() + case.coupling.patience_s
        while any(program.status is None for program in programs.values()) and time.monotonic() < until:
            time.sleep(0.02)
    finally:
        late = [name for name, program in programs.items() if program.status is None]
        end_all(programs.values())
        guard.dismiss()
    if late:
        raise CouplingError(f"{late[0]} was not built within {case.coupling.patience_s:g} s", where=case.title)
    return {name: _look(name, place / name, program) for name, program in programs.items()}


def _look_order(case: CoupledCase, name: str, kind: Kind, place: Path) -> Order:
    folder = place / name
    folder.mkdir()
    Slot(folder / "end.json").close()
    return Order(str(case.folder), name, kind, str(case.folder / XML), str(folder), str(place), only_look=True)


def _look(name: str, place: Path, program: Program) -> Look:
    end = peek(place / "end.json")
    if end.get("error"):
        raise retold(end)
    if not (place / "look.json").exists():
        log = (place / "log.txt").read_text(errors="replace").strip().splitlines()
        raise CouplingError(f"{name} ended with status {program.status}: {log[-1] if log else 'it printed nothing'}")
    return Look.read(place / "look.json")


def _tell(record: Record, error: BaseException) -> None:
    """Say in `summary.json` why there is no end; on a full disk nothing can be said."""
    status = "failed" if isinstance(error, Exception) else "interrupted"
    reason = str(error) if isinstance(error, ScalespanError) else f"{type(error).__name__}: {error}"
    try:
        record.summarise(status=status, reason=reason)
    except CaseError:
        return
