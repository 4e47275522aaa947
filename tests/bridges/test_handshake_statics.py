"""Statics of the handshake: few steps, and a vacancy in space."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk
from scipy.spatial import cKDTree

from scalespan.adapters.interface import CaseError, NotOffered
from scalespan.bridges.handshake import graded_nodes
from scalespan.bridges.run.tasks.relax import Relax

from .crystals import (
    WANTED,
    LennardJones,
    PairEngine,
    PairLaw,
    ball,
    box,
    fcc,
    handshake,
    lengths,
    spacing,
    triangle,
)
from .defects import Clamped, minimum

LJ = LennardJones()


@pytest.mark.slow
def test_the_formation_energy_of_a_vacancy_in_space(tmp_path: Path) -> None:
    """E_f = E(vacancy) − E(perfect) + e₀, in the same clamped body of atoms."""
    a, cells = float(spacing(LJ, fcc)), 4
    site = float(PairLaw(LJ, fcc(a)).respond(np.eye(3)[None]).energy[0]) * a**3 / 4.0
    steps = np.stack([each.ravel() for each in np.meshgrid(*[np.arange(-12, 13)] * 3)], axis=1)
    places = steps[steps.sum(axis=1) % 2 == 0] * a / 2.0
    places = places[np.abs(places).max(axis=1) < cells * a + 2.6]
    perfect = PairEngine(LJ).compute(Atoms(numbers=np.zeros(len(places)), positions=places), WANTED).energy
    places = places[np.linalg.norm(places, axis=1) > 0.1]
    free = np.flatnonzero(np.abs(places).max(axis=1) < (cells - 1e-6) * a)
    whole = Atoms(numbers=np.zeros(len(free)), positions=places[free])
    reference = minimum(Clamped(places, free), whole)[0].get_potential_energy() - perfect + site

    np.savetxt(tmp_path / "nodes.txt", graded_nodes(bulk("Ar", "fcc", a=a, cubic=True), a, cells))
    energies = []
    for vacancies in ([], [lengths([0.0, 0.0, 0.0])]):
        model = handshake(tmp_path, fcc(a), LJ, {"file": "nodes.txt"}, region=ball(1.7, 3), vacancies=vacancies)
        energies.append(minimum(model, model.initial_atoms())[0].get_potential_energy())
    assert len(model.initial_atoms()) < 0.1 * len(free)
    assert energies[1] - energies[0] + site == pytest.approx(reference, rel=2e-3)


@pytest.mark.parametrize(("make", "size", "radius"), [(triangle, 20.0, 6.0), (fcc, 6.2, 2.3)])
def test_the_minimum_takes_tens_of_steps(tmp_path: Path, make, size: float, radius: float) -> None:
    """Without a stiffness, SciPy's L-BFGS takes 100 to 300 in the same bodies."""
    d = 2 if make is triangle else 3
    crystal = make(spacing(LJ, make))
    vacancies = [lengths(np.zeros(d))]
    model = handshake(tmp_path, crystal, LJ, box(np.full(d, size), 1.8), region=ball(radius, d), vacancies=vacancies)
    _, steps = minimum(model, model.initial_atoms())
    assert steps < 50


def test_a_restart_goes_on_where_it_was(tmp_path: Path) -> None:
    crystal = triangle(spacing(LJ, triangle))
    model = handshake(tmp_path, crystal, LJ, box([9.0, 9.0], 1.8), region=ball(3.1, 2), vacancies=[lengths([0.0, 0.0])])
    relax, kept = Relax(optimiser="precon-lbfgs", fmax="1e-6 eV/angstrom"), {}
    atoms, again = model.initial_atoms(), model.initial_atoms()
    atoms.calc = again.calc = model.as_calculator()

    def heard(step, memory):
        if step == 3:
            kept.update(memory(), positions=atoms.get_positions())

    assert relax.to_minimum(atoms, heard)
    again.positions = kept["positions"]
    assert relax.to_minimum(again, lambda step, memory: None, kept)
    assert np.array_equal(again.positions, atoms.positions)


def test_the_stiffness_bounds_the_second_derivatives(tmp_path: Path) -> None:
    model = handshake(
        tmp_path, triangle(a := float(spacing(LJ, triangle))), LJ, box([9.0, 9.0], 1.5), region=ball(3.1 * a, 2)
    )
    atoms, rng = model.initial_atoms(), np.random.default_rng(2)
    stiffness, h = model.preconditioner(atoms), 1e-4
    for _ in range(5):
        way = np.zeros((len(atoms), 3))
        way[:, :2] = rng.standard_normal((len(atoms), 2))
        ahead, behind = (
            model.fast(x).forces + model.slow(x).forces for x in (atoms.positions + h * way, atoms.positions - h * way)
        )
        curve = float(((behind - ahead) * way).sum()) / (2.0 * h)
        assert 0.1 < curve / float((way * (stiffness @ way)).sum()) < 1.0


def test_an_engine_without_a_stiffness_is_refused() -> None:
    atoms = Atoms("Ar2", positions=[[0.0, 0.0, 0.0], [0.0, 0.0, 1.1]])
    with pytest.raises(NotOffered, match="knows no stiffness"):
        minimum(PairEngine(LJ), atoms)


def test_a_graded_mesh_has_every_lattice_point_near_and_the_bodys_corners() -> None:
    crystal = triangle(1.0)
    nodes = graded_nodes(crystal, 5.0, 32)
    tree = cKDTree(nodes)
    assert len(nodes) < 0.15 * 65**2
    assert len(tree.query_ball_point([0.0, 0.0], 5.0)) == 91
    corners = 32 * np.array([[1, 1], [1, -1], [-1, 1], [-1, -1]]) @ crystal.cell.array[:2, :2]
    assert tree.query(corners)[0].max() < 1e-9
    with pytest.raises(CaseError, match="within the fine mesh"):
        graded_nodes(crystal, 40.0, 32)
