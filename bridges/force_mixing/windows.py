"""Between two questions to the high level: its difference to the low one, extrapolated and then interpolated.

With D(t) = F_high − F_low on the region's atoms and questions at t₀, t₁ = t₀ + T, … (learning on the fly: G. Csányi,
T. Albaret, M. C. Payne and A. De Vita 2004, doi:10.1103/PhysRevLett.93.175503; here the differences themselves are
carried, where they fitted springs to them):

    predictor   D(t) ≈ D₀ + (t − t₀)/T (D₀ − D₋₁)      error O(T²): T² D″ at the end of the window
    question    D₁ at the positions that the predictor leads to
    corrector   the same window again, D(t) ≈ D₀ + (t − t₀)/T (D₁ − D₀)      error T² D″/8 at most

The predictor's error moves its end by O(T⁴), so that D₁ belongs to the corrected end, too, within the same order. The
first window has no D₋₁ and predicts D₀. An atom that is not in both regions has D = 0 where it is outside: what the
high level does to it comes and goes along the window, without a jump.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from scalespan.adapters.interface import Array, Indices, State, under


@dataclass(frozen=True)
class Difference:
    """F_high − F_low where it was asked for."""

    region: Indices  # (k,) ascending
    forces: Array  # (k, 3) eV/Å
    removed: Array  # (3,) eV/Å, the net force that was taken from `forces`, all of it

    def on(self, n: int) -> Array:
        """Return it for all ``n`` atoms, zero outside the region."""
        found = np.zeros((n, 3))
        found[self.region] = self.forces
        return found

    def save(self) -> State:
        """Return it as arrays."""
        return {"region": self.region.copy(), "forces": self.forces.copy(), "removed": self.removed.copy()}

    @classmethod
    def saved(cls, state: State) -> Difference | None:
        """Return what `save` gave; None of an empty state."""
        if not state:
            return None
        return cls(state["region"].astype(np.int64), state["forces"].astype(float), state["removed"].astype(float))


@dataclass(frozen=True)
class Window:
    """What is known in the window that the atoms are in."""

    before: Difference | None = None  # D₋₁
    begin: Difference | None = None  # D₀; None before the first question
    end: Difference | None = None  # D₁; None while predicting
    done: int = 0  # timesteps made of it, corrected

    @property
    def at_begin(self) -> Difference:
        """D₀."""
        assert self.begin is not None, "a window begins with a question"
        return self.begin

    def at(self, part: float, n: int) -> Array:
        """Return D (n, 3) at a part of the window, from 0 to 1."""
        begin = self.at_begin.on(n)
        if self.end is not None:
            ahead: Array = begin + part * (self.end.on(n) - begin)
            return ahead
        if self.before is None:
            return begin
        both = np.intersect1d(self.before.region, self.at_begin.region)
        begin[both] += part * (begin[both] - self.before.on(n)[both])
        return begin

    def after_step(self, steps: int) -> Window:
        """Return the window after one more corrected timestep of ``steps``: the next one, where it was the last."""
        if self.done + 1 < steps:
            return replace(self, done=self.done + 1)
        return Window(before=self.begin, begin=self.end)

    def save(self) -> State:
        """Return it as arrays."""
        parts = {"before": self.before, "begin": self.begin, "end": self.end}
        state: State = {
            f"{name}/{key}": value for name, part in parts.items() if part for key, value in part.save().items()
        }
        return state | {"done": np.array(self.done)}

    @classmethod
    def saved(cls, state: State) -> Window:
        """Return what `save` gave."""
        parts = {name: Difference.saved(under(name, state)) for name in ("before", "begin", "end")}
        return cls(**parts, done=int(state["done"]))
