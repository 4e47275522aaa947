"""A task whose engine is in another participant, killed in its middle, goes on to the same bytes."""

from __future__ import annotations

import json
import re
import signal
import subprocess
import time
from pathlib import Path

import pytest

from scalespan.bridges.run.restart import Restart

from ..test_restart import ATOMS, CASE, ENSEMBLES, GROWING, SLOW
from .faulty import alive
from .test_faults import RUN
from .test_restart_coupled import KINDS, go

REMOTE = Path(__file__).parents[3] / "cases" / "remote_qm"
HEAD = """
[coupling]
task = "Classical"
with = "{kind}"

[model]
use = "remote"
participant = "Quantum"
atoms_mesh = "Classical-Mesh-Atoms"
offers = ["energy", "forces"]

[participants.Quantum]
use = "engine"
atoms_mesh = "Classical-Mesh-Atoms"
offers = ["energy", "forces"]

[participants.Quantum.engine]
use = "slow"
"""


def write_case(folder: Path, kind: str) -> Path:
    """Write a case whose engine is the slow ring of springs, which remembers how often it was asked."""
    folder.mkdir()
    text = CASE.format(ensemble=ENSEMBLES["langevin"], duration="60 fs", trajectory="extxyz")
    (folder / "case.toml").write_text(text.replace('\n[model]\nuse = "slow"\n', HEAD.format(kind=kind)))
    (folder / "slow.py").write_text(SLOW)
    (folder / "start.xyz").write_text(ATOMS)
    xml = (REMOTE / "precice-config.xml").read_text(encoding="utf-8")
    xml = re.sub(r'<mesh name="Classical-Mesh-Charges".*?</mesh>', "", xml, flags=re.DOTALL)
    (folder / "precice-config.xml").write_text("\n".join(line for line in xml.splitlines() if "Charge" not in line))
    return folder


def task_of(case: Path) -> Path:
    return case / "results" / "Classical" / "task"


def step_of(case: Path) -> int:
    path = task_of(case) / "restart.npz"
    return Restart.read(path).header.position if path.exists() else -1


def killed_after(case: Path, step: int) -> None:
    """Run the case until the step, and kill the supervisor; its guard ends the participants."""
    process = subprocess.Popen([*RUN, str(case), "--quiet"], stdout=subprocess.DEVNULL)
    until = time.monotonic() + 60.0
    while step_of(case) < step and process.poll() is None and time.monotonic() < until:
        time.sleep(0.005)
    process.send_signal(signal.SIGKILL)
    assert process.wait() == -signal.SIGKILL, "it was killed before its end"
    while alive(case) and time.monotonic() < until:
        time.sleep(0.02)
    assert alive(case) == []


@pytest.mark.parametrize("kind", KINDS)
def test_a_task_with_a_remote_engine_that_was_killed_goes_on_to_the_same_bytes(tmp_path: Path, kind: str) -> None:
    whole, killed = (write_case(tmp_path / name, kind) for name in ("whole", "killed"))
    go(whole, kind)
    killed_after(killed, 30)
    assert step_of(killed) < 120, "a part is left to do"
    go(killed, kind, restart=True)
    for name in GROWING:
        if (task_of(whole) / name).exists():
            assert (task_of(killed) / name).read_bytes() == (task_of(whole) / name).read_bytes(), name
    assert json.loads((task_of(killed) / "summary.json").read_text())["restarts"] == 1
