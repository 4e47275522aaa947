"""Guarded imports and programs: an adapter's file can be read where its engine is absent."""

from __future__ import annotations

import shutil
from types import TracebackType

from .errors import EngineMissing


class EngineImport:
    """Holds back the ImportError of a ``with`` block until the engine is really used.

        with EngineImport("openmm", install="pip install 'scalespan[openmm]'") as engine:
            import openmm

        class OpenMMAdapter(ForceField):
            def __init__(self, ...):
                engine.need()

    Only an absent module is held back; a broken installation raises at once.
    """

    def __init__(self, name: str, install: str) -> None:
        self.name, self.install = name, install
        self.missing: ModuleNotFoundError | None = None

    def __enter__(self) -> EngineImport:
        """Enter the block of imports."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> bool:
        """Keep a ModuleNotFoundError for later, let all else pass."""
        if isinstance(error, ModuleNotFoundError):
            self.missing = error
            return True
        return False

    def need(self) -> None:
        """Raise EngineMissing if the import failed."""
        if self.missing is not None:
            raise EngineMissing.named(self.name, self.install) from self.missing


class EngineProgram:
    """An engine that is a program of its own, on the PATH."""

    def __init__(self, name: str, install: str) -> None:
        self.name, self.install = name, install

    def need(self) -> str:
        """Return where it is.

        Raises:
            EngineMissing: it is not on the PATH.
        """
        found = shutil.which(self.name)
        if found is None:
            raise EngineMissing(f"no program '{self.name}' on the PATH", todo=f"type: {self.install}")
        return found
