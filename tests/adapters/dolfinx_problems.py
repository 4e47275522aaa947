"""Small continua for the tests of the DOLFINx adapter."""

from __future__ import annotations

from typing import Any

from scalespan.adapters.dolfinx import DolfinxAdapter, DolfinxOptions

EXACT = "1 + x**2 + 3*y**2 + 1.2*t"
SIDES = ("left", "right", "bottom", "top", "back", "front")


def box(*cells: int, cell: str | None = None, start: float = 0.0) -> dict[str, Any]:
    low = [start] + [0.0] * (len(cells) - 1)
    return {"low": low, "high": [each + 1.0 for each in low], "cells": list(cells), "cell": cell}


def fixed(value: object, cells: int, *free: str) -> list[dict[str, object]]:
    """Fix every side of a box but those that are free."""
    return [{"boundary": side, "value": value} for side in SIDES[: 2 * cells] if side not in free]


def make(**table: Any) -> DolfinxAdapter:
    return DolfinxAdapter(DolfinxOptions.read(table))


def warm(mesh: dict[str, Any], takes: str, boundary: str = "right", **more: Any) -> DolfinxAdapter:
    """Heat conduction with the exact solution EXACT, open at one boundary."""
    table = {"source": "1.2 - 8", "initial": EXACT, "fixed": fixed(EXACT, len(mesh["low"]), boundary)}
    place = {"boundary": boundary, "takes": [takes], **more}
    return make(degree=2, mesh=mesh, exact=EXACT, heat=table, places={"interface": place, "space": {}})
