"""A box of water with one quantum molecule: its images, and its pressure.

The virial of its forces is the energy's derivative with the box.

A Monte Carlo barostat scales the centres of molecules with the box. For the high level's energy, a function of
what the region sees, that derivative is dE/dλ = −Σ_m F_m · (C_m − C_region) over the molecules m, with F_m the force
on a molecule, C_m its centre at the image that the region sees (Allen and Tildesley, Computer Simulation of
Liquids, section 2.4, doi:10.1093/oso/9780198803195.001.0001). Taken at another image it is wrong: that is the usual
mistake, and the test shows that it would be seen.
"""

from __future__ import annotations

import numpy as np
import pytest
from ase import Atoms, units
from ase.geometry import find_mic
from scipy.spatial.transform import Rotation

from scalespan.adapters.interface import ADAPTERS, Quantity
from scalespan.bridges.embedding import Embedding, EmbeddingOptions

EDGE, SIDE = 12.42, 4  # Å and molecules along an edge: 64 waters at 0.997 g/cm³
CONVERGENCE = 1e-12  # hartree


@pytest.fixture(scope="module")
def box() -> Atoms:
    """64 waters on a lattice, turned and shifted at random, stored in scattered images."""
    random = np.random.default_rng(4)
    water = np.array([[0.0, 0.0, 0.0], [0.9572, 0.0, 0.0], [-0.2399872, 0.92662721, 0.0]])
    grid = np.stack(np.meshgrid(*[np.arange(SIDE)] * 3), axis=-1).reshape(-1, 3)
    centres = (grid + 0.5) * EDGE / SIDE + random.uniform(-0.1, 0.1, (SIDE**3, 3))
    centres += random.integers(-1, 2, centres.shape) * EDGE
    turned = [Rotation.random(rng=random).apply(water) + centre for centre in centres]
    return Atoms("OHH" * SIDE**3, positions=np.concatenate(turned), cell=[EDGE] * 3, pbc=True)


@pytest.fixture(scope="module")
def model(box, tmp_path_factory) -> Embedding:
    path = tmp_path_factory.mktemp("virial") / "box.pdb"
    path.write_text(_pdb(box))
    openmm, pyscf = ADAPTERS.find("openmm"), ADAPTERS.find("pyscf")
    table = {"pdb": str(path), "force_field": ["tip3p.xml"], "nonbonded": "cutoff-periodic", "cutoff": "5 angstrom"}
    low = openmm(openmm.Options.read(table | {"platform": "Reference"}))
    high = pyscf(pyscf.Options.read({"method": "rhf", "basis": "sto-3g", "convergence": f"{CONVERGENCE} hartree"}))
    charges = {"cutoff": "4.8 angstrom", "switch": "3 angstrom"}
    options = EmbeddingOptions.read({"scheme": "additive", "region": {"atoms": [0, 1, 2]}, "charges": charges})
    return Embedding(options, low=low, high=high)


def scaled(box: Atoms, factor: float) -> Atoms:
    """Return the box with its edges and the centres of its molecules scaled, the molecules as they were."""
    centres = np.repeat(box.positions.reshape(-1, 3, 3).mean(axis=1), 3, axis=0)
    found = box.copy()
    found.set_cell(box.cell * factor)
    found.positions += (factor - 1.0) * centres
    return found


def high_energy(model: Embedding, atoms: Atoms) -> float:
    return model.compute(atoms, {Quantity.ENERGY}).components["high"]


def high_forces(model: Embedding, atoms: Atoms) -> np.ndarray:
    """Return the forces (n, 3) of the high level's energy: all forces less those of the low level's terms."""
    region = np.arange(3)
    charges = model.low.topology.charges.copy()
    charges[region] = 0.0
    rest = model.low.select(region, "rest", charges)
    every = model.compute(atoms, {Quantity.FORCES}).forces
    return every - rest.compute(atoms, {Quantity.FORCES}).forces


def virial(atoms: Atoms, forces: np.ndarray, nearest: bool) -> float:
    """Return −Σ_m F_m · (C_m − C_region) (eV)."""
    centres = atoms.positions.reshape(-1, 3, 3).mean(axis=1)
    along = centres - centres[0]
    if nearest:
        along = find_mic(along, atoms.cell)[0]
    return -float((forces.reshape(-1, 3, 3).sum(axis=1) * along).sum())


def test_it_does_not_matter_in_which_image_an_atom_is_stored(model, box):
    """Each atom on its own is moved by a lattice vector; energy and forces stay."""
    wanted = {Quantity.ENERGY, Quantity.FORCES}
    here = model.compute(box, wanted)
    elsewhere = box.copy()
    elsewhere.positions += np.random.default_rng(1).integers(-2, 3, box.positions.shape) @ box.cell.array
    there = model.compute(elsewhere, wanted)
    assert there.energy == pytest.approx(here.energy, abs=1e-8)
    assert there.components["high"] == pytest.approx(here.components["high"], abs=1e-8)
    # The orbitals' gradient ends below the square root of the energy's tolerance, and forces are as good as that.
    assert np.abs(there.forces - here.forces).max() < np.sqrt(CONVERGENCE) * units.Hartree / units.Bohr


def test_the_virial_is_the_derivative_with_the_box(model, box):
    step = 1e-4
    slope = (high_energy(model, scaled(box, 1.0 + step)) - high_energy(model, scaled(box, 1.0 - step))) / (2.0 * step)
    forces = high_forces(model, box)
    assert abs(slope) > 0.1  # eV: there is something to see
    assert virial(box, forces, nearest=True) == pytest.approx(slope, abs=1e-5)
    assert abs(virial(box, forces, nearest=False) - slope) > 0.1


def _pdb(atoms: Atoms) -> str:
    lines = [f"CRYST1{EDGE:9.3f}{EDGE:9.3f}{EDGE:9.3f}  90.00  90.00  90.00 P 1           1"]
    for i, (x, y, z) in enumerate(atoms.positions):
        name, at = ("O", "H1", "H2")[i % 3], f"{x:8.3f}{y:8.3f}{z:8.3f}"
        lines.append(f"HETATM{i + 1:5d}  {name:<3s} HOH A{i // 3 + 1:4d}    {at}  1.00  0.00          {name[0]:>2s}")
    return "\n".join([*lines, "END", ""])
