"""Cells of any shape and attitude in the one form that OpenMM takes."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from ase import Atoms

from ..interface import Array, AtomsError


@dataclass(frozen=True)
class Frame:
    """How a cell lies in OpenMM's: ``box = transform @ cell @ rotation``.

    OpenMM wants a along x, b in the x-y plane, and both tilts at most half an edge. The rotation
    turns positions there; the integers of the transform choose other vectors of the same lattice.
    """

    transform: Array  # (3, 3) integers
    rotation: Array | None  # (3, 3); None where nothing turns

    @classmethod
    def of(cls, cell: Array) -> Frame:
        """Return the frame of ``cell`` (3, 3) Å."""
        transform = np.diag([1.0, 1.0, 1.0 if np.linalg.det(cell) > 0.0 else -1.0])
        vectors = transform @ cell
        rotation = None
        slack = 1e-12 * np.abs(vectors).max()
        if np.any(np.abs(np.triu(vectors, 1)) > slack) or np.any(np.diag(vectors) < 0.0):
            rotation, upper = np.linalg.qr(vectors.T)
            rotation = rotation * np.sign(np.diag(upper))
            vectors = vectors @ rotation
        for i, j in ((2, 1), (2, 0), (1, 0)):
            times = np.rint(vectors[i, j] / vectors[j, j])
            vectors[i] -= times * vectors[j]
            transform[i] -= times * transform[j]
        return cls(transform, rotation)

    def box(self, cell: Array) -> Array:
        """Return OpenMM's vectors (3, 3) Å of ``cell``."""
        return np.tril(self.transform @ self.turned(cell))

    def cell(self, box: Array) -> Array:
        """Return the cell that `box` came from."""
        found: Array = np.asarray(np.linalg.solve(self.transform, self.back(box)), dtype=float)
        return found

    def turned(self, vectors: Array) -> Array:
        """Turn ``vectors`` (n, 3) into OpenMM's frame."""
        return vectors if self.rotation is None else vectors @ self.rotation

    def back(self, vectors: Array) -> Array:
        """Turn ``vectors`` (n, 3) back from OpenMM's frame."""
        return vectors if self.rotation is None else vectors @ self.rotation.T


STILL = Frame(np.eye(3), None)


def frame_of(atoms: Atoms, periodic: bool, cutoff: float) -> Frame:
    """Return the frame of the atoms' cell, after seeing that the force field can use it.

    Args:
        atoms: with a cell where the force field is periodic, without periodicity where not.
        periodic: whether the force field is.
        cutoff: Å; each width of the reduced box must be at least twice as large.

    Raises:
        AtomsError: cell and force field do not fit.
    """
    if not periodic:
        if atoms.pbc.any():
            raise AtomsError(
                "the atoms are periodic and the force field is not",
                where="openmm",
                todo="choose a periodic nonbonded method, or set pbc to False",
            )
        return STILL
    if not atoms.pbc.all() or atoms.cell.rank < 3:
        raise AtomsError(
            "the force field is periodic and the atoms have no periodic cell",
            where="openmm",
            todo="give the atoms a cell with pbc, or choose nonbonded = 'no-cutoff' or 'cutoff-nonperiodic'",
        )
    frame = Frame.of(np.array(atoms.cell.array))
    width = float(np.diag(frame.box(atoms.cell.array)).min())
    if width < 2.0 * cutoff:
        raise AtomsError(
            f"the cell is {width:.3f} Å wide, less than twice the cutoff of {cutoff:.3f} Å",
            where="openmm",
            todo="use a larger cell or a shorter cutoff",
        )
    return frame
