"""The tasks, on springs whose answers are known in closed form."""

from __future__ import annotations

from pathlib import Path

import ase.io
import numpy as np
import pytest
from ase import units
from ase.build import molecule

from scalespan.adapters.interface import CaseError, NotConverged, OptionError, ParticleAdapter
from scalespan.adapters.interface.units import KJ_PER_MOL, quantity
from scalespan.bridges.run import tasks
from scalespan.bridges.run.case import read
from scalespan.bridges.run.record import read_series

from .three_atoms import AT_REST, case_of, outcome_of, summary_of


class TestSinglePoint:
    def test_energy_and_forces_are_the_model_s(self, tmp_path: Path) -> None:
        folder = case_of(tmp_path / "case", '[task]\nkind = "single-point"')
        values = outcome_of(folder).values
        case = read(folder)
        atoms = case.start_atoms(case.build())
        atoms.calc = case.build().as_calculator()
        assert values["energy"].value == atoms.get_potential_energy()
        assert values["energy_springs"].value == atoms.get_potential_energy()
        longest = np.linalg.norm(atoms.get_forces(), axis=1).max()
        assert values["force_max"].value == pytest.approx(longest, rel=1e-14)
        assert values["net_force"].value < 1e-13
        frame = ase.io.read(folder / "results" / "final.extxyz")
        np.testing.assert_allclose(frame.get_forces(), atoms.get_forces(), atol=1e-8)

    def test_a_reference_is_met_in_its_own_unit(self, tmp_path: Path) -> None:
        entry = '[energy]\nvalue = {}\ntolerance = 1e-6\nunit = "kcal/mol"\nsource = "by hand"\n'
        p = np.array([[-1.25, 0.05, 0], [0, 0.9, 0], [1.1, 0, 0.02]])
        d = [np.linalg.norm(p[i] - p[j]) for i, j in ((0, 1), (1, 2), (0, 2))]
        energy = 10 * (d[0] - 1.4) ** 2 + 10 * (d[1] - 1.4) ** 2 + 2.5 * (d[2] - 2.3) ** 2
        kcal = energy * units._Nav * units._e / 4184
        folder = case_of(tmp_path / "case", '[task]\nkind = "single-point"', references=entry.format(kcal))
        (check,) = outcome_of(folder).checks
        assert check.passed
        assert check.unit == "kcal/mol"
        (written,) = summary_of(folder)["checks"]
        assert written.keys() == {"name", "value", "reference", "tolerance", "unit", "source", "passed"}
        case_of(folder, '[task]\nkind = "single-point"', references=entry.format(kcal + 1e-5))
        assert not outcome_of(folder).passed

    def test_a_reference_that_nobody_publishes_names_the_nearest(self, tmp_path: Path) -> None:
        entry = '[forse_max]\nvalue = 1\ntolerance = 1\nunit = "eV/angstrom"\nsource = "-"\n'
        folder = case_of(tmp_path / "case", '[task]\nkind = "single-point"', references=entry)
        with pytest.raises(CaseError, match=r"reference.toml: forse_max: .*did you mean 'force_max'\?"):
            outcome_of(folder)
        assert not (folder / "results").exists()

    def test_a_reference_in_another_dimension_is_refused(self, tmp_path: Path) -> None:
        entry = '[energy]\nvalue = 1\ntolerance = 1\nunit = "angstrom"\nsource = "-"\n'
        folder = case_of(tmp_path / "case", '[task]\nkind = "single-point"', references=entry)
        with pytest.raises(CaseError, match="'eV' cannot be converted to 'angstrom'"):
            outcome_of(folder)
        assert summary_of(folder)["status"] == "failed"


TIED = """
from ase.io import read
from scipy.sparse import csr_array

from scalespan.adapters.harmonic import HarmonicAdapter
from scalespan.bridges.bridging_domain import WeakTies


class Tied(HarmonicAdapter):
    name = "tied"

    def initial_atoms(self):
        atoms = read({file!r})
        atoms.set_constraint(WeakTies(csr_array([[1.0, 0.0, -1.0]]), atoms.get_masses(), 3))
        return atoms
"""


class TestMinimise:
    @pytest.mark.parametrize("optimiser", ["bfgs", "bfgs-line-search", "lbfgs", "fire", "geometric"])
    def test_it_finds_the_minimum(self, tmp_path: Path, optimiser: str) -> None:
        if optimiser == "geometric":
            pytest.importorskip("geometric", reason="geomeTRIC is not installed: pip install 'scalespan[optimise]'")
        task = f'[task]\nkind = "minimise"\noptimiser = "{optimiser}"\nfmax = "1e-3 eV/angstrom"'
        outcome = outcome_of(case_of(tmp_path / "case", task))
        assert outcome.passed
        assert outcome.values["energy"].value < 1e-6
        frame = ase.io.read(tmp_path / "case" / "results" / "final.extxyz")
        assert frame.get_distance(0, 1) == pytest.approx(1.4, abs=1e-3)
        assert frame.get_distance(0, 2) == pytest.approx(2.3, abs=1e-3)

    @pytest.mark.parametrize("optimiser", ["lbfgs", "geometric"])
    def test_frozen_atoms_stay(self, tmp_path: Path, optimiser: str) -> None:
        if optimiser == "geometric":
            pytest.importorskip("geometric", reason="geomeTRIC is not installed: pip install 'scalespan[optimise]'")
        task = f'[task]\nkind = "minimise"\noptimiser = "{optimiser}"\nfmax = "0.01 eV/angstrom"\nfrozen = [0]'
        outcome_of(case_of(tmp_path / "case", task))
        frame = ase.io.read(tmp_path / "case" / "results" / "final.extxyz")
        assert frame.positions[0].tolist() == [-1.25, 0.05, 0.0]

    def test_a_model_keeps_its_own_ties(self, tmp_path: Path) -> None:
        folder = case_of(tmp_path / "case", '[task]\nkind = "minimise"\noptimiser = "lbfgs"\nfmax = "1e-6 eV/angstrom"')
        text = (folder / "case.toml").read_text().replace('use = "harmonic"', 'use = "tied"')
        (folder / "case.toml").write_text(text.replace('[atoms]\nfile = "start.xyz"', ""))
        (folder / "tied.py").write_text(TIED.format(file=str(folder / "start.xyz")))
        outcome_of(folder)
        before, after = (ase.io.read(folder / name).positions for name in ("start.xyz", "results/final.extxyz"))
        assert after[0] - after[2] == pytest.approx(before[0] - before[2], abs=1e-7)
        assert abs(after[0] - before[0]).max() > 0.01

    def test_too_few_steps_are_an_error_that_can_be_continued(self, tmp_path: Path) -> None:
        task = '[task]\nkind = "minimise"\noptimiser = "bfgs"\nfmax = "1e-4 eV/angstrom"\nmax_steps = {}'
        folder = case_of(tmp_path / "case", task.format(3))
        with pytest.raises(NotConverged, match="after 3 steps the longest force is still"):
            outcome_of(folder)
        assert summary_of(folder)["status"] == "failed"
        case_of(folder, task.format(200))
        assert outcome_of(folder, restart=True).passed
        assert read_series(folder / "results" / "minimisation.csv")["step"].tolist()[:5] == [0, 1, 2, 3, 4]


DYNAMICS = """[task]
kind = "dynamics"
duration = "{duration}"
[task.velocities]
temperature = "300 K"
[task.motion]
timestep = "{timestep}"
ensemble = "nve"
[output]
every = "2 fs"
"""


class TestDynamics:
    def test_the_series_adds_up(self, tmp_path: Path) -> None:
        outcome = outcome_of(case_of(tmp_path / "case", DYNAMICS.format(duration="100 fs", timestep="0.5 fs")))
        table = read_series(tmp_path / "case" / "results" / "energies.csv")
        assert table["step"].tolist() == list(range(0, 201, 4))
        np.testing.assert_allclose(table["time/fs"], np.arange(0, 101, 2), rtol=1e-14)
        np.testing.assert_array_equal(table["potential/eV"] + table["kinetic/eV"], table["total/eV"])
        np.testing.assert_array_equal(table["energy_springs/eV"], table["potential/eV"])
        assert len(ase.io.read(tmp_path / "case" / "results" / "trajectory.extxyz", index=":")) == 51
        assert outcome.values["steps"].value == 200
        assert outcome.passed

    def test_the_error_of_the_energy_falls_with_the_square_of_the_timestep(self, tmp_path: Path) -> None:
        scatter = []
        for i, timestep in enumerate(("1 fs", "0.5 fs")):
            folder = case_of(tmp_path / str(i), DYNAMICS.format(duration="200 fs", timestep=timestep))
            scatter.append(outcome_of(folder).values["total_std"].value)
        assert scatter[0] / scatter[1] == pytest.approx(4.0, rel=0.1)

    def test_a_force_that_is_not_the_gradient_is_caught_by_the_drift(self, tmp_path: Path) -> None:
        folder = case_of(tmp_path / "case", DYNAMICS.format(duration="400 fs", timestep="0.5 fs"))
        # A force that turns about z does work on every round: d|x|/dt is fed, energy is not conserved.
        (folder / "turning.py").write_text(
            "import numpy as np\n"
            "from scalespan.adapters.interface import Options, ParticleAdapter, Results\n"
            "class Turning(ParticleAdapter):\n"
            '    """A trap with a curl."""\n'
            '    name = "turning"\n'
            "    Options = Options\n"
            "    def __init__(self, options): pass\n"
            "    def _compute(self, atoms, wanted, charges):\n"
            "        x = atoms.positions\n"
            "        curl = 0.05 * np.stack([-x[:, 1], x[:, 0], 0 * x[:, 2]], axis=1)\n"
            "        return Results(energy=float(2.5 * (x**2).sum()), forces=-5.0 * x + curl)\n"
        )
        text = (folder / "case.toml").read_text()
        head, tail = text.split("[model]")[0], text[text.index("[atoms]") :]
        (folder / "case.toml").write_text(f'{head}[model]\nuse = "turning"\n\n{tail}')
        checks = {check.name: check for check in outcome_of(folder).checks}
        assert not checks["drift"].passed

    def test_velocities_have_the_temperature_and_no_momentum(self, tmp_path: Path) -> None:
        atoms = molecule("C60")
        tasks.dynamics.Velocities.read({"temperature": "300 K", "seed": 5}).give(atoms)
        np.testing.assert_allclose(atoms.get_momenta().sum(axis=0), 0.0, atol=1e-10)
        # kinetic energy of 60 atoms: 3N/2 kT with a relative spread of √(2/3N) = 0.105
        assert atoms.get_kinetic_energy() == pytest.approx(90 * units.kB * 300, rel=4 * 0.105)

    @pytest.mark.parametrize(
        ("key", "value", "says"),
        [
            ("duration", "100.3 fs", "is no whole multiple of the timestep"),
            ("every", "0.7 fs", "is no whole multiple of the timestep"),
            ("every", "15 fs", "no whole multiple of the 30 steps between frames"),
            ("restart_every", "3 fs", "is no whole multiple of output.every"),
        ],
    )
    def test_intervals_that_do_not_fit_are_refused(self, tmp_path: Path, key: str, value: str, says: str) -> None:
        text = DYNAMICS.format(duration="100 fs", timestep="0.5 fs")
        if key == "duration":
            text = text.replace('duration = "100 fs"', f'duration = "{value}"')
        elif key == "every":
            text = text.replace('every = "2 fs"', f'every = "{value}"')
        else:
            text += f'restart_every = "{value}"\n'
        case = read(case_of(tmp_path / "case", text))
        model = case.build()
        with pytest.raises(OptionError, match=says):
            tasks.check(case, model, case.start_atoms(model))

    def test_dcd_holds_the_same_frames(self, tmp_path: Path) -> None:
        mda = pytest.importorskip("MDAnalysis", reason="MDAnalysis is not installed: pip install 'scalespan[select]'")
        frames = {}
        for kind in ("extxyz", "dcd"):
            text = DYNAMICS.format(duration="20 fs", timestep="0.5 fs") + f'trajectory = "{kind}"\n'
            outcome_of(case_of(tmp_path / kind, text))
            frames[kind] = tmp_path / kind / "results" / f"trajectory.{kind}"
        universe = mda.Universe.empty(3, trajectory=True)
        universe.load_new(str(frames["dcd"]))
        assert universe.trajectory.n_frames == 11
        for frame, atoms in zip(universe.trajectory, ase.io.read(frames["extxyz"], index=":"), strict=True):
            np.testing.assert_allclose(frame.positions, atoms.positions, atol=1e-6)
        assert frames["dcd"].read_bytes()[8:12] == (11).to_bytes(4, "little")


class TestVibrations:
    @pytest.mark.parametrize("points", [2, 4])
    def test_frequencies_are_those_of_the_spring_s_analytic_hessian(self, tmp_path: Path, points: int) -> None:
        task = f'[task]\nkind = "vibrations"\npoints = {points}\ndisplacement = "0.002 angstrom"'
        relaxed = np.array([[-1.15, 0, 0], [0, np.sqrt(1.4**2 - 1.15**2), 0], [1.15, 0, 0]])
        text = "3\n\n" + "".join(
            f"{s} {x!r} {y!r} {z!r}\n" for s, (x, y, z) in zip("COC", relaxed.tolist(), strict=True)
        )
        outcome = outcome_of(case_of(tmp_path / "case", task, atoms=text))
        assert outcome.passed
        found = [outcome.values[f"frequency_{n}"].value for n in (1, 2, 3)]
        np.testing.assert_allclose(found, analytic_frequencies(relaxed), rtol=1e-5)
        assert "frequency_4" not in outcome.values
        zero_point = 0.5 * sum(found) * units.invcm
        assert outcome.values["zero_point_energy"].value == pytest.approx(zero_point, rel=1e-12)

    def test_a_saddle_shows_its_imaginary_mode(self, tmp_path: Path) -> None:
        # Three atoms in line between ends that are pushed outwards: the middle one buckles, in y and in z.
        line = "3\n\nC -1.15 0 0\nO 0 0 0\nC 1.15 0 0\n"
        task = '[task]\nkind = "vibrations"\natoms = [1]\ndisplacement = "0.002 angstrom"\nimaginary = {}'
        outcome = outcome_of(case_of(tmp_path / "case", task.format(2), atoms=line))
        assert outcome.values["imaginary_modes"].value == 2
        # k⊥ = 2 k (1 − l/d), as the springs are compressed to d = 1.15 Å
        spring = 2 * 20.0 * (1 - 1.4 / 1.15)
        expected = -np.sqrt(-spring / 15.999) * units._hbar * units.m / np.sqrt(units._e * units._amu) / units.invcm
        assert outcome.values["frequency_1"].value == pytest.approx(expected, rel=1e-4)
        assert {c.name: c.passed for c in outcome.checks}["imaginary_modes"]
        case_of(tmp_path / "case", task.format(0), atoms=line)
        assert not outcome_of(tmp_path / "case").passed

    def test_modes_are_written(self, tmp_path: Path) -> None:
        outcome_of(case_of(tmp_path / "case", '[task]\nkind = "vibrations"', atoms=AT_REST))
        frames = ase.io.read(tmp_path / "case" / "results" / "modes.extxyz", index=":")
        assert len(frames) == 9
        assert frames[-1].arrays["mode"].shape == (3, 3)
        assert read_series(tmp_path / "case" / "results" / "frequencies.csv")["rigid_part"].sum() == pytest.approx(6.0)


def analytic_frequencies(positions: np.ndarray) -> np.ndarray:
    """Wavenumbers of springs at rest: H = Σ k û ûᵀ on the relative displacement of the ends."""
    hessian = np.zeros((9, 9))
    for i, j, k in ((0, 1, 20.0), (1, 2, 20.0), (0, 2, 5.0)):
        along = positions[j] - positions[i]
        along /= np.linalg.norm(along)
        row = np.zeros(9)
        row[3 * i : 3 * i + 3], row[3 * j : 3 * j + 3] = -along, along
        hessian += k * np.outer(row, row)
    masses = np.repeat([12.011, 15.999, 12.011], 3)
    squares = np.linalg.eigvalsh(hessian / np.sqrt(np.outer(masses, masses)))[6:]
    return np.sqrt(squares) * units._hbar * units.m / np.sqrt(units._e * units._amu) / units.invcm


INTERRUPTED = {
    "minimise": '[task]\nkind = "minimise"\noptimiser = "bfgs"\nfmax = "1e-6 eV/angstrom"',
    "minimise-lbfgs": '[task]\nkind = "minimise"\noptimiser = "lbfgs"\nfmax = "1e-6 eV/angstrom"',
    "vibrations": '[task]\nkind = "vibrations"',
    "scan": '[task]\nkind = "scan"\n[task.coordinate]\nkind = "angle"\natoms = [0, 1, 2]\n'
    'start = "90 deg"\nstop = "150 deg"\npoints = 12\n[task.relax]\nfmax = "1e-3 eV/angstrom"',
}


@pytest.mark.parametrize("task", INTERRUPTED)
@pytest.mark.parametrize("calls", [3, 11])
def test_an_interrupted_task_goes_on_to_the_same_results(
    tmp_path: Path, task: str, calls: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole, cut = (case_of(tmp_path / name, INTERRUPTED[task]) for name in ("whole", "cut"))
    outcome_of(whole)
    monkeypatch.setattr("scalespan.bridges.run.record.Record.due", lambda self: True)
    with monkeypatch.context() as patch:
        left, compute = [calls], ParticleAdapter.compute

        def stopping(self: ParticleAdapter, *arguments: object) -> object:
            left[0] -= 1
            if left[0] < 0:
                raise KeyboardInterrupt
            return compute(self, *arguments)

        patch.setattr(ParticleAdapter, "compute", stopping)
        with pytest.raises(KeyboardInterrupt):
            outcome_of(cut)
    assert summary_of(cut)["status"] == "interrupted"
    outcome_of(cut, restart=True)
    for path in (whole / "results").glob("*.csv"):
        assert path.read_bytes() == (cut / "results" / path.name).read_bytes(), path.name
    assert summary_of(whole)["values"] == summary_of(cut)["values"]


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("[task]", "the key 'kind' is missing"),
        ('[task]\nkind = "dynamic"', "did you mean 'dynamics'"),
        ('[task]\nkind = "minimise"\nfmax = "0.1 eV"', "no force"),
        ('[task]\nkind = "minimise"\nfmax = "0.1 eV/nm"\nfrozen = [3]', "there is no atom 3"),
        ('[task]\nkind = "single-point"\n[output.measure]\nx = { distance = [0, 1], angle = [0, 1, 2] }', "is one of"),
        ('[task]\nkind = "single-point"\n[output.measure]\nx = { angle = [0, 1, 7] }', "there is no atom 7"),
    ],
)
def test_a_wrong_task_is_a_sentence(tmp_path: Path, text: str, says: str) -> None:
    with pytest.raises(CaseError, match=says):
        outcome_of(case_of(tmp_path / "case", text))


def test_the_unit_of_the_drift_is_what_it_says(tmp_path: Path) -> None:
    # 1 eV/fs is 1000 · 96.485 kJ/mol/ps
    from scalespan.adapters.interface.units import convert

    assert convert(1.0, "eV/fs", "kJ/mol/ps") == pytest.approx(1000.0 / KJ_PER_MOL, rel=1e-12)
    assert convert(2.0, "kcal/mol", "eV") == pytest.approx(quantity("2 kcal/mol", "energy"), rel=1e-12)
