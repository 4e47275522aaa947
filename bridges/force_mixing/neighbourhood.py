"""Who is near, in any cell: pairs of atoms with the image that each lies in."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import product

import numpy as np
from ase import Atoms
from ase.data import covalent_radii
from scipy.spatial import cKDTree

from scalespan.adapters.interface import Array, Indices


@dataclass(frozen=True)
class Pairs:
    """Pairs of a centre and an atom, ordered by centre, then distance."""

    centres: Indices  # (p,) positions in the list of centres
    atoms: Indices  # (p,)
    shifts: Indices  # (p, 3) cell vectors to add to the atom's position, seen from the centre where it is stored
    distances: Array  # (p,) Å

    def keep(self, which: Array) -> Pairs:
        """Return the pairs that a mask (p,) or an order names."""
        return Pairs(self.centres[which], self.atoms[which], self.shifts[which], self.distances[which])


class Neighbourhood:
    """Atoms in a cell of any shape, periodic in any directions, to be searched from a few centres.

    A tree holds the atoms, wrapped into the cell, and the centres come in all images that can
    reach it: what is found is complete for any radius, beyond half the cell too.
    """

    def __init__(self, atoms: Atoms) -> None:
        self.positions = atoms.get_positions()
        self.numbers = atoms.numbers
        self.pbc = atoms.pbc.copy()
        self.cell: Array = atoms.cell.complete().array.copy()
        self._inverse = np.linalg.inv(self.cell)
        self._widths = 1.0 / np.linalg.norm(self._inverse, axis=0)
        self._wraps = np.where(self.pbc, np.floor(self.positions @ self._inverse), 0.0).astype(np.int64)
        self._wrapped = self.positions - self._wraps @ self.cell
        self._tree = cKDTree(self._wrapped)

    def __len__(self) -> int:
        return len(self.positions)

    def within(self, centres: Indices, radius: float) -> Pairs:
        """Return all pairs of a centre (k,) and another atom, or another image, nearer than ``radius``."""
        images, owners, moves = self._images(centres, radius)
        found = cKDTree(images).sparse_distance_matrix(self._tree, radius, output_type="ndarray")
        owner, atom = owners[found["i"]], found["j"].astype(np.int64)
        shifts = self._wraps[centres[owner]] - self._wraps[atom] - moves[found["i"]]
        pairs = Pairs(owner, atom, shifts, found["v"])
        pairs = pairs.keep((pairs.atoms != centres[pairs.centres]) | pairs.shifts.any(axis=1))
        return pairs.keep(np.lexsort((pairs.atoms, pairs.distances, pairs.centres)))

    def bonded(self, centres: Indices, factor: float) -> Pairs:
        """Return the pairs of a centre and an atom nearer than ``factor`` × the sum of their covalent radii."""
        radii = covalent_radii[self.numbers]
        pairs = self.within(centres, factor * float(radii[centres].max() + radii.max()))
        return pairs.keep(pairs.distances < factor * (radii[centres[pairs.centres]] + radii[pairs.atoms]))

    def vectors(self, pairs: Pairs, centres: Indices) -> Array:
        """Return the vectors (p, 3) Å from centre to atom."""
        found: Array = self.positions[pairs.atoms] + pairs.shifts @ self.cell - self.positions[centres[pairs.centres]]
        return found

    def _images(self, centres: Indices, radius: float) -> tuple[Array, Indices, Indices]:
        """Return the images (m, 3) of wrapped centres within ``radius`` of the cell, whose they are, how they moved."""
        reach = np.where(self.pbc, np.ceil(radius / self._widths), 0).astype(int)
        steps = np.array(list(product(*(range(-r, r + 1) for r in reach))), dtype=np.int64)
        owners = np.repeat(np.arange(len(centres)), len(steps))
        moves = np.tile(steps, (len(centres), 1))
        images = self._wrapped[centres[owners]] + moves @ self.cell
        inside, margin = images @ self._inverse, radius / self._widths + 1e-9
        near = (~self.pbc | ((inside > -margin) & (inside < 1.0 + margin))).all(axis=1)
        return images[near], owners[near], moves[near]
