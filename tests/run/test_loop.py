"""The participant loop, under the two couplings that need no partner."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from ase import Atoms
from ase.units import fs

from scalespan.adapters.harmonic import HarmonicAdapter
from scalespan.adapters.interface import Array, CaseError, CouplingError, Motion, State
from scalespan.bridges.interface import Bridge, Exchange, Field, Mesh, Read
from scalespan.bridges.run.loop import Alone, Recording, drive
from scalespan.bridges.run.solo import Solo

FORCE = Field("Force", mesh="Mass", unit="eV/angstrom", components=1)
PLACE = Field("Place", mesh="Mass", unit="angstrom", components=1)


class Mass(Bridge):
    """A unit mass that a partner pushes: leapfrog, so a constant force gives x = f t²/2 exactly."""

    def __init__(self, step: float = 10.0) -> None:
        self.state = np.zeros(2)  # place, velocity
        self.force = 0.0
        self.step = step
        self.steps: list[float] = []
        self.accepted: list[tuple[float, float]] = []

    exchange = Exchange(reads=(FORCE,), writes=(PLACE,), meshes={"Mass": Mesh(np.zeros((1, 2)))})

    @property
    def longest_step(self) -> float:
        return self.step

    def receive(self, read: Read) -> None:
        self.read = read

    def write(self, field: Field) -> Array:
        return self.state[:1].reshape(1, 1)

    def advance(self, dt: float) -> None:
        self.steps.append(dt)
        self.force = float(self.read(FORCE, dt)[0, 0])
        x, v = self.state
        self.state = np.array([x + v * dt + 0.5 * self.force * dt**2, v + self.force * dt])

    def save(self) -> State:
        return {"state": self.state.copy()}

    def restore(self, state: State) -> None:
        self.state = np.array(state["state"])

    def accept(self, time: float) -> None:
        self.accepted.append((time, float(self.state[0])))


class Forgetful(Mass):
    """Forgets its velocity when it saves."""

    def restore(self, state: State) -> None:
        self.state = np.array([state["state"][0], 0.0])


def push(windows: int) -> dict[str, list[Array]]:
    return {"Force": [np.array([[1.0 + i]]) for i in range(windows)]}


def exact_place(windows: int) -> list[float]:
    """Where a unit mass is after each unit of time under the forces 1, 2, 3, …"""
    x = v = 0.0
    found = []
    for i in range(windows):
        x, v = x + v + 0.5 * (1.0 + i), v + 1.0 + i
        found.append(x)
    return found


def test_a_recording_plays_its_fields_and_keeps_what_is_written() -> None:
    tape = Recording(duration=4.0, window=1.0, plays=push(4))
    drive(Mass(), tape)
    assert [float(each[0, 0]) for each in tape.written["Place"]] == exact_place(4)
    assert tape.initial["Place"] == 0.0
    assert tape.finished


@pytest.mark.parametrize("step", [1.0, 0.5, 0.3])
@pytest.mark.parametrize("repeats", [0, 1, 3])
def test_repeated_windows_and_smaller_steps_end_at_the_same_place(step: float, repeats: int) -> None:
    mass = Mass(step)
    drive(mass, Recording(duration=4.0, window=1.0, plays=push(4), repeats=repeats))
    times, places = zip(*mass.accepted, strict=True)
    assert times == pytest.approx((1.0, 2.0, 3.0, 4.0))
    assert places == pytest.approx(exact_place(4), rel=1e-13)
    assert sum(mass.steps) == pytest.approx(4.0 * (repeats + 1))


def test_nothing_is_accepted_before_it_is_final() -> None:
    mass = Mass()
    drive(mass, Recording(duration=2.0, window=1.0, plays=push(2), repeats=2))
    assert len(mass.steps) == 6
    assert len(mass.accepted) == 2


def test_a_state_that_forgets_is_found_out() -> None:
    with pytest.raises(CouplingError, match="repeat 1 of window 1 wrote other numbers"):
        drive(Forgetful(), Recording(duration=3.0, window=1.0, plays=push(3), repeats=1))


def test_a_recording_that_is_too_short_is_refused_before_the_first_step() -> None:
    mass = Mass()
    with pytest.raises(CouplingError, match="'Force' holds 2 of 3 windows"):
        drive(mass, Recording(duration=3.0, window=1.0, plays=push(2)))
    assert mass.steps == []


def test_alone_refuses_a_participant_that_waits_for_a_field() -> None:
    with pytest.raises(CouplingError, match="reads the field 'Force'"):
        drive(Mass(), Alone(1.0, 1.0))


@pytest.mark.parametrize(
    ("duration", "window", "ends"),
    [
        (3.0, 1.0, [1.0, 2.0, 3.0]),
        (2.5, 1.0, [1.0, 2.0, 2.5]),  # the last one is shorter
        (0.3, 0.1, [0.1, 0.2, 0.3]),  # 0.3 / 0.1 is 2.9999999999999996
        (0.6, 0.2, [0.2, 0.4, 0.6]),  # 0.6 / 0.2 is 2.9999999999999996
        (1.0, 5.0, [1.0]),
        (0.0, 1.0, []),  # a restart of what is done
    ],
)
def test_windows_fill_the_duration(duration: float, window: float, ends: list[float]) -> None:
    heard: list[float] = []
    drive(Solo(springs(), heard.append), Alone(duration, window))
    assert heard == pytest.approx(ends, rel=1e-12)


def test_a_restarted_loop_goes_on_from_its_time() -> None:
    heard: list[float] = []
    drive(Solo(springs(), heard.append), Alone(2.0, 1.0), time=5.0)
    assert heard == [6.0, 7.0]


@pytest.mark.parametrize(("duration", "window"), [(-1.0, 1.0), (1.0, 0.0), (float("nan"), 1.0), (1.0, -2.0)])
def test_windows_without_a_length_are_refused(duration: float, window: float) -> None:
    with pytest.raises(CaseError, match="no windows"):
        Alone(duration, window)


def springs(ensemble: str = "nve") -> HarmonicAdapter:
    options = HarmonicAdapter.Options.read(
        {"springs": [{"atoms": [0, 1], "stiffness": "20 eV/angstrom**2", "length": "1.2 angstrom"}]}
    )
    thermostat = {"temperature": "300 K", "friction": "10/ps"} if ensemble == "langevin" else {}
    motion = Motion.read({"timestep": "0.5 fs", "ensemble": ensemble, **thermostat})
    adapter = HarmonicAdapter(options)
    adapter.start(Atoms("CO", positions=[[0, 0, 0], [1.3, 0.1, 0]]), motion)
    return adapter


def positions_after(coupling: Callable[[float, float], Alone | Recording], ensemble: str) -> Array:
    adapter = springs(ensemble)
    drive(Solo(adapter, lambda _: None), coupling(20.0 * fs, 5.0 * fs))
    return adapter.atoms.positions


@pytest.mark.parametrize("ensemble", ["nve", "langevin"])
def test_a_solo_run_does_not_depend_on_repeats(ensemble: str) -> None:
    once = positions_after(Alone, ensemble)
    again = positions_after(lambda duration, window: Recording(duration, window, repeats=2), ensemble)
    np.testing.assert_array_equal(again, once)


def test_a_window_is_divided_into_the_timesteps_of_the_adapter() -> None:
    once = positions_after(Alone, "nve")
    stepwise = springs()
    for _ in range(40):
        stepwise.advance(0.5 * fs)
    np.testing.assert_allclose(once, stepwise.atoms.positions, rtol=0, atol=1e-13)
