"""Mistakes where atoms meet a continuum, each with its sentence and its exit status: `handshake_mistakes.toml`."""

from __future__ import annotations

import re
import tomllib
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk
from ase.io import write

from scalespan.bridges.handshake import CrystalRegion, write_sites
from scalespan.bridges.run.cli import main

from .coupled_crystals import XML

LJ = "sigma = 3.405, epsilon = 0.010323166, rc = 8.5125, ro = 6.81, smooth = true"  # argon
CHAIN_A, SHEET_A = 3.8056783702657375, 3.785  # Å, of no stress (the sheet's nearly)

CHAIN = f"""
title = "a chain of argon"
[model]
use = "handshake"
crystal = "input/crystal.extxyz"
pad = "8.6 angstrom"
continuum_step = "50 fs"
[model.region]
centre = ["0 angstrom"]
radius = "15.3 angstrom"
[model.atoms]
use = "ase"
calculator = "ase.calculators.lj.LennardJones"
keywords = {{ {LJ} }}
[model.continuum]
use = "simplex"
low = ["-91.3362809 angstrom"]
high = ["91.3362809 angstrom"]
spacing = "15.2227135 angstrom"
timestep = "50 fs"
[model.continuum.law]
use = "cauchy_born"
law = "quadratic"
[model.continuum.law.crystal]
structure = "chain"
symbol = "Ar"
a = "{CHAIN_A!r} angstrom"
[model.continuum.law.atoms]
use = "ase"
calculator = "ase.calculators.lj.LennardJones"
keywords = {{ {LJ} }}
[task]
kind = "dynamics"
duration = "1 ps"
[task.motion]
timestep = "10 fs"
ensemble = "nve"
"""

SILICON = """
title = "silicon in silicon"
[model]
use = "handshake"
pad = "7.6 angstrom"
[model.region]
centre = ["0 angstrom", "0 angstrom", "0 angstrom"]
radius = "4 angstrom"
[model.atoms]
use = "stillinger_weber"
[model.continuum]
use = "simplex"
low = ["-21.72 angstrom", "-21.72 angstrom", "-21.72 angstrom"]
high = ["21.72 angstrom", "21.72 angstrom", "21.72 angstrom"]
spacing = "10.86 angstrom"
timestep = "10 fs"
[model.continuum.law]
use = "cauchy_born"
repeat = [2, 2, 2]
inner = "relaxed"
crystal = { structure = "diamond", symbol = "Si", a = "5.430949777 angstrom" }
[model.continuum.law.atoms]
use = "stillinger_weber"
[task]
kind = "minimise"
fmax = "1 meV/angstrom"
"""

MIXING = """
title = "a stiff spot in silicon"
[model]
use = "force_mixing"
[model.region]
atoms = [0]
[model.buffer]
hops = 1
[model.ends]
element = "none"
[model.low]
use = "stillinger_weber"
[model.high]
use = "stillinger_weber"
[atoms]
file = "input/silicon.extxyz"
[task]
kind = "minimise"
fmax = "1 meV/angstrom"
optimiser = "fire"
"""

PAIR = f"""
title = "a sheet of argon"
[coupling]
time = "fs"
with = "embedded"
[participants.Continuum]
use = "continuum"
[[participants.Continuum.reads]]
data = "Force"
mesh = "Continuum-Mesh"
input = "volume.force"
unit = "eV/angstrom"
[[participants.Continuum.writes]]
data = "Displacement"
mesh = "Continuum-Mesh"
output = "volume.displacement"
unit = "angstrom"
[participants.Continuum.model]
use = "simplex"
low = ["-40 angstrom", "-40 angstrom"]
high = ["40 angstrom", "40 angstrom"]
spacing = "10 angstrom"
timestep = "40 fs"
overlap = {{ sites = "input/sites.traj" }}
[participants.Continuum.model.law]
use = "cauchy_born"
law = "quadratic"
crystal = {{ file = "input/crystal.extxyz" }}
[participants.Continuum.model.law.atoms]
use = "ase"
calculator = "ase.calculators.lj.LennardJones"
keywords = {{ {LJ} }}
[participants.Atoms]
use = "handshake_atoms"
crystal = "input/crystal.extxyz"
region = {{ centre = ["0 angstrom", "0 angstrom"], radius = "8 angstrom" }}
pad = "8.6 angstrom"
sites = "input/sites.traj"
timestep = "20 fs"
window = "40 fs"
[participants.Atoms.atoms]
use = "ase"
calculator = "ase.calculators.lj.LennardJones"
keywords = {{ {LJ} }}
"""


@dataclass(frozen=True)
class Mistake:
    base: str  # the case that is spoiled
    name: str
    edits: list[list[str]]  # what is there exactly once, and what comes in its place
    sentence: str
    file: str = "case.toml"


def table() -> list[Mistake]:
    with Path(__file__).with_name("handshake_mistakes.toml").open("rb") as file:
        return [Mistake(base, **entry) for base, entries in tomllib.load(file).items() for entry in entries]


def chain(case: Path) -> str:
    cell = [CHAIN_A, 0.0, 0.0]
    write(case / "input" / "crystal.extxyz", Atoms("Ar", cell=cell, pbc=[True, False, False]))
    return CHAIN


def silicon(case: Path) -> str:
    return SILICON


def mixing(case: Path) -> str:
    write(case / "input" / "silicon.extxyz", bulk("Si", "diamond", a=5.43, cubic=True) * (2, 2, 2))
    return MIXING


def pair(case: Path) -> str:
    cell = SHEET_A * np.array([[1.0, 0.0, 0.0], [0.5, np.sqrt(0.75), 0.0], [0.0, 0.0, 0.0]])
    write(case / "input" / "crystal.extxyz", Atoms("Ar", cell=cell, pbc=[True, True, False]))
    region = tomllib.loads(PAIR)["participants"]["Atoms"]
    kept = {key: region[key] for key in ("crystal", "region", "pad")}
    write_sites(CrystalRegion.read(kept, folder=case), case / "input" / "sites.traj")
    words = {
        "SCHEME": "serial-explicit",
        "FIRST": "Continuum",
        "SECOND": "Atoms",
        "WINDOWS": "4",
        "SIZE": "40",
        "DIM": "2",
    }
    text = XML
    for key, value in words.items():
        text = text.replace(key, value)
    (case / "precice-config.xml").write_text(text, encoding="utf-8")
    return PAIR


BASES = {"chain": chain, "silicon": silicon, "mixing": mixing, "pair": pair}


def make(base: str, folder: Path) -> Path:
    """Write a case that works."""
    case = folder / base
    (case / "input").mkdir(parents=True)
    (case / "case.toml").write_text(BASES[base](case), encoding="utf-8")
    return case


@pytest.mark.parametrize("mistake", table(), ids=lambda mistake: mistake.name)
def test_a_mistake_has_its_sentence_and_its_status(
    mistake: Mistake, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    case = make(mistake.base, tmp_path)
    path = case / mistake.file
    text = path.read_text(encoding="utf-8")
    for old, new in mistake.edits:
        assert text.count(old) == 1, f"{old!r} is there {text.count(old)} times"
        text = text.replace(old, new)
    path.write_text(text, encoding="utf-8")
    status = main(["check", str(case)])
    (line,) = capsys.readouterr().err.splitlines()
    found = line.removeprefix("scalespan: ")
    pattern = ".+".join(re.escape(part) for part in mistake.sentence.replace("{case}", str(case)).split("…"))
    assert re.fullmatch(pattern, found), found
    assert status == 2


def test_there_are_twenty_and_no_two_are_alike() -> None:
    mistakes = table()
    assert len({mistake.sentence for mistake in mistakes}) >= 20
    assert len({mistake.name for mistake in mistakes}) == len(mistakes)


@pytest.mark.parametrize("base", BASES)
def test_the_cases_are_right_before_they_are_spoiled(base: str, tmp_path: Path) -> None:
    assert main(["check", str(make(base, tmp_path))]) == 0
