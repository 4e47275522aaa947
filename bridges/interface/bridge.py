"""A participant: adapters on one side, a coupling on the other, and the names of what they exchange.

A bridge that joins scales inside one process is itself an adapter (an embedding, for one) and
lives by `scalespan.adapters.interface`. What is here is for the line between processes.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from scalespan.adapters.interface import Adapter, Array, CouplingError, Mesh, Table


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
    meshes: Mapping[str, Mesh] = field(default_factory=dict)  # the meshes that it provides, by name
    # Meshes of a partner that it uses directly, at their own points or at moving ones: the box (2, dimension), low and
    # high, outside which it needs nothing.
    regions: Mapping[str, Array] = field(default_factory=dict)
    # Field name -> the gradient (n, components, dimension) of what `Bridge.write` gives now, for mappings that use it.
    gradients: Mapping[str, Callable[[], Array]] = field(default_factory=dict)


class Read(Protocol):
    """Values that partners have sent, during a step."""

    def __call__(self, field: Field, at: float, points: Array | None = None) -> Array:
        """Return ``values`` (n, components) at the time ``at`` from the step's beginning.

        Args:
            field: one of the exchange's ``reads``.
            at: from 0 to the end of the window.
            points: (n, dimension), for a field on a mesh of ``regions`` and for no other; there, None means the mesh's
                own points.
        """


class Bridge(Adapter):
    """What the participant loop drives: it moves in time, can go back, and has fields.

    A subclass is named by ``name``, takes its ``Options`` first and its ``parts`` by name, as every
    adapter does. Its times (`longest_step`, ``dt``) are in ``time_unit``, the unit of the coupling's XML.
    """

    time_unit: str = "fs"
    adjoint: bool = False  # energy is kept only if what it writes goes by the transpose of the way by which it reads

    @property
    @abstractmethod
    def exchange(self) -> Exchange:
        """The fields and points, known before the first step."""

    @abstractmethod
    def receive(self, read: Read) -> None:
        """Take what the coming step may read with: good until `advance` returns."""

    @abstractmethod
    def write(self, field: Field) -> Array:
        """Return ``values`` (n, components) for a partner, at the time reached."""

    def meet(self, mesh: str, points: Array) -> None:
        """Hear where a partner's points (n, dimension) lie, of each mesh of ``regions``, once before the first step."""
        return

    def where(self, field: Field) -> Array | None:
        """Return the points (n, dimension) of `write`'s values where they move; None for the mesh's own points."""
        return None

    def remeshed(self) -> Mapping[str, Mesh]:
        """Return the meshes of the exchange with other points from now on: `write` gives values there, reads follow.

        Asked after `advance`, from the second window on, in a window's first pass and where one step is the whole
        window: preCICE takes new points nowhere else. Passes that follow keep them, so `restore` must too, and have
        a partner's values there at the window's end only.
        """
        return {}

    def accept(self, time: float) -> None:
        """Hear that the time reached is final: take averages and counts now, not before."""
        return

    def observe(self) -> Mapping[str, float]:
        """Return numbers to keep of each window's end, with units in their names: ``{"total/eV": -3.2}``."""
        return {}

    def frame(self, folder: Path, time: float) -> None:
        """Add the time reached to the trajectory or field file in ``folder``, in a format that people's tools read."""
        return

    def audit(self) -> list[Table]:
        """Return what a person should see before running; raise what makes running wrong."""
        return []


class Coupling(Protocol):
    """What ties a participant to its partners: preCICE, the embedded default, nothing, a recording."""

    def start(self, exchange: Exchange, initial: Mapping[Field, Array]) -> None:
        """Meet the partners; ``initial`` is what the participant would write before its first step."""

    def points(self, mesh: str) -> Array:
        """Return a partner's points (n, dimension) inside the region that `start` was given for ``mesh``."""

    @property
    def running(self) -> bool:
        """Whether there is another window."""

    @property
    def must_save(self) -> bool:
        """Whether this window may have to be done again."""

    @property
    def longest_step(self) -> float:
        """The time left in this window."""

    def read(self, field: Field, at: float, points: Array | None = None) -> Array:
        """Return a partner's values at ``at`` from now; with ``points``, at those."""

    def write(self, field: Field, values: Array, points: Array | None = None) -> None:
        """Send values; with ``points``, from those."""

    def section(self, name: str) -> AbstractContextManager[None]:
        """Return a context whose time a profile shows under ``name``; it must end before the next `advance`."""

    def remesh(self, meshes: Mapping[str, Mesh]) -> None:
        """Give meshes of the exchange other points: after a window's only step, before its writes."""

    def advance(self, dt: float) -> None:
        """Say that a step of ``dt`` is done."""

    @property
    def must_restore(self) -> bool:
        """Whether the window is to be done again from its start."""

    def finish(self) -> None:
        """Part from the partners."""


class Unchanging:
    """What a coupling has in common with others whose meshes stay, and that keep no profile."""

    def section(self, name: str) -> AbstractContextManager[None]:
        """Return a context that does nothing."""
        return nullcontext()

    def remesh(self, meshes: Mapping[str, Mesh]) -> None:
        """Raise: only preCICE does that."""
        raise CouplingError(
            f"remeshing needs preCICE: '{min(meshes)}' has other points", todo="install pyprecice, or keep the mesh"
        )
