"""The hand-off record: what is written beside a number that crosses from one scale to another once.

A number without its unit, its error, its origin, its conventions and the range where it holds is not one. A record
is a TOML file that people read; a use outside its box, with another convention or after its inputs changed is refused.

Errors propagate by the first order, cov f = J Σ Jᵀ, and by sampling from the normal distribution; where the two differ,
the function is not linear over the error (JCGM 100:2008, sect. 5.2, doi:10.59161/JCGM100-2008E; JCGM 101:2008,
doi:10.59161/JCGM101-2008).
"""

from __future__ import annotations

import hashlib
import json
import tomllib
from collections.abc import Callable, Mapping
from datetime import date
from pathlib import Path
from typing import Any, Literal, Self

import numpy as np
from pydantic import Field, model_validator

from .data import Array, Table
from .errors import CaseError, OptionError, UnitError, nearest
from .options import Options, held
from .units import convert

_SYMMETRIC = 1e-9  # of the largest variance
_STEP = 1e-2  # standard errors: of the differences that a Jacobian is made of
_EDGE = 1e-9  # of a box's width: rounding

Plane = Literal["solid", "plane_strain", "sheet", "chain"]
Strain = Literal["green_lagrange", "small", "deformation_gradient"]
Stress = Literal["second_piola_kirchhoff", "first_piola_kirchhoff", "cauchy"]


class Amount(Options):
    """A number of a state."""

    value: float = Field(allow_inf_nan=False)  # of the quantity that the table is called after
    unit: str = "1"  # "1": a pure number


class Range(Options):
    """From where to where a number holds."""

    low: float = Field(allow_inf_nan=False)  # from here, itself included
    high: float = Field(allow_inf_nan=False)  # to there, itself included
    unit: str = "1"  # "1": a pure number

    @model_validator(mode="after")
    def _in_order(self) -> Self:
        if self.high < self.low:
            raise ValueError(f"the range ends at {self.high:g}, before it begins at {self.low:g}")
        return self


class Origin(Options):
    """Who computed the numbers, and from what."""

    engine: str  # "openmm"
    version: str  # the engine's
    inputs: dict[str, str] = Field(default_factory=dict)  # file, from the record's folder: its SHA-256


class Conventions(Options):
    """What two people may understand differently."""

    plane: Plane = "solid"  # a solid, a solid in plane strain, a sheet without thickness, a chain
    strain: Strain = "green_lagrange"  # the measure
    stress: Stress = "second_piola_kirchhoff"  # the measure
    sign: Literal["tension_positive", "compression_positive"] = "tension_positive"  # of the stress
    order: Literal["voigt"] = "voigt"  # xx yy zz yz xz xy, shears twice the tensor's
    symmetry: Literal["none", "cubic"] = "none"  # cubic: C11, C12, C44 stand for all
    cutoff: str = ""  # what the engine left out: "2.5 sigma, shifted, no tail"


class Numbers(Options):
    """The numbers and their errors."""

    names: list[str] = Field(min_length=1)  # elastic constants: "C11", "C12", …, all of the upper triangle
    unit: str  # of all of them; "1": pure numbers
    numbers: list[float]  # as many as names
    covariance: list[list[float]] | None = None  # of `numbers`, in the unit squared; none: exact

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        n = len(self.names)
        try:
            convert(1.0, self.unit, self.unit)
        except UnitError as error:
            raise held(error) from error
        if len(self.numbers) != n or len(set(self.names)) != n:
            raise ValueError(f"there are {n} names, {len(set(self.names))} of them different, of {len(self.numbers)}")
        if not np.isfinite(self.numbers).all():
            raise ValueError(f"the number of {self.names[int(np.argmin(np.isfinite(self.numbers)))]} is not finite")
        if self.covariance is not None:
            _check_covariance(self.covariance, n)
        return self


def _check_covariance(rows: list[list[float]], n: int) -> None:
    if len(rows) != n or any(len(row) != n for row in rows):
        raise ValueError(f"the covariance of {n} numbers has {n} rows of {n}")
    found = np.array(rows)
    if not np.isfinite(found).all():
        raise ValueError("the covariance is not finite")
    size = float(np.abs(found).max())
    if np.abs(found - found.T).max() > _SYMMETRIC * size:
        i, j = np.unravel_index(int(np.argmax(np.abs(found - found.T))), found.shape)
        raise ValueError(f"the covariance is not symmetric: {found[i, j]:g} and {found[j, i]:g} at {i + 1}, {j + 1}")
    if (least := float(np.linalg.eigvalsh(found).min())) < -_SYMMETRIC * size:
        raise ValueError(f"the covariance has the eigenvalue {least:.3g}: no numbers vary like that")


class HandOff(Options):
    """A record of numbers that go from one scale to another."""

    what: str  # in words: "elastic constants of argon"
    date: date  # of the computation
    origin: Origin
    value: Numbers
    state: dict[str, Amount] = Field(default_factory=dict)  # where they were found: temperature, pressure
    validity: dict[str, Range] = Field(default_factory=dict)  # where they may be used: strain, temperature
    conventions: Conventions = Conventions()

    @classmethod
    def load(cls, file: Path) -> HandOff:
        """Return the record of a file.

        Raises:
            OptionError: no TOML, a key that is missing, unknown or of the wrong kind.
            CaseError: an input of it that stands beside it has changed since.
        """
        try:
            table = tomllib.loads(file.read_text(encoding="utf-8"))
        except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
            raise OptionError(f"it cannot be read as TOML: {error}", where=str(file)) from error
        found = cls.read(table, where=str(file))
        found.inputs_here(file.parent)
        return found

    def save(self, file: Path) -> None:
        """Write the record as TOML."""
        file.write_text(_toml(self.model_dump(mode="python", exclude_none=True)), encoding="utf-8")

    def inputs_here(self, folder: Path) -> list[str]:
        """Return which inputs stand in a folder, unchanged.

        Raises:
            CaseError: one has changed.
        """
        here = [name for name in self.origin.inputs if (folder / name).is_file()]
        for name in here:
            if sha256(folder / name) != self.origin.inputs[name].removeprefix("sha256:").lower():
                raise CaseError(
                    f"'{name}' is no longer the file that {self.what} came from: its SHA-256 is another",
                    where=str(folder),
                    todo="compute the numbers again, or put the old file back",
                )
        return here

    def require(self, name: str, values: Array | float, unit: str = "1") -> None:
        """Refuse a use outside the box.

        Args:
            name: of the range: "strain". A record without it holds everywhere.
            values: any shape.
            unit: theirs.

        Raises:
            CaseError: one is outside.
        """
        box = self.validity.get(name)
        if box is None or np.size(values) == 0:
            return
        low, high = (convert(end, box.unit, unit) for end in (box.low, box.high))
        slack = _EDGE * max(high - low, abs(high), abs(low))
        least, most = float(np.min(values)), float(np.max(values))
        if least < low - slack or most > high + slack:
            outside = least if least < low - slack else most
            shown = "" if unit == "1" else f" {unit}"
            raise CaseError(
                f"{self.what} hold at a {name} from {low:g} to {high:g}{shown}, and were asked for at {outside:.6g}",
                where="hand-off record",
                todo="stay inside, or compute them where they are needed",
            )

    def agree(self, conventions: Mapping[str, str]) -> None:
        """Refuse a use with another convention.

        Raises:
            OptionError: a convention that nobody knows.
            CaseError: the record has another one.
        """
        mine = self.conventions.model_dump()
        for name, wanted in conventions.items():
            if name not in mine:
                raise OptionError(f"no convention is called '{name}'", todo=nearest(name, mine))
            if mine[name] != wanted:
                raise CaseError(
                    f"{self.what} are recorded with the {name} '{mine[name]}', and are used with '{wanted}'",
                    where="hand-off record",
                    todo="convert them before, and write a record of what you got",
                )

    def table(self) -> Table:
        """Return the record for people."""
        covariance = np.zeros((0, 0)) if self.value.covariance is None else np.array(self.value.covariance)
        errors = np.sqrt(np.diag(covariance)) if covariance.size else [None] * len(self.value.names)
        rows = [
            (name, f"{number:.6g}{'' if error is None else f' ± {error:.2g}'} {self.value.unit}")
            for name, number, error in zip(self.value.names, self.value.numbers, errors, strict=True)
        ]
        rows += [(f"at a {name} of", f"{each.value:g} {each.unit}") for name, each in self.state.items()]
        rows += [(f"{name} from, to", f"{box.low:g}, {box.high:g} {box.unit}") for name, box in self.validity.items()]
        rows += [("from", f"{self.origin.engine} {self.origin.version}, {self.date.isoformat()}")]
        return Table(f"Handed off: {self.what}", ("what", "how much"), tuple(rows))

    def numbers(self, unit: str) -> Array:
        """Return the numbers (n,) in a unit."""
        return convert(1.0, self.value.unit, unit) * np.array(self.value.numbers)

    def covariance(self, unit: str) -> Array:
        """Return the covariance (n, n) in a unit squared; zeros of exact numbers."""
        n, scale = len(self.value.numbers), convert(1.0, self.value.unit, unit)
        return np.zeros((n, n)) if self.value.covariance is None else scale**2 * np.array(self.value.covariance)


def sha256(file: Path) -> str:
    """Return the SHA-256 of a file, in hexadecimal digits."""
    return hashlib.sha256(file.read_bytes()).hexdigest()


def first_order(function: Callable[[Array], Array], at: Array, covariance: Array) -> tuple[Array, Array]:
    """Return f (m,) at the numbers (n,) and its covariance J Σ Jᵀ (m, m), J by central differences."""
    value = np.atleast_1d(function(at))
    values, axes = np.linalg.eigh(covariance)
    ways = (axes * np.sqrt(np.clip(values, 0.0, None))).T  # Σ is the sum of their squares
    steps = [_STEP * way for way in ways]
    slopes = [(np.atleast_1d(function(at + step)) - np.atleast_1d(function(at - step))) / (2 * _STEP) for step in steps]
    found = np.array(slopes).reshape(len(ways), len(value))
    return value, found.T @ found


def sampled(
    function: Callable[[Array], Array], at: Array, covariance: Array, count: int, seed: int
) -> tuple[Array, Array]:
    """Return mean (m,) and covariance (m, m) of f over ``count`` normal samples of the numbers (n,)."""
    draws = np.random.default_rng(seed).multivariate_normal(at, covariance, size=count, method="eigh")
    found = np.array([np.atleast_1d(function(draw)) for draw in draws])
    return found.mean(axis=0), np.atleast_2d(np.cov(found, rowvar=False))


def _toml(table: Mapping[str, Any], place: str = "") -> str:
    """Return a table as TOML: its values, then its tables; an empty one is left out."""
    lines = [f"{_key(key)} = {_text(each)}" for key, each in table.items() if not isinstance(each, Mapping)]
    for key, each in table.items():
        if isinstance(each, Mapping) and each:
            inside = f"{place}{_key(key)}"
            lines += ["", f"[{inside}]", _toml(each, f"{inside}.").rstrip()]
    return "\n".join(lines) + "\n"


def _key(name: str) -> str:
    return name if name.replace("_", "").isalnum() and name.isascii() else json.dumps(name, ensure_ascii=False)


def _text(value: Any) -> str:
    if isinstance(value, date):
        return value.isoformat()
    if isinstance(value, list):
        wide = any(isinstance(each, list) for each in value)
        inside = [_text(each) for each in value]
        return "[\n    " + ",\n    ".join(inside) + ",\n]" if wide else "[" + ", ".join(inside) + "]"
    return json.dumps(value, ensure_ascii=False) if isinstance(value, str) else repr(value)
