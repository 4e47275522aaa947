"""A coupled run that was ended goes on at the last window that all participants have kept."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from scalespan.adapters.interface import CaseError, EngineFailed, ScalespanError
from scalespan.bridges.run.cli import main
from scalespan.bridges.run.coupled import CoupledCase, read, run
from scalespan.bridges.run.coupled.restart import last_common, rest_of
from scalespan.bridges.run.precice_config import read_config
from scalespan.bridges.run.progress import Progress
from scalespan.bridges.run.record import read_series

from .faulty import faulty
from .test_faults import RUN

HALVES: dict[str, dict[str, Any]] = {"whole": {}, "parts": {"fault": "raise", "window": 22}}
KINDS = ["embedded", pytest.param("precice", marks=pytest.mark.slow)]


def go(case: Path, kind: str, *, restart: bool = False) -> None:
    if kind == "precice":
        pytest.importorskip("precice", reason="pyprecice is not installed: the embedded coupling is tested alone")
    found = read(case)
    assert isinstance(found, CoupledCase)
    run(found.coupled_with(kind), restart=restart, progress=Progress(None))


def scheme(case: Path, name: str) -> Path:
    path = case / "precice-config.xml"
    text = path.read_text(encoding="utf-8").replace("serial-implicit", name)
    if name.endswith("explicit"):
        text = re.sub(r"<(max-iterations|relative-convergence-measure)[^>]*/>", "", text)
    path.write_text(text, encoding="utf-8")
    return case


def broken_off_and_continued(folder: Path, name: str, kind: str) -> tuple[Path, Path]:
    """Return the same case run in one go, and ended by a fault in window 23 and gone on with."""
    folder.joinpath("whole").mkdir()
    folder.joinpath("parts").mkdir()
    whole = scheme(faulty(folder / "whole"), name)
    go(whole, kind)
    parts = scheme(faulty(folder / "parts", "Right", fault="raise", window=22), name)
    with pytest.raises(ScalespanError, match="seven is not even"):
        go(parts, kind)
    return whole, parts


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    ("name", "tolerance"), [("serial-explicit", 1e-12), ("parallel-explicit", 1e-12), ("serial-implicit", 1e-8)]
)
def test_a_continued_run_gives_the_series_of_an_uninterrupted_one(
    tmp_path: Path, name: str, tolerance: float, kind: str
) -> None:
    whole, parts = broken_off_and_continued(tmp_path, name, kind)
    # The fault comes from a count of windows that starts again with the process: 20 + 22 > 40.
    go(parts, kind, restart=True)
    for side in ("Left", "Right"):
        one, two = (read_series(case / "results" / side / "series.csv") for case in (whole, parts))
        assert list(two["window"]) == list(range(1, 41))
        for column in ("time/fs", "displacement/angstrom", "velocity/(angstrom/fs)"):
            np.testing.assert_allclose(two[column], one[column], rtol=0.0, atol=tolerance)
    summary = json.loads((parts / "results" / "summary.json").read_text(encoding="utf-8"))
    assert summary["status"] == "finished"


def by_hand(case: Path, kind: str, *more: str) -> list[int]:
    """Start each participant by itself; end the one that preCICE lets wait for ever. Return how they ended."""
    hands = [
        subprocess.Popen([*RUN, str(case), "--coupling", kind, "-p", name, *more], start_new_session=True)
        for name in ("Right", "Left")
    ]
    first = hands[0].wait(timeout=60.0)
    try:
        return [first, hands[1].wait(timeout=5.0)]
    except subprocess.TimeoutExpired:
        os.killpg(hands[1].pid, signal.SIGKILL)
        return [first, hands[1].wait()]


@pytest.mark.parametrize("kind", KINDS)
def test_participants_started_by_hand_go_on_by_hand(tmp_path: Path, kind: str) -> None:
    if kind == "precice":
        pytest.importorskip("precice", reason="pyprecice is not installed: the embedded coupling is tested alone")
    whole, parts = (faulty(tmp_path / name, "Right", **options) for name, options in HALVES.items())
    go(whole, kind)
    assert by_hand(parts, kind)[0] == EngineFailed.status
    assert by_hand(parts, kind, "--restart") == [0, 0]
    for side in ("Left", "Right"):
        one, two = (read_series(case / "results" / side / "series.csv") for case in (whole, parts))
        assert list(two["window"]) == list(range(1, 41))
        column = "displacement/angstrom"
        np.testing.assert_allclose(two[column], one[column], rtol=0.0, atol=1e-8)
    assert main(["run", str(parts), "--coupling", kind, "-p", "Left", "--restart"]) == CaseError.status  # it is done


def test_a_case_that_has_changed_is_not_continued(tmp_path: Path) -> None:
    case = faulty(tmp_path, fault="raise", window=8)
    with pytest.raises(ScalespanError, match="seven is not even"):
        go(case, "embedded")
    scheme(case, "parallel-implicit")
    with pytest.raises(CaseError, match=r"the case has changed since the run began: the file precice-config.xml"):
        go(case, "embedded", restart=True)


def test_a_finished_run_is_not_continued(tmp_path: Path) -> None:
    case = faulty(tmp_path)
    go(case, "embedded")
    with pytest.raises(CaseError, match="this run is finished"):
        go(case, "embedded", restart=True)


def test_without_results_there_is_nothing_to_go_on_from(tmp_path: Path) -> None:
    with pytest.raises(CaseError, match="nothing to restart from"):
        go(faulty(tmp_path), "embedded", restart=True)


def test_the_common_window_is_one_that_all_have_kept(tmp_path: Path) -> None:
    case = faulty(tmp_path)
    for name, windows in (("Left", (15, 20)), ("Right", (10, 15))):
        (case / "results" / name).mkdir(parents=True)
        for window in windows:
            (case / "results" / name / f"restart-{window:08d}.0.npz").touch()
    found = read(case)
    assert isinstance(found, CoupledCase)
    assert last_common(found) == 15


def test_the_xml_of_the_rest_ends_sooner_and_passes_on_the_values(tmp_path: Path) -> None:
    case = faulty(tmp_path)
    path = tmp_path / "rest.xml"
    path.write_bytes(rest_of(read_config(case / "precice-config.xml"), 30, 150.0))
    rest = read_config(path)
    assert rest.schemes[0].max_time == 50.0
    assert all(each.initialize for each in rest.schemes[0].exchanges)
    assert rest.participants[1].mappings[0].constraint == "consistent"
