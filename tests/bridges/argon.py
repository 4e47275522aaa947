"""Boxes of Lennard-Jones argon by OpenMM, with a smooth cut-off, and their pair sums by formula."""

from __future__ import annotations

from itertools import product
from typing import Any

import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk

from scalespan.adapters.interface import Array

SIGMA, EPSILON = 3.405, 0.0104  # Å, eV
SWITCH, CUTOFF = 5.0, 6.0  # Å: between the second shell and the third, and beyond it
MASS = 39.948


def argon(a: float = 5.30, repeat: int = 3) -> Atoms:
    """Return a cube of fcc argon."""
    return bulk("Ar", "fcc", a=a, cubic=True).repeat(repeat)


def engine(atoms: Atoms, platform: str = "Reference", cutoff: float = CUTOFF) -> Any:
    """Return OpenMM's adapter of the atoms: a NonbondedForce without charges, switched off."""
    openmm = pytest.importorskip("openmm", reason="OpenMM is not installed")
    if not hasattr(openmm.MonteCarloFlexibleBarostat, "computeStressTensor"):
        pytest.skip("OpenMM is older than 8.6")
    from openmm import app, unit

    from scalespan.adapters.interface.units import KJ_PER_MOL
    from scalespan.adapters.openmm import OpenMMAdapter, OpenMMSettings

    force = openmm.NonbondedForce()
    force.setNonbondedMethod(openmm.NonbondedForce.CutoffPeriodic)
    force.setCutoffDistance(0.1 * cutoff)
    force.setUseSwitchingFunction(True)
    force.setSwitchingDistance(0.1 * SWITCH)
    force.setUseDispersionCorrection(False)
    system, topology = openmm.System(), app.Topology()
    system.setDefaultPeriodicBoxVectors(*(row * unit.angstrom for row in atoms.cell.array))
    topology.setPeriodicBoxVectors(system.getDefaultPeriodicBoxVectors())
    residue = topology.addResidue("AR", topology.addChain())
    for _ in atoms:
        system.addParticle(MASS)
        force.addParticle(0.0, 0.1 * SIGMA, EPSILON / KJ_PER_MOL)
        topology.addAtom("AR", app.Element.getBySymbol("Ar"), residue)
    system.addForce(force)
    return OpenMMAdapter.of(
        system, topology, atoms.positions, OpenMMSettings(platform=platform, threads=1 if platform == "CPU" else None)
    )


def pair_sum(atoms: Atoms) -> tuple[float, Array]:
    """Return the energy (eV) and the stress (3, 3) eV/Å³ by Σ φ(r) and Σ φ′(r) r⊗r/(r V), over images."""
    energy, virial = 0.0, np.zeros((3, 3))
    between = atoms.positions[None] - atoms.positions[:, None]
    for shift in product((-1, 0, 1), repeat=3):
        along = between + np.array(shift) @ atoms.cell.array
        r = np.linalg.norm(along, axis=2)
        near = (r > 1e-6) & (r < CUTOFF)
        value, slope = switched(r[near])
        energy += 0.5 * float(value.sum())
        virial += 0.5 * np.einsum("k,ki,kj->ij", slope / r[near], along[near], along[near])
    return energy, virial / atoms.get_volume()


def switched(r: Array) -> tuple[Array, Array]:
    """Return φ and φ′ with OpenMM's switching function, 1 − 10 x³ + 15 x⁴ − 6 x⁵."""
    six = (SIGMA / r) ** 6
    value, slope = 4.0 * EPSILON * (six**2 - six), 4.0 * EPSILON * (-12.0 * six**2 + 6.0 * six) / r
    x = np.clip((r - SWITCH) / (CUTOFF - SWITCH), 0.0, 1.0)
    by, falls = 1.0 - x**3 * (10.0 - 15.0 * x + 6.0 * x**2), -30.0 * x**2 * (1.0 - x) ** 2 / (CUTOFF - SWITCH)
    return value * by, slope * by + value * falls
