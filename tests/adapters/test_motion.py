"""Motion: the ensembles' keys, the integrators' order, what they keep and what they sample."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest
from ase import Atoms, units
from ase.vibrations import Vibrations

from scalespan.adapters.harmonic import HarmonicAdapter, HarmonicOptions
from scalespan.adapters.interface import AseMotion, CaseError, Motion, NotOffered, OptionError
from scalespan.adapters.interface.units import BOLTZMANN, FEMTOSECOND

NEEDS = {
    "nve": set(),
    "langevin": {"temperature", "friction"},
    "nose-hoover": {"temperature", "damping_time"},
    "npt": {"temperature", "friction", "pressure"},
}
VALUES = {"temperature": "300 K", "friction": "1/ps", "damping_time": "20 fs", "pressure": "1 bar"}


@pytest.mark.parametrize("key", VALUES)
@pytest.mark.parametrize("ensemble", NEEDS)
def test_an_ensemble_has_its_keys_and_no_others(ensemble: str, key: str) -> None:
    right = {"timestep": "1 fs", "ensemble": ensemble} | {k: VALUES[k] for k in NEEDS[ensemble]}
    Motion.read(right)
    if key in NEEDS[ensemble]:
        del right[key]
        sentence = f"ensemble '{ensemble}' needs the key '{key}'"
    else:
        right[key] = VALUES[key]
        sentence = f"ensemble '{ensemble}' has no use for the key '{key}'"
    with pytest.raises(OptionError, match=sentence):
        Motion.read(right)


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"timestep": "0 fs"}, "timestep must be above zero"),
        ({"timestep": "-1 fs"}, "timestep must be above zero"),
        ({"timestep": 0.5}, "timestep: 0.5 has no unit"),
        ({"ensemble": "nvt"}, "'ensemble' input should be 'nve', 'langevin', 'nose-hoover' or 'npt'"),
        ({"seed": -1}, "'seed' input should be greater than or equal to 0"),
        ({"barostat_interval": 0}, "'barostat_interval' input should be greater than 0"),
        ({"ensemble": "langevin", "temperature": "-5 K", "friction": "1/ps"}, "temperature must not be below zero"),
        ({"ensemble": "langevin", "temperature": "5 K", "friction": "0/ps"}, "friction must be above zero"),
        (
            {"ensemble": "nose-hoover", "temperature": "5 K", "damping_time": "0 fs"},
            "damping_time must be above zero",
        ),
    ],
)
def test_a_bad_motion_has_its_sentence(change: dict[str, object], sentence: str) -> None:
    with pytest.raises(CaseError, match=re.escape(sentence)):
        Motion.read({"timestep": "1 fs"} | change)


STIFFNESS, MASS = 20.0, 12.0  # eV/Å², amu; two atoms of MASS make the reduced mass MASS / 2
OMEGA = float(np.sqrt(STIFFNESS / (MASS / 2)))  # 1 / ASE's time


def oscillator(stretch: float = 0.1) -> Atoms:
    atoms = Atoms("C2", [(0, 0, 0), (1.2 + stretch, 0, 0)], masses=[MASS, MASS])
    spring = {"atoms": [0, 1], "stiffness": f"{STIFFNESS} eV/angstrom**2", "length": "1.2 angstrom"}
    atoms.calc = HarmonicAdapter(HarmonicOptions.read({"springs": [spring]})).as_calculator()
    return atoms


def motion(ensemble: str = "nve", timestep: str = "1 fs", **more: object) -> Motion:
    return Motion.read({"timestep": timestep, "ensemble": ensemble} | {k: VALUES[k] for k in NEEDS[ensemble]} | more)


def test_velocity_verlet_is_of_second_order() -> None:
    errors = []
    for steps in (20, 40, 80):
        time = 1.0 / OMEGA
        mover = AseMotion(oscillator(), motion(timestep=f"{time / steps / FEMTOSECOND!r} fs"))
        mover.advance(time)
        exact = 1.2 + 0.1 * np.cos(OMEGA * time)
        errors.append(abs(mover.atoms.get_distance(0, 1) - exact))
    assert errors[0] / errors[1] == pytest.approx(4.0, rel=0.02)
    assert errors[1] / errors[2] == pytest.approx(4.0, rel=0.02)


def test_nve_keeps_the_energy() -> None:
    # Velocity Verlet keeps H − (ω dt)²/8 k x² + …: the energy swings by (ω dt)²/8 of itself and does not drift.
    mover = AseMotion(oscillator(), motion())
    energies = []
    for _ in range(2000):
        mover.advance(FEMTOSECOND)
        energies.append(mover.atoms.get_total_energy())
    swing = (OMEGA * FEMTOSECOND) ** 2 / 4 * energies[0]
    assert np.ptp(energies) < 1.1 * swing
    assert abs(np.mean(energies[:1000]) - np.mean(energies[1000:])) < 0.01 * swing


def test_a_window_is_cut_into_equal_steps() -> None:
    half = AseMotion(oscillator(), motion(timestep="0.5 fs"))
    whole = AseMotion(oscillator(), motion(timestep="0.7 fs"))
    half.advance(FEMTOSECOND)
    whole.advance(FEMTOSECOND)  # two of 0.5 fs, none longer than 0.7
    np.testing.assert_allclose(whole.atoms.positions, half.atoms.positions, rtol=0, atol=1e-14)


def test_a_thermostat_takes_whole_steps_only() -> None:
    with pytest.raises(CaseError, match=r"a thermostat cannot take 1.5 timesteps"):
        AseMotion(oscillator(), motion("langevin")).advance(1.5 * FEMTOSECOND)


def springs_in_a_chain(n: int) -> Atoms:
    atoms = Atoms(f"C{n}", [(1.2 * i, 0.1 * (-1) ** i, 0) for i in range(n)], masses=[MASS] * n)
    table = [
        {"atoms": [i, j], "stiffness": "10 eV/angstrom**2", "length": f"{atoms.get_distance(i, j)} angstrom"}
        for i in range(n)
        for j in range(i + 1, min(i + 4, n))
    ]
    atoms.calc = HarmonicAdapter(HarmonicOptions.read({"springs": table})).as_calculator()
    return atoms


def test_langevin_samples_the_temperature() -> None:
    # Equipartition: each of the 3n momenta squared has the mean m k T, with no constraint of the centre.
    mover = AseMotion(springs_in_a_chain(8), motion("langevin", friction="50/ps"))
    mover.advance(200 * FEMTOSECOND)
    blocks = []
    for _ in range(40):
        seen = []
        for _ in range(25):
            mover.advance(4 * FEMTOSECOND)
            seen.append(2 * mover.atoms.get_kinetic_energy() / (24 * BOLTZMANN))
        blocks.append(np.mean(seen))
    error = np.std(blocks, ddof=1) / np.sqrt(len(blocks))
    assert error < 15.0, "too few samples to say anything"
    assert abs(np.mean(blocks) - 300.0) < 4 * error


def test_nose_hoover_keeps_its_conserved_energy() -> None:
    atoms = springs_in_a_chain(4)
    atoms.set_momenta(np.random.default_rng(1).normal(size=(4, 3)) * np.sqrt(MASS * BOLTZMANN * 300.0))
    mover = AseMotion(atoms, motion("nose-hoover", timestep="0.25 fs"))
    conserved, kinetic = [], []
    for _ in range(400):
        mover.advance(0.5 * FEMTOSECOND)
        conserved.append(mover._integrator.get_conserved_energy())
        kinetic.append(mover.atoms.get_kinetic_energy())
    assert np.ptp(conserved) < 0.01 * np.ptp(kinetic)


def test_npt_wants_an_engine_of_its_own() -> None:
    with pytest.raises(NotOffered, match="ensemble 'npt' needs an engine"):
        AseMotion(oscillator(), motion("npt"))


def test_the_seed_makes_the_noise() -> None:
    def run(seed: int) -> np.ndarray:
        mover = AseMotion(oscillator(), motion("langevin", seed=seed))
        mover.advance(5 * FEMTOSECOND)
        return mover.atoms.get_positions()

    assert np.array_equal(run(1), run(1))
    assert not np.array_equal(run(1), run(2))


def test_an_adapter_with_no_atoms_to_move_says_so() -> None:
    adapter = oscillator().calc.adapter
    with pytest.raises(CaseError, match="has no atoms to move; call start"):
        adapter.advance(FEMTOSECOND)


def test_the_frequency_of_a_spring_through_ase(tmp_path: Path) -> None:
    vibrations = Vibrations(oscillator(stretch=0.0), name=str(tmp_path / "vib"), delta=0.002)
    vibrations.run()
    exact = units._hbar / units._e * OMEGA * units.s  # ħω in eV; units.s is a second in ASE's time
    assert vibrations.get_energies()[-1].real == pytest.approx(exact, rel=1e-5)
