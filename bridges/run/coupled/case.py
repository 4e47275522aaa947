"""A case with participants, as its `case.toml`, `precice-config.xml` and `reference.toml` say it."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

from pydantic import Field, field_validator

from scalespan.adapters.interface import Adapter, CaseError, OptionError, Options, UnitError, nearest
from scalespan.adapters.interface.options import held
from scalespan.adapters.interface.units import FEMTOSECOND, convert, quantity
from scalespan.bridges.interface import Coupling, build

from ..case import Case, Reference, alone, find, of_tables, read_references, read_toml
from ..precice_config import Config, Scheme, read_config

XML = "precice-config.xml"
Kind = Literal["precice", "embedded"]


class CouplingOptions(Options):
    """What ties the participants: the section ``[coupling]``."""

    time: str = "fs"  # the unit of the times in precice-config.xml
    with_: Literal["auto", "precice", "embedded"] = Field("auto", alias="with")  # auto: preCICE where it is installed
    patience: str = "60 s"  # how long participants are waited for at the start
    task: str | None = None  # the participant as which [model] and [task] run

    @field_validator("patience")
    @classmethod
    def _is_a_time(cls, text: str) -> str:
        try:
            quantity(text, "time")
        except UnitError as error:
            raise held(error) from error
        return text

    @property
    def patience_s(self) -> float:
        """The patience in seconds."""
        return quantity(self.patience, "time") / FEMTOSECOND * 1e-15 if self.patience != "60 s" else 60.0


class CoupledOutput(Options):
    """What is written of a coupled run, and how often."""

    every: int = Field(1, ge=0)  # windows between two frames; 0: none
    restart_every: int | None = Field(None, ge=1)  # windows between two restart states; None: a hundredth of all


@dataclass(frozen=True)
class Part:
    """One participant of `case.toml`."""

    name: str
    table: Mapping[str, Any]  # its bridge as written, with its options; empty for the one that does the task
    ranks: int = 1

    @property
    def where(self) -> str:
        """The place to name in an error."""
        return f"case.toml: participants.{self.name}"


@dataclass(frozen=True)
class CoupledCase:
    """What a case directory with participants says."""

    folder: Path
    title: str
    parts: Mapping[str, Part]
    foreign: tuple[str, ...]  # participants that are other people's programs, whatever case.toml says: NAME/run.sh
    coupling: CouplingOptions
    output: CoupledOutput
    references: tuple[Reference, ...]
    config: Config
    single: Case | None = None  # [model] and [task], which one participant does

    @property
    def results(self) -> Path:
        """The folder of all that a run writes."""
        return self.folder / "results"

    @property
    def xml(self) -> Path:
        """The file that says who exchanges what."""
        return self.folder / XML

    @property
    def kind(self) -> Kind:
        """Which coupling a run takes, here and now."""
        if self.coupling.with_ != "auto":
            return self.coupling.with_
        return "precice" if self.foreign or importlib.util.find_spec("precice") else "embedded"

    @property
    def windows(self) -> int | None:
        """How many windows there are; None where the first participant sets their length."""
        return windows(self.config.schemes[0])

    @property
    def restart_every(self) -> int:
        """Windows between two restart states; 0: none, because not all participants can keep one."""
        if self.single or self.foreign:
            return 0
        return self.output.restart_every or max(1, (self.windows or 0) // 100)

    def coupled_with(self, kind: Literal["auto", "precice", "embedded"]) -> CoupledCase:
        """Return the case with another coupling."""
        return replace(self, coupling=self.coupling.model_copy(update={"with_": kind}))

    def part(self, name: str) -> Part:
        """Return a participant, or raise a `CaseError` that names the nearest."""
        if name not in self.parts:
            raise CaseError(f"there is no participant '{name}'", where="case.toml", todo=nearest(name, self.parts))
        return self.parts[name]

    def build(self, name: str, coupling: Callable[[], Coupling]) -> Adapter:
        """Return the bridge of a participant, or the model of the one that does the task."""
        part = self.part(name)
        if self.single is not None and name == self.coupling.task:
            return self.single.build(coupling)
        return build(part.table, where=part.where, folder=self.folder, coupling=coupling)


class _Tables(Options):
    """The sections of `case.toml`; those of the task are read by `Case`."""

    title: str = Field(min_length=1)
    participants: dict[str, dict[str, Any]] = Field(min_length=1)
    coupling: dict[str, Any] = Field(default_factory=dict)
    output: dict[str, Any] = Field(default_factory=dict)
    model: dict[str, Any] | None = None
    task: dict[str, Any] | None = None
    atoms: dict[str, Any] | None = None


def read(place: Path) -> Case | CoupledCase:
    """Return the case at ``place``, its folder or the path of its `case.toml`, of either kind.

    Raises:
        CaseError: no such case, no XML, XML that is wrong, or participants that it does not have.
        OptionError, UnitError: what `case.toml` says is wrong.
    """
    folder = find(place)
    text = read_toml(folder / "case.toml")
    return _coupled(folder, text) if "participants" in text else of_tables(folder, text)


def _coupled(folder: Path, text: Mapping[str, Any]) -> CoupledCase:
    tables = _Tables.read(text, where="case.toml", folder=folder)
    coupling = CouplingOptions.read(tables.coupling, where="case.toml: coupling", folder=folder)
    single = of_tables(folder, alone(text)) if tables.model is not None or tables.task is not None else None
    output = {} if single else tables.output  # with a task, [output] is the task's
    own = {name: table for name, table in tables.participants.items() if not _taken_over(folder / name)}
    parts = {name: _part(name, table) for name, table in own.items()}
    if single is not None:
        parts |= _task_part(coupling, parts)
    elif coupling.task is not None:
        raise OptionError("there is no [model] and [task] to run", where="case.toml: coupling.task", todo="add them")
    if not parts:
        raise CaseError("each participant's run.sh starts another program", todo="run them by hand: none is ours")
    _need_time(coupling.time)
    config = read_config(folder / XML)
    return CoupledCase(
        folder=folder,
        title=tables.title,
        parts=parts,
        foreign=_foreign(folder, config, parts),
        coupling=coupling,
        output=CoupledOutput.read(output, where="case.toml: output", folder=folder),
        references=read_references(folder / "reference.toml"),
        config=config,
        single=single,
    )


def windows(scheme: Scheme) -> int | None:
    """Return how many windows a scheme has; None where the first participant sets their length."""
    counts = [] if scheme.max_windows is None else [scheme.max_windows]
    if scheme.max_time is not None and scheme.method == "fixed":
        counts.append(round(scheme.max_time / scheme.window + 0.499999))
    return min(counts, default=None)


def _part(name: str, table: Mapping[str, Any]) -> Part:
    rest = dict(table)
    ranks = rest.pop("ranks", 1)
    if not isinstance(ranks, int) or isinstance(ranks, bool) or ranks < 1:
        raise OptionError(f"ranks = {ranks!r}", where=f"case.toml: participants.{name}", todo="give a number from 1")
    return Part(name, rest, ranks)


def _task_part(coupling: CouplingOptions, parts: Mapping[str, Part]) -> dict[str, Part]:
    where = "case.toml: coupling"
    if coupling.task is None:
        raise OptionError("the case has a [model] and participants", where=where, todo='add task = "PARTICIPANT"')
    if coupling.task in parts:
        raise OptionError(f"the participant '{coupling.task}' is there twice", where=where, todo="name another task")
    return {coupling.task: Part(coupling.task, {})}


def _need_time(unit: str) -> None:
    if unit == "fs":
        return  # reading units takes a third of a second
    try:
        convert(1.0, unit, "ase_time")
    except UnitError as error:
        raise error.at("case.toml: coupling.time") from error


def _taken_over(folder: Path) -> bool:
    """Return whether another program has taken a participant's place: its folder's run.sh starts no scalespan."""
    start = folder / "run.sh"
    return start.is_file() and "--participant" not in start.read_text(encoding="utf-8", errors="replace")


def _foreign(folder: Path, config: Config, parts: Mapping[str, Part]) -> tuple[str, ...]:
    """Return the participants that are other people's programs; each must have a folder with a run.sh."""
    known = [each.name for each in config.participants]
    for name in parts:
        if name not in known:
            raise CaseError(
                f"{XML} has no participant '{name}'", where=f"case.toml: participants.{name}", todo=nearest(name, known)
            )
    foreign = tuple(name for name in known if name not in parts)
    for name in foreign:
        if not (folder / name / "run.sh").is_file():
            raise CaseError(
                f"the participant '{name}' of {XML} is missing",
                where="case.toml",
                todo=f"add [participants.{name}], or {name}/run.sh for a program of its own",
            )
    return foreign
