"""Numbers and formulas by phase: functions that are constant in each cell, so that one form serves all realisations."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from ..interface import EngineImport, Indices, OptionError
from .msh import Read
from .versions import INSTALL

with EngineImport("dolfinx", install=INSTALL) as engine:
    import ufl
    from dolfinx import fem


class Phases:
    """The phase of each of a mesh's bodies, and what depends on it."""

    def __init__(self, read: Read) -> None:
        assert read.bodies is not None and read.phases is not None, "the mesh has phases"
        self.kinds, self.numbers, self._bodies = read.kinds, read.phases, read.bodies
        self._space = fem.functionspace(read.mesh, ("DG", 0))
        self._tables: list[tuple[Any, list[float]]] = []

    def set(self, numbers: Indices) -> None:
        """Give the bodies other phases (n,): all that has been made by `formula` follows."""
        if numbers is self.numbers:
            return
        self.numbers = numbers
        for function, table in self._tables:
            self._fill(function, table)

    def formula(self, texts: list[str | float], read: Callable[[str | float], Any]) -> Any:
        """Return what has a value, or a formula that ``read`` turns into UFL, in each phase.

        Raises:
            OptionError: another number of them than of phases.
        """
        if len(texts) != self.kinds:
            raise OptionError(
                f"{texts} has {len(texts)} values, and the mesh {self.kinds} phases", todo="give one for each, from 0"
            )
        if not any(isinstance(each, str) for each in texts):
            return self._function([float(each) for each in texts])
        phase = self._function([float(each) for each in range(self.kinds)])
        found = read(texts[-1])
        for number in range(self.kinds - 2, -1, -1):
            found = ufl.conditional(ufl.lt(phase, number + 0.5), read(texts[number]), found)
        return found

    def indicators(self) -> list[Any]:
        """Return, for each phase, the function that is 1 in it and 0 elsewhere."""
        return [self._function([float(each == phase) for each in range(self.kinds)]) for phase in range(self.kinds)]

    def _function(self, table: list[float]) -> Any:
        function = fem.Function(self._space)
        self._tables.append((function, table))
        self._fill(function, table)
        return function

    def _fill(self, function: Any, table: list[float]) -> None:
        cells = function.function_space.dofmap.list[: len(self._bodies), 0]
        function.x.array[cells] = np.array(table)[self.numbers[self._bodies]]
