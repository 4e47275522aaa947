"""What a run leaves behind: options of the output, named values, and their comparison with references."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, Self

import numpy as np
from ase import Atoms
from pydantic import Field, model_validator

from scalespan.adapters.interface import Array, AtomsError, CaseError, Options, UnitError, nearest
from scalespan.adapters.interface.units import Time, convert

if TYPE_CHECKING:
    from .case import Reference


class Measure(Options):
    """A distance, angle or dihedral between atoms (from 0), at the minimum image."""

    distance: tuple[int, int] | None = None
    angle: tuple[int, int, int] | None = None
    dihedral: tuple[int, int, int, int] | None = None

    @model_validator(mode="after")
    def _one(self) -> Self:
        if sum(value is not None for value in (self.distance, self.angle, self.dihedral)) != 1:
            raise ValueError("a measure is one of distance = [i, j], angle = [i, j, k], dihedral = [i, j, k, l]")
        return self

    @property
    def unit(self) -> str:
        """The unit of the number: angstrom or degree."""
        return "angstrom" if self.distance else "degree"

    def of(self, atoms: Atoms) -> float:
        """Return the length (Å) or the angle (degree, dihedrals from -180 to 180)."""
        if self.distance:
            return float(atoms.get_distance(*self.distance, mic=True))
        if self.angle:
            return float(atoms.get_angle(*self.angle, mic=True))
        assert self.dihedral is not None, "Measure holds exactly one"
        turned = float(atoms.get_dihedral(*self.dihedral, mic=True))
        return turned - 360.0 if turned > 180.0 else turned

    def check(self, name: str, atoms: Atoms) -> None:
        """Raise AtomsError where an atom does not exist."""
        need_atoms(self.distance or self.angle or self.dihedral or (), atoms, f"[output.measure] {name}")


class Output(Options):
    """What is written of a run, and how often."""

    every: Time | None = None  # dynamics: between two frames; None: a hundredth of the duration
    restart_every: Time | None = None  # dynamics: between two restart files; None: at every frame
    trajectory: Literal["extxyz", "dcd", "none"] = "extxyz"
    measure: dict[str, Measure] = Field(default_factory=dict)  # name -> geometry, a column in the series

    def measured(self, atoms: Atoms) -> dict[str, float]:
        """Return every measure of ``atoms`` by name."""
        return {name: measure.of(atoms) for name, measure in self.measure.items()}


@dataclass(frozen=True)
class Value:
    """A number for people."""

    value: float
    unit: str  # pint's spelling; "1" for a pure number


Values = Mapping[str, Value]


@dataclass(frozen=True)
class Check:
    """One number that has been compared: an entry of `reference.toml` or an always-on diagnosis."""

    name: str
    value: float
    reference: float
    tolerance: float  # absolute
    unit: str  # of all three
    source: str

    @property
    def passed(self) -> bool:
        """Whether the value is within the tolerance; one that is not finite never is."""
        return bool(np.isfinite(self.value) and abs(self.value - self.reference) <= self.tolerance)

    def as_dict(self) -> dict[str, str | float | bool]:
        """Return the entry of `summary.json`."""
        return {
            "name": self.name,
            "value": self.value,
            "reference": self.reference,
            "tolerance": self.tolerance,
            "unit": self.unit,
            "source": self.source,
            "passed": self.passed,
        }


@dataclass(frozen=True)
class Outcome:
    """What a finished run found."""

    values: Values
    checks: tuple[Check, ...]
    wall_s: float

    @property
    def passed(self) -> bool:
        """Whether every check did."""
        return all(check.passed for check in self.checks)


def compare(values: Values, references: Sequence[Reference]) -> list[Check]:
    """Return one check for each reference, in the reference's unit.

    Raises:
        CaseError: a name that the task does not publish.
        UnitError: a unit of another dimension than the value's.
    """
    return [_compare(values, reference) for reference in references]


def _compare(values: Values, reference: Reference) -> Check:
    where = f"reference.toml: {reference.name}"
    if reference.name not in values:
        raise CaseError("the task gives no value of this name", where=where, todo=nearest(reference.name, values))
    found = values[reference.name]
    try:
        value = convert(found.value, found.unit, reference.unit)
    except UnitError as error:
        raise error.at(where) from error
    return Check(
        name=reference.name,
        value=value,
        reference=reference.value,
        tolerance=reference.tolerance,
        unit=reference.unit,
        source=reference.source,
    )


def statistics(name: str, series: Sequence[float] | Array, unit: str) -> dict[str, Value]:
    """Return first, last, mean, standard deviation, min and max of a series, as values ``name_first`` and so on."""
    array = np.asarray(series, dtype=float)
    found = {
        "first": array[0],
        "last": array[-1],
        "mean": array.mean(),
        "std": array.std(),
        "min": array.min(),
        "max": array.max(),
    }
    return {f"{name}_{key}": Value(float(value), unit) for key, value in found.items()}


def need_atoms(indices: Sequence[int], atoms: Atoms, where: str) -> None:
    """Raise AtomsError where an index is not one of the atoms, or is there twice."""
    for index in indices:
        if not 0 <= index < len(atoms):
            raise AtomsError(f"there is no atom {index}", where=where, todo=f"indices go from 0 to {len(atoms) - 1}")
    if len(set(indices)) < len(indices):
        raise AtomsError("an atom is named twice", where=where)
