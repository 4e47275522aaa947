"""The case loaded_notch against all atoms of the same sheet, and against Inglis' elastic hole."""

from __future__ import annotations

import tomllib
from pathlib import Path

import numpy as np
import pytest
from ase.calculators.lj import LennardJones
from ase.io import read
from scipy.optimize import minimize
from scipy.spatial import cKDTree

from scalespan.adapters.interface import Array
from scalespan.bridges.run.case import read as read_case

CASE = Path(__file__).parents[2] / "cases" / "loaded_notch"
TABLE = tomllib.loads((CASE / "case.toml").read_text())
KEYS = TABLE["model"]["atoms"]["keywords"]
CELL = read(CASE / "input" / "crystal.extxyz").cell.array[:2, :2]
A = float(CELL[0, 0])
HALF = 48  # cells of the sheet to either side, as in make_notch.py
LONG, SHORT = 5.5 * A, 1.3 * A  # semi-axes of the notch
OPTIONS = {"ftol": 1e-16, "gtol": 5e-3, "maxcor": 30, "maxiter": 400}  # meV/Å


def pairs_of(places: Array, reach: float = 1.0) -> Array:
    """Pairs (p, 2) within the cut-off and ``reach`` (Å) more."""
    return cKDTree(places).query_pairs(KEYS["rc"] + reach, output_type="ndarray")


def pair_energies(squares: Array) -> tuple[Array, Array]:
    """ASE's smooth Lennard-Jones: energies and slopes over r at squared distances."""
    six, rc, ro = (KEYS["sigma"] ** 2 / squares) ** 3, KEYS["rc"] ** 2, KEYS["ro"] ** 2
    energy, slope = 4 * KEYS["epsilon"] * (six**2 - six), -24 * KEYS["epsilon"] * (2 * six**2 - six) / squares
    smooth = np.where(squares < ro, 1.0, (rc - squares) ** 2 * (rc + 2 * squares - 3 * ro) / (rc - ro) ** 3)
    turn = np.where(squares < ro, 0.0, 12 * (rc - squares) * (ro - squares) / (rc - ro) ** 3)
    return energy * smooth, slope * smooth + energy * turn


def energy_and_forces(places: Array, pairs: Array) -> tuple[float, Array]:
    along = places[pairs[:, 1]] - places[pairs[:, 0]]
    squares = (along**2).sum(axis=1)
    near = squares < KEYS["rc"] ** 2
    energies, slopes = pair_energies(squares[near])
    pull = slopes[:, None] * along[near]
    forces = np.zeros_like(places)
    np.add.at(forces, pairs[near, 0], pull)
    np.add.at(forces, pairs[near, 1], -pull)
    return float(energies.sum()), forces


def test_the_fast_forces_of_all_atoms_are_ases() -> None:
    atoms = read(CASE / "input" / "notch.extxyz")
    atoms.calc = LennardJones(**KEYS)
    energy, forces = energy_and_forces(atoms.positions, pairs_of(atoms.positions))
    assert energy == pytest.approx(atoms.get_potential_energy(), abs=1e-10)
    np.testing.assert_allclose(forces, atoms.get_forces(), atol=1e-12)


class Sheet:
    """All atoms of the sheet, of which those outside the handshake's body are clamps."""

    def __init__(self) -> None:
        steps = np.stack(np.meshgrid(*[np.arange(-HALF - 3, HALF + 4)] * 2), axis=-1).reshape(-1, 2)
        self.perfect = steps @ CELL
        stay = np.hypot(self.perfect[:, 0] / LONG, self.perfect[:, 1] / SHORT) >= 1.0
        self.sites, self.free = self.perfect[stay], (np.abs(steps).max(axis=1) < HALF)[stay]

    def relaxed(self, strain: float, start: Array) -> tuple[float, Array]:
        """Return the energy (eV) and the places under a strain along y, from a start at any other."""
        loaded = np.diag([1.0, 1.0 + strain])
        places = np.where(self.free[:, None], start, self.sites @ loaded)
        before = places + np.inf
        while np.abs(places - before).max() > 0.4:  # pairs are good for half an ångström of each atom
            before, pairs = places.copy(), pairs_of(places)

            def moved(free: Array, fixed: Array = before, pairs: Array = pairs) -> tuple[float, Array]:
                now = fixed.copy()
                now[self.free] = free.reshape(-1, 2)
                energy, forces = energy_and_forces(now, pairs)
                return 1e3 * energy, -1e3 * forces[self.free].ravel()

            found = minimize(moved, places[self.free].ravel(), jac=True, method="L-BFGS-B", options=OPTIONS)
            places[self.free] = found.x.reshape(-1, 2)
        uniform = self.perfect @ loaded
        clamps = energy_and_forces(uniform, pairs_of(uniform))[0] - (2 * HALF) ** 2 * site_energy(loaded)
        return 1e-3 * float(found.fun) - clamps, places

    def distance(self, places: Array, one: tuple[float, float], other: tuple[float, float]) -> float:
        """Return the distance now of the atoms at two places of the perfect sheet (Å)."""
        _, (i, j) = cKDTree(self.sites).query([one, other])
        return float(np.linalg.norm(places[i] - places[j]))


def site_energy(loaded: Array) -> float:
    steps = np.stack(np.meshgrid(*[np.arange(-4, 5)] * 2), axis=-1).reshape(-1, 2)
    squares = ((steps[(steps != 0).any(axis=1)] @ CELL @ loaded.T) ** 2).sum(axis=1)
    return 0.5 * float(pair_energies(squares[squares < KEYS["rc"] ** 2])[0].sum())


@pytest.mark.slow
def test_the_last_load_step_is_that_of_all_atoms() -> None:
    sheet, row, strain = Sheet(), float(CELL[1, 1]), TABLE["task"]["coordinate"]["values"][-1]
    rest, places = sheet.relaxed(0.0, sheet.sites)
    energy, places = sheet.relaxed(strain, places * [1.0, 1.0 + strain])
    found = {
        f"relative_{len(TABLE['task']['coordinate']['values'])}": energy - rest,
        "opening_last": sheet.distance(places, (0.0, 2 * row), (0.0, -2 * row)),
    }
    for name, reference in tomllib.loads((CASE / "reference.toml").read_text()).items():
        assert found[name] == pytest.approx(reference["value"], abs=reference["tolerance"]), name


def inglis(places: Array, strain: float) -> Array:
    """Return the displacements (n, 2) around an elliptic hole under a strain along y, none along x.

    C. E. Inglis 1913; by N. I. Muskhelishvili's potentials (Some Basic Problems of the Mathematical Theory of
    Elasticity, § 82a) of a remote tension p at an angle α, with ω = R (ζ + m/ζ). A lattice of central forces has
    C₁₂ = C₁₁/3, so that μ = C₁₁/3, κ = 2, and the remote stresses are C₁₁ ε along y and a third of it along x.
    """
    radius, m = 0.5 * (LONG + SHORT), (LONG - SHORT) / (LONG + SHORT)
    z = places @ [1.0, 1j]
    zeta = z / (2.0 * radius)
    root = np.sqrt(zeta**2 - m + 0j)
    zeta = np.where(np.abs(zeta + root) > np.abs(zeta - root), zeta + root, zeta - root)
    found = np.zeros(len(z), dtype=complex)
    for p, turn in ((strain, -1.0), (strain / 3.0, 1.0)):  # in units of C₁₁; e^(2iα) of α = 90° and 0
        phi = 0.25 * p * radius * (zeta + (2.0 * turn - m) / zeta)
        slope = 0.25 * p * radius * (1.0 - (2.0 * turn - m) / zeta**2) / (radius * (1.0 - m / zeta**2))
        around = (1.0 + m**2) * (turn - m) / m * zeta / (zeta**2 - m)
        psi = -0.5 * p * radius * (turn * zeta + turn / (m * zeta) - around)
        found += 1.5 * (2.0 * phi - z * np.conj(slope) - np.conj(psi))
    return np.stack([found.real, found.imag], axis=1)


def test_inglis_hole_opens_as_it_must() -> None:
    """v = [σ_y (2a + b) − σ_x b] / E at the end of the short axis, u = [σ_x (2b + a) − σ_y a] / E at the long one's."""
    (_, v), (u, _) = inglis(np.array([[0.0, SHORT], [LONG, 0.0]]), 0.01)
    assert v == pytest.approx(0.01 * 9 / 8 * (2 * LONG + SHORT - SHORT / 3))
    assert u == pytest.approx(0.01 * 9 / 8 * ((2 * SHORT + LONG) / 3 - LONG))
    far = 1e6 * np.array([[0.6, 0.8]])
    np.testing.assert_allclose(inglis(far, 0.01), far * [0.0, 0.01], atol=1.0)


@pytest.mark.slow
def test_the_sheet_opens_like_inglis_hole() -> None:
    case = read_case(CASE)
    model = case.build()
    start = case.start_atoms(model)
    atoms, places = start.copy(), []
    atoms.calc = model.as_calculator()
    for strain in (0.0, 0.005):
        case.task.coordinate.place(atoms, strain, start)
        assert case.task.relax.to_minimum(atoms, lambda step, memory: None)
        places.append(atoms.positions[:, :2].copy())
    model.close()
    reference = start.positions[:, :2]
    near = np.linalg.norm(reference, axis=1) < 80.0  # half of the way to the clamps
    own = (places[1] - places[0] - reference * [0.0, 0.005])[near]
    expected = inglis(reference[near], 0.005) - reference[near] * [0.0, 0.005]
    wrong = np.linalg.norm(own - expected, axis=1)
    assert np.linalg.norm(expected, axis=1).max() == pytest.approx(0.22, abs=0.01)
    assert (wrong**2).mean() ** 0.5 < 0.007
