"""How reference.toml was made: the first point by OpenMM and PySCF's own qmmm, and formaldehyde's bond in a vacuum.

The embedding is done by hand, without scalespan. Run by hand: python input/reference.py
"""

from pathlib import Path

import numpy as np
import openmm
import pyscf
from openmm import app, unit
from pyscf import dft, gto, qmmm
from pyscf.geomopt.geometric_solver import optimize

EV_PER_HARTREE, EV_PER_KJ_PER_MOL = 27.211386024367243, 0.010364269656262175  # CODATA 2014
ELEMENTS, REGION, INNER, OUTER = ("C", "O", "H", "H"), range(4), 7.0, 9.0  # Å: where charges begin to fade, and end
here = Path(__file__).parent
pdb = app.PDBFile(str(here / "box.pdb"))


def low_level() -> tuple[float, np.ndarray, np.ndarray]:
    """Return the energy (eV) without the region's charges and bonded terms, positions (Å), charges (e)."""
    force_field = app.ForceField("tip3p.xml", str(here / "formaldehyde.xml"))
    system = force_field.createSystem(
        pdb.topology,
        nonbondedMethod=app.PME,
        nonbondedCutoff=0.9,
        switchDistance=0.8,
        ewaldErrorTolerance=1e-5,
        rigidWater=True,
    )
    for force in system.getForces():
        if isinstance(force, openmm.HarmonicBondForce):
            for k in range(force.getNumBonds()):
                i, j, length, _ = force.getBondParameters(k)
                if i in REGION:
                    force.setBondParameters(k, i, j, length, 0.0)
        if isinstance(force, openmm.HarmonicAngleForce):
            for k in range(force.getNumAngles()):
                i, j, m, angle, _ = force.getAngleParameters(k)
                if i in REGION:
                    force.setAngleParameters(k, i, j, m, angle, 0.0)
        if isinstance(force, openmm.NonbondedForce):
            charges = np.array([force.getParticleParameters(i)[0]._value for i in range(system.getNumParticles())])
            for i in REGION:
                force.setParticleParameters(i, 0.0, *force.getParticleParameters(i)[1:])
    platform = openmm.Platform.getPlatformByName("Reference")  # double precision
    context = openmm.Context(system, openmm.VerletIntegrator(0.0005), platform)
    context.setPositions(pdb.positions)
    context.applyConstraints(1e-8)  # the PDB file has three digits
    state = context.getState(getEnergy=True, getPositions=True)
    energy = state.getPotentialEnergy().value_in_unit(unit.kilojoule_per_mole) * EV_PER_KJ_PER_MOL
    return energy, state.getPositions(asNumpy=True).value_in_unit(unit.angstrom), charges


def seen_charges(positions: np.ndarray, charges: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return places (Å) and sizes (e) of the charges of whole waters near the region, faded at the edge."""
    edges = np.array([v[k].value_in_unit(unit.angstrom) for k, v in enumerate(pdb.topology.getPeriodicBoxVectors())])
    region, water = positions[:4], positions[4:].reshape(-1, 3, 3)
    middle = region.mean(axis=0)
    water = water + edges * np.round((water[:, :1] - water) / edges)  # whole
    away = water.mean(axis=1) - middle
    water = water - (edges * np.round(away / edges))[:, None]  # at the nearest image
    distances = np.linalg.norm(water.mean(axis=1)[:, None] - region, axis=2)
    t = np.clip((distances - INNER) / (OUTER - INNER), 0.0, 1.0)
    fading = 1.0 - np.prod(10 * t**3 - 15 * t**4 + 6 * t**5, axis=1)
    near = fading > 0.0
    return water[near].reshape(-1, 3), (charges[4:].reshape(-1, 3) * fading[:, None])[near].ravel()


def method(mol: gto.Mole) -> dft.rks.RKS:
    mf = dft.RKS(mol, xc="pbe").density_fit(auxbasis="def2-universal-jfit")
    mf.grids.level, mf.conv_tol = 1, 1e-11
    return mf


def molecule(positions: np.ndarray) -> gto.Mole:
    return gto.M(atom=list(zip(ELEMENTS, positions.tolist(), strict=True)), basis="def2-svp", verbose=0)


energy_low, positions, charges = low_level()
places, sizes = seen_charges(positions, charges)
energy_high = qmmm.mm_charge(method(molecule(positions[:4])), places, sizes, unit="Ang").kernel() * EV_PER_HARTREE
relaxed = optimize(method(molecule(positions[:4])), verbose=0)
bond = np.linalg.norm(np.subtract(*relaxed.atom_coords(unit="Ang")[:2]))

versions = f'openmm = "{openmm.version.short_version}", pyscf = "{pyscf.__version__}"'
by_hand = f"OpenMM {openmm.version.short_version} (Reference platform) and PySCF {pyscf.__version__} with its own qmmm"
vacuum = f"the minimum in a vacuum, PySCF {pyscf.__version__} with geomeTRIC; 50 fs in water come within 0.03 Å of it"
text = ""
for name, value, tolerance, of, source in (
    ("energy_low_first", energy_low, 5e-3, "eV", by_hand),  # OpenMM's CPU platform is of single precision
    ("energy_high_first", energy_high, 1e-3, "eV", by_hand),
    ("potential_first", energy_low + energy_high, 5e-3, "eV", by_hand),
    ("CO_mean", bond, 0.03, "angstrom", vacuum),
):
    text += f'[{name}]\nvalue = {value:.4f}\ntolerance = {tolerance}\nunit = "{of}"\n'
    text += f'source = "{source}: input/reference.py"\nengines = {{ {versions} }}\n\n'
(here.parent / "reference.toml").write_text(text.rstrip() + "\n", encoding="utf-8")
