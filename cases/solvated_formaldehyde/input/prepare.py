"""How box.pdb was made: one formaldehyde in TIP3P water, 50 ps at 300 K and 1 bar. Run it by hand; no case needs it."""

import io
from pathlib import Path

import numpy as np
import openmm
from ase.build import molecule
from openmm import app, unit

here = Path(__file__).parent
solute = molecule("H2CO")  # O, C, H, H
order, names = [1, 0, 2, 3], ["C", "O", "H1", "H2"]
lines = [
    f"HETATM{i + 1:5d}  {name:<3s} FOR A   1    {x:8.3f}{y:8.3f}{z:8.3f}  1.00  0.00          {name[0]:>2s}\n"
    for i, (name, (x, y, z)) in enumerate(zip(names, solute.positions[order], strict=True))
]
bonds = "CONECT    1    2    3    4\n"
pdb = app.PDBFile(io.StringIO("".join(lines) + bonds + "END\n"))
force_field = app.ForceField("tip3p.xml", str(here / "formaldehyde.xml"))
modeller = app.Modeller(pdb.topology, pdb.positions)
modeller.addSolvent(force_field, model="tip3p", boxSize=openmm.Vec3(2.6, 2.6, 2.6) * unit.nanometer)
system = force_field.createSystem(
    modeller.topology, nonbondedMethod=app.PME, nonbondedCutoff=1.0 * unit.nanometer, rigidWater=True
)
system.addForce(openmm.MonteCarloBarostat(1.0, 300.0))
integrator = openmm.LangevinMiddleIntegrator(300.0, 1.0, 0.002)
integrator.setRandomNumberSeed(1)
simulation = app.Simulation(modeller.topology, system, integrator)
simulation.context.setPositions(modeller.positions)
simulation.minimizeEnergy()
simulation.context.setVelocitiesToTemperature(300.0, 1)
simulation.step(25_000)
state = simulation.context.getState(getPositions=True, enforcePeriodicBox=True)
box = state.getPeriodicBoxVectors(asNumpy=True)
positions = state.getPositions(asNumpy=True)
shift = 0.5 * np.diag(box.value_in_unit(unit.nanometer)) - positions[:4].value_in_unit(unit.nanometer).mean(axis=0)
simulation.context.setPositions(positions + shift * unit.nanometer)
state = simulation.context.getState(getPositions=True, enforcePeriodicBox=True)
simulation.topology.setPeriodicBoxVectors(state.getPeriodicBoxVectors())
with (here / "box.pdb").open("w") as file:
    app.PDBFile.writeFile(simulation.topology, state.getPositions(), file)
