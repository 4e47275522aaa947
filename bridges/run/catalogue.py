"""What can be named in a case on this machine: adapters, bridges, tasks."""

from __future__ import annotations

import inspect
from pathlib import Path

import rich.box
import rich.table
from rich.text import Text

from scalespan.adapters.interface import ADAPTERS, Entry
from scalespan.bridges.interface import BRIDGES

from .case import find
from .tasks import TASKS

_COLOURS = {"ready": "green", "missing": "yellow", "broken": "red"}


def catalogue(case: Path | None = None) -> list[rich.table.Table]:
    """Return one table each of adapters, bridges and tasks; ``case`` adds the files beside it."""
    folder = find(case) if case is not None else None
    adapters = [entry for entry in ADAPTERS.listing(folder) if not entry.name.startswith(("test_", "conftest"))]
    return [_drawn("Adapters", adapters), _drawn("Bridges", BRIDGES.listing()), _tasks()]


def _drawn(title: str, entries: list[Entry]) -> rich.table.Table:
    table = _empty(title)
    table.add_column("status")
    table.add_column("what it is, or what to do", overflow="fold")
    for entry in entries:
        text = entry.summary if entry.status == "ready" else entry.hint
        own = "" if entry.origin in ("scalespan.adapters", "scalespan.bridges") else f" ({entry.origin})"
        table.add_row(entry.name, Text(entry.status, style=_COLOURS[entry.status]), Text(text + own))
    return table


def _tasks() -> rich.table.Table:
    table = _empty("Tasks")
    table.add_column("what it does")
    for kind, task in TASKS.items():
        table.add_row(kind, Text((inspect.getdoc(task) or "").split("\n")[0]))
    return table


def _empty(title: str) -> rich.table.Table:
    table = rich.table.Table(
        title=title, title_justify="left", title_style="bold", box=rich.box.SIMPLE_HEAD, pad_edge=False
    )
    table.add_column("name", style="bold", no_wrap=True)
    return table
