"""From a case to its results: the frame around every task."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ase import Atoms

from scalespan.adapters.interface import CaseError, OptionError, ParticleAdapter, ScalespanError, Table, nearest

from ..files import write_whole
from ..log import keep_log
from ..progress import Progress
from ..record import Record
from ..results import Outcome, compare
from ..trajectory import extxyz
from .compare import Compare
from .dynamics import Dynamics
from .minimise import Minimise
from .scan import Scan
from .single_point import SinglePoint
from .task import Run, Task
from .vibrations import Vibrations

if TYPE_CHECKING:
    from ..case import Case

TASKS: dict[str, type[Task]] = {
    each.kind: each for each in (SinglePoint, Minimise, Dynamics, Vibrations, Scan, Compare)
}


def read_task(table: Mapping[str, Any], *, where: str, folder: Path | None = None) -> Task:
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


def check(case: Case, model: ParticleAdapter, atoms: Atoms) -> list[Table]:
    """Return what a person should see of the task before it runs.

    Raises:
        CaseError: what is known to be wrong already.
    """
    tables = [*case.task.check(model, atoms, case.output), *case.task.check_variants(case.variant)]
    for reference in case.references:
        case.task.need_value(reference.name, case.output, f"reference.toml: {reference.name}")
    return tables


def run(case: Case, model: ParticleAdapter, atoms: Atoms, *, restart: bool, progress: Progress) -> Outcome:
    """Do the task of ``case`` and write its results folder; an earlier one is kept as ``results.1``, ….

    Raises:
        ScalespanError: it went wrong; `summary.json` says so too, and the last restart file holds.
    """
    told = check(case, model, atoms)
    record = Record.begin(case.folder, restart=restart, folder=case.results)
    try:
        keep_log(record.folder / "run.log")
        _announce(case, model, atoms, record, told)
        work = Run(model, atoms, case.output, record, progress, case.variant)
        found = case.task.run(work)
        values = {name: {"value": each.value, "unit": each.unit} for name, each in found.values.items()}
        review = [asdict(table) for table in found.tables]
        record.summarise(values=values, notes=work.notes, review=review)  # a wrong reference must not lose them
        checks = (*found.checks, *compare(found.values, case.references))
        record.summarise(status="finished", checks=[each.as_dict() for each in checks])
        return Outcome(found.values, checks, record.wall_s)
    except BaseException as error:
        _tell(record, error)
        raise
    finally:
        progress.close()
        record.close()


def _announce(case: Case, model: ParticleAdapter, atoms: Atoms, record: Record, told: list[Table]) -> None:
    """Write what is known before the first number."""
    write_whole(record.folder / "case.toml", (case.folder / "case.toml").read_bytes())
    structure = atoms.copy()
    structure.calc = None
    write_whole(record.folder / "structure.extxyz", extxyz(structure))
    tables = [asdict(table) for table in (*model.audit(atoms), *told)]
    record.summarise(
        case=case.title,
        status="running",
        task=case.task.kind,
        atoms=len(atoms),
        checks=[],
        restarts=record.restarts,
        region=model.focus(atoms).tolist(),
        audit=tables,
    )


def _tell(record: Record, error: BaseException) -> None:
    """Say in `summary.json` why there is no end; on a full disk nothing can be said."""
    status = "failed" if isinstance(error, Exception) else "interrupted"
    reason = str(error) if isinstance(error, ScalespanError) else f"{type(error).__name__}: {error}"
    try:
        record.summarise(status=status, reason=reason)
    except CaseError:
        return
