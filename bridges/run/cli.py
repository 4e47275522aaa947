"""The command line: `scalespan run CASE` and its companions. Only this file prints and exits."""

from __future__ import annotations

import importlib.metadata
import logging
import os
import shlex
import sys
import time
import traceback
import warnings
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.markup import escape

from scalespan.adapters.interface import CaseError, ScalespanError, Table

from . import mishaps

if TYPE_CHECKING:
    from .case import Case
    from .coupled import CoupledCase
    from .parallel import World
    from .progress import Progress
    from .results import Outcome

_log = logging.getLogger(__name__)

_WIDE = 120  # columns
_PATIENCE = 0.5  # s

_STATUS = (
    "Exit status: 0 done, 1 a bug in scalespan, 2 the case is wrong, 3 an engine is missing, "
    "4 an engine failed, 5 coupling failed, 130 stopped by Ctrl-C."
)

app = typer.Typer(
    help="Run multiscale simulations from case directories, on established engines.",
    epilog=f"Begin with: scalespan new-case mine, then: scalespan run mine. {_STATUS}",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


@dataclass
class Session:
    """What `main` must know when a command breaks."""

    debug: bool = False
    folder: Path | None = None  # where a traceback is kept
    ranks: World | None = None  # of which all must end where one does


CasePath = Annotated[
    Path, typer.Argument(metavar="CASE", help="The folder of a case, or its case.toml.", show_default=False)
]


class Template(StrEnum):
    """The cases that `new-case` can begin with."""

    SPRINGS = "springs"
    QMMM = "qmmm"
    COUPLED = "coupled"


class CouplingKind(StrEnum):
    """What can tie participants."""

    AUTO = "auto"
    PRECICE = "precice"
    EMBEDDED = "embedded"


def main(arguments: list[str] | None = None) -> int:
    """Run the command line with ``arguments`` (the shell's by default); return the exit status."""
    session = Session()
    warnings.formatwarning = _one_line
    try:
        app(arguments, obj=session)
    except SystemExit as end:  # a wrong command line, --help, or the end of a command
        return end.code if isinstance(end.code, int) else 0
    except ScalespanError as error:
        return _end(error, session)
    except OSError as error:
        return _end(mishaps.of_the_machine(error, session.folder) or mishaps.bug(error, session.folder), session)
    except Exception as error:  # whatever is left is our bug, and must still be one sentence
        return _end(mishaps.bug(error, session.folder), session)
    return 0


def _one_line(
    message: Warning | str, category: type[Warning], filename: str, lineno: int, line: str | None = None
) -> str:
    """Return an engine's warning as people want to read it."""
    return f"scalespan: warning: {message}\n"


def _end(error: ScalespanError, session: Session) -> int:
    ranks = session.ranks
    if ranks is not None and ranks.rank > 0:
        time.sleep(_PATIENCE)  # rank 0 says the same where it can, and then ends all
    if session.debug:
        traceback.print_exception(error)
    _say(f"[bold red]scalespan:[/] {escape(str(error))}")
    if ranks is not None and ranks.size > 1:
        ranks.end(error.status)
    return error.status


def _say(text: str) -> None:
    Console(stderr=True, soft_wrap=True, highlight=False).print(text)


def _command(case: Path) -> str:
    """Return what to type to run ``case``."""
    return f"scalespan run {shlex.quote(str(case))}"


def _version(wanted: bool) -> None:
    if wanted:
        print(f"scalespan {importlib.metadata.version('scalespan')}")
        raise typer.Exit


@app.callback()
def options(
    context: typer.Context,
    debug: Annotated[bool, typer.Option("--debug", help="Show the Python traceback of an error.")] = False,
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Show the version and exit.")
    ] = False,
) -> None:
    """Options of every command."""
    context.obj.debug = debug


@app.command(epilog=_STATUS)
def run(
    context: typer.Context,
    case: CasePath,
    restart: Annotated[bool, typer.Option("--restart", help="Go on from the last state on disk.")] = False,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="No progress, no tables; errors only.")] = False,
    participant: Annotated[
        str, typer.Option("--participant", "-p", help="Be one participant only; under mpirun where it has ranks.")
    ] = "",
    coupling: Annotated[
        CouplingKind | None, typer.Option(help="What ties participants, whatever the case says.")
    ] = None,
) -> None:
    """Run a case.

    Results go to CASE/results: trajectory, series as CSV, summary.json,
    report.html and run.log, and a folder for each participant where there are
    several. Older results are kept as results.1, results.2, …
    """
    from .check import checks_table
    from .log import RunLog
    from .parallel import world
    from .progress import Progress

    session: Session = context.obj
    session.ranks = ranks = world()
    quiet = quiet or ranks.rank > 0
    with RunLog():
        found = _read(case, coupling)
        context.obj.folder = found.results
        if participant:
            raise typer.Exit(_participant(found, participant, restart))
        try:
            outcome = _run(found, restart, Progress(None if quiet else sys.stdout), ranks)
        except KeyboardInterrupt:
            _say(f"scalespan: stopped; to go on: {escape(_command(case))} --restart")
            raise typer.Exit(130) from None
        page = _report(found.folder) if ranks.rank == 0 else None
    if not quiet:
        if outcome.checks:
            _show(checks_table(outcome.checks))
        print(f"report: {page}")


def _read(case: Path, coupling: CouplingKind | None) -> Case | CoupledCase:
    from .coupled.case import CoupledCase, read

    found = read(case)
    if coupling is None:
        return found
    if not isinstance(found, CoupledCase):
        raise CaseError("--coupling is for a case with participants", where=str(case), todo="leave it out")
    return found.coupled_with(coupling.value)


def _run(case: Case | CoupledCase, restart: bool, progress: Progress, ranks: World) -> Outcome:
    from . import coupled, tasks
    from .check import check, tree

    if isinstance(case, coupled.CoupledCase):
        return coupled.run(case, restart=restart, progress=progress)
    _log.info("%s, model %s", case.folder, tree(case.model))
    return tasks.run(case, check(case).ready, restart=restart, progress=progress, ranks=ranks)


def _participant(case: Case | CoupledCase, name: str, restart: bool) -> int:
    from . import coupled

    if not isinstance(case, coupled.CoupledCase):
        raise CaseError("--participant is for a case with participants", where=str(case.folder), todo="leave it out")
    return coupled.run_one(case, name, restart=restart)


@app.command(epilog=_STATUS)
def check(
    context: typer.Context,
    case: CasePath,
    coupling: Annotated[
        CouplingKind | None, typer.Option(help="What ties participants, whatever the case says.")
    ] = None,
) -> None:
    """Say all that can be known of a case before it runs.

    Names, units, files, engines and options are checked, and the audit shows
    who computes which interaction. Nothing is run and nothing is written.
    """
    from . import coupled
    from .check import check

    found = _read(case, coupling)
    tables = coupled.check(found).tables if isinstance(found, coupled.CoupledCase) else check(found).tables
    for table in tables:
        _show(table)
    _console().print(f"[bold green]ready:[/] {escape(_command(case))}", soft_wrap=True, highlight=False)


@app.command("list")
def list_(
    context: typer.Context,
    case: Annotated[
        Path | None,
        typer.Argument(metavar="CASE", help="A case whose own .py files are listed too.", show_default=False),
    ] = None,
) -> None:
    """List adapters, bridges and tasks: ready, missing or broken.

    A missing one shows what to type, a broken one the reason.
    """
    from .catalogue import catalogue

    console = _console()
    for table in catalogue(case):
        console.print(table)


@app.command("new-adapter")
def new_adapter(
    name: Annotated[str, typer.Argument(metavar="NAME", help="Its name in case.toml.", show_default=False)],
    folder: Annotated[
        Path, typer.Argument(metavar="FOLDER", help="Where to write; beside a case.toml it is found.")
    ] = Path(),
) -> None:
    """Write a working adapter of about 30 lines, and its test.

    NAME.py beside a case.toml can be used in that case at once: use = "NAME".
    """
    from .scaffold import new_adapter

    _written(new_adapter(name, folder), then=f"pytest {folder / f'test_{name}.py'}")


@app.command("new-case")
def new_case(
    name: Annotated[str, typer.Argument(metavar="NAME", help="The new folder's name.", show_default=False)],
    template: Annotated[
        Template, typer.Option(help="springs and coupled need no engine; qmmm needs OpenMM and PySCF.")
    ] = Template.SPRINGS,
) -> None:
    """Write a case directory that runs at once."""
    from .scaffold import new_case

    _written(new_case(Path(name), template.value), then=_command(Path(name)))


@app.command()
def report(context: typer.Context, case: CasePath) -> None:
    """Write results/report.html again from what a run has left."""
    from .case import find

    folder = find(case)
    context.obj.folder = folder / "results"
    print(f"report: {_report(folder)}")


def _console() -> Console:
    """Return rich's console; a file or a pipe, which has no width, gets one in which names stay whole."""
    console = Console()
    return console if console.is_terminal or "COLUMNS" in os.environ else Console(width=_WIDE)


def _show(table: Table) -> None:
    from .check import shown

    _console().print(shown(table), *([""] if table.note else []), sep="\n")


def _report(folder: Path) -> Path:
    from .report import write  # after the run, because matplotlib takes its time

    return write(folder)


def _written(paths: list[Path], then: str) -> None:
    for path in paths:
        print(f"written: {path}")
    print(f"next: {then}")
