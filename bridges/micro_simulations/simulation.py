"""One point's micro model as a simulation of preCICE's Micro Manager 0.12, which imports this module by its name.

The Micro Manager is a program of its own, under the GPL, and nothing of it is imported here: what follows is only the
shape that it asks for, https://precice.org/tooling-micro-manager-prepare-micro-simulation.html. It hands over no
parameters, so that the model is that of ``case.toml``, in the folder where it runs or in the one above.
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from functools import cache
from pathlib import Path

import numpy as np

from scalespan.adapters.interface import Array, CaseError, EngineFailed, NotOffered, ScalespanError, State, nearest
from scalespan.bridges.interface import build

from .host import MicroSimulations

Values = float | list[float]  # a scalar's or a vector's


class Answer(dict[str, Values]):
    """What `MicroSimulation.solve` gives; a name that it has not is named with the nearest that it has."""

    def __missing__(self, name: str) -> Values:
        """Raise: the Micro Manager's configuration writes what the model does not give."""
        raise NotOffered(f"the micro model gives no '{name}'", todo=nearest(name, self))


class MicroSimulation:
    """The micro model at one point. All of a process share one model; each has its own state."""

    def __init__(self, sim_id: int) -> None:
        self._id = sim_id
        self._host = host_of(Path.cwd())
        self._state: State = self._host.model.initial()

    def initialize(self) -> dict[str, Values] | None:
        """Return what the point gives at the beginning, which adaptivity starts from; None where nobody can know."""
        answer = self._host.model.initial_answer()
        return None if answer is None else dict(self._named(answer))

    def solve(self, macro_data: Mapping[str, object], dt: float) -> dict[str, Values]:
        """Go on by ``dt`` with the macro problem's values; what fails leaves the state as it was.

        Raises:
            ScalespanError: what the Micro Manager writes to its log before it ends, or interpolates.
        """
        try:
            self._state, answer = self._host.model.step(self._state, self._given(macro_data), dt)
        except ScalespanError as error:
            raise error.at(f"micro simulation {self._id}") from error
        except Exception as error:  # an engine may raise anything, and the log shows one line
            said = f"micro simulation {self._id} failed: {type(error).__name__}: {error}"
            raise EngineFailed(said, where=self._host.model.name) from error
        return self._named(answer)

    def get_state(self) -> dict[str, Array]:
        """Return the state as arrays, which can be pickled."""
        return {key: value.copy() for key, value in self._state.items()}

    def set_state(self, state: Mapping[str, Array]) -> None:
        """Return to a state, or take that of another simulation."""
        self._state = {key: np.array(value) for key, value in state.items()}

    def get_global_id(self) -> int:
        """Return the number by which the Micro Manager knows it."""
        return self._id

    def set_global_id(self, global_id: int) -> None:
        """Take another number."""
        self._id = global_id

    def _given(self, macro_data: Mapping[str, object]) -> dict[str, Array]:
        found = {}
        for name, field in self._host.reads.items():
            if field.name not in macro_data:
                todo = nearest(field.name, macro_data) if macro_data else "read_data of its configuration is empty"
                raise CaseError(f"the Micro Manager gives no '{field.name}'", todo=todo)
            found[name] = np.atleast_1d(np.asarray(macro_data[field.name], dtype=np.float64))
        return found

    def _named(self, answer: Mapping[str, Array]) -> Answer:
        writes = self._host.writes.items()
        plain = {name: [float(each) for each in values] for name, values in answer.items()}
        return Answer({f.name: plain[n] if f.components > 1 else plain[n][0] for n, f in writes if n in plain})


def participant(folder: Path) -> tuple[Path, str, Mapping[str, object]]:
    """Return the case's folder, the participant that has micro simulations, and its table in ``case.toml``.

    Args:
        folder: the case's, or that of a participant in it.

    Raises:
        CaseError: there is no case, or not one such participant.
    """
    place = next((each for each in (folder, folder.parent) if (each / "case.toml").is_file()), None)
    if place is None:
        raise CaseError(f"there is no case.toml in {folder} or above", todo="start in the participant's folder")
    try:
        text = tomllib.loads((place / "case.toml").read_text(encoding="utf-8"))
    except tomllib.TOMLDecodeError as error:
        raise CaseError(f"it is no TOML: {error}", where=str(place / "case.toml")) from error
    tables = {k: v for k, v in text.get("participants", {}).items() if v.get("use") == MicroSimulations.name}
    name = folder.name if folder.name in tables else next(iter(tables), "")
    if not tables or (len(tables) > 1 and name != folder.name):
        todo = f'give one [participants.NAME] with use = "{MicroSimulations.name}", and start in the folder NAME'
        raise CaseError(f"{len(tables)} participants have micro simulations", where=str(place / "case.toml"), todo=todo)
    return place, name, {key: value for key, value in tables[name].items() if key != "ranks"}


@cache
def host_of(folder: Path) -> MicroSimulations:
    """Return the bridge whose model all simulations of this process share."""
    place, name, table = participant(folder)
    found = build(table, where=f"case.toml: participants.{name}", folder=place)
    assert isinstance(found, MicroSimulations), "its table says so"
    return found
