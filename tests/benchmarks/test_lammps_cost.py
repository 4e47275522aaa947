"""What LAMMPS takes for a question through its adapter, beside a step of its own dynamics, and a handshake beside both.

Argon as in `test_handshake_cost`: 12-6, cut at 8.5 Å. A question brings positions and takes forces as binary files, and
finds the neighbours anew; LAMMPS's own steps find them every ten or so. Processor time of one core: ours, and `lmp`'s
when it has ended, less that of one question or no step.
"""

from __future__ import annotations

import shutil
import subprocess
from math import inf
from pathlib import Path
from resource import RUSAGE_CHILDREN, getrusage
from time import process_time

import numpy as np
import pytest
from ase import Atoms

from scalespan.adapters.interface import Motion, Quantity
from scalespan.adapters.lammps import LAMMPSAdapter, LAMMPSOptions

from .table import write_table
from .test_handshake_cost import CUTOFF, TURNS, A, model
from .test_handshake_cost import SIZES as WINDOWS

SIZES = {1_000: 100, 10_000: 20, 100_000: 4}  # free atoms: questions
LINES = [f"pair_style lj/cut {CUTOFF}", "pair_coeff * * 0.01032 3.405"]
WANTED = {Quantity.ENERGY, Quantity.FORCES}


def ended() -> float:
    """Return the processor time (s) of all processes of ours that have ended."""
    used = getrusage(RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def own_steps(folder: Path, cells: int, steps: int) -> float:
    """Return the processor time of LAMMPS alone: a periodic crystal at 30 K, NVE."""
    lines = [
        "units metal",
        f"lattice fcc {A}",
        f"region body block 0 {cells} 0 {cells} 0 {cells}",
        "create_box 1 body",
        "create_atoms 1 box",
        "mass 1 39.948",
        *LINES,
        "velocity all create 60.0 1",
        "fix motion all nve",
        "timestep 0.002",
        f"run {steps}",
    ]
    (folder / "in.argon").write_text("\n".join(lines))
    before = ended()
    subprocess.run(["lmp", "-in", "in.argon", "-log", "none", "-screen", "none"], cwd=folder, check=True)
    return ended() - before


def questions(atoms: Atoms, count: int) -> tuple[float, float]:
    """Return the processor time of ``count`` questions: `lmp`'s, and the adapter's."""
    adapter = LAMMPSAdapter(LAMMPSOptions(elements=["Ar"], interaction=LINES))
    before, begin = ended(), process_time()
    for number in range(count):
        atoms.positions[0, 0] += 1e-3 * (-1) ** number
        adapter.compute(atoms, WANTED)
    ours = process_time() - begin
    adapter.close()
    return ended() - before, ours


def handshakes_own(folder: Path, count: int) -> tuple[float, Atoms]:
    """Return the processor time of a step of a handshake whose engine and law answer at once, and its cluster."""
    handshake = model(folder, count)
    handshake.start(handshake.initial_atoms(), Motion(timestep="2 fs"))
    step = 10.0 * handshake.longest_step
    handshake.advance(step)
    own = inf
    for _ in range(TURNS):  # other programs share the processor
        begin = process_time()
        handshake.advance(WINDOWS[count] * step)
        own = min(own, (process_time() - begin) / (10.0 * WINDOWS[count]))
    cluster = Atoms(np.full(len(handshake.sites.reference), 18), handshake.sites.reference)
    return own, cluster


@pytest.mark.benchmark
@pytest.mark.skipif(shutil.which("lmp") is None, reason="LAMMPS is not installed: apt-get install lammps")
def test_a_question_to_lammps(tmp_path: Path) -> None:
    rows = []
    for size, count in SIZES.items():
        own, cluster = handshakes_own(tmp_path, size)
        cells = max(4, round((len(cluster) / 4) ** (1 / 3)))
        bare = (own_steps(tmp_path, cells, 5 * count) - own_steps(tmp_path, cells, 0)) / (5 * count)
        bare *= len(cluster) / (4 * cells**3)
        (engine, ours), (first, begun) = questions(cluster, count + 1), questions(cluster, 1)
        engine, ours = (engine - first) / count, (ours - begun) / count
        shown = [f"{1e3 * each:.3g}" for each in (bare, engine, ours, own)]
        rows.append((size, len(cluster), *shown, f"{(engine + ours) / bare:.1f}", f"{own / (engine + ours):.1%}"))
    header = (
        "free atoms",
        "with pads",
        "LAMMPS alone, ms a step",
        "asked: lmp, ms",
        "asked: adapter, ms",
        "handshake's own, ms a step",
        "asked / alone",
        "handshake's own / asked",
    )
    write_table("lammps questions", header, rows)
    assert rows
