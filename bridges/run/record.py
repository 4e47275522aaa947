"""The results folder of one run, while it is being written.

results/
    summary.json       status, values, checks, versions, times
    case.toml          the case as it was run
    structure.extxyz   the atoms at the start
    energies.csv …     series, one file each
    trajectory.extxyz  frames
    restart.npz        the last moment from which the run can continue
"""

from __future__ import annotations

import fcntl
import json
import os
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from math import inf
from pathlib import Path
from typing import Any

import numpy as np
from ase import Atoms

from scalespan.adapters.interface import Array, CaseError, State

from .files import GrowingFile, unwritable, write_whole
from .restart import Fingerprint, Header, Restart, fingerprint
from .results import Output
from .trajectory import DcdTrajectory, ExtxyzTrajectory, NoTrajectory, Trajectory, extxyz
from .versions import versions


class Series:
    """A CSV file of numbers; the name of a column carries its unit: ``time/fs``."""

    def __init__(self, file: GrowingFile, columns: Sequence[str]) -> None:
        self._file, self._width = file, len(columns)
        if file.length == 0:
            file.append((",".join(columns) + "\n").encode())

    def row(self, values: Sequence[float | int]) -> None:
        """Append one row; a float is written so that it reads back the same."""
        assert len(values) == self._width, "one value for each column"
        cells = (str(value) if isinstance(value, int) else repr(float(value)) for value in values)
        self._file.append((",".join(cells) + "\n").encode())


class Record:
    """Writes the results of one run; `begin` makes a folder or continues one."""

    def __init__(self, folder: Path, same: Fingerprint, restart: Restart | None) -> None:
        self.folder, self.restart = folder, restart
        self._fingerprint, self._lock = same, _locked(folder)
        self._files: dict[str, GrowingFile] = {}
        self._clock: dict[str, float] = dict(restart.header.clock) if restart else {}
        self._since = time.perf_counter()
        self._doing: list[str] = []
        self._ticked = self._since
        self._saved, self._cost = -inf, 0.0
        self._versions = versions()
        self.summary: dict[str, Any] = {}

    @classmethod
    def begin(cls, case: Path, *, restart: bool, folder: Path | None = None) -> Record:
        """Open the results folder of the case at ``case``; CASE/results unless ``folder`` says otherwise.

        Without ``restart`` a folder that is there is renamed to ``results.1``, ``results.2``, …
        With it the run continues from its last restart file, or from its start if it was ended
        before the first one.

        Raises:
            CaseError: nothing to restart from, a changed case, a damaged file, or another run
                that writes there.
        """
        folder, same = folder or case / "results", fingerprint(case)
        if restart:
            found = _last(folder, same, case)
            return cls(folder, same, found)
        return cls.fresh(folder, same)

    @classmethod
    def fresh(cls, folder: Path, same: Fingerprint) -> Record:
        """Open a new ``folder``; one that is there is renamed.

        Raises:
            CaseError: another run writes there, or nobody can.
        """
        if folder.exists():
            os.close(_locked(folder))
            folder.rename(_free_name(folder))
        try:
            folder.mkdir(parents=True)
        except OSError as error:
            raise unwritable(folder, error) from error
        return cls(folder, same, None)

    @property
    def position(self) -> int:
        """How far the run was when the restart file was written; 0 without one."""
        return self.restart.header.position if self.restart else 0

    @property
    def wall_s(self) -> float:
        """Seconds spent so far, earlier parts of the run included."""
        return self._clock.get("total", 0.0) + time.perf_counter() - self._since

    def series(self, name: str, columns: Sequence[str]) -> Series:
        """Return the series ``name``.csv, cut to the restart."""
        return Series(self._grow(f"{name}.csv"), columns)

    def trajectory(self, output: Output, interval: float = 0.0) -> Trajectory:
        """Return the trajectory, cut to the restart; ``interval`` (ASE's time) between frames."""
        if output.trajectory == "none":
            return NoTrajectory()
        file = self._grow(f"trajectory.{output.trajectory}")
        return DcdTrajectory(file, interval) if output.trajectory == "dcd" else ExtxyzTrajectory(file)

    @property
    def restarts(self) -> int:
        """How often the run has been continued."""
        return self.restart.header.restarts + 1 if self.restart else 0

    def due(self) -> bool:
        """Whether waiting for the disk now keeps its cost below a twentieth of the time."""
        return time.perf_counter() - self._saved >= 20.0 * self._cost

    def save(self, position: int, state: State) -> None:
        """Make this moment the one to restart from, whatever kills the run."""
        began = time.perf_counter()
        sync = self._synced()
        self._moment(position, state).write(self.folder / "restart.npz", sync=sync)
        if sync:
            self._saved = time.perf_counter()
            self._cost = self._saved - began

    def save_as(self, path: Path, position: int, state: State) -> None:
        """Keep this moment at ``path``, beside other ones."""
        began = time.perf_counter()
        sync = self._synced()
        write_whole(path, self._moment(position, state).data(), sync=sync)
        if sync:
            self._saved = time.perf_counter()
            self._cost = self._saved - began

    def _synced(self) -> bool:
        """Wait for the disk to have all growing files, where that is due."""
        sync = self.due()
        for file in self._files.values() if sync else ():
            file.sync()
        return sync

    def _moment(self, position: int, state: State) -> Restart:
        lengths = {name: file.length for name, file in self._files.items()}
        return Restart(Header(position, lengths, self._fingerprint, self._versions, self.clock(), self.restarts), state)

    def frame(self, name: str, atoms: Atoms) -> None:
        """Write one structure as ``name``.extxyz."""
        write_whole(self.folder / f"{name}.extxyz", extxyz(atoms))

    def table(self, name: str) -> dict[str, Array]:
        """Return the columns of the series ``name``."""
        return read_series(self.folder / f"{name}.csv")

    def clock(self) -> dict[str, float]:
        """Return the seconds spent, by what on."""
        return self._clock | {"total": self.wall_s}

    @contextmanager
    def timed(self, what: str) -> Iterator[None]:
        """Count the time in the block as spent on ``what``; a block inside takes its own."""
        self._tick()
        self._doing.append(what)
        try:
            yield
        finally:
            self._tick()
            self._doing.pop()

    def _tick(self) -> None:
        """Give the time since the last tick to what is being done; only the innermost block counts."""
        now = time.perf_counter()
        if self._doing:
            self._clock[self._doing[-1]] = self._clock.get(self._doing[-1], 0.0) + now - self._ticked
        self._ticked = now

    def summarise(self, **entries: object) -> None:
        """Add to `summary.json`, and write it."""
        self.summary |= entries
        times = {key: round(value, 3) for key, value in self.clock().items()}
        self.summary |= {"wall_s": times["total"], "times_s": times, "versions": self._versions}
        write_whole(self.folder / "summary.json", json.dumps(self.summary, indent=2, ensure_ascii=False).encode())

    def close(self) -> None:
        """Close all files, and let others write here."""
        for file in self._files.values():
            file.close()
        os.close(self._lock)

    def _grow(self, name: str) -> GrowingFile:
        length = self.restart.header.lengths.get(name, 0) if self.restart else 0
        self._files[name] = GrowingFile(self.folder / name, length)
        return self._files[name]


class NoSeries(Series):
    """Numbers that another rank writes."""

    def __init__(self) -> None: ...

    def row(self, values: Sequence[float | int]) -> None:
        """Write nothing."""


class Follower(Record):
    """What a rank other than 0 writes: nothing; it goes on from where rank 0's restart file says."""

    def __init__(self, folder: Path, restart: Restart | None) -> None:
        self.folder, self.restart, self.summary = folder, restart, {}
        self._clock, self._since, self._doing = {}, time.perf_counter(), []
        self._ticked = self._since

    def series(self, name: str, columns: Sequence[str]) -> Series:
        """Return a series that is written elsewhere."""
        return NoSeries()

    def save(self, position: int, state: State) -> None:
        """Write nothing."""

    def table(self, name: str) -> dict[str, Array]:
        """Return nothing: rank 0 reads it."""
        return {}

    def summarise(self, **entries: object) -> None:
        """Write nothing."""

    def close(self) -> None:
        """Nothing is open."""


def read_series(path: Path) -> dict[str, Array]:
    """Return the columns of a CSV file by name, each (rows,)."""
    with path.open(encoding="utf-8") as file:
        names = file.readline().strip().split(",")
        lines = file.readlines()
    rows = np.loadtxt(lines, delimiter=",", ndmin=2) if lines else np.zeros((0, len(names)))
    return {name: rows[:, i] for i, name in enumerate(names)} if rows.size else {name: np.zeros(0) for name in names}


def read_summary(results: Path) -> dict[str, Any]:
    """Return the `summary.json` of a results folder.

    Raises:
        CaseError: there is none.
    """
    try:
        found: dict[str, Any] = json.loads((results / "summary.json").read_text(encoding="utf-8"))
    except OSError as error:
        raise CaseError("there are no results here", where=str(results), todo="type: scalespan run CASE") from error
    return found


def _last(folder: Path, same: Fingerprint, case: Path) -> Restart | None:
    if not folder.is_dir():
        raise CaseError("there is nothing to restart from", where=str(folder), todo="run without --restart")
    path = folder / "restart.npz"
    if not path.exists():
        if _status(folder) == "finished":
            raise CaseError("this run is finished", where=str(folder), todo="run without --restart to do it again")
        return None
    found = Restart.read(path)
    found.need_same(same, case)
    return found


def _status(folder: Path) -> str:
    try:
        return str(read_summary(folder)["status"])
    except CaseError:
        return "running"


def _free_name(folder: Path) -> Path:
    number = 1
    while (name := folder.with_name(f"{folder.name}.{number}")).exists():
        number += 1
    return name


def _locked(folder: Path) -> int:
    fd = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        os.close(fd)
        raise CaseError(
            "another run is writing here", where=str(folder), todo="wait for its end, or stop it"
        ) from error
    except OSError:
        pass  # some network file systems know no locks
    return fd
