"""A participant: adapters on one side, a coupling on the other, and the names of what they exchange.

A bridge that joins scales inside one process is itself an adapter (an embedding, for one) and
lives by `scalespan.adapters.interface`. What is here is for the line between processes.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from scalespan.adapters.interface import Array, State


@dataclass(frozen=True)
class Field:
    """A named array on coupling points, with a unit."""

    name: str  # as in precice-config.xml: "Force"
    mesh: str  # the mesh that carries it
    unit: str  # pint's spelling: "eV/angstrom"
    components: int  # 1, or the mesh's dimension


@dataclass(frozen=True)
class Exchange:
    """What one participant reads and writes, and where its points lie."""

    reads: Sequence[Field]
    writes: Sequence[Field]
    points: Mapping[str, Array]  # mesh name -> (n, dimension) coordinates


class Bridge(ABC):
    """What the participant loop drives: it moves in time, can go back, and has fields."""

    @property
    @abstractmethod
    def exchange(self) -> Exchange:
        """The fields and points, known before the first step."""

    @property
    @abstractmethod
    def longest_step(self) -> float:
        """The longest time that `advance` takes as one step."""

    @abstractmethod
    def read(self, field: Field, values: Array) -> None:
        """Take ``values`` (n, components) that a partner has sent, for the coming step."""

    @abstractmethod
    def write(self, field: Field) -> Array:
        """Return ``values`` (n, components) for a partner, at the time reached."""

    @abstractmethod
    def advance(self, dt: float) -> None:
        """Move on by ``dt``."""

    @abstractmethod
    def save(self) -> State:
        """Return everything that a later step depends on."""

    @abstractmethod
    def restore(self, state: State) -> None:
        """Return to a saved state."""

    def accept(self, time: float) -> None:
        """Hear that the time reached is final: write results, not before."""
        return

    def close(self) -> None:
        """Give back what the adapters hold."""
        return


class Coupling(Protocol):
    """What ties a participant to its partners: preCICE, the embedded default, nothing, a recording."""

    def start(self, exchange: Exchange, initial: Mapping[Field, Array]) -> None:
        """Meet the partners."""

    @property
    def running(self) -> bool:
        """Whether there is another window."""

    @property
    def must_save(self) -> bool:
        """Whether this window may have to be done again."""

    @property
    def longest_step(self) -> float:
        """The time left in this window."""

    def read(self, field: Field, dt: float) -> Array:
        """Return a partner's values at ``dt`` from now."""

    def write(self, field: Field, values: Array) -> None:
        """Send values."""

    def advance(self, dt: float) -> None:
        """Say that a step of ``dt`` is done."""

    @property
    def must_restore(self) -> bool:
        """Whether the window is to be done again from its start."""

    def finish(self) -> None:
        """Part from the partners."""
