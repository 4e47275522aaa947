"""Participants as processes of their own, which always come to an end: preCICE can wait for ever, and can abort."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

HERE = Path(__file__).parent


@dataclass(frozen=True)
class Ended:
    """What one process left behind."""

    status: int  # negative: the signal that ended it
    output: str  # stdout and stderr


def run_all(
    folder: Path,
    commands: Mapping[str, Sequence[object]],
    timeout: float = 60.0,
    last: str = "",
    launch: Mapping[str, Sequence[str]] | None = None,
) -> dict[str, Ended]:
    """Run Python with each command in ``folder``, all at once, and end whatever is left after ``timeout`` seconds.

    With ``last``, the others are ended once that one has: a partner that waits for it would wait for ever. ``launch``
    is what to put before Python, such as mpirun.
    """
    logs = {name: (folder / f"{name}.log").open("w+") for name in commands}
    started = {}
    try:
        for name, command in commands.items():
            started[name] = subprocess.Popen(
                [*(launch or {}).get(name, ()), sys.executable, *map(str, command)],
                cwd=folder,
                stdout=logs[name],
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        for name in [last] if last else started:
            with suppress(subprocess.TimeoutExpired):
                started[name].wait(timeout)
    finally:
        for process in started.values():
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()
        for log in logs.values():
            log.close()
    return {name: Ended(each.returncode, (folder / f"{name}.log").read_text()) for name, each in started.items()}
