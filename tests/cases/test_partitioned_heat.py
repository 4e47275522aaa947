"""Partitioned heat conduction: exact to the coupling's tolerance, in 2-D and 3-D, on ranks, with a foreign partner."""

from __future__ import annotations

import csv
import re
import shutil
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from scalespan.bridges.run.cli import main

pytest.importorskip("dolfinx", reason="DOLFINx is not installed: conda install -c conda-forge fenics-dolfinx")

ROOT = Path(__file__).parents[2]
TOLERANCE = 1e-10  # of the coupling, in precice-config.xml
OTHER = {"Dirichlet": "Neumann", "Neumann": "Dirichlet"}
Edit = Callable[[str], str]


@pytest.fixture
def case(tmp_path: Path) -> Path:
    """The case, with three windows."""
    copy = shutil.copytree(
        ROOT / "cases" / "partitioned_heat", tmp_path / "heat", ignore=shutil.ignore_patterns("results*", "precice-run")
    )
    edit(copy / "precice-config.xml", lambda xml: xml.replace('max-time value="1"', 'max-time value="0.3"'))
    (copy / "reference.toml").unlink()
    return copy


def edit(path: Path, change: Edit) -> None:
    before = path.read_text(encoding="utf-8")
    after = change(before)
    assert after != before
    path.write_text(after, encoding="utf-8")


def three_dimensional(case: Path) -> None:
    """As the README says."""
    third = re.compile(r"low = \[(\d), 0\], high = \[(\d), 1\], cells = \[8, 8\]")
    side = '  { boundary = "SIDE", value = "1 + x**2 + 3*y**2 + 1.2*t" },\n'
    more = side.replace("SIDE", "back") + side.replace("SIDE", "front")
    edit(case / "case.toml", lambda text: third.sub(r"low = [\1, 0, 0], high = [\2, 1, 1], cells = [3, 3, 3]", text))
    edit(case / "case.toml", lambda text: text.replace('  { boundary = "top"', f'{more}  {{ boundary = "top"'))
    edit(case / "precice-config.xml", lambda xml: xml.replace('dimensions="2"', 'dimensions="3"'))


def on_ranks(case: Path, ranks: int) -> None:
    edit(case / "case.toml", lambda text: text.replace('use = "continuum"', f'use = "continuum"\nranks = {ranks}'))


def coupled_with(case: Path, coupling: str) -> None:
    if coupling == "precice":
        pytest.importorskip("precice", reason="pyprecice is not installed: pip install pyprecice")
    edit(case / "case.toml", lambda text: text.replace("[coupling]", f'[coupling]\nwith = "{coupling}"'))


def errors(case: Path, participant: str) -> list[float]:
    with (case / "results" / participant / "series.csv").open(encoding="utf-8") as file:
        return [float(row["error/1"]) for row in csv.DictReader(file)]


def assert_exact(case: Path, *participants: str) -> None:
    for participant in participants:
        found = errors(case, participant)
        assert len(found) == 3
        assert max(found) < TOLERANCE


@pytest.mark.parametrize("coupling", ["precice", "embedded"])
def test_the_error_is_the_couplings_tolerance(case: Path, coupling: str) -> None:
    coupled_with(case, coupling)
    assert main(["run", "--quiet", str(case)]) == 0
    assert_exact(case, "Dirichlet", "Neumann")


@pytest.mark.parametrize("coupling", ["precice", "embedded"])
def test_so_it_is_in_three_dimensions(case: Path, coupling: str) -> None:
    three_dimensional(case)
    coupled_with(case, coupling)
    assert main(["run", "--quiet", str(case)]) == 0
    assert_exact(case, "Dirichlet", "Neumann")


@pytest.mark.slow
@pytest.mark.parametrize("dimension", [2, 3])
def test_so_it_is_on_two_ranks_each(case: Path, dimension: int) -> None:
    if dimension == 3:
        three_dimensional(case)
    coupled_with(case, "precice")
    on_ranks(case, 2)
    assert main(["run", "--quiet", str(case)]) == 0
    assert_exact(case, "Dirichlet", "Neumann")


@pytest.mark.parametrize("ours", ["Dirichlet", "Neumann"])
def test_a_foreign_participant_swaps_in_by_its_folder(case: Path, ours: str) -> None:
    """The official fenicsxprecice on the other side, with the adapter configuration that the case has anyway."""
    pytest.importorskip("fenicsxprecice", reason="fenicsxprecice is not installed: pip install fenicsxprecice")
    foreign = OTHER[ours]
    coupled_with(case, "precice")
    shutil.copy(Path(__file__).parent / "foreign_heat.py", case / foreign)
    run = f'#!/usr/bin/env bash\nset -e -u\ncd "$(dirname "$0")"\n{sys.executable} foreign_heat.py {foreign}\n'
    (case / foreign / "run.sh").write_text(run, encoding="utf-8")
    assert main(["run", "--quiet", str(case)]) == 0
    assert_exact(case, ours)
    assert float((case / foreign / "error.txt").read_text(encoding="utf-8")) < 10 * TOLERANCE  # the largest one, K
