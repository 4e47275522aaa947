"""Crystals' energies as OpenMM's custom forces, each with the parameter ``weight`` of its particles."""

from __future__ import annotations

import openmm
from ase import Atoms
from openmm import app

from scalespan.adapters.interface.units import KJ_PER_MOL, NANOMETRE
from scalespan.adapters.openmm import OpenMMAdapter, OpenMMOptions

EV = 1.0 / KJ_PER_MOL  # in OpenMM's unit
NM = 1.0 / NANOMETRE

# F. H. Stillinger and T. A. Weber 1985 (doi:10.1103/PhysRevB.31.5262), with the energy of silicon, 4.3366 eV an atom
SW = {"eps": 2.1683 * EV, "sig": 2.0951 * NM, "A": 7.049556277, "B": 0.6022245584, "lam": 21.0, "gam": 1.2}
SW_CUTOFF = 1.8 * 2.0951  # Å
# F. Cleri and V. Rosato 1993 (doi:10.1103/PhysRevB.48.22), copper
COPPER = {"A": 0.0855 * EV, "xi": 1.224 * EV, "p": 10.96, "q": 2.278, "r0": 2.556 * NM}
COPPER_CUTOFF = 5.9  # Å, between the fifth shell and the sixth


def adapter_of(forces: list[openmm.Force], atoms: Atoms) -> OpenMMAdapter:
    """Return the adapter of forces over atoms in vacuum, in double precision; every particle has the weight 1."""
    system, topology = openmm.System(), app.Topology()
    residue = topology.addResidue("ALL", topology.addChain())
    for atom in atoms:
        system.addParticle(atom.mass)
        element = app.Element.getByAtomicNumber(int(atom.number)) if atom.number else None
        topology.addAtom(atom.symbol, element, residue)
    for force in forces:
        for _ in atoms:
            # A many-particle force takes a type beside the parameters.
            many = isinstance(force, openmm.CustomManyParticleForce)
            force.addParticle([1.0], 0) if many else force.addParticle([1.0])
        system.addForce(force)
    return OpenMMAdapter.of(system, topology, atoms.positions, OpenMMOptions.model_construct(platform="Reference"))


def lennard_jones(atoms: Atoms, cutoff: float) -> OpenMMAdapter:
    """Return 4 (r⁻¹² − r⁻⁶), ε = 1 eV and σ = 1 Å, up to a sharp cutoff (Å)."""
    pair = openmm.CustomNonbondedForce("0.5*(weight1 + weight2)*4*eps*((sig/r)^12 - (sig/r)^6)")
    return adapter_of([_finish(pair, {"eps": EV, "sig": NM}, cutoff)], atoms)


def harmonic_neighbours(atoms: Atoms, stiffness: float, length: float) -> OpenMMAdapter:
    """Return ½ k (r − a)² between neighbours nearer than 1.5 a: k in eV/Å², a in Å."""
    pair = openmm.CustomNonbondedForce("0.5*(weight1 + weight2)*0.5*k*(r - a)^2")
    return adapter_of([_finish(pair, {"k": stiffness * EV / NM**2, "a": length * NM}, 1.5 * length)], atoms)


def stillinger_weber(atoms: Atoms) -> OpenMMAdapter:
    """Return silicon: half of a pair to each atom, an angle to its central one.

    At the cutoff exp(σ/(r − aσ)) is 0 and its exponent infinite: the distance stays a little below.
    """
    near = "x{0} = min(distance(p1,p{0}), 1.8*sig - 1e-6)"
    pair = openmm.CustomNonbondedForce(
        "0.5*(weight1 + weight2)*eps*A*(B*(sig/x)^4 - 1)*exp(sig/(x - 1.8*sig)); x = min(r, 1.8*sig - 1e-6)"
    )
    angle = openmm.CustomManyParticleForce(
        3,
        "weight1*eps*lam*(cos(angle(p2,p1,p3)) + 1/3)^2*exp(gam*sig/(x2 - 1.8*sig) + gam*sig/(x3 - 1.8*sig)); "
        + "; ".join(near.format(i) for i in (2, 3)),
    )
    angle.setPermutationMode(openmm.CustomManyParticleForce.UniqueCentralParticle)
    return adapter_of([_finish(pair, SW, SW_CUTOFF), _finish(angle, SW, SW_CUTOFF)], atoms)


def copper(atoms: Atoms) -> OpenMMAdapter:
    """Return E = Σ w_i (Σ_j A exp(−p(r/r₀ − 1)) − (Σ_j ξ² exp(−2q(r/r₀ − 1)))^½)."""
    force = openmm.CustomGBForce()
    sums = openmm.CustomGBForce.ParticlePairNoExclusions
    force.addPerParticleParameter("weight")
    force.addComputedValue("rho", "xi^2*exp(-2*q*(r/r0 - 1))", sums)
    force.addEnergyTerm("-weight*sqrt(rho)", openmm.CustomGBForce.SingleParticle)
    force.addEnergyTerm("(weight1 + weight2)*A*exp(-p*(r/r0 - 1))", sums)
    return adapter_of([_finish(force, COPPER, COPPER_CUTOFF, weight=False)], atoms)


def _finish(force: openmm.Force, parameters: dict[str, float], cutoff: float, weight: bool = True) -> openmm.Force:
    for name, value in parameters.items():
        force.addGlobalParameter(name, value)
    if weight:
        force.addPerParticleParameter("weight")
    force.setNonbondedMethod(force.CutoffNonPeriodic)
    force.setCutoffDistance(cutoff * NM)
    return force
