"""Cases without atoms: a continuum through its steps, a material along a path, a study row by row."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from scalespan.adapters.interface import Array, CaseError, FieldAdapter, HandOff
from scalespan.bridges.run import tasks
from scalespan.bridges.run.case import read
from scalespan.bridges.run.check import check
from scalespan.bridges.run.progress import Progress
from scalespan.bridges.run.record import read_series
from scalespan.bridges.run.report import write

STUDY = '''
from typing import ClassVar
import numpy as np
from scalespan.adapters.interface import Conclusion, Options, Study

class Squares(Study):
    """The squares of the first numbers."""

    name = "squares"
    values: ClassVar = ("total",)

    class Options(Options):
        many: int = 5

    def __init__(self, options):
        self.options = options

    columns = ("number/1", "square/m**2")
    rows = property(lambda self: self.options.many)

    def row(self, number):
        return [number, number**2]

    def conclude(self, table):
        return Conclusion({"total": (float(table["square/m**2"].sum()), "m**2")})
'''
SPRING = '{ atoms = [0, 1], stiffness = "1 eV/angstrom**2", length = "1 angstrom" }'
LAMINATE = """
title = "A laminate"
[model]
use = "homogenisation"
[model.cell]
use = "dolfinx"
mesh = { low = [0, 0], high = [1, 1], cells = [4, 2] }
elasticity = { young = "where(x < 0.5, 1, 10)", poisson = 0.0 }
[task]
kind = "response"
"""
BAR = """
title = "A bar"
[model]
use = "dolfinx"
mesh = { low = [0, 0], high = [4, 1], cells = [4, 1] }
places = { left = { boundary = "left" } }
[model.elasticity]
young = 10
poisson = 0.0
fixed = [{ boundary = "left", value = 0.0 }]
natural = [{ boundary = "right", value = ["2*t", 0.0] }]
[task]
kind = "march"
steps = 4
to = 0.5
[task.probes]
tip = { field = "displacement", at = [4, 1], unit = "m" }
support = { output = "left.force", unit = "N/m" }
"""


def case_of(folder: Path, text: str, references: str = "") -> Path:
    (folder / "case.toml").write_text(text)
    (folder / "reference.toml").write_text(references)
    (folder / "squares.py").write_text(STUDY)
    return folder


def study(folder: Path) -> Path:
    text = 'title = "Squares"\n[model]\nuse = "squares"\n[task]\nkind = "study"\n'
    reference = '[total]\nvalue = 3e5\ntolerance = 1\nunit = "cm**2"\nsource = "0 + 1 + 4 + 9 + 16"\n'
    return case_of(folder, text, reference)


def outcome_of(folder: Path, *, restart: bool = False) -> tasks.Outcome:
    case = read(folder)
    return tasks.run(case, check(case).ready, restart=restart, progress=Progress(None))


def series(folder: Path, name: str) -> dict[str, Array]:
    return read_series(folder / "results" / f"{name}.csv")


def test_a_study_computes_its_rows_and_meets_its_reference(tmp_path: Path) -> None:
    outcome = outcome_of(study(tmp_path))
    assert outcome.passed and outcome.values["total"].value == 30.0
    assert series(tmp_path, "rows")["square/m**2"].tolist() == [0.0, 1.0, 4.0, 9.0, 16.0]
    assert "Squares" in write(tmp_path).read_text()


def test_an_interrupted_study_goes_on_where_it_was(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    study(tmp_path)
    case, asked = read(tmp_path), []
    model = case.build()
    row = model.row

    def watched(number: int) -> list[float]:
        asked.append(number)
        if asked == [0, 1, 2, 3]:
            raise KeyboardInterrupt
        return row(number)

    monkeypatch.setattr(model, "row", watched)
    with pytest.raises(KeyboardInterrupt):
        tasks.run(case, tasks.look(case, model), restart=False, progress=Progress(None))
    assert tasks.run(case, tasks.look(case, model), restart=True, progress=Progress(None)).values["total"].value == 30.0
    assert asked == [0, 1, 2, 3, 3, 4]


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ('[model]\nuse = "squares"\n[task]\nkind = "march"\nsteps = 1\nto = 1', "is a study.*takes a continuum"),
        ('[model]\nuse = "squares"\n[task]\nkind = "single-point"', "is a study.*takes a model of atoms"),
        ('[model]\nuse = "squares"\n[atoms]\nfile = "a.xyz"\n[task]\nkind = "study"', "has no atoms"),
        (
            f'[model]\nuse = "harmonic"\nsprings = [{SPRING}]\n[task]\nkind = "study"',
            "is a model of atoms.*takes a study",
        ),
    ],
)
def test_a_model_of_another_family_is_refused(tmp_path: Path, text: str, says: str) -> None:
    case_of(tmp_path, f'title = "Wrong"\n{text}')
    (tmp_path / "a.xyz").write_text("1\n\nH 0 0 0\n")
    with pytest.raises(CaseError, match=says):
        check(read(tmp_path))


def test_a_laminate_answers_along_a_path(tmp_path: Path) -> None:
    pytest.importorskip("dolfinx", reason="DOLFINx is not installed")
    case_of(tmp_path, LAMINATE + "path = [[[1.1, 0.0], [0.0, 1.0]], [[1.0, 0.0], [0.0, 1.0]]]\nsteps = 4")
    values = outcome_of(tmp_path).values
    assert values["C11"].value == pytest.approx(1.0 / np.mean([1.0, 0.1]), rel=1e-12)
    assert values["C22"].value == pytest.approx(5.5, rel=1e-12)
    table = series(tmp_path, "path")
    stress = next(column for name, column in table.items() if name.startswith("P_xx"))
    assert stress == pytest.approx(np.array([1, 2, 3, 4, 3, 2, 1, 0]) * 0.025 / 0.55, abs=1e-12)
    assert "Stress along the path" in write(tmp_path).read_text()


def test_a_path_of_another_dimension_is_refused(tmp_path: Path) -> None:
    pytest.importorskip("dolfinx", reason="DOLFINx is not installed")
    case_of(tmp_path, LAMINATE + "path = [[[1.1]]]")
    with pytest.raises(CaseError, match="1 dimensions, and the material 2"):
        check(read(tmp_path))


def test_the_constants_are_handed_off_with_their_origin_and_their_box(tmp_path: Path) -> None:
    pytest.importorskip("dolfinx", reason="DOLFINx is not installed")
    box = "validity = { strain = { low = -0.01, high = 0.01 } }"
    case_of(tmp_path, LAMINATE + f'[task.hand_off]\nwhat = "constants of a laminate"\nunit = "N/m"\n{box}\n')
    values = outcome_of(tmp_path).values
    found = HandOff.load(tmp_path / "results" / "hand_off.toml")
    assert dict(zip(found.value.names, found.value.numbers, strict=True))["C11"] == pytest.approx(values["C11"].value)
    assert found.origin.engine == "homogenisation" and "dolfinx" in found.origin.version
    with pytest.raises(CaseError, match=r"hold at a strain from -0\.01 to 0\.01"):
        found.require("strain", 0.02)
    (tmp_path / "results" / "case.toml").write_text("other = 1")
    with pytest.raises(CaseError, match="is no longer the file"):
        HandOff.load(tmp_path / "results" / "hand_off.toml")


def test_a_bar_marches_under_a_growing_load(tmp_path: Path) -> None:
    pytest.importorskip("dolfinx", reason="DOLFINx is not installed")
    values = outcome_of(case_of(tmp_path, BAR)).values
    assert values["tip_last"].value == pytest.approx(4.0 * 1.0 / 10.0, rel=1e-9)
    assert abs(values["support_last"].value) == pytest.approx(1.0, rel=1e-9)
    assert series(tmp_path, "steps")["tip/m"] == pytest.approx(0.4 * np.array([0.25, 0.5, 0.75, 1.0]), rel=1e-9)
    page = write(tmp_path).read_text()
    assert "fields.pvd, for ParaView" in page and "Displacements are drawn" not in page


def test_an_interrupted_march_goes_on_bit_for_bit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("dolfinx", reason="DOLFINx is not installed")
    text = BAR.replace("young = 10", 'material = "neo-hookean"\nyoung = 10')
    (tmp_path / "whole").mkdir()
    outcome_of(case_of(tmp_path / "whole", text))
    (tmp_path / "cut").mkdir()
    case = read(case_of(tmp_path / "cut", text))
    model = case.build()
    assert isinstance(model, FieldAdapter)
    advance, left = model.advance, iter([1, 1])

    def stopped(dt: float) -> None:
        if next(left, None) is None:
            raise KeyboardInterrupt
        advance(dt)

    monkeypatch.setattr(model, "advance", stopped)
    with pytest.raises(KeyboardInterrupt):
        tasks.run(case, tasks.look(case, model), restart=False, progress=Progress(None))
    outcome_of(tmp_path / "cut", restart=True)
    rows = [(tmp_path / each / "results" / "steps.csv").read_bytes() for each in ("whole", "cut")]
    assert rows[0] == rows[1]


@pytest.mark.parametrize(
    ("probe", "says"),
    [
        ('{ field = "displacment", at = [1, 1] }', "no field 'displacment'.*displacement"),
        ('{ field = "displacement", at = [1, 1], component = 2 }', "has 2 components"),
        ('{ field = "displacement", at = [1] }', "the point has 1 numbers; give 2"),
        ('{ output = "right.force" }', "no output 'right.force'"),
        ('{ field = "displacement" }', "a probe is field"),
    ],
)
def test_a_probe_of_what_is_not_there_is_refused(tmp_path: Path, probe: str, says: str) -> None:
    pytest.importorskip("dolfinx", reason="DOLFINx is not installed")
    case_of(tmp_path, f"{BAR}wrong = {probe}\n")
    with pytest.raises(CaseError, match=says):
        check(read(tmp_path))


def test_the_summary_of_a_bare_case_knows_no_atoms(tmp_path: Path) -> None:
    outcome_of(study(tmp_path))
    summary = json.loads((tmp_path / "results" / "summary.json").read_text())
    assert "atoms" not in summary and not (tmp_path / "results" / "structure.extxyz").exists()


def on_two_ranks(folder: Path, *more: str) -> subprocess.CompletedProcess[str]:
    launcher = shutil.which("mpirun")
    if launcher is None:
        pytest.skip("mpirun is not installed")
    scratch = folder / "scratch"  # Open MPI's session folders: two runs in one may stop each other
    scratch.mkdir(exist_ok=True)
    program = "import sys; from scalespan.bridges.run.cli import main; sys.exit(main(sys.argv[1:]))"
    command = [launcher, "-n", "2", sys.executable, "-c", program, "run", str(folder), *more]
    environment = os.environ | {"TMPDIR": str(scratch)}
    return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=300, check=False)


def test_a_march_on_two_ranks_gives_the_numbers_of_one(tmp_path: Path) -> None:
    pytest.importorskip("dolfinx", reason="DOLFINx is not installed")
    outcome_of(case_of(tmp_path, BAR))
    alone = series(tmp_path, "steps")
    done = on_two_ranks(tmp_path)
    assert done.returncode == 0, done.stderr
    for name, column in series(tmp_path, "steps").items():
        assert column == pytest.approx(alone[name], rel=1e-10), name
    assert "fields.pvd, for ParaView" in (tmp_path / "results" / "report.html").read_text()
    with pytest.raises(CaseError, match="this run had 2 ranks, and there are 1; type: mpirun -n 2"):
        outcome_of(tmp_path, restart=True)


def test_what_runs_on_one_rank_says_so_on_two(tmp_path: Path) -> None:
    pytest.importorskip("mpi4py", reason="mpi4py is not installed")
    done = on_two_ranks(study(tmp_path))
    assert done.returncode == 2
    assert done.stderr.count("the task 'study' runs on one rank, and there are 2; leave mpirun out") == 1
