"""Points that move through a partner's grid, by just-in-time mappings: a cloud with weights, or the bridge `particles`.

As a script it runs one side with preCICE: python moving_side.py Field|Ions SCENARIO…, each in a folder of its name.
"""

from __future__ import annotations

import os
import sys
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from ase import Atoms
from ase.io import write

from scalespan.adapters.interface import Array, Options, State
from scalespan.bridges.interface import Bridge, Exchange, Field, Mesh, build
from scalespan.bridges.particles import Particles
from scalespan.bridges.run.loop import drive

SIDES = ("Field", "Ions")
COUNT, SPACING, WINDOWS, STEPS = 21, 0.05, 4, 2
SLOPE = np.array([0.3, -0.2, 0.1])  # V/Å
NEAREST = '<mapping:nearest-neighbor {ends} constraint="{constraint}"/>'
COARSE = '<mapping:coarse-graining {{ends}} constraint="{{constraint}}" radius="{0}"/>'


def radial(kind: str, support: float) -> str:
    basis = f'<basis-function:compact-polynomial-c6 support-radius="{support}"/>'
    return f'<mapping:{kind} {{ends}} constraint="{{constraint}}">{basis}</mapping:{kind}>'


@dataclass(frozen=True)
class Scenario:
    """Two mappings without a mesh of the moving points."""

    reads: str = NEAREST
    writes: str = NEAREST
    ion: bool = False  # an ion in a linear potential, else a cloud in a wave


SCENARIOS = {
    "nearest": Scenario(),
    "radial": Scenario(radial("rbf-pum-direct", 1.0), radial("rbf-pum-direct", 1.0)),
    "alias": Scenario(radial("rbf", 1.0), COARSE.format(2 * SPACING)),
    "coarse": Scenario(NEAREST, COARSE.format(4 * SPACING)),
    "ion": Scenario(radial("rbf-pum-direct", 6.0), NEAREST, ion=True),
}


def xml(scenario: Scenario) -> str:
    """Return precice-config.xml: Field provides the grid, Ions has no mesh."""
    use = "".join(f'<use-data name="{name}"/>' for name in ("Potential", "Electric-Field", "Weight"))
    read = scenario.reads.format(ends='direction="read" from="Grid"', constraint="consistent")
    back = scenario.writes.format(ends='direction="write" to="Grid"', constraint="conservative")
    return f"""<?xml version="1.0"?>
<precice-configuration experimental="true">
  <log><sink filter="%Severity% > warning"/></log>
  <profiling mode="off"/>
  <data:scalar name="Potential"/><data:vector name="Electric-Field"/><data:scalar name="Weight"/>
  <mesh name="Grid" dimensions="3">{use}</mesh>
  <participant name="Field">
    <provide-mesh name="Grid"/>
    <write-data name="Potential" mesh="Grid"/><write-data name="Electric-Field" mesh="Grid"/>
    <read-data name="Weight" mesh="Grid"/>
  </participant>
  <participant name="Ions">
    <receive-mesh name="Grid" from="Field" api-access="true"/>
    <read-data name="Potential" mesh="Grid"/><read-data name="Electric-Field" mesh="Grid"/>
    <write-data name="Weight" mesh="Grid"/>
    {read}{back}
  </participant>
  <m2n:sockets acceptor="Field" connector="Ions"/>
  <coupling-scheme:serial-explicit>
    <participants first="Field" second="Ions"/>
    <max-time-windows value="{WINDOWS}"/><time-window-size value="1"/>
    <exchange data="Potential" mesh="Grid" from="Field" to="Ions" initialize="true"/>
    <exchange data="Electric-Field" mesh="Grid" from="Field" to="Ions" initialize="true"/>
    <exchange data="Weight" mesh="Grid" from="Ions" to="Field" substeps="false"/>
  </coupling-scheme:serial-explicit>
</precice-configuration>
"""


def grid(ion: bool) -> Array:
    """Return the grid's points (n, 3): the unit cube, or one with an edge of 20 Å for the ion."""
    axis = np.linspace(0.0, 20.0, 11) if ion else SPACING * np.arange(COUNT)
    return np.stack(np.meshgrid(axis, axis, axis, indexing="ij"), axis=-1).reshape(-1, 3)


def potential(points: Array, time: float, ion: bool) -> Array:
    """Return the potential (n, 1): linear for the ion, else a wave with the cube's length that grows in time."""
    if ion:
        return (points @ SLOPE)[:, None]
    return (1.0 + time) * np.sin(2.0 * np.pi * points[:, :1]) * np.cos(2.0 * np.pi * points[:, 1:2] + points[:, 2:])


def electric_field(points: Array, time: float, ion: bool) -> Array:
    """Return minus the gradient (n, 3) of `potential`."""
    if ion:
        return np.tile(-SLOPE, (len(points), 1))
    x, y = 2.0 * np.pi * points[:, 0], 2.0 * np.pi * points[:, 1] + points[:, 2]
    slope = [2 * np.pi * np.cos(x) * np.cos(y), -2 * np.pi * np.sin(x) * np.sin(y), -np.sin(x) * np.sin(y)]
    return -(1.0 + time) * np.stack(slope, axis=1)


class Side(Bridge):
    """What the field and the cloud share; no window is done again."""

    name = "side"
    Options = Options
    longest_step = 1.0

    def receive(self, read) -> None:
        self.read = read

    def save(self) -> State:
        return {}

    def restore(self, state: State) -> None:
        raise AssertionError("an explicit scheme does no window again")


class Source(Side):
    """The grid: writes a formula's values, keeps the weights that come."""

    def __init__(self, ion: bool) -> None:
        self.ion, self.points, self.time = ion, grid(ion), 0.0
        self.potential, self.field = (
            Field("Potential", "Grid", "V", 1),
            Field("Electric-Field", "Grid", "V/angstrom", 3),
        )
        self.weight = Field("Weight", "Grid", "e", 1)
        self.weights: list[Array] = []

    @property
    def exchange(self) -> Exchange:
        return Exchange((self.weight,), (self.potential, self.field), {"Grid": Mesh(self.points)})

    def advance(self, dt: float) -> None:
        self.weights.append(self.read(self.weight, 0.0))  # of the last window's end
        self.time += dt

    def write(self, field: Field) -> Array:
        law = potential if field is self.potential else electric_field
        return law(self.points, self.time, self.ion)

    def record(self) -> dict[str, Array]:
        return {"weights": np.array(self.weights)}


class Cloud(Side):
    """Points with weights that turn around the cube's middle, away from its sides."""

    longest_step = 1.0 / STEPS

    def __init__(self) -> None:
        rng = np.random.default_rng(4)
        self.rest = rng.uniform(-0.2, 0.2, (300, 3))
        self.weights = rng.uniform(0.5, 1.5, (300, 1))
        self.reads = Field("Potential", "Grid", "V", 1), Field("Electric-Field", "Grid", "V/angstrom", 3)
        self.weight = Field("Weight", "Grid", "e", 1)
        self.time = 0.0
        self.seen: dict[str, list[Array]] = {name: [] for name in ("times", "places", "potential", "field")}

    @property
    def places(self) -> Array:
        turn, other = np.cos(0.7 * self.time), np.sin(0.7 * self.time)
        return 0.5 + self.rest @ np.array([[turn, other, 0.0], [-other, turn, 0.0], [0.0, 0.0, 1.0]])

    @property
    def exchange(self) -> Exchange:
        return Exchange(self.reads, (self.weight,), regions={"Grid": np.array([3 * [0.0], 3 * [1.0]])})

    def advance(self, dt: float) -> None:
        self.time += dt
        self.seen["times"].append(np.array(self.time))
        self.seen["places"].append(self.places)
        for name, field in zip(("potential", "field"), self.reads, strict=True):
            self.seen[name].append(self.read(field, dt, self.places))

    def write(self, field: Field) -> Array:
        return self.weights

    def where(self, field: Field) -> Array:
        return self.places

    def record(self) -> dict[str, Array]:
        return {name: np.array(values) for name, values in self.seen.items()} | {"given": self.weights}


class Ion:
    """The bridge `particles` with two ions on a spring at rest, and its series."""

    def __init__(self, folder: Path) -> None:
        write(folder / "ions.xyz", Atoms("NaNa", [(8.0, 9.0, 10.0), (11.0, 9.0, 10.0)]))
        on_grid = {
            name: {"data": data, "mesh": "Grid"}
            for name, data in (("electric_field", "Electric-Field"), ("potential", "Potential"), ("charges", "Weight"))
        }
        spring = {"atoms": [0, 1], "stiffness": "2 eV/angstrom**2", "length": "3 angstrom"}
        table = {
            "use": "particles",
            "atoms": {"file": "ions.xyz"},
            "charges": [1.0, 1.0],
            "reach": "5 angstrom",
            "motion": {"timestep": "0.5 fs"},
            "model": {"use": "harmonic", "springs": [spring]},
            "reads": {name: on_grid[name] for name in ("electric_field", "potential")},
            "writes": {"charges": on_grid["charges"]},
        }
        bridge = build(table, where="test", folder=folder)
        assert isinstance(bridge, Particles)
        self.bridge, self.rows = bridge, []
        bridge.accept = lambda time: self.rows.append(list(bridge.observe().values()))  # type: ignore[method-assign]

    def record(self) -> dict[str, Array]:
        names = np.array(list(self.bridge.observe()))
        return {"names": names, "rows": np.array(self.rows), "places": self.bridge._mover.atoms.positions}


def made(scenario: Scenario, side: str, folder: Path) -> Source | Cloud | Ion:
    """Return one side of a scenario."""
    if side == "Field":
        return Source(scenario.ion)
    return Ion(folder) if scenario.ion else Cloud()


def bridge_of(side: Source | Cloud | Ion) -> Bridge:
    """Return what the loop drives."""
    return side.bridge if isinstance(side, Ion) else side


def main(side: str, *names: str) -> None:
    from scalespan.bridges.run.precice import Precice

    top = Path.cwd()
    for name in names:
        os.chdir(top / name)
        one = made(SCENARIOS[name], side, Path.cwd())
        drive(bridge_of(one), Precice(Path("precice-config.xml"), side))
        np.savez(f"{side}.npz", **one.record())


if __name__ == "__main__":
    main(*sys.argv[1:])
