"""The coefficient of Hou and Wu with the period 1: a domain of n periods along each side has ε = 1/n.

In the plane the stiffness has no unit of length, so that −∇·(a(x/ε) ∇u) = f on the unit square is this one, stretched.
"""

from __future__ import annotations

from typing import Any

from scalespan.adapters.dolfinx import DolfinxAdapter
from scalespan.bridges.multiscale_fem import MultiscaleOptions, MultiscaleStudy

HOU_WU = "(2 + 1.8*sin(2*pi*x))/(2 + 1.8*cos(2*pi*y)) + (2 + sin(2*pi*y))/(2 + 1.8*sin(2*pi*x))"


def period(conductivity: str | float = HOU_WU, cells: int = 16, **more: Any) -> DolfinxAdapter:
    """Return one period, [0, 1]², with bilinear elements."""
    mesh = {"low": [0.0, 0.0], "high": [1.0, 1.0], "cells": [cells, cells], "cell": "quadrilateral"}
    heat = {"conductivity": conductivity, "capacity": 0.0} | more.pop("heat", {})
    return DolfinxAdapter(DolfinxAdapter.Options.read({"mesh": mesh, "heat": heat} | more))


def study(periods: int, cell: DolfinxAdapter | None = None, **options: Any) -> MultiscaleStudy:
    """Return a study over a square of so many periods."""
    read = MultiscaleOptions.read({"high": [float(periods)] * 2} | options)
    return MultiscaleStudy(read, cell=period() if cell is None else cell)


def errors(over: MultiscaleStudy) -> dict[tuple[str, int], float]:
    """Return the error of each method on each mesh."""
    column = list(over.columns).index("error/1")
    pairs = [(name, count) for name in over.options.methods for count in over.options.elements]
    return {pair: over.row(number)[column] for number, pair in enumerate(pairs)}
