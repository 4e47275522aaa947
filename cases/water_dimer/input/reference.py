"""How reference.toml and curves.csv were made: the same energies from PySCF's own qmmm, formulas and ASE's TIP3P.

Nothing here comes from scalespan. Run by hand: python input/reference.py
"""

from pathlib import Path

import ase
import numpy as np
import pyscf
from ase import units
from ase.calculators.tip3p import TIP3P
from ase.io import read
from pyscf import gto, qmmm, scf

KCAL_PER_HARTREE = 627.5094740631
CHARGES = np.array([-0.834, 0.417, 0.417])  # e, O H H
# Lennard-Jones of TIP3P, σ (Å) and ε (kcal/mol), as OpenMM's tip3p.xml has them and as ASE has them
OPENMM, ORIGINAL = (3.1507524065751241, 0.635968 / 4.184), (3.15061, 0.1521)
DISTANCES = (2.5, 2.6, 2.7, 2.8, 2.910419092080211, 3.0, 3.2, 3.5, 4.0, 5.0, 7.0)  # Å, between the oxygens
S22 = DISTANCES.index(2.910419092080211)
here = Path(__file__).parent
dimer = read(here / "dimer.xyz")


def apart(distance: float) -> ase.Atoms:
    """Return the dimer with the second water moved along the line of the oxygens."""
    moved = dimer.copy()
    line = moved.positions[3] - moved.positions[0]
    moved.positions[3:] += line * (distance / np.linalg.norm(line) - 1.0)
    return moved


def hartree_fock(atoms: ase.Atoms, places: np.ndarray | None = None) -> float:
    """Return RHF/6-31G* of ``atoms``, in TIP3P's charges at ``places``, kcal/mol."""
    body = list(zip(atoms.symbols, atoms.positions, strict=True))
    mf = scf.RHF(gto.M(atom=body, basis="6-31g*", verbose=0))
    if places is not None:
        mf = qmmm.mm_charge(mf, places, CHARGES, unit="Ang")
    mf.conv_tol = 1e-11
    return mf.kernel() * KCAL_PER_HARTREE


def lennard_jones(distance: float, sigma: float, epsilon: float) -> float:
    return 4.0 * epsilon * ((sigma / distance) ** 12 - (sigma / distance) ** 6)


def tip3p(atoms: ase.Atoms) -> float:
    """Return the interaction of two TIP3P waters by ASE, kcal/mol."""
    atoms.calc = TIP3P(rc=1e4)
    atoms.set_cell([1e5, 1e5, 1e5])
    return atoms.get_potential_energy() / (units.kcal / units.mol)


first, second = dimer[:3], dimer[3:]
alone, both_alone = hartree_fock(first), hartree_fock(first) + hartree_fock(second)
rows, text = ["distance/angstrom,embedded,embedded_original_lj,quantum,tip3p_ase"], ""
for n, distance in enumerate(DISTANCES):
    pair = apart(distance)
    electrostatic = hartree_fock(pair[:3], pair.positions[3:]) - alone
    embedded, original = (electrostatic + lennard_jones(distance, *numbers) for numbers in (OPENMM, ORIGINAL))
    others = original, hartree_fock(pair) - both_alone, tip3p(pair)
    rows.append(",".join(f"{value:.6f}" for value in (distance, embedded, *others)))
    text += f'[relative_{n + 1}]\nvalue = {embedded:.6f}\ntolerance = 1e-5\nunit = "kcal/mol"\n'
    text += (
        f'source = "PySCF {pyscf.__version__} with its own qmmm, and the Lennard-Jones formula: input/reference.py"\n'
    )
    text += f'engines = {{ pyscf = "{pyscf.__version__}" }}\n\n'
(here / "curves.csv").write_text("\n".join(rows) + "\n", encoding="utf-8")
(here.parent / "reference.toml").write_text(text.rstrip() + "\n", encoding="utf-8")
print(rows[0], rows[1 + S22], sep="\n")
