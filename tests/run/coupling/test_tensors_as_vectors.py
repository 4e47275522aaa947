"""FE² over preCICE: strains go as two vectors, stresses and tangent come back as nine, by either way."""

from __future__ import annotations

import importlib.util
import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from scalespan.bridges.micro_law import whole
from scalespan.bridges.run.cli import main

from .strained_macro import STRAINS, TAKES

CASE = """
title = "copper at two points"
[coupling]
time = "s"
[participants.Micro-Manager]
use = "micro_simulations"
mesh = "Macro-Mesh"
low = [0, 0, 0]
high = [1, 1, 1]
[participants.Micro-Manager.model]
use = "micro_law"
[participants.Micro-Manager.model.law]
use = "elastic"
cubic = ["168 GPa", "121 GPa", "75 GPa"]
density = "8.96 g/cm**3"
"""
GPA = 0.00624150907  # eV/Å³


def xml() -> str:
    there = ["Strains1to3", "Strains4to6"]
    data = "".join(f'  <data:vector name="{name}" />\n' for name in there + TAKES)
    uses = "".join(f'    <use-data name="{name}" />\n' for name in there + TAKES)

    def verbs(read: list[str], write: list[str]) -> str:
        both = [("read", name) for name in read] + [("write", name) for name in write]
        return "".join(f'    <{verb}-data name="{name}" mesh="Macro-Mesh" />\n' for verb, name in both)

    ways = [(name, "Macro", "Micro-Manager") for name in there] + [(name, "Micro-Manager", "Macro") for name in TAKES]
    exchanges = "".join(f'    <exchange data="{n}" mesh="Macro-Mesh" from="{a}" to="{b}" />\n' for n, a, b in ways)
    return f"""<?xml version="1.0" encoding="UTF-8" ?>
<precice-configuration experimental="true">
{data}  <mesh name="Macro-Mesh" dimensions="3">
{uses}  </mesh>
  <participant name="Macro">
    <provide-mesh name="Macro-Mesh" />
{verbs(TAKES, there)}  </participant>
  <participant name="Micro-Manager">
    <receive-mesh name="Macro-Mesh" from="Macro" api-access="true" safety-factor="0.0" />
{verbs(there, TAKES)}  </participant>
  <m2n:sockets acceptor="Micro-Manager" connector="Macro" exchange-directory=".." />
  <coupling-scheme:serial-explicit>
    <participants first="Macro" second="Micro-Manager" />
    <max-time value="1" />
    <time-window-size value="1" />
{exchanges}  </coupling-scheme:serial-explicit>
</precice-configuration>
"""


@pytest.fixture
def case(tmp_path: Path) -> Path:
    pytest.importorskip("precice", reason="pyprecice is not installed: pip install pyprecice")
    for name in ("Macro", "Micro-Manager"):
        (tmp_path / name).mkdir()
    (tmp_path / "case.toml").write_text(CASE, encoding="utf-8")
    (tmp_path / "precice-config.xml").write_text(xml(), encoding="utf-8")
    script = Path(__file__).with_name("strained_macro.py")
    start = f'#!/usr/bin/env bash\nset -e -u\ncd "$(dirname "$0")"\n{sys.executable} {script} ../precice-config.xml\n'
    (tmp_path / "Macro" / "run.sh").write_text(start, encoding="utf-8")
    (tmp_path / "Macro" / "run.sh").chmod(0o755)
    return tmp_path


def managed(case: Path) -> None:
    if importlib.util.find_spec("micro_manager") is None:
        pytest.skip("the Micro Manager is not installed: pip install micro-manager-precice")
    command = [sys.executable, "-m", "scalespan.bridges.micro_simulations"]
    with (case / "log.txt").open("w") as log:
        macro = subprocess.Popen(["./run.sh"], cwd=case / "Macro", stdout=log, stderr=log)
        try:
            subprocess.run(command, cwd=case / "Micro-Manager", stdout=log, stderr=log, timeout=120, check=True)
            assert macro.wait(timeout=60) == 0, (case / "log.txt").read_text(encoding="utf-8")
        finally:
            macro.kill()
            macro.wait()


@pytest.mark.parametrize("manager", [False, True], ids=["in one process", "Micro Manager"])
def test_copper_comes_back(case: Path, manager: bool) -> None:
    if manager:
        managed(case)
    else:
        assert main(["run", "--quiet", str(case)]) == 0
    found = json.loads((case / "Macro" / "answer.json").read_text(encoding="utf-8"))
    constants = np.diag([168.0 - 121.0] * 3 + [75.0] * 3) * GPA
    constants[:3, :3] += 121.0 * GPA
    stresses = np.hstack([found["Stresses1to3"], found["Stresses4to6"]])
    np.testing.assert_allclose(stresses, STRAINS @ constants, rtol=1e-5)
    for row in np.hstack([found[f"Cmat{number}"] for number in range(1, 8)]):
        np.testing.assert_allclose(whole(row), constants, rtol=1e-5, atol=1e-6)
