"""Normal modes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal

import numpy as np
import numpy.typing as npt
from ase import Atoms, units
from pydantic import Field

from scalespan.adapters.interface import Array, AtomsError, ParticleAdapter, Quantity, Table
from scalespan.adapters.interface.units import Length, show

from ..files import write_whole
from ..results import Check, Output, Value, need_atoms
from ..trajectory import extxyz
from .task import Findings, Run, Task, describe, force_sizes

# f'(0) from f(k h), k = 1, 2: error of the second and of the fourth order in h
_WEIGHTS: dict[int, dict[int, float]] = {2: {1: 1 / 2}, 4: {1: 2 / 3, 2: -1 / 12}}
_NOISE = 10.0  # 1/cm: below, finite differences cannot tell an imaginary mode from a soft one
_STATIONARY = "normal modes belong to a stationary point: no force"


class Vibrations(Task):
    """Frequencies, modes and zero-point energy by central differences of the forces."""

    kind: ClassVar[str] = "vibrations"
    values: ClassVar[tuple[str, ...]] = (
        "energy",
        "force_max",
        "force_rms",
        "net_force",
        "frequency_{n}",
        "zero_point_energy",
        "imaginary_modes",
        "asymmetry",
    )
    measured: ClassVar[tuple[str, ...]] = ("last",)

    atoms: tuple[int, ...] | None = None  # of a partial Hessian; None: all
    displacement: Length = Field(default="0.01 angstrom", validate_default=True)
    points: Literal[2, 4] = 2  # displacements for each coordinate
    imaginary: int = Field(default=0, ge=0)  # modes that should be imaginary: 0 at a minimum, 1 at a saddle

    def check(self, model: ParticleAdapter, atoms: Atoms, output: Output) -> list[Table]:
        """Raise AtomsError for an atom that does not exist or has no mass."""
        moved = self._moved(atoms)
        need_atoms(moved, atoms, "case.toml: task.atoms")
        if not atoms.get_masses()[moved].all():
            raise AtomsError("an atom without a mass cannot vibrate", where="case.toml: task.atoms")
        rows = (
            ("atoms that move", str(len(moved))),
            ("displacement", show(self.displacement, "angstrom", "length")),
            ("computations of the forces", str(3 * len(moved) * self.points + 1)),
        )
        return [*super().check(model, atoms, output), Table("Vibrations", ("what", "value"), rows)]

    def run(self, run: Run) -> Findings:
        """Displace each coordinate both ways, and find the normal modes."""
        moved = self._moved(run.atoms)
        start = run.model.compute(run.atoms, {Quantity.ENERGY, Quantity.FORCES})
        assert start.energy is not None and start.forces is not None, "compute gives what is wanted"
        run.record.frame("final", describe(self.kind, run.atoms, start.forces, energy=start.energy))
        hessian = self._hessian(run, moved)
        modes = Modes.of(run.atoms, moved, hessian)
        write_whole(run.record.folder / "frequencies.csv", modes.csv())
        write_whole(run.record.folder / "modes.extxyz", modes.frames(run.atoms, moved))
        values = {"energy": Value(start.energy, "eV")} | force_sizes(start.forces[moved]) | modes.values()
        values["asymmetry"] = Value(float(abs(hessian - hessian.T).max() / abs(hessian).max()), "1")
        for name, measure in run.output.measure.items():
            values[f"{name}_last"] = Value(measure.of(run.atoms), measure.unit)
        return Findings(values, self._diagnoses(values))

    def _diagnoses(self, values: dict[str, Value]) -> list[Check]:
        found = {name: values[name].value for name in ("force_max", "imaginary_modes", "asymmetry")}
        expected = float(self.imaginary)
        return [
            Check("force_max", found["force_max"], 0.0, 0.05, "eV/angstrom", _STATIONARY),
            Check("imaginary_modes", found["imaginary_modes"], expected, 0.0, "1", "the key 'imaginary' of the task"),
            Check("asymmetry", found["asymmetry"], 0.0, 0.01, "1", "forces of an energy have a symmetric Hessian"),
        ]

    def _moved(self, atoms: Atoms) -> list[int]:
        return list(range(len(atoms))) if self.atoms is None else list(self.atoms)

    def _hessian(self, run: Run, moved: list[int]) -> Array:
        """Return the second derivatives (3 m, 3 m) eV/Å²."""
        steps = [(c, sign * k) for c in range(3 * len(moved)) for k in _WEIGHTS[self.points] for sign in (1, -1)]
        hessian: Array = np.zeros((3 * len(moved), 3 * len(moved)))
        done = run.record.position
        if run.record.restart:
            hessian = run.record.restart.state["hessian"].astype(np.float64)
        run.progress.start("vibrations", len(steps), done)
        for position, (coordinate, k) in enumerate(steps[done:], start=done + 1):
            with run.record.timed("model"):
                forces = self._displaced(run, moved, coordinate, k)
            weight = _WEIGHTS[self.points][abs(k)] * np.sign(k) / self.displacement
            hessian[coordinate] -= weight * forces[moved].ravel()
            if run.record.due():
                run.record.save(position, {"hessian": hessian})
            run.progress.show(position, f"displacement {position} of {len(steps)}")
        return hessian

    def _displaced(self, run: Run, moved: list[int], coordinate: int, k: int) -> Array:
        atoms = run.atoms.copy()
        atoms.positions[moved[coordinate // 3], coordinate % 3] += k * self.displacement
        forces = run.model.compute(atoms, {Quantity.ENERGY, Quantity.FORCES}).forces
        assert forces is not None, "compute gives what is wanted"
        return forces


@dataclass(frozen=True)
class Modes:
    """Normal modes by rising frequency; an imaginary frequency is a negative number."""

    frequencies: Array  # (3 m,) 1/cm
    energies: Array  # (3 m,) eV, zero where imaginary
    displacements: Array  # (3 m, m, 3) 1/√amu, of length 1/√(reduced mass)
    rigid: Array  # (3 m,) the part, 0 to 1, that moves or turns all atoms as one body

    @classmethod
    def of(cls, atoms: Atoms, moved: list[int], hessian: Array) -> Modes:
        """Return the modes of the symmetric part of ``hessian``; nothing is projected out of it."""
        from ase.vibrations.data import VibrationsData  # here, because it imports matplotlib

        data = VibrationsData.from_2d(atoms, 0.5 * (hessian + hessian.T), indices=moved)
        energies, displacements = data.get_energies_and_modes()
        body = _rigid_motions(atoms) if len(moved) == len(atoms) else np.zeros((0, 3 * len(moved)))
        weighted = displacements * np.sqrt(atoms.get_masses()[moved])[:, None]
        rigid = ((weighted.reshape(len(energies), -1) @ body.T) ** 2).sum(axis=1)
        frequencies = (energies.real - energies.imag) / units.invcm
        return cls(frequencies, energies.real, displacements, rigid)

    @property
    def vibrating(self) -> npt.NDArray[np.bool_]:
        """Which modes (3 m,) are not mainly a motion of all atoms as one body."""
        return self.rigid < 0.5

    def values(self) -> dict[str, Value]:
        """Return the frequencies of the vibrations, and their zero-point energy."""
        frequencies = self.frequencies[self.vibrating]
        values = {f"frequency_{n}": Value(float(each), "1/cm") for n, each in enumerate(frequencies, start=1)}
        values["zero_point_energy"] = Value(0.5 * float(self.energies[self.vibrating].sum()), "eV")
        values["imaginary_modes"] = Value(float(np.count_nonzero(frequencies < -_NOISE)), "1")
        return values

    def csv(self) -> bytes:
        """Return one row for each mode."""
        lines = ["mode,frequency/(1/cm),energy/eV,reduced_mass/amu,rigid_part"]
        masses = 1.0 / (self.displacements**2).sum(axis=(1, 2))
        rows = zip(self.frequencies, self.energies, masses, self.rigid, strict=True)
        lines += [f"{n}," + ",".join(repr(float(x)) for x in row) for n, row in enumerate(rows, start=1)]
        return ("\n".join(lines) + "\n").encode()

    def frames(self, atoms: Atoms, moved: list[int]) -> bytes:
        """Return one frame for each mode, with its displacements as the array ``mode``."""
        found = b""
        for frequency, displacement in zip(self.frequencies, self.displacements, strict=True):
            frame = describe("vibrations", atoms, frequency_per_cm=float(frequency))
            frame.arrays["mode"] = np.zeros((len(atoms), 3))
            frame.arrays["mode"][moved] = displacement
            found += extxyz(frame)
        return found


def _rigid_motions(atoms: Atoms) -> Array:
    """Return orthonormal mass-weighted motions (r, 3 n) of all atoms as one body; only shifts with a cell."""
    masses = atoms.get_masses()
    away = atoms.positions - atoms.get_center_of_mass()
    motions = [np.broadcast_to(axis, away.shape) for axis in np.eye(3)]
    if not atoms.pbc.any():
        motions += [np.cross(axis, away) for axis in np.eye(3)]
    weighted = np.array([(motion * np.sqrt(masses)[:, None]).ravel() for motion in motions])
    _, sizes, rows = np.linalg.svd(weighted, full_matrices=False)
    kept: Array = rows[sizes > 1e-6 * sizes[0]]
    return kept
