"""Three atoms on springs, whose answers are known in closed form, as a case directory."""

from __future__ import annotations

import json
from pathlib import Path

from scalespan.bridges.run import tasks
from scalespan.bridges.run.case import read
from scalespan.bridges.run.progress import Progress

# C-O-C bent, its three distances springs: 20 eV/Å² at 1.4 Å, 5 eV/Å² between the ends.
MODEL = """
title = "Three atoms"

[model]
use = "harmonic"

[[model.springs]]
atoms = [0, 1]
stiffness = "20 eV/angstrom**2"
length = "1.4 angstrom"

[[model.springs]]
atoms = [1, 2]
stiffness = "20 eV/angstrom**2"
length = "1.4 angstrom"

[[model.springs]]
atoms = [0, 2]
stiffness = "5 eV/angstrom**2"
length = "2.3 angstrom"

[atoms]
file = "start.xyz"
"""
AT_REST = "3\n\nC -1.15 0 0\nO 0 0.79844 0\nC 1.15 0 0\n"
AWAY = "3\n\nC -1.25 0.05 0\nO 0 0.9 0\nC 1.1 0 0.02\n"


def case_of(folder: Path, task: str, atoms: str = AWAY, references: str = "") -> Path:
    folder.mkdir(exist_ok=True)
    (folder / "case.toml").write_text(f"{MODEL}\n{task}")
    (folder / "start.xyz").write_text(atoms)
    if references:
        (folder / "reference.toml").write_text(references)
    return folder


def outcome_of(folder: Path, *, restart: bool = False) -> tasks.Outcome:
    case = read(folder)
    model = case.build()
    return tasks.run(case, tasks.look(case, model), restart=restart, progress=Progress(None))


def summary_of(folder: Path) -> dict:
    return json.loads((folder / "results" / "summary.json").read_text())
