"""The motion of a force mixing: windows, each predicted, asked about, and corrected; see windows.py."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
from ase import Atoms

from scalespan.adapters.interface import Array, AseMotion, CaseError, OptionError, State, under
from scalespan.adapters.interface.units import show

from .moving import Moving
from .neighbourhood import Neighbourhood
from .windows import Difference, Window

if TYPE_CHECKING:
    from .force_mixing import ForceMixing

_WHOLE = 1e-6


class Course:
    """Moves atoms by windows of whole timesteps, and can stop, save and go back after each of them.

    Raises:
        OptionError: an interval that is no whole multiple of the timestep; a margin without a thermostat.
    """

    def __init__(self, mixing: ForceMixing, moving: Moving, motion: AseMotion) -> None:
        self._mixing, self._moving, self._motion = mixing, moving, motion
        self.steps = interval_steps(mixing.options.interval, motion.motion.timestep)
        self.work = 0.0  # eV, done by the difference on the atoms
        self.prediction_error = 0.0  # eV/Å, the longest error of the last extrapolation, on atoms that stayed inside
        if mixing.options.thermostat_margin is not None and motion.motion.ensemble != "langevin":
            raise OptionError(
                f"the ensemble '{motion.motion.ensemble}' has no thermostat to keep off the region",
                where="force_mixing.thermostat_margin",
                todo="choose the ensemble 'langevin'",
            )

    @property
    def window(self) -> Window:
        """What is known in the window that the atoms are in."""
        return self._moving.window

    def advance(self, dt: float) -> None:
        """Move by ``dt`` (ASE's time), a whole number of timesteps.

        Raises:
            CaseError: another ``dt``.
        """
        timestep = self._motion.motion.timestep
        count = round(dt / timestep)
        if count < 1 or abs(dt / timestep - count) > _WHOLE * count:
            raise CaseError(
                f"force mixing cannot take {dt / timestep:g} timesteps",
                todo="make the coupling window a whole multiple of timestep",
            )
        for _ in range(count):
            if self.window.end is None:
                self._predict()
            self.work += self._step(self.window.done + 1)
            self._moving.window = self.window.after_step(self.steps)
            self._moving.part = self.window.done / self.steps

    def _predict(self) -> None:
        """Go to the end of the window by extrapolation, ask there, and come back."""
        atoms, moving = self._motion.atoms, self._moving
        atoms.get_forces()  # the first question, in the first window
        self._keep_thermostat_off()
        state, answer = self._motion.save(), atoms.calc.save()
        for k in range(1, self.steps + 1):
            self._step(k)
        guess, end = moving.window.at(1.0, len(atoms)), moving.question(atoms)
        both = np.intersect1d(moving.window.at_begin.region, end.region)
        wrong = guess[both] - end.on(len(atoms))[both]
        self.prediction_error = float(np.linalg.norm(wrong, axis=1).max(initial=0.0))
        self._motion.restore(state)
        atoms.calc.restore(atoms, answer)
        moving.window = replace(moving.window, end=end)

    def _step(self, k: int) -> float:
        """Make timestep ``k`` of the window, and return the work (eV) of the difference."""
        atoms, n = self._motion.atoms, len(self._motion.atoms)
        at, before = atoms.get_positions(), self.window.at((k - 1) / self.steps, n)
        self._moving.part = k / self.steps
        self._motion.advance(self._motion.motion.timestep)
        mean = 0.5 * (before + self.window.at(k / self.steps, n))
        return float(np.sum(mean * (atoms.get_positions() - at)))

    def _keep_thermostat_off(self) -> None:
        """Let friction and noise act only on the atoms farther than the margin from the region."""
        margin = self._mixing.options.thermostat_margin
        if margin is None:
            return
        region = self.window.at_begin.region
        acts = np.ones(len(self._motion.atoms), dtype=bool)
        acts[Neighbourhood(self._motion.atoms).within(region, margin).atoms] = False
        acts[region] = False
        self._motion.thermostat(acts)

    def save(self) -> State:
        """Return the window, the work and the prediction's error."""
        window = {f"window/{key}": value for key, value in self.window.save().items()}
        return window | {"work": np.array(self.work), "prediction_error": np.array(self.prediction_error)}

    def restore(self, state: State) -> None:
        """Return to what `save` gave."""
        self._moving.forget()
        self._moving.window = Window.saved(under("window", state))
        self._moving.part = self.window.done / self.steps
        self.work, self.prediction_error = float(state["work"]), float(state["prediction_error"])


def asking(mixing: ForceMixing, atoms: Atoms, low_forces: Array) -> Difference:
    """Ask the high level, and let the region be the one that it was asked about."""
    found = mixing.difference(atoms, low_forces)
    mixing.remember(found.region)
    return found


def interval_steps(interval: float | None, timestep: float) -> int:
    """Return how many timesteps an interval has.

    Raises:
        OptionError: it has no whole number of them.
    """
    if interval is None:
        return 1
    count = round(interval / timestep)
    if count < 1 or abs(interval / timestep - count) > _WHOLE * count:
        raise OptionError(
            f"the interval of {show(interval, 'fs', 'time')} is no whole multiple of the timestep, "
            f"{show(timestep, 'fs', 'time')}",
            where="force_mixing.interval",
            todo=f"use {show(max(1, count) * timestep, 'fs', 'time')}",
        )
    return count
