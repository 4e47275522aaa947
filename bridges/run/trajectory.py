"""Trajectories: extxyz text that every tool reads, or compact DCD, frame by frame into a growing file."""

from __future__ import annotations

import io
import struct
import tempfile
from pathlib import Path
from typing import Protocol

import numpy as np
from ase import Atoms

from scalespan.adapters.interface import EngineMissing
from scalespan.adapters.interface.units import FEMTOSECOND

from .files import GrowingFile


class Trajectory(Protocol):
    """Frames of the same atoms."""

    def frame(self, atoms: Atoms) -> None:
        """Append one frame; `atoms.info` goes with it where the format has room."""


class NoTrajectory:
    """Keeps nothing."""

    def frame(self, atoms: Atoms) -> None:
        """Drop the frame."""


class ExtxyzTrajectory:
    """The extended XYZ format: https://github.com/libAtoms/extxyz ; positions in Å to 1e-8."""

    def __init__(self, file: GrowingFile) -> None:
        self._file = file

    def frame(self, atoms: Atoms) -> None:
        """Append one frame with all its arrays and `info`."""
        self._file.append(extxyz(atoms))


class DcdTrajectory:
    """CHARMM's DCD: single precision, 12 bytes an atom. MDAnalysis makes the records.

    The file always carries the right number of frames in its header.
    """

    def __init__(self, file: GrowingFile, interval: float) -> None:
        try:
            from MDAnalysis.lib.formats.libdcd import DCDFile
        except ModuleNotFoundError as error:
            raise EngineMissing.named("MDAnalysis", "pip install 'scalespan[select]'") from error
        self._file, self._interval, self._dcd = file, interval, DCDFile

    def frame(self, atoms: Atoms) -> None:
        """Append one frame: positions and cell."""
        header, frame = self._encode(atoms)
        if self._file.length == 0:
            self._file.append(header)
        count = (self._file.length - len(header)) // len(frame) + 1
        self._file.append(frame)
        # NSET is the first integer after the record mark and the word CORD.
        self._file.patch(struct.pack("<i", count), 8)

    def _encode(self, atoms: Atoms) -> tuple[bytes, bytes]:
        periodic = atoms.cell.rank == 3
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "frame.dcd"
            with self._dcd(str(path), "w") as dcd:
                # CHARMM's time unit (AKMA) is 48.888 fs
                delta = self._interval / FEMTOSECOND / 48.88821
                dcd.write_header("scalespan", len(atoms), 0, 1, delta, int(periodic))
                box = atoms.cell.cellpar() if periodic else np.zeros(6)
                dcd.write(atoms.positions.astype(np.float32), box)
            data = path.read_bytes()
        # X, Y and Z are records of 4 n bytes between two marks; a cell is one of 48 before them.
        frame = 3 * (4 * len(atoms) + 8) + (56 if periodic else 0)
        return data[:-frame], data[-frame:]


def extxyz(atoms: Atoms) -> bytes:
    """Return one frame as text, without asking its calculator."""
    buffer = io.StringIO()
    from ase.io.extxyz import write_extxyz  # here, because it brings half of SciPy

    write_extxyz(buffer, atoms, write_results=False)
    return buffer.getvalue().encode()
