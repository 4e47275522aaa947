"""Monte Carlo barostat: trial boxes by the true energy, with a state that can be saved.

Molecules are moved as wholes with the box. A trial volume V' = V + ΔV is taken with probability
min(1, exp(−[ΔE + P ΔV − N k T ln(V'/V)]/kT)), N the number of molecules (Chow and Ferguson 1995,
doi:10.1016/0010-4655(95)00059-O; Åqvist et al. 2004, doi:10.1016/j.cplett.2003.12.039). The rule of
adaption is OpenMM's. OpenMM's own MonteCarloBarostat is not used because its checkpoint leaves out when
the next trial is due and how wide it will be, so that a run could not be continued as it was.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from math import exp, log

import numpy as np

from ..interface import Array, State


class Barostat:
    """Draws trial boxes and decides on them."""

    def __init__(self, molecules: list[list[int]], thermal: float, pressure: float, seed: int) -> None:
        """``thermal`` is kT, ``pressure`` in its unit over the cube of the unit of length."""
        self._members = np.concatenate([np.array(each) for each in molecules])
        self._starts = np.cumsum([0] + [len(each) for each in molecules])[:-1]
        self._sizes = np.array([len(each) for each in molecules])
        self.thermal, self.pressure = thermal, pressure
        self.steps = 0  # since the last trial
        self._width = 0.0  # of the trials, a volume; zero before the first
        self._tried = self._taken = 0  # since the width was last changed
        self._random = np.random.default_rng([seed, 17])

    def trial(self, positions: Array, box: Array) -> tuple[Array, Array, float]:
        """Return trial positions (n, 3) and box (3, 3), and the work of the box: P ΔV − N kT ln(V'/V)."""
        volume = float(np.prod(np.diag(box)))
        self._width = self._width or 0.01 * volume
        change = self._width * 2.0 * (float(self._random.random()) - 0.5)
        scale = ((volume + change) / volume) ** (1.0 / 3.0)
        centres = np.add.reduceat(positions[self._members], self._starts) / self._sizes[:, None]
        moved = positions.copy()
        moved[self._members] += np.repeat((scale - 1.0) * centres, self._sizes, axis=0)
        work = self.pressure * change - len(self._sizes) * self.thermal * log((volume + change) / volume)
        return moved, box * scale, work

    def decide(self, work: float, volume: float) -> bool:
        """Return whether the trial is taken, from its work, energy included; ``volume`` is the old one."""
        taken = work <= 0.0 or float(self._random.random()) < exp(-work / self.thermal)
        self._tried += 1
        self._taken += taken
        if self._tried >= 10:
            self._adapt(volume)
        return taken

    def _adapt(self, volume: float) -> None:
        if self._taken < 0.25 * self._tried:
            self._width /= 1.1
        elif self._taken > 0.75 * self._tried:
            self._width = min(self._width * 1.1, 0.3 * volume)
        else:
            return
        self._tried = self._taken = 0

    def save(self) -> State:
        """Return all that the next trial depends on."""
        random = np.frombuffer(json.dumps(self._random.bit_generator.state).encode(), dtype=np.uint8)
        numbers = np.array([self.steps, self._width, self._tried, self._taken])
        return {"numbers": numbers, "random": random}

    def restore(self, state: State) -> None:
        """Return to what `save` gave."""
        steps, width, tried, taken = (float(number) for number in state["numbers"])
        self.steps, self._width, self._tried, self._taken = int(steps), width, int(tried), int(taken)
        self._random.bit_generator.state = json.loads(state["random"].tobytes())


def attempt(
    barostat: Barostat,
    state: tuple[Array, Array],
    energy: Callable[[], float],
    put: Callable[[Array, Array], None],
) -> bool:
    """Try one box: ``energy()`` is asked where the atoms are, ``put(positions, box)`` moves them.

    Returns:
        Whether it was taken; if not, the atoms are back.
    """
    positions, box = state
    before = energy()
    moved, scaled, work = barostat.trial(positions, box)
    put(moved, scaled)
    taken = barostat.decide(energy() - before + work, float(np.prod(np.diag(box))))
    if not taken:
        put(positions, box)
    return taken
