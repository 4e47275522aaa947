"""`scalespan run` of a case with participants: by one command, by hand, beside a foreign program, on several ranks."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from scalespan.adapters.interface import CaseError, CouplingError, OptionError
from scalespan.bridges.run.cli import main
from scalespan.bridges.run.coupled import CoupledCase, read, run
from scalespan.bridges.run.progress import Progress
from scalespan.bridges.run.record import read_series

from .faulty import alive, faulty
from .test_faults import RUN

NO_PRECICE = "pyprecice is not installed: the embedded coupling is tested alone"


def coupled(case: Path, kind: str = "embedded") -> CoupledCase:
    found = read(case)
    assert isinstance(found, CoupledCase)
    return found.coupled_with(kind)


def displacement(case: Path, name: str) -> np.ndarray:
    return read_series(case / "results" / name / "series.csv")["displacement/angstrom"]


def test_one_command_runs_all_and_meets_the_references(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    case = faulty(tmp_path)
    assert main(["run", str(case), "--coupling", "embedded"]) == 0
    said = capfd.readouterr()
    assert said.err == ""
    assert "100 %  window 40  t 200 fs  iterations 3" in said.out
    summary = json.loads((case / "results" / "summary.json").read_text(encoding="utf-8"))
    assert summary["status"] == "finished"
    assert [check["passed"] for check in summary["checks"]] == [True, True]
    assert summary["values"]["Left.displacement_first"]["unit"] == "angstrom"
    page = (case / "results" / "report.html").read_text(encoding="utf-8")
    assert "Left: displacement" in page
    assert "Coupling iterations" in page
    assert alive(case) == []


@pytest.mark.parametrize("kind", ["embedded", "precice"])
def test_the_line_of_progress_tells_the_residual_of_the_last_window(
    tmp_path: Path, kind: str, capfd: pytest.CaptureFixture[str]
) -> None:
    if kind == "precice":
        pytest.importorskip("precice", reason=NO_PRECICE)
    case = faulty(tmp_path, fault="slow", call="accept")
    run(coupled(case, kind), restart=False, progress=Progress(sys.stdout))
    limits = [measure.limit for measure in coupled(case).config.schemes[0].measures]
    told = re.findall(r"residual (\S+)", capfd.readouterr().out)
    assert told
    assert all(0.0 <= float(residual) < min(limits) for residual in told)


def test_both_couplings_give_the_same_series(tmp_path: Path) -> None:
    pytest.importorskip("precice", reason=NO_PRECICE)
    found = {}
    for kind in ("embedded", "precice"):
        case = faulty(tmp_path / kind)
        run(coupled(case, kind), restart=False, progress=Progress(None))
        found[kind] = displacement(case, "Left")
    np.testing.assert_allclose(found["precice"], found["embedded"], rtol=0.0, atol=1e-12)


def test_participants_started_by_hand_meet(tmp_path: Path) -> None:
    case = faulty(tmp_path)
    hands = [subprocess.Popen([*RUN, str(case), "--coupling", "embedded", "-p", name]) for name in ("Right", "Left")]
    assert [hand.wait(timeout=60.0) for hand in hands] == [0, 0]
    by_hand = displacement(case, "Left")
    run(coupled(case), restart=False, progress=Progress(None))
    np.testing.assert_array_equal(displacement(case, "Left"), by_hand)


def test_a_participant_by_hand_tells_its_error(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    case = faulty(tmp_path, fault="raise", call="constructor")
    done = subprocess.run([*RUN, str(case), "-p", "Left"], capture_output=True, text=True, check=False, timeout=60.0)
    assert done.returncode == 4
    assert "raised ValueError: seven is not even" in done.stderr


def test_an_unknown_participant_is_told_the_nearest(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    assert main(["run", str(faulty(tmp_path)), "--participant", "Lift"]) == 2
    assert "there is no participant 'Lift'; did you mean 'Left'?" in capfd.readouterr().err


def test_a_folder_of_another_program_is_a_participant(tmp_path: Path) -> None:
    pytest.importorskip("precice", reason=NO_PRECICE)
    case = faulty(tmp_path)
    run(coupled(case, "precice"), restart=False, progress=Progress(None))
    ours = displacement(case, "Left")
    text = (case / "case.toml").read_text(encoding="utf-8")
    head, tail = text[: text.index("[participants.Right]")], text[text.index("[output]") :]
    (case / "case.toml").write_text(head + tail, encoding="utf-8")
    (case / "reference.toml").unlink()
    (case / "Right" / "run.sh").write_text(f"#!/usr/bin/env bash\nset -e -u\n{sys.executable} mass.py\n")
    (case / "Right" / "mass.py").write_text(FOREIGN)
    for _ in range(2):  # the second run is not held up by what the first has left
        run(coupled(case, "auto"), restart=False, progress=Progress(None))
        np.testing.assert_allclose(displacement(case, "Left"), ours, rtol=0.0, atol=1e-12)
    with pytest.raises(CaseError, match="Right is another program"):
        run(coupled(case, "embedded"), restart=False, progress=Progress(None))


# A mass that knows nothing of scalespan.
FOREIGN = """
import numpy as np
import precice

solver = precice.Participant("Right", "../precice-config.xml", 0, 1)
ids = solver.set_mesh_vertices("Right-Mesh", np.zeros((1, 2)))
x = v = 0.0
if solver.requires_initial_data():
    solver.write_data("Right-Mesh", "Displacement-Right", ids, np.array([x]))
solver.initialize()
while solver.is_coupling_ongoing():
    if solver.requires_writing_checkpoint():
        saved = x, v
    dt = min(2.5, solver.get_max_time_step_size())
    now, then = (solver.read_data("Right-Mesh", "Displacement-Left", ids, at)[0] for at in (0.0, dt))
    half = v + 0.5 * dt * (0.002 * now - 0.0025 * x)
    x += dt * half
    v = half + 0.5 * dt * (0.002 * then - 0.0025 * x)
    solver.write_data("Right-Mesh", "Displacement-Right", ids, np.array([x]))
    solver.advance(dt)
    if solver.requires_reading_checkpoint():
        x, v = saved
solver.finalize()
"""


@pytest.fixture
def ranks(tmp_path: Path) -> Path:
    """The two masses twice, side by side: one pair on each of Left's two ranks."""
    pytest.importorskip("mpi4py", reason="mpi4py is not installed: no participant with several ranks")
    if shutil.which("mpirun") is None:
        pytest.skip("there is no mpirun: no participant with several ranks")
    case = faulty(tmp_path)
    text = (case / "faulty.py").read_text(encoding="utf-8")
    text = text.replace("class MassBridge", ROWS + "\n\nclass MassBridge").replace("np.zeros((1, 2))", "rows()")
    text = text.replace("return np.array([[self.x]])", "return np.full((len(rows()), 1), self.x)")
    text = text.replace('("Displacement-{partner}", mesh', '("Displacement-{partner}", mesh')
    (case / "mass.py").write_text(text, encoding="utf-8")
    toml = (case / "case.toml").read_text(encoding="utf-8")
    (case / "case.toml").write_text(toml.replace("[participants.Left]", "[participants.Left]\nranks = 2"))
    return case


ROWS = '''def rows():
    """This rank's points."""
    from mpi4py import MPI

    both = np.array([[0.0, 0.0], [5.0, 0.0]])
    return both if MPI.COMM_WORLD.size == 1 else both[MPI.COMM_WORLD.rank :][:1]
'''


@pytest.mark.parametrize("kind", ["embedded", "precice"])
def test_a_participant_of_two_ranks_gives_the_same(ranks: Path, tmp_path: Path, kind: str) -> None:
    if kind == "precice":
        pytest.importorskip("precice", reason=NO_PRECICE)
    run(coupled(ranks, kind), restart=False, progress=Progress(None))
    two = displacement(ranks, "Left")
    toml = (ranks / "case.toml").read_text(encoding="utf-8")
    (ranks / "case.toml").write_text(toml.replace("ranks = 2", "ranks = 1"), encoding="utf-8")
    run(coupled(ranks, kind), restart=False, progress=Progress(None))
    np.testing.assert_allclose(two, displacement(ranks, "Left"), rtol=0.0, atol=1e-12)


def test_a_killed_rank_ends_all(ranks: Path) -> None:
    toml = (ranks / "case.toml").read_text(encoding="utf-8")
    (ranks / "faulty.py").write_text((ranks / "mass.py").read_text(encoding="utf-8"), encoding="utf-8")
    head, tail = toml.split("[participants.Left]\n")
    options = "fault = 'kill'\nwindow = 5\n"
    (ranks / "case.toml").write_text(f"{head}[participants.Left]\n{options}{tail.replace('mass', 'faulty', 1)}")
    with pytest.raises(CouplingError, match="Left"):
        run(coupled(ranks), restart=False, progress=Progress(None))
    assert alive(ranks) == []


WRONG = {
    "[participants.Left]\nranks = 0": (OptionError, "ranks = 0"),
    "[participants.Lfet]\n": (CaseError, "has no participant 'Lfet'.*did you mean 'Left'"),
    "[participants.Left]\nslide = 1": (OptionError, "unknown key 'slide'.*did you mean 'side'"),
}


@pytest.mark.parametrize("new", WRONG)
def test_a_wrong_section_is_refused(tmp_path: Path, new: str) -> None:
    case = faulty(tmp_path)
    text = (case / "case.toml").read_text(encoding="utf-8")
    (case / "case.toml").write_text(text.replace("[participants.Left]\n", f"{new}\n"), encoding="utf-8")
    kind, says = WRONG[new]
    with pytest.raises(kind, match=says):
        run(coupled(case), restart=False, progress=Progress(None))


def test_an_unknown_key_of_coupling_names_the_nearest(tmp_path: Path) -> None:
    case = faulty(tmp_path)
    text = (case / "case.toml").read_text(encoding="utf-8")
    (case / "case.toml").write_text(text.replace("with =", "whith ="), encoding="utf-8")
    with pytest.raises(OptionError, match="unknown key 'whith'; did you mean 'with'"):
        read(case)


def test_ctrl_c_is_for_the_supervisor_alone(tmp_path: Path) -> None:
    """Ctrl-C in the foreground process group reaches only the supervisor, which ends the others in order."""
    case = faulty(tmp_path, fault="slow")
    process = subprocess.Popen(
        [*RUN, str(case), "--coupling", "embedded"], stderr=subprocess.PIPE, start_new_session=True
    )
    until = time.monotonic() + 60.0
    while not (case / "results" / "Right" / "series.csv").exists() and time.monotonic() < until:
        time.sleep(0.02)
    os.killpg(process.pid, signal.SIGINT)
    process.communicate(timeout=10.0)
    assert process.returncode == 130
    assert "Traceback" not in (case / "results" / "Left" / "log.txt").read_text(encoding="utf-8")
