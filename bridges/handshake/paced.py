"""Three clocks: the atoms' step, the continuum's, and an engine's own interval, a whole multiple of both.

An interval is gone through twice, see `Paced`: the state at its beginning is kept, thermostat's random numbers
included.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from ase import Atoms

from scalespan.adapters.interface import Motion, Paced, State, under

from .clocks import check_interval
from .motion import TwoClocks

if TYPE_CHECKING:
    from .handshake import Handshake


class ThreeClocks(TwoClocks):
    """Moves the atoms and nodes of a handshake whose engine has a clock of its own.

    Raises:
        CaseError: an interval that is no whole multiple of the continuum's step.
    """

    def __init__(self, atoms: Atoms, motion: Motion, handshake: Handshake, paced: Paced) -> None:
        self._paced, self._clusters = paced, handshake.clusters
        with self._asking():
            super().__init__(atoms, motion, handshake)
        check_interval(paced, self._every)
        self._once, self._move = self._move, self._paced_move

    @property
    def given(self) -> dict[str, float]:
        """The bath's heat, and the work of forces that are the gradient of no energy."""
        return {**super().given, self._paced.name: self._paced.work}

    def _paced_move(self) -> None:
        with self._asking():
            if self._paced.at_beginning:
                self._predict()
            self._once()

    def _predict(self) -> None:
        begun = super().save()
        self._paced.predict()
        for _ in range(self._paced.steps // self._every):
            self._once()
        self._paced.correct()
        super().restore(begun)

    @contextmanager
    def _asking(self) -> Iterator[None]:
        """Let the engine be asked as a motion asks it, here and nowhere else."""
        with self._clusters.asking(self._paced.adapter):
            yield

    def save(self) -> State:
        """Return the motion's state, and the engine's window."""
        return super().save() | {f"paced/{key}": value for key, value in self._paced.save().items()}

    def restore(self, state: State) -> None:
        """Return to a state that `save` gave."""
        super().restore(state)
        self._paced.restore(under("paced", state))
