"""Write the box: 108 atoms of argon with a smooth cut-off, as a System of OpenMM and a PDB file."""

from pathlib import Path

import openmm
from ase.build import bulk
from openmm import app, unit

HERE = Path(__file__).parent
LATTICE = 5.318  # Å, about without stress at 5 K
SIGMA, EPSILON = 0.3405 * unit.nanometer, 0.0104 * 96.48533212 * unit.kilojoule_per_mole

atoms = bulk("Ar", "fcc", a=LATTICE, cubic=True).repeat(3)
atoms.positions += 0.25 * LATTICE / 2  # off the faces of the box
force = openmm.NonbondedForce()
force.setNonbondedMethod(openmm.NonbondedForce.CutoffPeriodic)
force.setCutoffDistance(0.6)
force.setUseSwitchingFunction(True)
force.setSwitchingDistance(0.5)
force.setUseDispersionCorrection(False)
system, topology = openmm.System(), app.Topology()
system.setDefaultPeriodicBoxVectors(*(row * unit.angstrom for row in atoms.cell.array))
topology.setPeriodicBoxVectors(atoms.cell.array * unit.angstrom)
chain = topology.addChain()
for _ in atoms:
    topology.addAtom("AR", app.Element.getBySymbol("Ar"), topology.addResidue("AR", chain))
    system.addParticle(39.948)
    force.addParticle(0.0, SIGMA, EPSILON)
system.addForce(force)
(HERE / "system.xml").write_text(openmm.XmlSerializer.serialize(system))
with (HERE / "box.pdb").open("w") as file:
    app.PDBFile.writeFile(topology, atoms.positions * unit.angstrom, file)
