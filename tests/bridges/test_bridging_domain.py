"""A bridging domain keeps its energy, lets through what the mesh carries, and damps the rest where asked."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("openmm", reason="the energies are weighted by OpenMM")

from ase import units
from ase.io import write

from scalespan.adapters.interface import CaseError, Motion, OptionError
from scalespan.adapters.simplex import SimplexAdapter, SimplexOptions
from scalespan.bridges.blending import find_layout
from scalespan.bridges.bridging_domain import BridgingDomain, BridgingDomainOptions

from .blends import SYSTEMS
from .crystals import WANTED, PairLaw, Springs, box, chain, fs, lengths
from .test_reflection import left_over, shot

REACH = 160  # atoms on either side of the middle, outside the overlap


def overlapping(folder: Path, n: int = 4, overlap: int = 32, reach: int = REACH, friction: float = 0.0, **other):
    """Return a chain of springs (a = m = k = 1) and a mesh of ``n`` atoms' size that overlap; γ in √(k/m)."""
    crystal = chain(1.0)
    write(folder / "crystal.extxyz", crystal)
    size = n * int(np.ceil(2.4 * reach / n))
    table = {
        "crystal": "crystal.extxyz",
        "region": {"centre": lengths([0.0]), "radius": f"{reach} angstrom"},
        "width": f"{overlap} angstrom",
        "shape": "linear",
        "pad": "1.5 angstrom",
        "friction": f"{friction * units.fs!r} 1/fs",
    } | other
    mesh = SimplexOptions.read({"timestep": "1 fs"} | box(float(size), float(n)))
    body = SimplexAdapter(mesh, law=PairLaw(Springs(), crystal))
    options = BridgingDomainOptions.read(table, folder=folder)
    sites = find_layout(options, body.solid(), shared=False).sites
    atoms = crystal[np.zeros(len(sites.reference), dtype=int)]
    atoms.positions, atoms.pbc = sites.reference, False
    return BridgingDomain(options, atoms=SYSTEMS.harmonic_neighbours(atoms, 1.0, 1.0), continuum=body)


@pytest.mark.parametrize(("k", "returned"), [(0.2, 1e-4), (0.4, 1.1e-3), (1.5, 1.0)])
def test_waves_that_the_mesh_carries_leave_and_no_energy_is_lost(tmp_path: Path, k: float, returned: float) -> None:
    """n = 4, 32 atoms of overlap: below the cut-off of 0.505 next to nothing comes back, above it everything.

    Velocity Verlet's own offset is the tolerance of the energy.
    """
    _, sent, _, left, share = shot(overlapping(tmp_path), REACH, k, 0.1 if k > 1.0 else 0.03)
    assert np.abs(left / sent)[4] ** 2 <= returned * 1.01
    assert bool(np.abs(left / sent)[4] ** 2 > 0.99) == (k > 1.0)
    assert share == pytest.approx(1.0, abs=1e-3)


@pytest.mark.parametrize(("k", "least", "most"), [(0.2, 0.99, 1.0), (1.5, 0.0, 0.05)])
def test_friction_takes_what_the_mesh_does_not_carry(tmp_path: Path, k: float, least: float, most: float) -> None:
    share = shot(overlapping(tmp_path, friction=0.1), REACH, k, 0.1 if k > 1.0 else 0.03)[-1]
    assert least < share < most


def small(folder: Path) -> BridgingDomain:
    return overlapping(folder, overlap=16, reach=20)


def test_each_mass_is_counted_once(tmp_path: Path) -> None:
    """Atoms' and nodes' shares add up to the body, but for the held ends' halves of an element."""
    model = small(tmp_path)
    assert model.initial_atoms().get_masses().sum() == pytest.approx(model.layout.solid.masses.sum() - 4.0, rel=1e-13)


def test_the_ties_hold_and_do_no_work(tmp_path: Path) -> None:
    """In positions and in velocities, however the start breaks the velocities' ones."""
    model = small(tmp_path)
    atoms, ties = model.initial_atoms(), model.initial_atoms().constraints[0]
    start = atoms.positions.copy()
    momenta = atoms.get_masses()[:, None] * [0.01, 0.0, 0.0] * np.cos(start)
    atoms.set_momenta(momenta, apply_constraint=False)
    assert np.abs(ties._broken(atoms.get_velocities())).max() > 1e-4
    model.start(atoms, Motion.read({"timestep": fs(0.3), "ensemble": "nve"}))
    begin, seen = left_over(model), []
    for _ in range(300):
        model.advance(0.3)
        seen.append(left_over(model))
    after = model.atoms
    assert np.abs(ties._broken(after.positions - start)).max() < 1e-13
    assert np.abs(ties._broken(after.get_velocities())).max() < 1e-13
    first, second = np.array_split(np.array(seen) / begin - 1.0, 2)
    assert np.abs(second).max() < 1.5 * np.abs(first).max() < 0.03


def test_an_affine_start_keeps_the_ties_and_the_energy_of_the_body(tmp_path: Path) -> None:
    model = overlapping(tmp_path, overlap=16, reach=20, deformation=[[1.02]])
    atoms = model.initial_atoms()
    moved = atoms.positions - small(tmp_path).initial_atoms().positions
    assert np.abs(atoms.constraints[0]._broken(moved)).max() < 1e-13
    assert model.compute(atoms, WANTED).energy == pytest.approx(0.5 * 0.02**2 * 96.0, rel=1e-12)


def test_a_state_is_restored_bit_for_bit(tmp_path: Path) -> None:
    model = overlapping(tmp_path, overlap=16, reach=20, friction=0.1)
    atoms = model.initial_atoms()
    atoms.positions[:41, 0] += 0.01 * np.exp(-(atoms.positions[:41, 0] ** 2))
    model.start(atoms, Motion.read({"timestep": fs(0.3), "ensemble": "nve"}))
    model.advance(3.0)
    saved = {key: value.copy() for key, value in model.save().items()}
    ends = []
    for _ in range(2):
        model.advance(3.0)
        ends.append(model.atoms)
        model.restore(saved)
    assert np.array_equal(ends[0].positions, ends[1].positions)
    assert np.array_equal(ends[0].get_momenta(), ends[1].get_momenta())


def test_wrong_use_is_refused(tmp_path: Path) -> None:
    model = overlapping(tmp_path, overlap=16, reach=20, friction=0.1)
    with pytest.raises(OptionError, match="a bridging domain joins atoms and a continuum"):
        BridgingDomain(model.options, atoms=model.engine)
    with pytest.raises(CaseError, match="no atom lies in the overlap"):
        overlapping(tmp_path, overlap=0, reach=20)
    model.start(model.initial_atoms(), Motion.read({"timestep": fs(0.3), "ensemble": "nve"}))
    with pytest.raises(CaseError, match="whole timesteps"):
        model.advance(0.4)
    title, rows = model.audit(model.initial_atoms())[0].title, dict(model.audit(model.initial_atoms())[0].rows)
    assert title == "What overlaps" and rows["ties"] == "10"


def test_a_pad_thinner_than_the_cut_off_is_refused(tmp_path: Path) -> None:
    """No pad at all: the last atom lacks a bond, which is without force until it is strained."""
    model = overlapping(tmp_path, overlap=16, reach=20, pad="0.5 angstrom")
    with pytest.raises(CaseError, match=r"a ghost force of 0.01 eV/Å.*make the pad as thick as the engine's cut-off"):
        model.audit(model.initial_atoms())
