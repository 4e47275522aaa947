"""A participant on several ranks: the first talks to the partner, the others give and take their share."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from scalespan.adapters.interface import Array, ScalespanError
from scalespan.bridges.interface import Exchange, Field, Mesh, Unchanging

from ..precice_config import Config
from .coupling import Serial


class Communicator(Protocol):
    """The part of mpi4py's communicator that is used."""

    rank: int
    size: int

    def gather(self, item: Any) -> list[Any] | None:
        """Return every rank's item on rank 0, None elsewhere."""

    def scatter(self, items: list[Any] | None) -> Any:
        """Return this rank's of rank 0's items."""

    def bcast(self, item: Any) -> Any:
        """Return rank 0's item."""


class Parallel(Unchanging):
    """One rank of a participant; the arguments are those of `Serial`, and the ranks."""

    def __init__(self, config: Config, participant: str, folder: Path, communicator: Communicator) -> None:
        self._ranks = communicator
        self._serial = Serial(config, participant, folder)  # used on rank 0 only
        self._counts: dict[str, list[int]] = {}  # points of each mesh on each rank, on rank 0
        self._inside: dict[str, list[Array]] = {}  # which points of a partner's mesh each rank sees, on rank 0
        self._state: dict[str, Any] = {}

    def start(self, exchange: Exchange, initial: Mapping[Field, Array]) -> None:
        """Put the ranks' meshes together and meet the partner."""
        meshes = self._ranks.gather(dict(exchange.meshes))
        regions = self._ranks.gather(dict(exchange.regions))
        values = {field: self._joined(array) for field, array in initial.items()}

        def begin() -> None:
            assert meshes is not None and regions is not None
            whole = {name: _join([each[name] for each in meshes]) for name in exchange.meshes}
            self._counts = {name: [len(each[name].points) for each in meshes] for name in whole}
            boxes = {name: [each[name] for each in regions] for name in exchange.regions}
            around = {name: np.array([np.min(b, axis=0)[0], np.max(b, axis=0)[1]]) for name, b in boxes.items()}
            self._serial.start(replace(exchange, meshes=whole, regions=around), values)
            for name, box in boxes.items():
                points = self._serial.points(name)
                inside = [np.all((points >= low) & (points <= high), axis=1) for low, high in box]
                self._inside[name] = [np.flatnonzero(each) for each in inside]

        self._once(begin)

    def points(self, mesh: str) -> Array:
        """Return the points (n, dimension) of a partner's mesh inside this rank's region."""
        shares = self._once(lambda: [self._serial.points(mesh)[own] for own in self._inside[mesh]], share=True)
        return np.asarray(shares)

    @property
    def running(self) -> bool:
        """Whether there is another window."""
        return bool(self._state["running"])

    @property
    def must_save(self) -> bool:
        """Whether this window may have to be done again."""
        return bool(self._state["must_save"])

    @property
    def must_restore(self) -> bool:
        """Whether the window is to be done again from its start."""
        return bool(self._state["must_restore"])

    @property
    def longest_step(self) -> float:
        """The time left in this window."""
        return float(self._state["longest_step"])

    @property
    def residual(self) -> float | None:
        """What the measures say of the last iteration, the largest of them; None where they say nothing."""
        residual: float | None = self._state["residual"]
        return residual

    def read(self, field: Field, at: float, points: Array | None = None) -> Array:
        """Return a partner's values (n, components) for this rank's points; every rank must call it."""
        moving = None if points is None else self._ranks.gather(points)

        def shares() -> list[Array]:
            if moving is not None:
                return [self._serial.read(field, at, each) for each in moving]
            values = self._serial.read(field, at)
            if field.mesh in self._inside:
                return [values[own] for own in self._inside[field.mesh]]
            return np.split(values, np.cumsum(self._counts[field.mesh])[:-1])

        return np.asarray(self._once(shares, share=True))

    def write(self, field: Field, values: Array, points: Array | None = None) -> None:
        """Send this rank's values (n, components); every rank must call it. Where ranks share a point, they add up."""
        parts, moving = self._ranks.gather(values), None if points is None else self._joined(points)

        def send() -> None:
            assert parts is not None
            if field.mesh in self._inside and points is None:
                whole = np.zeros((len(self._serial.points(field.mesh)), field.components))
                for own, part in zip(self._inside[field.mesh], parts, strict=True):
                    whole[own] += np.reshape(part, (len(own), field.components))
                self._serial.write(field, whole)
            else:
                self._serial.write(field, np.concatenate(parts), moving)

        self._once(send)

    def advance(self, dt: float) -> None:
        """Say that a step of ``dt`` is done, the same on every rank."""
        self._once(lambda: self._serial.advance(dt))

    def finish(self) -> None:
        """Part from the partner."""
        self._once(self._serial.finish)

    def _joined(self, array: Array) -> Array:
        """Return the ranks' arrays one below the other, on rank 0; elsewhere, nothing useful."""
        parts = self._ranks.gather(array)
        return array if parts is None else np.concatenate(parts)

    def _once(self, action: Callable[[], Any], *, share: bool = False) -> Any:
        """Do it on rank 0 and tell all ranks the state, or raise its error on all; ``share`` scatters the result."""
        result, error = None, None
        if self._ranks.rank == 0:
            try:
                result = action()
            except ScalespanError as raised:
                error = raised
            names = ("running", "must_save", "must_restore", "longest_step", "residual")
            self._state = {name: getattr(self._serial, name) for name in names}
        self._state, error = self._ranks.bcast((self._state, error))
        if error is not None:
            raise error
        return self._ranks.scatter(result) if share else None


def _join(meshes: list[Mesh]) -> Mesh:
    """Return one mesh of the ranks' meshes, cells renumbered."""
    begins = np.cumsum([0, *(len(mesh.points) for mesh in meshes)])[:-1]

    def cells(name: str) -> Array:
        parts = [getattr(mesh, name) + begin for mesh, begin in zip(meshes, begins, strict=True)]
        return np.concatenate([part for part in parts if len(part)] or parts[:1])

    return Mesh(
        np.concatenate([mesh.points for mesh in meshes]), cells("edges"), cells("triangles"), cells("tetrahedra")
    )
