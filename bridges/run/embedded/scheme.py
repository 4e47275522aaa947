"""When a window ends, and when its iterations do."""

from __future__ import annotations

import numpy as np

from ..precice_config import Measure
from .acceleration import Coupled
from .waveform import SAME

# A step that ends this close to the window's end, as a part of the window, ends it.
ROUNDING = 1e-12


class Clock:
    """Where in which window a participant is; the last window may be shorter."""

    def __init__(self, window: float, max_time: float | None, max_windows: int | None) -> None:
        self._window = window
        self._max_time = np.inf if max_time is None else max_time
        self._max_windows = np.inf if max_windows is None else max_windows
        self.index, self.progress = 0, 0.0

    @property
    def start(self) -> float:
        """The time at which this window starts."""
        return self.index * self._window

    @property
    def end(self) -> float:
        """The time at which it ends."""
        return min((self.index + 1) * self._window, self._max_time)

    @property
    def running(self) -> bool:
        """Whether there is another window."""
        rest = self._max_time - self.start
        return self.index < self._max_windows and rest > max(SAME, ROUNDING * self._window)

    @property
    def left(self) -> float:
        """The time left in this window."""
        return min(self._window, self._max_time - self.start) - self.progress if self.running else 0.0

    @property
    def now(self) -> float:
        """The time reached."""
        return self.start + self.progress

    def advance(self, dt: float) -> bool:
        """Move by ``dt``; return whether that is the window's end."""
        ends = self.left - dt <= max(SAME, ROUNDING * self._window)
        self.progress += dt
        return ends

    def next_window(self) -> None:
        """Begin the next window."""
        self.index, self.progress = self.index + 1, 0.0


class Paced(Clock):
    """A clock whose windows are as long as the first participant's steps."""

    def __init__(self, max_time: float | None, max_windows: int | None, *, first: bool) -> None:
        super().__init__(np.inf, max_time, max_windows)
        self._first, self._start = first, 0.0

    @property
    def start(self) -> float:
        """The time at which this window starts."""
        return self._start

    @property
    def end(self) -> float:
        """The time at which it ends; for the first participant, once it has made its step."""
        return self._start + self._window

    @property
    def running(self) -> bool:
        """Whether there is another window."""
        rest = SAME if np.isinf(self._max_time) else max(SAME, ROUNDING * self._max_time)
        return self.index < self._max_windows and self._max_time - self._start > rest

    @property
    def length(self) -> float:
        """The length of this window: infinite until it is known."""
        return self._window

    @length.setter
    def length(self, length: float) -> None:
        self._window = length

    def advance(self, dt: float) -> bool:
        """Move by ``dt``; return whether that is the window's end: always, for the first participant."""
        if self._first:
            self._window = dt
        return super().advance(dt)

    def next_window(self) -> None:
        """Begin the next window."""
        super().next_window()
        self._start, self._window = self._start + self._window, np.inf


class Convergence:
    """One convergence measure, from window to window."""

    def __init__(self, measure: Measure) -> None:
        self.key, self.suffices, self.strict = (measure.data, measure.mesh), measure.suffices, measure.strict
        self._measure = measure
        self._first: float | None = None  # the first residual of the window

    def reached(self, field: Coupled) -> tuple[bool, float]:
        """Return whether the values have stopped changing, and the residual that says so."""
        change = float(np.linalg.norm(field.now.last - field.before.last))
        size, limit, kind = float(np.linalg.norm(field.now.last)), self._measure.limit, self._measure.kind
        if kind == "absolute":
            return change <= limit, change
        if kind == "residual-relative":
            self._first = change if self._first is None else self._first
            return change < self._first * limit, change / self._first if self._first else np.inf
        enough = change <= size * limit or (kind == "absolute-or-relative" and change <= self._measure.absolute)
        return enough, change / size if size else np.inf

    def next_window(self) -> None:
        """Begin again with the first residual."""
        self._first = None
