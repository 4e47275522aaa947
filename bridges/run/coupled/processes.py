"""Processes that never outlive their run: each in a session of its own, all of which a guard ends.

Killing a process group is not enough: mpirun gives each rank a group of its own. A session is
kept by all that a program starts, unless it makes itself a daemon.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable, Sequence
from pathlib import Path

from ..files import unwritable
from . import guard

_PAUSE = 0.02  # s between two looks
_SOFT = 1.5  # s between asking a program to end and ending it


class Program:
    """One program and all that it starts, with a folder of its own for temporary files.

    Two mpirun of Open MPI 5 that start at one time in one such folder may stop each other.

    Args:
        command: what to run.
        folder: where it is started.
        log: the file that gets all that it prints.
    """

    def __init__(self, command: Sequence[str], folder: Path, log: Path) -> None:
        self.scratch = tempfile.mkdtemp(prefix="scalespan-")
        try:
            with log.open("ab") as output:
                self._process = subprocess.Popen(
                    command,
                    cwd=folder,
                    stdin=subprocess.DEVNULL,
                    stdout=output,
                    stderr=subprocess.STDOUT,
                    env={**os.environ, "TMPDIR": self.scratch},
                    start_new_session=True,
                )
        except OSError as error:
            raise unwritable(Path(error.filename or command[0]), error) from error
        self.session = self._process.pid

    @property
    def status(self) -> int | None:
        """None while it runs; its exit status; minus the signal that ended it, or a rank of it."""
        found = self._process.poll()
        signalled = found is not None and 128 < found <= 128 + signal.SIGRTMAX  # as shells and mpirun say it
        return 128 - found if found is not None and signalled else found

    def send(self, number: signal.Signals) -> None:
        """Send a signal to all its processes."""
        guard.send(self.session, number)


def end_all(programs: Iterable[Program]) -> None:
    """End what still runs: first by asking, then by force."""
    programs = list(programs)
    left = [each for each in programs if each.status is None]
    for each in left:
        each.send(signal.SIGTERM)
    until = time.monotonic() + _SOFT
    while any(each.status is None for each in left) and time.monotonic() < until:
        time.sleep(_PAUSE)
    for each in programs:  # also those whose first process has ended: it may have left others
        each.send(signal.SIGKILL)
    for each in left:
        while each.status is None:
            time.sleep(_PAUSE)
    for each in programs:
        shutil.rmtree(each.scratch, ignore_errors=True)


class Guard:
    """A process that outlives this one by a moment, to end its programs where this one was killed."""

    def __init__(self) -> None:
        script = [sys.executable, "-I", "-S", guard.__file__]
        self._process = subprocess.Popen(script, stdin=subprocess.PIPE, start_new_session=True, text=True)

    def watch(self, program: Program) -> None:
        """Take a program under guard."""
        self._say(str(program.session))

    def dismiss(self) -> None:
        """Send the guard home: all programs have ended."""
        self._say(guard.FAREWELL)
        with contextlib.suppress(BrokenPipeError):
            self._process.communicate()

    def _say(self, word: str) -> None:
        assert self._process.stdin is not None
        with contextlib.suppress(BrokenPipeError):  # somebody has killed the guard
            print(word, file=self._process.stdin, flush=True)
