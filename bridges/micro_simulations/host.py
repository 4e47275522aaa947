"""A micro model at each point of a partner's mesh, all in this process; see `simulation` for the Micro Manager's."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from pydantic import Field as Key

from scalespan.adapters.interface import (
    Array,
    CaseError,
    CouplingError,
    Datum,
    MicroModel,
    Options,
    ScalespanError,
    State,
    Table,
    nearest,
    under,
)
from scalespan.bridges.interface import Bridge, Exchange, Field, Read


class MicroSimulationsOptions(Options):
    """Where the points are, and what the data are called."""

    mesh: str  # a partner's, in precice-config.xml: each of its points gets a micro simulation
    low: list[float]  # the corner of a box that holds the points that are wanted
    high: list[float]  # the opposite corner
    names: dict[str, str] = Key(default_factory=dict)  # of the model's data in precice-config.xml; None given: the same
    gives: list[str] | None = None  # those of the model's answers that are written; None: all
    # For the Micro Manager alone: simulation_params of its configuration, such as adaptivity and adaptivity_settings.
    manager: dict[str, Any] = Key(default_factory=dict)


class MicroSimulations(Bridge):
    """A micro model at each point of a partner's mesh, as a participant."""

    name = "micro_simulations"
    Options = MicroSimulationsOptions
    parts = ("model",)

    def __init__(self, options: MicroSimulationsOptions, model: MicroModel | None = None) -> None:
        if not isinstance(model, MicroModel):
            what = "there is no model" if model is None else f"'{model.name}' is no micro model"
            raise CaseError(f"{what} for the micro simulations", todo='give the table model, such as use = "micro_law"')
        if not len(options.low) == len(options.high) or np.any(np.array(options.low) >= options.high):
            raise CaseError("the box of the points has no volume", todo="give low < high, as many numbers each")
        self.options, self.model, self.time_unit = options, model, model.time_unit
        gives = model.gives if options.gives is None else dict.fromkeys(options.gives)
        for name, known in (*((n, model.gives) for n in gives), *((n, _all(model)) for n in options.names)):
            if name not in known:
                raise CaseError(f"'{model.name}' has no '{name}'", todo=nearest(name, known))
        self.reads = {name: self._field(name, datum) for name, datum in model.takes.items()}
        self.writes = {name: self._field(name, model.gives[name]) for name in gives}
        self._read: Read | None = None
        self._points: Array = np.zeros((0, len(options.low)))
        self._states: list[State] = []
        self._answers: list[dict[str, Array]] = []
        self._given: dict[str, Array] = {}  # (n, components) of the last step, for pictures

    @property
    def exchange(self) -> Exchange:
        """What the model takes and gives, on the partner's own mesh."""
        box = np.array([self.options.low, self.options.high])
        return Exchange(list(self.reads.values()), list(self.writes.values()), regions={self.options.mesh: box})

    def meet(self, mesh: str, points: Array) -> None:
        """Begin a simulation at each point, or go on with those of a restart."""
        if not len(points):
            todo = f"correct low and high: they are {self.options.low} and {self.options.high}"
            raise CaseError(f"no point of '{mesh}' is in the box of the micro simulations", todo=todo)
        if len(self._states) not in (0, len(points)):
            raise CaseError(f"{len(points)} points go on from {len(self._states)}", todo="start without --restart")
        self._points = points
        self._states = self._states or [self.model.initial() for _ in points]

    @property
    def longest_step(self) -> float:
        """The model's."""
        return self.model.longest_step

    def receive(self, read: Read) -> None:
        """Keep the way to the partner's data for the coming step."""
        self._read = read

    def advance(self, dt: float) -> None:
        """Step each simulation with its point's values at the end of the step."""
        assert self._read is not None, "receive comes before advance"
        self._given = {name: self._read(field, dt) for name, field in self.reads.items()}
        found = [self._step(i, {name: each[i] for name, each in self._given.items()}, dt) for i in self._every]
        self._states = [state for state, _ in found]
        self._answers = [answer for _, answer in found]

    def write(self, field: Field) -> Array:
        """Return the answers (n, components) at the time reached."""
        name = next(each for each, known in self.writes.items() if known == field)
        if not self._answers:
            raise CouplingError(f"'{field.name}' was asked for before the first step", todo="write no initial data")
        return np.array([answer[name] for answer in self._answers])

    def save(self) -> State:
        """Return every simulation's state and answer."""
        parts = {f"state/{i}": state for i, state in enumerate(self._states)}
        parts |= {f"answer/{i}": answer for i, answer in enumerate(self._answers)}
        found = {f"{part}/{key}": value.copy() for part, each in parts.items() for key, value in each.items()}
        return found | {"counts": np.array([len(self._states), len(self._answers)])}

    def restore(self, state: State) -> None:
        """Return to a saved state."""
        states, answers = (int(count) for count in state["counts"])
        self._states = [under(f"state/{i}", state) for i in range(states)]
        self._answers = [dict(under(f"answer/{i}", state)) for i in range(answers)]

    def observe(self) -> Mapping[str, float]:
        """Return the mean, the least and the largest answer of all points, of what has one component."""
        found: dict[str, float] = {}
        for name in self.writes if self._answers else ():
            unit, values = self.model.gives[name].unit, np.array([answer[name] for answer in self._answers])
            if values.shape[1] == 1:
                column = f"{name}/({unit})" if unit != "1" else f"{name}/1"
                found |= {column: float(values.mean()), f"least {column}": float(values.min())}
                found |= {f"largest {column}": float(values.max())}
        return found

    def frame(self, folder: Path, time: float) -> None:
        """Write what each point was given and answered as a table, which ParaView reads: ``points_000012.csv``."""
        if not self._answers:
            return
        number = len(list(folder.glob("points_*.csv")))
        values = self._given | {name: np.array([each[name] for each in self._answers]) for name in self.writes}
        named = {
            name if each.shape[1] == 1 else f"{name} {j + 1}": column
            for name, each in values.items()
            for j, column in enumerate(each.T)
        }
        columns = dict(zip("xyz", self._points.T, strict=False)) | named
        table, header = np.column_stack(list(columns.values())), ",".join(columns)
        np.savetxt(folder / f"points_{number:06d}.csv", table, delimiter=",", header=header, comments="")

    def audit(self) -> list[Table]:
        """Return the exchange, and what the model shows."""
        rows = [("takes", each.name, str(each.components), each.unit) for each in self.reads.values()]
        rows += [("gives", each.name, str(each.components), each.unit) for each in self.writes.values()]
        title = f"What each point of '{self.options.mesh}' asks '{self.model.name}'"
        return [Table(title, ("", "data", "components", "unit"), tuple(rows)), *self.model.audit()]

    def close(self) -> None:
        """Close the model."""
        self.model.close()

    @property
    def _every(self) -> range:
        return range(len(self._states))

    def _step(self, i: int, given: Mapping[str, Array], dt: float) -> tuple[State, dict[str, Array]]:
        try:
            return self.model.step(self._states[i], given, dt)
        except ScalespanError as error:
            raise error.at(f"the micro simulation at {np.round(self._points[i], 6).tolist()}") from error

    def _field(self, name: str, datum: Datum) -> Field:
        return Field(self.options.names.get(name, name), self.options.mesh, datum.unit, datum.components)


def _all(model: MicroModel) -> dict[str, Datum]:
    return {**model.takes, **model.gives}
