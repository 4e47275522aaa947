"""The errors, and the exit status each one gives the command line.

    ScalespanError                 1  our bug, unless a subclass says otherwise
    ├── CaseError                  2  the case is wrong: correct the input
    │   ├── OptionError            2  an unknown key, a missing one, a value of the wrong kind
    │   ├── UnitError              2  a quantity without a unit, or with one of another dimension
    │   ├── AtomsError             2  atoms that an adapter cannot take: shape, element, cell, NaN
    │   ├── RegionError            2  a region that is empty, unknown or cannot be embedded
    │   ├── BoundaryError          2  a covalent cut that should not be made
    │   ├── ChargeError            2  charges that do not add up
    │   └── NotOffered             2  a quantity or a task that this adapter does not offer
    ├── EngineMissing              3  an engine is not installed: install it
    ├── EngineFailed               4  an engine raised or returned nonsense
    │   └── NotConverged           4  an iteration ended without an answer
    └── CouplingError              5  participants could not be kept together

An error is one sentence that says what is wrong, where, and what to do. Foreign
errors are translated once, at the engine line, with ``raise … from``.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable
from difflib import get_close_matches
from functools import partial


class ScalespanError(Exception):
    """The root. ``what`` is wrong, ``where`` (file, key, atom), what ``todo``."""

    status = 1

    def __init__(self, what: str, *, where: str = "", todo: str = "") -> None:
        self.what, self.where, self.todo = what, where, todo
        super().__init__(what, where, todo)

    def __str__(self) -> str:
        """The sentence: ``where: what; todo``."""
        text = f"{self.where}: {self.what}" if self.where else self.what
        return f"{text}; {self.todo}" if self.todo else text

    def __reduce__(self) -> tuple[Callable[[], ScalespanError], tuple[()]]:
        """Let it be pickled: one rank fails, and all raise the same."""
        return partial(type(self), self.what, where=self.where, todo=self.todo), ()

    def at(self, where: str) -> ScalespanError:
        """Return the same error with its place put before the place it already names."""
        return type(self)(self.what, where=f"{where}: {self.where}" if self.where else where, todo=self.todo)


class CaseError(ScalespanError):
    """The case is wrong; nothing was run."""

    status = 2


class OptionError(CaseError):
    """An option is unknown, missing or of the wrong kind."""


class UnitError(CaseError):
    """A quantity has no unit, or one of another dimension."""


class AtomsError(CaseError):
    """The atoms cannot be taken by this adapter."""


class RegionError(CaseError):
    """A region is empty, unknown or cannot be embedded."""


class BoundaryError(CaseError):
    """A covalent bond is cut where it should not be."""


class ChargeError(CaseError):
    """Charges do not add up."""


class NotOffered(CaseError):
    """A quantity or a task was asked of an adapter that does not offer it."""


class EngineMissing(ScalespanError):
    """An engine is not installed in this Python."""

    status = 3

    @classmethod
    def named(cls, engine: str, install: str, ready: Iterable[str] = ()) -> EngineMissing:
        """Return the error for one engine: what to type, for which Python, what is ready instead."""
        others = ", ".join(sorted(ready))
        return cls(
            f"{engine} is not installed for {sys.executable}",
            todo=f"type: {install}" + (f" (ready here: {others})" if others else ""),
        )


class EngineFailed(ScalespanError):
    """An engine raised an error or gave an answer that is not finite."""

    status = 4


class NotConverged(EngineFailed):
    """An iteration ended without an answer; the message says what was tried."""


class CouplingError(ScalespanError):
    """The participants could not be kept together."""

    status = 5


def nearest(name: str, known: Iterable[str]) -> str:
    """Return ``did you mean 'x'?``, or the list of what is known where nothing is near."""
    known = sorted(known)
    match = get_close_matches(name, known, n=1)
    return f"did you mean '{match[0]}'?" if match else "known: " + ", ".join(known)
