"""Boxes of atoms that cannot be: each mistake has its sentence."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk
from ase.io import write

from scalespan.adapters.elastic import ElasticAdapter, ElasticOptions
from scalespan.adapters.harmonic import HarmonicAdapter, HarmonicOptions
from scalespan.adapters.interface import CaseError, ScalespanError
from scalespan.adapters.stillinger_weber import StillingerWeberAdapter, StillingerWeberOptions
from scalespan.bridges.atomistic_cell import AtomisticCell, AtomisticCellOptions

from .argon import argon, engine

SILICON = StillingerWeberAdapter(StillingerWeberOptions())
ELASTIC = ElasticAdapter(ElasticOptions(cubic=("160 GPa", "60 GPa", "80 GPa"), density="2.3 g/cm**3"))
HARMONIC = HarmonicAdapter(
    HarmonicOptions.read({"springs": [{"atoms": [0, 1], "stiffness": "1 eV/angstrom**2", "length": "2 angstrom"}]})
)
CUBE = bulk("Si", a=5.431, cubic=True)
WARM = {"temperature": "300 K", "timestep": "1 fs", "friction": "5 / ps", "samples": 40}
ONE = np.eye(3)[None]


def make(folder: Path, atoms: Atoms = CUBE, part: Any = SILICON, **options: Any) -> AtomisticCell:
    """Return the law of a box in a file."""
    write(folder / "box.xyz", atoms, format="extxyz")
    return AtomisticCell(AtomisticCellOptions.read({"file": "box.xyz"} | options, folder=folder), part)


def sheet() -> Atoms:
    atoms = CUBE.copy()
    atoms.pbc = (True, True, False)
    return atoms


def without(**changes: Any) -> StillingerWeberAdapter:
    """Return silicon with something changed."""
    changed = StillingerWeberAdapter(StillingerWeberOptions())
    for name, value in changes.items():
        setattr(changed, name, value)
    return changed


def shaken() -> Atoms:
    atoms = CUBE.copy()
    atoms.rattle(0.1, seed=1)
    return atoms


def stretched() -> Atoms:
    atoms = CUBE.copy()
    atoms.set_cell(1.35 * atoms.cell.array, scale_atoms=True)
    return atoms


def empty(folder: Path) -> AtomisticCell:
    (folder / "box.xyz").write_text("no atoms\n")
    return AtomisticCell(AtomisticCellOptions.read({"file": "box.xyz"}, folder=folder), SILICON)


MISTAKES: dict[str, tuple[Any, str]] = {
    "no engine": (lambda at: make(at, part=None), 'needs their engine.*"atoms"'),
    "a law as the engine": (lambda at: make(at, part=ELASTIC), "'elastic' is no engine of atoms"),
    "not periodic": (lambda at: make(at, sheet()), r"periodic in \[True, True, False\], and must be in all three"),
    "no stress": (lambda at: make(at, part=HARMONIC), "harmonic does not offer stress"),
    "no gradient": (lambda at: make(at, part=without(conservative=False)), "not the gradient of an energy"),
    "no thermostat": (
        lambda at: make(at, part=without(ensembles=frozenset({"nve"})), sampling=WARM),
        "no Langevin thermostat to hold a temperature",
    ),
    "no atoms": (lambda at: AtomisticCell(AtomisticCellOptions(), SILICON), "has no atoms of its own.*'file'"),
    "nothing to repeat": (lambda at: AtomisticCellOptions.read({"repeat": [2, 2, 2]}), "'repeat' is of a 'file'"),
    "no friction": (
        lambda at: AtomisticCellOptions.read({"sampling": {"temperature": "5 K", "timestep": "1 fs"}}),
        "key 'sampling.friction' is missing",
    ),
    "zero kelvin": (
        lambda at: AtomisticCellOptions.read({"sampling": WARM | {"temperature": "0 K"}}),
        "sampling.temperature' input should be greater than 0",
    ),
    "inside out": (
        lambda at: make(at).respond(np.diag([-1.0, 1.0, 1.0])[None]),
        "turns the material inside out",
    ),
    "not at rest": (
        lambda at: make(at, shaken(), steps=2).respond(ONE),
        r"box under F = .* not at rest after 2 steps: a force of .* is left; raise steps",
    ),
    "sharper at rest": (lambda at: make(at).sharpen(2.0), "is no mean of samples"),
    "not stable": (
        lambda at: make(at, stretched()).audit(),
        "the box is not stable: a uniform strain has the stiffness",
    ),
    "no atoms in the file": (empty, "holds no atoms that ASE can read"),
}


@pytest.mark.parametrize("mistake", MISTAKES)
def test_a_mistake_has_its_sentence(mistake: str, tmp_path: Path) -> None:
    wrong, says = MISTAKES[mistake]
    with pytest.raises(ScalespanError, match=says):
        wrong(tmp_path)


def test_a_box_narrower_than_twice_the_cutoff_under_strain() -> None:
    law = AtomisticCell(AtomisticCellOptions(), engine(argon()))
    with pytest.raises(CaseError, match=r"box under F = \[\[0\.7.*less than twice the cutoff.*larger cell"):
        law.respond(np.diag([0.7, 1.0, 1.0])[None])


@pytest.mark.skipif(find_spec("pymbar") is None, reason="pymbar is not installed")
@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"error": "0.01 MPa"}, r"standard error of .* MPa, and no more than 0\.01 MPa is wanted; take about [0-9]+"),
        ({"interval": 1, "samples": 40}, "are too few for errors; raise samples"),
        ({"timestep": "500 fs"}, r"box under F = .* atoms are at .* K and are held at 10 K; shorten the timestep"),
    ],
)
def test_too_few_samples_or_too_long_steps(change: dict[str, Any], says: str) -> None:
    table = {"temperature": "10 K", "timestep": "10 fs", "friction": "3 / ps", "samples": 60} | change
    law = AtomisticCell(AtomisticCellOptions.read({"sampling": table}), engine(argon(), "CPU"))
    with pytest.raises(ScalespanError, match=says):
        law.respond(ONE)


def test_other_points_than_those_with_a_history(tmp_path: Path) -> None:
    pytest.importorskip("pymbar", reason="pymbar is not installed")
    table = {"temperature": "10 K", "timestep": "10 fs", "friction": "3 / ps", "samples": 60}
    law = AtomisticCell(AtomisticCellOptions.read({"sampling": table}), engine(argon(), "CPU"))
    law.respond(ONE)
    law.advance(1.0)
    with pytest.raises(CaseError, match="2 points are asked, and 1 boxes have a history"):
        law.respond(np.tile(ONE, (2, 1, 1)))
