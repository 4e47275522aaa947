"""Each trap of preCICE becomes one sentence and leaves the process alive; they are sprung in processes of their own."""

from __future__ import annotations

import re
import textwrap
from collections.abc import Mapping
from pathlib import Path

import pytest

from .processes import run_all

pytest.importorskip("precice", reason="pyprecice is not installed: what preCICE does cannot be tried")

PRELUDE = """
import sys
from dataclasses import dataclass
from pathlib import Path
import numpy as np
from scalespan.adapters.interface import ScalespanError
from scalespan.bridges.interface import Exchange, Field, Mesh
from scalespan.bridges.run.precice import Precice

NAME = sys.argv[1]
FORCE = Field("Force", "Solid-Mesh", "N", 2)
HEAT = Field("Heat", "Solid-Mesh", "W", 1)
POINTS = np.array([[0.0, 0.0], [1.0, 0.0], [0.0, 1.0]])
SOLID = Exchange((FORCE,), (HEAT,), {"Solid-Mesh": Mesh(POINTS, triangles=np.array([[0, 1, 2]]))})
CLOUD = Exchange((HEAT,), (FORCE,), regions={"Solid-Mesh": np.array([[-1.0, -1.0], [2.0, 2.0]])})
VALUES = {"Heat": np.array([[1.0], [3.0], [5.0]]), "Force": np.ones((3, 2))}

def made(name=NAME, file="config.xml", ranks=None):
    return Precice(Path(file), name, ranks)

def started(exchange=None):
    exchange = exchange or {"Solid": SOLID, "Cloud": CLOUD}[NAME]
    coupling = made()
    coupling.start(exchange, {field: VALUES[field.name] for field in exchange.writes if field.mesh in exchange.meshes})
    return coupling

def window(coupling):
    if NAME == "Solid":
        coupling.write(HEAT, VALUES["Heat"])
    else:
        coupling.write(FORCE, VALUES["Force"], POINTS)
    coupling.advance(coupling.longest_step)

@dataclass
class Ranks:
    rank: int
    size: int
"""
# A guard acts before preCICE hears of anything, so one process can spring many traps in turn; where one aborts the
# process, the answers of the rest are missing.
ENDING = """
for label, code in TRAPS.items():
    try:
        exec(code)
        print(f"<<{label}|0|fine>>", flush=True)
    except ScalespanError as error:
        print(f"<<{label}|{error.status}|{error}>>", flush=True)
"""
# The cloud has no mesh of its own: it reads and writes at points that may move, on the mesh of the solid.
CONFIG = """<?xml version="1.0"?>
<precice-configuration experimental="true">
  <log><sink filter="%Severity% > warning" /></log>
  <data:vector name="Force" />
  <data:scalar name="Heat" />
  <mesh name="Solid-Mesh" dimensions="2"><use-data name="Force" /><use-data name="Heat" /></mesh>
  <participant name="Solid">
    <provide-mesh name="Solid-Mesh" />
    <read-data name="Force" mesh="Solid-Mesh" />
    <write-data name="Heat" mesh="Solid-Mesh" />
  </participant>
  <participant name="Cloud">
    <receive-mesh name="Solid-Mesh" from="Solid" api-access="true" />
    <read-data name="Heat" mesh="Solid-Mesh" />
    <write-data name="Force" mesh="Solid-Mesh" />
    <mapping:nearest-neighbor direction="read" from="Solid-Mesh" constraint="consistent" />
    <mapping:nearest-neighbor direction="write" to="Solid-Mesh" constraint="conservative" />
  </participant>
  <m2n:sockets acceptor="Solid" connector="Cloud" />
  <coupling-scheme:parallel-explicit>
    <participants first="Solid" second="Cloud" />
    <max-time-windows value="2" />
    <time-window-size value="0.5" />
    <exchange data="Heat" mesh="Solid-Mesh" from="Solid" to="Cloud" initialize="true" />
    <exchange data="Force" mesh="Solid-Mesh" from="Cloud" to="Solid" />
  </coupling-scheme:parallel-explicit>
</precice-configuration>
"""


def sprung(
    folder: Path, traps: Mapping[str, str], partner: str = "", name: str = "Solid"
) -> dict[str, tuple[int, str]]:
    """Run code as one participant and, where given, ``partner`` as the other; return label -> status and sentence."""
    (folder / "config.xml").write_text(CONFIG)
    other = {"Solid": "Cloud", "Cloud": "Solid"}[name]
    codes = {name: traps, other: {"partner": partner}} if partner else {name: traps}
    for participant, code in codes.items():
        cleaned = {label: textwrap.dedent(text).strip() for label, text in code.items()}
        (folder / f"{participant}.py").write_text(f"{PRELUDE}\nTRAPS = {cleaned!r}\n{ENDING}")
    commands = {participant: [folder / f"{participant}.py", participant] for participant in codes}
    ended = run_all(folder, commands, last=name)[name]
    found = re.findall(r"<<(.*?)\|(\d)\|(.*?)>>\n", ended.output, re.DOTALL)
    answers = {label: (int(status), text) for label, status, text in found}
    lost = [label for label in traps if label not in answers]
    assert not lost, f"status {ended.status} at '{lost[0]}': {ended.output[-2000:]}"
    return answers


ALONE = {  # nobody is waited for
    "flags before the start": ("made().running", 5, "running of Solid was called when start has not been called"),
    "time before the start": ("made().longest_step", 5, "call start first"),
    "advance before the start": ("made().advance(0.5)", 5, "advance of Solid was called when start has not been"),
    "read before the start": ("made().read(FORCE, 0.0)", 5, "call start first"),
    "write before the start": ("made().write(HEAT, VALUES['Heat'])", 5, "call start first"),
    "finish before the start": ("made().finish()", 5, "call start first"),
    "points before the start": ("made().points('Solid-Mesh')", 5, "call start first"),
    "unknown participant": ("made('Sold')", 2, "there is no participant 'Sold'; did you mean 'Solid'?"),
    "no file": ("made(file='absent.xml')", 2, "absent.xml: cannot read it"),
    "ranks that are not the program's": (
        "made(ranks=Ranks(0, 2))",
        5,
        "mpirun -n N scalespan run CASE --participant Cloud",
    ),
    "field that the XML lacks": (
        "made().start(Exchange((), (Field('Hat', 'Solid-Mesh', 'W', 1),), SOLID.meshes), {})",
        2,
        "Solid writes 'Hat' on 'Solid-Mesh', which its XML does not say",
    ),
    "read for write": ("made().start(Exchange((), (FORCE,), SOLID.meshes), {})", 2, "Solid writes 'Force'"),
    "components": (
        "made().start(Exchange((), (Field('Heat', 'Solid-Mesh', 'W', 2),), SOLID.meshes), {})",
        2,
        "'Heat' has 1 components, and 2 in Solid",
    ),
    "dimension": (
        "made().start(Exchange((), (), {'Solid-Mesh': Mesh(np.zeros((4, 3)))}), {})",
        2,
        "the mesh 'Solid-Mesh' has the shape (4, 3); give (n, 2)",
    ),
    "points that are not finite": (
        "made().start(Exchange((), (), {'Solid-Mesh': Mesh(np.full((1, 2), np.nan))}), {})",
        2,
        "the mesh 'Solid-Mesh' is not finite",
    ),
    "unknown mesh": ("made().start(Exchange((), (), {'Mesh': Mesh(POINTS)}), {})", 2, "no points of the mesh 'Solid-M"),
    "initial values of a wrong shape": (
        "made().start(SOLID, {HEAT: np.zeros((2, 1))})",
        5,
        "'Heat' of shape (2, 1); give (3, 1)",
    ),
    "initial values that are not finite": (
        "made().start(SOLID, {HEAT: np.full((3, 1), np.inf)})",
        4,
        "'Heat' that is not finite",
    ),
}


@pytest.fixture(scope="module")
def alone(tmp_path_factory: pytest.TempPathFactory) -> dict[str, tuple[int, str]]:
    return sprung(tmp_path_factory.mktemp("alone"), {trap: code for trap, (code, *_) in ALONE.items()})


@pytest.mark.parametrize("trap", ALONE)
def test_a_trap_before_the_partner_is_met(trap: str, alone: dict[str, tuple[int, str]]) -> None:
    _, status, words = ALONE[trap]
    assert alone[trap][0] == status
    assert words in alone[trap][1]


RUNNING = {  # on one coupling that runs
    "second start": ("c.start(SOLID, {})", 5, "start of Solid was called when it is running"),
    "step of nothing": ("c.write(HEAT, VALUES['Heat']); c.advance(1e-15)", 5, "takes a step of 1e-15"),
    "step that is not a number": ("c.advance(float('nan'))", 5, "takes a step of nan"),
    "step backwards": ("c.advance(-0.5)", 5, "takes a step of -0.5"),
    "step too long": ("c.advance(0.6)", 5, "and 0.5 is left of its window"),
    "shape": ("c.write(HEAT, np.zeros(3))", 5, "'Heat' of shape (3,); give (3, 1)"),
    "not finite": ("c.write(HEAT, np.full((3, 1), np.nan))", 4, "'Heat' that is not finite"),
    "read of a write": ("c.read(HEAT, 0.0)", 5, "Solid does not read 'Heat'"),
    "write of a read": ("c.write(FORCE, VALUES['Force'])", 5, "Solid does not write 'Force'"),
    "time past the window": ("c.read(FORCE, 0.7)", 5, "reads 'Force' at 0.7, and 0.5 is left of its window"),
    "time before now": ("c.read(FORCE, -0.1)", 5, "reads 'Force' at -0.1"),
    "points on the own mesh": ("c.read(FORCE, 0.0, POINTS)", 5, "which is no mesh of its regions"),
    "no region": ("c.points('Solid-Mesh')", 5, "Solid has no region on the mesh 'Solid-Mesh'"),
    "new points": ("c.remesh({'Solid-Mesh': Mesh(POINTS)})", 2, "and its meshes may not change; write <precice-conf"),
    "all is well": ("window(c)", 0, "fine"),
    "forgotten write": ("c.advance(0.5)", 5, "did not write 'Heat' on 'Solid-Mesh' in this step"),
    "all is still well": ("window(c)", 0, "fine"),
    "advance after the end": ("c.advance(0.5)", 5, "goes on after the last window"),
    "write after the end": ("c.write(HEAT, VALUES['Heat'])", 5, "writes 'Heat' after the last window"),
    "finish": ("c.finish()", 0, "fine"),
    "second finish": ("c.finish()", 5, "finish has been called"),
    "flags after the finish": ("c.running", 5, "finish has been called"),
}


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> dict[str, tuple[int, str]]:
    traps = {"start": "global c; c = started()"} | {trap: code for trap, (code, *_) in RUNNING.items()}
    partner = "c = started(); window(c); window(c); c.finish()"
    return sprung(tmp_path_factory.mktemp("running"), traps, partner)


@pytest.mark.parametrize("trap", RUNNING)
def test_a_trap_between_partners(trap: str, running: dict[str, tuple[int, str]]) -> None:
    _, status, words = RUNNING[trap]
    assert running[trap][0] == status
    assert words in running[trap][1]


MOVING = {
    "points outside the region": (
        "c.write(FORCE, np.ones((2, 2)), np.array([[0, 0], [9.0, 0]]))",
        5,
        "point 1 of 'Force', [9.0, 0.0], is outside the region of 'Solid-Mesh'",
    ),
    "reading outside": ("c.read(HEAT, 0.0, np.array([[0.0, -1.5]]))", 5, "point 0 of 'Heat', [0.0, -1.5], is outside"),
    "points of a wrong dimension": ("c.read(HEAT, 0.0, np.zeros((2, 3)))", 2, "has the shape (2, 3); give (n, 2)"),
    "points that are not finite": ("c.read(HEAT, 0.0, np.full((2, 2), np.nan))", 2, "is not finite"),
}


def test_traps_of_moving_points(tmp_path: Path) -> None:
    traps = {"start": "c = started()"} | {trap: code for trap, (code, *_) in MOVING.items()}
    answers = sprung(tmp_path, traps, "started()", name="Cloud")
    for trap, (_, status, words) in MOVING.items():
        assert answers[trap][0] == status
        assert words in answers[trap][1]


def test_partners_with_two_files_are_told(tmp_path: Path) -> None:
    (tmp_path / "other.xml").write_text(CONFIG.replace('size value="0.5"', 'size value="0.25"'))
    answers = sprung(tmp_path, {"start": "started()"}, "c = made(file='other.xml'); c.start(CLOUD, {})")
    assert answers["start"][0] == 5
    assert "uses a different configuration file" in answers["start"][1]


WRONG = {  # what is changed in the XML, and the words of the sentence
    "nothing": ("direction=", "direction=", "fine"),
    "scheme": ("coupling-scheme:parallel-explicit", "coupling-scheme:parallel", "parallel"),
    "dimensions": ('dimensions="2"', 'dimensions="4"', "2 or 3 dimensions"),
    "a name": ('<read-data name="Force"', '<read-data name="Farce"', "there is no data 'Farce'"),
    "root": ("precice-configuration", "precise-configuration", "precice-config"),
    "time": ('value="0.5"', 'value="1e-15"', "time-window-size"),
    "access": (' api-access="true"', "", 'write <receive-mesh name="Solid-Mesh" from="…" api-access="true" />'),
}


def test_wrong_xml_is_one_sentence(tmp_path: Path) -> None:
    traps = {}
    for what, (old, new, _) in WRONG.items():
        assert old in CONFIG
        (tmp_path / f"{what}.xml").write_text(CONFIG.replace(old, new))
        traps[what] = f"made('Cloud', {what + '.xml'!r})" + (".start(CLOUD, {})" if what == "access" else "")
    answers = sprung(tmp_path, traps)
    for what, (_, _, words) in WRONG.items():
        assert answers[what][0] == (0 if words == "fine" else 2), answers[what]
        assert words in answers[what][1]
        assert "\n" not in answers[what][1]


EXCHANGE = """
c = started()
for number in range(2):
    assert c.running and abs(c.longest_step - 0.5) < 1e-15
    READ
    window(c)
assert not c.running
c.finish()
"""


def test_moving_points_and_direct_access_carry_the_values(tmp_path: Path) -> None:
    """The solid's heat arrives at the cloud's points, the cloud's force at the solid's, nearest to nearest."""
    solid = "assert number == 0 or np.array_equal(c.read(FORCE, 0.0), np.ones((3, 2)))"
    cloud = """assert np.array_equal(c.points("Solid-Mesh"), POINTS)
    assert np.array_equal(c.read(HEAT, 0.0, POINTS[::-1] * 1.1), VALUES["Heat"][::-1])
    assert np.array_equal(c.read(HEAT, 0.0), VALUES["Heat"])
    assert c.read(HEAT, 0.0, np.zeros((0, 2))).shape == (0, 1)"""
    answers = sprung(tmp_path, {"all": EXCHANGE.replace("READ", solid)}, EXCHANGE.replace("READ", cloud))
    assert answers["all"] == (0, "fine")
    assert "<<partner|0|fine>>" in (tmp_path / "Cloud.log").read_text()


@pytest.mark.parametrize(
    "body",
    [
        "raise ValueError('mine')",
        "window(c); raise ValueError('mine')",
        "c.write(HEAT, VALUES['Heat']); raise ValueError('mine')",
        "c._precice.advance(7.0)",  # an error of preCICE itself, in the middle
    ],
)
def test_an_exception_ends_the_process_with_its_own_status(body: str, tmp_path: Path) -> None:
    """The destructor of preCICE's participant neither aborts nor waits for the partner."""
    (tmp_path / "config.xml").write_text(CONFIG)
    for name, text in {"Solid": body, "Cloud": "window(c); import time; time.sleep(60)"}.items():
        (tmp_path / f"{name}.py").write_text(f"{PRELUDE}\nc = started()\n{text}\n")
    commands = {name: [tmp_path / f"{name}.py", name] for name in ("Solid", "Cloud")}
    ended = run_all(tmp_path, commands, timeout=20.0, last="Solid")["Solid"]
    assert ended.status == 1, ended.output[-2000:]
    assert "mine" in ended.output or "RuntimeError" in ended.output
