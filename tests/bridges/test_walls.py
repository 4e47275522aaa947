"""Atoms that a partner moves: the undivided integrator's motion, the work that goes in, going back."""

from __future__ import annotations

import numpy as np
import pytest
from ase import Atoms
from ase.io import read, write
from ase.units import fs

from scalespan.adapters.interface import NotOffered, OptionError, Quantity
from scalespan.bridges.interface import build
from scalespan.bridges.run.loop import Recording, drive

from .test_particles import ENGINES, Law, particles, place, same, trap

__all__ = ["place"]  # a fixture

WALLS = {"atoms": [0], "mesh": "Wall-Mesh", "displacements": "Wall", "forces": "Reaction"}


def motion_of_wall(time, points=None):
    """Where the wall stands at a time (fs), in Å from its start."""
    return np.array([[0.6 * np.sin(0.11 * time), -0.02 * time, 0.001 * time**2]])


def chain(folder, **table):
    """Return five atoms on four springs; the first is the wall."""
    line = Atoms("Ar5", [(2.5 * i, 0.1 * i**2, -0.05 * i) for i in range(5)])
    write(folder / "chain.xyz", line)
    springs = [
        {"atoms": [i, i + 1], "stiffness": f"{1.0 + i} eV/angstrom**2", "length": "2.4 angstrom"} for i in range(4)
    ]
    base = {
        "use": "particles",
        "motion": {"timestep": "0.5 fs"},
        "model": {"use": "harmonic", "springs": springs},
        "atoms": {"file": "chain.xyz"},
        "walls": WALLS,
    }
    return build(base | table, where="case.toml: participants.Chain", folder=folder)


def undivided(bridge, times, h):
    """Return positions of all atoms and velocities of the free ones after velocity Verlet with the wall at x(t)."""
    atoms, first = bridge._atoms.copy(), bridge._atoms.positions.copy()
    mass, v = atoms.get_masses()[:, None], np.zeros((len(atoms), 3))

    def pull():
        return bridge.model.compute(atoms, {Quantity.FORCES}).forces

    forces = pull()
    for time in times:
        v += 0.5 * h * forces / mass
        atoms.positions += h * v
        atoms.positions[0] = first[0] + motion_of_wall(time)[0]
        forces = pull()
        v += 0.5 * h * forces / mass
    return atoms.positions, v[1:]


def moved(bridge, law, times, h):
    drive(bridge, law)
    positions, velocities = undivided(bridge, times, h)
    atoms = bridge._here()
    return np.abs(atoms.positions - positions).max(), np.abs(atoms.get_velocities()[1:] - velocities).max()


def test_a_wall_drives_a_chain_as_the_undivided_integrator_does(tmp_path):
    bridge = chain(tmp_path, mesh="Atoms-Mesh", writes={"positions": "X", "velocities": "V"})
    law = Law(60.0, 3.0, Wall=motion_of_wall)
    assert max(moved(bridge, law, 0.5 * np.arange(1, 121), 0.5 * fs)) < 1e-12
    # What partners hear of the wall is where it is, and its last timestep's velocity.
    last = (motion_of_wall(60.0) - motion_of_wall(59.5))[0] / 0.5
    assert np.allclose(law.written["X"][-1][0], motion_of_wall(60.0)[0], rtol=0, atol=1e-12)
    assert np.allclose(law.written["V"][-1][0], last, rtol=0, atol=1e-12)
    felt = bridge.model.compute(bridge._mover.atoms, {Quantity.FORCES}).forces[:1]
    assert np.allclose(law.written["Reaction"][-1], felt, rtol=0, atol=1e-13)
    assert np.abs(law.initial["Reaction"]).max() > 0.01  # the springs are not at rest at the start


def test_an_engine_of_its_own_does_the_same(place):
    """OpenMM moves the free atom itself, at the wall's new place: the same as NumPy with OpenMM's forces."""
    bridge = particles(place, "openmm", walls=WALLS)
    apart = moved(bridge, Law(30.0, 1.0, Wall=motion_of_wall), 0.5 * np.arange(1, 61), 0.5 * fs)
    assert max(apart) < 1e-10


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("pulled", [False, True])
def test_the_work_that_goes_in_is_the_energy_that_is_gained(place, engine, pulled):
    """Potential and kinetic energy minus the wall's work (and the field's) change by O(h²),."""
    drifts, works = [], []
    for timestep in (1.0, 0.5):
        table = {"reads": {"electric_field": {"data": "Field", "mesh": "Field-Mesh"}}} if pulled else {}
        bridge = particles(place, engine, walls=WALLS, motion={"timestep": f"{timestep} fs"}, **table)
        totals = []
        bridge.accept = lambda time, seen=bridge.observe, totals=totals: totals.append(seen()["total/eV"])
        drive(bridge, Law(40.0, 2.0, Wall=motion_of_wall, Field=trap))
        drifts.append(totals[-1] - totals[0])
        works.append(bridge.observe()["walls/eV"])
    assert abs(works[-1]) > 1e-3
    assert abs(drifts[1]) < 2e-2 * abs(works[1])
    assert drifts[0] / drifts[1] == pytest.approx(4.0, abs=0.4), (drifts, works)


@pytest.mark.parametrize(
    ("engine", "ensemble"),
    [*((engine, ensemble) for engine in ENGINES for ensemble in ("nve", "langevin")), ("openmm", "nose-hoover")],
)
def test_windows_are_done_again_and_restarted_bit_for_bit(place, engine, ensemble):
    motion = {"timestep": "0.5 fs", "ensemble": ensemble}
    heat = {"nve": {}, "langevin": {"friction": "5/ps"}, "nose-hoover": {"damping_time": "20 fs"}}[ensemble]
    motion |= heat | ({"temperature": "300 K"} if heat else {})
    tape = {"Wall": [motion_of_wall(time) for time in range(1, 7)]}
    table = {"walls": WALLS, "motion": motion, "temperature": "300 K", "writes": {"positions": "X", "velocities": "V"}}

    def run(bridge, windows, repeats=0):
        recording = Recording(float(windows.stop - windows.start), 1.0, {"Wall": tape["Wall"][windows]}, repeats)
        drive(bridge, recording)
        return recording.written

    whole = run(particles(place, engine, **table), slice(0, 6))
    same(run(particles(place, engine, **table), slice(0, 6), repeats=2), whole)
    first, second = particles(place, engine, **table), particles(place, engine, **table)
    run(first, slice(0, 3))
    second.restore(first.save())
    same(run(second, slice(3, 6)), {name: values[3:] for name, values in whole.items()})
    assert first.observe()["walls/eV"] != 0.0
    assert np.allclose(whole["X"][-1][0], read(place / "pair.xyz").positions[0] + tape["Wall"][-1][0], atol=1e-6)


def test_units_of_a_wall(place):
    """In nm out of nN: the same motion, and 1 eV/Å is 1.602176634 nN (2019 SI)."""
    found = []
    for unit, force, scale in (("angstrom", "eV/angstrom", 1.0), ("nm", "nN", 0.1)):
        walls = WALLS | {"displacements": {"data": "Wall", "unit": unit}, "forces": {"data": "Reaction", "unit": force}}
        law = Law(10.0, 1.0, Wall=lambda time, points, scale=scale: scale * motion_of_wall(time))
        drive(particles(place, walls=walls), law)
        found.append(law.written["Reaction"][-1])
    assert np.allclose(1.602176634 * found[0], found[1], rtol=1e-8, atol=0)


@pytest.mark.parametrize(
    ("table", "words"),
    [
        ({"scheme": "impulse"}, "walls need the scheme 'verlet'"),
        ({"walls": WALLS | {"atoms": [0, 7]}}, "'walls.atoms' names atoms twice, or outside 0 to 1"),
        ({"walls": WALLS | {"atoms": [1, 1]}}, "'walls.atoms' names atoms twice"),
        ({"walls": WALLS | {"mesh": "Ions-Mesh"}}, "another name"),
        ({"walls": WALLS | {"displacements": {"data": "D", "mesh": "Other"}}}, "leave its key 'mesh' out"),
    ],
)
def test_walls_that_do_not_fit_are_refused(place, table, words):
    with pytest.raises(OptionError, match=words):
        particles(place, **{"walls": WALLS} | table)


def test_a_chain_of_ase_s_thermostats_takes_no_walls(place):
    motion = {"timestep": "1 fs", "ensemble": "nose-hoover", "temperature": "9 K", "damping_time": "20 fs"}
    with pytest.raises(NotOffered, match="takes no fixed atoms"):
        particles(place, walls=WALLS, motion=motion)
