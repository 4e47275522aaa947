"""What an embedding costs each step beside its engines: both levels answer with zeros, at once.

A water in water, electrostatic, with charges that fade between 8 and 10 Å. Processor time, median of many steps;
the list of near groups is made anew about once in a hundred steps, which the mean shows.
"""

from __future__ import annotations

from time import process_time

import numpy as np
import pytest
from ase import Atoms

from scalespan.adapters.interface import ForceField, Options, ParticleAdapter, Quantity, Results, TermCount, Topology
from scalespan.bridges.embedding import Embedding, EmbeddingOptions

from .table import write_table

SIZES = {1_000: 500, 10_000: 500, 100_000: 300}
DENSITY = 0.1003  # atoms per Å³, of water at 1 g/cm³


class NoOptions(Options):
    pass


class Nothing(ParticleAdapter):
    """A level whose answers are zero."""

    name = "nothing"
    Options = NoOptions
    offers = frozenset({Quantity.ENERGY, Quantity.FORCES, Quantity.CHARGE_FORCES, Quantity.CHARGE_POTENTIAL})

    def _compute(self, atoms, wanted, charges):
        m = 0 if charges is None else len(charges)
        zeros = np.zeros((len(atoms), 3))
        return Results(energy=0.0, forces=zeros, charge_forces=np.zeros((m, 3)), charge_potential=np.zeros(m))


class NoForces(ForceField):
    """A force field without terms, for waters at random places and turns."""

    name = "no forces"
    Options = NoOptions

    def __init__(self, waters: int) -> None:
        edge = (3 * waters / DENSITY) ** (1.0 / 3.0)
        rng = np.random.default_rng(0)
        shape = np.array([[0.0, 0.0, 0.0], [0.96, 0.0, 0.0], [-0.24, 0.93, 0.0]])
        places = rng.uniform(0.0, edge, (waters, 1, 3)) + shape
        self._atoms = Atoms("OHH" * waters, places.reshape(-1, 3), cell=[edge] * 3, pbc=True)
        first = 3 * np.arange(waters)
        bonds = np.stack([np.repeat(first, 2), np.stack([first + 1, first + 2], axis=1).ravel()], axis=1)
        self._topology = Topology(
            numbers=self._atoms.numbers.astype(np.int64),
            names=("O", "H1", "H2") * waters,
            residues=np.repeat(np.arange(waters), 3),
            residue_names=("HOH",) * waters,
            residue_numbers=tuple(range(1, waters + 1)),
            chains=("A",) * waters,
            bonds=bonds,
            charges=np.tile([-0.834, 0.417, 0.417], waters),
        )

    @property
    def topology(self):
        return self._topology

    def initial_atoms(self):
        return self._atoms.copy()

    def terms(self, region):
        return {"bond": TermCount(0, 0, 0)}

    def select(self, region, part, charges=None):
        return self

    def host(self, atoms, motion, extra=None):
        raise AssertionError("the test steps by itself")

    def _compute(self, atoms, wanted, charges):
        return Results(energy=0.0, forces=np.zeros((len(atoms), 3)))


def steps(n: int, count: int, **charges) -> tuple[float, float, float, int]:
    """Return the median and mean time of a step, the time to begin (s), and the number of charges felt."""
    low = NoForces(n // 3)
    options = EmbeddingOptions.read({"region": {"atoms": [0, 1, 2]}, "charges": charges})
    start = process_time()
    model = Embedding(options, low=low, high=Nothing())
    positions, cell = low.initial_atoms().positions, low.initial_atoms().cell.array
    model._potential(positions, cell)
    begin = process_time() - start
    rng, times = np.random.default_rng(1), []
    for _ in range(count):
        # always one way, farther than water diffuses in half a femtosecond
        positions = positions + rng.uniform(0.0, 0.01, size=(1, 3))
        start = process_time()
        energy, forces = model._potential(positions, cell)
        times.append(process_time() - start)
        assert energy == 0.0 and not forces.any()
    view = model.layout_of(low.initial_atoms()).surroundings.look(positions, cell)
    return float(np.median(times)), float(np.mean(times)), begin, len(view.charges)


@pytest.mark.benchmark
def test_glue_of_an_embedding() -> None:
    rows = []
    for n, count in SIZES.items():
        table = {"cutoff": "8 angstrom", "switch": "6 angstrom"}  # the smallest box is 21.5 Å wide
        median, mean, begin, shown = steps(n, count, **table)
        target = 1.0 + 1e-5 * n
        figures = [f"{1e3 * median:.2f}", f"{1e3 * mean:.2f}", f"{target:.2f}", f"{begin:.2f}"]
        rows.append([3 * (n // 3), shown, *figures])
    header = ["atoms", "charges felt", "median step, ms", "mean step, ms", "target, ms", "to begin, s"]
    write_table("embedding glue", header, rows)
