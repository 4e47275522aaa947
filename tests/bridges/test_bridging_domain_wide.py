"""A bridging domain in the plane and in space: what it claims, and the ghost forces that it leaves."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from ase import Atoms, units
from ase.io import write
from scipy.spatial import cKDTree

from scalespan.adapters.interface import Array, Motion
from scalespan.adapters.interface.contract import slopes
from scalespan.adapters.simplex import SimplexAdapter, SimplexOptions
from scalespan.bridges.blending import BlendedEnergy, BlendingOptions
from scalespan.bridges.bridging_domain import BridgingDomain, BridgingDomainOptions

from .crystals import WANTED, LennardJones, PairEngine, PairLaw, Springs, ball, box, fcc, fs, lengths, spacing, triangle
from .defects import minimum
from .test_reflection import left_over

LJ = LennardJones()
STRAINS = {"none": (0.0, 0.0), "1 %": (0.01, 0.0), "2 %": (0.02, 0.0), "4 %": (0.04, 0.0), "shear": (0.0, 0.02)}


SIZES = {2: (16.0, 5.0, 4.0, 2.3), 3: (7.5, 2.2, 2.2, 1.9)}  # Å: half the body, region, overlap, cells


class NearSprings(Springs):
    """Of the nearest neighbours of fcc too."""

    cutoff = 1.2


def overlapping(folder: Path, d: int, pair, mesh: dict, radius: float, overlap: float, **other) -> BridgingDomain:
    """Return a disc or a ball of atoms that overlaps with a body of simplices; lengths in Å."""
    make = {2: triangle, 3: fcc}[d]
    crystal = make({2: 1.0, 3: np.sqrt(2.0)}[d] if isinstance(pair, Springs) else spacing(pair, make))
    write(folder / "crystal.extxyz", crystal)
    table = {
        "crystal": "crystal.extxyz",
        "region": ball(radius, d),
        "width": f"{overlap} angstrom",
        "shape": "linear",
        "pad": f"{pair.cutoff + 0.3} angstrom",
    } | other
    solid = SimplexOptions.read({"timestep": "1 fs"} | mesh, folder=folder)
    body = SimplexAdapter(solid, law=PairLaw(pair, crystal))
    return BridgingDomain(BridgingDomainOptions.read(table, folder=folder), atoms=PairEngine(pair), continuum=body)


def small(folder: Path, d: int, pair=None, **other) -> BridgingDomain:
    """Return one whose mesh does not match the lattice."""
    size, radius, overlap, cells = SIZES[d]
    mesh = box(np.full(d, size + (0.0 if pair is None else 2.0)), cells) | {"held": []}
    return overlapping(folder, d, pair or NearSprings(), mesh, radius, overlap, **other)


def deformation(d: int, strain: str) -> Array:
    found = np.eye(d)
    found[0, 0] += STRAINS[strain][0]
    found[0, 1] += STRAINS[strain][1]
    return found


def kicked(model: BridgingDomain, width: float, size: float = 0.02):
    """Return the atoms with a displacement outwards around the middle."""
    atoms = model.initial_atoms()
    square = (atoms.positions**2).sum(axis=1)
    moved = atoms.positions + size * atoms.positions * np.exp(-square / width**2)[:, None]
    atoms.set_positions(moved)  # the ties hold
    return atoms


# ---- the patch test ----


@pytest.mark.parametrize("strain", STRAINS)
@pytest.mark.parametrize("d", [2, 3])
def test_uniform_strain_keeps_the_ties(tmp_path: Path, d: int, strain: str) -> None:
    model = small(tmp_path, d)
    positions, _ = model.blend.uniform(deformation(d, strain))
    assert np.abs(model.initial_atoms().constraints[0]._broken(positions - model.blend.atoms.positions)).max() < 1e-12


@pytest.mark.parametrize("strain", STRAINS)
def test_the_patch_test_leaves_what_falls_with_the_overlap(tmp_path: Path, strain: str) -> None:
    """Weighted energies have ghost forces, here of Lennard-Jones atoms: as one over the width of the overlap."""
    left = []
    for overlap in (4.0, 8.0, 16.0):
        model = overlapping(tmp_path, 2, LJ, box(np.full(2, 16.0 + overlap), 2.3), 5.0, overlap)
        left.append(float(np.linalg.norm(model.ghost_forces(deformation(2, strain)), axis=1).max()))
    assert 0.02 < left[2] < 0.05
    assert left[1] == pytest.approx(2.0 * left[2], rel=0.2)
    assert left[0] > 1.5 * left[1]


@pytest.mark.parametrize("d", [2, 3])
def test_bonds_at_rest_have_no_ghost_forces(tmp_path: Path, d: int) -> None:
    """Of neighbours at rest each bond vanishes by itself, whatever it weighs; strained ones do not."""
    size, radius, overlap, cells = SIZES[d]
    model = overlapping(tmp_path, d, NearSprings(), box(np.full(d, size), cells), radius, overlap)
    assert np.abs(model.ghost_forces(np.eye(d))).max() < 1e-13
    assert np.abs(model.ghost_forces(deformation(d, "1 %"))).max() > 1e-4


def test_on_a_mesh_with_a_node_at_each_site_it_is_the_blended_energy(tmp_path: Path) -> None:
    """The ties are then U_K = u_i, and the tied forces on a node and its atom add up to the blend's."""
    size, a = 9, spacing(LJ, triangle)
    i, j = (each.ravel() for each in np.meshgrid(*[np.arange(-size, size + 1.0)] * 2))
    nodes = np.stack([i, j], axis=1)[np.abs(i + j) <= size] @ triangle(a).cell.array[:2, :2]
    np.savetxt(tmp_path / "nodes.txt", nodes, fmt="%.17g")
    more = {"deformation": deformation(2, "shear").tolist(), "vacancies": [lengths([0.0, 0.0])]}
    tied = overlapping(tmp_path, 2, LJ, {"file": "nodes.txt"}, 3.0, 3.0, **more)
    table = {"region": ball(3.0, 2), "width": "3 angstrom", "shape": "linear", "pad": f"{LJ.cutoff + 0.3} angstrom"}
    options = BlendingOptions.read(table | more | {"crystal": "crystal.extxyz"}, folder=tmp_path)
    blend = BlendedEnergy(options, atoms=PairEngine(LJ), perfect=PairEngine(LJ), continuum=tied.continuum)
    ends = [minimum(model, model.initial_atoms(), fmax=1e-9)[0] for model in (tied, blend)]
    energies = [atoms.get_potential_energy() for atoms in ends]
    fields = [model.displacement(atoms.positions) for model, atoms in zip((tied, blend), ends, strict=True)]
    counted = tied.layout.counted
    assert len(ends[0]) > len(ends[1]) == len(ends[0]) - ends[0].constraints[0].matrix.shape[0]
    assert energies[0] == pytest.approx(energies[1], abs=1e-10)
    assert np.abs(fields[0] - fields[1])[counted].max() < 1e-9


# ---- what is counted ----


@pytest.mark.parametrize("d", [2, 3])
def test_masses_and_sites_are_counted_once(tmp_path: Path, d: int) -> None:
    """Masses to rounding; energies as well as the sum over the lattice is the integral of β."""
    model = small(tmp_path, d)
    whole, counted = model.layout.count()
    assert counted == pytest.approx(whole, rel=2e-3)
    site = model.layout.sites.masses[0]
    assert model.initial_atoms().get_masses().sum() == pytest.approx(site * counted, rel=1e-12)


@pytest.mark.parametrize("d", [2, 3])
def test_no_frequency_is_far_above_the_crystals(tmp_path: Path, d: int) -> None:
    """Though atoms at the overlap's edge weigh next to nothing."""
    model = small(tmp_path, d)
    weights = 1.0 - model._fade
    assert weights.min() < 0.02
    highest = {2: np.sqrt(6.0), 3: np.sqrt(8.0)}[d]  # of springs between nearest neighbours, k = m = 1
    assert 0.9 * highest < model.frequency() < 1.3 * highest


# ---- motion ----


@pytest.mark.parametrize("d", [2, 3])
def test_forces_are_minus_the_gradient(tmp_path: Path, d: int) -> None:
    model = small(tmp_path, d, LJ)
    atoms = model.initial_atoms()
    atoms.set_constraint()
    atoms.positions[:, :d] += 0.02 * np.sin(np.arange(d * len(atoms))).reshape(-1, d)
    forces = np.asarray(model.compute(atoms, WANTED).forces)

    def energy(shift: Array) -> float:
        moved = atoms.copy()
        moved.positions += shift
        return float(model.compute(moved, WANTED).energy)

    for along, gradient in slopes(energy, forces.shape, 1e-4, 2):
        assert np.sum(forces * along) == pytest.approx(-gradient, rel=1e-5, abs=1e-5)


@pytest.mark.parametrize("d", [2, 3])
def test_momentum_is_kept_and_energy_as_the_timestep_squared(tmp_path: Path, d: int) -> None:
    """A pulse that leaves the atoms, in a body that nothing holds; the ties do no work."""
    model = small(tmp_path, d)
    atoms = kicked(model, 2.0)
    atoms.set_momenta(atoms.get_momenta() + 0.01 * atoms.get_masses()[:, None] * np.eye(3)[0])
    before, offsets = atoms.get_momenta().sum(axis=0), []
    for step in (0.3, 0.15):
        model.start(atoms, Motion.read({"timestep": fs(step), "ensemble": "nve"}))
        begin, seen = left_over(model), []
        for _ in range(15):
            model.advance(0.6)
            seen.append(left_over(model) / begin - 1.0)
        offsets.append(np.abs(seen).max())
        assert np.abs(model.atoms.get_momenta().sum(axis=0) - before).max() < 1e-12 * atoms.get_masses().sum()
        assert np.abs(model.atoms.constraints[0]._broken(model.atoms.get_velocities())).max() < 1e-13
    assert offsets[1] < 0.3 * offsets[0] < 0.01


# ---- waves ----


def left_behind(folder: Path, width: float, friction: float = 0.0) -> tuple[float, float]:
    """Return, of a ring's kinetic energy, what the joint adds to the atoms when it has left; and the energy's offset.

    The ring runs over cells three atoms wide, against the same ring in a sheet of atoms alone, which it does not cross.
    """
    rate = {"friction": f"{friction * units.fs!r} 1/fs"}
    model = overlapping(folder, 2, Springs(), box([42.0, 42.0], 3.0), 12.0, 12.0, **rate)
    steps = np.stack([each.ravel() for each in np.meshgrid(*[np.arange(-50, 51.0)] * 2)], axis=1)
    places = steps @ triangle(1.0).cell.array[:2, :2]
    places = places[np.linalg.norm(places, axis=1) < 36.0]
    sheet = Atoms(np.zeros(len(places), dtype=int), np.pad(places, ((0, 0), (0, 1))), masses=np.ones(len(places)))
    outward(sheet, width)
    engine = PairEngine(Springs())
    atoms = outward(model.initial_atoms(), width)
    motion = Motion.read({"timestep": fs(0.3), "ensemble": "nve"})
    core = model.focus(atoms)
    _, same = cKDTree(places).query(model.initial_atoms().positions[core, :2])
    for each, begin in ((engine, sheet), (model, atoms)):
        each.start(begin, motion)
    total, moves = left_over(model), 0.0
    for _ in range(100):
        model.advance(0.3), engine.advance(0.3)
        moves = max(moves, float(engine.observe().kinetic))
    missed = (model.atoms.get_velocities()[core] - engine.atoms.get_velocities()[same]) ** 2
    return 0.5 * float(missed.sum()) / moves, left_over(model) / total


def outward(atoms: Atoms, width: float) -> Atoms:
    """Move atoms away from the middle by a thousandth, with a Gaussian of ``width``."""
    square = (atoms.positions**2).sum(axis=1)
    atoms.set_positions(atoms.positions * (1.0 + 1e-3 * np.exp(-square / width**2)[:, None]))
    return atoms


@pytest.mark.parametrize(
    ("width", "friction", "behind", "left"),
    [(6.0, 0.0, 3e-4, (0.997, 1.0)), (6.0, 0.1, 3e-4, (0.985, 0.995)), (1.5, 0.3, 0.04, (0.0, 0.15))],
    ids=["long", "long, with friction", "short, with friction"],
)
def test_a_ring_leaves_the_atoms(tmp_path: Path, width: float, friction: float, behind: float, left) -> None:
    """Cells carry waves up to ka = 1.0: long ones pass, with friction too, which takes what they do not carry."""
    found, energy = left_behind(tmp_path, width, friction)
    assert found < behind
    assert left[0] < energy <= left[1]
