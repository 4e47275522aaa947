"""A better engine in the middle of a handshake: host outside, high level at the tip, asked once in an interval."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from ase import units
from ase.io import write

from scalespan.adapters.interface import CaseError, Motion, NotOffered, OptionError, RegionError
from scalespan.adapters.simplex import SimplexAdapter, SimplexOptions
from scalespan.bridges.cauchy_born import CauchyBorn, unstressed
from scalespan.bridges.force_mixing import ForceMixing
from scalespan.bridges.handshake import CrystalRegion, Handshake, HandshakeOptions, write_sites
from scalespan.bridges.handshake_atoms import HandshakeAtoms, HandshakeAtomsOptions

from .crystals import WANTED, LennardJones, PairEngine, ball, box, spacing, triangle
from .silicon import mixing, stillinger_weber
from .test_handshake_silicon import CUTOFF, DIAMOND, law

TIP = 20  # the atom nearest to the middle of the 35 free ones
SHELL = {"enter": "2.6 angstrom", "leave": "3 angstrom"}  # the tip and its four neighbours
NEAR = {"radius": "4.6 angstrom"}  # two shells more: all that Tersoff's forces reach
STRAINED = np.eye(3) + 0.01 * np.array([[1.0, 0.5, 0.0], [0.0, -0.3, 0.0], [0.0, 0.0, 0.2]])
BATH = {"width": "3 angstrom", "friction": "5 1/ps", "temperature": "300 K"}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("silicon")
    write(folder / "crystal.extxyz", unstressed(law(stillinger_weber(), DIAMOND)))
    return folder


@pytest.fixture(scope="module")
def materials(folder: Path) -> dict[str, CauchyBorn]:
    """The law, asked of the host or expanded once."""
    host, crystal = stillinger_weber(), {"file": "crystal.extxyz"}
    return {each: law(host, crystal, folder, law=each) for each in ("full", "quadratic")}


def tip(**table) -> ForceMixing:
    return mixing(**({"region": {"atoms": [TIP]}, "moving": SHELL, "buffer": NEAR} | table))


def joined(folder: Path, mixed: ForceMixing, material: CauchyBorn, **options) -> Handshake:
    mesh = {"timestep": "1 fs"} | box(np.full(3, 22.0), 11.0)
    table = {"pad": f"{2.0 * CUTOFF} angstrom", "region": ball(5.5, 3)} | options
    body = SimplexAdapter(SimplexOptions.read(mesh, folder=folder), law=material)
    return Handshake(HandshakeOptions.read(table, folder=folder), atoms=mixed, continuum=body)


def test_far_from_the_tip_the_patch_test_is_passed(folder: Path, materials) -> None:
    mixed = tip()
    model = joined(folder, mixed, materials["full"], deformation=STRAINED.tolist())
    forces = np.abs(model.compute(model.initial_atoms(), WANTED).forces).max(axis=1)
    region = mixed.region_of(model.clusters.atoms)
    assert len(region) == 5
    assert np.delete(forces, region).max() < 1e-10
    assert forces[region].max() > 1e-4, "two models of silicon do not move their sublattices alike"


def test_the_tip_feels_what_it_does_in_a_large_crystal(folder: Path, materials) -> None:
    """Region and buffer lie among free atoms and pads, so that the high level sees the same cluster in both."""
    model, mixed = joined(folder, tip(), materials["quadratic"]), tip()
    atoms = model.initial_atoms()
    moved = np.random.default_rng(1).normal(0.0, 0.05, (model.free, 3))
    atoms.positions[: model.free] += moved
    crystal = unstressed(materials["full"]).repeat(9)
    middle = crystal.positions.mean(axis=0)
    same = crystal.positions[np.linalg.norm(crystal.positions - middle, axis=1).argmin()]
    shift = atoms.positions[TIP] - moved[TIP]
    places = crystal.positions - same + shift
    for k in range(model.free):
        nearest = np.linalg.norm(places - (atoms.positions[k] - moved[k]), axis=1).argmin()
        crystal.positions[nearest] += moved[k]
    alone = int(np.linalg.norm(places - shift, axis=1).argmin())
    mixed = tip(region={"atoms": [alone]})
    there = mixed.compute(crystal, WANTED).forces
    region = mixed.region_of(crystal)
    here = model.compute(atoms, WANTED).forces
    own = model.engine.region_of(model.clusters.atoms)
    assert len(own) == len(region)
    found = crystal.positions[region] - same + shift
    order = [int(np.linalg.norm(found - atoms.positions[k], axis=1).argmin()) for k in own]
    assert np.abs(here[own] - there[region[order]]).max() < 1e-9


def moving(folder: Path, material: CauchyBorn, interval: str, step: str, **table) -> Handshake:
    options = {"continuum_step": step, "thermostat": BATH}
    model = joined(folder, tip(interval=interval, **table), material, **options)
    atoms, rng = model.initial_atoms(), np.random.default_rng(1)
    spread = np.sqrt(atoms.get_masses() * units.kB * 300.0)[:, None]
    atoms.set_momenta(rng.standard_normal((len(atoms), 3)) * spread)
    model.start(atoms, Motion.read({"timestep": "1 fs"}))
    return model


@pytest.fixture
def questions(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """How many atoms each question to the high level had."""
    asked: list[int] = []
    usual = ForceMixing.difference
    monkeypatch.setattr(ForceMixing, "difference", lambda *given: asked.append(1) or usual(*given))
    return asked


@pytest.mark.slow
def test_three_clocks_run_stably_with_one_question_in_an_interval(folder: Path, materials, questions) -> None:
    """200 steps of 1 fs, the continuum's of 5 fs, a question each 10 fs; the ledger books the bath and the mixing."""
    model = moving(folder, materials["quadratic"], "10 fs", "5 fs")
    begun, seen = model.observe(), []
    for _ in range(20):
        model.advance(10.0 * units.fs)
        seen.append(model.observe())
    assert len(questions) == 21
    assert abs(seen[-1].given["mixing"]) > 1e-4, "these forces are the gradient of no energy"
    assert max(abs(each.conserved - begun.conserved) for each in seen) < 0.005
    assert 50.0 < seen[-1].temperature < 500.0


def test_what_follows_a_restore_is_the_same_bit_for_bit(folder: Path, materials) -> None:
    model = moving(folder, materials["quadratic"], "4 fs", "2 fs")
    model.advance(6.0 * units.fs)  # in the middle of an interval
    saved = {key: value.copy() for key, value in model.save().items()}
    model.advance(6.0 * units.fs)
    first = model.atoms
    model.restore(saved)
    model.advance(6.0 * units.fs)
    assert np.array_equal(first.positions, model.atoms.positions)
    assert np.array_equal(first.get_momenta(), model.atoms.get_momenta())


def test_an_interval_of_a_timestep_is_the_mixed_forces_in_each(folder: Path, materials) -> None:
    model = moving(folder, materials["quadratic"], "1 fs", "1 fs")
    model.advance(3.0 * units.fs)
    here = model._motion.forces
    assert np.abs(here - model.compute(model.atoms, WANTED).forces).max() < 1e-10


def test_it_says_that_it_conserves_no_energy(folder: Path, materials) -> None:
    model = joined(folder, tip(), materials["full"])
    assert not model.conservative
    titles = [table.title for table in model.audit(model.initial_atoms())]
    assert "What is not conserved" in titles


@pytest.mark.parametrize(
    ("table", "clock", "error", "words"),
    [
        ({"interval": "6 fs"}, "5 fs", CaseError, "continuum's step"),
        ({"interval": "2.5 fs"}, "1 fs", OptionError, "whole multiple of the timestep"),
        ({"interval": "5 fs", "thermostat_margin": "5 angstrom"}, "5 fs", OptionError, "no thermostat"),
    ],
)
def test_clocks_that_do_not_fit_are_refused(folder: Path, materials, table, clock, error, words) -> None:
    model = joined(folder, tip(**table), materials["quadratic"], continuum_step=clock)
    with pytest.raises(error, match=words):
        model.start(model.initial_atoms(), Motion.read({"timestep": "1 fs"}))


def test_a_tip_that_reaches_the_pads_is_refused(folder: Path, materials) -> None:
    model = joined(folder, tip(region={"atoms": [0]}), materials["quadratic"])
    with pytest.raises(RegionError, match="reaches the pads"):
        model.audit(model.initial_atoms())


def test_an_interval_is_refused_across_a_coupling(tmp_path: Path) -> None:
    pair = LennardJones()
    write(tmp_path / "crystal.extxyz", triangle(spacing(pair, triangle)))
    table = {"crystal": "crystal.extxyz", "pad": "2.8 angstrom", "region": ball(4.1, 2)}
    clocks = {"timestep": "1 fs", "window": "5 fs", "sites": "sites.traj"}
    write_sites(CrystalRegion.read(table, folder=tmp_path), tmp_path / "sites.traj")
    mixed = mixing(low=PairEngine(pair), high=PairEngine(pair), interval="5 fs")
    with pytest.raises(NotOffered, match="go forward only"):
        HandshakeAtoms(HandshakeAtomsOptions.read(table | clocks, folder=tmp_path), atoms=mixed)


def test_the_check_shows_all_clocks_and_does_not_ask_the_high_level_for_frequencies(
    folder: Path, materials, questions: list[int]
) -> None:
    model = joined(folder, tip(interval="10 fs"), materials["quadratic"], continuum_step="5 fs")
    tables = model.check_motion(model.initial_atoms(), Motion.read({"timestep": "1 fs"}))
    assert ("interval of mixing", "10 fs") in tables[0].rows
    assert not questions
