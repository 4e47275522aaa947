"""Files that are never half-written, and numbers that are compared in the reference's unit."""

from __future__ import annotations

import io
import math
import os
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from ase import Atoms

from scalespan.adapters.interface import AtomsError, CaseError, OptionError, UnitError
from scalespan.bridges.run.case import Reference
from scalespan.bridges.run.files import GrowingFile, write_whole
from scalespan.bridges.run.progress import Progress
from scalespan.bridges.run.record import Record, read_series
from scalespan.bridges.run.results import Check, Measure, Output, Value, compare, statistics
from scalespan.bridges.run.series import RunningLine, fit_line


def reference(**changes: object) -> Reference:
    table = {"name": "energy", "value": 1.0, "tolerance": 0.01, "unit": "eV", "source": "by hand"}
    return Reference.read(table | changes)


class TestFiles:
    def test_a_whole_file_is_replaced(self, tmp_path: Path) -> None:
        path = tmp_path / "a"
        write_whole(path, b"old")
        write_whole(path, b"new", sync=False)
        assert path.read_bytes() == b"new"
        assert list(tmp_path.iterdir()) == [path]

    def test_a_failed_write_leaves_the_old_file(self, tmp_path: Path) -> None:
        path = tmp_path / "a"
        path.write_bytes(b"old")
        script = (
            "import resource, sys, pathlib\n"
            "from scalespan.bridges.run.files import write_whole\n"
            "from scalespan.adapters.interface import CaseError\n"
            "resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))\n"
            "try:\n"
            "    write_whole(pathlib.Path(sys.argv[1]), bytes(5000))\n"
            "except CaseError as error:\n"
            "    print(error)\n"
        )
        ended = subprocess.run([sys.executable, "-c", script, str(path)], capture_output=True, text=True, check=True)
        assert "the disk or the quota is full" in ended.stdout
        assert path.read_bytes() == b"old"
        assert list(tmp_path.iterdir()) == [path]

    def test_a_growing_file_is_cut_back_to_what_counts(self, tmp_path: Path) -> None:
        path = tmp_path / "a"
        path.write_bytes(b"first\nsecond\nhal")
        file = GrowingFile(path, len(b"first\n"))
        file.append(b"again\n")
        file.close()
        assert path.read_bytes() == b"first\nagain\n"

    def test_a_record_that_does_not_fit_is_not_begun(self, tmp_path: Path) -> None:
        path = tmp_path / "a"
        script = (
            "import resource, sys, pathlib\n"
            "from scalespan.bridges.run.files import GrowingFile\n"
            "from scalespan.adapters.interface import CaseError\n"
            "file = GrowingFile(pathlib.Path(sys.argv[1]))\n"
            "resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))\n"
            "try:\n"
            "    while True: file.append(b'x' * 299 + b'\\n')\n"
            "except CaseError as error:\n"
            "    print(error)\n"
        )
        ended = subprocess.run([sys.executable, "-c", script, str(path)], capture_output=True, text=True, check=True)
        assert "scalespan run --restart" in ended.stdout
        assert path.stat().st_size == 900

    @pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
    def test_a_folder_without_permission_is_a_sentence(self, tmp_path: Path) -> None:
        tmp_path.chmod(0o500)
        with pytest.raises(CaseError, match="cannot be written"):
            write_whole(tmp_path / "a", b"")


class TestSeries:
    def test_numbers_read_back_bit_for_bit(self, tmp_path: Path) -> None:
        (tmp_path / "case.toml").write_text("")
        record = Record.begin(tmp_path, restart=False)
        values = np.random.default_rng(1).normal(size=(20, 2)) * 10.0 ** np.arange(-10, 10)[:, None]
        series = record.series("a", ["step", "x/eV", "y/Å"])
        for step, row in enumerate(values):
            series.row([step, *row])
        record.close()
        table = read_series(tmp_path / "results" / "a.csv")
        assert list(table) == ["step", "x/eV", "y/Å"]
        np.testing.assert_array_equal(np.stack([table["x/eV"], table["y/Å"]], axis=1), values)

    def test_an_innermost_block_takes_its_own_time(self, tmp_path: Path) -> None:
        (tmp_path / "case.toml").write_text("")
        record = Record.begin(tmp_path, restart=False)
        with record.timed("model"), record.timed("output"):
            time.sleep(0.05)
        clock = record.clock()
        record.close()
        assert clock["output"] >= 0.05
        assert clock["model"] < 0.5 * clock["output"]
        assert clock["model"] + clock["output"] <= clock["total"]


class TestChecks:
    @pytest.mark.parametrize(
        ("value", "passed"), [(1.0, True), (1.009, True), (0.992, True), (1.011, False), (math.nan, False)]
    )
    def test_a_check_passes_within_its_tolerance(self, value: float, passed: bool) -> None:
        assert Check("x", value, 1.0, 0.01, "eV", "-").passed is passed

    def test_a_value_is_compared_in_the_reference_s_unit(self) -> None:
        (check,) = compare({"energy": Value(1.0, "eV")}, [reference(value=23.06, unit="kcal/mol")])
        assert check.value == pytest.approx(23.0605, abs=1e-4)  # CODATA: 1 eV is 23.0605 kcal/mol
        assert check.unit == "kcal/mol"
        assert check.passed

    def test_another_dimension_is_refused(self) -> None:
        with pytest.raises(UnitError, match=r"reference\.toml: energy"):
            compare({"energy": Value(1.0, "eV")}, [reference(unit="fs")])

    def test_statistics_are_named(self) -> None:
        values = statistics("x", [1.0, 2.0, 6.0], "K")
        found = {name: each.value for name, each in values.items()}
        expected = {
            "x_first": 1.0,
            "x_last": 6.0,
            "x_mean": 3.0,
            "x_min": 1.0,
            "x_max": 6.0,
            "x_std": math.sqrt(14 / 3),
        }
        assert found == pytest.approx(expected)


class TestMeasure:
    ATOMS = Atoms("HOOH", [[1, 1, 0], [1, 0, 0], [0, 0, 0], [0, 0, -1.5]], cell=[8, 8, 8], pbc=True)

    @pytest.mark.parametrize(
        ("table", "value", "unit"),
        [
            ({"distance": [0, 1]}, 1.0, "angstrom"),
            ({"distance": [0, 3]}, math.sqrt(1 + 1 + 1.5**2), "angstrom"),
            ({"angle": [0, 1, 2]}, 90.0, "degree"),
            ({"dihedral": [0, 1, 2, 3]}, 90.0, "degree"),
            ({"dihedral": [3, 2, 1, 0]}, 90.0, "degree"),
        ],
    )
    def test_geometry(self, table: dict, value: float, unit: str) -> None:
        measure = Measure.read(table)
        assert abs(measure.of(self.ATOMS)) == pytest.approx(value)
        assert measure.unit == unit

    def test_a_distance_is_at_the_minimum_image(self) -> None:
        atoms = self.ATOMS.copy()
        atoms.positions[0] += [8.0, -16.0, 8.0]
        assert Measure.read({"distance": [0, 1]}).of(atoms) == pytest.approx(1.0)

    @pytest.mark.parametrize("table", [{}, {"distance": [0, 1], "angle": [0, 1, 2]}])
    def test_it_is_exactly_one(self, table: dict) -> None:
        with pytest.raises(OptionError, match="a measure is one of"):
            Measure.read(table)

    def test_an_atom_that_does_not_exist_is_named(self) -> None:
        with pytest.raises(AtomsError, match=r"\[output.measure\] x: there is no atom 4; indices go from 0 to 3"):
            Measure.read({"distance": [0, 4]}).check("x", self.ATOMS)

    def test_output_measures_all(self) -> None:
        output = Output.read({"measure": {"a": {"distance": [0, 1]}, "b": {"angle": [0, 1, 2]}}})
        assert output.measured(self.ATOMS) == pytest.approx({"a": 1.0, "b": 90.0})


class TestLine:
    def test_slope_and_error_of_noise_are_those_of_least_squares(self) -> None:
        random = np.random.default_rng(3)
        x = np.linspace(0.0, 10.0, 400)
        slopes = np.array([fit_line(x, 0.3 * x + random.normal(size=x.size)).slope for _ in range(300)])
        line = fit_line(x, 0.3 * x + random.normal(size=x.size))
        exact = 1.0 / (x.std() * math.sqrt(x.size))  # σ = 1
        assert slopes.mean() == pytest.approx(0.3, abs=4 * exact / math.sqrt(300))
        assert slopes.std() == pytest.approx(exact, rel=0.2)
        # White noise crosses the line at every other point: half as many stretches as points.
        assert line.error == pytest.approx(math.sqrt(2) * exact, rel=0.15)

    def test_a_dense_oscillation_does_not_pass_for_many_points(self) -> None:
        for n in (100, 10_000):
            x = np.linspace(0.0, 1.0, n)
            line = fit_line(x, np.sin(2 * np.pi * 4.5 * x))
            assert abs(line.slope) < 2.0 * line.error
            assert line.error == pytest.approx(math.sqrt(12 * 0.5 / 10), rel=0.15)

    def test_a_growing_energy_is_outside_the_error(self) -> None:
        x = np.linspace(0.0, 1.0, 50)
        for y in (x, x**2, np.expm1(5 * x)):
            line = fit_line(x, y)
            assert line.slope > 2.0 * line.error

    def test_the_running_slope_is_the_slope(self) -> None:
        x, y = np.random.default_rng(1).normal(size=(2, 30)) + 1e6
        running = RunningLine()
        running.add(x[:10], y[:10])
        running.add(x[10:], y[10:])
        assert running.slope == pytest.approx(fit_line(x, y).slope, rel=1e-9)


class TestProgress:
    def test_off_a_terminal_it_is_a_line_every_tenth(self) -> None:
        stream = io.StringIO()
        progress = Progress(stream)
        progress.start("dynamics", 1000)
        for step in range(1001):
            progress.show(step, f"T {step} K")
        progress.close()
        lines = stream.getvalue().splitlines()
        assert len(lines) == 11
        assert lines[3].startswith("dynamics   30 %  T 300 K")
        assert "\x1b" not in stream.getvalue()

    def test_on_a_terminal_it_is_one_line(self, monkeypatch: pytest.MonkeyPatch) -> None:
        class Terminal(io.StringIO):
            def isatty(self) -> bool:
                return True

        monkeypatch.setenv("TERM", "xterm")
        monkeypatch.delenv("NO_COLOR", raising=False)
        stream = Terminal()
        progress = Progress(stream)
        progress.start("dynamics", 10)
        for step in range(11):
            progress.show(step, "T 300 K")
        progress.close()
        assert "100 %" in stream.getvalue()
        assert stream.getvalue().count("\n") <= 1

    def test_showing_costs_little(self) -> None:
        calls = 0

        class Counting(io.StringIO):
            def write(self, text: str) -> int:
                nonlocal calls
                calls += 1
                return super().write(text)

        progress = Progress(Counting())
        progress.start("dynamics", 100_000)
        for step in range(100_001):
            progress.show(step)
        assert calls < 100

    def test_without_a_stream_nothing_is_shown(self) -> None:
        progress = Progress(None)
        progress.start("dynamics", 10)
        progress.show(5, "x")
        progress.say("y")
        progress.close()
