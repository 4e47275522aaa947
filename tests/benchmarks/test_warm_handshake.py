"""A long run of a chain in a line of elements at a temperature: the core's temperature, and whether it is pulled apart.

Lennard-Jones to the second neighbour, kT = 0.02 ε, 25 free atoms at their lattice constant a(T) in 64 a of elements of
4 a, with the law at the temperature and with that of atoms at rest.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from ase.io import write

from scalespan.adapters.interface import Array, Motion
from scalespan.adapters.simplex import SimplexAdapter, SimplexOptions
from scalespan.bridges.cauchy_born import unstressed
from scalespan.bridges.handshake import Handshake, HandshakeOptions
from tests.bridges.crystals import PairEngine, ball, box, chain, fs, spacing
from tests.bridges.test_handshake_warm import BATH, HEAT
from tests.bridges.warm import LJ, law

from .table import write_table

STEPS, SEEDS, HALF = 20_000, (1, 2), 12
POLYNOMIAL = {"law": "polynomial", "polynomial": {"strain": 0.08, "error": 5e-3}}
HEADER = ("law", "core's temperature / bath's", "nodes' temperature / bath's", "mean strain of the atoms", "of a(T)")


def model(folder: Path, a: float, heat: float | None, seed: int) -> Handshake:
    write(folder / "crystal.extxyz", chain(a))
    table = {
        "crystal": "crystal.extxyz",
        "pad": "2.8 angstrom",
        "region": ball((HALF + 0.2) * a, 1),
        "continuum_step": fs(0.05),
        "thermostat": {"width": f"{8.0 * a} angstrom", "seed": seed, **BATH},
    }
    sides = {"timestep": "1 fs"} | box(32.0 * a, 4.0 * a)
    line = SimplexAdapter(SimplexOptions.read(sides, folder=folder), law=law(LJ, a, heat, **POLYNOMIAL))
    return Handshake(HandshakeOptions.read(table, folder=folder), atoms=PairEngine(LJ), continuum=line)


def run(joined: Handshake, seed: int) -> Array:
    """Return the core's and the nodes' temperature, relative, and the atoms' strain, from the tenth part on."""
    atoms, rng = joined.initial_atoms(), np.random.default_rng(seed)
    masses, start, free = atoms.get_masses(), atoms.positions[:, 0].copy(), joined.free
    momenta = np.zeros((len(atoms), 3))
    # Half of it becomes potential energy.
    momenta[:, 0] = rng.standard_normal(len(atoms)) * np.sqrt(2.0 * HEAT * masses)
    atoms.set_momenta(momenta)
    joined.start(atoms, Motion.read({"timestep": fs(0.01)}))
    seen = []
    for _ in range(STEPS // 5):
        joined.advance(0.05)
        now = joined.atoms
        heats = now.get_momenta()[:, 0] ** 2 / masses / HEAT
        ends = now.positions[[0, free - 1], 0]
        strain = float(np.ptp(ends) / (start[free - 1] - start[0])) - 1.0
        seen.append((heats[8 : free - 8].mean(), heats[free:].mean(), strain))
    return np.array(seen)[len(seen) // 10 :]


@pytest.mark.benchmark
def test_a_law_at_the_temperature_balances_the_core(tmp_path: Path) -> None:
    rest = spacing(LJ, chain)
    a = float(unstressed(law(LJ, rest, HEAT)).cell[0, 0])
    rows, strains = [], {}
    for name, heat in (("at the temperature", HEAT), ("of atoms at rest", None)):
        runs = [run(model(tmp_path, a, heat, seed), seed) for seed in SEEDS]
        blocks = np.array([part.mean(axis=0) for each in runs for part in np.array_split(each, 10)])
        mean, error = blocks.mean(axis=0), blocks.std(axis=0, ddof=1) / np.sqrt(len(blocks))
        each = [f"{m:.2f} ± {e:.2f}" for m, e in zip(mean[:2], error[:2], strict=True)]
        rows.append(
            (name, *each, f"{100.0 * mean[2]:.3f} ± {100.0 * error[2]:.3f} %", f"{100.0 * (a / rest - 1.0):.3f} %")
        )
        strains[name] = mean[2]
        assert abs(mean[0] - 1.0) < max(5.0 * error[0], 0.2)
    write_table("warm-handshake", HEADER, rows)
    assert abs(strains["at the temperature"]) < 0.3 * strains["of atoms at rest"]
