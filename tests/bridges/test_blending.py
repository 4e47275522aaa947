"""Blended energies: what ghost forces they leave, how those fall with the blend, and that a dead load cancels them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from scipy.optimize import brentq

pytest.importorskip("openmm", reason="the energies are weighted by OpenMM")

from scalespan.adapters.harmonic import HarmonicAdapter, HarmonicOptions
from scalespan.adapters.interface import Array, CaseError, Motion, NotOffered, OptionError, RegionError
from scalespan.adapters.interface.contract import slopes
from scalespan.bridges.blending import BlendedEnergy

from .blends import SharpLennardJones, blended, chain_of, relaxed_chain, silicon_ball
from .crystals import WANTED, PairLaw, chain, lengths, triangle

PAIR = SharpLennardJones(2.6)
STRAINS = {"none": (0.0, 0.0), "1 %": (0.01, 0.0), "2 %": (0.02, 0.0), "4 %": (0.04, 0.0), "shear": (0.0, 0.02)}


def slope(r: float) -> float:
    return float(PAIR(np.array([r]))[1][0])


A = brentq(lambda a: slope(a) + 2.0 * slope(2.0 * a), 1.05, 1.2, xtol=1e-15)  # Å, with first and second neighbours


def stretched(dimension: int, name: str) -> Array:
    stretch, shear = STRAINS[name]
    found = np.eye(dimension)
    found[0, 0] += stretch
    if dimension > 1:
        found[0, 1] += shear
    return found


def sheet(folder: Path, core: float = 3.0, width: float = 3.0, size: int = 9, **options: object) -> BlendedEnergy:
    """Return a hexagon of a triangular lattice; every site is a node."""
    crystal = triangle(1.11)
    i, j = (each.ravel() for each in np.meshgrid(*[np.arange(-size, size + 1.0)] * 2))
    inside = np.abs(i + j) <= size
    nodes = np.stack([i, j], axis=1)[inside] @ crystal.cell.array[:2, :2]
    region = {"centre": lengths([0.0, 0.0]), "radius": f"{core} angstrom"}
    return blended(folder, crystal, nodes, 2.5, region=region, width=f"{width} angstrom", **options)


def strain_of(model: BlendedEnergy, size: int, stretch: float = 1.0) -> Array:
    """Return the relaxed chain's strains beside a uniform stretch."""
    ends = stretch * A * size
    return np.diff(np.concatenate([[-ends], relaxed_chain(model), [ends]])) / A - stretch


# ---- ghost forces of the sharp joint ----


@pytest.mark.parametrize("stretch", [1.0, 1.01, 1.02])
def test_the_sharp_joint_pulls_four_atoms_by_half_a_second_bond(tmp_path: Path, stretch: float) -> None:
    """½φ′(2Fa)·(−, +, +, −) on atoms R − 1 to R + 2, and nothing elsewhere.

    M. Dobson and M. Luskin 2009 (doi:10.1051/m2an/2009007) study these forces.
    """
    model = chain_of(tmp_path, A, 10, 0, 20)
    place = np.rint(model.blend.atoms.positions[:, 0] / A).astype(int)
    force = dict(zip(place.tolist(), model.ghost_forces(np.array([[stretch]]))[:, 0], strict=True))
    half = 0.5 * slope(2.0 * stretch * A)
    expected = dict(zip([9, 10, 11, 12], half * np.array([-1, 1, 1, -1]), strict=True))
    expected |= {-i: -f for i, f in expected.items()}
    assert half == pytest.approx({1.0: 4.18366e-2, 1.01: 3.90582e-2, 1.02: 3.64870e-2}[stretch], rel=2e-5)
    assert all(force[i] == pytest.approx(expected.get(i, 0.0), abs=1e-12) for i in force)


@pytest.mark.parametrize("strain", [1.0, 1.01, 1.02, 1.04])
def test_the_dead_load_leaves_none_at_its_strain(tmp_path: Path, strain: float) -> None:
    """The patch test of BGFC: the relaxed chain at F₀ is uniform to the last digits."""
    model = chain_of(tmp_path, A, 10, 4, 30, correction="deformed", deformation=[[strain]])
    assert np.abs(model.compute(model.initial_atoms(), WANTED).forces).max() < 1e-12
    assert np.abs(strain_of(model, 30, strain)).max() < 1e-14


def test_a_dead_load_of_another_strain_leaves_the_difference(tmp_path: Path) -> None:
    """Built at F = 1 and strained by 1 %: ½(φ′(2a) − φ′(2.02a)), 14 times less than without; so the strain's error."""
    deformation = np.array([[1.01]])
    raw = chain_of(tmp_path, A, 50, 0, 100, deformation=[[1.01]])
    load = chain_of(tmp_path, A, 50, 0, 100, deformation=[[1.01]], correction="undeformed")
    assert np.abs(raw.ghost_forces(deformation)).max() == pytest.approx(3.906e-2, rel=2e-4)
    left = np.abs(load.ghost_forces(deformation)).max()
    assert left == pytest.approx(abs(slope(2.0 * A) - slope(2.02 * A)) / 2.0, rel=1e-9)
    assert left == pytest.approx(2.778e-3, rel=2e-4)
    errors = [float(np.sqrt(A) * np.linalg.norm(strain_of(model, 100, 1.01))) for model in (raw, load)]
    assert errors[0] / errors[1] > 13.0


# ---- the rates of the blend ----


@pytest.mark.parametrize(
    ("shape", "rate", "within"), [("linear", 1.0, 0.005), ("cubic", 1.5, 0.025), ("quintic", 1.5, 0.015)]
)
def test_the_error_falls_with_the_width_at_the_rate_of_the_shape(
    tmp_path: Path, shape: str, rate: float, within: float
) -> None:
    """L² of the strain: K^(−1) where β has kinks, K^(−3/2) where it has none.

    The figures, at R = 50 atoms on each side: linear 5.89e-5 at K = 32 and 1.47e-5
    at 128; cubic 3.48e-5 and 4.48e-6; quintic 4.28e-5 and 5.40e-6: slopes of 1.001, 1.479 and 1.493.
    """
    errors = []
    for width in (32, 128):
        size = 2 * (50 + width)
        strain = strain_of(chain_of(tmp_path, A, 50, width, size, shape=shape), size)
        errors.append(float(np.sqrt(A) * np.linalg.norm(strain)))
    assert np.log(errors[0] / errors[1]) / np.log(4.0) == pytest.approx(rate, abs=within)
    known = {"linear": (5.89e-5, 1.47e-5), "cubic": (3.48e-5, 4.48e-6), "quintic": (4.28e-5, 5.40e-6)}
    assert errors == pytest.approx(known[shape], rel=3e-3)


# ---- one energy, each site once ----


def test_forces_are_minus_the_gradient(tmp_path: Path) -> None:
    """Of atoms in the blend, which are nodes too, and of free nodes; pads give their forces back."""
    model = sheet(tmp_path, correction="undeformed")
    atoms = model.initial_atoms()
    atoms.positions[:, :2] += 0.02 * np.sin(np.arange(2 * len(atoms))).reshape(-1, 2)
    forces = np.asarray(model.compute(atoms, WANTED).forces)

    def energy(shift: Array) -> float:
        moved = atoms.copy()
        moved.positions += shift
        return float(model.compute(moved, WANTED).energy)

    for along, gradient in slopes(energy, forces.shape, 1e-4, 12):
        assert np.sum(forces * along) == pytest.approx(-gradient, abs=1e-6)


@pytest.mark.parametrize("strain", STRAINS)
@pytest.mark.parametrize("shape", ["linear", "cubic", "quintic"])
def test_the_energy_of_a_uniform_strain_is_the_bodys(tmp_path: Path, strain: str, shape: str) -> None:
    """Each site is counted once, whatever the blend: E = V W(F)."""
    deformation = stretched(2, strain)
    model = sheet(tmp_path, shape=shape, deformation=deformation.tolist())
    law = PairLaw(SharpLennardJones(2.5), triangle(1.11))
    volume = law.volume * 3 * 9**2  # of the hexagon's triangles
    expected = volume * law.respond(deformation[None]).energy[0]
    assert model.compute(model.initial_atoms(), WANTED).energy == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize("strain", STRAINS)
def test_the_corrected_sheet_passes_the_patch_test_at_its_strain(tmp_path: Path, strain: str) -> None:
    deformation = stretched(2, strain).tolist()
    model = sheet(tmp_path, correction="deformed", deformation=deformation)
    assert np.abs(model.compute(model.initial_atoms(), WANTED).forces).max() < 1e-12
    plain = sheet(tmp_path, deformation=deformation)
    assert np.abs(plain.compute(plain.initial_atoms(), WANTED).forces).max() > 1e-3


def test_the_energy_of_a_sheet_that_moves_does_not_drift(tmp_path: Path) -> None:
    """Velocity Verlet's offset is bounded: as large in the second half of the run as in the first."""
    model = sheet(tmp_path, correction="undeformed")
    atoms = model.initial_atoms()
    atoms.positions[:, 0] += 0.05 * np.exp(-((atoms.positions**2).sum(axis=1)) / 4.0)
    model.start(atoms, Motion.read({"timestep": "0.1 fs", "ensemble": "nve"}))
    energies = []
    for _ in range(300):
        model.advance(model.longest_step)
        seen = model.observe()
        energies.append(seen.potential + seen.kinetic)
    first, second = np.array_split(np.array(energies), 2)
    moved = model.observe().kinetic
    assert moved > 1e-3
    assert np.ptp(second) < 1.5 * np.ptp(first) < 0.01 * moved


def test_the_audit_counts_every_site(tmp_path: Path) -> None:
    model = chain_of(tmp_path, A, 10, 8, 30)
    counts, ghosts = model.audit(model.initial_atoms())
    rows = dict(counts.rows)
    assert float(rows["of them, counted"]) == pytest.approx(float(rows["sites in the body"]), abs=1e-6) == 60
    assert dict(ghosts.rows)["none"] == "2.9e-03"


def test_a_vacancy_pulls_beside_a_crystal_without_ghost_forces(tmp_path: Path) -> None:
    """The dead load is that of the perfect crystal: what is left is the vacancy's own, on the atoms that it reaches."""
    model = sheet(tmp_path, correction="undeformed", vacancies=[lengths([0.0, 0.0])])
    whole = sheet(tmp_path, correction="undeformed")
    atoms = model.initial_atoms()
    assert len(atoms) == len(whole.initial_atoms()) - 1
    assert np.abs(model.ghost_forces(np.eye(2))).max() == 0.0
    size = np.linalg.norm(model.compute(atoms, WANTED).forces, axis=1)
    far = np.linalg.norm(atoms.positions, axis=1) > 2.5
    assert size[far].max() < 1e-12
    assert size[~far].max() > 0.1
    with pytest.raises(OptionError, match="add the part 'perfect'"):
        BlendedEnergy(model.options, atoms=model.engine, continuum=model.continuum)


# ---- many-body forces, and two atoms in a cell ----


@pytest.mark.parametrize("strain", ["none", "2 %", "shear"])
def test_corrected_silicon_passes_the_patch_test_at_its_strain(tmp_path: Path, strain: str) -> None:
    """In 3-D, with inner displacements; the mesh knows one atom of two."""
    deformation = stretched(3, strain)
    model = silicon_ball(
        tmp_path, 2.5, 4.0, 13.0, law="quadratic", correction="deformed", deformation=deformation.tolist()
    )
    assert np.abs(model.compute(model.initial_atoms(), WANTED).forces).max() < 1e-10
    model.dead_load = 0.0 * model.dead_load
    assert strain == "none" or np.abs(model.ghost_forces(deformation)).max() > 1e-2


def test_silicons_forces_are_minus_the_gradient(tmp_path: Path) -> None:
    """Through the pads, which follow the mesh and its inner displacements."""
    model = silicon_ball(tmp_path, 2.5, 4.0, 13.0, law="quadratic")
    atoms = model.initial_atoms()
    atoms.positions += 0.02 * np.sin(atoms.positions[:, [1, 2, 0]])
    along, step = np.cos(np.arange(3.0 * len(atoms))).reshape(-1, 3), 1e-5
    energies = []
    for sign in (1.0, -1.0):
        moved = atoms.copy()
        moved.positions += sign * step * along
        energies.append(model.compute(moved, WANTED).energy)
    slope_there = (energies[0] - energies[1]) / (2.0 * step)
    assert -(model.compute(atoms, WANTED).forces * along).sum() == pytest.approx(slope_there, rel=1e-6)


# ---- what is refused ----


def test_a_mesh_coarser_than_the_blend_is_refused(tmp_path: Path) -> None:
    nodes = A * (np.arange(-20, 20.0, 2.0)[:, None] + 0.5)
    region = {"centre": lengths([0.0]), "radius": f"{5 * A} angstrom"}
    with pytest.raises(CaseError, match="give the mesh a node at each site of the blend"):
        blended(tmp_path, chain(A), nodes, 2.6, region=region, width=f"{6 * A} angstrom")


def test_a_pad_thinner_than_the_cut_off_is_refused(tmp_path: Path) -> None:
    """Second neighbours are at 2.2 Å; one bond is missing at each end of the sites that count."""
    model = chain_of(tmp_path, A, 10, 8, 30, pad="1.5 angstrom")
    with pytest.raises(CaseError, match="make the pad as thick as the engine's cut-off") as refused:
        model.audit(model.initial_atoms())
    largest = max(abs(slope(2.0 * stretch * A)) for stretch in (1.0, 1.01))
    assert f"a ghost force of {largest:.2g} eV/Å" in str(refused.value)


def test_a_pad_of_one_cut_off_is_refused_with_forces_of_three_atoms(tmp_path: Path) -> None:
    thin = silicon_ball(tmp_path, 2.5, 2.0, 13.0, law="quadratic")
    with pytest.raises(CaseError, match="twice that for many-body forces"):
        thin.audit(thin.initial_atoms())


def test_vacancies_in_the_blend_are_refused(tmp_path: Path) -> None:
    with pytest.raises(RegionError, match="1 vacancies lie in the blend"):
        chain_of(tmp_path, A, 5, 6, 20, vacancies=[lengths([7 * A])])


def test_an_engine_without_weights_is_refused(tmp_path: Path) -> None:
    model = chain_of(tmp_path, A, 5, 6, 20)
    spring = {"atoms": [0, 1], "stiffness": "2 eV/angstrom**2", "length": "1 angstrom"}
    engine = HarmonicAdapter(HarmonicOptions.read({"springs": [spring]}))
    with pytest.raises(NotOffered, match="harmonic cannot weigh"):
        BlendedEnergy(model.options, atoms=engine, continuum=model.continuum)
    with pytest.raises(OptionError, match="a blend joins atoms and a continuum"):
        BlendedEnergy(model.options, atoms=engine)
    with pytest.raises(OptionError, match="deformation"):
        chain_of(tmp_path, A, 5, 6, 20, deformation=[[-1.0]])
