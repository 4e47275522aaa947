"""Restart files: the state of a run on disk, with what must not have changed since.

`results/restart.npz` holds the arrays of a `State` under ``state/`` and a JSON header: how far
the run is, the lengths of the growing files at that moment, and a fingerprint of the case. It
is replaced by an atomic rename, so at any moment there is one, and it is whole. Where steps are
so fast that waiting for the disk would slow them, only some are waited for; a power failure may
then damage it, and `results/restart.safe.npz` is the last one that certainly is on disk.
"""

from __future__ import annotations

import hashlib
import io
import json
import tomllib
import zipfile
import zlib
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from scalespan.adapters.interface import CaseError, State, under

from .files import link_whole, write_whole

FORMAT = 1
# What may change between the parts of one run: how long it is and how often it is saved.
_FREE = frozenset(
    {
        "title",
        "task.duration",
        "task.max_steps",
        "output.restart_every",
        "coupling.with",
        "coupling.patience",
    }
)

Fingerprint = Mapping[str, Any]


@dataclass(frozen=True)
class Header:
    """How far a run is, and what belongs to that moment."""

    position: int  # steps, points or displacements that are done
    lengths: Mapping[str, int]  # bytes of each growing file, by name
    fingerprint: Fingerprint  # key of case.toml, or file -> what it was
    versions: Mapping[str, str]  # of the engines that came so far
    clock: Mapping[str, float]  # s, spent so far, by what on
    restarts: int = 0  # how often the run has been continued
    format: int = FORMAT


@dataclass(frozen=True)
class Restart:
    """One restart file."""

    header: Header
    state: State

    def write(self, path: Path, *, sync: bool = True) -> None:
        """Replace ``path``; with ``sync`` wait for the disk, and keep a second name, ``restart.safe.npz``.

        Raises:
            CaseError: it cannot be written; the restart file before it is still whole.
        """
        write_whole(path, self.data(), sync=sync)
        if sync:
            link_whole(path, _safe(path))

    def data(self) -> bytes:
        """Return the file's content."""
        header = np.frombuffer(json.dumps(asdict(self.header)).encode(), dtype=np.uint8)
        buffer = io.BytesIO()
        np.savez(buffer, header=header, **{f"state/{key}": value for key, value in self.state.items()})  # type: ignore[arg-type]
        return buffer.getvalue()

    @classmethod
    def read(cls, path: Path) -> Restart:
        """Return what ``path`` holds.

        Raises:
            CaseError: it is damaged, or of another format.
        """
        try:
            with np.load(path, allow_pickle=False) as file:
                arrays = {key: file[key] for key in file.files}
            header = Header(**json.loads(arrays.pop("header").tobytes()))
        except (OSError, ValueError, KeyError, TypeError, EOFError, zipfile.BadZipFile, zlib.error) as error:
            older = f"copy the older {_safe(path).name} over it, or " if _safe(path).exists() else ""
            raise CaseError(
                f"this restart file is damaged ({type(error).__name__}: {error})",
                where=str(path),
                todo=f"{older}run without --restart",
            ) from error
        if header.format != FORMAT:
            raise CaseError(
                f"this restart file has the format {header.format}, not {FORMAT}",
                where=str(path),
                todo="continue with the scalespan that wrote it",
            )
        return cls(header, under("state", arrays))

    def need_same(self, now: Fingerprint, where: Path) -> None:
        """Raise CaseError that names the first thing of the case that is not as it was."""
        was = self.header.fingerprint
        for key in sorted(was.keys() | now.keys()):
            if was.get(key) != now.get(key):
                raise CaseError(
                    f"the case has changed since the run began: {_change(key, was, now)}",
                    where=str(where),
                    todo="change it back, or run without --restart",
                )


def _safe(path: Path) -> Path:
    return path.with_suffix(f".safe{path.suffix}")


def fingerprint(folder: Path) -> Fingerprint:
    """Return what a case's trajectory depends on: the keys of `case.toml`, the contents of the files it names."""
    table = tomllib.loads((folder / "case.toml").read_text(encoding="utf-8"))
    leaves = _leaves(table, "")
    files = {f"file {name}": _digest(folder / name) for name in _named_files(leaves, folder)}
    return {key: value for key, value in leaves.items() if key not in _FREE} | files


def _leaves(node: Any, key: str) -> dict[str, Any]:
    if isinstance(node, dict):
        parts = [_leaves(value, f"{key}.{name}" if key else name) for name, value in node.items()]
    elif isinstance(node, list) and any(isinstance(value, dict | list) for value in node):
        parts = [_leaves(value, f"{key}[{i}]") for i, value in enumerate(node)]
    else:
        return {key: node if isinstance(node, str | int | float | bool | list) else str(node)}
    return {name: value for part in parts for name, value in part.items()}


def _named_files(leaves: Mapping[str, Any], folder: Path) -> list[str]:
    """Return the texts that name a file, and the modules beside the case that ``use`` may name."""
    words = [word for value in leaves.values() for word in (value if isinstance(value, list) else [value])]
    texts = {word for word in words if isinstance(word, str) and 0 < len(word) < 200 and "\0" not in word}
    return sorted(name for text in texts for name in (text, f"{text}.py") if (folder / name).is_file())


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _change(key: str, was: Fingerprint, now: Fingerprint) -> str:
    if key.startswith("file "):
        name = key.removeprefix("file ")
        return f"the file {name} is {'another' if key in was and key in now else 'new or gone'}"
    before, after = (json.dumps(each[key]) if key in each else "not there" for each in (was, now))
    return f"{key} was {before} and is {after}"
