"""Meshes that change in a run: with preCICE, where it allows that, and a sentence everywhere else."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from scalespan.adapters.interface import CouplingError
from scalespan.bridges.interface import Exchange, Mesh
from scalespan.bridges.run.loop import Alone, Recording, drive

from ..test_loop import Mass, push
from .processes import HERE, run_all

CONFIG = """<?xml version="1.0"?>
<precice-configuration experimental="true" allow-remeshing="true">
  <log><sink filter="%Severity% > warning" /></log>
  <profiling mode="off" />
  <data:vector name="Move" />
  <data:vector name="Load" />
  <mesh name="Cloud-Mesh" dimensions="2"><use-data name="Move" /><use-data name="Load" /></mesh>
  <mesh name="Grid-Mesh" dimensions="2"><use-data name="Move" /><use-data name="Load" /></mesh>
  <participant name="Cloud">
    <provide-mesh name="Cloud-Mesh" />
    <receive-mesh name="Grid-Mesh" from="Grid" />
    <write-data name="Move" mesh="Cloud-Mesh" />
    <read-data name="Load" mesh="Cloud-Mesh" />
    <mapping:rbf-global-direct direction="read" from="Grid-Mesh" to="Cloud-Mesh" constraint="consistent">
      <basis-function:thin-plate-splines />
    </mapping:rbf-global-direct>
  </participant>
  <participant name="Grid">
    <provide-mesh name="Grid-Mesh" />
    <receive-mesh name="Cloud-Mesh" from="Cloud" />
    <write-data name="Load" mesh="Grid-Mesh" />
    <read-data name="Move" mesh="Grid-Mesh" />
    <mapping:rbf-global-direct direction="read" from="Cloud-Mesh" to="Grid-Mesh" constraint="consistent">
      <basis-function:thin-plate-splines />
    </mapping:rbf-global-direct>
  </participant>
  <m2n:sockets acceptor="Cloud" connector="Grid" />
  <coupling-scheme:parallel-explicit>
    <participants first="Cloud" second="Grid" />
    <max-time-windows value="5" />
    <time-window-size value="0.5" />
    <exchange data="Move" mesh="Cloud-Mesh" from="Cloud" to="Grid" substeps="false" />
    <exchange data="Load" mesh="Grid-Mesh" from="Grid" to="Cloud" substeps="false" />
  </coupling-scheme:parallel-explicit>
</precice-configuration>
"""
IMPLICIT = CONFIG.replace("parallel-explicit", "parallel-implicit").replace(
    '<exchange data="Move"', '<min-iterations value="3" /><max-iterations value="3" /><exchange data="Move"'
)


def moved(folder: Path, config: str) -> dict[str, dict[str, Any]]:
    """Run both sides; return what each found."""
    pytest.importorskip("precice", reason="pyprecice is not installed: what preCICE does cannot be tried")
    (folder / "config.xml").write_text(config)
    ended = run_all(folder, {name: [HERE / "remeshing_side.py", name] for name in ("Cloud", "Grid")})
    assert [each.status for each in ended.values()] == [0, 0], [each.output[-3000:] for each in ended.values()]
    return {name: json.loads((folder / f"{name}.json").read_text()) for name in ended}


@pytest.mark.parametrize(("config", "passes"), [(CONFIG, 1), (IMPLICIT, 3)], ids=["explicit", "implicit"])
def test_a_linear_field_is_exact_after_the_points_have_moved(tmp_path: Path, config: str, passes: int) -> None:
    """The polynomial part of radial-basis interpolation takes a linear field; the number of points changes too."""
    found = moved(tmp_path, config)
    assert found["Cloud"]["counts"] == [30, 31, 32, 33, 34]
    assert found["Grid"]["counts"] == [30]
    for side in found.values():
        assert side["reads"] == 4 * passes
        assert side["error"] < 1e-12


class Remeshing(Mass):
    """A mass whose mesh changes."""

    def remeshed(self) -> dict[str, Mesh]:
        return {"Mass": Mesh(np.ones((1, 2)))}


class Quiet(Remeshing):
    """It reads nothing, so that it can be alone."""

    exchange = Exchange((), Mass.exchange.writes, Mass.exchange.meshes)

    def advance(self, dt: float) -> None:
        return


TRAPS = {  # as Cloud, in turn: code, words of the sentence
    "first window": ("c.remesh({'Cloud-Mesh': Mesh(ONE)})", "give them in the first step of a window, from the second"),
    "go on": ("[(c.write(MOVE, ONE), c.advance(0.5)) for _ in range(3)]", "fine"),
    "a partner's mesh": ("c.remesh({'Grid-Mesh': Mesh(ONE)})", "'Grid-Mesh', which it does not provide"),
    "dimension": ("c.remesh({'Cloud-Mesh': Mesh(np.zeros((4, 3)))})", "has the shape (4, 3); give (n, 2)"),
    "now it may": ("c.remesh({'Cloud-Mesh': Mesh(TWO)})", "fine"),
    "read too late": ("c.read(LOAD, 0.5)", "reads 'Load' on the new points of 'Cloud-Mesh'"),
    "the old number of values": ("c.write(MOVE, ONE)", "give (2, 2): points, components"),
    "a part of the window": ("c.write(MOVE, TWO); c.advance(0.1)", "let that step end the window"),
    "the window": ("c.advance(0.5)", "fine"),
    "read before its end": ("c.read(LOAD, 0.2)", "when the window is done again, at its end"),
    "read at its end": ("assert np.array_equal(c.read(LOAD, 0.5), np.round(TWO))", "fine"),
    "second pass": ("c.remesh({'Cloud-Mesh': Mesh(ONE)})", "new points on 'Cloud-Mesh' inside a window"),
}
PRELUDE = """
import sys
from pathlib import Path
import numpy as np
from scalespan.adapters.interface import ScalespanError
from scalespan.bridges.interface import Exchange, Field, Mesh
from scalespan.bridges.run.precice import Precice

ONE, TWO = np.array([[0.1, 0.1]]), np.array([[0.1, 0.9], [0.9, 0.2]])
GRID = np.array([[0.0, 0.0], [1.0, 0.0], [0.0, 1.0], [1.0, 1.0]])
MOVE, LOAD = Field("Move", "Cloud-Mesh", "m", 2), Field("Load", "Cloud-Mesh", "m", 2)
"""
SPRING = """
c = Precice(Path("config.xml"), "Cloud")
c.start(Exchange([LOAD], [MOVE], {"Cloud-Mesh": Mesh(ONE)}), {})
for label, code in TRAPS.items():
    try:
        exec(code)
        print(f"<<{label}|fine>>", flush=True)
    except ScalespanError as error:
        print(f"<<{label}|{error}>>", flush=True)
"""
PARTNER = """
c = Precice(Path("config.xml"), "Grid")
move, load = (Field(name, "Grid-Mesh", "m", 2) for name in ("Move", "Load"))
c.start(Exchange([move], [load], {"Grid-Mesh": Mesh(GRID)}), {})
while c.running:
    c.write(load, GRID)
    c.advance(0.5)
"""


def test_each_wrong_moment_has_its_sentence(tmp_path: Path) -> None:
    pytest.importorskip("precice", reason="pyprecice is not installed: what preCICE does cannot be tried")
    mapping = r"<mapping:nearest-neighbor \1 />"
    config = re.sub("(?s)<mapping:rbf-global-direct (.*?)>.*?</mapping:rbf-global-direct>", mapping, IMPLICIT)
    (tmp_path / "config.xml").write_text(config)
    traps = {label: code for label, (code, _) in TRAPS.items()}
    (tmp_path / "Cloud.py").write_text(f"{PRELUDE}\nTRAPS = {traps!r}\n{SPRING}")
    (tmp_path / "Grid.py").write_text(PRELUDE + PARTNER)
    ended = run_all(tmp_path, {name: [tmp_path / f"{name}.py"] for name in ("Cloud", "Grid")}, last="Cloud")["Cloud"]
    answers = dict(re.findall(r"<<(.*?)\|(.*?)>>", ended.output, re.DOTALL))
    for label, (_, words) in TRAPS.items():
        assert words in answers.get(label, ended.output[-2000:]), label


FORBIDDEN = {  # in the XML, and preCICE's words
    "serial": (("parallel-explicit", "serial-explicit"), "incompatible with serial coupling schemes"),
    "not experimental": ((' experimental="true"', ""), "Remeshing is considered an experimental feature"),
}


@pytest.mark.parametrize("what", FORBIDDEN)
def test_where_precice_forbids_it_the_xml_is_wrong(tmp_path: Path, what: str) -> None:
    pytest.importorskip("precice", reason="pyprecice is not installed: what preCICE does cannot be tried")
    change, words = FORBIDDEN[what]
    (tmp_path / "config.xml").write_text(CONFIG.replace(*change))
    (tmp_path / "Cloud.py").write_text(f"{PRELUDE}\nTRAPS = {{}}\n{SPRING}")
    ended = run_all(tmp_path, {"Cloud": [tmp_path / "Cloud.py"]})["Cloud"]
    assert "CaseError" in ended.output
    assert words in ended.output


def test_couplings_without_precice_refuse_it() -> None:
    with pytest.raises(CouplingError, match="remeshing needs preCICE: 'Mass' has other points; install pyprecice"):
        drive(Remeshing(), Recording(2.0, 1.0, push(2)))
    with pytest.raises(CouplingError, match="remeshing needs preCICE"):
        drive(Quiet(), Alone(2.0, 1.0))


def test_it_is_asked_where_it_is_allowed_only() -> None:
    """Not in the first window, not in steps of a part of a window, not in a repeated pass."""
    drive(Remeshing(), Recording(1.0, 1.0, push(1)))
    drive(Remeshing(0.5), Recording(3.0, 1.0, push(3)))
