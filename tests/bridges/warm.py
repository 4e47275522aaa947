"""Pairs in periodic crystals, and their law at a temperature."""

from __future__ import annotations

from itertools import product
from typing import ClassVar

import numpy as np
from ase import units
from ase.calculators.calculator import Calculator, all_changes
from ase.stress import full_3x3_to_voigt_6_stress
from scipy.spatial import cKDTree

from scalespan.adapters.ase import ASEAdapter
from scalespan.adapters.interface import Array
from scalespan.bridges.cauchy_born import CauchyBorn, CauchyBornOptions

from .crystals import LennardJones

STRUCTURES = {1: "chain", 2: "triangular", 3: "fcc"}


class Near:
    """4 (r⁻¹² − r⁻⁶) between nearest neighbours (ε = 1 eV, σ = 1 Å), cut where it is flat enough."""

    cutoff = 1.6

    def __call__(self, r: Array) -> tuple[Array, Array]:
        power = r**-6
        near = r < self.cutoff
        return np.where(near, 4.0 * (power**2 - power), 0.0), np.where(near, -24.0 * (2.0 * power**2 - power) / r, 0.0)


class PeriodicPairs(Calculator):
    """Pair forces with all images."""

    implemented_properties: ClassVar = ["energy", "forces", "stress"]
    nolabel = True

    def __init__(self, pair):
        super().__init__()
        self.pair = pair

    def calculate(self, atoms=None, properties=("energy",), system_changes=all_changes):
        super().calculate(atoms, properties, system_changes)
        i, j, along = neighbours(self.atoms, self.pair.cutoff)
        r = np.linalg.norm(along, axis=1)
        value, slope = self.pair(r)
        pull, n = 0.5 * (slope / r)[:, None] * along, len(self.atoms)
        forces = [np.bincount(i, pull[:, k], n) - np.bincount(j, pull[:, k], n) for k in range(3)]
        self.results = {"energy": 0.5 * float(value.sum()), "forces": np.stack(forces, axis=1)}
        if self.atoms.cell.rank == 3:
            self.results["stress"] = full_3x3_to_voigt_6_stress(along.T @ pull / self.atoms.get_volume())


def neighbours(atoms, cutoff):
    """Return both directions (i, j, r_j − r_i) of all pairs nearer than ``cutoff``."""
    x, cell = atoms.positions, atoms.cell.complete().array
    inverse = np.linalg.inv(cell)
    # Atoms may lie outside their cell, so images are counted from the spread of their places.
    reach = np.where(atoms.pbc, np.ceil(cutoff * np.linalg.norm(inverse, axis=0) + np.ptp(x @ inverse, axis=0)), 0)
    shifts = np.array(list(product(*(range(-n, n + 1) for n in reach.astype(int))))) @ cell
    every, owner = (x[None] + shifts[:, None]).reshape(-1, 3), np.tile(np.arange(len(x)), len(shifts))
    near = ((every > x.min(axis=0) - cutoff) & (every < x.max(axis=0) + cutoff)).all(axis=1)
    found = cKDTree(x).sparse_distance_matrix(cKDTree(every[near]), cutoff, output_type="ndarray")
    found = found[found["v"] > 1e-6]
    return found["i"], owner[near][found["j"]], every[near][found["j"]] - x[found["i"]]


def law(pair, a: float, heat: float | None, dimension: int = 1, **options) -> CauchyBorn:
    """Return the law of a crystal of atoms of 1 amu; ``heat`` is k_B T in eV, None of atoms at rest.

    ``modes``, ``waves``, ``statistics`` in ``options`` are of the vibrations.
    """
    vibrations = {key: options.pop(key) for key in ("modes", "waves", "statistics") if key in options}
    width = {1: 1.0, 2: np.sqrt(0.75), 3: 1.0 / np.sqrt(3.0)}[dimension] * a  # of a cell
    cells = int(np.ceil(2.0 * pair.cutoff / width))
    table = {"crystal": {"symbol": "X", "structure": STRUCTURES[dimension], "a": f"{a!r} angstrom", "mass": "1 dalton"}}
    if heat is not None:
        repeat = [cells] * dimension + [1] * (3 - dimension)
        table["vibrations"] = {"temperature": kelvin(heat), "repeat": repeat} | vibrations
    return CauchyBorn(CauchyBornOptions.read(table | options), ASEAdapter.of(PeriodicPairs(pair)))


def kelvin(heat: float) -> str:
    return f"{heat / units.kB!r} K"


LJ, NEAR = LennardJones(), Near()
