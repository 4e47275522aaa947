"""What the engines say while a case runs: kept in `results/run.log`."""

from __future__ import annotations

import logging
from pathlib import Path
from types import TracebackType

_LOUD = "scalespan"  # heard from INFO on, all other loggers from WARNING on


class _File(logging.FileHandler):
    def handleError(self, record: logging.LogRecord) -> None:
        """Stay silent: on a full disk the run itself says what is wrong."""


class RunLog(logging.Handler):
    """Hears all loggers within a ``with`` block; what comes before `open` waits in memory.

    The model is built, and says which platform it runs on, before the results folder is made.
    """

    def __init__(self) -> None:
        super().__init__()
        self._waiting: list[logging.LogRecord] = []
        self._file: _File | None = None

    def __enter__(self) -> RunLog:
        """Start to listen."""
        logging.getLogger().addHandler(self)
        logging.captureWarnings(True)
        logging.getLogger(_LOUD).setLevel(logging.INFO)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Stop listening and close the file."""
        logging.getLogger().removeHandler(self)
        logging.captureWarnings(False)
        logging.getLogger(_LOUD).setLevel(logging.NOTSET)
        self.close()

    def open(self, path: Path) -> None:
        """Append to ``path`` all that was and will be said."""
        self._file = _File(path, encoding="utf-8")
        self._file.setFormatter(logging.Formatter("%(asctime)s  %(levelname)-7s  %(name)s: %(message)s"))
        for record in self._waiting:
            self._file.emit(record)
        self._waiting.clear()

    def emit(self, record: logging.LogRecord) -> None:
        """Write one record, or keep it until there is a file."""
        if self._file is None:
            self._waiting.append(record)
        else:
            self._file.emit(record)

    def close(self) -> None:
        """Close the file."""
        if self._file is not None:
            self._file.close()
        super().close()


def keep_log(path: Path) -> None:
    """Let every listening `RunLog` write to ``path``, whose folder now exists."""
    for handler in logging.getLogger().handlers:
        if isinstance(handler, RunLog):
            handler.open(path)
