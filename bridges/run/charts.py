"""The drawings that belong to a table of a summary."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import LogNorm
from matplotlib.figure import Figure

from .plots import BLUE, CYCLE, INK, SOFT, Plot, axes

_FEW = 12  # points of a curve that are drawn as points


def chart_svg(table: Mapping[str, Any]) -> str:
    """Return the chart of a table, as `summary.json` has both, as an inline SVG element."""
    chart = table["chart"]
    figure = _map(chart) if chart["spots"] else _curves(chart)
    return Plot(table["title"], figure).svg()


def _curves(chart: Mapping[str, Any]) -> Figure:
    ax = axes(chart["x"], chart["y"])
    for (name, points), colour in zip(chart["curves"].items(), CYCLE, strict=False):
        x, y = np.array(points).T
        style = {"marker": "o", "linestyle": "none"} if len(points) < _FEW else {"linewidth": 1.4}
        ax.plot(x, y, color=colour, label=name, **style)
    if chart.get("log"):
        ax.set_xscale("log")
        ax.set_yscale("log")
    else:
        ax.set_ylim(bottom=0.0)
    ax.legend(frameon=False, fontsize=9)
    return _figure(ax)


def _map(chart: Mapping[str, Any]) -> Figure:
    x, y, size = np.array(chart["spots"]).T
    low, high = chart["range"]
    if np.ptp(y) == 0.0:  # of a line
        ax = axes(chart["x"], chart["size"])
        ax.semilogy(x, size, ".", color=BLUE, markersize=4)
        ax.set_ylim(low, high)
        return _figure(ax)
    ax = axes(chart["x"], chart["y"], height=4.2)
    area = float(np.clip(156.0 / np.sqrt(len(x)), 1.5, 12.0) ** 2)  # neighbours stay apart
    points = ax.scatter(x, y, c=size, s=area, norm=LogNorm(low, high), cmap="inferno", linewidths=0.0, rasterized=True)
    ax.grid(visible=False)
    ax.set_facecolor("#f4f5f7")
    ax.set_aspect("equal")
    ax.tick_params(colors=SOFT)
    figure = _figure(ax)
    figure.set_dpi(160.0)
    figure.colorbar(points, ax=ax, shrink=0.9).set_label(chart["size"], color=INK, fontsize=10)
    return figure


def _figure(ax: Axes) -> Figure:
    figure = ax.figure
    assert isinstance(figure, Figure), "axes makes it"
    return figure
