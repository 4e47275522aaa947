"""Whatever goes wrong in a participant: all end in time, with the first cause, and nothing is lost."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from scalespan.adapters.interface import CaseError, CouplingError, EngineFailed, ScalespanError, UnitError
from scalespan.bridges.run.coupled import CoupledCase, read, run
from scalespan.bridges.run.progress import Progress

from .faulty import alive, faulty, fell

RUN = [sys.executable, "-c", "import sys; from scalespan.bridges.run.cli import main; sys.exit(main())", "run"]


IN_TIME = 5.0  # s from the first cause until all have ended


def fails(case: Path, kind: str = "embedded") -> ScalespanError:
    """Run the case, which must fail; return the error. In time, nothing may be left of it but its results."""
    found = read(case)
    assert isinstance(found, CoupledCase)
    with pytest.raises(ScalespanError) as raised:
        run(found.coupled_with(kind), restart=False, progress=Progress(None))
    ended = time.time()
    assert alive(case) == []
    cause = fell(case)
    assert ended - (ended if cause is None else cause) < IN_TIME
    return raised.value


def rows(case: Path, name: str) -> int:
    return len((case / "results" / name / "series.csv").read_text(encoding="utf-8").splitlines()) - 1


KILLS = {
    "start": {"call": "constructor"},
    "first window": {"call": "receive"},
    "mid-run": {"call": "advance", "window": 5},
    "finish": {"call": "accept", "window": 40},
}


@pytest.mark.parametrize("name", ["Left", pytest.param("Right", marks=pytest.mark.slow)])
@pytest.mark.parametrize("phase", KILLS)
def test_a_killed_participant_is_named_with_its_signal(tmp_path: Path, phase: str, name: str) -> None:
    case = faulty(tmp_path, name, fault="kill", **KILLS[phase])
    error = fails(case)
    assert isinstance(error, CouplingError)
    assert f"{name} was ended by the signal SIGKILL" in str(error)
    summary = json.loads((case / "results" / "summary.json").read_text(encoding="utf-8"))
    assert summary["status"] == "failed"
    assert "SIGKILL" in summary["reason"]


CALLS = ["constructor", "exchange", "audit", "longest_step", "receive", "advance", "write", "save", "restore", "accept"]
CALLS += ["observe", "frame"]


@pytest.mark.parametrize("call", CALLS)
def test_an_exception_is_told_with_its_call_and_line(tmp_path: Path, call: str) -> None:
    name = "Right" if CALLS.index(call) % 2 else "Left"
    case = faulty(tmp_path, name, fault="raise", call=call)
    error = fails(case)
    assert isinstance(error, EngineFailed)
    assert "raised ValueError: seven is not even" in str(error)
    assert f"{name}: faulty.py, line" in str(error)
    assert "in fail" in (case / "results" / name / "traceback.txt").read_text(encoding="utf-8")


def test_a_value_that_is_not_finite_is_not_sent(tmp_path: Path) -> None:
    error = fails(faulty(tmp_path, fault="nan", call="write", window=3))
    assert isinstance(error, EngineFailed)
    assert "Left: 'Displacement-Left' is not finite in window 4" in str(error)


@pytest.mark.parametrize(
    ("fault", "kind", "says"),
    [
        ("exit", EngineFailed, "its program left with status 0"),
        ("vanish", CouplingError, "ended before its last window"),
    ],
)
def test_a_participant_that_leaves_is_no_success(tmp_path: Path, fault: str, kind: type, says: str) -> None:
    error = fails(faulty(tmp_path, fault=fault, window=3))
    assert isinstance(error, kind)
    assert says in str(error)


def test_a_full_disk_is_named_and_what_was_written_is_whole(tmp_path: Path) -> None:
    case = faulty(tmp_path, fault="disk", call="advance", window=2)
    error = fails(case)
    assert isinstance(error, CaseError)
    assert "the disk or the quota is full" in str(error)
    assert rows(case, "Left") == 5  # restart_every = 5: it failed at the first state


@pytest.mark.parametrize("call", ["constructor", "exchange"])
def test_a_partner_that_never_comes_is_waited_for_with_patience(tmp_path: Path, call: str) -> None:
    case = faulty(tmp_path, "Right", fault="hang", call=call, patience="1 s")
    found = read(case)
    assert isinstance(found, CoupledCase)
    with pytest.raises(CouplingError, match="Right has not been built within 1 s"):
        run(found.coupled_with("embedded"), restart=False, progress=Progress(None))
    assert alive(case) == []
    late = (case / "results" / "Left" / "look.json").stat().st_mtime + 1.0
    assert time.time() - late < IN_TIME


def edited(case: Path, old: str, new: str) -> Path:
    path = case / "precice-config.xml"
    text = path.read_text(encoding="utf-8")
    assert old in text
    path.write_text(text.replace(old, new), encoding="utf-8")
    return case


READ, WRITTEN = '<read-data name="Displacement-Right" mesh=', '<write-data name="Displacement-Left" mesh="Left-Mesh" />'
IN_XML = "in precice-config.xml and"
WRONG_XML = {
    "no XML": ("<participant name", "<participant <name", "this is not XML"),
    "another mesh": (f'{READ}"Left-Mesh"', f'{READ}"Lft-Mesh"', "there is no mesh 'Lft-Mesh'"),
    "another participant": ('"Right"', '"Rihgt"', "has no participant 'Right'"),
    "a missing element": ('<time-window-size value="5" />', "", "window"),
    "a vector": ("data:scalar", "data:vector", f"has 2 components {IN_XML} 1 in"),
    "another dimension": ('dimensions="2"', 'dimensions="3"', f"has 3 dimensions {IN_XML} 2 in"),
    "data that nobody writes": (WRITTEN, "", "Left writes 'Displacement-Left'"),
}


@pytest.mark.parametrize("what", WRONG_XML)
def test_a_wrong_xml_is_the_cases_fault(tmp_path: Path, what: str) -> None:
    old, new, says = WRONG_XML[what]
    case = edited(faulty(tmp_path), old, new)
    with pytest.raises(CaseError, match=says):
        raise fails(case)


def test_two_units_of_one_exchange_are_refused(tmp_path: Path) -> None:
    error = fails(faulty(tmp_path, fault="none", unit="nm"))
    assert "Left writes 'Displacement-Left' in nm, Right reads it in angstrom" in str(error)
    assert "a factor of 10" in str(error)


def test_another_time_than_the_couplings_is_refused(tmp_path: Path) -> None:
    error = fails(faulty(tmp_path, fault="none", time="ps"))
    assert "the times of 'faulty' are in ps and those of precice-config.xml in fs" in str(error)


def test_earlier_results_are_kept(tmp_path: Path) -> None:
    case = faulty(tmp_path, fault="raise", window=3)
    (case / "results").mkdir()
    (case / "results" / "precious").touch()
    fails(case)
    assert (case / "results.1" / "precious").exists()
    assert rows(case, "Left") == 3


def started(case: Path, *more: str) -> subprocess.Popen[str]:
    process = subprocess.Popen(
        [*RUN, str(case), "--coupling", "embedded", *more], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    series = case / "results" / "Left" / "series.csv"
    until = time.monotonic() + 60.0
    while not series.exists() and time.monotonic() < until:
        time.sleep(0.02)
    assert series.exists(), process.communicate()
    return process


def gone(case: Path, within: float) -> bool:
    until = time.monotonic() + within
    while alive(case) and time.monotonic() < until:
        time.sleep(0.05)
    return not alive(case)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, pytest.param(signal.SIGHUP, marks=pytest.mark.slow)])
def test_an_interrupted_run_ends_all_and_can_go_on(tmp_path: Path, number: signal.Signals) -> None:
    case = faulty(tmp_path, fault="slow")
    process = started(case)
    process.send_signal(number)
    _, said = process.communicate(timeout=IN_TIME)
    assert process.returncode == 130
    assert "to go on: scalespan run" in said
    assert alive(case) == []
    assert json.loads((case / "results" / "summary.json").read_text(encoding="utf-8"))["status"] == "interrupted"


def test_a_killed_supervisor_leaves_no_orphan(tmp_path: Path) -> None:
    case = faulty(tmp_path, fault="slow")
    process = started(case)
    until = time.monotonic() + IN_TIME
    os.kill(process.pid, signal.SIGKILL)
    process.communicate(timeout=IN_TIME)
    assert gone(case, within=until - time.monotonic())


@pytest.mark.parametrize("fault", ["slow", "hang"])
def test_a_participant_killed_from_outside_ends_one_that_computes(tmp_path: Path, fault: str) -> None:
    """Right waits in the coupling when it is killed; Left takes its time, or would take for ever."""
    case = faulty(tmp_path, fault=fault, window=3)
    process = started(case)
    until = time.monotonic() + 60.0
    while not (case / "fell").exists() and time.monotonic() < until:
        time.sleep(0.02)
    os.kill(process_of(case, "Right"), signal.SIGKILL)
    _, said = process.communicate(timeout=IN_TIME)
    assert process.returncode == CouplingError.status
    assert "Right was ended by the signal SIGKILL" in said
    assert alive(case) == []


def process_of(case: Path, name: str) -> int:
    order = str(case / "results" / name / "order.json")
    return next(n for n in alive(case) if order in (Path("/proc") / str(n) / "cmdline").read_text().split("\0"))


def test_a_second_run_of_one_case_is_refused(tmp_path: Path) -> None:
    case = faulty(tmp_path, fault="slow")
    process = started(case)
    found = read(case)
    assert isinstance(found, CoupledCase)
    with pytest.raises(CaseError, match="another run is writing here"):
        run(found, restart=False, progress=Progress(None))
    process.terminate()
    process.communicate(timeout=10.0)


PRECICE: list[dict[str, Any]] = [
    {"fault": "kill", "call": "advance", "window": 5},
    {"fault": "raise", "call": "write", "window": 5},
    {"fault": "kill", "call": "constructor"},
]


@pytest.mark.parametrize("options", PRECICE)
def test_a_partner_of_precice_does_not_wait_for_ever(tmp_path: Path, options: dict[str, Any]) -> None:
    pytest.importorskip("precice", reason="pyprecice is not installed: the embedded coupling is tested alone")
    error = fails(faulty(tmp_path, "Right", **options), "precice")
    assert "SIGKILL" in str(error) or "seven is not even" in str(error)


def test_an_xml_that_precice_refuses_is_told_in_its_words(tmp_path: Path) -> None:
    pytest.importorskip("precice", reason="pyprecice is not installed: the embedded coupling is tested alone")
    case = edited(faulty(tmp_path), 'acceptor="Left" connector="Right"', 'acceptor="Left" connector="Left"')
    assert fails(case, "precice").status in (2, 5)


def test_units_raise_their_own_error(tmp_path: Path) -> None:
    with pytest.raises(UnitError, match="cannot be converted"):
        raise_again(tmp_path)


def raise_again(folder: Path) -> None:
    case = faulty(folder, fault="none", unit="kelvin")
    found = read(case)
    assert isinstance(found, CoupledCase)
    run(found.coupled_with("embedded"), restart=False, progress=Progress(None))
