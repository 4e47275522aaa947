"""A particle adapter that moves alone: the participant of a case with one process and no partner."""

from __future__ import annotations

from collections.abc import Callable
from math import inf

from scalespan.adapters.interface import Array, ParticleAdapter, State
from scalespan.bridges.interface import Bridge, Exchange, Field, Read


class Solo(Bridge):
    """Moves ``adapter``, which has been started, and tells ``accept`` of each window's end.

    Its longest step is endless: an adapter divides what it is given into its own timesteps, so
    a whole window is one call, and an engine with a fast inner loop stays in it.
    """

    def __init__(self, adapter: ParticleAdapter, accept: Callable[[float], None]) -> None:
        self._adapter, self._accept = adapter, accept

    @property
    def exchange(self) -> Exchange:
        """Nothing: it has no partner."""
        return Exchange(reads=(), writes=())

    @property
    def longest_step(self) -> float:
        """No limit of its own."""
        return inf

    def receive(self, read: Read) -> None:
        """Nothing comes: it has no partner."""

    def write(self, field: Field) -> Array:
        """Never called: there is no field to write."""
        raise AssertionError(f"Solo has no field {field.name}")

    def advance(self, dt: float) -> None:
        """Move the atoms by ``dt`` (ASE's time)."""
        self._adapter.advance(dt)

    def save(self) -> State:
        """Return everything that a later step depends on."""
        return self._adapter.save()

    def restore(self, state: State) -> None:
        """Return to a saved state."""
        self._adapter.restore(state)

    def accept(self, time: float) -> None:
        """Tell the listener that ``time`` (ASE's) is final."""
        self._accept(time)

    def close(self) -> None:
        """Give back what the adapter holds."""
        self._adapter.close()
