"""Which versions of what a run was made with."""

from __future__ import annotations

import importlib.metadata
import platform
import re
import sys

from scalespan.adapters.interface import EngineImport

_TOOLS = re.compile(r"extra == ['\"](?:test|docs|dev|all)['\"]")


def versions() -> dict[str, str]:
    """Return name -> version of scalespan, Python, ASE, NumPy and every engine that has been imported."""
    names = ["scalespan", "ase", "numpy", *sorted(_engines())]
    known = {name: version for name in names if (version := _version(name)) is not None}
    return {"python": platform.python_version(), **known}


def _engines() -> set[str]:
    """Return the optional requirements of scalespan, and the engines of its adapters, that are in use."""
    guarded = {
        found.name
        for module in list(sys.modules.values())
        if getattr(module, "__name__", "").startswith("scalespan")
        for found in vars(module).values()
        if isinstance(found, EngineImport)
    }
    wanted = [line for line in importlib.metadata.requires("scalespan") or [] if not _TOOLS.search(line)]
    optional = {re.split(r"[^\w-]", line)[0] for line in wanted if "extra ==" in line}
    return {name for name in guarded | optional if name.replace("-", ".") in sys.modules}


def _version(distribution: str) -> str | None:
    try:
        return importlib.metadata.version(distribution)
    except importlib.metadata.PackageNotFoundError:  # DOLFINx's distribution has another name than its module
        found = getattr(sys.modules.get(distribution), "__version__", None)
        return found if isinstance(found, str) else None
