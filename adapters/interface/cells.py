"""What a cell of a microstructure is: nodal unknowns and what they pull with, to be put under a mean gradient.

The unknown u has m components: m = d displacements, whose flux q is the first Piola–Kirchhoff stress P, or m = 1, a
temperature, with q = κ∇u. The cell answers at any u; what holds it at its boundary is the homogenisation's to say.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass

import numpy as np
from scipy.sparse import csr_array

from .data import Array
from .solids import Solid, shape_gradients


@dataclass(frozen=True)
class CellAnswer:
    """A cell's answer at one field u, in units of `Microstructure.flux_unit`."""

    pull: Array  # (n, m) ∫ q·∇N_I
    flux: Array  # (m, d) ∫ q, by the cell's own quadrature, and not from `pull`
    work: float  # ∫ q:∇u, likewise
    energy: float | None  # ∫W; None where there is none
    stiffness: csr_array | None = None  # (n m, n m) ∂pull/∂u; None where it was not wanted
    history: Array | None = None  # (h,) what it would be if this field were final; None of a cell without one
    gross: float = 0.0  # ∫ |q| |∇u|: the size of the work before any of it cancels
    dissipation: float = 0.0  # ∫ of what has been lost since the history that was given


class Microstructure(ABC):
    """A mesh of unknowns whose residual and stiffness can be asked for at any field."""

    @property
    @abstractmethod
    def points(self) -> Array:
        """The places (n, d) of the unknowns, in the cell's unit of length."""

    @property
    @abstractmethod
    def slopes(self) -> Array:
        """∫∇N_I (n, d): what makes the integral of a field's gradient from its values."""

    @property
    @abstractmethod
    def volume(self) -> float:
        """∫1, without holes."""

    @property
    @abstractmethod
    def components(self) -> int:
        """How many m the unknown has: 1, or d."""

    @property
    @abstractmethod
    def flux_unit(self) -> str:
        """The unit of the flux density, in pint's spelling: "Pa"."""

    @property
    def linear(self) -> bool:
        """Whether the pull is linear in the field, so that one stiffness says all."""
        return False

    @property
    def history(self) -> Array | None:
        """The history (h,) of a cell that nothing has happened to, such as its plastic strains; None without one."""
        return None

    def moduli(self) -> tuple[Array, Array] | None:
        """Return ∂q/∂∇u (q, m, d, m, d) at the cell's quadrature points and their weights (q,); None: not linear."""
        return None

    @abstractmethod
    def answer(self, field: Array, stiffness: bool = False, history: Array | None = None) -> CellAnswer:
        """Return what the cell answers at a field (n, m), after a history (h,); None: nothing has happened to it.

        The cell itself remembers nothing: one can answer for many points, each with its own history.
        """


class SolidCell(Microstructure):
    """Any `Solid` as a cell: its energy W and stress P, in eV and Å."""

    def __init__(self, solid: Solid) -> None:
        self._solid = solid
        gradients, volumes = shape_gradients(solid.nodes, solid.cells)
        self._volumes = volumes
        self._slopes = np.zeros_like(solid.nodes)
        np.add.at(self._slopes, solid.cells, volumes[:, None, None] * gradients)

    @property
    def points(self) -> Array:
        """The nodes."""
        return self._solid.nodes

    @property
    def slopes(self) -> Array:
        """Of the simplices."""
        return self._slopes

    @property
    def volume(self) -> float:
        """Of the simplices."""
        return float(self._volumes.sum())

    @property
    def components(self) -> int:
        """As many as dimensions."""
        return int(self._solid.nodes.shape[1])

    @property
    def flux_unit(self) -> str:
        """ASE's."""
        return f"eV/angstrom**{self.components}"

    def answer(self, field: Array, stiffness: bool = False, history: Array | None = None) -> CellAnswer:
        """Return the solid's; a solid has no quadrature of its own to show, so that flux and work are the pull's."""
        energy, forces = self._solid.elastic(field)
        matrix = self._solid.stiffness(field) if stiffness else None
        works = -(forces * field).sum(axis=1)
        gross = float(np.abs(works).sum())
        return CellAnswer(-forces, -forces.T @ self.points, float(works.sum()), energy, matrix, gross=gross)
