"""The plots of a coupled run: what each participant observed, and how many iterations each window took."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from matplotlib.figure import Figure

from scalespan.adapters.interface import Array

from ..plots import BLUE, CYCLE, Plot, axes
from ..record import read_series

_OWN = ("window", "iterations")  # columns that every series has, beside the time


def plots(results: Path, summary: Mapping[str, Any]) -> list[Plot]:
    """Return the plots of all participants in a results folder."""
    tables = {
        name: read_series(results / name / "series.csv")
        for name in summary.get("participants", {})
        if (results / name / "series.csv").exists()
    }
    full = {name: table for name, table in tables.items() if len(table["window"]) > 1}
    found = [plot for name, table in full.items() for plot in _observed(name, table)]
    return [*found, *_iterations(next(iter(full.values())))] if full else []


def _observed(name: str, table: Mapping[str, Array]) -> list[Plot]:
    time = next(column for column in table if column.startswith("time/"))
    by_unit: dict[str, list[str]] = {}
    for column in table:
        if column not in (*_OWN, time):
            by_unit.setdefault(column.partition("/")[2].strip("()"), []).append(column)
    found = []
    for unit, columns in by_unit.items():
        words = " and ".join(column.partition("/")[0] for column in columns[:3])
        ax = axes(f"time ({time.partition('/')[2]})", f"{words} ({unit})" if unit else words)
        for i, column in enumerate(columns):
            ax.plot(table[time], table[column], color=CYCLE[i % len(CYCLE)], label=column.partition("/")[0], lw=1.3)
        if len(columns) > 1:
            ax.legend(frameon=False, fontsize=9, loc="lower left", bbox_to_anchor=(0.0, 1.0), ncols=3)
        ax.margins(x=0.0)
        assert isinstance(ax.figure, Figure), "axes makes it"
        found.append(Plot(f"{name}: {words}", ax.figure))
    return found


def _iterations(table: Mapping[str, Array]) -> list[Plot]:
    counts = table["iterations"]
    if counts.max() <= 1:
        return []
    ax = axes("window", "iterations")
    ax.step(table["window"], counts, where="mid", color=BLUE, lw=1.2)
    ax.set_ylim(bottom=0.0)
    ax.margins(x=0.0)
    assert isinstance(ax.figure, Figure), "axes makes it"
    return [Plot("Coupling iterations", ax.figure, f"Mean {counts.mean():.2f}, at most {counts.max():.0f}.")]
