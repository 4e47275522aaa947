"""Atoms in a continuum: no ghost force at any strain, one energy, each site once, no drift."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from scalespan.adapters.interface import CaseError, Motion, Quantity, RegionError, Solid
from scalespan.adapters.simplex import SimplexSolid

from .crystals import WANTED, LennardJones, ball, box, chain, fcc, fs, handshake, lengths, spacing, triangle

LJ = LennardJones()
MAKE = {1: chain, 2: triangle, 3: fcc}
STRAINS = {
    "none": np.zeros((3, 3)),
    "1 %": np.diag([0.01, 0.0, 0.0]),
    "2 %": np.diag([0.02, 0.02, 0.02]),
    "4 %": np.diag([0.04, 0.0, 0.0]),
    "shear": np.array([[0.0, 0.02, 0.0], [0.0, 0.0, 0.0], [0.0, 0.0, 0.0]]),
}


def body(folder: Path, dimension: int, coarse: float = 2.0, **options):
    """Return a ball of Lennard-Jones atoms in a box, whose mesh does not match the lattice."""
    a = spacing(LJ, MAKE[dimension])
    size, radius = {1: (30.0, 6.2), 2: (14.0, 4.1), 3: (8.5, 2.6)}[dimension]
    return handshake(
        folder,
        MAKE[dimension](a),
        LJ,
        box(np.full(dimension, size), coarse),
        **{"region": ball(radius, dimension), **options},
    )


@pytest.mark.parametrize("strain", STRAINS)
@pytest.mark.parametrize("dimension", [1, 2, 3])
def test_the_patch_test_is_passed_at_every_strain(tmp_path: Path, dimension: int, strain: str) -> None:
    deformation = np.eye(dimension) + STRAINS[strain][:dimension, :dimension]
    model = body(tmp_path, dimension, deformation=deformation.tolist())
    found = model.compute(model.initial_atoms(), WANTED)
    assert np.abs(found.forces).max() < 1e-10


@pytest.mark.parametrize("dimension", [1, 2, 3])
def test_the_energy_of_a_uniform_strain_is_the_bodys(tmp_path: Path, dimension: int) -> None:
    deformation = np.eye(dimension) + STRAINS["4 %"][:dimension, :dimension]
    model = body(tmp_path, dimension, deformation=deformation.tolist())
    found = model.compute(model.initial_atoms(), WANTED)
    law = model.solid.law.respond(deformation[None])
    assert found.energy == pytest.approx(float(law.energy[0]) * model.solid.volumes.sum(), rel=1e-12)


@pytest.mark.parametrize("dimension", [1, 2, 3])
def test_what_the_body_is_held_by_follows_its_box(tmp_path: Path, dimension: int) -> None:
    """A body at rest whose box is strained is one that was strained at the start; a defect inside tells both."""
    first, then = (np.eye(dimension) + STRAINS[name][:dimension, :dimension] for name in ("shear", "4 %"))
    vacancy = {"vacancies": [lengths(np.zeros(dimension))]}
    loaded = body(tmp_path, dimension, deformation=first.tolist(), **vacancy)
    atoms, whole = loaded.initial_atoms(), np.eye(3)
    whole[:dimension, :dimension] = then
    atoms.set_cell(atoms.cell.array @ whole.T, scale_atoms=True)
    other = body(tmp_path, dimension, deformation=(then @ first).tolist(), **vacancy)
    expected, found = other.compute(other.initial_atoms(), WANTED), loaded.compute(atoms, WANTED)
    assert found.energy == pytest.approx(expected.energy, rel=1e-12)
    np.testing.assert_allclose(found.forces, expected.forces, atol=1e-10)
    assert loaded.compute(loaded.initial_atoms(), WANTED).energy != pytest.approx(expected.energy, rel=1e-6)


@pytest.mark.parametrize("dimension", [1, 2, 3])
def test_forces_are_minus_the_gradient(tmp_path: Path, dimension: int) -> None:
    model = body(tmp_path, dimension, vacancies=[lengths(np.zeros(dimension))])
    atoms, rng = model.initial_atoms(), np.random.default_rng(3)
    ways = np.zeros((2, len(atoms), 3))
    ways[:, :, :dimension] = rng.standard_normal((2, len(atoms), dimension))
    middle = atoms.positions + 0.02 * ways[0]

    def energy(step: float) -> float:
        atoms.positions = middle + step * ways[1]
        return float(model.compute(atoms, {Quantity.ENERGY}).energy)

    h = 1e-4
    slope = (8.0 * (energy(h) - energy(-h)) - (energy(2 * h) - energy(-2 * h))) / (12.0 * h)
    atoms.positions = middle
    forces = model.compute(atoms, WANTED).forces
    assert slope == pytest.approx(-float((forces * ways[1]).sum()), rel=1e-7)


@pytest.mark.parametrize("dimension", [1, 2, 3])
def test_each_mass_is_counted_once(tmp_path: Path, dimension: int) -> None:
    model = body(tmp_path, dimension)
    held = model.extension.masses[model.solid.held[model.extension.others]].sum()
    assert model.initial_atoms().get_masses().sum() + held == pytest.approx(model.solid.masses.sum(), rel=1e-12)


def test_nodes_in_the_region_follow_an_affine_field(tmp_path: Path) -> None:
    extension = (model := body(tmp_path, 2, coarse=1.2)).extension
    field = model.solid.nodes @ np.array([[0.1, 0.3], [-0.2, 0.05]])
    assert len(extension.slaved) > 5
    assert np.abs(extension.fill(field[extension.others]) - field).max() < 1e-13


def test_a_vacancy_takes_one_atom_and_no_site(tmp_path: Path) -> None:
    whole, holed = body(tmp_path, 2), body(tmp_path, 2, vacancies=[["0.1 angstrom", "0.1 angstrom"]])
    assert (holed.free, holed.sites.free) == (whole.free - 1, whole.free)


def moving(folder: Path, every: int = 1, **options):
    """Return a chain with a pulse in its atoms, moving."""
    a, dt = spacing(LJ, chain), 0.005
    model = handshake(
        folder,
        chain(a),
        LJ,
        box(64.0 * a, 8.0 * a),
        region=ball(16.2 * a, 1),
        **({"continuum_step": fs(every * dt)} if every > 1 else {}),
        **options,
    )
    atoms = model.initial_atoms()
    atoms.positions[: model.free, 0] += 0.01 * np.exp(-0.5 * (atoms.positions[: model.free, 0] / (4.0 * a)) ** 2)
    rest = model.compute(model.initial_atoms(), WANTED).energy
    model.start(atoms, Motion(timestep=fs(dt)))
    return model, rest


def total(model) -> float:
    seen = model.observe()
    return seen.potential + seen.kinetic


@pytest.mark.parametrize(("every", "bound"), [(1, 1e-4), (5, 1e-4), (10, 1e-4)])
def test_the_energy_is_bounded_and_does_not_grow(tmp_path: Path, every: int, bound: float) -> None:
    model, rest = moving(tmp_path, every)
    begin, seen = total(model), []
    for _ in range(400):
        model.advance(10 * 0.005)
        seen.append(total(model))
    error = np.abs(np.array(seen) - begin) / (begin - rest)
    assert error.max() < bound
    assert error[200:].max() < 1.2 * error[:200].max()


def test_the_offset_of_two_clocks_falls_with_the_square_of_the_continuums_step(tmp_path: Path) -> None:
    largest = []
    for every in (20, 40):
        model, _ = moving(tmp_path, every, beyond_limit=True)
        begin, seen = total(model), []
        for _ in range(100):
            model.advance(40 * 0.005)
            seen.append(abs(total(model) - begin))
        largest.append(max(seen))
    assert np.log2(largest[1] / largest[0]) == pytest.approx(2.0, abs=0.4)


def test_two_clocks_keep_the_energy_of_a_continuum_that_cannot_weigh_its_cells(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The linear part then waits for the continuum's step like the rest: a larger offset, and no growth."""
    monkeypatch.setattr(SimplexSolid, "weighted", Solid.weighted)
    model, rest = moving(tmp_path, 10)
    begin, seen = total(model), []
    for _ in range(400):
        model.advance(10 * 0.005)
        seen.append(total(model))
    error = np.abs(np.array(seen) - begin) / (begin - rest)
    assert 2e-4 < error.max() < 1e-3
    assert error[200:].max() < 1.2 * error[:200].max()


def test_what_follows_a_restore_is_the_same_bit_for_bit(tmp_path: Path) -> None:
    bath = {"width": "4 angstrom", "friction": "20 1/ps", "temperature": "20 K"}
    model, _ = moving(tmp_path, 5, thermostat=bath)
    model.advance(0.05)
    saved = {key: value.copy() for key, value in model.save().items()}
    model.advance(0.1)
    first = model.atoms
    model.restore(saved)
    model.advance(0.1)
    assert np.array_equal(first.positions, model.atoms.positions)
    assert np.array_equal(first.get_momenta(), model.atoms.get_momenta())


def test_observing_asks_no_engine(tmp_path: Path) -> None:
    model, _ = moving(tmp_path)
    model.advance(0.05)
    calls = model.engine.calls
    model.observe()
    assert model.engine.calls == calls


def test_the_perfect_crystal_is_asked_once_in_a_continuums_step(tmp_path: Path) -> None:
    model, _ = moving(tmp_path, 10)
    calls = model.engine.calls
    model.advance(10 * 0.005)
    assert model.engine.calls - calls == 11


@pytest.mark.parametrize(
    ("options", "error", "words"),
    [
        ({"pad": "1.2 angstrom"}, CaseError, "ghost force"),
        ({"region": ball(0.1, 2) | {"centre": lengths([0.5, 0.5])}}, RegionError, "no site"),
        ({"region": ball(2.0, 3)}, RegionError, "coordinates"),
        ({"region": ball(13.9, 2)}, CaseError, "outside the mesh"),
        ({"vacancies": [lengths([13.0, 0.0])]}, RegionError, "vacancy"),
        ({"deformation": [[1.0, 0.0], [0.0, -1.0]]}, CaseError, "deformation"),
        ({"region": {"centre": lengths([0.0, 0.0])}}, CaseError, "either a ball"),
    ],
)
def test_wrong_input_is_refused(tmp_path: Path, options: dict, error: type[Exception], words: str) -> None:
    with pytest.raises(error, match=words):
        (model := body(tmp_path, 2, **options)).audit(model.initial_atoms())


def test_the_audit_shows_counts_ghosts_and_work(tmp_path: Path) -> None:
    model = body(tmp_path, 2)
    titles = [table.title for table in model.audit(model.initial_atoms())]
    assert titles[:3] == [
        "Who carries the body: each site once",
        "Ghost forces on the perfect crystal",
        "Work on both sides of the joint",
    ]
