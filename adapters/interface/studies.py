"""What a study is: a table of numbers, each row computed by itself, and what follows from the whole.

A ladder of cell sizes, a comparison of methods, a sweep over a parameter: what is no motion in time. Rows are asked
one by one, from 0, each once; one that has been written is not asked again after a restart.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import inf
from pathlib import Path
from typing import ClassVar

from .adapter import Adapter
from .data import Array, State, Table


@dataclass(frozen=True)
class Conclusion:
    """What follows from a study's table."""

    values: Mapping[str, tuple[float, str]]  # name: the number and its unit in pint's spelling, "1" for a pure number
    tables: Sequence[Table] = ()  # for the report, with their charts


class Study(Adapter):
    """A calculation without a time of its own. A subclass gives `columns`, `rows`, `row` and `conclude`."""

    values: ClassVar[tuple[str, ...]]  # the names of `Conclusion.values`; {} stands for any text, {n} for a number

    @property
    @abstractmethod
    def columns(self) -> Sequence[str]:
        """The columns' names, with units where they have some: ``"size/1"``, ``"conductivity/(W/m/kelvin)"``."""

    @property
    @abstractmethod
    def rows(self) -> int:
        """How many rows there are."""

    @abstractmethod
    def row(self, number: int) -> Sequence[float]:
        """Compute one row, (columns,); the same number gives the same row, whatever was asked before.

        Raises:
            ScalespanError: it cannot be computed.
        """

    @abstractmethod
    def conclude(self, table: Mapping[str, Array]) -> Conclusion:
        """Return what follows from all rows; ``table`` holds each column (rows,) by its name."""

    def title(self, number: int) -> str:
        """Return what a person waiting should read about a row: ``"8 × 8, kinematic, realisation 3"``."""
        return f"row {number + 1}"

    def frame(self, folder: Path) -> None:
        """Write fields that people's tools read into ``folder``, when all rows are done."""
        return

    def audit(self) -> list[Table]:
        """Return what a person should see before running; raise what makes running wrong."""
        return []

    @property
    def longest_step(self) -> float:
        """Endless: a study has no time."""
        return inf

    def advance(self, dt: float) -> None:
        """Nothing moves."""

    def save(self) -> State:
        """Return nothing: a row depends on its number alone."""
        return {}

    def restore(self, state: State) -> None:
        """Return to where nothing was lost."""
