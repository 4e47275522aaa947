"""An adapter with a clock of its own: part of its forces is asked for once in an interval, and carried between.

Whoever moves the atoms goes through each interval twice: by what is known at its beginning, up to the end, where the
question is asked; then back to the beginning, and again by what is known at both ends.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING

from .data import State

if TYPE_CHECKING:
    from .adapter import ParticleAdapter


class Paced(ABC):
    """The intervals of a motion that someone else makes. `adapter` is asked once in each timestep, in order."""

    name: str  # of what it does, for ledgers: "force mixing"
    adapter: ParticleAdapter
    steps: int  # timesteps in an interval
    work: float  # eV, done by the part that is the gradient of no energy, since the start

    @property
    @abstractmethod
    def at_beginning(self) -> bool:
        """Whether the next timestep begins an interval that has not been predicted."""

    @abstractmethod
    def predict(self) -> None:
        """Let the next ``steps`` questions to `adapter` be those of an interval's first pass."""

    @abstractmethod
    def correct(self) -> None:
        """Ask at the atoms of the last question, and let the next ``steps`` be those of the second pass."""

    @abstractmethod
    def save(self) -> State:
        """Return everything that a later answer depends on."""

    @abstractmethod
    def restore(self, state: State) -> None:
        """Return to a saved state."""
