"""What a field adapter is: an engine of continua that a partner can touch at points.

A place is a named part of the continuum (a boundary, the volume) with points. A port is a
quantity at a place: the adapter takes some and gives others. Beside the ports, fields can be
evaluated at any points, and point loads put there: the one is the adjoint of the other, so
that the work is the same on both sides, ⟨Πu, f⟩ = ⟨u, Πᵀf⟩.

Numbers are in a consistent system of units that the case states, such as m, s and kg.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import final

import numpy as np

from .adapter import Adapter
from .cells import Microstructure
from .data import Array, Indices, Table
from .errors import CaseError, EngineFailed, NotOffered, nearest
from .solids import Solid


def _no_cells() -> Indices:
    return np.zeros((0, 0), dtype=np.int64)


@dataclass(frozen=True)
class Mesh:
    """This rank's points of a mesh, and their connectivity where it has any."""

    points: Array  # (n, dimension), in the coupling's unit of length
    edges: Indices = field(default_factory=_no_cells)  # (k, 2) indices of points
    triangles: Indices = field(default_factory=_no_cells)  # (k, 3)
    tetrahedra: Indices = field(default_factory=_no_cells)  # (k, 4)


@dataclass(frozen=True)
class Port:
    """A quantity at a place."""

    place: str  # whose points carry the values
    components: int  # 1, or the dimension
    at: float = 1.0  # of an input: when in the step it wants its values, from 0 (beginning) to 1 (end)
    conservative: bool = False  # the values add up to a total, such as forces and charges; not so a density


class FieldAdapter(Adapter):
    """An engine of continua: places with points, ports, and a motion in time.

    On several ranks, every method is called by all of them, each with its own points and values.
    Times (`longest_step`, ``dt``) are in `time_unit`.
    """

    @property
    @abstractmethod
    def dimension(self) -> int:
        """The dimension of space: 2 or 3."""

    @property
    @abstractmethod
    def length_unit(self) -> str:
        """The unit of the points, in pint's spelling."""

    @property
    @abstractmethod
    def time_unit(self) -> str:
        """The unit of the times, in pint's spelling."""

    @property
    @abstractmethod
    def inputs(self) -> Mapping[str, Port]:
        """What `set_input` takes, by name: ``"interface.temperature"``."""

    @property
    @abstractmethod
    def outputs(self) -> Mapping[str, Port]:
        """What `output` gives, by name."""

    @property
    @abstractmethod
    def fields(self) -> Mapping[str, int]:
        """What `evaluate` gives, and how many components each has."""

    @abstractmethod
    def points(self, place: str) -> Mesh:
        """Return this rank's points of a place; they do not move."""

    @final
    def set_input(self, name: str, values: Array) -> None:
        """Set what the coming step works with; it stays until it is set again.

        What crosses a boundary (a flux, a traction) counts as positive when it enters.

        Args:
            name: one of `inputs`.
            values: (n, components) at the place's points, for the time that the port says.

        Raises:
            NotOffered: an unknown name.
            CaseError: another shape, or a value that is not finite.
        """
        _known(name, self.inputs, "input")
        port = self.inputs[name]
        shape = (len(self.points(port.place).points), port.components)
        self._set_input(name, _numbers(values, shape, f"the input '{name}'"))

    @final
    def output(self, name: str) -> Array:
        """Return ``values`` (n, components) at the place's points and at the time reached.

        What crosses a boundary counts as positive when it leaves.

        Raises:
            NotOffered: an unknown name.
            EngineFailed: the engine gave a value that is not finite.
        """
        _known(name, self.outputs, "output")
        values = self._output(name)
        if not np.isfinite(values).all():
            raise EngineFailed(f"the output '{name}' is not finite", where=self.name)
        return values

    @final
    def evaluate(self, name: str, points: Array) -> Array:
        """Return a field (m, components) at points (m, dimension) anywhere inside, each rank at its own.

        Raises:
            NotOffered: an unknown name.
            CaseError: another shape, or a point outside.
        """
        _known(name, self.fields, "field")
        return self._evaluate(name, _numbers(points, (len(points), self.dimension), "the points"))

    @final
    def load(self, points: Array, values: Array) -> None:
        """Put loads (m, components) at points (m, dimension) in place of those before: the adjoint of `evaluate`.

        A load is conjugate to the unknown: forces for displacements, charges for a potential.

        Raises:
            NotOffered: the engine takes no point loads.
            CaseError: another shape, or a point outside.
        """
        places = _numbers(points, (len(points), self.dimension), "the points")
        self._load(places, _numbers(values, (len(points), np.shape(values)[-1]), "the loads"))

    def begin(self) -> None:
        """Hear that the inputs have their values of the very beginning, once, before those of the first step."""
        return

    @abstractmethod
    def _set_input(self, name: str, values: Array) -> None:
        """Set; name and shape have been checked."""

    @abstractmethod
    def _output(self, name: str) -> Array:
        """Give; the name has been checked, the answer will be."""

    def _evaluate(self, name: str, points: Array) -> Array:
        raise NotOffered(f"{self.name} evaluates no field at points")

    def _load(self, points: Array, values: Array) -> None:
        raise NotOffered(f"{self.name} takes no point loads")

    def solid(self) -> Solid:
        """Return this continuum as an energy of its nodes, for a handshake with atoms.

        Raises:
            NotOffered: it is no elastic solid of P1 simplices on one rank.
        """
        raise NotOffered(f"{self.name} is no elastic solid", todo="use P1 elements on simplices, on one rank")

    def microstructure(self) -> Microstructure:
        """Return this continuum as a cell, for homogenisation.

        Raises:
            NotOffered: it has rates in it, or is on several ranks.
        """
        raise NotOffered(f"{self.name} is no cell of a microstructure", todo="use a problem at rest, on one rank")

    def microstructure_of(self, low: Array, high: Array) -> Microstructure:
        """Return the cell of another box of space, by the same formulas of the place, with elements of the same size.

        Args:
            low, high: (dimension,) its corners, a whole number of elements apart.

        Raises:
            NotOffered: the mesh is no box, or what it is made of cannot be had elsewhere.
            CaseError: no whole number of elements.
        """
        raise NotOffered(
            f"{self.name} gives no microstructure of other boxes", todo='use "dolfinx" with a mesh of a box'
        )

    def realisation(self, size: int, seed: int) -> Microstructure:
        """Return a cell of a random medium: this continuum's phases, laid out anew.

        Args:
            size: of the cell along each axis, in lengths of the medium: squares, voxels, distances of inclusions.
            seed: the same gives the same cell.

        Raises:
            NotOffered: the continuum is no random medium.
        """
        raise NotOffered(f"{self.name} gives no realisations of a random medium", todo='use "dolfinx"')

    def observe(self) -> Mapping[str, float]:
        """Return numbers to keep, with units in their names, the same on every rank: ``{"error/1": 3e-9}``."""
        return {}

    def frame(self, folder: Path, time: float) -> None:
        """Add the time reached to a field file in ``folder``."""
        return

    def audit(self) -> list[Table]:
        """Return what a person should see before running; raise what makes running wrong."""
        return []


def _known(name: str, known: Mapping[str, object], kind: str) -> None:
    if name not in known:
        raise NotOffered(f"there is no {kind} '{name}'", todo=nearest(name, known) if known else "there are none")


def _numbers(values: Array, shape: tuple[int, int], what: str) -> Array:
    given = np.asarray(values, dtype=np.float64)
    if given.shape != shape:
        raise CaseError(f"{what}: the shape is {given.shape}, and must be {shape}")
    if not np.isfinite(given).all():
        raise CaseError(f"{what}: a value is not finite")
    return given
