"""Restarts with real engines: a new model that reads the restart file goes on bit for bit.

One thread each, because a sum over threads is not always taken in the same order.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from scalespan.bridges.run import tasks
from scalespan.bridges.run.case import read
from scalespan.bridges.run.progress import Progress
from scalespan.bridges.run.restart import Restart

ROOT = Path(__file__).parents[2]
FILES = (
    "tests/data/droplet.pdb",
    "cases/solvated_formaldehyde/input/box.pdb",
    "cases/solvated_formaldehyde/input/formaldehyde.xml",
)
DROPLET = """use = "openmm"
pdb = "droplet.pdb"
force_field = ["tip3p.xml"]
nonbonded = "no-cutoff"
rigid_water = {rigid}
platform = "CPU"
threads = 1
"""
EMBEDDING = """use = "embedding"
scheme = "subtractive"
embedding = "electrostatic"
region.atoms = [0, 1, 2]
[model.low]
{low}
[model.high]
use = "pyscf"
method = "rhf"
basis = "sto-3g"
threads = 1
"""
PYSCF = """use = "pyscf"
method = "rhf"
basis = "sto-3g"
threads = 1
[atoms]
file = "../water.xyz"
"""
BOX = """use = "openmm"
pdb = "box.pdb"
force_field = ["tip3p.xml", "formaldehyde.xml"]
nonbonded = "pme"
cutoff = "9 angstrom"
rigid_water = true
platform = "CPU"
threads = 1
"""
MOTIONS = {
    "nve": 'ensemble = "nve"',
    "langevin": 'ensemble = "langevin"\ntemperature = "300 K"\nfriction = "5/ps"',
    "nose-hoover": 'ensemble = "nose-hoover"\ntemperature = "300 K"\ndamping_time = "50 fs"',
    "npt": 'ensemble = "npt"\ntemperature = "300 K"\nfriction = "5/ps"\npressure = "1 bar"\nbarostat_interval = 2',
}
CASE = """title = "A restart"
[model]
{model}
[task]
kind = "dynamics"
duration = "{duration}"
[task.velocities]
temperature = "300 K"
[task.motion]
timestep = "0.5 fs"
{motion}
[output]
every = "1 fs"
"""


def write_case(folder: Path, model: str, motion: str, duration: str) -> Path:
    folder.mkdir(exist_ok=True)
    for name in FILES:
        shutil.copy(ROOT / name, folder)
    (folder / "case.toml").write_text(CASE.format(model=model, motion=MOTIONS[motion], duration=duration))
    return folder


def run_here(folder: Path, *, restart: bool = False) -> None:
    case = read(folder)
    model = case.build()
    tasks.run(case, tasks.look(case, model), restart=restart, progress=Progress(None))
    model.close()


def same_results(one: Path, two: Path) -> bool:
    names = ("energies.csv", "trajectory.extxyz", "final.extxyz")
    return all((one / "results" / name).read_bytes() == (two / "results" / name).read_bytes() for name in names)


@pytest.mark.parametrize("motion", ["nve", "langevin", "nose-hoover", "npt"])
def test_openmm_goes_on_bit_for_bit(tmp_path: Path, motion: str) -> None:
    pytest.importorskip("openmm", reason="OpenMM is not installed: pip install 'scalespan[openmm]'")
    model = BOX if motion == "npt" else DROPLET.format(rigid="true" if motion == "langevin" else "false")
    goes_on_bit_for_bit(tmp_path, model, motion)


def test_pyscf_goes_on_bit_for_bit_with_its_guess(tmp_path: Path) -> None:
    pytest.importorskip("pyscf", reason="PySCF is not installed: pip install 'scalespan[pyscf]'")
    (tmp_path / "water.xyz").write_text("3\n\nO 0 0 0.12\nH 0 0.76 -0.47\nH 0 -0.76 -0.47\n")
    goes_on_bit_for_bit(tmp_path, PYSCF, "nve")


def goes_on_bit_for_bit(tmp_path: Path, model: str, motion: str) -> None:
    whole = write_case(tmp_path / "whole", model, motion, "10 fs")
    run_here(whole)
    parts = write_case(tmp_path / "parts", model, motion, "4 fs")
    run_here(parts)
    write_case(parts, model, motion, "10 fs")
    run_here(parts, restart=True)
    assert same_results(whole, parts)


@pytest.mark.slow
@pytest.mark.parametrize("motion", ["nve", "langevin"])
def test_a_killed_embedding_goes_on_bit_for_bit(tmp_path: Path, motion: str) -> None:
    pytest.importorskip("openmm", reason="OpenMM is not installed: pip install 'scalespan[openmm]'")
    pytest.importorskip("pyscf", reason="PySCF is not installed: pip install 'scalespan[pyscf]'")
    model = EMBEDDING.format(low=DROPLET.format(rigid="false"))
    whole, killed = (write_case(tmp_path / name, model, motion, "8 fs") for name in ("whole", "killed"))
    run_here(whole)
    process = start(killed, restart=False)
    while step_of(killed) < 6 and process.poll() is None:
        time.sleep(0.01)
    process.send_signal(signal.SIGKILL)
    assert process.wait() == -signal.SIGKILL
    assert start(killed, restart=True).wait() == 0
    assert same_results(whole, killed)


def start(folder: Path, *, restart: bool) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-c", "import sys; from scalespan.bridges.run.cli import main; sys.exit(main())", "run"]
    arguments = [str(folder), "--quiet", *(["--restart"] if restart else [])]
    return subprocess.Popen([*command, *arguments], env={**os.environ, "OMP_NUM_THREADS": "1"})


def step_of(folder: Path) -> int:
    path = folder / "results" / "restart.npz"
    return Restart.read(path).header.position if path.exists() else -1
