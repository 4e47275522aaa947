"""What a task is: options that know how to check themselves and how to run."""

from __future__ import annotations

import re
from abc import abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import ClassVar, TypeAlias

import numpy as np
from ase import Atoms

from scalespan.adapters.interface import (
    Adapter,
    Array,
    CaseError,
    FieldAdapter,
    Material,
    NotOffered,
    Options,
    ParticleAdapter,
    Quantity,
    Study,
    Table,
    nearest,
)

from ..parallel import World
from ..progress import Progress
from ..record import Record
from ..results import Check, Output, Value


@dataclass(frozen=True)
class Findings:
    """What a task found: named values, and the diagnoses that are always made."""

    values: Mapping[str, Value]
    checks: Sequence[Check] = ()
    tables: Sequence[Table] = ()  # what else a person should see in the report


# From changed keys of the case, such as {"model.charges.scheme": "RC"}, to a model and its atoms.
Variant: TypeAlias = Callable[[Mapping[str, object]], tuple[ParticleAdapter, Atoms]]


@dataclass(frozen=True)
class Run:
    """What a task works with that moves atoms."""

    model: ParticleAdapter
    atoms: Atoms  # at the start; the task may not change them
    output: Output
    record: Record
    progress: Progress
    variant: Variant
    notes: dict[str, object] = field(default_factory=dict)  # for the report, such as the modes


FAMILIES: Mapping[str, type] = {
    "a model of atoms": ParticleAdapter,
    "a continuum": FieldAdapter,
    "a material": Material,
    "a study": Study,
}


@dataclass(frozen=True)
class BareRun:
    """What a task works with that has no atoms."""

    model: Adapter  # of the task's family
    record: Record
    progress: Progress
    ranks: World
    notes: dict[str, object] = field(default_factory=dict)  # for the report


class AnyTask(Options):
    """One kind of run. A subclass is the section ``[task]`` of a case; its docstring says what it does."""

    kind: ClassVar[str]
    family: ClassVar[str]  # of the models that it takes: a key of `FAMILIES`
    # Names of the values that the task gives; {n} stands for a number from 1, {} for a name of the model's.
    values: ClassVar[tuple[str, ...]]
    measured: ClassVar[tuple[str, ...]] = ()  # of each measure of the atoms
    on_ranks: ClassVar[bool] = False  # whether it may run under mpirun

    def need_value(self, name: str, output: Output, where: str) -> None:
        """Raise CaseError if the task will give no value called ``name``."""
        known = [*self.values, *(f"{measure}_{kind}" for measure in output.measure for kind in self.measured)]
        patterns = (re.escape(each).replace(r"\{n\}", "[1-9][0-9]*").replace(r"\{\}", ".+") for each in known)
        if not any(re.fullmatch(pattern, name) for pattern in patterns):
            shown = [each.replace("{n}", "1").replace("{}", "NAME") for each in known]
            raise CaseError("the task gives no value of this name", where=where, todo=nearest(name, shown))


class BareTask(AnyTask):
    """A task of a model without atoms."""

    @abstractmethod
    def run(self, run: BareRun) -> Findings:
        """Do it, writing as it goes."""

    def check(self, model: Adapter) -> list[Table]:
        """Raise CaseError for what can be known to be wrong before running; return what a person should see."""
        return []


class Task(AnyTask):
    """A task of atoms."""

    family: ClassVar[str] = "a model of atoms"
    measured: ClassVar[tuple[str, ...]] = ("first", "last", "mean", "std", "min", "max")

    @abstractmethod
    def run(self, run: Run) -> Findings:
        """Do it, writing as it goes."""

    def check(self, model: ParticleAdapter, atoms: Atoms, output: Output) -> list[Table]:
        """Raise CaseError for what can be known to be wrong before running; return what a person should see."""
        for name, measure in output.measure.items():
            measure.check(name, atoms)
        if Quantity.FORCES not in model.offers:
            raise NotOffered(f"{model.name} gives no forces", where="case.toml: task", todo="use another model")
        if model.conservative:
            return []
        told = f"the forces of {model.name} are not the gradient of its energy: do not trust differences of it"
        return [Table("Look at this", ("warning",), ((told,),))]

    def check_variants(self, variant: Variant) -> list[Table]:
        """Raise CaseError for what is wrong with other models that the task will build; most build none."""
        return []


def force_sizes(forces: Array) -> dict[str, Value]:
    """Return the largest and the rms length of the forces (n, 3) eV/Å, and the length of their sum."""
    sizes = np.linalg.norm(forces, axis=1)
    unit = "eV/angstrom"
    return {
        "force_max": Value(float(sizes.max()), unit),
        "force_rms": Value(float(np.sqrt((sizes**2).mean())), unit),
        "net_force": Value(float(np.linalg.norm(forces.sum(axis=0))), unit),
    }


def describe(tag: str, atoms: Atoms, forces: Array | None = None, **info: float | int | str) -> Atoms:
    """Return a bare copy of ``atoms`` as a frame: positions, cell, forces where given, and ``info``."""
    frame = Atoms(numbers=atoms.numbers, positions=atoms.positions, cell=atoms.cell, pbc=atoms.pbc)
    if forces is not None:
        frame.arrays["forces"] = forces
    frame.info |= {"task": tag, **info}
    return frame
