"""Silicon in silicon: three-body forces, two atoms in a cell, a mesh that knows nothing of the lattice."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from ase.io import write

from scalespan.adapters.interface import ParticleAdapter, Quantity
from scalespan.adapters.simplex import SimplexAdapter, SimplexOptions
from scalespan.bridges.cauchy_born import CauchyBorn, CauchyBornOptions, unstressed
from scalespan.bridges.handshake import Handshake, HandshakeOptions

from .crystals import WANTED, ball, box
from .potentials import stillinger_weber

CUTOFF = 3.77118  # Å
STRAINS = {
    "none": np.eye(3),
    "1 %": np.diag([1.01, 1.0, 1.0]),
    "4 %": np.diag([1.04, 1.0, 1.0]),
    "shear": np.array([[1.0, 0.02, 0.0], [0.0, 1.0, 0.01], [0.0, 0.0, 1.0]]),
}
DIAMOND = {"structure": "diamond", "symbol": "Si", "a": "5.43095 angstrom"}


@pytest.fixture(scope="module")
def engine() -> ParticleAdapter:
    return stillinger_weber()


@pytest.fixture(scope="module")
def folder(engine: ParticleAdapter, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the crystal at its lattice constant lies."""
    folder = tmp_path_factory.mktemp("silicon")
    write(folder / "crystal.extxyz", unstressed(law(engine, DIAMOND)))
    return folder


def law(engine: ParticleAdapter, crystal: dict, folder: Path | None = None, **options) -> CauchyBorn:
    table = {"crystal": crystal, "repeat": [2, 2, 2], "force_tolerance": "1e-12 eV/angstrom"} | options
    return CauchyBorn(CauchyBornOptions.read(table, folder=folder), atoms=engine)


def silicon(engine: ParticleAdapter, folder: Path, pad: float = 2.0 * CUTOFF, law_options=None, **options) -> Handshake:
    material = law(engine, {"file": "crystal.extxyz"}, folder, **(law_options or {}))
    mesh = {"timestep": "1 fs"} | box(np.full(3, 22.0), 11.0)
    table = {"pad": f"{pad} angstrom", "region": ball(5.5, 3)} | options
    body = SimplexAdapter(SimplexOptions.read(mesh, folder=folder), law=material)
    return Handshake(HandshakeOptions.read(table, folder=folder), atoms=engine, continuum=body)


@pytest.mark.parametrize("strain", STRAINS)
def test_the_patch_test_is_passed_with_three_body_forces(engine: ParticleAdapter, folder: Path, strain: str) -> None:
    model = silicon(engine, folder, deformation=STRAINS[strain].tolist())
    assert np.abs(model.compute(model.initial_atoms(), WANTED).forces).max() < 1e-10


def test_without_inner_displacements_there_are_ghosts(engine: ParticleAdapter, folder: Path) -> None:
    model = silicon(engine, folder, law_options={"inner": "frozen"}, deformation=STRAINS["shear"].tolist())
    assert np.abs(model.compute(model.initial_atoms(), WANTED).forces).max() > 0.1


def test_a_pad_of_one_cut_off_is_too_thin_for_three_bodies(engine: ParticleAdapter, folder: Path) -> None:
    model = silicon(engine, folder, pad=CUTOFF, deformation=STRAINS["1 %"].tolist())
    assert np.abs(model.compute(model.initial_atoms(), WANTED).forces).max() > 1e-3


@pytest.mark.slow
def test_forces_are_minus_the_gradient_inner_displacements_included(engine: ParticleAdapter, folder: Path) -> None:
    model = silicon(engine, folder, law_options={"law": "polynomial", "polynomial": {"strain": 0.02}})
    atoms, rng = model.initial_atoms(), np.random.default_rng(3)
    ways = rng.standard_normal((2, len(atoms), 3))
    middle = atoms.positions + 0.01 * ways[0]

    def energy(step: float) -> float:
        atoms.positions = middle + step * ways[1]
        return float(model.compute(atoms, {Quantity.ENERGY}).energy)

    h = 1e-3
    slope = (8.0 * (energy(h) - energy(-h)) - (energy(2 * h) - energy(-2 * h))) / (12.0 * h)
    atoms.positions = middle
    forces = model.compute(atoms, WANTED).forces
    assert slope == pytest.approx(-float((forces * ways[1]).sum()), rel=1e-6)
