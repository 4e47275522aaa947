"""How much faster DOLFINx's side of a coupled step is on two ranks: values in, a step, fluxes out."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from .table import write_table

CELLS, STEPS, ROUNDS = (16, 32, 48), 5, 3


def step(cells: int, ranks: int) -> tuple[int, float]:
    """Return the number of unknowns and the seconds of a step."""
    launcher = shutil.which("mpirun")
    assert launcher is not None, "DOLFINx comes with an MPI"
    command = [launcher, "-n", str(ranks), sys.executable, str(Path(__file__).with_name("ranks_side.py"))]
    with tempfile.TemporaryDirectory(prefix="mpi") as folder:
        environment = os.environ | {"TMPDIR": folder, "OMP_NUM_THREADS": "1"}
        done = subprocess.run(
            [*command, str(cells), str(STEPS)], env=environment, capture_output=True, text=True, timeout=600, check=True
        )
    found = json.loads(done.stdout[done.stdout.index("{") :])
    return found["unknowns"], found["step"]


@pytest.mark.benchmark
def test_two_ranks_against_one() -> None:
    pytest.importorskip("dolfinx", reason="DOLFINx is not installed: conda install -c conda-forge fenics-dolfinx")
    rows = []
    for cells in CELLS:
        rounds = [(step(cells, 1), step(cells, 2)) for _ in range(ROUNDS)]
        one, two = (min(each[ranks][1] for each in rounds) for ranks in (0, 1))
        rows.append([f"{rounds[0][0][0]:,}", f"{one:.3f}", f"{two:.3f}", f"{one / two:.2f}", f"{50 * one / two:.0f} %"])
    write_table("field ranks", ["unknowns", "1 rank, s", "2 ranks, s", "speed-up", "efficiency"], rows)
