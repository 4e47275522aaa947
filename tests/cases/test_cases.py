"""Every case of the repository: it passes its check, runs, meets its reference numbers, and says what it is."""

from __future__ import annotations

import json
import re
import shutil
import tomllib
from pathlib import Path

import pytest

from scalespan.bridges.run.cli import main

CASES = Path(__file__).parents[2] / "cases"
NAMES = sorted(place.parent.name for place in CASES.glob("*/case.toml"))
SLOW = {
    "alanine_dipeptide",
    "atoms_under_strain",
    "chain_1d",
    "loaded_notch",
    "oscillating_coefficient",
    "pulse_2d",
    "rve_size",
    "silicon_hot_atom",
    "silicon_vacancy_3d",
    "solvated_formaldehyde",
    "two_scale_heat",
}  # about a minute each
RUNS = [pytest.param(name, marks=pytest.mark.slow) if name in SLOW else name for name in NAMES]


def toml(path: Path) -> dict[str, dict[str, object]]:
    return tomllib.loads(path.read_text(encoding="utf-8"))


def test_the_cases_are_there() -> None:
    assert set(NAMES) >= {"two_springs", "water_dimer", "solvated_formaldehyde", "ethanol_cut", "alanine_dipeptide"}


@pytest.mark.parametrize("name", NAMES)
def test_check_finds_nothing_wrong(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["check", str(CASES / name)]) == 0
    assert f"ready: scalespan run {CASES / name}" in capsys.readouterr().out.replace("\n", "")


@pytest.mark.parametrize("name", RUNS)
def test_the_run_meets_every_number(name: str, tmp_path: Path) -> None:
    case = shutil.copytree(CASES / name, tmp_path / name, ignore=shutil.ignore_patterns("results*"))
    assert main(["run", "--quiet", str(case)]) == 0
    summary = json.loads((case / "results" / "summary.json").read_text(encoding="utf-8"))
    checks = {check["name"]: check for check in summary["checks"]}
    assert summary["status"] == "finished"
    assert toml(case / "reference.toml").keys() <= checks.keys()
    assert [check for check in checks.values() if not check["passed"]] == []
    assert (case / "results" / "report.html").stat().st_size > 10_000


@pytest.mark.parametrize("name", NAMES)
def test_each_reference_number_says_where_it_comes_from(name: str) -> None:
    references = toml(CASES / name / "reference.toml")
    case = (CASES / name / "case.toml").read_text(encoding="utf-8")
    needs_engine = re.search(r'use = "(openmm|pyscf|ase|dolfinx)"', case)
    assert references
    for entry in references.values():
        assert re.search(r"doi:10\.|[0-9]+\.[0-9]+\.[0-9]+|½", str(entry["source"])), entry
        assert entry.get("engines") or not needs_engine, entry


@pytest.mark.parametrize("name", NAMES)
def test_the_readme_says_what_it_shows_how_long_it_takes_and_shows_it(name: str) -> None:
    readme = (CASES / name / "README.md").read_text(encoding="utf-8")
    assert "what it shows" in readme.lower()
    assert re.search(r"\*\*Takes\*\* .*minute", readme)
    assert f"scalespan run cases/{name}" in readme
    links = [link for link in re.findall(r"\]\(([^)]+)\)", readme) if "://" not in link]
    assert "picture.svg" in links
    assert [link for link in links if not (CASES / name / link).exists()] == []


@pytest.mark.parametrize("name", NAMES)
def test_the_picture_is_small(name: str) -> None:
    picture = CASES / name / "picture.svg"
    assert picture.read_text(encoding="utf-8").rstrip().endswith("</svg>")
    assert picture.stat().st_size < 200_000
