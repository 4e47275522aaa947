"""Statics of the handshake: few steps, and an error that falls with the number of unknowns as theory says."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk
from scipy.sparse import coo_array
from scipy.spatial import cKDTree

from scalespan.adapters.interface import CaseError, NotOffered, Results
from scalespan.bridges.handshake import graded_nodes
from scalespan.bridges.run.tasks.relax import Relax

from .crystals import (
    WANTED,
    LennardJones,
    NoOptions,
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

LJ = LennardJones()
STRAIN = np.array([[1.0, 0.02], [0.0, 1.02]])
DEFECTS = {"vacancy": [0], "crack": [-1, 0, 1]}  # sites along x that are empty


class Clamped(PairEngine):
    """Pair forces on free atoms among clamped ones; its stiffness is springs between nearest neighbours."""

    Options = NoOptions

    def __init__(self, places, free) -> None:
        super().__init__(LJ)
        self.places, self.free = places.copy(), free

    def _compute(self, atoms, wanted, charges):
        places = self.places.copy()
        places[self.free] = atoms.positions
        found = super()._compute(Atoms(numbers=np.zeros(len(places)), positions=places), wanted, charges)
        return Results(energy=found.energy, forces=found.forces[self.free], components=found.components)

    def preconditioner(self, atoms):
        i, j = cKDTree(self.places).query_pairs(1.3, output_type="ndarray").T
        both, count = np.concatenate([i, j]), len(self.places)
        springs = coo_array((np.full(len(i), -100.0), (i, j)), shape=(count, count)).tocsr()
        springs = springs + springs.T
        springs = springs + coo_array((np.full(len(both), 100.0), (both, both)), shape=(count, count)).tocsr()
        return springs[self.free][:, self.free]


def minimum(model, atoms, fmax: float = 1e-6, steps: int = 200) -> tuple[Atoms, int]:
    atoms.calc, counted = model.as_calculator(), []
    relax = Relax(optimiser="precon-lbfgs", fmax=f"{fmax} eV/angstrom", max_steps=steps)
    assert relax.to_minimum(atoms, lambda step, memory: counted.append(step))
    return atoms, counted[-1]


def strained(places):
    found = places.copy()
    found[:, :2] = places[:, :2] @ STRAIN.T
    return found


class Reference:
    """A rhombus of atoms, clamped outside of ``cells``, with a defect in its middle."""

    def __init__(self, defect: str, cells: int) -> None:
        self.cell = triangle(spacing(LJ, triangle))
        reach = np.arange(-cells - 3, cells + 4)
        self.indices = np.stack([each.ravel() for each in np.meshgrid(reach, reach, indexing="ij")], axis=1)
        self.empty = [self.cell.cell.array[0] * k for k in DEFECTS[defect]]
        keep = (self.indices[:, 1] != 0) | ~np.isin(self.indices[:, 0], DEFECTS[defect])
        self.indices = self.indices[keep]
        self.places = self.indices @ self.cell.cell.array[:2]
        self.inside = np.abs(self.indices).max(axis=1) < cells
        self.bonds = cKDTree(self.places).query_pairs(1.3, output_type="ndarray")
        self.displacement = self.relaxed(self.inside)

    def relaxed(self, free):
        model = Clamped(strained(self.places), np.flatnonzero(free))
        atoms, _ = minimum(model, Atoms(numbers=np.zeros(free.sum()), positions=model.places[free]))
        model.places[free] = atoms.positions
        return model.places - strained(self.places)

    def error(self, displacement) -> float:
        i, j = self.bonds.T
        missed, whole = displacement - self.displacement, self.displacement
        return float(np.linalg.norm(missed[i] - missed[j]) / np.linalg.norm(whole[i] - whole[j]))


def joined(folder: Path, reference: Reference, cells: int, radius: float) -> tuple[int, float]:
    """Return the unknowns and the error of a handshake with atoms up to ``radius``."""
    a = float(reference.cell.cell[0, 0])
    nodes = graded_nodes(reference.cell, (radius + 3.3) * a, cells)
    np.savetxt(folder / "nodes.txt", nodes)
    model = handshake(
        folder,
        reference.cell,
        LJ,
        {"file": "nodes.txt"},
        region=ball(radius * a, 2),
        vacancies=[lengths(each[:2]) for each in reference.empty],
        deformation=STRAIN.tolist(),
    )
    atoms, _ = minimum(model, model.initial_atoms())
    field = model.displacement(atoms.positions)
    inside = np.abs(reference.indices).max(axis=1) <= cells
    found, points = np.zeros_like(reference.places), reference.places[inside, :2]
    found[inside, :2] = model.solid.interpolation(points) @ field - points @ (STRAIN - np.eye(2)).T
    start = model.initial_atoms().positions[: model.free]
    _, which = cKDTree(strained(reference.places)).query(start)
    found[which] = atoms.positions[: model.free] - start
    return len(atoms), reference.error(found)


def rate(points: list[tuple[int, float]]) -> float:
    unknowns, errors = np.array(points).T
    return float(np.polyfit(np.log(unknowns), np.log(errors), 1)[0])


@pytest.mark.slow
@pytest.mark.parametrize("defect", DEFECTS)
def test_the_error_falls_as_theory_says(tmp_path: Path, defect: str) -> None:
    """N⁻¹ for a consistent method, N^(−1/2) for clamped atoms (Luskin and Ortner, doi:10.1017/S0962492913000068)."""
    reference = Reference(defect, 32)
    a = reference.cell.cell[0, 0]
    far = np.linalg.norm(reference.places, axis=1)
    truncated = []
    for radius in (4.1, 8.1, 16.1):
        free = far < radius * a
        truncated.append((int(free.sum()), reference.error(reference.relaxed(free))))
    coupled = [joined(tmp_path, reference, 32, radius) for radius in (2.1, 4.1, 8.1)]
    assert rate(truncated) == pytest.approx(-0.5, abs=0.15)
    assert rate(coupled) < -0.85


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
