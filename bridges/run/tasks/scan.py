"""The energy along a coordinate."""

from __future__ import annotations

from typing import ClassVar, Literal

from ase import Atoms
from ase.constraints import FixAtoms

from scalespan.adapters.interface import Array, NotConverged, ParticleAdapter, Results, Table

from ..record import Series
from ..results import Output, Value, need_atoms, statistics
from .coordinate import AnyCoordinate, Strain
from .relax import Relax
from .task import Findings, Run, Task, describe


class Scan(Task):
    """The energy along a distance, an angle, a dihedral, the shift of a group or a strain; rigid or relaxed."""

    kind: ClassVar[str] = "scan"
    values: ClassVar[tuple[str, ...]] = (
        "energy_{n}",
        "relative_{n}",
        "scan_minimum",
        "scan_minimum_at",
        "scan_maximum",
        "scan_maximum_at",
        "barrier",
        "load_{n}",
        "force_x_{n}",
        "force_y_{n}",
        "force_z_{n}",
    )

    coordinate: AnyCoordinate
    relax: Relax | None = None  # None: nothing moves but the group
    frozen: tuple[int, ...] = ()  # atoms that stay in place while others relax
    relative_to: Literal["first", "last", "lowest"] = "lowest"  # the zero of the relative energies
    force_on: tuple[int, ...] = ()  # atoms whose summed force is given at each point

    def check(self, model: ParticleAdapter, atoms: Atoms, output: Output) -> list[Table]:
        """Raise AtomsError for atoms that do not exist."""
        self.coordinate.check(atoms)
        if self.relax is not None:
            self.relax.check_model(model, "case.toml: task.relax.optimiser")
        need_atoms(self.frozen, atoms, "case.toml: task.frozen")
        need_atoms(self.force_on, atoms, "case.toml: task.force_on")
        numbers = self.coordinate.numbers
        rows = (
            ("coordinate", self.coordinate.kind),
            ("points", str(len(numbers))),
            ("from", self._at(numbers[0])),
            ("to", self._at(numbers[-1])),
            ("others", f"relaxed by {self.relax.optimiser}" if self.relax else "stay"),
        )
        return [*super().check(model, atoms, output), Table("Scan", ("what", "value"), rows)]

    def run(self, run: Run) -> Findings:
        """Compute every point, each relaxed one from the one before it."""
        atoms, done = run.atoms.copy(), run.record.position
        atoms.calc = run.model.as_calculator()
        if run.record.restart:
            atoms.cell = run.record.restart.state["cell"]
            atoms.set_positions(run.record.restart.state["positions"])
        writer, numbers = _Writer(self, run), self.coordinate.numbers
        run.progress.start("scan", len(numbers), done)
        for point, number in enumerate(numbers[done:], start=done + 1):
            with run.record.timed("model"):
                self._move(run, atoms, number)
            writer.write(point, number, atoms)
            run.record.save(point, {"positions": atoms.get_positions(), "cell": atoms.cell.array})
            energy = atoms.get_potential_energy()
            run.progress.show(point, self._at(number), f"E {energy:.6f} eV")
        return self._findings(run)

    def _move(self, run: Run, atoms: Atoms, number: float) -> None:
        atoms.set_constraint()
        if self.relax is None:
            atoms.cell, atoms.positions = run.atoms.cell, run.atoms.positions
        self.coordinate.place(atoms, number, run.atoms)
        if self.relax:
            held = [*run.atoms.constraints, self.coordinate.hold(number)]  # the model's own ties first
            atoms.set_constraint([*held, FixAtoms(list(self.frozen))] if self.frozen else held)
            if not self.relax.to_minimum(atoms, lambda step, memory: None):
                raise NotConverged(
                    f"the point at {self._at(number)} did not relax in {self.relax.max_steps} steps",
                    where=self.kind,
                    todo="raise max_steps or fmax, and continue with --restart",
                )
        atoms.get_forces()

    def _at(self, number: float) -> str:
        unit = self.coordinate.unit
        return f"{number:g}" if unit == "1" else f"{number:g} {unit}"

    def _findings(self, run: Run) -> Findings:
        table = run.record.table("scan")
        energies, at = table["energy/eV"], table[f"{self.coordinate.kind}/{self.coordinate.unit}"]
        zero = {"first": energies[0], "last": energies[-1], "lowest": energies.min()}[self.relative_to]
        low, high = int(energies.argmin()), int(energies.argmax())
        values = _numbered("energy", energies, "eV") | _numbered("relative", energies - zero, "eV")
        values |= {
            "scan_minimum": Value(float(energies[low]), "eV"),
            "scan_minimum_at": Value(float(at[low]), self.coordinate.unit),
            "scan_maximum": Value(float(energies[high]), "eV"),
            "scan_maximum_at": Value(float(at[high]), self.coordinate.unit),
            "barrier": Value(float(energies[high] - energies[low]), "eV"),
        }
        if "load/eV" in table:
            values |= _numbered("load", table["load/eV"], "eV")
        for axis in "xyz" if self.force_on else "":
            values |= _numbered(f"force_{axis}", table[f"force_{axis}/(eV/angstrom)"], "eV/angstrom")
        for name, measure in run.output.measure.items():
            values |= statistics(name, table[f"{name}/{measure.unit}"], measure.unit)
        return Findings(values)


class _Writer:
    """Writes each point."""

    def __init__(self, task: Scan, run: Run) -> None:
        self._task, self._run = task, run
        self._series: Series | None = None
        self._trajectory = run.record.trajectory(run.output)

    def write(self, point: int, number: float, atoms: Atoms) -> None:
        """Write a point whose energy and forces ``atoms`` know."""
        task, run, found = self._task, self._run, atoms.calc.last
        row = {f"{task.coordinate.kind}/{task.coordinate.unit}": number} | _energies(found)
        if task.force_on:
            total = found.forces[list(task.force_on)].sum(axis=0)
            row |= {f"force_{axis}/(eV/angstrom)": value for axis, value in zip("xyz", total.tolist(), strict=True)}
        if isinstance(task.coordinate, Strain):
            trial = atoms.copy()
            trial.calc = run.model.as_calculator()
            row["load/eV"] = task.coordinate.load(trial, number, run.atoms)
        units = {name: measure.unit for name, measure in run.output.measure.items()}
        row |= {f"{name}/{units[name]}": value for name, value in run.output.measured(atoms).items()}
        if self._series is None:
            self._series = run.record.series("scan", ["point", *row])
        self._series.row([point, *row.values()])
        frame = describe(task.kind, atoms, found.forces, point=point, coordinate=number, energy=found.energy)
        self._trajectory.frame(frame)


def _energies(found: Results) -> dict[str, float]:
    assert found.energy is not None, "the point has been computed"
    return {"energy/eV": found.energy} | {f"energy_{name}/eV": value for name, value in found.components.items()}


def _numbered(name: str, series: Array, unit: str) -> dict[str, Value]:
    return {f"{name}_{n}": Value(float(value), unit) for n, value in enumerate(series, start=1)}
