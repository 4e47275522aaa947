"""Adapters and bridges from tables: ``use = "name"`` and its options, nested where a bridge nests."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, TypeAlias

from scalespan.adapters.interface import (
    ADAPTERS,
    Adapter,
    EngineMissing,
    OptionError,
    Registry,
    ScalespanError,
    nearest,
)

from .bridge import Coupling

BRIDGES = Registry("scalespan.bridges")

Parts: TypeAlias = Mapping[str, Adapter]
Maker: TypeAlias = Callable[..., Adapter]


def build(
    table: Mapping[str, Any],
    *,
    where: str,
    folder: Path | None = None,
    coupling: Callable[[], Coupling] | None = None,
) -> Adapter:
    """Return the adapter that a table describes.

    A class with ``parts``, a tuple of names, is a bridge: the sub-tables of those names are
    built first and handed to its constructor by name, after the options. A class with
    ``coupled = True`` asks a partner for its answers, and is handed ``coupling``, which makes
    the coupling of this process when it is first called for.

    Raises:
        OptionError: no ``use``, or a name that neither adapters nor bridges know.
        EngineMissing: an engine that is not installed.
        CaseError: options that do not fit each other or their files.
    """
    if "use" not in table:
        raise OptionError(
            "the key 'use' is missing", where=where, todo='add use = "NAME" (scalespan list shows the names)'
        )
    name = str(table["use"])
    options = {key: value for key, value in table.items() if key != "use"}
    try:
        found = class_of(table, folder)
        tables = _take_parts(name, getattr(found, "parts", ()), options)
    except (OptionError, EngineMissing) as error:
        raise error.at(where) from error
    parts = {
        part: build(table, where=f"{where}.{part}", folder=folder, coupling=coupling) for part, table in tables.items()
    }
    read = found.Options.read(options, where=where, folder=folder)
    maker: Maker = found
    try:
        return maker(read, coupling=coupling) if getattr(found, "coupled", False) else maker(read, **parts)
    except ScalespanError as error:
        raise error.at(where) from error


def class_of(table: Mapping[str, Any], folder: Path | None) -> type[Adapter]:
    """Return the class that a table names in its ``use``; nothing is built.

    Raises:
        OptionError: a name that neither adapters nor bridges know.
        EngineMissing: an engine that is not installed.
    """
    name, bridges = str(table["use"]), set(BRIDGES.names())
    if name in bridges:
        return BRIDGES.find(name)
    if name not in ADAPTERS.names(folder):
        raise OptionError(f"nothing is called '{name}'", todo=nearest(name, bridges | set(ADAPTERS.names())))
    return ADAPTERS.find(name, folder)


def _take_parts(name: str, parts: tuple[str, ...], options: dict[str, Any]) -> dict[str, Any]:
    """Move the tables of ``parts`` out of ``options``; a table with ``use`` that is no part is refused."""
    for key, value in options.items():
        if isinstance(value, Mapping) and "use" in value and key not in parts:
            todo = nearest(key, parts) if parts else "only a bridge has parts, such as embedding"
            raise OptionError(f"'{name}' has no part '{key}'", todo=todo)
    return {part: options.pop(part) for part in parts if part in options}
