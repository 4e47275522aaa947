"""LAMMPS moves the atoms of a handshake: OpenMM's numbers for pairs, and a vacancy in a metal against all its atoms."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from ase.build import bulk
from ase.io import write
from ase.units import GPa

from scalespan.adapters.interface import CaseError, ParticleAdapter
from scalespan.adapters.lammps import LAMMPSAdapter, LAMMPSOptions
from scalespan.adapters.simplex import SimplexAdapter, SimplexOptions
from scalespan.bridges.cauchy_born import CauchyBorn, elastic_constants
from scalespan.bridges.handshake import Handshake, HandshakeOptions, graded_nodes
from scalespan.bridges.handshake.stability import softest, stability_table

from . import copper
from .crystals import WANTED, PairLaw, ball, box, fcc

pytestmark = pytest.mark.skipif(shutil.which("lmp") is None, reason="LAMMPS is not installed: apt-get install lammps")

STRAINS = {
    "none": np.zeros((3, 3)),
    "4 %": np.diag([0.04, 0.0, 0.0]),
    "shear": np.array([[0.0, 0.02, 0.0], [0.0, 0.0, 0.0], [0.0, 0.0, 0.0]]),
}
A = 1.5496  # Å, of the Lennard-Jones crystal, ε = 1 eV and σ = 1 Å


class Sharp:
    """4 (r⁻¹² − r⁻⁶) up to a cut-off between the third and the fourth shell."""

    cutoff = 2.05

    def __call__(self, r):
        return 4.0 * (r**-12 - r**-6), -24.0 * (2.0 * r**-13 - r**-7)


def pairs_by(engine: str, sites: int) -> ParticleAdapter:
    if engine == "lammps":
        lines = [f"pair_style lj/cut {Sharp.cutoff}", "pair_coeff * * 1 1"]
        return LAMMPSAdapter(LAMMPSOptions(elements=["Ar"], interaction=lines))
    pytest.importorskip("openmm", reason="openmm is not installed: pip install 'scalespan[openmm]'")
    from .blends import SYSTEMS

    atoms = bulk("Ar", "fcc", a=A).repeat(12)[:sites]
    adapter: ParticleAdapter = SYSTEMS.lennard_jones(atoms, Sharp.cutoff)
    return adapter


def argon(folder: Path, engine: str, strain: str) -> Handshake:
    write(folder / "crystal.extxyz", fcc(A))
    mesh = {"timestep": "1 fs"} | box(np.full(3, 7.5), 2.5)
    body = SimplexAdapter(SimplexOptions.read(mesh), law=PairLaw(Sharp(), fcc(A)))
    table = {
        "crystal": "crystal.extxyz",
        "pad": f"{Sharp.cutoff + 0.3} angstrom",
        "region": ball(2.3, 3),
        "deformation": (np.eye(3) + STRAINS[strain]).tolist(),
    }
    options = HandshakeOptions.read(table, folder=folder)
    count = Handshake(options, atoms=pairs_by("lammps", 0), continuum=body).sites.reference.shape[0]
    return Handshake(options, atoms=pairs_by(engine, count), continuum=body)


@pytest.mark.parametrize("strain", STRAINS)
def test_the_patch_test_is_openmms(tmp_path: Path, strain: str) -> None:
    forces = []
    for engine in ("lammps", "openmm"):
        model = argon(tmp_path, engine, strain)
        atoms = model.initial_atoms()
        still = model.compute(atoms, WANTED).forces
        assert np.abs(still).max() < 1e-10
        atoms.positions += np.random.default_rng(2).normal(0.0, 0.02, atoms.positions.shape)
        forces.append(model.compute(atoms, WANTED).forces)
        model.close()
    assert np.abs(forces[0] - forces[1]).max() < 1e-10 < np.abs(forces[0]).max()


@pytest.fixture(scope="module")
def metal(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LAMMPSAdapter]:
    adapter = copper.engine(tmp_path_factory.mktemp("copper"))
    yield adapter
    adapter.close()


@pytest.fixture(scope="module")
def material(metal: LAMMPSAdapter) -> CauchyBorn:
    return copper.law(metal)


def test_the_table_is_the_published_copper(material: CauchyBorn) -> None:
    """a₀ and E_coh to which it was fitted, and the constants of its functions without a table or a cut-off."""
    crystal = material.crystal
    assert (4.0 * crystal.volume) ** (1.0 / 3.0) == pytest.approx(3.615, rel=1e-4)
    assert material.respond(np.eye(3)[None]).energy[0] * crystal.volume == pytest.approx(-3.54, rel=1e-4)
    c = elastic_constants(material) / GPa
    np.testing.assert_allclose([c[0, 0], c[0, 1], c[3, 3]], [169.63, 122.14, 75.74], rtol=2e-3)


@pytest.mark.parametrize("strain", ["none", "shear"])
def test_embedded_atoms_make_no_ghost_force(
    tmp_path: Path, metal: LAMMPSAdapter, material: CauchyBorn, strain: str
) -> None:
    deformation = (np.eye(3) + 0.5 * STRAINS[strain]).tolist()
    mesh = box(np.full(3, 24.0), 6.0)
    model = copper.joined(tmp_path, metal, material, mesh, region=ball(4.0, 3), deformation=deformation)
    assert np.abs(model.compute(model.initial_atoms(), WANTED).forces).max() < 1e-10


def test_a_node_among_the_atoms_that_would_run_away_is_refused(
    tmp_path: Path, metal: LAMMPSAdapter, material: CauchyBorn
) -> None:
    """A mesh as fine as the lattice up to 4 Å: what is subtracted at a node's kink is more than the law's energy."""
    np.savetxt(tmp_path / "nodes.txt", graded_nodes(material.crystal.atoms, 4.0, 8))
    given = (tmp_path, metal, material, {"file": "nodes.txt"})
    free = copper.joined(*given, region=ball(7.3, 3), slaved_below=0.1)
    with pytest.raises(CaseError, match=r"unstable at the mesh's node .*curvature -0\.03.*raise slaved_below"):
        stability_table(free)
    assert softest(copper.joined(*given, region=ball(7.3, 3))).curvature > 0.1


@pytest.mark.slow
def test_a_vacancy_in_copper_against_all_atoms(tmp_path: Path, metal: LAMMPSAdapter, material: CauchyBorn) -> None:
    """The same clamped body; larger ones, and what they cost, are in tests/benchmarks/test_copper_vacancy.py."""
    expected = copper.full_vacancy(metal, material, 8)
    found = copper.joined_vacancy(tmp_path, metal, material, 8, radius=5.8, fine=5.8)
    assert found.unknowns < 0.12 * expected.unknowns
    assert found.unrelaxed == pytest.approx(expected.unrelaxed, abs=1e-7)
    assert found.energy == pytest.approx(expected.energy, rel=2e-3)
    missed = np.linalg.norm(found.displacement - expected.displacement, axis=1).max()
    assert missed < 0.06 * np.linalg.norm(expected.displacement, axis=1).max()
