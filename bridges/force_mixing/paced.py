"""Force mixing in a motion that another adapter makes, such as a handshake's: its windows, by counting questions."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
from ase import Atoms

from scalespan.adapters.interface import (
    Array,
    ExternalCharges,
    Indices,
    OptionError,
    Paced,
    Quantity,
    Results,
    State,
    under,
)

from .course import interval_steps
from .moving import Ask, Moving
from .windows import Window

if TYPE_CHECKING:
    from .force_mixing import ForceMixing


class Counting(Moving):
    """Answers one question after the other, each a timestep further in its window."""

    steps, count, work = 1, 0, 0.0
    _before: tuple[Array, Array] | None = None  # positions and difference at the last question
    _last: Atoms | None = None

    def _compute(self, atoms: Atoms, wanted: frozenset[Quantity], charges: ExternalCharges | None) -> Results:
        if self.window.begin is not None:
            self.count += 1
            self.part = self.count / self.steps
        found = super()._compute(atoms, wanted, charges)
        self._book(atoms)
        if self.window.end is not None and self.count:
            self.window = self.window.after_step(self.steps)
            self.count = self.window.done
        return found

    def _book(self, atoms: Atoms) -> None:
        here, difference = atoms.get_positions(), self.window.at(self.part, len(atoms))
        if self._before is not None:
            self.work += 0.5 * float(((self._before[1] + difference) * (here - self._before[0])).sum())
        self._before, self._last = (here, difference), atoms

    def begin(self) -> tuple[float, tuple[Array, Array] | None]:
        """Begin a first pass; return what `turn` needs."""
        self.count = 0
        return self.work, self._before

    def turn(self, begun: tuple[float, tuple[Array, Array] | None]) -> None:
        """Ask where the first pass has led to, and begin the second one."""
        assert self._last is not None, "a pass has questions"
        self.window = replace(self.window, end=self.question(self._last))
        self.count, (self.work, self._before) = 0, begun


class Intervals(Paced):
    """The windows of a force mixing.

    Raises:
        OptionError: an interval that is no whole multiple of the timestep; a margin: the thermostat is not its own.
    """

    name = "mixing"

    def __init__(self, mixing: ForceMixing, ask: Ask, timestep: float) -> None:
        if mixing.options.thermostat_margin is not None:
            raise OptionError(
                "a force mixing that others move has no thermostat",
                where="force_mixing.thermostat_margin",
                todo="leave it away, and choose the layer of the model's own thermostat",
            )
        self._mixing, self._counting = mixing, Counting(lambda: mixing.matched, ask)
        self._counting.steps = self.steps = interval_steps(mixing.options.interval, timestep)
        self.adapter = self._counting
        self._begun: tuple[float, tuple[Array, Array] | None] = (0.0, None)

    @property
    def work(self) -> float:  # type: ignore[override]
        """Done by the difference on the atoms, eV."""
        return self._counting.work

    @property
    def at_beginning(self) -> bool:
        """Whether the window's end has yet to be asked for."""
        return self._counting.window.end is None

    def predict(self) -> None:
        """Begin the first pass."""
        self._begun = self._counting.begin()

    def correct(self) -> None:
        """Ask the high level, and begin the second pass."""
        self._counting.turn(self._begun)

    def save(self) -> State:
        """Return the window, the work, the last place, and who is in the region."""
        counting = self._counting
        state = {f"window/{key}": value for key, value in counting.window.save().items()}
        state |= {"count": np.array(counting.count), "work": np.array(counting.work)}
        state["members"] = self._mixing.members.copy()
        if counting._before is not None:
            state |= {"place": counting._before[0].copy(), "difference": counting._before[1].copy()}
        return state

    def restore(self, state: State) -> None:
        """Return to a saved state."""
        counting = self._counting
        counting.forget()
        counting.window = Window.saved(under("window", state))
        counting.count, counting.work = int(state["count"]), float(state["work"])
        counting.part = counting.count / self.steps
        members: Indices = state["members"].astype(np.int64)
        self._mixing.remember(members)
        counting._before = (state["place"].copy(), state["difference"].copy()) if "place" in state else None
