"""One cell of a crystal in d dimensions, and its reference volume."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
from ase import Atoms
from ase.build import bulk
from ase.io import read

from scalespan.adapters.interface import Array, AtomsError, OptionError

from .options import CrystalOptions


@dataclass(frozen=True)
class Crystal:
    """A cell whose first ``dimension`` vectors are periodic and span the first ``dimension`` axes."""

    atoms: Atoms  # the reference; a cell of rank 3, with unit vectors where nothing repeats
    dimension: int  # d

    @property
    def volume(self) -> float:
        """The volume of the cell, Å^d."""
        d = self.dimension
        return float(abs(np.linalg.det(self.atoms.cell.array[:d, :d])))

    @property
    def density(self) -> float:
        """The mass of the volume, amu/Å^d."""
        return float(self.atoms.get_masses().sum()) / self.volume

    @cached_property
    def clear_of_faces(self) -> Array:
        """The translation (3,) Å that takes the atoms away from the faces of the cell.

        It changes no energy, but engines lose pairs of atoms on a face: OpenMM 8.6, Reference, in sheared boxes.
        """
        found = np.zeros(3)
        for i, places in enumerate(self.atoms.get_scaled_positions(wrap=True).T):
            ends = np.sort(np.append(places, places.min() + 1.0))
            widest = int(np.argmax(np.diff(ends)))
            found[i] = -0.5 * (ends[widest] + ends[widest + 1])
        moved: Array = found @ self.atoms.cell.array
        return moved

    def deformed(self, gradient: Array, inner: Array, repeat: tuple[int, int, int]) -> Atoms:
        """Return the cells at y = F (X + η), with ``gradient`` F (3, 3) and ``inner`` η (b, 3) Å."""
        atoms: Atoms = self.atoms.copy()
        atoms.positions += inner
        atoms = atoms.repeat(repeat) if max(repeat) > 1 else atoms
        atoms.set_cell(atoms.cell.array @ gradient.T)
        atoms.positions = atoms.positions @ gradient.T
        return atoms

    @classmethod
    def of(cls, atoms: Atoms, dimension: int | None = None) -> Crystal:
        """Return the crystal of a cell.

        Raises:
            AtomsError: the periodic directions are not the first ones, or do not lie along the first axes.
        """
        periodic = int(atoms.pbc.sum())
        d = periodic if dimension is None else dimension
        if d == 0 or periodic < d or not atoms.pbc[:d].all():
            raise AtomsError(
                f"the crystal is periodic in {atoms.pbc.tolist()}, and the law is of {max(d, 1)} dimensions",
                todo="make it periodic in x, in x and y, or in all three",
            )
        mine = atoms.copy()
        mine.calc = None
        mine.set_cell(mine.cell.complete())
        slack = 1e-9 * np.abs(mine.cell.array).max()
        if (
            np.abs(mine.cell.array[:d, d:]).max(initial=0.0) > slack
            or abs(np.linalg.det(mine.cell.array[:d, :d])) < slack**d
        ):
            raise AtomsError(
                f"the first {d} cell vectors do not span the first {d} axes",
                todo="turn the cell, or change the order of its vectors",
            )
        return cls(mine, d)


def crystal_of(options: CrystalOptions) -> Crystal:
    """Return the crystal that the options describe.

    Raises:
        OptionError: a structure that nobody knows, axes that are not at right angles.
        AtomsError: a file whose cell cannot be used.
    """
    atoms = _inline(options) if options.file is None else _from(options.file)
    if options.mass is not None:
        atoms.set_masses([options.mass] * len(atoms))
    if options.axes is not None:
        turn = _turn(np.array(options.axes))
        atoms.set_cell(atoms.cell.array @ turn.T, scale_atoms=True)
    return Crystal.of(atoms, options.dimension)


def _from(file: Path) -> Atoms:
    try:
        found = read(file)
    except Exception as error:  # ASE's readers raise errors of many unrelated classes
        raise AtomsError(f"ASE cannot read a crystal from {file}: {error}") from error
    assert isinstance(found, Atoms), "one frame was asked for"
    return found


def _inline(options: CrystalOptions) -> Atoms:
    a, symbol, structure = options.a, options.symbol, options.structure
    assert a is not None and symbol is not None and structure is not None, "the options were checked"
    try:
        sheet = [[a, 0.0, 0.0], [0.5 * a, np.sqrt(0.75) * a, 0.0], [0.0, 0.0, 0.0]]
        if structure == "chain":
            return Atoms(symbol, cell=[a, 0.0, 0.0], pbc=(True, False, False))
        if structure == "triangular":
            return Atoms(symbol, cell=sheet, pbc=(True, True, False))
        found: Atoms = bulk(symbol, structure, a=a, c=options.c, cubic=options.cubic)
    except (ValueError, RuntimeError, KeyError) as error:
        raise OptionError(f"ASE cannot build the crystal: {error}", where="crystal") from error
    return found


def _turn(axes: Array) -> Array:
    rows: Array = axes / np.linalg.norm(axes, axis=1)[:, None]
    if not np.allclose(rows @ rows.T, np.eye(3), atol=1e-9) or np.linalg.det(rows) < 0.0:
        raise OptionError(
            "'axes' must be three directions at right angles, right-handed", where="crystal", todo="such as 1 -1 0, …"
        )
    return rows
