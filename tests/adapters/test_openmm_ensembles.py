"""Temperature and volume as statistical mechanics has them, by OpenMM's thermostats and the Monte Carlo barostat."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import openmm
import pytest
from ase.units import fs
from openmm import app

from scalespan.adapters.interface import Array, Motion
from scalespan.adapters.interface.contract_probes import warmed
from scalespan.adapters.interface.units import BOLTZMANN
from scalespan.adapters.openmm import OpenMMAdapter, OpenMMOptions, OpenMMSettings

DATA = Path(__file__).parents[1] / "data" / "openmm"
NPT = {"ensemble": "npt", "temperature": "300 K", "friction": "10 / ps", "barostat_interval": 1}


def gas(n: int, edge: float, mass: float = 40.0) -> OpenMMAdapter:
    """Return ``n`` atoms that do not act on each other in a cube of ``edge`` nm."""
    system, topology = openmm.System(), app.Topology()
    force = openmm.NonbondedForce()
    force.setNonbondedMethod(openmm.NonbondedForce.CutoffPeriodic)
    force.setCutoffDistance(0.1)
    chain = topology.addChain()
    for _ in range(n):
        system.addParticle(mass)
        force.addParticle(0.0, 0.1, 0.0)
        topology.addAtom("AR", app.Element.getBySymbol("Ar"), topology.addResidue("AR", chain))
    system.addForce(force)
    system.setDefaultPeriodicBoxVectors([edge, 0, 0], [0, edge, 0], [0, 0, edge])
    positions = np.random.default_rng(3).uniform(0.0, 10.0 * edge, (n, 3))
    return OpenMMAdapter.of(system, topology, positions, OpenMMSettings(platform="Reference"))


def test_langevin_warms_a_gas_at_the_rate_of_its_friction() -> None:
    """T(t) = T (1 − exp(−2 γ t)) from rest; the standard error of T over 6000 components is 2 %."""
    adapter = gas(2000, 10.0)
    adapter.start(
        adapter.initial_atoms(),
        Motion.read(
            {"timestep": "10 fs", "ensemble": "langevin", "temperature": "300 K", "friction": "1 / ps", "seed": 4}
        ),
    )
    for _ in range(3):
        adapter.advance(200 * fs)
    expected = 300.0 * (1.0 - np.exp(-2.0 * 0.6))
    assert adapter.observe().temperature == pytest.approx(expected, rel=0.06)


def test_nose_hoover_keeps_the_temperature() -> None:
    files = {"pdb": "ethanol_water.pdb", "force_field": ["ethanol_water.xml"], "platform": "Reference"}
    adapter = OpenMMAdapter(OpenMMOptions.read(files | {"cutoff": "5 angstrom"}, folder=DATA))
    table = {"timestep": "0.5 fs", "ensemble": "nose-hoover", "temperature": "300 K", "damping_time": "20 fs"}
    adapter.start(warmed(adapter.initial_atoms()), Motion.read(table))
    seen = []
    for _ in range(200):
        adapter.advance(10 * 0.5 * fs)
        seen.append(adapter.observe().temperature)
    assert np.mean(seen[50:]) == pytest.approx(300.0, rel=0.1)


def test_the_barostat_gives_an_ideal_gas_its_volume() -> None:
    """⟨V⟩ = (N + 1) kT/P of the isothermal-isobaric ensemble of N free atoms, and Var V = (N + 1)(kT/P)²."""
    n, pressure = 20, 100.0  # bar
    adapter = gas(n, 1.0)
    run = Motion.read({"timestep": "1 fs", "pressure": f"{pressure} bar", **NPT})
    adapter.start(adapter.initial_atoms(), run)
    unit_volume = BOLTZMANN * 300.0 / run.pressure
    volumes = []
    for _ in range(1100):
        adapter.advance(5 * fs)
        volumes.append(adapter.observe().volume)
    mean = np.mean(volumes[100:]) / unit_volume
    blocks = np.mean(np.reshape(volumes[100:], (20, -1)), axis=1) / unit_volume
    error = np.std(blocks) / np.sqrt(len(blocks))
    assert error < 1.0
    assert abs(mean - (n + 1)) < 4.0 * error


def test_the_trial_box_is_weighed_with_the_extra_energy() -> None:
    """An extra energy P′V acts as the pressure P + P′: the barostat sees the true energy of each trial."""
    n, adapter = 20, gas(20, 1.0)
    run = Motion.read({"timestep": "1 fs", "pressure": "50 bar", **NPT})

    def piston(positions: Array, cell: Array) -> tuple[float, Array]:
        return float(run.pressure * np.linalg.det(cell)), np.zeros_like(positions)

    adapter.host(adapter.initial_atoms(), run, piston)
    volumes = []
    for _ in range(1100):
        adapter.advance(5 * fs)
        volumes.append(adapter.observe().volume)
    unit_volume = BOLTZMANN * 300.0 / (2.0 * run.pressure)
    blocks = np.mean(np.reshape(volumes[100:], (20, -1)), axis=1) / unit_volume
    assert abs(blocks.mean() - (n + 1)) < 4.0 * np.std(blocks) / np.sqrt(len(blocks))
