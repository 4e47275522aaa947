"""A continuum through the steps of its own time: under growing loads, or in real time."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar, Self

import numpy as np
from pydantic import Field, model_validator

from scalespan.adapters.interface import Adapter, Array, CaseError, FieldAdapter, Options, State, Table, nearest, under

from ..parallel import World
from ..record import Series
from ..results import Value, statistics
from .task import BareRun, BareTask, Findings


class Probe(Options):
    """A number to keep of each step: a field at a point, or the sum of an output over its place."""

    field: str | None = None  # of the model: "displacement"
    at: list[float] | None = None  # where, in the model's unit of length
    output: str | None = None  # of the model: "right.force"
    component: int = Field(default=0, ge=0)  # of a vector, from 0
    unit: str = "1"  # in which the model has it, in pint's spelling; it is not converted

    @model_validator(mode="after")
    def _one(self) -> Self:
        if (self.field is None) == (self.output is None) or (self.field is None) != (self.at is None):
            raise ValueError('a probe is field = "…" with at = [x, y], or output = "…"')
        return self

    def check(self, name: str, model: FieldAdapter) -> None:
        """Raise CaseError where the model has no such field or output."""
        ports = {key: port.components for key, port in model.outputs.items()}
        known, wanted = (model.fields, self.field) if self.field is not None else (ports, str(self.output))
        where, kind = f"case.toml: task.probes.{name}", "field" if self.field is not None else "output"
        if wanted not in known:
            todo = nearest(wanted, known) if known else "give the model places"
            raise CaseError(f"the model has no {kind} '{wanted}'", where=where, todo=todo)
        if self.component >= known[wanted]:
            raise CaseError(f"'{wanted}' has {known[wanted]} components", where=where, todo="count from 0")
        if self.at is not None and len(self.at) != model.dimension:
            raise CaseError(f"the point has {len(self.at)} numbers", where=where, todo=f"give {model.dimension}")

    def of(self, model: FieldAdapter, ranks: World) -> float:
        """Return the number, the same on all ranks."""
        if self.field is None:
            assert self.output is not None, "the options check it"
            return ranks.total(float(model.output(self.output)[:, self.component].sum()))
        asked = np.array([self.at] if ranks.rank == 0 else []).reshape(-1, model.dimension)
        return ranks.total(float(model.evaluate(self.field, asked)[:, self.component].sum()))


class March(BareTask):
    """A continuum through steps of its own time: under growing loads, or in real time; one field file for ParaView."""

    kind: ClassVar[str] = "march"
    family: ClassVar[str] = "a continuum"
    on_ranks: ClassVar[bool] = True
    values: ClassVar[tuple[str, ...]] = ("steps", "{}_first", "{}_last", "{}_mean", "{}_std", "{}_min", "{}_max")

    steps: int = Field(ge=1)
    to: float = Field(gt=0)  # the time at the end, in the model's unit of time; of loads, the t of their formulas
    frames: int = Field(default=1, ge=1)  # steps from one frame of the fields to the next
    probes: dict[str, Probe] = Field(default_factory=dict)  # name -> what to keep of each step

    def check(self, model: Adapter) -> list[Table]:
        """Raise CaseError for probes of what is not there."""
        assert isinstance(model, FieldAdapter), "the family"
        for name, probe in self.probes.items():
            probe.check(name, model)
        rows = (
            ("steps", str(self.steps)),
            ("each", f"{self.to / self.steps:g} {model.time_unit}, in parts of at most {model.longest_step:g}"),
        )
        return [Table("March", ("what", "value"), rows)]

    def run(self, run: BareRun) -> Findings:
        """Take every step, and write what there is to see of each."""
        model = run.model
        assert isinstance(model, FieldAdapter), "the family"
        writer, done = _Writer(self, run, model), run.record.position
        if run.record.restart is not None:
            model.restore(_kept(run, run.record.restart.state))
        else:
            model.begin()
            model.frame(run.record.folder, 0.0)
        run.progress.start("march", self.steps, done)
        for number in range(done + 1, self.steps + 1):
            with run.record.timed("model"):
                _advance(model, self.to / self.steps)
            with run.record.timed("output"):
                writer.write(number)
        return _findings(run.record.table("steps"), self.steps)


class _Writer:
    def __init__(self, task: March, run: BareRun, model: FieldAdapter) -> None:
        self._task, self._run, self._model = task, run, model
        self._series: Series | None = None

    def write(self, number: int) -> None:
        task, run, model = self._task, self._run, self._model
        time = number * task.to / task.steps
        row = dict(model.observe()) | {
            f"{name}/{each.unit}": each.of(model, run.ranks) for name, each in task.probes.items()
        }
        if self._series is None:
            self._series = run.record.series("steps", ["step", f"time/{model.time_unit}", *row])
        self._series.row([number, time, *row.values()])
        if number % task.frames == 0 or number == task.steps:
            model.frame(run.record.folder, time)
        _keep(run, number, model.save())
        run.progress.show(number, f"t {time:.4g} {model.time_unit}", *_first(row, task))


def _keep(run: BareRun, number: int, state: State) -> None:
    """Make this moment the one to restart from, with the states of all ranks."""
    states = run.ranks.gather(state)
    run.record.save(number, {f"{rank}/{key}": value for rank, each in enumerate(states) for key, value in each.items()})


def _kept(run: BareRun, state: State) -> State:
    ranks = 1 + max(int(key.partition("/")[0]) for key in state)
    if ranks != run.ranks.size:
        raise CaseError(
            f"this run had {ranks} ranks, and there are {run.ranks.size}",
            where=str(run.record.folder),
            todo=f"type: mpirun -n {ranks} scalespan run CASE --restart",
        )
    return under(str(run.ranks.rank), state)


def _first(row: Mapping[str, float], task: March) -> list[str]:
    """Return what a person waiting sees: the first probe, or the first number."""
    name = next((key for key in row if key.partition("/")[0] in task.probes), next(iter(row), None))
    return [] if name is None else [f"{name.partition('/')[0]} {row[name]:.5g}"]


def _advance(model: FieldAdapter, dt: float) -> None:
    """Move by ``dt``, in equal parts none of which is longer than the model takes."""
    parts = max(1, int(np.ceil(dt / model.longest_step * (1.0 - 1e-9))))
    for _ in range(parts):
        model.advance(dt / parts)


def _findings(table: Mapping[str, Array], steps: int) -> Findings:
    values = {"steps": Value(float(steps), "1")}
    for column, series in list(table.items())[2:]:
        name, unit = column.split("/", 1)
        values |= statistics(name, series, unit)
    return Findings(values)
