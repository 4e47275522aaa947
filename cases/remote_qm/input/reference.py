"""The same model in one process, without a coupling: writes reference.toml and picture.svg beside the case.

Type: python cases/remote_qm/input/reference.py
"""

from __future__ import annotations

import shutil
import sys
import tempfile
import tomllib
from importlib.metadata import version
from pathlib import Path

import matplotlib as mpl

mpl.use("svg")
import matplotlib.pyplot as plt
import numpy as np

from scalespan.bridges.run.cli import main

CASE = Path(__file__).parents[1]
KEPT = {"potential": "eV", "kinetic": "eV", "energy_high": "eV"}


def local() -> dict[str, float]:
    """Return the last values of the run whose quantum engine is here."""
    tables = tomllib.loads((CASE / "case.toml").read_text(encoding="utf-8"))
    tables["model"]["high"] = tables["participants"]["Quantum"]["engine"]
    with tempfile.TemporaryDirectory() as folder:
        case = Path(shutil.copytree(CASE / "input", Path(folder) / "alone" / "input")).parent
        (case / "case.toml").write_text(_text(tables), encoding="utf-8")
        assert main(["run", "--quiet", str(case)]) == 0
        energies = np.genfromtxt(case / "results" / "energies.csv", delimiter=",", names=True, deletechars="")
        _picture(energies)
    return {name: float(energies[f"{name}/eV"][-1]) for name in KEPT}


def _text(tables: dict[str, object]) -> str:
    """Return the sections that a case of one process has, as TOML."""
    lines: list[str] = []

    def write(name: str, table: dict[str, object]) -> None:
        inner = {key: value for key, value in table.items() if isinstance(value, dict)}
        lines.append(f"[{name}]")
        lines.extend(f"{key} = {_value(value)}" for key, value in table.items() if key not in inner)
        for key, value in inner.items():
            write(f"{name}.{key}", value)

    lines.append(f'title = "{tables["title"]}"')
    for name in ("model", "atoms", "task", "output"):
        table = tables[name]
        assert isinstance(table, dict)
        write(name, table)
    return "\n".join(lines) + "\n"


def _value(value: object) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    return f'"{value}"' if isinstance(value, str) else str(value)


def _picture(energies: np.ndarray) -> None:
    figure, axes = plt.subplots(figsize=(6.4, 3.2), layout="constrained")
    time = energies["time/fs"]
    for name in ("potential", "kinetic", "total"):
        axes.plot(time, energies[f"{name}/eV"] - energies[f"{name}/eV"][0], label=name)
    axes.set(xlabel="time (fs)", ylabel="energy − its first value (eV)")
    axes.legend(frameon=False)
    figure.savefig(CASE / "picture.svg", metadata={"Date": None})


if __name__ == "__main__":
    found = local()
    engines = f'{{ pyscf = "{version("pyscf")}", openmm = "{version("openmm")}" }}'
    source = "the same model with its engine in one process: input/reference.py"
    text = [
        f'[{name}_last]\nvalue = {value!r}\ntolerance = 1e-6\nunit = "{KEPT[name]}"\n'
        f'source = "{source}; PySCF {version("pyscf")}"\nengines = {engines}\n'
        for name, value in found.items()
    ]
    (CASE / "reference.toml").write_text("\n".join(text), encoding="utf-8")
    sys.stdout.write("\n".join(text))
