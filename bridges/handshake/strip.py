"""A strip of a joint in one dimension: lattice planes with springs between neighbours, in a line of linear elements."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from ase import Atoms
from scipy.sparse import csr_array

from scalespan.adapters.interface import (
    Array,
    ExternalCharges,
    FieldAdapter,
    Indices,
    Mesh,
    NotOffered,
    ParticleAdapter,
    Port,
    Quantity,
    Results,
    Solid,
    State,
)

_BEYOND = 1.8  # how far the line goes, of the atoms: waves do not come back from its end while one is measured


@dataclass(frozen=True)
class Strip:
    """A chain of planes in a line of elements; of unit cross section."""

    plane: float  # b, Å: the distance of planes
    element: int  # n: planes in an element
    density: float  # amu/Å^d
    modulus: float  # along x, eV/Å^d

    @property
    def mass(self) -> float:
        """Of a plane, amu/Å^(d−1)."""
        return self.density * self.plane

    @property
    def spring(self) -> float:
        """Between two planes, eV/Å^(d+1)."""
        return self.modulus / self.plane

    @property
    def speed(self) -> float:
        """Of long waves, Å per ASE's time."""
        return float(np.sqrt(self.modulus / self.density))

    @property
    def cut_off(self) -> float:
        """The wave number (1/Å) above which the elements carry nothing."""
        return 2.0 / self.plane * float(np.arcsin(1.0 / self.element))

    def closed_form(self, wave: Array) -> Array:
        """Return the share R² (k,) of the energy that comes back from a sharp joint, at wave numbers (k,) in 1/Å."""
        half = 0.5 * wave * self.plane
        inside = 1.0 - self.element**2 * np.sin(half) ** 2
        root = np.sqrt(np.maximum(inside, 0.0))
        passes = inside > 0.0
        return np.where(passes, (np.cos(half) - root) / np.where(passes, np.cos(half) + root, 1.0), 1.0) ** 2


class Planes(ParticleAdapter):
    """The engine of a strip: E = ½ k Σ (x_{i+1} − x_i − b)², of any number of planes in any order that stays."""

    name = "planes"

    def __init__(self, strip: Strip) -> None:
        self._strip = strip
        self._order: Indices | None = None

    def _compute(self, atoms: Atoms, wanted: frozenset[Quantity], charges: ExternalCharges | None) -> Results:
        if self._order is None:
            self._order = np.argsort(atoms.positions[:, 0])
        stretch = np.diff(atoms.positions[self._order, 0]) - self._strip.plane
        forces = np.zeros((len(atoms), 3))
        forces[self._order, 0] = np.diff(np.concatenate([[0.0], self._strip.spring * stretch, [0.0]]))
        return Results(energy=0.5 * self._strip.spring * float(stretch @ stretch), forces=forces)


class LineSolid(Solid):
    """Linear elements of one size from left of the atoms to far right of them; the ends are held."""

    def __init__(self, strip: Strip, reach: int) -> None:
        n, size = strip.element, strip.element * strip.plane
        left, right = int(np.ceil(reach / n)) + 3, int(np.ceil(_BEYOND * reach / n)) + 3
        self._strip, self._size = strip, size
        self._nodes = size * np.arange(-left, right + 1, dtype=float)[:, None]

    @property
    def nodes(self) -> Array:
        """On a line."""
        return self._nodes

    @property
    def cells(self) -> Indices:
        """Neighbours."""
        first = np.arange(len(self._nodes) - 1)
        return np.stack([first, first + 1], axis=1)

    @property
    def masses(self) -> Array:
        """Of each element, half at either end."""
        found = np.full(len(self._nodes), self._strip.density * self._size)
        found[[0, -1]] *= 0.5
        return found

    @property
    def held(self) -> Array:
        """The ends."""
        found = np.zeros(len(self._nodes), dtype=bool)
        found[[0, -1]] = True
        return found

    @property
    def held_displacement(self) -> Array:
        """None."""
        return np.zeros_like(self._nodes)

    def elastic(self, displacement: Array) -> tuple[float, Array]:
        """Return ½ (C/h) Σ (u_{I+1} − u_I)², and its forces."""
        stiff, stretch = self._strip.modulus / self._size, np.diff(displacement[:, 0])
        forces = stiff * np.diff(np.concatenate([[0.0], stretch, [0.0]]))
        return 0.5 * stiff * float(stretch @ stretch), forces[:, None]

    def stiffness(self, displacement: Array) -> csr_array:
        """Return C ∫∇N·∇N."""
        return csr_array(self._strip.modulus * self.laplacian())

    def lattice(self) -> Atoms:
        """Return a cell with one plane."""
        cell = [self._strip.plane, 0.0, 0.0]
        return Atoms("X", cell=cell, pbc=[True, False, False], masses=[self._strip.mass])


class Line(FieldAdapter):
    """The continuum of a strip: it is asked as a solid only, and has neither ports nor a motion of its own."""

    name, dimension, length_unit, time_unit, longest_step = "line", 1, "angstrom", "fs", 0.0

    def __init__(self, strip: Strip, reach: int) -> None:
        self._solid = LineSolid(strip, reach)

    def solid(self) -> Solid:
        """Return the line."""
        return self._solid

    @property
    def inputs(self) -> Mapping[str, Port]:
        """None."""
        return {}

    @property
    def outputs(self) -> Mapping[str, Port]:
        """None."""
        return {}

    @property
    def fields(self) -> Mapping[str, int]:
        """None."""
        return {}

    def points(self, place: str) -> Mesh:
        """Raise: there are no places."""
        raise NotOffered(f"a strip has no place '{place}'")

    def _set_input(self, name: str, values: Array) -> None:
        raise NotOffered(f"a strip takes no '{name}'")

    def _output(self, name: str) -> Array:
        raise NotOffered(f"a strip gives no '{name}'")

    def advance(self, dt: float) -> None:
        """Raise: the handshake moves its nodes."""
        raise NotOffered("a strip has no motion of its own")

    def save(self) -> State:
        """Return nothing: there is no motion."""
        return {}

    def restore(self, state: State) -> None:
        """Return to nothing."""
