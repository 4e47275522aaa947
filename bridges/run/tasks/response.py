"""What a material answers, along a path of deformations."""

from __future__ import annotations

from collections.abc import Mapping
from math import isfinite
from typing import ClassVar, Self

import numpy as np
from pydantic import Field, model_validator

from scalespan.adapters.interface import (
    Adapter,
    Amount,
    Array,
    CaseError,
    Header,
    Material,
    Options,
    Origin,
    Range,
    Table,
    record_of,
    sha256,
)

from ..record import Series
from ..results import Value
from ..versions import versions
from .task import BareRun, BareTask, Findings

_AXES = "xyz"
_VOIGT = {1: ((0, 0),), 2: ((0, 0), (1, 1), (0, 1)), 3: ((0, 0), (1, 1), (2, 2), (1, 2), (0, 2), (0, 1))}
_NAMES = {1: (1,), 2: (1, 2, 6), 3: (1, 2, 3, 4, 5, 6)}


class HandOffOptions(Options):
    """What is written beside elastic constants that go on to another scale."""

    what: str  # in words: "elastic constants of the weave"
    unit: str | None = None  # of the constants; None: the material's
    state: dict[str, Amount] = Field(default_factory=dict)  # where they were found, such as a temperature
    validity: dict[str, Range] = Field(default_factory=dict)  # where they may be used: strain, temperature
    cutoff: str = ""  # what the engine left out: "2.5 sigma, shifted, no tail"


class Response(BareTask):
    """A material along a path of deformations: energy, stress, dissipation, and the stiffness where it begins."""

    kind: ClassVar[str] = "response"
    family: ClassVar[str] = "a material"
    values: ClassVar[tuple[str, ...]] = (
        "C{n}",
        *(f"{name}_{when}" for name in ("energy", "dissipation") for when in ("last", "max")),
        *(f"P_{{}}_{when}" for when in ("last", "max", "min")),
        "asymmetry",
        "softest",
    )

    path: list[list[list[float]]] = Field(default_factory=list)  # deformation gradients F, each reached from the last
    steps: int = Field(default=10, ge=1)  # on the way to each of them
    hand_off: HandOffOptions | None = None  # the record hand_off.toml that is written of the constants

    @model_validator(mode="after")
    def _square(self) -> Self:
        shapes = {(len(each), *(len(row) for row in each)) for each in self.path}
        if len(shapes) > 1 or any(len(set(shape)) > 1 for shape in shapes):
            raise ValueError("each F of the path is a square table, all of one size")
        return self

    def check(self, model: Adapter) -> list[Table]:
        """Raise CaseError for deformations of another dimension."""
        assert isinstance(model, Material), "the family"
        if self.path and len(self.path[0]) != model.dimension:
            raise CaseError(
                f"the path's deformations have {len(self.path[0])} dimensions, and the material {model.dimension}",
                where="case.toml: task.path",
            )
        rows = (("legs of the path", str(len(self.path))), ("steps of each", str(self.steps)))
        return [Table("Response", ("what", "value"), rows)]

    def run(self, run: BareRun) -> Findings:
        """Ask for the stiffness at rest, and then along the path."""
        model = run.model
        assert isinstance(model, Material), "the family"
        done = run.record.position
        stiffness = self._at_rest(model)
        if self.hand_off is not None:
            _record(run, model, self.hand_off)
        if run.record.restart is not None:
            model.restore(run.record.restart.state)
        deformations = _legs(self.path, self.steps, model.dimension)
        run.progress.start("response", len(deformations), done)
        series = _series(run, model)
        for number, deformation in enumerate(deformations[done:], start=done + 1):
            with run.record.timed("model"):
                row = _row(model, deformation)
            series.row([number, *deformation.ravel(), *row])
            run.record.save(number, model.save())
            run.progress.show(number, f"W {row[0]:.5g} {model.stress_unit}")
        values = _stiffness_values(stiffness, model.stress_unit) | _path_values(run.record.table("path"))
        return Findings(values, tables=[_stiffness_table(stiffness, model)])

    @staticmethod
    def _at_rest(model: Material) -> Array:
        state = model.save()
        tangent = model.respond(np.eye(model.dimension)[None], tangent=True).tangent
        assert tangent is not None, "it was wanted"
        model.restore(state)
        return _voigt(tangent[0])


def _record(run: BareRun, model: Material, options: HandOffOptions) -> None:
    folder = run.record.folder
    known = ", ".join(f"{name} {version}" for name, version in versions().items() if name not in ("python", "numpy"))
    origin = Origin(engine=model.name, version=known, inputs={"case.toml": sha256(folder / "case.toml")})
    header = Header(options.what, origin, options.state, options.validity, options.cutoff)
    record_of(model, header, options.unit).save(folder / "hand_off.toml")


def _legs(path: list[list[list[float]]], steps: int, d: int) -> list[Array]:
    found, at = [], np.eye(d)
    for each in path:
        end = np.array(each)
        found += [at + part / steps * (end - at) for part in range(1, steps + 1)]
        at = end
    return found


def _series(run: BareRun, model: Material) -> Series:
    pairs = [f"{_AXES[i]}{_AXES[j]}" for i in range(model.dimension) for j in range(model.dimension)]
    unit = f"({model.stress_unit})"
    columns = [f"F_{pair}/1" for pair in pairs] + [f"energy/{unit}", f"dissipation/{unit}"]
    return run.record.series("path", ["step", *columns, *(f"P_{pair}/{unit}" for pair in pairs)])


def _row(model: Material, deformation: Array) -> list[float]:
    """Return energy, dissipation since the last step, and stress; the step is final."""
    answer = model.respond(deformation[None])
    lost = 0.0 if answer.dissipation is None else float(answer.dissipation[0])
    model.advance(1.0)
    return [float(answer.energy[0]), lost, *answer.stress[0].ravel().tolist()]


def _voigt(tangent: Array) -> Array:
    """Return ∂P/∂F (d, d, d, d) at rest as Voigt's matrix, of the symmetric strain."""
    even = 0.5 * (tangent + tangent.transpose(1, 0, 2, 3))
    even = 0.5 * (even + even.transpose(0, 1, 3, 2))
    pairs = _VOIGT[tangent.shape[0]]
    return np.array([[even[(*row, *column)] for column in pairs] for row in pairs])


def _stiffness_values(stiffness: Array, unit: str) -> dict[str, Value]:
    names = _NAMES[{1: 1, 3: 2, 6: 3}[len(stiffness)]]
    found = {
        f"C{i}{j}": Value(float(stiffness[a, b]), unit)
        for a, i in enumerate(names)
        for b, j in enumerate(names)
        if a <= b
    }
    found["asymmetry"] = Value(float(np.abs(stiffness - stiffness.T).max() / np.abs(stiffness).max()), "1")
    found["softest"] = Value(float(np.linalg.eigvalsh(0.5 * (stiffness + stiffness.T)).min()), unit)
    return found


def _path_values(table: Mapping[str, Array]) -> dict[str, Value]:
    found = {}
    for column, series in table.items():
        name, _, unit = column.partition("/")
        if not len(series) or name in ("step", "dissipation") or name.startswith("F_"):
            continue
        text = unit.strip("()")
        found[f"{name}_last"], found[f"{name}_max"] = Value(float(series[-1]), text), Value(float(series.max()), text)
        if name != "energy":
            found[f"{name}_min"] = Value(float(series.min()), text)
    lost = next((series for column, series in table.items() if column.startswith("dissipation/")), np.zeros(0))
    if len(lost) and isfinite(lost.sum()):
        unit = next(column for column in table if column.startswith("dissipation/")).partition("/")[2].strip("()")
        found |= {"dissipation_last": Value(float(lost.sum()), unit), "dissipation_max": Value(float(lost.max()), unit)}
    return found


def _stiffness_table(stiffness: Array, model: Material) -> Table:
    names = _NAMES[model.dimension]
    rows = tuple((f"{i}", *(f"{value:.6g}" for value in row)) for i, row in zip(names, stiffness, strict=True))
    return Table(f"Stiffness at rest, {model.stress_unit}", ("", *(str(i) for i in names)), rows)
