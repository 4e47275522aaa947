"""The tests that every micro model must pass.

    from scalespan.adapters.interface.contract_micro import MicroContract

    class TestMine(MicroContract):
        def make_model(self):
            return MyCell(MyCellOptions())

        def make_inputs(self):
            return [{"Concentration": np.array([0.4])}, {"Concentration": np.array([0.1])}]

The inputs are of one point, step by step; at least two, and not all the same.
"""

from __future__ import annotations

import pickle
from abc import abstractmethod
from collections.abc import Mapping, Sequence

import numpy as np
import pytest

from .data import Array, State
from .errors import CaseError
from .micro import MicroModel

Inputs = Sequence[Mapping[str, Array]]


class MicroContract:
    """Points that cannot mix, states that can travel, steps that can be taken again."""

    dt = 0.01  # in the model's unit of time

    @abstractmethod
    def make_model(self) -> MicroModel:
        """Return the model."""

    @abstractmethod
    def make_inputs(self) -> Inputs:
        """Return what is given, step by step."""

    @pytest.fixture
    def model(self) -> MicroModel:
        """The model."""
        return self.make_model()

    def test_a_step_leaves_the_state_that_it_was_given(self, model: MicroModel) -> None:
        """What is passed in stays as it is, and so does what an earlier step returned."""
        states = self._states(model)
        kept = pickle.dumps(states)
        model.step(states[0], self.make_inputs()[-1], self.dt)
        model.step(states[-1], self.make_inputs()[0], self.dt)
        for one, other in zip(states, pickle.loads(kept), strict=True):
            _same(one, other)

    def test_a_step_taken_again_gives_the_same_bit_for_bit(self, model: MicroModel) -> None:
        """Whatever other points were asked between."""
        states, inputs = self._states(model), self.make_inputs()
        first, answer = model.step(states[-1], inputs[0], self.dt)
        model.step(model.initial(), inputs[-1], self.dt)
        again, same = model.step(states[-1], inputs[0], self.dt)
        _same(first, again)
        _same(answer, same)

    def test_a_state_that_has_travelled_goes_on_the_same(self, model: MicroModel) -> None:
        """Another model of another process, which has seen nothing."""
        state, inputs = self._states(model)[-1], self.make_inputs()
        sent = pickle.dumps(dict(state))
        _same(
            model.step(state, inputs[0], self.dt)[0], self.make_model().step(pickle.loads(sent), inputs[0], self.dt)[0]
        )

    def test_the_initial_state_is_new_each_time(self, model: MicroModel) -> None:
        """Nobody can spoil another's beginning."""
        spoilt, clean = model.initial(), pickle.dumps(dict(model.initial()))
        for value in spoilt.values():
            value[...] = 0
        _same(model.initial(), pickle.loads(clean))

    def test_what_is_given_matters(self, model: MicroModel) -> None:
        """Another input gives another answer: the model hears what it is told."""
        inputs = self.make_inputs()
        answers = [model.step(model.initial(), each, self.dt)[1] for each in inputs]
        assert any(not np.array_equal(answers[0][name], other[name]) for other in answers for name in model.gives)

    def test_the_initial_answer_has_the_names_of_a_step(self, model: MicroModel) -> None:
        """Where there is one."""
        answer = model.initial_answer()
        assert answer is None or {name: np.shape(answer[name]) for name in answer} == {
            name: (datum.components,) for name, datum in model.gives.items()
        }

    def test_a_missing_name_is_refused(self, model: MicroModel) -> None:
        """By its name."""
        given = dict(self.make_inputs()[0])
        name = min(given)
        del given[name]
        with pytest.raises(CaseError, match=name):
            model.step(model.initial(), given, self.dt)

    def _states(self, model: MicroModel) -> list[State]:
        """Return the states along the inputs."""
        states = [model.initial()]
        for each in self.make_inputs():
            states.append(model.step(states[-1], each, self.dt)[0])
        return states


def _same(one: Mapping[str, Array], other: Mapping[str, Array]) -> None:
    assert one.keys() == other.keys()
    for key, value in one.items():
        np.testing.assert_array_equal(value, other[key], err_msg=key)
