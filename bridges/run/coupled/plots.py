"""The plots of a coupled run: what each participant observed, and how many iterations each window took."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from scalespan.adapters.interface import Array

from ..ledger import joint_plots
from ..plots import BLUE, CYCLE, Plot, axes
from ..record import read_series
from ..report import unit, words

_OWN = ("window", "iterations")  # columns that every series has, beside the time
_SPREAD = 100.0  # a series smaller than another by this factor would be a flat line
_NAMED = 3  # columns in a title


def plots(results: Path, summary: Mapping[str, Any]) -> list[Plot]:
    """Return the plots of all participants in a results folder."""
    tables = {
        name: read_series(results / name / "series.csv")
        for name in summary.get("participants", {})
        if (results / name / "series.csv").exists()
    }
    full = {name: table for name, table in tables.items() if len(table["window"]) > 1}
    found = [plot for name, table in full.items() for plot in _observed(name, table)]
    return [*joint_plots(full), *found, *_iterations(next(iter(full.values())))] if full else []


def _observed(name: str, table: Mapping[str, Array]) -> list[Plot]:
    time = next(column for column in table if column.startswith("time/"))
    found = []
    for columns in _together({column: table[column] for column in table if column not in (*_OWN, time)}):
        title = " and ".join(_word(column) for column in columns[:_NAMED]) + (" and more" * (len(columns) > _NAMED))
        what = _word(columns[0]) if len(columns) == 1 else ""
        ax = axes(f"time ({unit(_unit(time))})", _label(what, unit(_unit(columns[0]))))
        ax.ticklabel_format(axis="y", scilimits=(-3, 4), useMathText=True)
        for i, column in enumerate(columns):
            ax.plot(table[time], table[column], color=CYCLE[i % len(CYCLE)], label=_word(column), lw=1.3)
        if len(columns) > 1:
            ax.legend(frameon=False, fontsize=9, loc="lower right", bbox_to_anchor=(1.0, 1.0), ncols=3)
        ax.margins(x=0.0)
        assert isinstance(ax.figure, Figure), "axes makes it"
        found.append(Plot(f"{name}: {title}", ax.figure))
    return found


def _together(series: Mapping[str, Array]) -> list[list[str]]:
    """Return the columns that can be seen in one axes: of one unit, and of sizes that are not too far apart."""
    found: list[tuple[str, float, list[str]]] = []  # unit, size of the first, columns
    for column, values in series.items():
        size = float(np.abs(values[np.isfinite(values)]).max(initial=0.0))
        for unit_of, first, columns in found:
            if unit_of == _unit(column) and min(size, first) * _SPREAD >= max(size, first):
                columns.append(column)
                break
        else:
            found.append((_unit(column), size, [column]))
    return [columns for _, _, columns in found]


def _word(column: str) -> str:
    return words(column.partition("/")[0])


def _unit(column: str) -> str:
    return column.partition("/")[2].strip("()")


def _label(what: str, of: str) -> str:
    return f"{what} ({of})" if what and of else what or of


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
