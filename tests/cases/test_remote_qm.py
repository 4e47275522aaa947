"""The case remote_qm: the trajectory of two processes is the one of a single process."""

from __future__ import annotations

import importlib.util
import shutil
import tomllib
from pathlib import Path

import numpy as np
import pytest
from ase.io import read

from scalespan.bridges.interface import build
from scalespan.bridges.run.case import alone, of_tables
from scalespan.bridges.run.cli import main
from scalespan.bridges.run.tasks.dynamics import Velocities

CASE = Path(__file__).parents[2] / "cases" / "remote_qm"


def in_one_process(steps: int) -> np.ndarray:
    """Return the positions (steps, n, 3) of the case with its engine in this process."""
    tables = tomllib.loads((CASE / "case.toml").read_text(encoding="utf-8"))
    tables["model"]["high"] = tables["participants"]["Quantum"]["engine"]
    task = of_tables(CASE, alone(tables)).task
    model = build(tables["model"], where="model", folder=CASE)
    atoms = read(CASE / "input" / "dimer.xyz")
    velocities = task.velocities
    assert isinstance(velocities, Velocities)
    velocities.give(atoms)
    model.start(atoms, task.motion)
    places = []
    for _ in range(steps):
        model.advance(task.motion.timestep)
        places.append(model.atoms.positions)
    model.close()
    return np.array(places)


@pytest.mark.parametrize("coupling", ["embedded", "precice"])
def test_the_trajectory_is_that_of_one_process(coupling: str, tmp_path: Path) -> None:
    """50 steps; the trajectory has eight digits, and the restart file all of the last step."""
    for name in ("openmm", "pyscf"):
        pytest.importorskip(name, reason=f"{name} is not installed: pip install 'scalespan[{name}]'")
    if coupling == "precice" and importlib.util.find_spec("precice") is None:
        pytest.skip("pyprecice is not installed: see docs/choose_a_coupling.md")
    case = shutil.copytree(CASE, tmp_path / "case", ignore=shutil.ignore_patterns("results*"))
    text = (case / "case.toml").read_text(encoding="utf-8")
    (case / "case.toml").write_text(text.replace("[coupling]", f'[coupling]\nwith = "{coupling}"'), encoding="utf-8")
    assert main(["run", "--quiet", str(case)]) == 0
    found = read(case / "results" / "Classical" / "task" / "trajectory.extxyz", index=":")
    expected = in_one_process(50)
    assert len(found) == 51
    places = np.array([frame.positions for frame in found[1:]])
    assert np.abs(places - expected).max() < 1e-8
    last = np.load(case / "results" / "Classical" / "task" / "restart.npz")["state/host/extra/1/positions"]
    assert np.abs(10.0 * last - expected[-1]).max() < 1e-10  # OpenMM's are in nm
