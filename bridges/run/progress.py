"""One live line on a terminal, a line at every tenth of the way elsewhere."""

from __future__ import annotations

import sys
import time
from typing import TextIO

from rich.console import Console
from rich.progress import BarColumn, Task, TextColumn
from rich.progress import Progress as Bar
from rich.text import Text

_PAUSE = 0.2  # s between two redrawings, so that showing never slows the run


class Progress:
    """Shows how far a run is.

    Args:
        stream: where; None shows nothing.
    """

    def __init__(self, stream: TextIO | None = sys.stdout) -> None:
        self._console = Console(file=stream, highlight=False) if stream is not None else None
        self._bar: Bar | None = None
        self._began, self._drawn, self._tenth = 0.0, 0.0, -1
        self._first = 0.0

    def start(self, what: str, total: float, done: float = 0.0) -> None:
        """Begin: ``what`` is going on, ``done`` of ``total`` steps are behind."""
        self._began, self._drawn, self._tenth, self._first = time.monotonic(), 0.0, -1, done
        self._what, self._total = what, total
        if self._console is not None and self._console.is_terminal:
            bar = (BarColumn(bar_width=24),) if self._console.width >= 110 else ()  # the numbers come first
            columns = (
                TextColumn("[bold]{task.description}"),
                *bar,
                TextColumn("{task.percentage:>3.0f} %"),
                TextColumn("{task.fields[shown]}"),
            )
            self._bar = Bar(*columns, console=self._console, auto_refresh=False)
            self._bar.add_task(what, total=total, completed=int(done), shown="")
            self._bar.start()

    def show(self, done: float, *values: str) -> None:
        """Say that ``done`` steps are behind; ``values`` are short texts such as ``"T 300 K"``."""
        if self._console is None:
            return
        now = time.monotonic()
        shown = "  ".join((*values, f"ETA {_clock(self._left(done, now))}"))
        if self._bar is not None:
            if now - self._drawn >= _PAUSE or done >= self._total:
                self._drawn = now
                self._bar.update(_only(self._bar).id, completed=done, shown=shown, refresh=True)
        elif (tenth := int(10.0 * done / self._total) if self._total > 0 else 10) > self._tenth:
            self._tenth = tenth
            self._console.print(Text(f"{self._what}  {10 * tenth:3d} %  {shown}"), soft_wrap=True)

    def say(self, text: str) -> None:
        """Print a line of its own."""
        if self._console is not None:
            self._console.print(Text(text), soft_wrap=True)

    def close(self) -> None:
        """Leave the line as it stands. May be called twice."""
        if self._bar is not None:
            self._bar.stop()
        self._bar = None

    def _left(self, done: float, now: float) -> float | None:
        made = done - self._first
        return (now - self._began) / made * (self._total - done) if made > 0.0 else None


def _only(bar: Bar) -> Task:
    return bar.tasks[0]


def _clock(seconds: float | None) -> str:
    if seconds is None:
        return "…"
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{rest:02d}" if hours else f"{minutes}:{rest:02d}"
