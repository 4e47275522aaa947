"""LAMMPS, as a program of its own that answers for whole clusters and crystals.

Engine: ``lmp`` on the PATH, tested with LAMMPS of 4 Feb 2025. https://www.lammps.org; A. P. Thompson et al.,
Comput. Phys. Commun. 271, 108171 (2022), doi:10.1016/j.cpc.2021.108171

LAMMPS is under the GPL: it is never imported. It lives as long as the adapter, keeps its potential, and hears commands
on its standard input. Positions and forces go through its own binary dump files, to the last digit: ``read_dump`` puts
the atoms, ``run 0`` finds neighbours and computes, ``write_dump`` gives the forces. So an answer depends on the atoms
alone.
"""

from __future__ import annotations

import os
import shutil
import struct
import subprocess
import tempfile
import weakref
from pathlib import Path
from typing import Literal, NamedTuple

import numpy as np
from ase import Atoms
from ase.cell import Cell
from ase.data import atomic_masses, atomic_numbers
from ase.stress import full_3x3_to_voigt_6_stress
from pydantic import Field

from .interface import (
    Array,
    AtomsError,
    CaseFile,
    EngineFailed,
    EngineMissing,
    EngineProgram,
    ExternalCharges,
    OptionError,
    Options,
    ParticleAdapter,
    Quantity,
    Results,
    Table,
    nearest,
)
from .interface.units import KCAL_PER_MOL

_KEPT = 4  # processes, one for each composition: a handshake asks for two of them in turns
_MARK = "scalespan:"
_ROOM = 1.0  # Å around free atoms
_MAGIC = b"DUMPCUSTOM"
# Not for a process that an MPI program starts: it would take itself for one of that program's ranks.
_OF_THIS_RANK = ("PMIX_", "PMI_", "OMPI_COMM_", "OMPI_UNIVERSE_")


class _Units(NamedTuple):
    energy: float  # eV
    pressure: float  # LAMMPS's nktv2p: its pressure is its virial over the volume, times this


_UNITS = {"metal": _Units(1.0, 1.6021765e6), "real": _Units(KCAL_PER_MOL, 68568.415)}

program = EngineProgram("lmp", install="apt-get install lammps, or conda install conda-forge::lammps")


class LAMMPSOptions(Options):
    """The interaction, in LAMMPS's own words."""

    elements: list[str] = Field(min_length=1)  # of LAMMPS's atom types 1, 2, …
    interaction: list[str] = Field(min_length=1)  # lines of LAMMPS's input: pair_style, pair_coeff, …
    files: list[CaseFile] = Field(default_factory=list)  # that those lines name, there without a folder
    units: Literal["metal", "real"] = "metal"  # of those lines
    launcher: list[str] = Field(default_factory=list)  # goes before lmp, such as ["mpirun", "-np", "4"]
    arguments: list[str] = Field(default_factory=list)  # go after it, such as ["-suffix", "opt"]


class LAMMPSAdapter(ParticleAdapter):
    """LAMMPS in a process of its own, with any of its pair styles."""

    name = "lammps"
    Options = LAMMPSOptions
    offers = frozenset({Quantity.ENERGY, Quantity.FORCES, Quantity.STRESS})

    def __init__(self, options: LAMMPSOptions) -> None:
        """Nothing is started before the first question."""
        program.need()
        self.options = options
        for symbol in options.elements:
            if symbol not in atomic_numbers:
                todo = nearest(symbol, atomic_numbers)
                raise OptionError(f"there is no element '{symbol}'", where="elements", todo=todo)
        self._types = np.zeros(max(atomic_numbers.values()) + 1)
        self._types[[atomic_numbers[symbol] for symbol in options.elements]] = 1.0 + np.arange(len(options.elements))
        self.elements = frozenset(int(number) for number in np.flatnonzero(self._types))
        self._processes: dict[tuple[bytes, bytes], _Process] = {}

    def _compute(self, atoms: Atoms, wanted: frozenset[Quantity], charges: ExternalCharges | None) -> Results:
        key = (atoms.numbers.tobytes(), atoms.pbc.tobytes())
        process = self._processes.pop(key, None) or self._started()
        box = _Box(atoms)
        try:
            energy, pressures, forces = process.answer(box, self._types[atoms.numbers])
        except BaseException:  # an interrupt too: what is still to be read would be taken for the next answer
            process.close()
            raise
        self._processes[key] = process
        unit = _UNITS[self.options.units]
        stress = None
        if Quantity.STRESS in wanted:
            xx, yy, zz, yz, xz, xy = pressures * (-unit.energy / unit.pressure)
            tensor = np.array([[xx, xy, xz], [xy, yy, yz], [xz, yz, zz]])
            stress = full_3x3_to_voigt_6_stress(box.turn.T @ tensor @ box.turn)
        return Results(energy=unit.energy * energy, forces=unit.energy * forces @ box.turn, stress=stress)

    def _started(self) -> _Process:
        while len(self._processes) >= _KEPT:
            self._processes.pop(next(iter(self._processes))).close()
        return _Process(self.options)

    def audit(self, atoms: Atoms) -> list[Table]:
        """Return the lines that LAMMPS is given."""
        lines = tuple((line,) for line in self.options.interaction)
        return [Table("LAMMPS", (f"interaction, in units {self.options.units}",), lines)]

    def close(self) -> None:
        """End the processes and remove their files."""
        while self._processes:
            self._processes.popitem()[1].close()


class _Process:
    """One ``lmp`` in a folder of its own, for one composition of atoms."""

    def __init__(self, options: LAMMPSOptions) -> None:
        self._options: LAMMPSOptions = options
        self._begun = False
        folder = tempfile.mkdtemp(prefix="scalespan-lammps-")
        self._folder = Path(folder)
        words = [
            *options.launcher,
            program.need(),
            "-echo",
            "none",
            "-screen",
            "none",
            "-log",
            "/dev/stdout",
            *options.arguments,
        ]
        try:
            for file in options.files:
                (self._folder / file.name).symlink_to(file.resolve())
            self._program = subprocess.Popen(
                words,
                cwd=folder,
                env={key: value for key, value in os.environ.items() if not key.startswith(_OF_THIS_RANK)},
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
                errors="replace",
            )
        except OSError as error:
            shutil.rmtree(folder)
            raise EngineMissing(f"LAMMPS cannot be started: {error}", todo="correct launcher or files") from error
        self.close = weakref.finalize(self, _end, self._program, folder)

    def answer(self, box: _Box, types: Array) -> tuple[float, Array, Array]:
        """Return energy, pressures (xx, yy, zz, yz, xz, xy) and forces (n, 3) in LAMMPS's units and axes.

        Raises:
            EngineFailed: LAMMPS ended; the message is its own.
        """
        columns = {"id": 1.0 + np.arange(len(types)), "type": types} | dict(zip("xyz", box.positions.T, strict=True))
        (self._folder / "atoms.bin").write_bytes(box.dump(columns))
        how = "replace yes" if self._begun else "add keep"
        names = ("pe", "pxx", "pyy", "pzz", "pyz", "pxz", "pxy")
        found = self._told(
            *(() if self._begun else self._setup(box, names)),
            f"read_dump atoms.bin 0 x y z box yes {how}",
            *(() if self._begun else self._options.interaction),
            "run 0 post no",
            "write_dump all custom forces.bin id fx fy fz",
            f'print "{_MARK} {" ".join(f"$({name}:%.17g)" for name in names)}"',
            "log /dev/stdout",  # it writes what it has to say when it opens its log anew
        )
        self._begun = True
        energy, *pressures = map(float, found.split())
        return energy, np.array(pressures), _forces((self._folder / "forces.bin").read_bytes(), len(types))

    def _setup(self, box: _Box, names: tuple[str, ...]) -> list[str]:
        symbols = self._options.elements
        return [
            f"units {self._options.units}",
            "atom_style atomic",
            "atom_modify map array sort 0 0.0",
            "boundary " + " ".join("p" if each else "f" for each in box.periodic),
            f"region body {box.region}",
            f"create_box {len(symbols)} body",
            *(f"mass {i} {atomic_masses[atomic_numbers[symbol]]}" for i, symbol in enumerate(symbols, start=1)),
            "neighbor 0.0 bin",
            f"thermo_style custom step {' '.join(names)}",
            "thermo_modify norm no lost error",
        ]

    def _told(self, *lines: str) -> str:
        """Give it lines to do, and return what follows the mark in its output."""
        assert self._program.stdin is not None and self._program.stdout is not None, "they are pipes"
        try:
            self._program.stdin.write("\n".join(lines) + "\n")
            self._program.stdin.flush()
        except BrokenPipeError:
            pass  # its output says why
        heard: list[str] = []
        for line in self._program.stdout:
            if line.startswith(_MARK):
                return line.removeprefix(_MARK)
            heard.append(line.strip())
        status = self._program.wait()
        why = next((line for line in heard if line.startswith("ERROR")), f"it said last: {''.join(heard[-1:])}")
        raise EngineFailed(f"LAMMPS ended with status {status}: {why}", todo="look at interaction and atoms")


def _end(program: subprocess.Popen[str], folder: str) -> None:
    try:
        program.communicate(timeout=5.0)  # the end of its input is its end
    except (subprocess.TimeoutExpired, OSError, ValueError):
        program.kill()
        program.wait()
    for pipe in (program.stdin, program.stdout):
        if pipe is not None and not pipe.closed:
            pipe.close()
    shutil.rmtree(folder, ignore_errors=True)


class _Box:
    """Atoms as LAMMPS takes them: a along x, b in the plane of x and y; along free directions, a box around the atoms.

    ``turn`` is the orthogonal R with x = x' R, x' being LAMMPS's coordinates; it is 1 for free atoms.
    """

    def __init__(self, atoms: Atoms) -> None:
        self.periodic: Array = atoms.pbc.copy()
        self.tilted = bool(self.periodic.any())
        turn, edges = _turned(_completed(atoms)) if self.tilted else (np.eye(3), np.eye(3))
        self.turn: Array = turn
        self.positions: Array = atoms.positions @ turn.T
        self.low: Array = np.where(self.periodic, 0.0, self.positions.min(axis=0) - _ROOM)
        self.high: Array = np.where(self.periodic, np.diag(edges), self.positions.max(axis=0) + _ROOM)
        self.tilts: Array = np.array([edges[1, 0], edges[2, 0], edges[2, 1]])  # xy, xz, yz

    @property
    def region(self) -> str:
        """The words of LAMMPS's ``region``."""
        numbers = [*np.column_stack([self.low, self.high]).ravel(), *(self.tilts if self.tilted else ())]
        return " ".join(["prism" if self.tilted else "block", *(f"{value:.17g}" for value in numbers)])

    def dump(self, columns: dict[str, Array]) -> bytes:
        """Return LAMMPS's binary dump of one step, with the sides of the box around the tilted cell."""
        xy, xz, yz = self.tilts
        low = self.low + np.array([min(0.0, xy, xz, xy + xz), min(0.0, yz), 0.0])
        high = self.high + np.array([max(0.0, xy, xz, xy + xz), max(0.0, yz), 0.0])
        sides = [*np.column_stack([low, high]).ravel(), *(self.tilts if self.tilted else ())]
        walls = np.repeat(np.where(self.periodic, 0, 1), 2)  # periodic, fixed
        names, table = " ".join(columns).encode(), np.column_stack(list(columns.values())).astype("<f8")
        parts = (
            struct.pack(f"<q{len(_MAGIC)}siiqqi", -len(_MAGIC), _MAGIC, 1, 2, 0, len(table), self.tilted),
            struct.pack(f"<6i{len(sides)}d", *walls, *sides),
            struct.pack(f"<iibi{len(names)}s", len(columns), 0, 0, len(names), names),  # no unit's name, no time
            struct.pack("<ii", 1, table.size),  # one block
        )
        return b"".join(parts) + table.tobytes()


def _turned(cell: Array) -> tuple[Array, Array]:
    """Return R and L, lower triangular with a positive diagonal, of a cell L R."""
    turned, upper = np.linalg.qr(cell.T)
    signs = np.sign(np.diag(upper))
    return (turned * signs).T, (upper * signs[:, None]).T


def _completed(atoms: Atoms) -> Array:
    """Return the cell, with unit vectors at right angles to the periodic ones in place of the others."""
    cell = np.where(atoms.pbc[:, None], atoms.cell.array, 0.0)
    if np.linalg.matrix_rank(cell) < atoms.pbc.sum():
        raise AtomsError("a periodic direction has no cell vector of its own", where="lammps")
    return np.asarray(Cell(cell).complete().array)


def _forces(dump: bytes, count: int) -> Array:
    """Return the forces (count, 3) from LAMMPS's binary dump of id, fx, fy and fz, in the order of id."""

    def integer(at: int) -> int:
        return int(struct.unpack_from("<i", dump, at)[0])

    at = 8 - struct.unpack_from("<q", dump)[0] + 4 + 4 + 8 + 8  # magic word, byte order, revision, step, count
    at += 4 + 6 * 4 + (9 if integer(at) else 6) * 8 + 4  # tilted or not, walls, sides, number of columns
    at += 4 + integer(at)  # the unit's name
    at += 1 + 8 * dump[at]  # the time
    at += 4 + integer(at)  # the columns' names
    found = np.empty((count, 3))
    blocks, at = integer(at), at + 4
    for _ in range(blocks):
        size, at = integer(at), at + 4
        block = np.frombuffer(dump, "<f8", size, at).reshape(-1, 4)
        found[block[:, 0].astype(int) - 1] = block[:, 1:]
        at += 8 * size
    return found
