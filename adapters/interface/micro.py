"""What a micro model is: what a continuum asks at one of its points, numbers in and numbers out, with a history.

The model itself remembers nothing: `step` is a pure function of a state, of what is given, and of a time. So one model
answers for many points, each with a state of its own, which can be copied, sent to another process, and returned to.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from math import inf
from typing import final

import numpy as np

from .adapter import Adapter
from .data import Array, State, Table
from .errors import CaseError, EngineFailed, NotOffered, nearest


@dataclass(frozen=True)
class Datum:
    """What goes in or comes out under one name."""

    components: int  # 1, or as many as a vector of the macro problem has
    unit: str  # pint's spelling: "W/m/kelvin"; "1" for a pure number


class MicroModel(Adapter):
    """A model of what is at one point of a continuum. A subclass gives `takes`, `gives`, `initial` and `_step`."""

    time_unit: str = "s"  # of the steps, in pint's spelling

    @property
    @abstractmethod
    def takes(self) -> Mapping[str, Datum]:
        """What `step` is given, by name."""

    @property
    @abstractmethod
    def gives(self) -> Mapping[str, Datum]:
        """What `step` answers, by name."""

    @abstractmethod
    def initial(self) -> State:
        """Return the state of a point that nothing has happened to; arrays of numbers only."""

    def initial_answer(self) -> Mapping[str, Array] | None:
        """Return what a point that nothing has happened to gives, by name; None where that depends on what is given."""
        return None

    @final
    def step(self, state: State, given: Mapping[str, Array], dt: float) -> tuple[State, dict[str, Array]]:
        """Return the state after ``dt``, and the answer at its end (components,) by name; ``state`` stays as it is.

        Args:
            state: from `initial`, or from a step before.
            given: (components,) by name, at the end of the step.
            dt: in `time_unit`.

        Raises:
            CaseError: a name that is missing, another shape, a value that is not finite, a state that holds no numbers.
            EngineFailed: the model failed, or answered with something else than it says.
        """
        after, answer = self._step(state, _checked(self.name, self.takes, given), dt)
        for key, value in after.items():
            if not (isinstance(value, np.ndarray) and value.dtype.kind in "biufc"):
                kind = type(value).__name__
                raise CaseError(
                    f"the state '{key}' of '{self.name}' is of the type {kind}, and cannot go to another process",
                    todo="keep arrays of numbers in the state, and engines in the model",
                )
        return after, _answered(self.name, self.gives, answer)

    @abstractmethod
    def _step(self, state: State, given: Mapping[str, Array], dt: float) -> tuple[State, Mapping[str, Array]]:
        """Step; what is given has been checked, the answer will be."""

    @property
    def longest_step(self) -> float:
        """Endless, unless a model says otherwise."""
        return inf

    def advance(self, dt: float) -> None:
        """Nothing moves: each point's state is kept by who asks."""

    def save(self) -> State:
        """Return nothing: the model remembers nothing."""
        return {}

    def restore(self, state: State) -> None:
        """Return to where nothing was lost."""

    def audit(self) -> list[Table]:
        """Return what a person should see before running; raise what makes running wrong."""
        return []


def _checked(model: str, wanted: Mapping[str, Datum], given: Mapping[str, Array]) -> dict[str, Array]:
    for name in wanted:
        if name not in given:
            raise NotOffered(f"'{model}' takes '{name}', which is not given", todo=nearest(name, given))
    found = {name: np.atleast_1d(np.asarray(given[name], dtype=np.float64)) for name in wanted}
    for name, values in found.items():
        if values.shape != (wanted[name].components,) or not np.isfinite(values).all():
            count = wanted[name].components
            raise CaseError(f"'{name}' is {values.tolist()}", where=model, todo=f"give {count} finite numbers")
    return found


def _answered(model: str, promised: Mapping[str, Datum], answer: Mapping[str, Array]) -> dict[str, Array]:
    found = {}
    for name, datum in promised.items():
        values = np.atleast_1d(np.asarray(answer[name], dtype=np.float64)) if name in answer else np.zeros(0)
        if values.shape != (datum.components,) or not np.isfinite(values).all():
            what = f"'{name}' of the answer is {values.tolist()}, and must be {datum.components} finite numbers"
            raise EngineFailed(what, where=model, todo="take a shorter step, or look at what was given")
        found[name] = values
    return found
