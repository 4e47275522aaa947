"""What a handshake costs each step of the atoms beside engine and law: both answer with zeros, at once.

A ball of fcc argon in a body of simplices four lattice constants wide, ten steps of the atoms in one of the
continuum. Beside it, bare OpenMM (12-6, cut at 8.5 Å, its CPU platform on one thread): steps of its own with as many
atoms, and what a step asks of it, energy and forces of the atoms and their pads at given positions.
"""

from __future__ import annotations

from math import inf
from pathlib import Path
from time import process_time

import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk
from ase.io import write

from scalespan.adapters.interface import Material, Motion, Options, ParticleAdapter, Response, Results
from scalespan.adapters.simplex import SimplexAdapter, SimplexOptions
from scalespan.bridges.handshake import Handshake, HandshakeOptions

from .table import write_table

SIZES = {1_000: 20, 10_000: 10, 100_000: 3}  # free atoms: continuum's steps
A, CUTOFF = 5.25, 8.5  # Å
TURNS = 8


class Zeros(ParticleAdapter):
    """Answers at once."""

    name = "zeros"
    Options = Options

    def _compute(self, atoms, wanted, charges):
        return Results(energy=0.0, forces=np.zeros((len(atoms), 3)), components={"zeros": 0.0})


def model(folder: Path, count: int) -> Handshake:
    write(folder / "crystal.extxyz", bulk("Ar", "fcc", a=A))
    radius = (count * A**3 / 4.0 * 3.0 / (4.0 * np.pi)) ** (1.0 / 3.0)
    half = 4.0 * A * np.ceil((1.5 * radius + 3.0 * CUTOFF) / (4.0 * A))
    sides = {"low": [f"{-half} angstrom"] * 3, "high": [f"{half} angstrom"] * 3, "spacing": f"{4.0 * A} angstrom"}
    table = {
        "crystal": "crystal.extxyz",
        "pad": f"{CUTOFF} angstrom",
        "region": {"centre": ["0 angstrom"] * 3, "radius": f"{radius} angstrom"},
        "continuum_step": "20 fs",
        "beyond_limit": True,
    }
    body = SimplexAdapter(SimplexOptions.read({"timestep": "20 fs"} | sides, folder=folder), law=Slack())
    return Handshake(HandshakeOptions.read(table, folder=folder), atoms=Zeros(), continuum=body)


class Slack(Material):
    """Has no stress, and says so at once."""

    name = "slack"
    Options = Options
    dimension, stress_unit = 3, "eV/angstrom**3"
    density = 4 * 39.948 / A**3

    def _respond(self, deformation, tangent):
        slopes = np.zeros((len(deformation), 3, 3, 3, 3)) if tangent else None
        return Response(np.zeros(len(deformation)), np.zeros_like(deformation), slopes)


class Argon:
    """Bare OpenMM on one thread, 12-6.

    Args:
        atoms: periodic, for steps of its own; or a cluster, as a handshake asks about it.
    """

    def __init__(self, atoms: Atoms) -> None:
        openmm = pytest.importorskip("openmm", reason="openmm is not installed")
        system, force = openmm.System(), openmm.NonbondedForce()
        force.setNonbondedMethod(force.CutoffPeriodic if atoms.pbc.all() else force.CutoffNonPeriodic)
        force.setCutoffDistance(CUTOFF / 10.0)
        if atoms.pbc.all():
            system.setDefaultPeriodicBoxVectors(*(atoms.cell.array / 10.0))
        for _ in range(len(atoms)):
            system.addParticle(39.948)
            force.addParticle(0.0, 0.3405, 0.996)
        system.addForce(force)
        self.integrator, self.places = openmm.VerletIntegrator(0.002), atoms.positions / 10.0
        platform = openmm.Platform.getPlatformByName("CPU")
        self.context = openmm.Context(system, self.integrator, platform, {"Threads": "1"})
        self.context.setPositions(self.places)

    def step(self, count: int) -> float:
        """Return the processor time (s) of a step."""
        begin = process_time()
        self.integrator.step(count)
        self.context.getState(getEnergy=True)
        return (process_time() - begin) / count

    def question(self, count: int) -> float:
        """Return the processor time (s) of setting positions and taking energy and forces."""
        begin = process_time()
        for number in range(count):
            self.places[0, 0] += 1e-4 * (-1) ** number
            self.context.setPositions(self.places)
            self.context.getState(getEnergy=True, getForces=True).getForces(asNumpy=True)
        return (process_time() - begin) / count


def crystal(count: int) -> Atoms:
    return bulk("Ar", "fcc", a=A, cubic=True).repeat(max(4, round((count / 4) ** (1 / 3))))


@pytest.mark.benchmark
def test_the_handshakes_own_time_grows_with_its_surface(tmp_path: Path) -> None:
    """Each figure is the least of several, taken in turns: other programs share the processor."""
    rows = []
    for count, steps in SIZES.items():
        handshake, whole = model(tmp_path, count), crystal(count)
        handshake.start(handshake.initial_atoms(), Motion(timestep="2 fs"))
        handshake.advance(handshake.longest_step * 10)
        field = np.zeros_like(handshake.solid.nodes)
        bare = Argon(whole)
        asked = Argon(Atoms(np.full(len(handshake.sites.reference), 18), handshake.sites.reference))
        own, mesh, alone, question = (inf,) * 4
        for _ in range(TURNS):
            begin = process_time()
            handshake.advance(handshake.longest_step * 10 * steps)
            own = min(own, (process_time() - begin) / (10 * steps))
            begin = process_time()
            for _ in range(steps):
                handshake.solid.elastic(field)
            mesh = min(mesh, (process_time() - begin) / (10 * steps))
            alone = min(alone, bare.step(max(4, 60_000 // len(whole))) * count / len(whole))
            question = min(question, asked.question(max(3, 60_000 // len(whole))))
        sites = len(handshake.sites.reference)
        shown = [f"{1e3 * each:.3g}" for each in (alone, question, own, mesh, own - mesh)]
        shares = (f"{(own - mesh) / each:.1%}" for each in (alone, question))
        rows.append((handshake.free, sites - handshake.free, len(handshake.solid.cells), *shown, *shares))
    header = (
        "free atoms",
        "pads",
        "cells",
        "OpenMM's own steps, ms",
        "OpenMM asked, with pads, ms",
        "handshake, engine and law at once",
        "of it the mesh's elements",
        "its own",
        "own / OpenMM's steps",
        "own / OpenMM asked",
    )
    write_table("handshake", header, rows)
    assert rows
