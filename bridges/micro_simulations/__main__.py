"""Starts the Micro Manager in a participant's folder: ``python3 -m scalespan.bridges.micro_simulations``.

Its configuration is written from ``case.toml``, which so stays the only place where data are named.
"""

from __future__ import annotations

import importlib.util
import json
import re
import subprocess
import sys
from collections.abc import Iterable
from math import isfinite
from pathlib import Path

from scalespan.adapters.interface import EngineFailed, EngineMissing, ScalespanError

from .host import MicroSimulations
from .simulation import host_of, participant

CONFIGURATION = "micro-manager-config.json"
INSTALL = "pip install 'micro-manager-precice==0.12.*'  (GPL-3, a program of its own)"
_PACKAGE = "micro_manager"  # started as a program, never imported
_MODULE = "scalespan.bridges.micro_simulations.simulation"
_LEAVES = "Exiting simulation"  # what it says before it ends with the status 0 after a crash
_MAIN = re.compile(r"micro_manager/__init__\.py.*, in main$")  # of the stack of what nobody caught
_RAISED = re.compile(r"[\w.]+: ")  # and that stack's last line
_ERRORS = (" - ERROR - ", "model class with error: ")
_NEXT = "See next entry"  # an error of which the next line says what it is
_LONG = 1e30  # a step that the coupling's window cuts


def configuration(name: str, host: MicroSimulations) -> dict[str, object]:
    """Return the Micro Manager's configuration for a participant, as preCICE's adapter schema wants it."""
    options, step = host.options, host.longest_step
    interface = {
        "mesh_name": options.mesh,
        "is_received": True,
        "read_data": [{"name": field.name} for field in host.reads.values()],
        "write_data": [{"name": field.name} for field in host.writes.values()],
    }
    bounds = [edge for pair in zip(options.low, options.high, strict=True) for edge in pair]
    parameters: dict[str, object] = {"micro_dt": step if isfinite(step) else _LONG, "macro_domain_bounds": bounds}
    parameters["decomposition"] = [1] * len(options.low)  # its own default is of three dimensions
    parameters.update(options.manager)
    manager = {"micro_file_names": [_MODULE], "simulation_params": parameters}
    return {
        "participant_name": name,
        "precice_config_file_path": "../precice-config.xml",
        "interfaces": [interface],
        "micro_manager": manager,
    }


def start(folder: Path) -> None:
    """Run the Micro Manager in a participant's folder to its end; what it prints is passed on.

    Raises:
        EngineMissing: it is not installed.
        CaseError: the case is wrong.
        EngineFailed: it ended badly, or left the run after a crash.
    """
    if importlib.util.find_spec(_PACKAGE) is None:
        raise EngineMissing.named("micro-manager-precice", INSTALL)
    _, name, _ = participant(folder)
    text = json.dumps(configuration(name, host_of(folder)), indent=2)
    (folder / CONFIGURATION).write_text(text + "\n", encoding="utf-8")
    command = [sys.executable, "-m", _PACKAGE, CONFIGURATION]  # the program's own script may be another Python's
    with subprocess.Popen(command, cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as running:
        assert running.stdout is not None
        cause = _follow(running.stdout)
        if cause:
            running.kill()  # before its partner hears that it is gone, and says only that
    if cause or running.returncode:
        cause = cause or f"its status is {running.returncode}"
        raise EngineFailed(f"the Micro Manager ended: {cause}", where=name, todo="its log says more")


def _follow(lines: Iterable[str]) -> str:
    """Pass a log on, until it ends or says that the Micro Manager will; return why it will, nothing otherwise."""
    said, uncaught = "", False
    for line in lines:
        sys.stdout.write(line)
        sys.stdout.flush()
        if _NEXT not in line:
            said = said or next((line.partition(mark)[2].strip() for mark in _ERRORS if mark in line), "")
        uncaught = uncaught or bool(_MAIN.search(line))
        if uncaught and _RAISED.match(line):
            return said or line.strip()
        if _LEAVES in line:
            return said or line.strip()
    return ""


def main() -> int:
    """Start it here; return the exit status."""
    try:
        start(Path.cwd())
    except ScalespanError as error:
        sys.stderr.write(f"scalespan: {error}\n")
        return error.status
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
