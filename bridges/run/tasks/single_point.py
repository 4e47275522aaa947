"""Energy and forces of the atoms as they are."""

from __future__ import annotations

from typing import ClassVar

from scalespan.adapters.interface import Quantity

from ..results import Value
from .task import Findings, Run, Task, describe, force_sizes


class SinglePoint(Task):
    """Energy with its components, and forces, of the atoms as they are."""

    kind: ClassVar[str] = "single-point"
    values: ClassVar[tuple[str, ...]] = ("energy", "energy_{}", "force_max", "force_rms", "net_force")
    measured: ClassVar[tuple[str, ...]] = ("last",)

    def run(self, run: Run) -> Findings:
        """Compute once."""
        run.progress.start("single point", 1)
        with run.record.timed("model"):
            found = run.model.compute(run.atoms, {Quantity.ENERGY, Quantity.FORCES})
        assert found.energy is not None and found.forces is not None, "compute gives what is wanted"
        components = dict(found.components) or {run.model.name: found.energy}
        measured = run.output.measured(run.atoms)
        units = {name: measure.unit for name, measure in run.output.measure.items()}
        series = run.record.series(
            "energies", ["energy/eV", *(f"{name}/eV" for name in components), *(f"{n}/{u}" for n, u in units.items())]
        )
        series.row([found.energy, *components.values(), *measured.values()])
        run.record.frame("final", describe(self.kind, run.atoms, found.forces, energy=found.energy))
        run.progress.show(1, f"E {found.energy:.6f} eV")
        return Findings(
            {"energy": Value(found.energy, "eV")}
            | {f"energy_{name}": Value(value, "eV") for name, value in components.items()}
            | force_sizes(found.forces)
            | {f"{name}_last": Value(value, units[name]) for name, value in measured.items()}
        )
