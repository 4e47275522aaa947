"""Cells over any box of space, by one problem's formulas, with elements of the size of its mesh."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from ..interface import Array, CaseError, CellAnswer, Microstructure, NotOffered
from .cell import DolfinxCell
from .domain import Domain
from .options import DolfinxOptions
from .problem import Problem

_WHOLE = 1e-6  # of an element


class Boxes:
    """Boxes of the same shape share one mesh, which is moved to where the question is: forms are made once."""

    def __init__(self, options: DolfinxOptions, make: Callable[[Domain], Problem], flux_unit: str) -> None:
        mesh = options.mesh
        if mesh.low is None or mesh.high is None or mesh.cells is None:
            raise NotOffered(
                "only the mesh of a box can be laid over other boxes", todo="give it low, high and cells, and no file"
            )
        self._size = (np.array(mesh.high) - np.array(mesh.low)) / np.array(mesh.cells)
        self._options, self._make, self._unit = options, make, flux_unit
        self._known: dict[tuple[int, ...], tuple[Domain, DolfinxCell]] = {}

    def over(self, low: Array, high: Array) -> Microstructure:
        """Return the cell of a box with these corners (d,).

        Raises:
            CaseError: no whole number of elements.
        """
        elements = (np.asarray(high) - np.asarray(low)) / self._size
        counts = np.rint(elements).astype(int)
        if np.abs(elements - counts).max() > _WHOLE or counts.min() < 1:
            raise CaseError(
                f"a box from {np.asarray(low).tolist()} to {np.asarray(high).tolist()} is no whole number of elements "
                f"of the size {self._size.tolist()}",
                where="dolfinx",
                todo="choose boxes of whole elements, or other cells of the mesh",
            )
        domain, cell = self._shape(tuple(counts.tolist()))
        return _Placed(domain, cell, np.asarray(low, dtype=np.float64))

    def _shape(self, counts: tuple[int, ...]) -> tuple[Domain, DolfinxCell]:
        if counts not in self._known:
            given = {"low": [0.0] * len(counts), "high": (self._size * counts).tolist(), "cells": list(counts)}
            domain = Domain(self._options.mesh.model_copy(update=given), self._options.degree)
            self._known[counts] = domain, DolfinxCell(self._make(domain), domain, self._unit)
        return self._known[counts]


class _Placed(Microstructure):
    """One cell at one place; others share its mesh, so that it is moved here before each answer."""

    def __init__(self, domain: Domain, cell: DolfinxCell, low: Array) -> None:
        self._domain, self._cell, self._low = domain, cell, low
        self._move()
        self._points = cell.points.copy()

    @property
    def points(self) -> Array:
        """At its place."""
        return self._points

    @property
    def slopes(self) -> Array:
        """The same everywhere."""
        return self._cell.slopes

    @property
    def volume(self) -> float:
        """The same everywhere."""
        return self._cell.volume

    @property
    def components(self) -> int:
        """The same everywhere."""
        return self._cell.components

    @property
    def flux_unit(self) -> str:
        """The same everywhere."""
        return self._cell.flux_unit

    @property
    def history(self) -> Array | None:
        """The same everywhere."""
        return self._cell.history

    def answer(self, field: Array, stiffness: bool = False, history: Array | None = None) -> CellAnswer:
        """Return the answer here."""
        self._move()
        return self._cell.answer(field, stiffness, history)

    def _move(self) -> None:
        nodes = self._domain.mesh.geometry.x
        nodes[:, : self._domain.dimension] += self._low - nodes[:, : self._domain.dimension].min(axis=0)
