"""This case against the programs of preCICE's tutorial, either side in the place of ours: the README's table.

    python3 against_tutorial.py FOLDER      # of precice/tutorials: …/two-scale-heat-conduction

It needs Nutils 7 (with NumPy 1), pyprecice and the Micro Manager, and takes a quarter of an hour, for the tutorial's
cells. Both are made smaller in the same way, and the tutorial's names are spelt as the Micro Manager 0.12 wants them.
"""

import csv
import json
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np

CASE = Path(__file__).resolve().parents[1]
NAMES = ["K-00", "K-01", "K-10", "K-11", "Porosity"]
PLATE, CELLS = "Macro-Heat", "Micro-Manager"
SPELT = {"macro-heat": PLATE, "macro-mesh": "Macro-Heat-Mesh", '"porosity"': '"Porosity"'}
SPELT |= {'"concentration"': '"Concentration"'} | {f'"k_{i}{j}"': f'"K-{i}{j}"' for i in "01" for j in "01"}
LAST = '<write-data name="Porosity" mesh="Macro-Heat-Mesh" />'  # of the cells' participant
SMALLER = {
    "macro.py": {"np.linspace(0, 1.0, 5), np.linspace(0, 0.5, 4)": "np.linspace(0, 1.0, 3), np.linspace(0, 0.5, 2)"},
    "micro.py": {"self._nelems = 6 ": "self._nelems = 16 ", "self._ref_level = 3 ": "self._ref_level = 0 "},
    "case.toml": {"cells = [4, 3]": "cells = [2, 1]", "cells = [20, 20]": "cells = [16, 16]"},
    "cell.py": {"LAMBDA = 1 / 12": "LAMBDA = 1 / 4"},  # what 16 elements without refinement are in the tutorial
    "precice-config.xml": {
        'limit="1e-3"': 'limit="1e-6"',
        LAST: f'{LAST}\n    <export:csv directory="precice-exports" />',
    },
}
MANAGER = {
    "participant_name": CELLS,
    "precice_config_file_path": "../precice-config.xml",
    "interfaces": [
        {
            "mesh_name": "Macro-Heat-Mesh",
            "read_data": [{"name": "Concentration"}],
            "write_data": [{"name": name} for name in NAMES],
        }
    ],
    "micro_manager": {
        "micro_file_names": ["micro"],
        "simulation_params": {"micro_dt": 0.01, "macro_domain_bounds": [0, 1, 0, 0.5], "decomposition": [1, 1]},
    },
}
THEIRS = {
    PLATE: "python3 macro.py richoutput=no",
    CELLS: "python3 -m micro_manager micro-manager-config.json",
}


def changed(text, edits):
    """Return a text with each edit made."""
    for before, after in edits.items():
        if before not in text:
            raise SystemExit(f"the tutorial or the case has changed: it no longer holds {before}")
        text = text.replace(before, after)
    return text


def program(folder, line):
    """Let a participant be started by a line of its own."""
    (folder / "run.sh").write_text(f'#!/usr/bin/env bash\nset -e -u\ncd "$(dirname "$0")"\n{line}\n')
    (folder / "run.sh").chmod(0o755)


def prepared(place, tutorial, plate, cells):
    """Return a copy of the case with each side as wanted: "ours", "theirs", or cells "managed" by the Micro Manager."""
    shutil.copytree(CASE, place, ignore=shutil.ignore_patterns("results*", "reference.toml", "precice-*run"))
    for name in ("case.toml", "cell.py", "precice-config.xml"):
        (place / name).write_text(changed((place / name).read_text(), SMALLER[name]))
    for name, file, who in ((PLATE, "macro-nutils/macro.py", plate), (CELLS, "micro-nutils/micro.py", cells)):
        if who == "theirs":
            text = changed((tutorial / file).read_text(), SMALLER[Path(file).name])
            for before, after in SPELT.items():
                text = text.replace(before, after)
            (place / name / Path(file).name).write_text(text)
            program(place / name, THEIRS[name])
    (place / CELLS / "micro-manager-config.json").write_text(json.dumps(MANAGER))
    if cells == "managed":
        program(place / CELLS, "python3 -m scalespan.bridges.micro_simulations")
    return place


def run(place):
    """Run both sides, each by its own run.sh; return the exported data (points, data) by name, points in order."""
    started = [subprocess.Popen(["./run.sh"], cwd=place / name, stdout=subprocess.DEVNULL) for name in (PLATE, CELLS)]
    if sum(each.wait() for each in started):  # all of them
        raise SystemExit(f"a program of {place} failed")
    file = max(
        place.rglob("Macro-Heat-Mesh-Micro-Manager.dt*.csv"), key=lambda path: int(re.findall(r"\d+", path.name)[-1])
    )
    with file.open() as lines:
        rows = list(csv.DictReader(lines, delimiter=";"))
    found = {name: np.array([float(row[name]) for row in rows]) for name in ("PosX", "PosY", "Concentration", *NAMES)}
    order = np.lexsort([found["PosX"].round(6), found["PosY"].round(6)])
    return {name: values[order] for name, values in found.items()}


def main(tutorial):
    """Print the largest difference of each pair to the tutorial's own."""
    with tempfile.TemporaryDirectory() as scratch:
        first = None
        for plate, cells in (("theirs", "theirs"), ("theirs", "managed"), ("ours", "theirs"), ("ours", "ours")):
            found = run(prepared(Path(scratch) / f"{plate}_{cells}", tutorial, plate, cells))
            first = first or found
            largest = {name: np.abs(found[name] - first[name]).max() for name in ("Concentration", "K-00", "Porosity")}
            print(f"plate {plate}, cells {cells}:", *(f"{name} {value:.1e}" for name, value in largest.items()))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
