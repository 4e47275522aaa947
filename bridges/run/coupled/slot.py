"""One small message in a file of fixed size, replaced in place: it gets through when the disk is full.

A participant leaves two in its folder: ``status.json``, where it is, and ``end.json``, how it ended.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from scalespan.adapters.interface import CouplingError, ScalespanError

from ..files import unwritable

_SIZE = 4096  # bytes; one page, so that a reader sees a whole message


class Slot:
    """The file at ``path``, empty until `put`.

    Raises:
        CaseError: it cannot be made.
    """

    def __init__(self, path: Path) -> None:
        try:
            self._fd = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
            if os.fstat(self._fd).st_size != _SIZE:
                os.pwrite(self._fd, b" " * _SIZE, 0)
        except OSError as error:
            raise unwritable(path, error) from error

    def put(self, message: Mapping[str, Any]) -> None:
        """Replace the message; texts that are too long are cut."""
        data = json.dumps(message).encode()
        if len(data) > _SIZE:
            cut = {key: value[:600] if isinstance(value, str) else value for key, value in message.items()}
            data = json.dumps(cut).encode()
        os.pwrite(self._fd, data.ljust(_SIZE), 0)

    def close(self) -> None:
        """Give the file back."""
        os.close(self._fd)


def told(error: ScalespanError, at: float) -> dict[str, Any]:
    """Return the message for an error at the time ``at`` (s)."""
    return {"status": error.status, "error": str(error), "kind": type(error).__name__, "at": at}


def retold(message: Mapping[str, Any]) -> ScalespanError:
    """Return the error of a message, of the class that it had."""
    known, kinds = [ScalespanError], {}
    while known:
        kind = known.pop()
        kinds[kind.__name__] = kind
        known += kind.__subclasses__()
    return kinds.get(str(message["kind"]), CouplingError)(str(message["error"]))


def peek(path: Path) -> dict[str, Any]:
    """Return the message in the file at ``path``; nothing where there is none yet."""
    try:
        found: dict[str, Any] = json.loads(path.read_bytes())
    except (OSError, ValueError):
        return {}
    return found
