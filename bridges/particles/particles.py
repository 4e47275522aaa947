"""Atoms as a participant: their places out, forces and fields in, moved by their own engine.

The partners' forces F(x, t) act in one of two ways.

`verlet`: they join the engine's own in every timestep, each sampled where and when the
engine's are taken,

    v ← v + ½h [f(x_n) + F(x_n, t_n)]/m,  x ← x + h v,  v ← v + ½h [f(x_{n+1}) + F(x_{n+1}, t_{n+1})]/m

(Swope et al., doi:10.1063/1.442716), at the times inside the window that the coupling interpolates to. Second
order in the timestep where the partner's data is, as in implicit coupling with waveforms.

`impulse`: one kick of the whole window's length at its start, v ← v + dt F(x_n)/m, then the engine's timesteps
alone: the fast and the slow part of the reversible multiple-timestep integrator (Tuckerman, Berne
and Martyna, doi:10.1063/1.463137; Grubmüller et al., doi:10.1080/08927029108022142) in its leapfrog form.
For serial-explicit coupling with the field as the first participant, whose data of this window's end is
F(x_n). It is symplectic where F is a gradient; velocities seen at a window's end lack half of the next kick.
"""

from __future__ import annotations

from collections.abc import Mapping
from math import ceil, inf
from pathlib import Path

import numpy as np
from ase import Atoms
from ase.io.extxyz import write_extxyz

from scalespan.adapters.interface import (
    Array,
    AtomsError,
    ForceField,
    OptionError,
    ParticleAdapter,
    State,
    Table,
    under,
)
from scalespan.adapters.interface.units import BOLTZMANN, convert
from scalespan.bridges.interface import Bridge, Exchange, Field, Mesh, Read

from .forces import Mover, Pull, moving
from .options import AtomsSource, Datum, ParticlesOptions
from .walls import Walls

# What is exchanged: its unit inside, the unit outside unless the case names one, its components.
_READS = {
    "forces": ("eV/angstrom", "eV/angstrom", 3),
    "electric_field": ("eV/angstrom/e", "V/angstrom", 3),
    "energies": ("eV", "eV", 1),
    "potential": ("eV/e", "V", 1),
}
_WRITES = {
    "positions": ("angstrom", "angstrom", 3),
    "displacements": ("angstrom", "angstrom", 3),
    "velocities": ("angstrom/ase_time", "angstrom/fs", 3),
    "charges": ("e", "e", 1),
}


class Particles(Bridge):
    """Any particle adapter as a participant: positions, displacements, velocities out; forces and fields in."""

    name = "particles"
    Options = ParticlesOptions
    parts = ("model",)

    def __init__(self, options: ParticlesOptions, *, model: object = None) -> None:
        """Take the adapter, and find its atoms."""
        if not isinstance(model, ParticleAdapter):
            raise OptionError("the table 'model' is missing", where="particles", todo='add [….model] with use = "…"')
        self.options, self.model = options, model
        self.time_unit = options.time
        self._atoms = _first(options, model)
        self._coupled = _selected(options.select, len(self._atoms))
        self._charges = _charges(options, model, self._atoms, self._coupled)
        self._walls = None if options.walls is None else Walls(options.walls, self._atoms)
        self._per_length = convert(1.0, "angstrom", options.length)
        self._timestep = options.motion.timestep * convert(1.0, "ase_time", options.time)
        self._fields, self._units = _fields(options)
        self._pull = Pull(self._sample)
        self._mover: Mover = moving(model, self._atoms, options.motion, self._pull)
        self._energy = 0.0  # eV, with the partners, as they told last
        self._total = 0.0  # eV, at the last kick
        self._read: Read

    @property
    def exchange(self) -> Exchange:
        """What the options name, on the atoms' own mesh and on partners'."""
        own, places = self.options.mesh, self._atoms.positions[self._coupled]
        meshes = {} if own is None else {own: Mesh(places * self._per_length)}
        reads = [self._fields[name] for name in _READS if name in self._fields]
        writes = [self._fields[name] for name in _WRITES if name in self._fields]
        if self._walls is not None:
            meshes[self._walls.mesh] = self._walls.points(self._per_length)
            reads.append(self._walls.displacements)
            writes += [] if self._walls.forces is None else [self._walls.forces]
        box = np.array([places.min(axis=0) - self.options.reach, places.max(axis=0) + self.options.reach])
        theirs = {field.mesh for field in self._fields.values()} - {own}
        return Exchange(
            reads=tuple(reads),
            writes=tuple(writes),
            meshes=meshes,
            regions=dict.fromkeys(sorted(theirs), box * self._per_length),
        )

    @property
    def longest_step(self) -> float:
        """A timestep where partners see each one, else no limit: a window is divided into timesteps."""
        return self._timestep if self.options.every_step else inf

    def receive(self, read: Read) -> None:
        """Take what forces and fields may be read with."""
        self._read = read

    def advance(self, dt: float) -> None:
        """Move by ``dt`` (of `time_unit`), in timesteps of one length."""
        steps = ceil(dt / self._timestep - 1e-9)
        size = dt / steps / convert(1.0, "ase_time", self.time_unit)
        if self._walls is None and not {"forces", "electric_field"} & set(self._fields):
            self._mover.advance(size * steps)
        elif self.options.scheme == "impulse":
            self._kick(dt, steps, size * steps)
            self._mover.advance(size * steps)
        else:
            for step in range(steps):
                end = dt if step == steps - 1 else dt * (step + 1) / steps
                self._timestep_to(end, dt * step / steps, size)
        self._energy = self._energy_at(dt)

    def _timestep_to(self, end: float, begin: float, size: float) -> None:
        """Move by one timestep of ``size`` (ASE's time), from ``begin`` to ``end`` after the step's beginning."""
        changed = self._pull.begin(self._mover.atoms.positions, begin, resample=begin == 0.0)
        if changed:
            self._mover.ask_again()
        self._pull.at = end
        if self._walls is None:
            self._mover.advance(size)
        else:
            self._walls.step(self._mover, self._read(self._walls.displacements, end), size, changed=changed)

    def _here(self) -> Atoms:
        """Return the atoms as they stand, with the walls' velocities."""
        atoms = self._mover.atoms
        return atoms if self._walls is None else self._walls.complete(atoms)

    def _kick(self, dt: float, steps: int, length: float) -> None:
        """Prepare the kick, and note the total where half of it is done: positions and velocities are of one time."""
        atoms = self._mover.atoms
        forces = self._pull.kick(atoms.positions, dt, steps)
        momenta, masses = atoms.get_momenta() + 0.5 * length * forces, atoms.get_masses()[:, None]
        kinetic = 0.5 * float((momenta**2 / np.where(masses > 0.0, masses, 1.0)).sum())
        self._total = self._mover.observe().potential + kinetic + self._outside(self._energy_at(dt))
        self._mover.ask_again()

    def _outside(self, energy: float) -> float:
        return energy if {"energies", "potential"} & set(self._fields) else -self._pull.work

    def write(self, field: Field) -> Array:
        """Return positions, displacements, velocities or charges of the coupled atoms, or the forces on the walls."""
        if self._walls is not None and field is self._walls.forces:
            return self._walls.reaction(self.model, self._atoms)
        name = next(name for name in _WRITES if self._fields.get(name) is field)
        if name == "charges":
            values: Array = self._charges[:, None]
        else:
            atoms = self._here()
            values = atoms.get_velocities() if name == "velocities" else atoms.positions
            values = values[self._coupled]
            if name == "displacements":
                values = values - self._atoms.positions[self._coupled]
        return values * self._units[name]

    def where(self, field: Field) -> Array | None:
        """Return where the coupled atoms are, for a field on a partner's mesh."""
        return None if field.mesh in self.exchange.meshes else self._points(self._mover.atoms.positions)

    def _points(self, positions: Array) -> Array:
        points: Array = positions[self._coupled] * self._per_length
        return points

    def _value(self, name: str, positions: Array, at: float) -> Array:
        """Return what is read (n, components), in eV, Å and e."""
        field = self._fields[name]
        points = None if field.mesh == self.options.mesh else self._points(positions)
        return self._read(field, at, points) / self._units[name]

    def _sample(self, positions: Array, at: float) -> Array:
        """Return the partners' forces (n, 3) eV/Å on all atoms."""
        forces = np.zeros_like(positions)
        if "forces" in self._fields:
            forces[self._coupled] += self._value("forces", positions, at)
        if "electric_field" in self._fields:
            forces[self._coupled] += self._charges[:, None] * self._value("electric_field", positions, at)
        return forces

    def _energy_at(self, at: float) -> float:
        place = self._mover.atoms.positions
        if "energies" in self._fields:
            return float(self._value("energies", place, at).sum())
        if "potential" in self._fields:
            return float(self._charges @ self._value("potential", place, at)[:, 0])
        return 0.0

    def observe(self) -> Mapping[str, float]:
        """Return energies: the total has the energy with partners where they tell it, else minus their work.

        With `impulse` work and total are those of the window's beginning, where the kick was.
        """
        seen = self._mover.observe()
        known = {"potential/eV": seen.potential, "kinetic/eV": seen.kinetic, "temperature/K": seen.temperature}
        known |= {"partners/eV": self._energy, "work/eV": self._pull.work}
        total = seen.potential + seen.kinetic + self._outside(self._energy)
        if self._walls is not None:
            known["walls/eV"] = self._walls.work
            total -= self._walls.work
        return known | {"total/eV": self._total if self.options.scheme == "impulse" else total}

    def frame(self, folder: Path, time: float) -> None:
        """Append the atoms to ``trajectory.extxyz``."""
        atoms = self._here()
        atoms.info["time"] = time
        with (folder / "trajectory.extxyz").open("a", encoding="utf-8") as file:
            write_extxyz(file, [atoms])

    def audit(self) -> list[Table]:
        """Return how the atoms are coupled, and the model's own tables."""
        rows = [("atoms", f"{len(self._atoms)}, of them {len(self._coupled)} coupled")]
        rows += [("timestep", f"{self._timestep:g} {self.time_unit}"), ("partners' forces", self.options.scheme)]
        rows += [(name, f"{field.name} on {field.mesh}, {field.unit}") for name, field in self._fields.items()]
        if self._walls is not None:
            rows.append(("moved by a partner", f"{len(self._walls.index)}, on {self._walls.mesh}"))
        return [Table("Particles", ("what", "value"), tuple(rows)), *self.model.audit(self._atoms)]

    def save(self) -> State:
        """Return the atoms, the integrator, what the engine remembers and the partners' last forces."""
        parts = {"model": self._mover.save(), "pull": self._pull.save()}
        if self._walls is not None:
            parts["walls"] = self._walls.save()
        state = {f"{part}/{key}": value for part, each in parts.items() for key, value in each.items()}
        return state | {"energies": np.array([self._energy, self._total])}

    def restore(self, state: State) -> None:
        """Return to a saved state."""
        self._pull.restore(under("pull", state))
        self._mover.restore(under("model", state))
        if self._walls is not None:
            self._walls.restore(under("walls", state))
        self._energy, self._total = (float(each) for each in state["energies"])

    def close(self) -> None:
        """Close the model."""
        self.model.close()


def _first(options: ParticlesOptions, model: ParticleAdapter) -> Atoms:
    """Return the atoms as they start."""
    found = model.initial_atoms() if options.atoms is None else _from_file(options.atoms)
    if found is None:
        raise AtomsError(
            f"the model '{model.name}' brings no atoms", where="particles", todo='add atoms = { file = "input/….xyz" }'
        )
    if options.temperature is not None:
        spread = np.sqrt(found.get_masses() * BOLTZMANN * options.temperature)[:, None]
        found.set_momenta(spread * np.random.default_rng(options.seed).standard_normal((len(found), 3)))
    return found


def _from_file(source: AtomsSource) -> Atoms:
    from ase.io import read

    try:
        found = read(source.file, index=source.frame)
    except Exception as error:  # each of ASE's formats raises its own errors on bad text
        raise AtomsError(f"frame {source.frame} of {source.file} cannot be read: {error}", where="particles") from error
    assert isinstance(found, Atoms), "one index gives one frame"
    found.calc = None
    return found


def _selected(select: list[int] | None, count: int) -> Array:
    chosen = np.arange(count) if select is None else np.array(select, dtype=np.int64)
    if not len(chosen) or chosen.min() < 0 or chosen.max() >= count:
        raise OptionError(f"'select' names atoms outside 0 to {count - 1}, or none", where="particles")
    return chosen


def _charges(options: ParticlesOptions, model: ParticleAdapter, atoms: Atoms, coupled: Array) -> Array:
    if options.charges is not None:
        if len(options.charges) != len(coupled):
            raise OptionError(
                f"there are {len(options.charges)} charges, and {len(coupled)} atoms are coupled", where="particles"
            )
        return np.array(options.charges)
    every = model.topology.charges if isinstance(model, ForceField) else atoms.get_initial_charges()
    chosen: Array = np.asarray(every)[coupled]
    return chosen


def _fields(options: ParticlesOptions) -> tuple[dict[str, Field], dict[str, float]]:
    """Return the fields by what they are, and how many of their unit make one inside."""
    fields, units = {}, {}
    for known, chosen in ((_READS, options.reads), (_WRITES, options.writes)):
        for name, (inside, usual, components) in known.items():
            datum: Datum | None = getattr(chosen, name)
            if datum is not None:
                unit = datum.unit or usual
                fields[name] = Field(datum.data, datum.mesh or options.mesh or "", unit, components)
                units[name] = convert(1.0, inside, unit)
    return fields, units
