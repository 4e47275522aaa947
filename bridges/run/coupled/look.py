"""What a participant shows of itself before it meets its partners, as text for another process."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from scalespan.adapters.interface import Array, Chart, Table
from scalespan.bridges.interface import Bridge, Field

from ..files import write_whole


@dataclass(frozen=True)
class MeshLook:
    """This rank's part of a mesh that the participant provides."""

    points: int
    dimension: int
    spacing: float  # the largest distance from a point to its nearest other; 0 with one point
    edges: int = 0
    triangles: int = 0
    tetrahedra: int = 0


@dataclass(frozen=True)
class Look:
    """A participant before the first step."""

    name: str
    bridge: str
    time_unit: str
    reads: tuple[Field, ...] = ()
    writes: tuple[Field, ...] = ()
    meshes: Mapping[str, MeshLook] = field(default_factory=dict)
    regions: tuple[str, ...] = ()
    audit: tuple[Table, ...] = ()
    versions: Mapping[str, str] = field(default_factory=dict)
    adjoint: bool = False

    def write(self, path: Path) -> None:
        """Write it down."""
        write_whole(path, json.dumps(asdict(self), allow_nan=True).encode(), sync=False)

    @classmethod
    def read(cls, path: Path) -> Look:
        """Return what was written at ``path``."""
        text: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        tables = [
            Table(
                t["title"], tuple(t["columns"]), tuple(tuple(row) for row in t["rows"]), t["note"], _chart(t["chart"])
            )
            for t in text.pop("audit")
        ]
        return cls(
            reads=tuple(Field(**each) for each in text.pop("reads")),
            writes=tuple(Field(**each) for each in text.pop("writes")),
            meshes={name: MeshLook(**each) for name, each in text.pop("meshes").items()},
            regions=tuple(text.pop("regions")),
            audit=tuple(tables),
            **text,
        )


def look_at(name: str, bridge: Bridge, versions: Mapping[str, str]) -> Look:
    """Return what ``bridge`` shows; raises what its audit raises."""
    exchange = bridge.exchange
    meshes = {
        mesh: MeshLook(
            len(each.points),
            each.points.shape[1],
            _spacing(each.points),
            len(each.edges),
            len(each.triangles),
            len(each.tetrahedra),
        )
        for mesh, each in exchange.meshes.items()
    }
    return Look(
        name=name,
        bridge=bridge.name,
        time_unit=bridge.time_unit,
        reads=tuple(exchange.reads),
        writes=tuple(exchange.writes),
        meshes=meshes,
        regions=tuple(exchange.regions),
        audit=tuple(bridge.audit()),
        versions=versions,
        adjoint=bridge.adjoint,
    )


def _chart(text: Mapping[str, Any] | None) -> Chart | None:
    return Chart(**text) if text else None


def _spacing(points: Array) -> float:
    if len(points) < 2 or not np.isfinite(points).all():
        return 0.0
    from scipy.spatial import cKDTree

    return float(cKDTree(points).query(points, k=2)[0][:, 1].max())
