"""What it costs a step of OpenMM to ask a potential in Python that does nothing.

Plain steps and hosted steps take turns in one process, and processor time is taken, so that others on the
machine matter little. The project's target is below 1 ms + 10 ns per atom.
"""

from __future__ import annotations

from time import process_time

import numpy as np
import openmm
import pytest
from ase.units import fs
from openmm import app, unit

from scalespan.adapters.interface import Array, Motion
from scalespan.adapters.openmm import OpenMMAdapter, OpenMMSettings

from .table import write_table

ROUNDS = {1_000: 100, 10_000: 40, 100_000: 20}
STEP = 1e-3  # fs: the boxes are cut from a larger one and not relaxed


def nothing(positions: Array, cell: Array) -> tuple[float, Array]:
    return 0.0, np.zeros_like(positions)


def water(n: int) -> tuple[app.Topology, Array, float]:
    """Return the topology, positions (n, 3) nm and edge (nm) of a cube of about ``n`` atoms of OpenMM's own water."""
    box = app.PDBFile(f"{app.__path__[0]}/data/tip3p.pdb")
    period = box.topology.getPeriodicBoxVectors()[0][0]._value
    places = box.getPositions(asNumpy=True).value_in_unit(unit.nanometer)
    edge = period * (n / len(places)) ** (1.0 / 3.0)
    topology, found = app.Topology(), []
    topology.setPeriodicBoxVectors(np.eye(3) * edge)
    chain = topology.addChain()
    for shift in np.ndindex((int(np.ceil(edge / period)),) * 3):
        for first in range(0, len(places), 3):
            molecule = places[first : first + 3] + np.array(shift) * period
            if np.all((molecule[0] - places.min(axis=0)) < edge):
                residue = topology.addResidue("HOH", chain)
                atoms = [topology.addAtom(f"{e}", app.Element.getBySymbol(e[0]), residue) for e in ("O", "H1", "H2")]
                topology.addBond(atoms[0], atoms[1])
                topology.addBond(atoms[0], atoms[2])
                found.append(molecule)
    return topology, np.vstack(found), edge


def boxes(n: int) -> tuple[OpenMMAdapter, OpenMMAdapter]:
    """Return a box of flexible water with a cutoff of 0.8 nm, and as many atoms without any force."""
    topology, positions, edge = water(n)
    system = app.ForceField("tip3p.xml").createSystem(
        topology, nonbondedMethod=app.CutoffPeriodic, nonbondedCutoff=0.8 * unit.nanometer, rigidWater=False
    )
    empty = openmm.System()
    for i in range(system.getNumParticles()):
        empty.addParticle(system.getParticleMass(i))
    empty.setDefaultPeriodicBoxVectors(*(np.eye(3) * edge))
    settings = OpenMMSettings(threads=1)
    made = [OpenMMAdapter.of(each, topology, positions * unit.nanometer, settings) for each in (system, empty)]
    return made[0], made[1]


def step_times(adapter: OpenMMAdapter, rounds: int) -> tuple[Array, Array]:
    """Return processor times (rounds,) s of one step, plain and hosted, taken in turn."""
    motion, atoms = Motion.read({"timestep": f"{STEP} fs"}), adapter.initial_atoms()
    hosted = OpenMMAdapter(adapter.settings, adapter.model)
    adapter.start(atoms, motion)
    hosted.host(atoms, motion, nothing)
    times = np.empty((2, rounds))
    for i in range(-3, rounds):
        for j, each in enumerate((adapter, hosted)):
            start = process_time()
            each.advance(STEP * fs)
            times[j, i] = process_time() - start
    return times[0], times[1]


def engine_times(adapter: OpenMMAdapter, rounds: int) -> Array:
    """Return processor times (rounds,) s that OpenMM's own PythonForce takes, whose function does not even look."""
    positions = adapter.initial_atoms().positions / 10.0
    forces, contexts = np.zeros_like(positions), []
    for asked in (False, True):
        system = openmm.XmlSerializer.clone(adapter.model.system)
        if asked:
            system.addForce(openmm.PythonForce(lambda state: (0.0, forces)))
        platform = openmm.Platform.getPlatformByName("CPU")
        contexts.append(openmm.Context(system, openmm.VerletIntegrator(1e-6), platform, {"Threads": "1"}))
        contexts[-1].setPositions(positions)
    times = np.empty((2, rounds))
    for i in range(-3, rounds):
        for j, context in enumerate(contexts):
            start = process_time()
            context.getIntegrator().step(1)
            times[j, i] = process_time() - start
    return times[1] - times[0]


@pytest.mark.benchmark
def test_glue_per_step() -> None:
    rows = []
    for n, rounds in ROUNDS.items():
        box, empty = boxes(n)
        plain, hosted = step_times(box, rounds)
        bare, asked = step_times(empty, 5 * rounds)
        engine = engine_times(empty, 5 * rounds)
        found = [np.median(each) for each in (plain, hosted - plain, asked - bare, engine)]
        found.append(1e-3 + 1e-8 * len(box.model))
        rows.append([len(box.model), *(f"{1e3 * t:.2f}" for t in found)])
        assert np.all(asked > 0.0)
    header = ["atoms", "plain step, ms", "glue in the box, ms", "glue without other forces, ms"]
    header += ["of it OpenMM's PythonForce, ms", "target, ms"]
    write_table("glue", header, rows)
