"""Pictures of continua and materials: numbers over the steps, stress over the path, the last field of a plane body."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import numpy as np
from matplotlib.figure import Figure
from matplotlib.tri import Triangulation

from scalespan.adapters.interface import Array, Indices

from .plots import BLUE, CYCLE, INK, SOFT, Plot, axes
from .record import read_series

_SHOWN = 6  # series, at most
_TRIANGLES, _QUADRILATERALS = (5, 22, 69), (9, 28, 70)  # VTK's numbers: of degree 1, 2, and any
_FLAT = 1e-12
_VISIBLE = 0.08  # of the body's size: how far the largest displacement is drawn, where it is smaller


def march_plots(results: Path, summary: Mapping[str, Any]) -> list[Plot]:
    """Return each number over the steps, and the last field."""
    path = results / "steps.csv"
    table = read_series(path) if path.exists() else {}
    found = field_plots(results)
    if not table or len(table["step"]) < 2:
        return found
    time, *names = list(table)[1:]
    for name in names[:_SHOWN]:
        ax = axes(_named(time), _named(name))
        ax.plot(table[time], table[name], color=BLUE, linewidth=1.4, marker="o", markersize=3)
        ax.margins(x=0.02)
        found.append(Plot(name.partition("/")[0].capitalize(), _figure(ax.figure)))
    return found


def path_plots(results: Path, summary: Mapping[str, Any]) -> list[Plot]:
    """Return the stress along the path, over the component of F that changes most, and what has been lost."""
    path = results / "path.csv"
    table = read_series(path) if path.exists() else {}
    if not table or len(table["step"]) < 2:
        return []
    along = max((name for name in table if name.startswith("F_")), key=lambda name: float(np.ptp(table[name])))
    stresses = [name for name in table if name.startswith("P_")]
    largest = max(float(np.abs(table[name]).max()) for name in stresses)
    unit = stresses[0].partition("/")[2]
    ax = axes(_named(along), f"stress ({unit.strip('()')})")
    shown = [name for name in stresses if float(np.abs(table[name]).max()) > _FLAT + 1e-6 * largest]
    for name, colour in zip(shown, CYCLE, strict=False):
        ax.plot(table[along], table[name], color=colour, linewidth=1.4, label=name.partition("/")[0].replace("_", " "))
    ax.legend(frameon=False, fontsize=9)
    found = [Plot("Stress along the path", _figure(ax.figure))]
    lost = next(series for name, series in table.items() if name.startswith("dissipation/"))
    if float(np.abs(lost).max()) > 0.0:
        ax = axes("step", f"energy density ({unit.strip('()')})")
        ax.plot(table["step"], np.cumsum(lost), color=CYCLE[1], linewidth=1.4, label="lost since the beginning")
        found.append(Plot("Dissipation", _figure(ax.figure)))
    return found


def field_plots(results: Path) -> list[Plot]:
    """Return the last frame of the field file of a plane body; displacements move the drawing too."""
    index = results / "fields.pvd"
    if not index.exists():
        return []
    last = list(ElementTree.parse(index).getroot().iter("DataSet"))[-1].attrib["file"]
    pieces = [each.attrib["Source"] for each in ElementTree.parse(results / last).getroot().iter("Piece")]
    parts = [_piece(results / each) for each in pieces]
    if any(part is None for part in parts):
        return []
    return [_drawn([part for part in parts if part is not None])]


def _piece(path: Path) -> tuple[str, Array, Indices, Array] | None:
    """Return the field's name, points (n, 2), triangles (k, 3), values (n, c) of a file; None where it is not plane."""
    root = ElementTree.parse(path).getroot()
    arrays = {each.attrib.get("Name", "points"): each for each in root.iter("DataArray")}
    point_data = next(root.iter("PointData"))
    name = next(iter({"Vectors", "Scalars"} & set(point_data.attrib)), None)
    points = _numbers(arrays["points"]).reshape(-1, 3)
    if name is None or float(np.ptp(points[:, 2])) > _FLAT:
        return None
    field = point_data.attrib[name]
    ends, kinds = (_numbers(arrays[each]).astype(int) for each in ("offsets", "types"))
    cells = np.split(_numbers(arrays["connectivity"]).astype(int), ends[:-1])
    if not set(kinds.tolist()) <= {*_TRIANGLES, *_QUADRILATERALS}:
        return None
    triangles = []
    for cell, kind in zip(cells, kinds, strict=True):
        triangles += [cell[[0, 1, 2]]] if kind in _TRIANGLES else [cell[[0, 1, 2]], cell[[0, 2, 3]]]
    return field, points[:, :2], np.array(triangles), _numbers(arrays[field]).reshape(len(points), -1)


def _numbers(element: ElementTree.Element) -> Array:
    return np.array((element.text or "").split(), dtype=np.float64)


def _drawn(parts: list[tuple[str, Array, Indices, Array]]) -> Plot:
    name = parts[0][0]
    vector = parts[0][3].shape[1] > 1
    extent = max(float(np.ptp(np.concatenate([part[1] for part in parts]), axis=0).max()), _FLAT)
    largest = max(float(np.linalg.norm(part[3], axis=1).max()) for part in parts)
    scale = max(1.0, _VISIBLE * extent / largest) if vector and largest > 0.0 else 1.0
    ax = axes("", "", height=4.4)
    sizes = [np.linalg.norm(part[3], axis=1) if vector else part[3][:, 0] for part in parts]
    low, high = min(float(each.min()) for each in sizes), max(float(each.max()) for each in sizes)
    image = None
    for (_, points, triangles, values), size in zip(parts, sizes, strict=True):
        moved = points + scale * values[:, :2] if vector else points
        drawn = Triangulation(moved[:, 0], moved[:, 1], triangles)
        image = ax.tripcolor(drawn, size, shading="gouraud", cmap="viridis", vmin=low, vmax=high, rasterized=True)
    ax.set_aspect("equal")
    ax.grid(visible=False)
    ax.tick_params(colors=SOFT, labelsize=8)
    figure = _figure(ax.figure)
    figure.set_dpi(160.0)
    assert image is not None, "there is a piece"
    figure.colorbar(image, ax=ax, shrink=0.85).set_label(name, color=INK, fontsize=10)
    magnified = f"Displacements are drawn {scale:.3g} times as large. " if scale > 1.0 else ""
    return Plot(name.capitalize(), figure, f"{magnified}At the end; all frames: fields.pvd, for ParaView.")


def _figure(figure: Any) -> Figure:
    assert isinstance(figure, Figure), "axes makes it"
    return figure


def _named(column: str) -> str:
    name, _, unit = column.partition("/")
    return f"{name.replace('_', ' ')} ({unit.strip('()')})" if unit != "1" else name.replace("_", " ")
