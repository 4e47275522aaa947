"""The continuum bridge over a plate of NumPy: names, signs, times, and what is saved, without a partner."""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np
import pytest

from scalespan.adapters.harmonic import HarmonicAdapter, HarmonicOptions
from scalespan.adapters.interface import Array, CaseError, FieldAdapter, Mesh, Options, Port, State
from scalespan.bridges.continuum import ContinuumBridge, ContinuumOptions
from scalespan.bridges.interface import Field
from scalespan.bridges.run.loop import Recording, drive

FLUX = {"data": "Heat-Flux", "mesh": "Plate-Mesh", "input": "rim.heat_flux", "unit": "W/m**2"}
HEAT = {"data": "Temperature", "mesh": "Plate-Mesh", "output": "rim.temperature", "unit": "kelvin"}


class Plate(FieldAdapter):
    """Points that each warm up at the rate of the flux: dT/dt = q."""

    name = "plate"
    Options = Options
    dimension = 2
    length_unit, time_unit = "m", "s"
    inputs: ClassVar = {"rim.heat_flux": Port("rim", 1, at=0.5)}
    outputs: ClassVar = {"rim.temperature": Port("rim", 1), "corner.temperature": Port("corner", 1)}
    fields: ClassVar[dict[str, int]] = {}
    longest_step = 0.25

    def __init__(self) -> None:
        self.temperature, self.flux = np.zeros((3, 1)), np.zeros((3, 1))
        self.begun: list[float] = []

    def points(self, place: str) -> Mesh:
        return Mesh(np.array([[0.0, 0.0], [1.0, 0.0], [2.0, 0.0]]))

    def begin(self) -> None:
        self.begun.append(float(self.flux[0, 0]))

    def _set_input(self, name: str, values: Array) -> None:
        self.flux = values.copy()

    def _output(self, name: str) -> Array:
        return self.temperature.copy()

    def advance(self, dt: float) -> None:
        self.temperature = self.temperature + dt * self.flux

    def save(self) -> State:
        return {"temperature": self.temperature.copy()}

    def restore(self, state: State) -> None:
        self.temperature = np.array(state["temperature"])


def make(**changed: Any) -> ContinuumBridge:
    table = {"reads": [FLUX], "writes": [HEAT]} | changed
    return ContinuumBridge(ContinuumOptions.read(table), Plate())


def test_data_meshes_and_units_are_those_of_the_options() -> None:
    bridge = make()
    assert bridge.time_unit == "s"
    assert bridge.exchange.reads == [Field("Heat-Flux", "Plate-Mesh", "W/m**2", 1)]
    assert bridge.exchange.writes == [Field("Temperature", "Plate-Mesh", "kelvin", 1)]
    assert list(bridge.exchange.meshes) == ["Plate-Mesh"]


def test_windows_that_are_done_again_write_the_same() -> None:
    """Four steps in each window, each window three times; the partner's fluxes are 1 and 3."""
    tape = Recording(2.0, 1.0, {"Heat-Flux": [np.full((3, 1), 1.0), np.full((3, 1), 3.0)]}, repeats=2)
    drive(make(), tape)
    written = [float(values[0, 0]) for values in tape.written["Temperature"]]
    assert written == [0.25, 0.5, 0.75, 1.0, 1.75, 2.5, 3.25, 4.0]


def test_inputs_are_read_when_their_port_wants_them_and_once_at_the_very_beginning() -> None:
    bridge, times = make(), []

    def read(field: Field, at: float, points: Array | None = None) -> Array:
        times.append(at)
        return np.full((3, 1), 1.0 + at)

    bridge.receive(read)
    start = bridge.save()
    for _ in range(2):
        bridge.advance(0.2)
        bridge.advance(0.2)
        bridge.restore(start)
    assert times == [0.0, 0.1, 0.1] * 2
    assert bridge.model.begun == [1.0, 1.0]


@pytest.mark.parametrize("flip", [False, True])
def test_a_flipped_normal_turns_the_sign_of_its_own_exchange_only(flip: bool) -> None:
    bridge = make(reads=[FLUX | {"flip_normal": flip}], writes=[HEAT, HEAT | {"data": "Cold", "flip_normal": True}])
    bridge.receive(lambda field, at, points=None: np.ones((3, 1)))
    bridge.advance(1.0)
    hot, cold = (bridge.write(field) for field in bridge.exchange.writes)
    assert np.array_equal(hot, np.full((3, 1), -1.0 if flip else 1.0))
    assert np.array_equal(cold, -hot)


@pytest.mark.parametrize(
    ("table", "sentence"),
    [
        ({"reads": [FLUX | {"input": "rim.heat_flow"}]}, "did you mean 'rim.heat_flux'"),
        ({"writes": [HEAT | {"output": "corner.temperature"}]}, "the places 'rim' and 'corner'"),
        ({"writes": [HEAT | {"unti": "K"}]}, "did you mean 'unit'"),
    ],
)
def test_what_is_wrong_is_said(table: dict[str, Any], sentence: str) -> None:
    with pytest.raises(CaseError, match=sentence):
        make(**table)


def test_a_continuum_needs_a_model() -> None:
    with pytest.raises(CaseError, match="has no model"):
        ContinuumBridge(ContinuumOptions())


def test_atoms_are_no_continuum() -> None:
    spring = {"atoms": [0, 1], "stiffness": "1 eV/angstrom**2", "length": "1 angstrom"}
    with pytest.raises(CaseError, match="no field adapter"):
        ContinuumBridge(ContinuumOptions(), HarmonicAdapter(HarmonicOptions.read({"springs": [spring]})))
