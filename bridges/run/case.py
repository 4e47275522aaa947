"""A case: one directory that can be run, as its `case.toml` and `reference.toml` say it."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ase import Atoms
from pydantic import Field

from scalespan.adapters.interface import (
    ADAPTERS,
    Adapter,
    AtomsError,
    CaseError,
    CaseFile,
    EngineMissing,
    OptionError,
    Options,
    ParticleAdapter,
    nearest,
)
from scalespan.bridges.interface import BRIDGES, Coupling, build

from .results import Output

if TYPE_CHECKING:
    from .tasks import AnyTask


class Reference(Options):
    """One number of `reference.toml` that the run must meet, and where it comes from."""

    name: str  # a value of the run, or a diagnosis
    value: float  # in `unit`
    tolerance: float = Field(ge=0.0)  # absolute, in `unit`
    unit: str
    source: str  # a paper with its DOI, a program with its version, a formula
    engines: dict[str, str] = Field(default_factory=dict)  # the versions that the number was made with


class AtomsFile(Options):
    """Atoms from any file that ASE reads."""

    file: CaseFile
    frame: int = -1  # of a file with several, from 0; negative from the end


class _Tables(Options):
    """The sections of `case.toml`; each is read by whoever it is for."""

    title: str = Field(min_length=1)
    model: dict[str, Any]
    task: dict[str, Any]
    atoms: AtomsFile | None = None
    output: dict[str, Any] = Field(default_factory=dict)


@dataclass(frozen=True)
class Case:
    """What a case directory says, checked as far as it can be without building the model."""

    folder: Path
    title: str
    model: Mapping[str, Any]  # the table as written: an adapter or a bridge, with its options
    atoms: AtomsFile | None
    task: AnyTask
    output: Output
    references: tuple[Reference, ...]
    place: Path | None = None  # of the results, where that is not CASE/results

    @property
    def results(self) -> Path:
        """The folder of all that a run writes."""
        return self.place or self.folder / "results"

    def build(self, coupling: Callable[[], Coupling] | None = None) -> Adapter:
        """Return the model; ``coupling`` makes what a remote engine in it is reached by.

        Raises:
            OptionError, UnitError: a wrong table.
            EngineMissing: an engine that is not installed.
            CaseError: a model that the task cannot take.
        """
        try:
            model = build(self.model, where="case.toml: model", folder=self.folder, coupling=coupling)
        except EngineMissing as error:
            entries = [*ADAPTERS.listing(self.folder), *BRIDGES.listing()]
            ready = ", ".join(entry.name for entry in entries if entry.status == "ready")
            raise EngineMissing(error.what, where=error.where, todo=f"{error.todo} (ready here: {ready})") from error
        self._need_family(model)
        return model

    def _need_family(self, model: Adapter) -> None:
        from .tasks import FAMILIES

        if not isinstance(model, FAMILIES[self.task.family]):
            kind = next((name for name, family in FAMILIES.items() if isinstance(model, family)), "a participant")
            raise CaseError(
                f"'{model.name}' is {kind}, and the task '{self.task.kind}' takes {self.task.family}",
                where="case.toml: model",
                todo="take another model, or another task: scalespan list shows both",
            )

    def start_atoms(self, model: Adapter) -> Atoms | None:
        """Return the atoms of ``[atoms]``, or the model's own; None of a model without.

        Raises:
            AtomsError: a file that ASE cannot read, or no atoms at all.
            CaseError: atoms for a model without.
        """
        if not isinstance(model, ParticleAdapter):
            if self.atoms is not None:
                raise CaseError(f"'{model.name}' has no atoms", where="case.toml: atoms", todo="take the section out")
            return None
        atoms = read_atoms(self.atoms) if self.atoms else model.initial_atoms()
        if atoms is None or len(atoms) == 0:
            name = self.atoms.file if self.atoms else f"the model '{model.name}'"
            raise AtomsError(
                f"{name} holds no atoms", where="case.toml", todo='add a section [atoms] with file = "input/….xyz"'
            )
        return atoms

    def variant(self, changes: Mapping[str, object]) -> tuple[ParticleAdapter, Atoms]:
        """Return model and atoms of this case with some keys changed: ``{"model.charges.scheme": "RC"}``.

        Raises:
            ScalespanError: as reading, building and starting do.
        """
        tables = read_toml(self.folder / "case.toml")
        for key, value in changes.items():
            *path, last = key.split(".")
            table = tables
            for part in path:
                table = table.setdefault(part, {})
                if not isinstance(table, dict):
                    raise OptionError(f"'{key}' goes through '{part}', which is no table", where="case.toml: task")
            table[last] = value
        case = of_tables(self.folder, alone(tables))
        model = case.build()
        atoms = case.start_atoms(model)
        assert isinstance(model, ParticleAdapter) and atoms is not None, "only tasks of atoms ask"
        return model, atoms


def read(place: Path) -> Case:
    """Return the case at ``place``: its folder, or the path of its `case.toml`.

    Raises:
        CaseError: no such case, or TOML that cannot be read.
        OptionError, UnitError: what the case says is wrong.
    """
    folder = find(place)
    return of_tables(folder, read_toml(folder / "case.toml"))


def alone(text: Mapping[str, Any]) -> dict[str, Any]:
    """Return the sections of a `case.toml` that its own process needs, without those of the participants."""
    return {key: value for key, value in text.items() if key not in ("participants", "coupling")}


def of_tables(folder: Path, text: Mapping[str, Any]) -> Case:
    """Return the case that the tables of a `case.toml` describe.

    Raises:
        OptionError, UnitError: what they say is wrong.
    """
    from .tasks import read_task  # here, because they bring all optimisers, which a participant needs none of

    tables = _Tables.read(text, where="case.toml", folder=folder)
    return Case(
        folder=folder,
        title=tables.title,
        model=tables.model,
        atoms=tables.atoms,
        task=read_task(tables.task, where="case.toml: task", folder=folder),
        output=Output.read(tables.output, where="case.toml: output", folder=folder),
        references=read_references(folder / "reference.toml"),
    )


def find(place: Path) -> Path:
    """Return the folder of the case at ``place``, absolute.

    Raises:
        CaseError: there is none.
    """
    folder = place.parent if place.name == "case.toml" else place
    if not folder.is_dir():
        siblings = [each.parent.name for each in folder.parent.glob("*/case.toml")]
        todo = nearest(folder.name, siblings) if siblings else "give the folder that holds a case.toml"
        raise CaseError(f"there is no case at {place}", todo=todo)
    if not (folder / "case.toml").is_file():
        inside = sorted(each.parent.name for each in folder.glob("*/case.toml"))
        todo = f"give one of its cases: {', '.join(inside)}" if inside else "make one: scalespan new-case NAME"
        raise CaseError(f"{place} holds no case.toml", todo=todo)
    return folder.resolve()


def read_atoms(source: AtomsFile) -> Atoms:
    """Return one frame of a file.

    Raises:
        AtomsError: ASE cannot read it.
    """
    from ase.io import read as read_file

    try:
        atoms = read_file(source.file, index=source.frame)
    except Exception as error:  # each of ASE's formats raises its own errors on bad text
        reason = f"{type(error).__name__}: {error}".rstrip(": ")
        raise AtomsError(
            f"frame {source.frame} of {source.file} cannot be read ({reason})",
            where="case.toml: atoms",
            todo="give a file that ASE reads, such as .xyz, .extxyz or .pdb",
        ) from error
    assert isinstance(atoms, Atoms), "one index gives one frame"
    atoms.calc = None
    return atoms


def read_references(path: Path) -> tuple[Reference, ...]:
    """Return the entries of a `reference.toml`; none where there is no file.

    Raises:
        CaseError: it cannot be read, or an entry is wrong.
    """
    if not path.is_file():
        return ()
    found = []
    for name, table in read_toml(path).items():
        if not isinstance(table, dict):
            raise CaseError(
                f"'{name}' is not a table", where=path.name, todo=f"write [{name}] with value, tolerance, unit, source"
            )
        found.append(Reference.read({"name": name, **table}, where=f"{path.name}: {name}"))
    return tuple(found)


def read_toml(path: Path) -> dict[str, Any]:
    """Return the tables of a TOML file.

    Raises:
        CaseError: it cannot be read; the sentence names line and column.
    """
    try:
        text = path.read_text(encoding="utf-8")
        return tomllib.loads(text)
    except UnicodeDecodeError as error:
        raise CaseError(f"{path.name} is not UTF-8 text", todo="save it as UTF-8") from error
    except tomllib.TOMLDecodeError as error:
        reason, where = _place(str(error), path.name)
        shown = _line(text, where)
        raise CaseError(reason, where=where, todo=f"correct the line: {shown}" if shown else "") from error


def _place(message: str, name: str) -> tuple[str, str]:
    """Split ``Invalid value (at line 3, column 5)`` into the reason and the place."""
    found = re.fullmatch(r"(.*) \(at (?:line (\d+), column (\d+)|end of document)\)", message, re.DOTALL)
    if found is None:
        return message, name
    reason, line, column = found.groups()
    return reason[0].lower() + reason[1:], f"{name}, line {line}, column {column}" if line else f"{name}, at its end"


def _line(text: str, where: str) -> str:
    found = re.search(r"line (\d+), column", where)
    return text.splitlines()[int(found.group(1)) - 1].strip() if found else ""
