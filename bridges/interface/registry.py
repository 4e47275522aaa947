"""Adapters and bridges from tables: ``use = "name"`` and its options, nested where a bridge nests."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, TypeAlias

from scalespan.adapters.interface import ADAPTERS, Adapter, OptionError, Registry, nearest

BRIDGES = Registry("scalespan.bridges")

Parts: TypeAlias = Mapping[str, Adapter]
Maker: TypeAlias = Callable[..., Adapter]


def build(table: Mapping[str, Any], *, where: str, folder: Path | None = None) -> Adapter:
    """Return the adapter that a table describes.

    A class with ``parts``, a tuple of names, is a bridge: the sub-tables of those names are
    built first and handed to its constructor by name, after the options.

    Raises:
        OptionError: no ``use``, or a name that neither adapters nor bridges know.
    """
    if "use" not in table:
        raise OptionError(
            "the key 'use' is missing", where=where, todo='add use = "NAME" (scalespan list shows the names)'
        )
    name = table["use"]
    options = {key: value for key, value in table.items() if key != "use"}
    bridges = set(BRIDGES.names())
    if name not in bridges and name not in ADAPTERS.names(folder):
        known = bridges | set(ADAPTERS.names())
        raise OptionError(f"nothing is called '{name}'", where=where, todo=nearest(str(name), known))
    found = BRIDGES.find(name) if name in bridges else ADAPTERS.find(name, folder)
    parts: dict[str, Adapter] = {}
    for part in getattr(found, "parts", ()):
        if part in options:
            parts[part] = build(options.pop(part), where=f"{where}.{part}", folder=folder)
    read = found.Options.read(options, where=where, folder=folder)
    maker: Maker = found
    return maker(read, **parts)
