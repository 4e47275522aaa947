"""Motion in time."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from ase import Atoms
from ase.md.velocitydistribution import Stationary, ZeroRotation
from pydantic import Field

from scalespan.adapters.interface import (
    AtomsError,
    Motion,
    NotOffered,
    Observation,
    OptionError,
    Options,
    ParticleAdapter,
    Table,
)
from scalespan.adapters.interface.units import BOLTZMANN, FEMTOSECOND, KJ_PER_MOL, Temperature, Time, convert, show

from ..loop import Alone, drive
from ..record import Series
from ..results import Check, Output, Value, statistics
from ..series import RunningLine, conserved, fit_line
from ..solo import Solo
from .task import Findings, Run, Task, describe

_PER_PS = 1000.0 / KJ_PER_MOL  # eV/fs in kJ/mol/ps
_DRIFT_SOURCE = "energy is conserved: zero, within 0.5 kJ/mol/ps for every 200 atoms, and twice the fit's error"
_PERIODIC = "; npt needs a periodic force field"
_RATIO_SOURCE = "total energy fluctuates far less than kinetic energy (doi:10.1093/oso/9780198803195.001.0001)"


class Velocities(Options):
    """Velocities at the start: Maxwell and Boltzmann's distribution at a temperature."""

    temperature: Temperature
    seed: int = Field(default=1, ge=0)
    zero_momentum: bool = True  # the centre of mass rests
    zero_rotation: bool = False  # without a cell: no angular momentum

    def give(self, atoms: Atoms) -> None:
        """Set the momenta of ``atoms``."""
        random = np.random.default_rng(self.seed).standard_normal((len(atoms), 3))
        atoms.set_momenta(random * np.sqrt(atoms.get_masses() * BOLTZMANN * self.temperature)[:, None])
        if self.zero_momentum and len(atoms) > 1:
            Stationary(atoms)
        if self.zero_rotation:
            ZeroRotation(atoms)


class Dynamics(Task):
    """Motion in time: NVE, Langevin, Nosé-Hoover or NPT."""

    kind: ClassVar[str] = "dynamics"
    values: ClassVar[tuple[str, ...]] = (
        "drift",
        "drift_error",
        "fluctuation_ratio",
        "steps",
        *(
            f"{name}_{kind}"
            for name in (
                *("potential", "kinetic", "total", "conserved", "temperature", "volume"),
                *("energy_{}", "kinetic_{}", "given_{}", "ledger_{}"),
            )
            for kind in ("first", "last", "mean", "std", "min", "max")
        ),
    )

    motion: Motion
    duration: Time
    velocities: Velocities | None = None  # None: as the atoms have them, else at rest

    def check(self, model: ParticleAdapter, atoms: Atoms, output: Output) -> list[Table]:
        """Raise CaseError unless duration, interval and timestep are multiples of each other."""
        super().check(model, atoms, output)
        plan, told = Plan.of(self, output), model.check_motion(atoms, self.motion)
        if self.motion.ensemble not in model.ensembles:
            raise NotOffered(
                f"{model.name} does not move in the ensemble '{self.motion.ensemble}'",
                where="case.toml: task.motion.ensemble",
                todo=f"it knows {', '.join(sorted(model.ensembles))}{_PERIODIC * (self.motion.ensemble == 'npt')}",
            )
        if self.velocities and not atoms.get_masses().any():
            raise AtomsError("the atoms have no masses", where="case.toml: task.velocities")
        rows = (
            ("ensemble", self.motion.ensemble),
            ("timestep", show(self.motion.timestep, "fs", "time")),
            ("steps", str(plan.steps)),
            ("frames", f"{plan.steps // plan.every + 1}, one every {plan.every} steps"),
            ("restart file", f"every {plan.save} steps"),
        )
        return [*told, Table("Dynamics", ("what", "value"), rows)]

    def run(self, run: Run) -> Findings:
        """Move the atoms, from the start or from the restart file, to the end."""
        writer = _Writer(self, run)
        run.notes["temperature"] = self.motion.temperature
        with run.record.timed("start"):
            writer.begin()
        timestep, done = self.motion.timestep, run.record.position
        if done < writer.plan.steps:
            coupling = Alone((writer.plan.steps - done) * timestep, writer.plan.every * timestep)
            drive(_TimedSolo(run, writer.accept), coupling, time=done * timestep)
        run.record.frame("final", _with_momenta(run.model.atoms))
        return self._findings(run)

    def _findings(self, run: Run) -> Findings:
        table = run.record.table("energies")
        values: dict[str, Value] = {"steps": Value(float(table["step"][-1]), "1")}
        for column, series in table.items():
            if column not in ("step", "time/fs"):
                name, unit = column.split("/", 1)
                values |= statistics(name, series, unit)
        if self.motion.ensemble != "nve":
            return Findings(values)
        line = fit_line(table["time/fs"], conserved(table))
        values["drift"] = Value(convert(line.slope, "eV/fs", "kJ/mol/ps"), "kJ/mol/ps")
        values["drift_error"] = Value(convert(line.error, "eV/fs", "kJ/mol/ps"), "kJ/mol/ps")
        # a picoelectronvolt below: atoms at rest fluctuate by round-off only
        values["fluctuation_ratio"] = Value(line.scatter / (float(table["kinetic/eV"].std()) + 1e-12), "1")
        return Findings(values, _diagnoses(values, len(run.atoms)))


def _diagnoses(values: dict[str, Value], atoms: int) -> list[Check]:
    allowed = 0.5 * max(1.0, atoms / 200.0) + 2.0 * values["drift_error"].value
    return [
        Check("drift", values["drift"].value, 0.0, allowed, "kJ/mol/ps", _DRIFT_SOURCE),
        Check("fluctuation_ratio", values["fluctuation_ratio"].value, 0.0, 0.1, "1", _RATIO_SOURCE),
    ]


@dataclass(frozen=True)
class Plan:
    """The run in whole timesteps."""

    steps: int
    every: int  # between two frames
    save: int  # between two restart files

    @classmethod
    def of(cls, task: Dynamics, output: Output) -> Plan:
        """Return the plan of a case.

        Raises:
            OptionError: a time that is no whole multiple of what it must be.
        """
        where = "case.toml"
        steps = _whole(task.duration, task.motion.timestep, f"{where}: task.duration", "the timestep")
        if output.every is None:
            every = next(each for each in range(max(1, steps // 100), 0, -1) if steps % each == 0)
        else:
            every = _whole(output.every, task.motion.timestep, f"{where}: output.every", "the timestep")
        if steps % every:
            raise OptionError(
                f"the duration of {steps} steps is no whole multiple of the {every} steps between frames",
                where=f"{where}: output.every",
                todo=f"use {steps - steps % every} or {steps - steps % every + every} steps",
            )
        interval = every * task.motion.timestep
        save = output.restart_every or interval
        return cls(steps, every, every * _whole(save, interval, f"{where}: output.restart_every", "output.every"))


def _whole(time: float, unit: float, where: str, name: str) -> int:
    count = round(time / unit)
    if count < 1 or abs(time / unit - count) > 1e-6 * count:
        raise OptionError(
            f"{show(time, 'fs', 'time')} is no whole multiple of {name}, {show(unit, 'fs', 'time')}",
            where=where,
            todo=f"use {show(max(1, count) * unit, 'fs', 'time')}",
        )
    return count


class _TimedSolo(Solo):
    """Counts the time of each step as the model's."""

    def __init__(self, run: Run, accept: Callable[[float], None]) -> None:
        super().__init__(run.model, accept)
        self._record = run.record

    def advance(self, dt: float) -> None:
        with self._record.timed("model"):
            super().advance(dt)


class _Writer:
    """Writes a frame at each window's end, and a restart file as often as planned."""

    def __init__(self, task: Dynamics, run: Run) -> None:
        self.plan = Plan.of(task, run.output)
        self._task, self._run = task, run
        self._series: Series | None = None
        self._line = RunningLine()
        self._trajectory = run.record.trajectory(run.output, self.plan.every * task.motion.timestep)

    def begin(self) -> None:
        """Start the motion; or go back to where the restart file was written."""
        run = self._run
        atoms = run.atoms.copy()
        if self._task.velocities:
            self._task.velocities.give(atoms)
        run.model.start(atoms, self._task.motion)
        run.progress.start("dynamics", self.plan.steps, run.record.position)
        if run.record.restart is None:
            self.accept(0.0)
            return
        run.model.restore(run.record.restart.state)
        table = run.record.table("energies")
        self._line.add(table["time/fs"], conserved(table))

    def accept(self, time: float) -> None:
        """Write what is to be written at ``time`` (ASE's)."""
        step = round(time / self._task.motion.timestep)
        with self._run.record.timed("output"):
            seen = self._write(step)
            if step % self.plan.save == 0:
                self._run.record.save(step, self._run.model.save())
        self._show(step, seen)

    def _write(self, step: int) -> Observation:
        run, seen, atoms = self._run, self._run.model.observe(), self._run.model.atoms
        fs = step * self._task.motion.timestep / FEMTOSECOND
        row = _row(run.output, seen, atoms)
        if self._series is None:
            self._series = run.record.series("energies", ["step", "time/fs", *row])
        self._series.row([step, fs, *row.values()])
        self._trajectory.frame(describe(self._task.kind, atoms, step=step, time_fs=fs, energy=seen.potential))
        self._line.add([fs], [seen.conserved])
        return seen

    def _show(self, step: int, seen: Observation) -> None:
        texts = [
            f"{step * self._task.motion.timestep / FEMTOSECOND:.6g} fs",
            f"E {seen.potential + seen.kinetic:.4f} eV",
            f"T {seen.temperature:.0f} K",
        ]
        if self._task.motion.ensemble == "nve":
            texts.append(f"drift {self._line.slope * _PER_PS:+.2g} kJ/mol/ps")
        self._run.progress.show(step, *texts)


def _row(output: Output, seen: Observation, atoms: Atoms) -> dict[str, float]:
    row = {
        "potential/eV": seen.potential,
        "kinetic/eV": seen.kinetic,
        "total/eV": seen.potential + seen.kinetic,
        "temperature/K": seen.temperature,
    }
    if seen.volume is not None:
        row["volume/angstrom^3"] = seen.volume
    if seen.given:
        row["conserved/eV"] = seen.conserved
    kinds = {"energy": seen.components, "kinetic": seen.kinetic_parts, "given": seen.given, "ledger": seen.books}
    row |= {f"{kind}_{name}/eV": value for kind, parts in kinds.items() for name, value in parts.items()}
    row |= seen.numbers
    units = {name: measure.unit for name, measure in output.measure.items()}
    return row | {f"{name}/{units[name]}": value for name, value in output.measured(atoms).items()}


def _with_momenta(atoms: Atoms) -> Atoms:
    frame = describe("dynamics", atoms)
    frame.set_momenta(atoms.get_momenta())
    return frame
