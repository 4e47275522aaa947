"""A long run of a disc of atoms in a sheet at a temperature: the core's temperature, and whether it is pulled apart.

Lennard-Jones on a triangular lattice at its constant a(T), kT = 0.05 ε, elements of 4 a, with the law at the
temperature and with that of atoms at rest. The strain is half the trace of the affine map that fits the core's atoms
best. Errors are those of correlated samples (J. D. Chodera et al. 2007, doi:10.1021/ct0502864), by pymbar.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from ase import units
from ase.io import write

from scalespan.adapters.interface import Array, Motion
from scalespan.adapters.simplex import SimplexAdapter, SimplexOptions
from scalespan.bridges.cauchy_born import unstressed
from scalespan.bridges.handshake import Handshake, HandshakeOptions
from tests.bridges.crystals import PairEngine, ball, box, fs, spacing, triangle
from tests.bridges.warm import LJ, kelvin, law

from .table import write_table

HEAT = 0.05  # k_B T / ε
BATH = {"friction": f"{1000.0 * units.fs} 1/ps", "temperature": kelvin(HEAT)}  # a friction of 1 in ASE's unit
LAWS = {"at the temperature": (HEAT, 100_000), "of atoms at rest": (None, 25_000)}  # windows of five steps of 0.01
BEGUN = 4_000  # windows that are left out
RADIUS, LAYER = 7.2, 3.0  # of the region, and of the bath in it; lattice constants
POLYNOMIAL = {"law": "polynomial", "polynomial": {"strain": 0.06, "error": 2e-2}}
HEADER = ("law", "core's temperature / bath's", "nodes' temperature / bath's", "mean strain of the core", "of a(T)")


def model(folder: Path, a: float, heat: float | None, seed: int) -> Handshake:
    write(folder / "crystal.extxyz", triangle(a))
    table = {
        "crystal": "crystal.extxyz",
        "pad": "2.8 angstrom",
        "region": ball(RADIUS * a, 2),
        "continuum_step": fs(0.05),
        "thermostat": {"width": f"{LAYER * a} angstrom", "seed": seed, **BATH},
    }
    sides = {"timestep": "1 fs"} | box([16.0 * a, 16.0 * a], 4.0 * a)
    sheet = SimplexAdapter(SimplexOptions.read(sides, folder=folder), law=law(LJ, a, heat, 2, **POLYNOMIAL))
    return Handshake(HandshakeOptions.read(table, folder=folder), atoms=PairEngine(LJ), continuum=sheet)


def run(joined: Handshake, a: float, seed: int, windows: int) -> Array:
    """Return the core's and the nodes' temperature, relative, and the core's strain, at each window's end."""
    atoms, rng = joined.initial_atoms(), np.random.default_rng(seed)
    masses, free = atoms.get_masses()[:, None], joined.free
    core = np.flatnonzero(np.linalg.norm(atoms.positions[:free], axis=1) < (RADIUS - LAYER) * a)
    momenta = np.zeros((len(atoms), 3))
    # Half of it becomes potential energy.
    momenta[:, :2] = rng.standard_normal((len(atoms), 2)) * np.sqrt(2.0 * HEAT * masses)
    atoms.set_momenta(momenta)
    start = atoms.positions[core, :2] - atoms.positions[core, :2].mean(axis=0)
    fit = np.linalg.pinv(start)
    joined.start(atoms, Motion.read({"timestep": fs(0.01)}))
    seen = []
    for _ in range(windows):
        joined.advance(0.05)
        now = joined.atoms
        heats = (now.get_momenta()[:, :2] ** 2 / masses / HEAT).mean(axis=1)
        strain = 0.5 * float(np.trace(fit @ now.positions[core, :2])) - 1.0
        seen.append((heats[core].mean(), heats[free:].mean(), strain))
    return np.array(seen)[BEGUN:]


def mean_and_error(series: Array) -> tuple[float, float]:
    """Return the mean of correlated samples, and its standard error: the larger of pymbar's and that of ten blocks."""
    timeseries = pytest.importorskip("pymbar.timeseries", reason="pymbar is not installed: pip install pymbar")
    size = len(series) / timeseries.statistical_inefficiency(series)
    blocks = np.array([each.mean() for each in np.array_split(series, 10)])
    error = max(series.std(ddof=1) / np.sqrt(size), blocks.std(ddof=1) / np.sqrt(10.0))
    return float(series.mean()), float(error)


@pytest.mark.benchmark
def test_a_law_at_the_temperature_balances_a_sheet(tmp_path: Path) -> None:
    rest = spacing(LJ, triangle)
    a = float(unstressed(law(LJ, rest, HEAT, 2)).cell[0, 0])
    rows, strains = [], {}
    for name, (heat, windows) in LAWS.items():
        found = [mean_and_error(each) for each in run(model(tmp_path, a, heat, 1), a, 1, windows).T]
        (core, of_core), (nodes, of_nodes), (strain, of_strain) = found
        told = f"{100.0 * strain:.3f} ± {100.0 * of_strain:.3f} %"
        cells = (f"{core:.3f} ± {of_core:.3f}", f"{nodes:.3f} ± {of_nodes:.3f}", told)
        rows.append((name, *cells, f"{100.0 * (a / rest - 1.0):.3f} %"))
        strains[name] = strain
        assert abs(core - 1.0) < 5.0 * of_core + 0.02
    write_table("warm-sheet", HEADER, rows)
    assert abs(strains["at the temperature"]) < 0.2 * abs(strains["of atoms at rest"])
