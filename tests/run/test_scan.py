"""The scan, on springs whose answers are known in closed form."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from ase.build import bulk, molecule
from ase.calculators.lj import LennardJones

from scalespan.adapters.interface import CaseError
from scalespan.bridges.run.record import read_series
from scalespan.bridges.run.tasks.coordinate import Bend, Dihedral, Distance, Held, Strain

from .three_atoms import AT_REST, case_of, outcome_of


class TestScan:
    def test_a_rigid_distance_scan_follows_the_formula(self, tmp_path: Path) -> None:
        task = (
            '[task]\nkind = "scan"\nrelative_to = "first"\n[task.coordinate]\nkind = "distance"\natoms = [0, 2]\n'
            'values = ["2.3 angstrom", "2.5 angstrom", "0.3 nm"]'
        )
        outcome = outcome_of(case_of(tmp_path / "case", task, atoms=AT_REST))
        table = read_series(tmp_path / "case" / "results" / "scan.csv")
        assert table["distance/angstrom"].tolist() == pytest.approx([2.3, 2.5, 3.0], rel=1e-14)
        rise = np.array([np.hypot(d - 1.15, 0.79844) - 1.4 for d in (2.3, 2.5, 3.0)])
        expected = 10 * rise**2 + 2.5 * np.array([0.0, 0.2, 0.7]) ** 2
        np.testing.assert_allclose(table["energy/eV"], expected, atol=2e-5)
        assert outcome.values["relative_3"].value == pytest.approx(table["energy/eV"][2] - table["energy/eV"][0])
        assert outcome.values["barrier"].value == pytest.approx(np.ptp(table["energy/eV"]))
        assert outcome.values["scan_minimum_at"].value == pytest.approx(2.3)

    def test_a_relaxed_scan_leaves_only_the_held_spring_strained(self, tmp_path: Path) -> None:
        task = (
            '[task]\nkind = "scan"\n[task.coordinate]\nkind = "distance"\natoms = [0, 2]\n'
            'start = "2.0 angstrom"\nstop = "2.6 angstrom"\npoints = 4\n'
            '[task.relax]\noptimiser = "bfgs"\nfmax = "1e-4 eV/angstrom"'
        )
        outcome_of(case_of(tmp_path / "case", task))
        table = read_series(tmp_path / "case" / "results" / "scan.csv")
        held = np.linspace(2.0, 2.6, 4)
        np.testing.assert_allclose(table["energy/eV"], 2.5 * (held - 2.3) ** 2, atol=1e-8)

    def test_a_shift_moves_the_group_and_gives_its_force(self, tmp_path: Path) -> None:
        task = (
            '[task]\nkind = "scan"\nforce_on = [1]\n[task.coordinate]\nkind = "shift"\ngroup = [1]\n'
            'direction = [0, 2, 0]\nvalues = ["-0.1 angstrom", "0 angstrom", "0.1 angstrom"]'
        )
        outcome = outcome_of(case_of(tmp_path / "case", task, atoms=AT_REST))
        for n, move in ((1, -0.1), (3, 0.1)):
            y = 0.79844 + move
            length = np.hypot(1.15, y)
            assert outcome.values[f"force_y_{n}"].value == pytest.approx(
                -2 * 20 * (length - 1.4) * y / length, rel=1e-9
            )
        assert outcome.values["force_x_3"].value == pytest.approx(0.0, abs=1e-12)

    @pytest.mark.parametrize(
        "coordinate",
        [
            Distance(kind="distance", atoms=(0, 2), values=("1 angstrom",)),
            Bend(kind="angle", atoms=(1, 0, 2), values=("1 deg",)),
            Dihedral(kind="dihedral", atoms=(0, 1, 2, 3), values=("1 deg",)),
        ],
        ids=["distance", "angle", "dihedral"],
    )
    def test_the_gradient_of_a_coordinate_is_its_derivative(self, coordinate: Distance | Bend | Dihedral) -> None:
        atoms = molecule("CH3CH2OH")
        atoms.rattle(0.1, seed=4)
        exact = coordinate.gradient(atoms)
        for row, i in enumerate(coordinate.atoms):
            for axis in range(3):
                values = []
                for h in (1e-5, -1e-5):
                    moved = atoms.copy()
                    moved.positions[i, axis] += h
                    values.append(coordinate.value(moved))
                assert exact[row, axis] == pytest.approx((values[0] - values[1]) / 2e-5, abs=1e-5)

    def test_the_load_of_a_strain_is_the_stress_that_works_on_it(self) -> None:
        gradient = [[0.1, 0.3, 0.0], [0.0, -0.2, 0.5], [0.0, 0.0, 0.4]]
        strain = Strain(kind="strain", gradient=gradient, values=(0.02,))
        start = bulk("Ar", a=5.1, cubic=True)
        start.rattle(0.1, seed=1)
        atoms = start.copy()
        atoms.calc = LennardJones(sigma=3.4, epsilon=0.01, rc=8.0, smooth=True)
        strain.place(atoms, 0.02, start)
        inside = np.array(gradient) @ np.linalg.inv(np.eye(3) + 0.02 * np.array(gradient))
        expected = atoms.get_volume() * (atoms.get_stress(voigt=False) * inside).sum()
        assert strain.load(atoms, 0.02, start) == pytest.approx(expected, rel=1e-6)

    def test_held_forces_do_no_work_along_the_coordinate(self) -> None:
        atoms = molecule("CH3CH2OH")
        atoms.rattle(0.1, seed=4)
        dihedral = Dihedral(kind="dihedral", atoms=(0, 1, 2, 3), values=("1 deg",))
        forces = np.random.default_rng(2).normal(size=(9, 3))
        held = forces.copy()
        Held(dihedral, 20.0).adjust_forces(atoms, held)
        gradient = dihedral.gradient(atoms)
        assert (held[[0, 1, 2, 3]] * gradient).sum() == pytest.approx(0.0, abs=1e-10)
        np.testing.assert_array_equal(held[4:], forces[4:])
        new = atoms.positions + 0.05 * forces
        Held(dihedral, 20.0).adjust_positions(atoms, new)
        atoms.positions[:] = new
        assert dihedral.value(atoms) == pytest.approx(20.0, abs=1e-8)

    @pytest.mark.parametrize(
        ("table", "says"),
        [
            ('kind = "distance"\natoms = [0, 9]\nvalues = ["1 nm"]', "there is no atom 9"),
            ('kind = "distance"\natoms = [0, 2]', "either values = .*, or start, stop and points"),
            (
                'kind = "distance"\natoms = [0, 2]\ngroup = [1]\nvalues = ["1 nm"]',
                "the group holds the last of 'atoms'",
            ),
            ('kind = "distance"\natoms = [0, 2]\nvalues = ["1 fs"]', "which is no length"),
            ('kind = "stretch"\natoms = [0, 2]', "stretch"),
            ('kind = "strain"\ngradient = [[1, 0]]\nvalues = [0.1]', "as many columns"),
            ('kind = "strain"\ngradient = [[1]]\nvalues = [0.1]', "no cell to strain"),
        ],
    )
    def test_a_wrong_coordinate_is_a_sentence(self, tmp_path: Path, table: str, says: str) -> None:
        folder = case_of(tmp_path / "case", f'[task]\nkind = "scan"\n[task.coordinate]\n{table}')
        with pytest.raises(CaseError, match=says):
            outcome_of(folder)
