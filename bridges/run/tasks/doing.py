"""From a case to its results: the frame around every task."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ase import Atoms

from scalespan.adapters.interface import (
    Adapter,
    CaseError,
    FieldAdapter,
    Material,
    OptionError,
    ParticleAdapter,
    ScalespanError,
    Study,
    Table,
    nearest,
)

from ..files import write_whole
from ..log import keep_log
from ..parallel import World
from ..progress import Progress
from ..record import Follower, Record
from ..results import Outcome, compare
from ..trajectory import extxyz
from .compare import Compare
from .dynamics import Dynamics
from .march import March
from .minimise import Minimise
from .response import Response
from .scan import Scan
from .single_point import SinglePoint
from .study import Rows
from .task import AnyTask, BareRun, BareTask, Findings, Run, Task
from .vibrations import Vibrations

if TYPE_CHECKING:
    from ..case import Case

TASKS: dict[str, type[AnyTask]] = {
    each.kind: each for each in (SinglePoint, Minimise, Dynamics, Vibrations, Scan, Compare, March, Response, Rows)
}


@dataclass(frozen=True)
class Ready:
    """A model, where it starts, and what a person should see of both before they run."""

    model: Adapter
    atoms: Atoms | None  # None of a model without
    shown: tuple[Table, ...]


def read_task(table: Mapping[str, Any], *, where: str, folder: Path | None = None) -> AnyTask:
    """Return the task that the section ``[task]`` spells out.

    Raises:
        OptionError, UnitError: no such kind, or a key that is wrong.
    """
    if "kind" not in table:
        raise OptionError("the key 'kind' is missing", where=where, todo=f"known kinds: {', '.join(TASKS)}")
    if table["kind"] not in TASKS:
        raise OptionError(f"there is no task '{table['kind']}'", where=where, todo=nearest(str(table["kind"]), TASKS))
    rest = {key: value for key, value in table.items() if key != "kind"}
    return TASKS[table["kind"]].read(rest, where=where, folder=folder)


def check(case: Case, model: Adapter, atoms: Atoms | None) -> list[Table]:
    """Return what a person should see of the task before it runs; ``atoms``: None of a model without.

    Raises:
        CaseError: what is known to be wrong already.
    """
    if isinstance(case.task, Task):
        assert isinstance(model, ParticleAdapter) and atoms is not None, "Case.build has looked"
        tables = [*case.task.check(model, atoms, case.output), *case.task.check_variants(case.variant)]
    else:
        assert isinstance(case.task, BareTask), "there are two"
        tables = case.task.check(model)
    for reference in case.references:
        case.task.need_value(reference.name, case.output, f"reference.toml: {reference.name}")
    return tables


def look(case: Case, model: Adapter) -> Ready:
    """Return the case, ready to be run, with all that can be known before; a continuum's ranks look at it together.

    Raises:
        ScalespanError: the first thing that is wrong.
    """
    atoms = case.start_atoms(model)
    return Ready(model, atoms, (*audit(model, atoms), *check(case, model, atoms)))


def run(case: Case, ready: Ready, *, restart: bool, progress: Progress, ranks: World | None = None) -> Outcome:
    """Do the task of ``case`` and write its results folder; an earlier one is kept as ``results.1``, ….

    All ``ranks`` call this, each with its part of the model; rank 0 writes.

    Raises:
        ScalespanError: it went wrong; `summary.json` says so too, and the last restart file holds.
    """
    ranks = ranks or World()
    record = _record(case, restart, ranks)
    try:
        if ranks.rank == 0:
            keep_log(record.folder / "run.log")
            _announce(case, ready, record)
        notes: dict[str, object] = {}
        found = _do(case, ready, BareRun(ready.model, record, progress, ranks, notes))
        values = {name: {"value": each.value, "unit": each.unit} for name, each in found.values.items()}
        review = [asdict(table) for table in found.tables]
        record.summarise(values=values, notes=notes, review=review)  # a wrong reference must not lose them
        checks = (*found.checks, *compare(found.values, case.references if ranks.rank == 0 else ()))
        record.summarise(status="finished", checks=[each.as_dict() for each in checks])
        return Outcome(found.values, checks, record.wall_s)
    except BaseException as error:
        _tell(record, error)
        raise
    finally:
        progress.close()
        record.close()


def _record(case: Case, restart: bool, ranks: World) -> Record:
    if ranks.size > 1 and not case.task.on_ranks:
        raise CaseError(
            f"the task '{case.task.kind}' runs on one rank, and there are {ranks.size}",
            where="case.toml: task",
            todo="leave mpirun out",
        )
    if ranks.rank > 0:
        return Follower(case.results, ranks.share(None))
    record = Record.begin(case.folder, restart=restart, folder=case.results)
    ranks.share(record.restart)
    return record


def audit(model: Adapter, atoms: Atoms | None) -> list[Table]:
    """Return what a model shows of itself before it runs.

    Raises:
        ScalespanError: what makes running wrong.
    """
    if isinstance(model, ParticleAdapter):
        assert atoms is not None, "it has some"
        return model.audit(atoms)
    assert isinstance(model, FieldAdapter | Material | Study), "there are four families"
    return model.audit()


def _do(case: Case, ready: Ready, bare: BareRun) -> Findings:
    model, atoms = ready.model, ready.atoms
    if isinstance(case.task, Task):
        assert isinstance(model, ParticleAdapter) and atoms is not None, "Case.build has looked"
        return case.task.run(Run(model, atoms, case.output, bare.record, bare.progress, case.variant, bare.notes))
    assert isinstance(case.task, BareTask), "there are two"
    return case.task.run(bare)


def _announce(case: Case, ready: Ready, record: Record) -> None:
    """Write what is known before the first number."""
    model, atoms = ready.model, ready.atoms
    write_whole(record.folder / "case.toml", (case.folder / "case.toml").read_bytes())
    known: dict[str, object] = {}
    if isinstance(model, ParticleAdapter) and atoms is not None:
        structure = atoms.copy()
        structure.calc = None
        write_whole(record.folder / "structure.extxyz", extxyz(structure))
        known = {"atoms": len(atoms), "region": model.focus(atoms).tolist()}
    tables = [asdict(table) for table in ready.shown]
    about = {"case": case.title, "status": "running", "task": case.task.kind, **known}
    record.summarise(**about, checks=[], restarts=record.restarts, audit=tables)


def _tell(record: Record, error: BaseException) -> None:
    """Say in `summary.json` why there is no end; on a full disk nothing can be said."""
    status = "failed" if isinstance(error, Exception) else "interrupted"
    reason = str(error) if isinstance(error, ScalespanError) else f"{type(error).__name__}: {error}"
    try:
        record.summarise(status=status, reason=reason)
    except CaseError:
        return
