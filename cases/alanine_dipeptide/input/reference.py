"""How reference.toml and curves.csv were made: the whole molecule in RHF/6-31G* at the geometries of the scan.

Nothing here comes from scalespan. Run by hand: python input/reference.py
"""

from pathlib import Path

import ase
import numpy as np
import openmm
import pyscf
from ase.io import read
from openmm import app, unit
from pyscf import gto, scf

KCAL_PER_HARTREE = 627.5094740631
TOLERANCE = 2.5  # kcal/mol: what this cut and its charges may be wrong by, not a numerical error
PHI, TURNED, ANGLES = (4, 6, 8, 14), range(9, 22), range(60, 301, 20)
LOWEST = ANGLES.index(200)
here = Path(__file__).parent
pdb = app.PDBFile(str(here / "alanine_dipeptide.pdb"))
start = read(here / "alanine_dipeptide.pdb")


def turned(angle: float) -> ase.Atoms:
    """Return the molecule with φ set by turning all beyond the bond N–CA, as ASE does it."""
    atoms = start.copy()
    atoms.set_dihedral(*PHI, angle, indices=list(TURNED))
    return atoms


def quantum(atoms: ase.Atoms) -> float:
    mol = gto.M(atom=list(zip(atoms.symbols, atoms.positions, strict=True)), basis="6-31g*", verbose=0)
    return scf.RHF(mol).density_fit(auxbasis="def2-universal-jkfit").kernel() * KCAL_PER_HARTREE


def force_field() -> openmm.Context:
    system = app.ForceField("amber14-all.xml").createSystem(pdb.topology)
    return openmm.Context(system, openmm.VerletIntegrator(0.001), openmm.Platform.getPlatformByName("Reference"))


def classical(context: openmm.Context, atoms: ase.Atoms) -> float:
    context.setPositions(atoms.positions / 10.0)
    return context.getState(getEnergy=True).getPotentialEnergy().value_in_unit(unit.kilocalorie_per_mole)


context, geometries = force_field(), [turned(angle) for angle in ANGLES]
whole = np.array([quantum(atoms) for atoms in geometries])
amber = np.array([classical(context, atoms) for atoms in geometries])
whole, amber = whole - whole[LOWEST], amber - amber[LOWEST]
rows = ["phi/degree,quantum,force_field"]
rows += [f"{angle},{q:.4f},{m:.4f}" for angle, q, m in zip(ANGLES, whole, amber, strict=True)]
(here / "curves.csv").write_text("\n".join(rows) + "\n", encoding="utf-8")
text = ""
for n, height in enumerate(whole - whole.min()):
    text += f'[relative_{n + 1}]\nvalue = {height:.4f}\ntolerance = {TOLERANCE}\nunit = "kcal/mol"\n'
    text += f'source = "the whole molecule in RHF/6-31G*, PySCF {pyscf.__version__}: input/reference.py"\n'
    text += f'engines = {{ pyscf = "{pyscf.__version__}" }}\n\n'
(here.parent / "reference.toml").write_text(text.rstrip() + "\n", encoding="utf-8")
print(*rows, sep="\n")
