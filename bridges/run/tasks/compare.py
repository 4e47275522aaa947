"""The same question to variants of a model, side by side."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar, Self

import numpy as np
from ase import Atoms
from pydantic import Field, model_validator

from scalespan.adapters.interface import Options, ParticleAdapter, Quantity, Results, ScalespanError, Table

from ..results import Output, Value
from .task import Findings, Run, Task, Variant


class Change(Options):
    """A name, and the keys of the case that it changes: ``set = { "model.charges.scheme" = "RC" }``."""

    name: str
    set: dict[str, Any] = Field(default_factory=dict)

    @model_validator(mode="after")
    def _of_the_model(self) -> Self:
        for key in self.set:
            if not key.startswith(("model.", "atoms.")):
                raise ValueError(f"'{key}' is no key of [model] or [atoms], such as \"model.charges.scheme\"")
        return self


class Compare(Task):
    """Single points of variants of the model, in one or several states, and the differences of states."""

    kind: ClassVar[str] = "compare"
    values: ClassVar[tuple[str, ...]] = ("energy_{}", "difference_{}")
    measured: ClassVar[tuple[str, ...]] = ()

    variants: tuple[Change, ...] = Field(min_length=1)  # the rows: "RC", "RCD", …
    states: tuple[Change, ...] = (Change(name=""),)  # the columns: "neutral", "anion"; a difference is last − first

    @model_validator(mode="after")
    def _names_differ(self) -> Self:
        for group in (self.variants, self.states):
            names = [change.name for change in group]
            if twice := [name for name in names if names.count(name) > 1]:
                raise ValueError(f"two are called '{twice[0]}'")
        return self

    def check_variants(self, variant: Variant) -> list[Table]:
        """Build every variant, and raise what is wrong with the first wrong one."""
        rows = []
        for change, state in self._pairs():
            model, atoms = _built(variant, change, state)
            model.audit(atoms)
            changed = ", ".join(f"{key} = {value!r}" for key, value in (change.set | state.set).items())
            rows.append((_name(change, state), changed or "nothing", str(len(atoms))))
            model.close()
        return [Table("Variants", ("name", "changes", "atoms"), tuple(rows))]

    def check(self, model: ParticleAdapter, atoms: Atoms, output: Output) -> list[Table]:
        """Nothing beyond `check_variants`: the model itself is not asked."""
        return []

    def run(self, run: Run) -> Findings:
        """Compute each variant in each state."""
        pairs, done = self._pairs(), run.record.position
        state_on_disk = run.record.restart.state if run.record.restart else {}
        energies = {name: float(value.item()) for name, value in state_on_disk.items()}
        run.progress.start("compare", len(pairs), done)
        run.notes["variants"] = [change.name for change in self.variants]
        run.notes["states"] = [state.name for state in self.states]
        for point, (change, state) in enumerate(pairs[done:], start=done + 1):
            with run.record.timed("model"):
                found = self._answer(run.variant, change, state)
            assert found.energy is not None, "compute gives what is wanted"
            name = _name(change, state)
            energies[name] = found.energy
            energies |= {f"{part}_{name}": value for part, value in found.components.items()}
            run.record.save(point, {key: np.array(value) for key, value in energies.items()})
            run.progress.show(point, name, f"E {found.energy:.6f} eV")
        return Findings(
            {f"energy_{name}": Value(value, "eV") for name, value in energies.items()} | self._gaps(energies)
        )

    def _answer(self, variant: Variant, change: Change, state: Change) -> Results:
        model, atoms = _built(variant, change, state)
        try:
            return model.compute(atoms, {Quantity.ENERGY, Quantity.FORCES})
        finally:
            model.close()

    def _pairs(self) -> list[tuple[Change, Change]]:
        return [(change, state) for change in self.variants for state in self.states]

    def _gaps(self, energies: Mapping[str, float]) -> dict[str, Value]:
        if len(self.states) < 2:
            return {}
        first, last = self.states[0], self.states[-1]
        return {
            f"difference_{change.name}": Value(energies[_name(change, last)] - energies[_name(change, first)], "eV")
            for change in self.variants
        }


def _name(change: Change, state: Change) -> str:
    return f"{change.name}_{state.name}" if state.name else change.name


def _built(variant: Variant, change: Change, state: Change) -> tuple[ParticleAdapter, Atoms]:
    try:
        return variant(change.set | state.set)
    except ScalespanError as error:
        raise error.at(f"variant '{_name(change, state)}'") from error
