"""A system with the names of its atoms: what every kind of input becomes."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from ase import Atoms

from ..interface import Array, EngineImport, Indices, Topology
from ..interface.units import NANOMETRE

with EngineImport("openmm", install="pip install 'scalespan[openmm]'") as engine:
    import openmm
    from openmm import unit

if TYPE_CHECKING:
    from openmm import app

log = logging.getLogger(__name__)

RESTRAINT = "restraint: "  # how the name of a restraint's force begins
PAIRS = "region pairs"  # the nonbonded terms of an inside, as bonds
PAIRS_14 = "region 1-4 pairs"


@dataclass(frozen=True)
class Model:
    """A System, the topology of its particles, and where they are."""

    system: openmm.System
    topology: Topology
    positions: Array  # (n, 3) Å
    cell: Array | None  # (3, 3) Å; None without a periodic force
    velocities: Array | None = None  # (n, 3) Å per ASE's time, where the input has them

    def __len__(self) -> int:
        return len(self.topology)

    @property
    def masses(self) -> Array:
        """Masses (n,) amu; zero for a site or a fixed atom."""
        return np.array([self.system.getParticleMass(i)._value for i in range(len(self))])

    @property
    def sites(self) -> Indices:
        """Indices of the virtual sites, whose positions follow from other atoms."""
        return np.flatnonzero([self.system.isVirtualSite(i) for i in range(len(self))]).astype(np.int64)

    def atoms(self) -> Atoms:
        """Return the particles as atoms; a virtual site is an X without mass."""
        names = self.topology
        atoms = Atoms(numbers=names.numbers, positions=self.positions)
        atoms.set_masses(self.masses)
        if self.cell is not None:
            atoms.set_cell(self.cell)
            atoms.pbc = True
        if self.velocities is not None:
            atoms.set_velocities(self.velocities)
        atoms.set_array("atomtypes", np.array(names.names))
        atoms.set_array("residuenames", np.array(names.residue_names)[names.residues])
        atoms.set_array("residuenumbers", np.array(names.residue_numbers)[names.residues])
        return atoms


def nonbonded_of(system: openmm.System) -> openmm.NonbondedForce | None:
    """Return the system's NonbondedForce, or None."""
    return next((force for force in system.getForces() if isinstance(force, openmm.NonbondedForce)), None)


def cutoff_of(system: openmm.System) -> float:
    """Return the longest cutoff (Å) of the system's periodic forces, zero without one."""
    forces = [each for each in system.getForces() if hasattr(each, "getCutoffDistance")]
    cutoffs = [each.getCutoffDistance()._value for each in forces if each.usesPeriodicBoundaryConditions()]
    return float(max(cutoffs, default=0.0)) * NANOMETRE


def default_cell(system: openmm.System) -> Array | None:
    """Return the cell (3, 3) Å that a periodic system came with."""
    if not system.usesPeriodicBoundaryConditions():
        return None
    return np.array([vector._value for vector in system.getDefaultPeriodicBoxVectors()]) * NANOMETRE


def read_topology(topology: app.Topology, system: openmm.System) -> Topology:
    """Return the names and bonds of an OpenMM topology, with the system's charges.

    Atoms to which the topology has no bond take those of the system's harmonic bonds and constraints.
    """
    atoms = list(topology.atoms())
    residues = list(topology.residues())
    bonds = {_ordered(bond.atom1.index, bond.atom2.index) for bond in topology.bonds()}
    numbers = [atom.element.atomic_number if atom.element else 0 for atom in atoms]
    bonds |= _bonds_of(system, {atom for bond in bonds for atom in bond})
    bonds = _without_water_struts(bonds, numbers)
    return Topology(
        numbers=np.array(numbers, dtype=np.int64),
        names=tuple(atom.name for atom in atoms),
        residues=np.array([atom.residue.index for atom in atoms], dtype=np.int64),
        residue_names=tuple(residue.name for residue in residues),
        residue_numbers=tuple(_number(residue.id, residue.index + 1) for residue in residues),
        chains=tuple(str(residue.chain.id) for residue in residues),
        bonds=np.array(sorted(bonds), dtype=np.int64).reshape(-1, 2),
        charges=charges_of(system),
    )


def charges_of(system: openmm.System) -> Array:
    """Return the charges (n,) e of the NonbondedForce, zeros without one."""
    force = nonbonded_of(system)
    if force is None:
        return np.zeros(system.getNumParticles())
    return np.array([force.getParticleParameters(i)[0]._value for i in range(force.getNumParticles())])


def _ordered(i: int, j: int) -> tuple[int, int]:
    return (i, j) if i < j else (j, i)


def _number(text: str, otherwise: int) -> int:
    try:
        return int(text)
    except ValueError:
        return otherwise


def _bonds_of(system: openmm.System, bonded: set[int]) -> set[tuple[int, int]]:
    found = {_ordered(*system.getConstraintParameters(i)[:2]) for i in range(system.getNumConstraints())}
    for force in system.getForces():
        if isinstance(force, openmm.HarmonicBondForce) and "Urey" not in force.getName():
            found |= {_ordered(*force.getBondParameters(i)[:2]) for i in range(force.getNumBonds())}
    return {pair for pair in found if not bonded.intersection(pair)}


def _without_water_struts(bonds: set[tuple[int, int]], numbers: list[int]) -> set[tuple[int, int]]:
    """Leave out what holds the two hydrogens of a rigid water apart: both have another neighbour in common."""
    near: dict[int, set[int]] = {}
    for i, j in bonds:
        near.setdefault(i, set()).add(j)
        near.setdefault(j, set()).add(i)
    return {(i, j) for i, j in bonds if not (numbers[i] == numbers[j] == 1 and near[i] & near[j])}


def prepare(system: openmm.System) -> None:
    """Make of a system the energy and nothing else, in place.

    The thermostat, barostat and centre-of-mass remover of the input go, because `Motion` says how
    atoms move, and so do forces without terms.
    In a box, bonded terms and exceptions take the nearest image, so that the energy does not
    depend on which image of an atom was given.
    """
    movers = ("CMMotionRemover", "AndersenThermostat", "MonteCarlo")
    for index in reversed(range(system.getNumForces())):
        force = system.getForce(index)
        if type(force).__name__.startswith(movers):
            log.info("the %s of the input is left out: the ensemble says how atoms move", type(force).__name__)
            system.removeForce(index)
        elif _is_empty(force):
            system.removeForce(index)
    nonbonded = nonbonded_of(system)
    if nonbonded is None or not nonbonded.usesPeriodicBoundaryConditions():
        return
    nonbonded.setExceptionsUsePeriodicBoundaryConditions(True)
    bonded = (openmm.HarmonicBondForce, openmm.HarmonicAngleForce, openmm.PeriodicTorsionForce)
    for force in system.getForces():
        if isinstance(force, (*bonded, openmm.RBTorsionForce, openmm.CMAPTorsionForce)):
            force.setUsesPeriodicBoundaryConditions(True)


def _is_empty(force: openmm.Force) -> bool:
    counts = ("getNumBonds", "getNumAngles", "getNumTorsions")
    return any(getattr(force, each)() == 0 for each in counts if hasattr(force, each))


def nanometres(length: float) -> unit.Quantity:
    """Return a length (Å) as OpenMM's quantity."""
    return (length / NANOMETRE) * unit.nanometer
