"""What every test shares: pinned threads, the option --benchmark, and an account of what was skipped."""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest

# Before any engine is imported: sums over threads come in no fixed order, and workers share the cores.
for _key in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "OPENMM_CPU_THREADS"):
    os.environ.setdefault(_key, "1")


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--benchmark", action="store_true", help="run the benchmarks too; they measure times")


# gmsh is GPL: it runs as a program of its own.
_GMSH = """
import sys, gmsh
gmsh.initialize()
gmsh.open(sys.argv[1])
gmsh.model.mesh.generate(int(sys.argv[3]))
gmsh.write(sys.argv[2])
"""


@pytest.fixture(scope="session")
def gmsh() -> Callable[[Path, str, int], Path]:
    """Return what makes a .msh file from gmsh's own language, of cells of a dimension."""
    pytest.importorskip("meshio", reason="meshio, which reads gmsh's files, is not installed: pip install meshio")
    if importlib.util.find_spec("gmsh") is None:
        pytest.skip("gmsh is not installed: apt-get install python3-gmsh, or pip install gmsh")

    def make(file: Path, geometry: str, dimension: int) -> Path:
        source = file.with_suffix(".geo")
        source.write_text(f'SetFactory("OpenCASCADE");\nGeneral.Terminal = 0;\n{geometry}\n')
        subprocess.run([sys.executable, "-c", _GMSH, source, file, str(dimension)], check=True)
        return file

    return make


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    if config.getoption("--benchmark"):
        return
    skip = pytest.mark.skip(reason="a benchmark, which runs only with --benchmark")
    for item in items:
        if item.get_closest_marker("benchmark"):
            item.add_marker(skip)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Say in one sentence for each reason what did not run."""
    reasons = Counter(_reason(report) for report in terminalreporter.stats.get("skipped", []))
    terminalreporter.section("what was skipped, and why")
    if not reasons:
        terminalreporter.write_line("Nothing was skipped.")
    for reason, count in sorted(reasons.items()):
        tests = "1 test was" if count == 1 else f"{count} tests were"
        terminalreporter.write_line(f"{tests} skipped: {reason.rstrip('.')}.")


def _reason(report: pytest.TestReport) -> str:
    text = report.longrepr[2] if isinstance(report.longrepr, tuple) else str(report.longrepr)
    return text.removeprefix("Skipped: ")
