"""What a handshake costs each step of the atoms beside engine and law: both answer with zeros, at once.

A ball of fcc argon in a body of simplices four lattice constants wide, ten steps of the atoms in one of the
continuum. Beside it, as many atoms by bare OpenMM (12-6, cut at 8.5 Å, its CPU platform on one thread).
"""

from __future__ import annotations

from pathlib import Path
from time import process_time

import numpy as np
import pytest
from ase.build import bulk
from ase.io import write

from scalespan.adapters.interface import Material, Motion, Options, ParticleAdapter, Response, Results
from scalespan.adapters.simplex import SimplexAdapter, SimplexOptions
from scalespan.bridges.handshake import Handshake, HandshakeOptions

from .table import write_table

SIZES = {1_000: 20, 10_000: 10, 100_000: 3}  # free atoms: continuum's steps
A, CUTOFF = 5.25, 8.5  # Å


class Zeros(ParticleAdapter):
    """Answers at once."""

    name = "zeros"
    Options = Options

    def _compute(self, atoms, wanted, charges):
        return Results(energy=0.0, forces=np.zeros((len(atoms), 3)), components={"zeros": 0.0})


def model(folder: Path, count: int) -> Handshake:
    crystal = bulk("Ar", "fcc", a=A)
    write(folder / "crystal.extxyz", crystal)
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


def openmm_step(count: int) -> float:
    """Return the processor time (s) of a step of bare OpenMM."""
    openmm = pytest.importorskip("openmm", reason="openmm is not installed")
    cells = max(4, round((count / 4) ** (1 / 3)))
    atoms = bulk("Ar", "fcc", a=A, cubic=True).repeat(cells)
    system, force = openmm.System(), openmm.NonbondedForce()
    force.setNonbondedMethod(force.CutoffPeriodic)
    force.setCutoffDistance(CUTOFF / 10.0)
    system.setDefaultPeriodicBoxVectors(*(atoms.cell.array / 10.0))
    for _ in range(len(atoms)):
        system.addParticle(39.948)
        force.addParticle(0.0, 0.3405, 0.996)
    system.addForce(force)
    integrator = openmm.VerletIntegrator(0.002)
    platform = openmm.Platform.getPlatformByName("CPU")
    context = openmm.Context(system, integrator, platform, {"Threads": "1"})
    context.setPositions(atoms.positions / 10.0)
    integrator.step(20)
    steps = max(10, 300_000 // len(atoms))
    begin = process_time()
    integrator.step(steps)
    context.getState(getEnergy=True)
    return (process_time() - begin) / steps * count / len(atoms)


@pytest.mark.benchmark
def test_the_handshakes_own_time_grows_with_its_surface(tmp_path: Path) -> None:
    rows = []
    for count, steps in SIZES.items():
        handshake = model(tmp_path, count)
        atoms = handshake.initial_atoms()
        handshake.start(atoms, Motion(timestep="2 fs"))
        handshake.advance(handshake.longest_step * 10)
        begin = process_time()
        handshake.advance(handshake.longest_step * 10 * steps)
        own = (process_time() - begin) / (10 * steps)
        field = np.zeros_like(handshake.solid.nodes)
        begin = process_time()
        for _ in range(steps):
            handshake.solid.elastic(field)
        mesh = (process_time() - begin) / (10 * steps)
        bare = openmm_step(count)
        pads = len(handshake.sites.reference) - handshake.sites.free
        cells = len(handshake.solid.cells)
        shown = [f"{1e3 * each:.3g}" for each in (bare, own, mesh, own - mesh)]
        rows.append((handshake.free, pads, cells, *shown, f"{(own - mesh) / bare:.1%}"))
    header = (
        "free atoms",
        "pads",
        "cells",
        "bare OpenMM, ms a step",
        "handshake, engine and law at once",
        "of it the mesh's elements",
        "its own",
        "own / OpenMM",
    )
    write_table("handshake", header, rows)
    assert rows
