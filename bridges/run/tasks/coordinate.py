"""What a scan runs along: a distance, an angle, a dihedral, the place of a group, or the strain of all."""

from __future__ import annotations

from abc import abstractmethod
from typing import Annotated, ClassVar, Literal, Self

import numpy as np
from ase import Atoms
from ase.constraints import FixAtoms
from ase.constraints.constraint import FixConstraint
from ase.geometry import (
    get_angles_derivatives,
    get_dihedrals_derivatives,
    get_distances_derivatives,
)
from pydantic import Field, model_validator

from scalespan.adapters.interface import Array, AtomsError, NotConverged, Options
from scalespan.adapters.interface.units import Angle, Length

from ..results import need_atoms

_STEP = 1e-5  # of a strain, for its load: the third derivative's part and the energies' last digits are as small


class Coordinate(Options):
    """One number of a geometry, and the atoms that move rigidly when it is set."""

    unit: ClassVar[str]
    group: tuple[int, ...] = ()  # atoms that move with it; empty: the last of `atoms`

    @property
    @abstractmethod
    def numbers(self) -> list[float]:
        """The values of the scan in `unit`."""

    @abstractmethod
    def place(self, atoms: Atoms, value: float, start: Atoms) -> None:
        """Give the coordinate of ``atoms``, which were ``start``, a value by moving the group as one body."""

    @abstractmethod
    def hold(self, value: float) -> FixConstraint:
        """Return the constraint that keeps the value while all else relaxes."""

    @abstractmethod
    def check(self, atoms: Atoms) -> None:
        """Raise AtomsError for atoms that do not exist."""

    @model_validator(mode="after")
    def _spaced(self) -> Self:
        values, ends = getattr(self, "values", ()), [getattr(self, key, None) for key in ("start", "stop", "points")]
        if bool(values) == any(end is not None for end in ends) or (not values and None in ends):
            raise ValueError("a scan needs either values = […], or start, stop and points")
        return self


class _Internal(Coordinate):
    """A coordinate between atoms."""

    atoms: tuple[int, ...]

    @abstractmethod
    def value(self, atoms: Atoms) -> float:
        """Return the value in `unit`."""

    @abstractmethod
    def gradient(self, atoms: Atoms) -> Array:
        """Return the derivative (number of `atoms`, 3) by their positions, `unit`/Å."""

    @property
    def moved(self) -> list[int]:
        """The atoms that move rigidly."""
        return list(self.group) or [self.atoms[-1]]

    def check(self, atoms: Atoms) -> None:
        """Raise AtomsError for atoms that do not exist."""
        need_atoms(self.atoms, atoms, "case.toml: task.coordinate.atoms")
        need_atoms(self.group, atoms, "case.toml: task.coordinate.group")

    def hold(self, value: float) -> FixConstraint:
        """Return the constraint that keeps the value."""
        return Held(self, value)

    @model_validator(mode="after")
    def _last_moves(self) -> Self:
        if self.group and (self.atoms[-1] not in self.group or set(self.atoms[:-1]) & set(self.group)):
            raise ValueError("the group holds the last of 'atoms' and none of the others")
        return self

    def _vectors(self, atoms: Atoms) -> list[Array]:
        positions = atoms.positions[list(self.atoms)]
        return [vector[None] for vector in np.diff(positions, axis=0)]


class Distance(_Internal):
    """The distance between two atoms."""

    unit: ClassVar[str] = "angstrom"
    kind: Literal["distance"]
    atoms: tuple[int, int]
    values: tuple[Length, ...] = ()
    start: Length | None = None
    stop: Length | None = None
    points: int | None = Field(default=None, gt=1)

    @property
    def numbers(self) -> list[float]:
        """The distances, Å."""
        return _spread(self.values, self.start, self.stop, self.points)

    def value(self, atoms: Atoms) -> float:
        """Return the distance at the minimum image, Å."""
        return float(atoms.get_distance(*self.atoms, mic=True))

    def place(self, atoms: Atoms, value: float, start: Atoms) -> None:
        """Move the group along the line of the two atoms."""
        atoms.set_distance(*self.atoms, value, fix=0, mic=True, indices=self.moved)

    def gradient(self, atoms: Atoms) -> Array:
        """Return the derivative (2, 3)."""
        found: Array = get_distances_derivatives(self._vectors(atoms)[0], cell=atoms.cell, pbc=atoms.pbc)[0]
        return found


class Bend(_Internal):
    """The angle of three atoms."""

    unit: ClassVar[str] = "degree"
    kind: Literal["angle"]
    atoms: tuple[int, int, int]
    values: tuple[Angle, ...] = ()
    start: Angle | None = None
    stop: Angle | None = None
    points: int | None = Field(default=None, gt=1)

    @property
    def numbers(self) -> list[float]:
        """The angles, degree."""
        return [float(np.degrees(each)) for each in _spread(self.values, self.start, self.stop, self.points)]

    def value(self, atoms: Atoms) -> float:
        """Return the angle, degree."""
        return float(atoms.get_angle(*self.atoms, mic=True))

    def place(self, atoms: Atoms, value: float, start: Atoms) -> None:
        """Turn the group about the middle atom, in the plane of the three."""
        atoms.set_angle(*self.atoms, value, indices=self.moved)

    def gradient(self, atoms: Atoms) -> Array:
        """Return the derivative (3, 3)."""
        first, second = self._vectors(atoms)
        found: Array = get_angles_derivatives(-first, second, cell=atoms.cell, pbc=atoms.pbc)[0]
        return found


class Dihedral(_Internal):
    """The dihedral angle of four atoms."""

    unit: ClassVar[str] = "degree"
    kind: Literal["dihedral"]
    atoms: tuple[int, int, int, int]
    values: tuple[Angle, ...] = ()
    start: Angle | None = None
    stop: Angle | None = None
    points: int | None = Field(default=None, gt=1)

    @property
    def numbers(self) -> list[float]:
        """The dihedrals, degree."""
        return [float(np.degrees(each)) for each in _spread(self.values, self.start, self.stop, self.points)]

    def value(self, atoms: Atoms) -> float:
        """Return the dihedral, degree, from 0 to 360."""
        return float(atoms.get_dihedral(*self.atoms, mic=True))

    def place(self, atoms: Atoms, value: float, start: Atoms) -> None:
        """Turn the group about the middle bond."""
        atoms.set_dihedral(*self.atoms, value, indices=self.moved)

    def gradient(self, atoms: Atoms) -> Array:
        """Return the derivative (4, 3)."""
        first, second, third = self._vectors(atoms)
        found: Array = get_dihedrals_derivatives(first, second, third, cell=atoms.cell, pbc=atoms.pbc)[0]
        return found


class Shift(Coordinate):
    """A group of atoms moved along a direction, away from where it was."""

    unit: ClassVar[str] = "angstrom"
    kind: Literal["shift"]
    group: tuple[int, ...] = Field(min_length=1)
    direction: tuple[float, float, float]  # of any length
    values: tuple[Length, ...] = ()
    start: Length | None = None
    stop: Length | None = None
    points: int | None = Field(default=None, gt=1)

    @model_validator(mode="after")
    def _somewhere(self) -> Self:
        if not np.linalg.norm(self.direction) > 0.0:
            raise ValueError("the direction has no length")
        return self

    @property
    def numbers(self) -> list[float]:
        """How far, Å."""
        return _spread(self.values, self.start, self.stop, self.points)

    def place(self, atoms: Atoms, value: float, start: Atoms) -> None:
        """Move the group by ``value`` from where it was."""
        group, along = list(self.group), np.array(self.direction) / np.linalg.norm(self.direction)
        atoms.positions[group] = start.positions[group] + value * along

    def hold(self, value: float) -> FixConstraint:
        """Return the constraint that keeps the group in its place."""
        return FixAtoms(list(self.group))

    def check(self, atoms: Atoms) -> None:
        """Raise AtomsError for atoms that do not exist."""
        need_atoms(self.group, atoms, "case.toml: task.coordinate.group")


class Strain(Coordinate):
    """A uniform strain of the cell with all that it holds: of a crystal, or of the box around a handshake's body.

    F = 1 + λ G at the value λ. What relaxes starts from where it was, moved as the cell is; frozen atoms are clamps
    that go with it. Where all others are relaxed, the load dE/dλ is that of moving all atoms with the cell.
    """

    unit: ClassVar[str] = "1"
    kind: Literal["strain"]
    group: tuple[int, ...] = Field(default=(), max_length=0)  # none: all atoms move
    gradient: list[list[float]]  # G, with as many rows and columns as the body has dimensions
    values: tuple[float, ...] = ()
    start: float | None = None
    stop: float | None = None
    points: int | None = Field(default=None, gt=1)

    @model_validator(mode="after")
    def _square(self) -> Self:
        if len(self.gradient) not in (1, 2, 3) or {len(row) for row in self.gradient} != {len(self.gradient)}:
            raise ValueError("the gradient is a matrix of one, two or three rows and as many columns")
        return self

    @property
    def numbers(self) -> list[float]:
        """The values of λ."""
        return _spread(self.values, self.start, self.stop, self.points)

    def place(self, atoms: Atoms, value: float, start: Atoms) -> None:
        """Give the cell its strain, and move all atoms with it."""
        d, deformation = len(self.gradient), np.eye(3)
        deformation[:d, :d] += value * np.array(self.gradient)
        atoms.set_cell(start.cell.array @ deformation.T, scale_atoms=True)

    def load(self, atoms: Atoms, value: float, start: Atoms) -> float:
        """Return dE/dλ (eV) at the value of ``atoms``, which carry a calculator, by a central difference."""
        energies = []
        for there in (value + _STEP, value - _STEP):
            self.place(atoms, there, start)
            energies.append(atoms.get_potential_energy())
        self.place(atoms, value, start)
        return float((energies[0] - energies[1]) / (2.0 * _STEP))

    def hold(self, value: float) -> FixConstraint:
        """Return a constraint on nothing: the cell does not relax."""
        return FixAtoms([])

    def check(self, atoms: Atoms) -> None:
        """Raise AtomsError for atoms without a cell."""
        if atoms.cell.rank != 3:
            raise AtomsError(
                "the atoms have no cell to strain",
                where="case.toml: task.coordinate",
                todo="take a periodic crystal, or a handshake",
            )


AnyCoordinate = Annotated[Distance | Bend | Dihedral | Shift | Strain, Field(discriminator="kind")]


class Held(FixConstraint):
    """Keeps one coordinate at a value, for ASE's optimisers.

    Forces lose their part along the gradient g of the coordinate, F − g (g·F)/(g·g); positions
    are brought back along it by Newton's method. Unlike ASE's FixInternals it takes time and
    memory in proportion to the atoms of the coordinate, and leaves all other motion free.
    """

    def __init__(self, coordinate: _Internal, value: float) -> None:
        self._coordinate, self._value, self._atoms = coordinate, value, list(coordinate.atoms)

    def get_removed_dof(self, atoms: Atoms) -> int:
        """Return 1."""
        return 1

    def adjust_positions(self, atoms: Atoms, new: Array) -> None:
        """Bring ``new`` (n, 3) to the value."""
        trial = atoms.copy()
        trial.set_constraint()
        for _ in range(30):
            trial.positions[:] = new
            left = self._value - self._coordinate.value(trial)
            if self._coordinate.unit == "degree":
                left = (left + 180.0) % 360.0 - 180.0
            if abs(left) < 1e-9:
                return
            gradient = self._coordinate.gradient(trial)
            new[self._atoms] += gradient * left / (gradient**2).sum()
        raise NotConverged(
            f"the {type(self._coordinate).__name__.lower()} of atoms {self._atoms} cannot be kept at {self._value:g}",
            todo="start the scan elsewhere, or take smaller steps",
        )

    def adjust_forces(self, atoms: Atoms, forces: Array) -> None:
        """Take the part along the coordinate out of ``forces`` (n, 3)."""
        gradient = self._coordinate.gradient(atoms)
        forces[self._atoms] -= gradient * (gradient * forces[self._atoms]).sum() / (gradient**2).sum()


def _spread(values: tuple[float, ...], start: float | None, stop: float | None, points: int | None) -> list[float]:
    if values:
        return list(values)
    assert start is not None and stop is not None and points is not None, "Coordinate checks this"
    return [float(each) for each in np.linspace(start, stop, points)]
