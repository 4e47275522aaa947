"""What FE² costs against the naive scheme, at the same error, and how it grows with the points and with the cells.

Cook's membrane of a laminate, by a cell at each Gauss point, against the same membrane with its layers resolved.
Counts are what is asserted; times are of the processor, so that others on the machine matter little.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
import tomllib
from pathlib import Path
from time import process_time
from typing import Any, NamedTuple

import pytest

pytest.importorskip("dolfinx", reason="DOLFINx is not installed")
pytest.importorskip("meshio", reason="meshio, which reads the membrane's mesh, is not installed: pip install meshio")
from scalespan.adapters.dolfinx import DolfinxAdapter
from scalespan.adapters.dolfinx.solve import Step
from scalespan.adapters.interface import load_file
from scalespan.bridges.homogenisation import Homogenisation, HomogenisationOptions

from .table import write_table

ROOT = Path(__file__).parents[2]
CASE = ROOT / "cases" / "fe2_membrane"
COOK = load_file(CASE / "input" / "membrane.py")
NAIVE = "naive: every cell, at every question, to the full tolerance"
SCHEMES: dict[str, dict[str, Any]] = {
    NAIVE: {"scheme": "plain"},
    "nested, to the full tolerance": {"forcing": 0.0},
    "nested, inexact": {},
    "monolithic": {"scheme": "monolithic"},
    "nested, reuse = 1e-5": {"reuse": 1e-5},
    "nested, reuse = 1e-4": {"reuse": 1e-4},
    "nested, reuse = 1e-3": {"reuse": 1e-3},
}


class Run(NamedTuple):
    """What one membrane took."""

    tip: float  # mm
    newton: int  # iterations of the continuum
    cells: float  # iterations of the cells
    time: float  # s


def law(elements: int, solid: dict[str, Any] | None = None, **options: Any) -> Homogenisation:
    """Return the law of one stiff layer and one soft one."""
    box = {"low": [0.0, 0.0], "high": [1.0, 1.0], "cells": [elements, elements]}
    pair = COOK.PAIR | {"young": "where(x < 0.5, 1, 10)"} | (solid or {})
    cell = DolfinxAdapter(DolfinxAdapter.Options.read(COOK.UNITS | {"mesh": box, "elasticity": pair}))
    return Homogenisation(HomogenisationOptions(**options), cell=cell)


def watched(body: DolfinxAdapter) -> list[int]:
    """Return what will hold the number of each Newton iteration of the membrane, those after a new beginning too."""
    step: Any = body._step
    newton: list[int] = []
    assert isinstance(step, Step)
    make = step._create

    def create(comm: Any, options: Any) -> Any:
        snes = make(comm, options)
        snes.setMonitor(lambda _, number, norm: newton.append(number))
        return snes

    step._create = create
    step._snes.setMonitor(lambda _, number, norm: newton.append(number))
    return newton


def run(across: int, micro: Homogenisation) -> Run:
    with tempfile.TemporaryDirectory() as folder:
        mesh = COOK.write_mesh(Path(folder) / "membrane.msh", across, across)
        options = DolfinxAdapter.Options.read(COOK.table(mesh, material="law"))
        body = DolfinxAdapter(options, law=micro)
    newton = watched(body)
    begin = process_time()
    tip = COOK.tip(body)[1]
    taken = process_time() - begin
    return Run(tip, sum(number > 0 for number in newton), micro.observe()["cell_iterations/1"], taken)


@pytest.mark.benchmark
def test_cost_against_naive_fe2() -> None:
    exact = tomllib.loads((CASE / "reference.toml").read_text(encoding="utf-8"))["tip_last"]["value"]
    runs = {name: run(4, law(8, **options)) for name, options in SCHEMES.items()}
    naive, rows = runs[NAIVE], []
    for name, each in runs.items():
        per, of_naive = each.cells / each.newton, naive.cells / naive.newton
        rows.append(
            [
                name,
                each.newton,
                f"{each.cells:.0f}",
                f"{per:.0f}",
                f"{of_naive / per:.1f}",
                f"{1e3 * each.time / each.newton:.0f}",
                f"{naive.time / naive.newton / (each.time / each.newton):.1f}",
                f"{100 * abs(each.tip / exact - 1):.2f} %",
                f"{abs(each.tip / naive.tip - 1):.0e}",
            ]
        )
    header = ["scheme", "Newton iterations of the membrane", "of the cells", "per iteration of the membrane"]
    header += ["fewer than naive", "ms of processor per iteration of the membrane", "faster than naive"]
    header += ["error of the tip against resolved layers", "difference from naive"]
    write_table("fe2", header, rows)
    for name in ("nested, to the full tolerance", "nested, inexact", "monolithic"):
        assert runs[name].tip == pytest.approx(naive.tip, rel=1e-8)
    assert runs["monolithic"].cells <= 0.5 * runs["nested, to the full tolerance"].cells
    best = runs["nested, reuse = 1e-4"]
    assert best.cells / best.newton <= 0.1 * naive.cells / naive.newton
    assert abs(best.tip / naive.tip - 1) < 0.1 * abs(naive.tip / exact - 1), "the same error against the resolved"


@pytest.mark.benchmark
def test_cost_of_a_linear_laminate() -> None:
    linear = {"material": "linear"}
    naive, once = run(2, law(8, linear, scheme="plain")), run(2, law(8, linear))
    assert once.tip == pytest.approx(naive.tip, rel=1e-8)
    assert once.cells <= 2.0
    rows = [[name, f"{each.cells:.0f}", f"{each.time:.2f}"] for name, each in (("naive", naive), ("once", once))]
    write_table("fe2 linear", ["scheme", "iterations of the cells", "processor time, s"], rows)


@pytest.mark.benchmark
def test_growth_with_points_and_cells() -> None:
    rows = []
    for across, elements in ((2, 8), (4, 8), (8, 8), (2, 4), (2, 16), (2, 32)):
        micro = law(elements, scheme="monolithic")
        found = run(across, micro)
        unknowns = 2 * elements**2
        row = [9 * across**2, unknowns, found.newton, f"{found.cells:.0f}", f"{1e3 * found.time / found.cells:.2f}"]
        rows.append([*row, f"{1e3 * found.time / found.newton:.0f}"])
    header = ["Gauss points", "unknowns of a cell", "Newton iterations of the membrane", "of the cells"]
    write_table("fe2 growth", [*header, "ms each", "ms per iteration of the membrane"], rows)


@pytest.mark.benchmark
def test_balance_over_ranks() -> None:
    launcher = shutil.which("mpirun")
    if launcher is None:
        pytest.skip("mpirun is not installed")
    program = str(ROOT / "tests" / "bridges" / "fe2_bodies.py")
    with tempfile.TemporaryDirectory(prefix="mpi") as folder:
        command = [launcher, "-n", "2", sys.executable, program]
        done = subprocess.run(command, env=os.environ | {"TMPDIR": folder}, capture_output=True, text=True, check=True)
    found = json.loads(done.stdout[done.stdout.index("{") :])
    shares = ("law_balance_by_owner/1", "law_balance/1")
    rows = [[scheme, *(f"{found[scheme][key]:.3f}" for key in shares)] for scheme in ("nested", "monolithic")]
    write_table("fe2 ranks", ["scheme", "each rank its own points", "shared"], rows)
