"""A run that is ended at any moment goes on as if nothing had happened."""

from __future__ import annotations

import json
import os
import random
import resource
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from scalespan.adapters.interface import CaseError
from scalespan.bridges.run import tasks
from scalespan.bridges.run.case import read
from scalespan.bridges.run.progress import Progress
from scalespan.bridges.run.restart import Header, Restart

# Four atoms in a ring of springs, thermostatted so that random numbers matter, and slowed
# so that a kill meets every part of the loop.
CASE = """
title = "A ring of springs"

[model]
use = "slow"

[atoms]
file = "start.xyz"

[task]
kind = "dynamics"
duration = "{duration}"

[task.velocities]
temperature = "300 K"
seed = 3

[task.motion]
timestep = "0.5 fs"
{ensemble}

[output]
every = "1 fs"
trajectory = "{trajectory}"
measure.side = {{ distance = [0, 1] }}
"""
SLOW = '''
import time
import numpy as np
from scalespan.adapters.interface import Options, ParticleAdapter, Results


class SlowAdapter(ParticleAdapter):
    """A ring of springs whose answer depends on how often it was asked, as an SCF guess would make it."""

    name = "slow"
    Options = Options

    def __init__(self, options):
        self.asked = 0

    def _compute(self, atoms, wanted, charges):
        time.sleep(0.001)
        self.asked += 1
        forces = np.zeros((4, 3))
        energy = 0.0
        for i in range(4):
            j = (i + 1) % 4
            along = atoms.positions[j] - atoms.positions[i]
            length = np.linalg.norm(along)
            energy += 5.0 * (length - 1.5) ** 2
            pull = 10.0 * (length - 1.5) * along / length
            forces[i] += pull
            forces[j] -= pull
        return Results(energy=energy + 1e-13 * self.asked, forces=forces * (1.0 + 1e-13 * self.asked))

    def _save_engine(self):
        return {"asked": np.array(self.asked)}

    def _restore_engine(self, state):
        self.asked = int(state["asked"])
'''
ATOMS = "4\n\nO 0 0 0\nO 1.6 0 0\nO 1.6 1.5 0.1\nO 0 1.5 0\n"
ENSEMBLES = {
    "nve": 'ensemble = "nve"',
    "langevin": 'ensemble = "langevin"\ntemperature = "300 K"\nfriction = "10/ps"',
    "nose-hoover": 'ensemble = "nose-hoover"\ntemperature = "300 K"\ndamping_time = "50 fs"',
}
GROWING = ("energies.csv", "trajectory.extxyz", "trajectory.dcd", "final.extxyz")
COMMAND = [sys.executable, "-c", "import sys; from scalespan.bridges.run.cli import main; sys.exit(main())", "run"]


def write_case(
    folder: Path, ensemble: str = "langevin", duration: str = "60 fs", trajectory: str = "extxyz", slow: bool = True
) -> Path:
    folder.mkdir()
    text = CASE.format(ensemble=ENSEMBLES[ensemble], duration=duration, trajectory=trajectory)
    (folder / "case.toml").write_text(text)
    (folder / "slow.py").write_text(SLOW if slow else SLOW.replace("time.sleep(0.001)", "pass"))
    (folder / "start.xyz").write_text(ATOMS)
    return folder


def run_here(folder: Path, *, restart: bool = False) -> tasks.Findings:
    case = read(folder)
    model = case.build()
    return tasks.run(case, tasks.look(case, model), restart=restart, progress=Progress(None))


def start(folder: Path, *, restart: bool) -> subprocess.Popen[bytes]:
    return subprocess.Popen([*COMMAND, str(folder), "--quiet", *(["--restart"] if restart else [])])


def step_of(folder: Path) -> int:
    path = folder / "results" / "restart.npz"
    return Restart.read(path).header.position if path.exists() else -1


def same_results(one: Path, two: Path) -> bool:
    return all(
        (one / "results" / name).read_bytes() == (two / "results" / name).read_bytes()
        for name in GROWING
        if (one / "results" / name).exists()
    )


def wait_for(folder: Path, step: int, process: subprocess.Popen[bytes]) -> None:
    while step_of(folder) < step and process.poll() is None:
        time.sleep(0.005)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("ensemble", "trajectory"), [("nve", "extxyz"), ("langevin", "dcd"), ("nose-hoover", "extxyz")]
)
def test_killed_again_and_again_it_writes_the_same_bytes(tmp_path: Path, ensemble: str, trajectory: str) -> None:
    whole = write_case(tmp_path / "whole", ensemble, trajectory=trajectory)
    run_here(whole)
    killed = write_case(tmp_path / "killed", ensemble, trajectory=trajectory)
    chance, seen = random.Random(ensemble), 0
    for attempt in range(3):
        process = start(killed, restart=attempt > 0)
        wait_for(killed, max(seen, 0) + 2, process)
        time.sleep(chance.uniform(0.0, 0.05))
        process.send_signal(signal.SIGKILL)
        assert process.wait() == -signal.SIGKILL, "it was killed before its end"
        assert step_of(killed) > seen
        seen = step_of(killed)
    assert start(killed, restart=True).wait() == 0
    assert same_results(whole, killed)
    assert json.loads((killed / "results" / "summary.json").read_text())["restarts"] == 3


def test_at_most_one_interval_is_lost(tmp_path: Path) -> None:
    case = write_case(tmp_path / "case")
    process = start(case, restart=False)
    wait_for(case, 20, process)
    process.kill()
    process.wait()
    written = (case / "results" / "energies.csv").read_text().splitlines()[1:]
    complete = [int(line.split(",")[0]) for line in written if line.count(",") == written[0].count(",")]
    assert complete[-1] - step_of(case) <= 2  # an interval is two steps


def test_a_longer_duration_goes_on_where_the_run_ended(tmp_path: Path) -> None:
    whole = write_case(tmp_path / "whole", duration="20 fs", slow=False)
    run_here(whole)
    grown = write_case(tmp_path / "grown", duration="10 fs", slow=False)
    run_here(grown)
    text = (grown / "case.toml").read_text()
    (grown / "case.toml").write_text(text.replace('duration = "10 fs"', 'duration = "20 fs"'))
    run_here(grown, restart=True)
    assert same_results(whole, grown)


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        ('timestep = "0.5 fs"', 'timestep = "0.25 fs"', 'task.motion.timestep was "0.5 fs" and is "0.25 fs"'),
        ("seed = 3", "seed = 4", "task.velocities.seed was 3 and is 4"),
        ("seed = 3", "", "task.velocities.seed was 3 and is not there"),
        ("distance = [0, 1]", "distance = [0, 2]", "output.measure.side.distance was [0, 1] and is [0, 2]"),
    ],
)
def test_a_changed_case_is_refused_by_the_name_of_the_key(tmp_path: Path, old: str, new: str, says: str) -> None:
    case = write_case(tmp_path / "case", duration="2 fs", slow=False)
    run_here(case)
    (case / "case.toml").write_text((case / "case.toml").read_text().replace(old, new))
    with pytest.raises(CaseError) as caught:
        run_here(case, restart=True)
    assert says in str(caught.value)


@pytest.mark.parametrize("name", ["start.xyz", "slow.py"])
def test_a_changed_input_file_is_refused_by_its_name(tmp_path: Path, name: str) -> None:
    case = write_case(tmp_path / "case", duration="2 fs", slow=False)
    run_here(case)
    with (case / name).open("a") as file:
        file.write("\n")
    with pytest.raises(CaseError, match=f"the file {name} is another"):
        run_here(case, restart=True)


def test_without_results_there_is_nothing_to_restart(tmp_path: Path) -> None:
    with pytest.raises(CaseError, match="there is nothing to restart from"):
        run_here(write_case(tmp_path / "case", slow=False), restart=True)


def test_ended_before_its_first_restart_file_a_run_begins_again(tmp_path: Path) -> None:
    case = write_case(tmp_path / "case", duration="2 fs", slow=False)
    run_here(case)
    whole = tmp_path / "whole"
    shutil.copytree(case, whole)
    (case / "results" / "restart.npz").unlink()
    summary = case / "results" / "summary.json"
    summary.write_text(summary.read_text().replace('"status": "finished"', '"status": "running"'))
    run_here(case, restart=True)
    assert same_results(whole, case)


@pytest.mark.parametrize("damage", ["truncated", "flipped", "empty", "other"])
def test_a_damaged_restart_file_is_a_sentence(tmp_path: Path, damage: str) -> None:
    case = write_case(tmp_path / "case", duration="2 fs", slow=False)
    run_here(case)
    path = case / "results" / "restart.npz"
    data = bytearray(path.read_bytes())
    flipped = bytearray(data)
    flipped[data.index(Restart.read(path).state["motion/positions"].tobytes()) + 5] ^= 0xFF
    path.unlink()  # restart.safe.npz is the same file by another name
    path.write_bytes({"truncated": data[: len(data) // 2], "flipped": flipped, "empty": b"", "other": b"x,y\n"}[damage])
    with pytest.raises(CaseError, match=r"this restart file is damaged .*copy the older restart.safe.npz over it"):
        run_here(case, restart=True)
    path.write_bytes((case / "results" / "restart.safe.npz").read_bytes())
    run_here(case, restart=True)


def test_no_pickle_is_loaded(tmp_path: Path) -> None:
    path = tmp_path / "restart.npz"
    np.savez(path, header=np.array([{"a": 1}], dtype=object))
    with pytest.raises(CaseError, match="damaged"):
        Restart.read(path)


def test_a_state_comes_back_bit_for_bit(tmp_path: Path) -> None:
    state = {
        "motion/positions": np.random.default_rng(1).normal(size=(5, 3)),
        "engine/bytes": np.frombuffer(b"\x00\xff\x01", dtype=np.uint8),
        "file": np.array(7),
        "empty": np.zeros((0, 3)),
    }
    Restart(Header(3, {"a.csv": 10}, {"k": 1}, {}, {}), state).write(tmp_path / "restart.npz")
    back = Restart.read(tmp_path / "restart.npz")
    assert back.header.position == 3
    assert back.header.lengths == {"a.csv": 10}
    assert state.keys() == back.state.keys()
    assert all(
        np.array_equal(state[key], back.state[key]) and state[key].dtype == back.state[key].dtype for key in state
    )


def test_files_shorter_than_the_restart_file_says_are_a_sentence(tmp_path: Path) -> None:
    case = write_case(tmp_path / "case", duration="4 fs", slow=False)
    run_here(case)
    text = (case / "case.toml").read_text()
    (case / "case.toml").write_text(text.replace('duration = "4 fs"', 'duration = "8 fs"'))
    os.truncate(case / "results" / "trajectory.extxyz", 10)
    with pytest.raises(CaseError, match="holds 10 bytes, and the restart file counts on"):
        run_here(case, restart=True)


def test_on_a_full_disk_the_run_says_so_and_can_go_on(tmp_path: Path) -> None:
    whole = write_case(tmp_path / "whole", duration="50 fs", slow=False)
    run_here(whole)
    full = write_case(tmp_path / "full", duration="50 fs", slow=False)
    # A limit on the size of a file answers a write as a full disk does: part of it, then an error.
    limit = (whole / "results" / "trajectory.extxyz").stat().st_size // 2
    ended = subprocess.run(
        [*COMMAND, str(full), "--quiet"],
        check=False,
        capture_output=True,
        text=True,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit)),
    )
    assert ended.returncode == 2
    assert "the disk or the quota is full" in ended.stderr
    assert "trajectory.extxyz" in ended.stderr
    assert "Traceback" not in ended.stderr
    summary = json.loads((full / "results" / "summary.json").read_text())
    assert summary["status"] == "failed"
    run_here(full, restart=True)
    assert same_results(whole, full)


def test_an_earlier_run_is_kept(tmp_path: Path) -> None:
    case = write_case(tmp_path / "case", duration="2 fs", slow=False)
    run_here(case)
    (case / "results" / "mine.txt").write_text("a note")
    run_here(case)
    run_here(case)
    assert (case / "results.1" / "mine.txt").read_text() == "a note"
    assert (case / "results.2" / "summary.json").exists()
    assert not (case / "results" / "mine.txt").exists()


def test_two_runs_do_not_write_to_one_folder(tmp_path: Path) -> None:
    case = write_case(tmp_path / "case")
    process = start(case, restart=False)
    wait_for(case, 0, process)
    for restart in (True, False):
        with pytest.raises(CaseError, match="another run is writing here"):
            run_here(case, restart=restart)
    assert process.poll() is None
    process.kill()
    process.wait()
    assert not (case / "results.1").exists()
