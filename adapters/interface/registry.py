"""From a name to a class: a file beside the case, a file in the package, an entry point elsewhere.

A name is resolved in that order, and only the module that carries it is imported. A module
belongs to the registry if it defines a concrete subclass of `Adapter` whose ``name`` is its own.
"""

from __future__ import annotations

import hashlib
import importlib
import importlib.metadata
import importlib.util
import inspect
import pkgutil
import sys
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Literal

from .adapter import Adapter
from .engine import EngineImport, EngineProgram
from .errors import CaseError, EngineMissing, OptionError, ScalespanError, nearest


@dataclass(frozen=True)
class Entry:
    """One name, and whether it can be used here."""

    name: str
    status: Literal["ready", "missing", "broken"]
    origin: str  # the package, the distribution or the file that it comes from
    hint: str = ""  # missing: what to type; broken: the reason
    summary: str = ""  # the first line of the class's docstring


@dataclass(frozen=True)
class Registry:
    """The classes of one package, with its entry-point group of the same name."""

    package: str  # "scalespan.adapters"

    def find(self, name: str, folder: Path | None = None) -> type[Adapter]:
        """Return the class called ``name``.

        Args:
            name: as in case.toml.
            folder: the case's folder, where a file ``name.py`` comes first.

        Raises:
            OptionError: nobody knows the name.
            EngineMissing: its engine is not installed.
            CaseError: its module cannot be imported, or holds no such class.
        """
        if folder is not None and (folder / f"{name}.py").is_file():
            module = load_file(folder / f"{name}.py")
        elif name in self._files():
            module = self._import(f"{self.package}.{name}")
        elif points := importlib.metadata.entry_points(group=self.package, name=name):
            return _usable(_from_entry_point(next(iter(points))), name)
        else:
            raise OptionError(f"nothing called '{name}' in {self.package}", todo=nearest(name, self.names(folder)))
        return _usable(_class_of(module, name), name)

    def names(self, folder: Path | None = None) -> list[str]:
        """Return every name that `find` may know, importing nothing."""
        points = {point.name for point in importlib.metadata.entry_points(group=self.package)}
        beside = {path.stem for path in folder.glob("*.py")} if folder else set[str]()
        return sorted(self._files() | points | beside)

    def listing(self, folder: Path | None = None) -> list[Entry]:
        """Return what can be used here; a broken one never hides another."""
        return [self._entry(name, folder) for name in self.names(folder)]

    def _entry(self, name: str, folder: Path | None) -> Entry:
        origin = self._origin(name, folder)
        try:
            found = self.find(name, folder)
        except EngineMissing as error:
            return Entry(name, "missing", origin, error.todo)
        except ScalespanError as error:
            return Entry(name, "broken", origin, str(error))
        return Entry(name, "ready", origin, summary=(inspect.getdoc(found) or "").split("\n")[0])

    def _origin(self, name: str, folder: Path | None) -> str:
        if folder is not None and (folder / f"{name}.py").is_file():
            return f"{name}.py"
        if name in self._files():
            return self.package
        point = next(iter(importlib.metadata.entry_points(group=self.package, name=name)))
        return point.dist.name if point.dist else point.value

    def _files(self) -> set[str]:
        paths = importlib.import_module(self.package).__path__
        skip = {"interface", "run"}
        return {module.name for module in pkgutil.iter_modules(paths)} - skip

    def _import(self, module: str) -> ModuleType:
        try:
            return importlib.import_module(module)
        except Exception as error:  # a plug-in may raise anything
            raise CaseError(f"{module} cannot be imported: {error}") from error


def load_file(path: Path) -> ModuleType:
    """Return a Python file beside a case as a module, the same one each time.

    Raises:
        CaseError: it cannot be imported.
    """
    # The name holds the whole path, so that two cases may each have a file of one name.
    key = f"scalespan_case_{hashlib.sha256(str(path.resolve()).encode()).hexdigest()[:12]}_{path.stem}"
    if key in sys.modules:
        return sys.modules[key]
    spec = importlib.util.spec_from_file_location(key, path)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[key] = module
    try:
        spec.loader.exec_module(module)
    except Exception as error:  # a user's file may raise anything
        del sys.modules[key]
        raise CaseError(f"{path} cannot be imported: {error}") from error
    return module


def _from_entry_point(point: importlib.metadata.EntryPoint) -> object:
    try:
        return point.load()
    except Exception as error:  # a plug-in may raise anything
        raise CaseError(f"the entry point {point.name} = {point.value} cannot be loaded: {error}") from error


def _class_of(module: ModuleType, name: str) -> object:
    for value in vars(module).values():
        if inspect.isclass(value) and issubclass(value, Adapter) and vars(value).get("name") == name:
            return value
    raise CaseError(
        f"{module.__file__} defines no adapter called '{name}'",
        todo=f'give one subclass of ParticleAdapter the line name = "{name}"',
    )


def _usable(found: object, name: str) -> type[Adapter]:
    if not (inspect.isclass(found) and issubclass(found, Adapter)):
        raise CaseError(f"'{name}' is {found!r}, not a subclass of Adapter")
    if inspect.isabstract(found):
        lacking = ", ".join(sorted(found.__abstractmethods__))
        raise CaseError(f"'{name}' is not complete: it lacks {lacking}")
    for value in vars(sys.modules[found.__module__]).values():
        if isinstance(value, EngineImport | EngineProgram):
            value.need()
    return found


ADAPTERS = Registry("scalespan.adapters")
