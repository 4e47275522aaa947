"""The last one out: a script that ends programs when the process that started them is killed.

It reads their session numbers from its standard input until that ends, which it does however the
other process dies. It needs nothing but Python's own modules, so it starts in a moment.
"""

from __future__ import annotations

import contextlib
import os
import signal
import sys
from pathlib import Path

FAREWELL = "done"


def members(session: int) -> list[int]:
    """Return the processes of a session."""
    if not Path("/proc/self/stat").exists():  # not Linux: the group of the first process is what can be known
        return [-session]
    found = []
    for path in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError, IndexError):
            fields = path.read_text().rpartition(")")[2].split()
            if int(fields[3]) == session and fields[0] != "Z":
                found.append(int(path.parent.name))
    return found


def send(session: int, number: int) -> None:
    """Send a signal to all processes of a session."""
    for process in members(session):
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.kill(process, number)


if __name__ == "__main__":
    for _number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(_number, signal.SIG_IGN)
    _words = sys.stdin.read().split()
    for _session in [] if FAREWELL in _words else _words:
        send(int(_session), signal.SIGKILL)
