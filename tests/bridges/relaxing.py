"""A micro model of NumPy for the tests: ẋ = target − x, by implicit steps, which pulls along two axes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

import numpy as np

from scalespan.adapters.interface import Array, Datum, MicroModel, Options, State


class Relaxing(MicroModel):
    """Its state is x; a target above 10 breaks it, one above 20 raises what no model should."""

    name = "relaxing"
    Options = Options
    takes: ClassVar = {"Target": Datum(1, "kelvin"), "Axes": Datum(2, "1")}
    gives: ClassVar = {"Level": Datum(1, "kelvin"), "Pull": Datum(2, "newton")}

    def __init__(self, options: Options | None = None) -> None:
        self.engine = object()  # what no process could be sent

    def initial(self) -> State:
        return {"x": np.array([1.0])}

    def _step(self, state: State, given: Mapping[str, Array], dt: float) -> tuple[State, Mapping[str, Array]]:
        target = given["Target"]
        if target[0] > 20:
            raise ZeroDivisionError("an engine's own error")
        x = (state["x"] + dt * target) / (1 + dt) if target[0] <= 10 else np.array([np.nan])
        return {"x": x}, {"Level": x, "Pull": x * given["Axes"]}
