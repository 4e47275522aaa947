"""Blended forces: the patch test, and an error that falls."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from ase import units
from ase.io import write

from scalespan.adapters.interface import CaseError, Motion, NotOffered, OptionError
from scalespan.adapters.simplex import SimplexAdapter, SimplexOptions
from scalespan.bridges.force_blending import ForceBlending, ForceBlendingOptions
from scalespan.bridges.run.tasks.relax import Relax

from .crystals import (
    WANTED,
    LennardJones,
    PairEngine,
    PairLaw,
    ball,
    box,
    chain,
    fcc,
    fs,
    handshake,
    lengths,
    spacing,
    triangle,
)

LJ = LennardJones()
MAKE = {1: chain, 2: triangle, 3: fcc}
STRAINS = [np.zeros((3, 3)), np.diag([0.01, 0.0, 0.0]), np.diag([0.04, 0.04, 0.0]), 0.02 * np.eye(3, k=1)]


def blended(folder: Path, dimension: int, **options) -> ForceBlending:
    crystal = MAKE[dimension](spacing(LJ, MAKE[dimension]))
    size, radius = {1: (30.0, 6.2), 2: (15.0, 4.1), 3: (8.5, 2.2)}[dimension]
    write(folder / "crystal.extxyz", crystal)
    table = {
        "crystal": "crystal.extxyz",
        "pad": "5.5 angstrom",
        "layer": "2.6 angstrom",
        "region": ball(radius, dimension),
    }
    mesh = SimplexOptions.read({"timestep": "1 fs"} | box(np.full(dimension, size), 1.5), folder=folder)
    body = SimplexAdapter(mesh, law=PairLaw(LJ, crystal))
    read = ForceBlendingOptions.read(table | options, folder=folder)
    return ForceBlending(read, atoms=PairEngine(LJ), continuum=body)


@pytest.mark.parametrize("strain", range(len(STRAINS)))
@pytest.mark.parametrize("dimension", [1, 2, 3])
def test_the_patch_test_is_passed_at_every_strain(tmp_path: Path, dimension: int, strain: int) -> None:
    deformation = np.eye(dimension) + STRAINS[strain][:dimension, :dimension]
    model = blended(tmp_path, dimension, deformation=deformation.tolist())
    assert np.abs(model.compute(model.initial_atoms(), WANTED).forces).max() < 1e-10
    assert np.abs(model.uniform_forces(deformation)).max() < 1e-10


def test_a_pad_that_ends_within_the_cut_off_has_ghost_forces(tmp_path: Path) -> None:
    model = blended(tmp_path, 2, pad="4 angstrom")
    with pytest.raises(CaseError, match="ghost force"):
        model.audit(model.initial_atoms())


def test_a_vacancy_relaxes_as_in_the_handshake(tmp_path: Path) -> None:
    """Two methods with errors of the same order, of unlike origin, agree to it."""
    table = {"vacancies": [lengths([0.0, 0.0])], "deformation": [[1.01, 0.0], [0.0, 1.0]]}
    a = spacing(LJ, triangle)
    models = [
        blended(tmp_path, 2, **table),
        handshake(tmp_path, triangle(a), LJ, box([15.0, 15.0], 1.5), region=ball(4.1, 2), **table),
    ]
    moved = []
    for model in models:
        atoms = model.initial_atoms()
        atoms.calc, begin = model.as_calculator(), atoms.positions.copy()
        assert Relax(optimiser="precon-lbfgs", fmax="1e-7 eV/angstrom", max_steps=80).to_minimum(atoms, lambda *_: None)
        moved.append((atoms.positions - begin)[: model.free])
    assert np.linalg.norm(moved[0] - moved[1]) < 0.1 * np.linalg.norm(moved[1])


def test_motion_without_friction_is_refused(tmp_path: Path) -> None:
    model = blended(tmp_path, 1)
    assert not model.conservative
    with pytest.raises(NotOffered, match="heat up"):
        model.start(model.initial_atoms(), Motion(timestep="1 fs"))
    damped = Motion(timestep="1 fs", ensemble="langevin", temperature="0 K", friction="0.1 1/fs")
    with pytest.raises(OptionError, match="one clock"):
        blended(tmp_path, 1, continuum_step="2 fs").start(model.initial_atoms(), damped)


def moving(folder: Path, temperature: str, friction: float):
    """Return a sheet with a vacancy, blended, that moves with friction (1/ASE's time)."""
    model = blended(folder, 2, vacancies=[lengths([0.0, 0.0])], deformation=[[1.01, 0.0], [0.0, 1.0]])
    table = {"timestep": fs(0.02), "ensemble": "langevin", "temperature": temperature}
    model.start(model.initial_atoms(), Motion.read(table | {"friction": f"{friction * units.fs!r} 1/fs"}))
    return model


def test_damped_motion_comes_to_rest_where_the_minimum_of_the_forces_is(tmp_path: Path) -> None:
    model = moving(tmp_path, "0 K", 3.0)
    model.advance(model.longest_step * 300)
    atoms, settled = model.initial_atoms(), model.atoms.positions
    atoms.calc, begin = model.as_calculator(), atoms.positions.copy()
    assert Relax(optimiser="precon-lbfgs", fmax="1e-7 eV/angstrom", max_steps=80).to_minimum(atoms, lambda *_: None)
    assert np.abs(settled - atoms.positions).max() < 1e-3 * np.abs(atoms.positions - begin).max()


def test_friction_holds_the_temperature(tmp_path: Path) -> None:
    """Of atoms and nodes; the same bits after a restore."""
    model = moving(tmp_path, "100 K", 3.0)
    model.advance(model.longest_step * 60)
    seen = []
    for _ in range(40):
        model.advance(model.longest_step * 5)
        seen.append(model.observe().kinetic)
    expected = 0.5 * 2 * len(model.atoms) * units.kB * 100.0
    assert not np.any(model.atoms.positions[:, 2])
    assert np.mean(seen) == pytest.approx(expected, rel=0.1)
    state = {key: value.copy() for key, value in model.save().items()}
    ends = []
    for _ in range(2):
        model.advance(model.longest_step * 3)
        ends.append(model.atoms.positions)
        model.restore(state)
    assert np.array_equal(*ends)


def test_a_pad_within_the_layer_is_refused(tmp_path: Path) -> None:
    with pytest.raises(OptionError, match="blending layer"):
        blended(tmp_path, 1, pad="2 angstrom")
