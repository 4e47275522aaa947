"""What preCICE itself leaves of a supervised run: its profile with our sections, and its watch points."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from scalespan.bridges.run.coupled import CoupledCase, read, run
from scalespan.bridges.run.progress import Progress
from scalespan.bridges.run.record import read_series

from .faulty import faulty

pytest.importorskip("precice", reason="pyprecice is not installed: what preCICE does cannot be tried")

READ = '<read-data name="Displacement-Right" mesh="Left-Mesh" />'
SLEEP, SLOW_FROM = 0.05, 38  # s in each call of advance once that many windows are behind


@pytest.fixture(scope="module")
def case(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The scaffold's case after a run of 40 windows with a watch point at the left mass, which becomes slow."""
    folder = faulty(tmp_path_factory.mktemp("files"), fault="slow", call="advance", window=SLOW_FROM)
    path = folder / "precice-config.xml"
    text = path.read_text(encoding="utf-8")
    assert READ in text
    watch = f'{READ}\n    <watch-point name="Mass" mesh="Left-Mesh" coordinate="0;0" />'
    path.write_text(text.replace(READ, watch), encoding="utf-8")
    found = read(folder)
    assert isinstance(found, CoupledCase)
    run(found.coupled_with("precice"), restart=False, progress=Progress(None))
    return folder


def sections(profile: Path) -> dict[str, list[float]]:
    """Return event -> the seconds of each time it happened, from preCICE 3.4's profile: N names, B begins, E ends."""
    names: dict[str, str] = {}
    begun: dict[str, int] = {}
    found: dict[str, list[float]] = {}
    for line in profile.read_text(encoding="utf-8").splitlines()[1:]:
        number, _, rest = line[1:].partition(":")
        if line[0] == "N":
            names[number] = rest
        elif line[0] == "B":
            begun[number] = int(rest)
        elif line[0] == "E":
            found.setdefault(names[number], []).append(1e-6 * (int(rest) - begun[number]))
    return found


def test_the_profile_shows_what_the_bridge_itself_takes(case: Path) -> None:
    """Two steps a window, done again until converged; each window is saved once and restored for each further pass."""
    results = case / "results"
    for name in ("Left", "Right"):
        passes = read_series(results / name / "series.csv")["iterations"]
        found = sections(results / name / "precice-profiling" / f"{name}-0-1.txt")
        assert len(passes) == 40
        assert len(found["bridge.advance"]) == 2 * passes.sum()
        assert len(found["bridge.save"]) == 40
        assert len(found["bridge.restore"]) == (passes - 1).sum()
        slept = SLEEP * 2 * passes[SLOW_FROM:].sum() if name == "Left" else 0.0
        assert slept <= sum(found["bridge.advance"]) < sum(found["solver.advance"])


def test_a_watch_point_is_in_the_participants_folder_with_the_displacement(case: Path) -> None:
    name = "precice-Left-watchpoint-Mass.log"
    assert [path.relative_to(case) for path in case.rglob(name)] == [Path("results/Left") / name]
    table = np.genfromtxt(case / "results" / "Left" / name, names=True, deletechars="")
    series = read_series(case / "results" / "Left" / "series.csv")
    assert table["Time"][1:] == pytest.approx(series["time/fs"])
    assert table["Displacement-Left"][0] == 1.0
    # preCICE writes nine digits.
    assert table["Displacement-Left"][1:] == pytest.approx(series["displacement/angstrom"], rel=1e-8, abs=1e-8)
