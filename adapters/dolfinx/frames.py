"""Field files for ParaView: one index over pieces, whole on disk after each frame."""

from __future__ import annotations

from pathlib import Path
from typing import Any
from xml.etree import ElementTree

from ..interface import EngineImport
from .versions import INSTALL

with EngineImport("dolfinx", install=INSTALL) as engine:
    from dolfinx import io

# A frame at a time that is already there, after a restart, takes that one's place.
_ROUNDING = 1e-9


def add_frame(function: Any, folder: Path, time: float) -> None:
    """Write a function as the frame of ``time``, and ``fields.pvd`` that names all frames up to it.

    DOLFINx's own index is on disk only when its file is closed, and begins anew when it is opened again.
    """
    comm = function.function_space.mesh.comm
    index = folder / "fields.pvd"
    kept = comm.bcast(_before(index, time) if comm.rank == 0 else None)
    piece = f"fields_{len(kept):06d}"
    _write_piece(function, folder / f"{piece}.pvd", time)
    if comm.rank == 0:
        (folder / f"{piece}.pvd").unlink()
        _write(index, [*kept, (time, f"{piece}000000.pvtu")])
    comm.barrier()


def _write_piece(function: Any, path: Path, time: float) -> None:
    # Its own index is written when the file object ends, which is when this function does.
    with io.VTKFile(function.function_space.mesh.comm, path, "w") as file:
        file.write_function(function, time)


def _before(index: Path, time: float) -> list[tuple[float, str]]:
    if not index.exists():
        return []
    sets = ElementTree.parse(index).getroot().iter("DataSet")
    found = [(float(each.attrib["timestep"]), each.attrib["file"]) for each in sets]
    return [(at, piece) for at, piece in found if at < time - _ROUNDING * abs(time)]


def _write(index: Path, frames: list[tuple[float, str]]) -> None:
    root = ElementTree.Element("VTKFile", type="Collection", version="0.1")
    collection = ElementTree.SubElement(root, "Collection")
    for time, piece in frames:
        ElementTree.SubElement(collection, "DataSet", timestep=repr(time), part="0", file=piece)
    whole = index.with_suffix(".new")
    ElementTree.ElementTree(root).write(whole, xml_declaration=True)
    whole.replace(index)
