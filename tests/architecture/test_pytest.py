"""The test run accounts for itself: what is skipped is counted and explained, benchmarks wait to be asked."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

SAMPLE = """
import pytest

@pytest.mark.parametrize("i", range(3))
def test_needs(i):
    pytest.skip("the engine no_such is not installed")

@pytest.mark.skipif(True, reason="there is one core only.")
def test_cores():
    pass

@pytest.mark.benchmark
def test_time():
    print("the benchmark ran")

def test_passes():
    pass
"""


@pytest.fixture
def sample(root: Path, tmp_path: Path) -> Path:
    (tmp_path / "conftest.py").write_text((root / "tests" / "conftest.py").read_text())
    (tmp_path / "test_sample.py").write_text(SAMPLE)
    (tmp_path / "pytest.ini").write_text("[pytest]\nmarkers = benchmark: times\n")
    return tmp_path


def run(folder: Path, *options: str) -> str:
    command = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "-s", "-q", *options, "test_sample.py"]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, check=True).stdout


@pytest.mark.parametrize("workers", ["0", "2"])
def test_each_reason_is_counted_in_a_sentence(sample: Path, workers: str) -> None:
    out = run(sample, "-n", workers)
    assert "3 tests were skipped: the engine no_such is not installed." in out
    assert "1 test was skipped: there is one core only." in out
    assert "1 test was skipped: a benchmark, which runs only with --benchmark." in out


def test_benchmarks_run_when_asked(sample: Path) -> None:
    assert "the benchmark ran" not in run(sample)
    assert "the benchmark ran" in run(sample, "--benchmark")


def test_a_run_without_skips_says_so(sample: Path) -> None:
    assert "Nothing was skipped." in run(sample, "-k", "passes")
