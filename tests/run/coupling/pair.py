"""Two small participants on two clouds of points, and the XML between them; run with either coupling.

As a script it runs one side with preCICE: ``python pair.py Left FOLDER…``, each with a spec.json.
"""

from __future__ import annotations

import json
import os
import sys
import threading
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
from scipy.spatial import Delaunay

from scalespan.adapters.interface import Options, State
from scalespan.bridges.interface import Bridge, Coupling, Exchange, Field, Mesh, Read
from scalespan.bridges.run.embedded import Embedded
from scalespan.bridges.run.loop import drive
from scalespan.bridges.run.precice_config import read_config

try:
    from .processes import run_all
except ImportError:  # as a script
    from processes import run_all

Record = dict[str, np.ndarray]
SIDES = ("Left", "Right")
NEAREST = '<mapping:nearest-neighbor {ends} constraint="{constraint}"/>'
RELATIVE = '<relative-convergence-measure data="{data}" mesh="{mesh}" limit="1e-8"/>'


@dataclass(frozen=True)
class Pair:
    """What the XML says; the defaults are what a scenario does not care about."""

    scheme: str = "serial-implicit"
    degree: int = 1
    substeps: str = "true"
    initialize: str = "false"
    mapping: str = NEAREST  # of Left's data to Right's points (consistent), and of Right's to Left's (conservative)
    acceleration: str = ""
    measure: str = RELATIVE  # of what Right writes
    more_measures: str = ""
    limits: str = '<max-iterations value="30"/>'
    window: float = 0.5
    windows: int = 3
    steps: int = 1  # of each participant in a window
    gain: float = 0.5  # how strongly one side answers to the other
    counts: tuple[int, int] = (7, 5)  # points of each side
    bridges: str = "answer"  # or "string", or "direct", "moving": Right uses Left's mesh

    def xml(self) -> str:
        implicit = self.scheme.endswith("-implicit")
        back = '<exchange data="Load" mesh="Left-Mesh" from="Right" to="Left" substeps="{0}" initialize="{1}"/>'
        forth = '<exchange data="Move" mesh="Left-Mesh" from="Left" to="Right" substeps="{0}" initialize="{1}"/>'
        use = '<use-data name="Move"/><use-data name="Load"/>'
        measures = self.measure.format(data="Load", mesh="Left-Mesh") + self.more_measures
        return f"""<?xml version="1.0"?>
<precice-configuration experimental="true">
  <log><sink filter="%Severity% > warning"/></log>
  <data:vector name="Move" waveform-degree="{self.degree}"/>
  <data:vector name="Load" waveform-degree="{self.degree}"/>
  <mesh name="Left-Mesh" dimensions="2">{use}</mesh>
  <mesh name="Right-Mesh" dimensions="2">{use}</mesh>
  <participant name="Left">
    <provide-mesh name="Left-Mesh"/>
    <write-data name="Move" mesh="Left-Mesh"/>
    <read-data name="Load" mesh="Left-Mesh"/>
  </participant>
  <participant name="Right">
    {self.right()}
  </participant>
  <m2n:sockets acceptor="Left" connector="Right"/>
  <coupling-scheme:{self.scheme}>
    <participants first="Left" second="Right"/>
    <max-time-windows value="{self.windows}"/>
    <time-window-size value="{self.window}"/>
    {self.limits if implicit else ""}
    {forth.format(self.substeps, self.initialize)}
    {back.format(self.substeps, self.initialize)}
    {measures if implicit else ""}
    {self.acceleration if implicit else ""}
  </coupling-scheme:{self.scheme}>
</precice-configuration>
"""

    def right(self) -> str:
        if self.bridges in ("direct", "moving"):
            read, write = 'direction="read" from="Left-Mesh"', 'direction="write" to="Left-Mesh"'
            mesh, provided, api = "Left-Mesh", "", 'api-access="true"'
        else:
            read = 'direction="read" from="Left-Mesh" to="Right-Mesh"'
            write = 'direction="write" from="Right-Mesh" to="Left-Mesh"'
            mesh, provided, api = "Right-Mesh", '<provide-mesh name="Right-Mesh"/>', ""
        mappings = self.mapping.format(ends=read, constraint="consistent")
        mappings += self.mapping.format(ends=write, constraint="conservative")
        return f"""<receive-mesh name="Left-Mesh" from="Left" {api}/> {provided}
    <write-data name="Load" mesh="{mesh}"/> <read-data name="Move" mesh="{mesh}"/>
    {"" if self.bridges == "direct" else mappings}"""


def cloud(side: int, count: int) -> Mesh:
    """Return points of the unit square, and their triangles; the right cloud sticks out a little."""
    rng = np.random.default_rng(side)
    points = rng.random((count, 2)) * (1.0 + 0.2 * side)
    return Mesh(points, triangles=Delaunay(points).simplices.astype(np.int64))


class Side(Bridge):
    """One side of a `Pair`: reads one field and writes another, keeps what it reads and how often windows are done."""

    name = "side"
    Options = Options
    time_unit = "s"

    def __init__(self, pair: Pair, side: int, mesh: Mesh) -> None:
        self.mesh = mesh
        moves, loads = Field("Move", f"{SIDES[side]}-Mesh", "m", 2), Field("Load", f"{SIDES[side]}-Mesh", "N", 2)
        self.reads, self.writes = (loads, moves) if side == 0 else (moves, loads)
        self.step = pair.window / pair.steps
        self.seen: list[np.ndarray] = []
        self.iterations, self.count = [], 0

    @property
    def exchange(self) -> Exchange:
        return Exchange([self.reads], [self.writes], {self.writes.mesh: self.mesh})

    @property
    def longest_step(self) -> float:
        return self.step

    def receive(self, read: Read) -> None:
        self.read = read

    def accept(self, time: float) -> None:
        self.iterations.append(self.count)
        self.count = 0

    def look(self, dt: float) -> np.ndarray:
        """Return what is read at the step's end, (2 n,); keep that at two earlier times as well."""
        self.seen.append(np.array([self.read(self.reads, part * dt) for part in (0.0, 0.37, 1.0)]))
        self.count += 1
        return self.seen[-1][-1].ravel()

    def record(self) -> Record:
        return {"seen": np.array(self.seen), "iterations": np.array(self.iterations)}


class Answer(Side):
    """Writes A r + b(t), with r what it reads at the step's end."""

    def __init__(self, pair: Pair, side: int) -> None:
        super().__init__(pair, side, cloud(side, pair.counts[side]))
        rng = np.random.default_rng(10 + side)
        size = 2 * pair.counts[side]
        matrix = rng.standard_normal((size, size))
        self.matrix = pair.gain * matrix / np.linalg.norm(matrix, 2)
        self.source = rng.standard_normal(size)
        self.time, self.value = 0.0, 0.1 * self.source

    def advance(self, dt: float) -> None:
        self.time += dt
        self.value = self.matrix @ self.look(dt) + self.source * np.cos(3.0 * self.time)

    def write(self, field: Field) -> np.ndarray:
        return self.value.reshape(-1, 2)

    def save(self) -> State:
        return {"time": self.time, "value": self.value}

    def restore(self, state: State) -> None:
        self.time, self.value = state["time"], state["value"]


class Guest(Side):
    """Uses Left's mesh: at its own points inside a box, or at points that move through it."""

    def __init__(self, pair: Pair, side: int) -> None:
        super().__init__(pair, side, Mesh(np.zeros((0, 2))))
        self.reads, self.writes = (Field(name, "Left-Mesh", unit, 2) for name, unit in (("Move", "m"), ("Load", "N")))
        self.moving = pair.bridges == "moving"
        self.box = np.array([[-1.0, -1.0], [2.0, 2.0]]) if self.moving else np.array([[0.2, -1.0], [1.0, 0.8]])
        self.rest = cloud(1, pair.counts[1]).points
        self.time, self.values = 0.0, np.zeros((0, 2))

    @property
    def exchange(self) -> Exchange:
        return Exchange([self.reads], [self.writes], regions={"Left-Mesh": self.box})

    def meet(self, mesh: str, points: np.ndarray) -> None:
        self.met = points

    def where(self, field: Field) -> np.ndarray | None:
        return self.rest + 0.3 * np.sin(5.0 * self.time) if self.moving else None

    def advance(self, dt: float) -> None:
        self.seen.append(
            np.array([self.read(self.reads, part * dt, self.where(self.reads)) for part in (0.0, 0.37, 1.0)])
        )
        self.count += 1
        self.time += dt
        self.values = 0.5 * self.seen[-1][-1] + np.cos(3.0 * self.time)

    def write(self, field: Field) -> np.ndarray:
        return self.values

    def save(self) -> State:
        return {"time": self.time}

    def restore(self, state: State) -> None:
        self.time = state["time"]

    def record(self) -> Record:
        return {**super().record(), "met": self.met}


class Channel:
    """A string of ``count`` inner points that closes a channel of an ideal fluid, both of length 1.

    m η̈ + K η = p,  p = -ρ M η̈  with M's eigenvalues μ_k = 1 / (k π tanh k π h) on sin k π x: the added-mass model of
    Causin, Gerbeau, Nobile 2005, doi:10.1016/j.cma.2004.12.005. Both sides take η̈ = (η⁺ - 2 η + η⁻) / Δt².
    Iterating between them multiplies the error of mode k by -ρ μ_k / (m + Δt² K_k).
    """

    def __init__(self, count: int) -> None:
        self.x = np.arange(1, count + 1) / (count + 1)
        wave = np.arange(1, count + 1) * np.pi
        modes = np.sin(np.outer(self.x, wave)) * np.sqrt(2.0 / (count + 1))
        self.mass, density, height, tension = 0.1, 1.0, 0.5, 1.0
        self.added = density * (modes / (wave * np.tanh(wave * height))) @ modes.T  # ρ M
        self.stiffness = tension * (modes * (2.0 * (count + 1) * np.sin(0.5 * wave / (count + 1))) ** 2) @ modes.T  # K
        self.start = self.x * (1.0 - self.x) ** 2

    def string(self, now: np.ndarray, before: np.ndarray, load: np.ndarray, dt: float) -> np.ndarray:
        """Return η⁺ of the string under the load p."""
        matrix = np.eye(len(now)) * self.mass / dt**2 + self.stiffness
        return np.linalg.solve(matrix, load + self.mass / dt**2 * (2.0 * now - before))

    def undivided(self, dt: float, windows: int) -> np.ndarray:
        """Return η after that many steps of string and fluid solved at once."""
        inertia = (np.eye(len(self.x)) * self.mass + self.added) / dt**2
        before = now = self.start
        for _ in range(windows):
            before, now = now, np.linalg.solve(inertia + self.stiffness, inertia @ (2.0 * now - before))
        return now


class InChannel(Side):
    """The string (left) or the fluid (right)."""

    def __init__(self, pair: Pair, side: int) -> None:
        self.channel = Channel(pair.counts[side])
        super().__init__(pair, side, Mesh(np.column_stack([self.channel.x, np.zeros(pair.counts[side])])))
        self.side = side
        self.before = self.now = self.channel.start
        self.load = np.zeros_like(self.now)

    def advance(self, dt: float) -> None:
        read = self.look(dt)[1::2]
        new = self.channel.string(self.now, self.before, read, dt) if self.side == 0 else read
        self.load = -self.channel.added @ (new - 2.0 * self.now + self.before) / dt**2
        self.before, self.now = self.now, new

    def write(self, field: Field) -> np.ndarray:
        value = self.now if self.side == 0 else self.load
        return np.column_stack([np.zeros_like(value), value])

    def save(self) -> State:
        return {"now": self.now, "before": self.before}

    def restore(self, state: State) -> None:
        self.now, self.before = state["now"], state["before"]

    def record(self) -> Record:
        return {**super().record(), "place": self.now}


def made(pair: Pair, side: int) -> Side:
    """Return one side of the pair."""
    if pair.bridges == "string":
        return InChannel(pair, side)
    return Guest(pair, side) if pair.bridges in ("direct", "moving") and side == 1 else Answer(pair, side)


def embedded(folder: Path, bridges: Mapping[str, Bridge], xml: str) -> dict[str, Coupling]:
    """Run both participants in threads of this process; raise the first error of any of them."""
    (folder / "precice-config.xml").write_text(xml)
    config = read_config(folder / "precice-config.xml")
    couplings = {name: Embedded(config, name, folder) for name in bridges}
    errors: list[Exception] = []

    def go(name: str) -> None:
        try:
            drive(bridges[name], couplings[name])
        except Exception as error:
            errors.append(error)
            couplings[name].finish()

    together([lambda name=name: go(name) for name in bridges])
    if errors:
        raise errors[0]
    return couplings


def together(actions: list[Callable[[], None]], seconds: float = 60.0) -> None:
    """Do all at once, each in its own thread; none may hang."""
    threads = [threading.Thread(target=action, daemon=True) for action in actions]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(seconds)
        assert not thread.is_alive(), "a participant hangs"


def by_embedded(pair: Pair, folder: Path) -> dict[str, Record]:
    """Return each side's record with the embedded coupling."""
    bridges = {name: made(pair, side) for side, name in enumerate(SIDES)}
    embedded(folder, bridges, pair.xml())
    return {name: side.record() for name, side in bridges.items()}


def by_precice(pairs: Mapping[str, Pair], folder: Path) -> dict[str, dict[str, Record]]:
    """Return pair -> side -> record with preCICE, all from two processes."""
    for name, pair in pairs.items():
        (folder / name).mkdir()
        (folder / name / "precice-config.xml").write_text(pair.xml())
        (folder / name / "spec.json").write_text(json.dumps(asdict(pair)))
    script = Path(__file__).resolve()
    ended = run_all(folder, {side: [script, side, *pairs] for side in SIDES}, timeout=240.0)
    assert [each.status for each in ended.values()] == [0, 0], [each.output[-2000:] for each in ended.values()]
    return {name: {side: dict(np.load(folder / name / f"{side}.npz")) for side in SIDES} for name in pairs}


def main(side: str, *names: str) -> None:
    from scalespan.bridges.run.precice import Precice

    top = Path.cwd()
    for name in names:
        os.chdir(top / name)
        table = json.loads(Path("spec.json").read_text())
        pair = Pair(**{**table, "counts": tuple(table["counts"])})
        bridge = made(pair, SIDES.index(side))
        drive(bridge, Precice(Path("precice-config.xml"), side))
        np.savez(f"{side}.npz", **bridge.record())


if __name__ == "__main__":
    main(*sys.argv[1:])
