"""Fields on equal squares, as VTK's image data, which ParaView reads."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from xml.etree import ElementTree

from scalespan.adapters.interface import Array

from .grid import Grid


def write_image(path: Path, grid: Grid, fields: Mapping[str, Array]) -> None:
    """Write the values (k,) of each rectangle of a grid, by name."""
    extent = f"0 {grid.counts[0]} 0 {grid.counts[1]} 0 0"
    root = ElementTree.Element("VTKFile", type="ImageData", version="1.0")
    low, size = (" ".join(repr(float(each)) for each in pair) for pair in (grid.low, grid.size))
    image = ElementTree.SubElement(root, "ImageData", WholeExtent=extent, Origin=f"{low} 0.0", Spacing=f"{size} 1.0")
    data = ElementTree.SubElement(ElementTree.SubElement(image, "Piece", Extent=extent), "CellData")
    for name, values in fields.items():
        array = ElementTree.SubElement(data, "DataArray", type="Float64", Name=name, format="ascii")
        along_x_first = values.reshape(grid.counts).T.ravel()
        array.text = " ".join(f"{each:.9g}" for each in along_x_first)
    ElementTree.ElementTree(root).write(path, xml_declaration=True)
