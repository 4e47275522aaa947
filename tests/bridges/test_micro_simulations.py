"""Micro models at the points of a mesh: what the Micro Manager asks of one, and all in one process."""

from __future__ import annotations

import json
import pickle
from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pytest

from scalespan.adapters.interface import Array, CaseError, EngineFailed, EngineMissing, NotOffered, State
from scalespan.adapters.interface.contract_micro import MicroContract
from scalespan.bridges.interface import Field
from scalespan.bridges.micro_simulations import MicroSimulation, MicroSimulations, MicroSimulationsOptions
from scalespan.bridges.micro_simulations.__main__ import configuration, main

from .relaxing import Relaxing

BOX = {"mesh": "Macro-Mesh", "low": [0.0, 0.0], "high": [1.0, 0.5]}
MACRO = {"Target": 3.0, "Axes": np.array([1.0, -2.0])}
SOURCE = Path(__file__).with_name("relaxing.py")


def host(**more: Any) -> MicroSimulations:
    return MicroSimulations(MicroSimulationsOptions.read(BOX | more), Relaxing())


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A participant's folder in a case, where this process is."""
    (tmp_path / "relaxing.py").write_text(SOURCE.read_text(encoding="utf-8"), encoding="utf-8")
    text = 'title = "points"\n[participants.Plate]\nuse = "continuum"\n[participants.Micro-Manager]\n'
    text += 'use = "micro_simulations"\nmesh = "Macro-Mesh"\nlow = [0, 0]\nhigh = [1, 0.5]\n'
    (tmp_path / "case.toml").write_text(text + 'model = { use = "relaxing" }\n', encoding="utf-8")
    place = tmp_path / "Micro-Manager"
    place.mkdir()
    monkeypatch.chdir(place)
    return place


def edit(folder: Path, before: str, after: str) -> None:
    file = folder.parent / "case.toml"
    text = file.read_text(encoding="utf-8")
    assert before in text
    file.write_text(text.replace(before, after), encoding="utf-8")


# ---- one simulation, as the Micro Manager 0.12 has it ----


def test_a_simulation_answers_scalars_as_numbers_and_vectors_as_lists(folder: Path) -> None:
    answer = MicroSimulation(7).solve(MACRO, 0.5)
    assert answer == {"Level": pytest.approx(2.5 / 1.5), "Pull": pytest.approx([2.5 / 1.5, -5.0 / 1.5])}
    assert type(answer["Level"]) is float
    assert type(answer["Pull"]) is list


def test_two_simulations_share_the_model_and_no_state(folder: Path) -> None:
    one, other = MicroSimulation(0), MicroSimulation(1)
    for _ in range(3):
        one.solve(MACRO, 0.5)
    assert one._host is other._host
    assert other.solve(MACRO, 0.5) == MicroSimulation(2).solve(MACRO, 0.5)


def test_a_state_goes_through_pickle_and_is_returned_to_bit_for_bit(folder: Path) -> None:
    one = MicroSimulation(0)
    one.solve(MACRO, 0.1)
    kept = one.get_state()
    sent = pickle.dumps(kept)
    after = [one.solve(MACRO, 0.1) for _ in range(3)]
    one.set_state(kept)
    assert [one.solve(MACRO, 0.1) for _ in range(3)] == after
    other = MicroSimulation(1)
    other.set_state(pickle.loads(sent))
    assert [other.solve(MACRO, 0.1) for _ in range(3)] == after


def test_a_simulation_takes_another_number(folder: Path) -> None:
    one = MicroSimulation(3)
    one.set_global_id(5)
    assert one.get_global_id() == 5
    assert one.initialize() is None


def test_data_may_be_called_otherwise(folder: Path) -> None:
    edit(folder, "high =", 'names = { Target = "Temperature", Level = "Height" }\nhigh =')
    answer = MicroSimulation(0).solve({"Temperature": 3.0, "Axes": [1.0, 0.0]}, 0.5)
    assert set(answer) == {"Height", "Pull"}


def test_what_the_manager_does_not_give_is_named_with_the_nearest(folder: Path) -> None:
    with pytest.raises(CaseError, match=r"gives no 'Target'; did you mean 'target'\?"):
        MicroSimulation(0).solve({"target": 3.0, "Axes": [1.0, 0.0]}, 0.5)


def test_what_the_model_does_not_give_is_named_with_the_nearest(folder: Path) -> None:
    with pytest.raises(NotOffered, match=r"gives no 'Levels'; did you mean 'Level'\?"):
        MicroSimulation(0).solve(MACRO, 0.5)["Levels"]


@pytest.mark.parametrize(
    ("target", "sentence"),
    [
        (11.0, r"micro simulation 4: relaxing: 'Level' of the answer is \[nan\]"),
        (21.0, "micro simulation 4 failed: ZeroDivisionError: an engine's own error"),
    ],
)
def test_a_simulation_that_fails_says_who_it_is_and_keeps_its_state(folder: Path, target: float, sentence: str) -> None:
    one = MicroSimulation(4)
    one.solve(MACRO, 0.5)
    before = one.get_state()
    with pytest.raises(EngineFailed, match=sentence):
        one.solve(MACRO | {"Target": target}, 0.5)
    np.testing.assert_array_equal(one.get_state()["x"], before["x"])


def test_there_is_no_simulation_without_a_case(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(CaseError, match=r"there is no case.toml in .*start in the participant's folder"):
        MicroSimulation(0)


def test_which_of_two_participants_is_told_by_the_folder(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    text = (folder.parent / "case.toml").read_text(encoding="utf-8")
    again = text[text.index("[participants.Micro-Manager]") :].replace("Micro-Manager", "Other")
    (folder.parent / "case.toml").write_text(text + again, encoding="utf-8")
    assert MicroSimulation(0).solve(MACRO, 0.5)["Level"] > 1
    monkeypatch.chdir(folder.parent)
    with pytest.raises(CaseError, match="2 participants have micro simulations"):
        MicroSimulation(0)


# ---- how the Micro Manager is started ----


def test_the_configuration_follows_from_the_case() -> None:
    found = json.loads(json.dumps(configuration("Micro-Manager", host(manager={"adaptivity": True}))))
    assert found["interfaces"][0]["read_data"] == [{"name": "Target"}, {"name": "Axes"}]
    assert found["interfaces"][0]["write_data"] == [{"name": "Level"}, {"name": "Pull"}]
    parameters = found["micro_manager"]["simulation_params"]
    assert parameters["macro_domain_bounds"] == [0.0, 1.0, 0.0, 0.5]
    assert parameters["decomposition"] == [1, 1], "its own default is of three dimensions"
    assert parameters["adaptivity"] is True


def test_the_configuration_meets_the_adapter_schema() -> None:
    schema = pytest.importorskip("preciceadapterschema", reason="preciceadapterschema is not installed")
    schema.validate(configuration("Micro-Manager", host()))


def test_a_missing_micro_manager_says_what_to_type(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    assert main() == EngineMissing.status
    assert "type: pip install 'micro-manager-precice==0.12.*'" in capsys.readouterr().err


# ---- all in one process ----


POINTS = np.array([[0.1, 0.1], [0.9, 0.1], [0.5, 0.4]])
TARGETS = {"Target": np.array([[1.0], [2.0], [3.0]]), "Axes": np.array([[1.0, 0.0], [0.0, 1.0], [1.0, 1.0]])}


def told(bridge: MicroSimulations, values: Mapping[str, Array] = TARGETS) -> MicroSimulations:
    """Return a bridge that has met its partner's points, and reads these values."""
    bridge.meet("Macro-Mesh", POINTS)
    bridge.receive(lambda field, at, points=None: values[field.name])
    return bridge


def answers(bridge: MicroSimulations) -> list[Array]:
    return [bridge.write(field) for field in bridge.exchange.writes]


def test_each_point_has_a_simulation_of_its_own() -> None:
    bridge = told(host())
    bridge.advance(0.5)
    level, pull = answers(bridge)
    np.testing.assert_allclose(level[:, 0], (1.0 + 0.5 * np.array([1.0, 2.0, 3.0])) / 1.5)
    np.testing.assert_allclose(pull, level * TARGETS["Axes"])


def test_what_follows_a_restore_is_the_same_bit_for_bit() -> None:
    bridge = told(host())
    bridge.advance(0.5)
    saved = bridge.save()
    again = told(host())
    for each in (bridge, again):
        each.restore(pickle.loads(pickle.dumps(saved)))
        each.advance(0.25)
    for one, other in zip(answers(bridge), answers(again), strict=True):
        np.testing.assert_array_equal(one, other)


def test_a_restart_goes_on_from_the_states_that_were_kept() -> None:
    bridge = told(host())
    bridge.advance(0.5)
    again = host()
    again.restore(bridge.save())
    told(again)  # the points are met after that
    np.testing.assert_array_equal(answers(again)[0], answers(bridge)[0])
    bridge.advance(0.5)
    again.advance(0.5)
    np.testing.assert_array_equal(answers(again)[0], answers(bridge)[0])
    with pytest.raises(CaseError, match="2 points go on from 3; start without --restart"):
        again.meet("Macro-Mesh", POINTS[:2])


def test_it_gives_what_the_simulations_of_the_manager_give(folder: Path) -> None:
    bridge = told(host())
    one = MicroSimulation(0)
    for _ in range(3):
        bridge.advance(0.1)
        answer = one.solve({name: each[2] for name, each in TARGETS.items()}, 0.1)
    level, pull = answers(bridge)
    assert (answer["Level"], answer["Pull"]) == (level[2, 0], pull[2].tolist())


def test_it_shows_means_and_extremes_and_writes_tables(tmp_path: Path) -> None:
    bridge = told(host())
    bridge.advance(0.5)
    seen = bridge.observe()
    assert seen["least Level/(kelvin)"] < seen["Level/(kelvin)"] < seen["largest Level/(kelvin)"]
    bridge.frame(tmp_path, 0.5)
    lines = (tmp_path / "points_000000.csv").read_text(encoding="utf-8").splitlines()
    assert lines[0] == "x,y,Target,Axes 1,Axes 2,Level,Pull 1,Pull 2"
    assert len(lines) == 1 + len(POINTS)


def test_only_some_answers_may_be_written() -> None:
    assert host(gives=["Level"]).exchange.writes == [Field("Level", "Macro-Mesh", "kelvin", 1)]


@pytest.mark.parametrize(
    ("more", "sentence"),
    [
        ({"gives": ["Levl"]}, r"'relaxing' has no 'Levl'; did you mean 'Level'\?"),
        ({"names": {"Tarpet": "T"}}, r"'relaxing' has no 'Tarpet'; did you mean 'Target'\?"),
        ({"high": [1.0, 0.0]}, "the box of the points has no volume; give low < high"),
    ],
)
def test_a_wrong_table_is_refused(more: dict[str, Any], sentence: str) -> None:
    with pytest.raises(CaseError, match=sentence):
        host(**more)


def test_a_bridge_without_a_micro_model_is_refused() -> None:
    with pytest.raises(CaseError, match="there is no model for the micro simulations; give the table model"):
        MicroSimulations(MicroSimulationsOptions.read(BOX))


def test_a_failure_names_the_point() -> None:
    bridge = told(host(), TARGETS | {"Target": np.array([[1.0], [11.0], [3.0]])})
    with pytest.raises(EngineFailed, match=r"the micro simulation at \[0.9, 0.1\]: relaxing: 'Level' of the answer"):
        bridge.advance(0.5)


def test_a_box_without_points_is_refused() -> None:
    with pytest.raises(CaseError, match=r"no point of 'Macro-Mesh' is in the box .* correct low and high"):
        host().meet("Macro-Mesh", np.zeros((0, 2)))


class TestRelaxing(MicroContract):
    def make_model(self) -> Relaxing:
        return Relaxing()

    def make_inputs(self) -> list[dict[str, Array]]:
        return [{"Target": np.array([each]), "Axes": np.array([1.0, each])} for each in (2.0, -1.0, 3.0)]


class Forgetful(Relaxing):
    """It keeps the state of the point that was asked last, for all points."""

    last: ClassVar[list[Array]] = [np.array([1.0])]

    def _step(self, state: State, given: Mapping[str, Array], dt: float) -> tuple[State, Mapping[str, Array]]:
        after, answer = super()._step({"x": self.last[0]}, given, dt)
        self.last[0] = np.array(after["x"])
        return after, answer


class Spoiling(Relaxing):
    """It works in the arrays that it is given."""

    def _step(self, state: State, given: Mapping[str, Array], dt: float) -> tuple[State, Mapping[str, Array]]:
        after, answer = super()._step(state, given, dt)
        state["x"][...] = after["x"]
        return state, answer


@pytest.mark.parametrize(
    ("model", "test"),
    [
        (Forgetful, "a_step_taken_again_gives_the_same_bit_for_bit"),
        (Spoiling, "a_step_leaves_the_state_that_it_was_given"),
    ],
)
def test_the_contract_catches_points_that_mix(model: type[Relaxing], test: str) -> None:
    contract = TestRelaxing()
    with pytest.raises(AssertionError):
        getattr(contract, f"test_{test}")(model())


class Hoarder(Relaxing):
    """It keeps an engine in its state."""

    def _step(self, state: State, given: Mapping[str, Array], dt: float) -> tuple[State, Mapping[str, Array]]:
        after, answer = super()._step(state, given, dt)
        return after | {"solver": self.engine}, answer  # type: ignore[dict-item]


def test_a_state_that_cannot_be_sent_is_refused() -> None:
    model = Hoarder()
    sentence = "the state 'solver' of 'relaxing' is of the type object, and cannot go to another process; keep"
    with pytest.raises(CaseError, match=sentence):
        model.step(model.initial(), {"Target": np.ones(1), "Axes": np.ones(2)}, 0.1)


@pytest.mark.parametrize(
    ("given", "sentence"),
    [
        ({"Target": [1.0, 2.0], "Axes": [1.0, 1.0]}, r"relaxing: 'Target' is \[1.0, 2.0\]; give 1 finite numbers"),
        ({"Target": [np.inf], "Axes": [1.0, 1.0]}, r"relaxing: 'Target' is \[inf\]; give 1 finite numbers"),
        ({"Target": [1.0], "axes": [1.0, 1.0]}, r"takes 'Axes', which is not given; did you mean 'axes'\?"),
    ],
)
def test_what_a_model_cannot_take_is_refused(given: dict[str, Any], sentence: str) -> None:
    model = Relaxing()
    with pytest.raises(CaseError, match=sentence):
        model.step(model.initial(), given, 0.1)
