"""The case two_springs against the normal modes of three masses on a line."""

from __future__ import annotations

import json
import shutil
import tomllib
from pathlib import Path

import numpy as np
import pytest

from scalespan.adapters.interface import Array
from scalespan.bridges.run.cli import main

CASE = Path(__file__).parents[2] / "cases" / "two_springs"
STIFFNESS = 1600.0  # N/m
AMU, E = 1.66053906660e-27, 1.602176634e-19  # kg, C: CODATA 2018 (doi:10.1103/RevModPhys.93.025010)
OUTER, MIDDLE = 15.999 * AMU, 12.011 * AMU  # kg: the standard atomic weights
LENGTH, STRETCH = 1.16, 0.1  # Å
END = 500.0  # fs


def frequencies() -> Array:
    """√(k/m) and √(k/m (1 + 2m/M)), in 1/fs."""
    return 1e-15 * np.sqrt(STIFFNESS / OUTER * np.array([1.0, 1.0 + 2.0 * OUTER / MIDDLE]))


def bonds(symmetric: float, antisymmetric: float) -> tuple[float, float]:
    """Both bonds where the modes have turned by these angles, from rest with the left one stretched.

    The bond vector (a, 0) is half symmetric, (a, a)/2, and half antisymmetric, (a, -a)/2, because
    u₁ − u₀ and u₂ − u₁ are the chain's coordinates: equal in the first mode, opposite in the second.
    """
    even, odd = 0.5 * STRETCH * np.cos(symmetric), 0.5 * STRETCH * np.cos(antisymmetric)
    return LENGTH + even + odd, LENGTH + even - odd


def verlet_bonds(timestep: float) -> tuple[float, float]:
    """Both bonds (Å) at the end, as velocity Verlet with ``timestep`` (fs) has them."""
    turned = round(END / timestep) * 2.0 * np.arcsin(frequencies() * timestep / 2.0)
    return bonds(*turned)


@pytest.fixture
def case(tmp_path: Path) -> Path:
    ignore = shutil.ignore_patterns("results*")
    return Path(shutil.copytree(CASE, tmp_path / "two_springs", ignore=ignore))


def edit(case: Path, old: str, new: str) -> None:
    text = (case / "case.toml").read_text(encoding="utf-8")
    assert text.count(old) == 1
    (case / "case.toml").write_text(text.replace(old, new), encoding="utf-8")


def values(case: Path) -> dict[str, float]:
    assert main(["run", "--quiet", str(case)]) == 0
    summary = json.loads((case / "results" / "summary.json").read_text(encoding="utf-8"))
    return {name: entry["value"] for name, entry in summary["values"].items()}


def test_the_reference_numbers_are_what_the_modes_give() -> None:
    table = tomllib.loads((CASE / "reference.toml").read_text(encoding="utf-8"))
    left, right = verlet_bonds(0.25)
    assert table["left_last"]["value"] == pytest.approx(left, abs=1e-12)
    assert table["right_last"]["value"] == pytest.approx(right, abs=1e-12)
    assert table["total_first"]["value"] == pytest.approx(0.5 * STIFFNESS * STRETCH**2 * 1e-20 / E, rel=1e-12)


def test_the_case_meets_every_reference_number(case: Path) -> None:
    assert main(["run", "--quiet", str(case)]) == 0
    summary = json.loads((case / "results" / "summary.json").read_text(encoding="utf-8"))
    checks = {check["name"]: check for check in summary["checks"]}
    assert {"left_last", "right_last", "total_first"} <= checks.keys()
    assert [name for name, check in checks.items() if not check["passed"]] == []


def test_the_error_against_newton_falls_with_the_square_of_the_timestep(case: Path) -> None:
    edit(case, 'duration = "500 fs"', 'duration = "50 fs"')
    (case / "reference.toml").unlink()
    exact = bonds(*(frequencies() * 50.0))[0]
    coarse = values(case)["left_last"] - exact
    edit(case, 'timestep = "0.25 fs"', 'timestep = "0.125 fs"')
    fine = values(case)["left_last"] - exact
    assert coarse / fine == pytest.approx(4.0, rel=0.05)


def test_the_vibrations_are_the_two_modes(case: Path) -> None:
    text = (case / "case.toml").read_text(encoding="utf-8")
    head = text[: text.index("[task]")].replace("input/stretched.xyz", "input/resting.xyz")
    (case / "case.toml").write_text(head + '[task]\nkind = "vibrations"\n', encoding="utf-8")
    (case / "input" / "resting.xyz").write_text(f"3\n\nO {-LENGTH} 0 0\nC 0 0 0\nO {LENGTH} 0 0\n", encoding="utf-8")
    (case / "reference.toml").unlink()
    per_cm = 1e15 / (2.0 * np.pi * 2.99792458e10)  # ω in 1/fs to 1/cm
    found = values(case)
    wavenumbers = sorted(value for name, value in found.items() if name.startswith("frequency_"))[-2:]
    assert wavenumbers == pytest.approx(list(frequencies() * per_cm), rel=1e-6)
