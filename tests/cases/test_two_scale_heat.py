"""Two-scale heat conduction: the front's law, and one answer by three couplings, the Micro Manager among them."""

from __future__ import annotations

import csv
import importlib.util
import shutil
import tomllib
from pathlib import Path

import numpy as np
import pytest

from scalespan.adapters.interface import Array, MicroModel
from scalespan.adapters.interface.contract_micro import MicroContract
from scalespan.bridges.interface import build
from scalespan.bridges.micro_simulations import MicroSimulations
from scalespan.bridges.run.cli import main

pytest.importorskip("dolfinx", reason="DOLFINx is not installed: conda install -c conda-forge fenics-dolfinx")

CASE = Path(__file__).parents[2] / "cases" / "two_scale_heat"
MANAGED = '#!/usr/bin/env bash\nset -e -u\ncd "$(dirname "$0")" && python3 -m scalespan.bridges.micro_simulations\n'
GAMMA, RADIUS, DT = 0.05, 0.4, 0.01


@pytest.fixture
def case(tmp_path: Path) -> Path:
    return small(tmp_path)


def small(place: Path) -> Path:
    """Return a copy with four cells, each of 12 × 12 elements."""
    copy = shutil.copytree(CASE, place / "heat", ignore=shutil.ignore_patterns("results*", "precice-run"))
    edit(copy / "case.toml", "cells = [4, 3]", "cells = [1, 1]")
    edit(copy / "case.toml", "cells = [20, 20]", "cells = [12, 12]")
    (copy / "reference.toml").unlink()
    return copy


def edit(path: Path, before: str, after: str) -> None:
    text = path.read_text(encoding="utf-8")
    assert before in text
    path.write_text(text.replace(before, after), encoding="utf-8")


def micro(folder: Path) -> MicroModel:
    table = tomllib.loads((folder / "case.toml").read_text(encoding="utf-8"))["participants"]["Micro-Manager"]
    bridge = build(table, where="case.toml", folder=folder)
    assert isinstance(bridge, MicroSimulations)
    return bridge.model


def managed(case: Path) -> None:
    """Let the Micro Manager have the cells."""
    if importlib.util.find_spec("precice") is None:
        pytest.skip("pyprecice is not installed: pip install pyprecice")
    if importlib.util.find_spec("micro_manager") is None:
        pytest.skip("the Micro Manager is not installed: pip install micro-manager-precice")
    (case / "Micro-Manager" / "run.sh").write_text(MANAGED, encoding="utf-8")


def series(case: Path, participant: str, column: str) -> list[float]:
    with (case / "results" / participant / "series.csv").open(encoding="utf-8") as file:
        return [float(row[column]) for row in csv.DictReader(file)]


@pytest.mark.parametrize("concentration", [0.5, 0.3])
def test_the_front_moves_by_its_law(concentration: float) -> None:
    """dR/dt = f − γ/R, so that ψ grows by −2πR dR/dt; the front's width and one implicit step leave a few per cent."""
    model = micro(CASE)
    _, after = model.step(model.initial(), {"Concentration": np.array([concentration])}, DT)
    before = model.initial_answer()
    assert before is not None
    grown = float(after["Porosity"][0] - before["Porosity"][0])
    reaction = (concentration / 0.5) ** 2 - 1.0
    assert grown == pytest.approx(2 * np.pi * (GAMMA - RADIUS * reaction) * DT, rel=0.05)
    assert after["K-00"] == pytest.approx(after["K-11"], rel=1e-10)
    assert after["K-01"] == pytest.approx(0.0, abs=1e-10)


class TestGrain(MicroContract):
    def make_model(self) -> MicroModel:
        return micro(CASE)

    def make_inputs(self) -> list[dict[str, Array]]:
        return [{"Concentration": np.array([each])} for each in (0.4, 0.2)]


def test_a_cell_that_is_open_enough_no_longer_changes(case: Path) -> None:
    edit(case / "case.toml", "final = 0.95", "final = 0.4")
    model = micro(case)
    before = model.initial_answer()
    after = model.step(model.initial(), {"Concentration": np.array([0.1])}, DT)[1]
    assert before == after


@pytest.fixture(scope="module")
def alone(tmp_path_factory: pytest.TempPathFactory) -> list[list[float]]:
    """What the embedded coupling gives."""
    case = small(tmp_path_factory.mktemp("embedded"))
    assert main(["run", "--quiet", "--coupling", "embedded", str(case)]) == 0
    return answers(case)


def answers(case: Path) -> list[list[float]]:
    """Return the plate's content at the end of each window, and the cells' means and largest where they are shown."""
    found = [series(case, "Macro-Heat", "amount/m**2")]
    if (case / "results" / "Micro-Manager" / "series.csv").exists():
        found += [series(case, "Micro-Manager", each) for each in ("Porosity/1", "largest K-00/(m**2/s)")]
    return found


def test_precice_gives_the_embedded_couplings_numbers(case: Path, alone: list[list[float]]) -> None:
    pytest.importorskip("precice", reason="pyprecice is not installed: pip install pyprecice")
    assert main(["run", "--quiet", "--coupling", "precice", str(case)]) == 0
    np.testing.assert_allclose(answers(case), alone, rtol=1e-12)


@pytest.mark.slow
def test_so_does_the_micro_manager(case: Path, alone: list[list[float]]) -> None:
    managed(case)
    assert main(["run", "--quiet", str(case)]) == 0
    assert "Time window 2 converged." in (case / "results" / "Micro-Manager" / "log.txt").read_text(encoding="utf-8")
    np.testing.assert_allclose(answers(case), alone[:1], rtol=1e-12)


@pytest.mark.slow
def test_a_cell_that_fails_under_the_micro_manager_ends_the_run(case: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The Micro Manager itself ends with the status 0 then, and its partner would wait for ever."""
    managed(case)
    begin = "    def after() -> None:\n"
    edit(case / "cell.py", begin, f'{begin}        raise ZeroDivisionError("no grain")\n')
    assert main(["run", "--quiet", str(case)]) == 4
    told = " ".join(capsys.readouterr().err.split())
    assert "micro simulation 0 failed: ZeroDivisionError: no grain" in told
