"""The nearest minimum of the energy."""

from __future__ import annotations

from collections.abc import Callable
from typing import ClassVar

from ase import Atoms
from ase.constraints import FixAtoms

from scalespan.adapters.interface import NotConverged, ParticleAdapter, State, Table
from scalespan.adapters.interface.units import show

from ..results import Check, Output, Value, need_atoms, statistics
from .relax import Relax, longest_force
from .task import Findings, Run, Task, describe, force_sizes


class Minimise(Task, Relax):
    """The nearest minimum of the energy, by ASE's optimisers or geomeTRIC."""

    kind: ClassVar[str] = "minimise"
    values: ClassVar[tuple[str, ...]] = (
        "energy",
        "energy_change",
        "steps",
        "force_max",
        "force_rms",
        "net_force",
    )

    frozen: tuple[int, ...] = ()  # atoms that do not move

    def check(self, model: ParticleAdapter, atoms: Atoms, output: Output) -> list[Table]:
        """Raise AtomsError for a frozen atom that does not exist, NotOffered for an optimiser the model cannot have."""
        self.check_model(model, "case.toml: task.optimiser")
        need_atoms(self.frozen, atoms, "case.toml: task.frozen")
        rows = (
            ("optimiser", self.optimiser),
            ("until the longest force is below", show(self.fmax, "eV/angstrom", "force")),
            ("steps at most", str(self.max_steps)),
            ("atoms that move", str(len(atoms) - len(self.frozen))),
        )
        return [*super().check(model, atoms, output), Table("Minimisation", ("what", "value"), rows)]

    def run(self, run: Run) -> Findings:
        """Go downhill, writing every step."""
        atoms = run.atoms.copy()
        atoms.calc = run.model.as_calculator()
        ties = [each for each in atoms.constraints if hasattr(each, "matrix")]  # linear ones, of the model's own
        atoms.set_constraint([*ties, FixAtoms(list(self.frozen))] if self.frozen else ties)
        memory = run.record.restart.state if run.record.restart else None
        if memory:
            atoms.set_positions(memory["positions"], apply_constraint=False)
        writer = _Writer(self, run, atoms)
        with run.record.timed("model"):
            converged = self.to_minimum(atoms, writer.heard, memory if memory and "steps" in memory else None)
        run.record.frame("final", describe(self.kind, atoms, atoms.get_forces(), energy=atoms.get_potential_energy()))
        findings = self._findings(run, atoms)
        if not converged:
            force = show(longest_force(atoms), "eV/angstrom", "force")
            raise NotConverged(
                f"after {self.max_steps} steps the longest force is still {force}",
                where=self.kind,
                todo="raise max_steps and continue with --restart, or try another optimiser",
            )
        return findings

    def _findings(self, run: Run, atoms: Atoms) -> Findings:
        table = run.record.table("minimisation")
        energy = table["energy/eV"]
        values = {
            "energy": Value(float(energy[-1]), "eV"),
            "energy_change": Value(float(energy[-1] - energy[0]), "eV"),
            "steps": Value(float(table["step"][-1]), "1"),
        } | force_sizes(atoms.get_forces())
        for name, measure in run.output.measure.items():
            values |= statistics(name, table[f"{name}/{measure.unit}"], measure.unit)
        reached = Check("force_max", values["force_max"].value, 0.0, self.fmax, "eV/angstrom", "a minimum: no force")
        return Findings(values, [reached], run.model.review(atoms))


class _Writer:
    """Writes each step."""

    def __init__(self, task: Minimise, run: Run, atoms: Atoms) -> None:
        self._task, self._run, self._atoms = task, run, atoms
        units = {name: measure.unit for name, measure in run.output.measure.items()}
        columns = ["step", "energy/eV", "force_max/(eV/angstrom)", *(f"{name}/{unit}" for name, unit in units.items())]
        self._series = run.record.series("minimisation", columns)
        self._trajectory = run.record.trajectory(run.output)
        run.progress.start("minimisation", task.max_steps, run.record.position)

    def heard(self, step: int, memory: Callable[[], State]) -> None:
        """Write one step; and a restart file where that costs little."""
        run, atoms = self._run, self._atoms
        energy, force = float(atoms.get_potential_energy()), longest_force(atoms)
        with run.record.timed("output"):
            self._series.row([step, energy, force, *run.output.measured(atoms).values()])
            self._trajectory.frame(describe(self._task.kind, atoms, atoms.get_forces(), step=step, energy=energy))
            if run.record.due():
                run.record.save(step, memory() | {"positions": atoms.get_positions()})
        run.progress.show(step, f"E {energy:.6f} eV", f"force {force:.2g} of {self._task.fmax:.2g} eV/Å")
