"""Atoms whose places a partner prescribes: a wall, a piston, the tip of a microscope.

A wall atom stands at its first place plus the partner's displacement. Within each timestep it moves on a straight
line, to where the displacement of the timestep's end puts it, and the engine's forces of that end are taken there;
inside a window the coupling interpolates the displacement in time. Wall atoms have no momentum of their own: the
kinetic energy is that of all others, and their velocity is the last timestep's. Moving them against the forces f on
them puts the work

    W = −Σ ½ (f_k + f_{k+1}) · (x_{k+1} − x_k)   over the timesteps

into the others: their energy minus W is what velocity Verlet conserves, to the second order in the timestep.
"""

from __future__ import annotations

import numpy as np
from ase import Atoms
from ase.constraints import FixAtoms

from scalespan.adapters.interface import Array, OptionError, ParticleAdapter, Quantity, State
from scalespan.adapters.interface.units import convert
from scalespan.bridges.interface import Field, Mesh

from .forces import Mover
from .options import WallsOptions


class Walls:
    """The wall atoms among ``atoms``, which are fixed there for the engine: only `step` moves them."""

    def __init__(self, options: WallsOptions, atoms: Atoms) -> None:
        self.index = _chosen(options.atoms, len(atoms))
        self.mesh = options.mesh
        self._units = {"displacements": 1.0, "forces": 1.0}
        self.displacements = self._field("displacements", "angstrom", options)
        self.forces = None if options.forces is None else self._field("forces", "eV/angstrom", options)
        self._first: Array = atoms.positions[self.index]
        self.velocities = np.zeros_like(self._first)  # Å per ASE's time
        self.work = 0.0  # eV
        self._places = self._first.copy()
        self._felt: Array | None = None  # the forces (k, 3) eV/Å on the wall where it stands
        atoms.set_constraint([*atoms.constraints, FixAtoms(self.index)])
        atoms.set_momenta(atoms.get_momenta())  # the constraint takes the wall's away

    def _field(self, name: str, unit: str, options: WallsOptions) -> Field:
        datum = getattr(options, name)
        self._units[name] = convert(1.0, unit, datum.unit or unit)
        return Field(datum.data, options.mesh, datum.unit or unit, 3)

    def points(self, per_length: float) -> Mesh:
        """Return the wall's own mesh: where its atoms start."""
        return Mesh(self._first * per_length)

    def step(self, mover: Mover, displacements: Array, size: float, *, changed: bool) -> None:
        """Move ``mover`` by a timestep, and the wall with it to ``displacements`` (k, 3) as the partner says them.

        Args:
            mover: the engine's atoms.
            displacements: at the timestep's end, in the field's unit.
            size: the timestep, in ASE's time.
            changed: a partner's forces where the atoms are have changed since the last timestep.
        """
        before = self._felt
        if before is None or changed:
            before = mover.moving_forces()[self.index]
        places = self._first + displacements / self._units["displacements"]
        moved = places - self._places
        mover.drag(self.index, places)
        mover.advance(size)
        self._felt = mover.moving_forces()[self.index]
        self.work -= 0.5 * float(np.sum((before + self._felt) * moved))
        self._places, self.velocities = places, moved / size

    def reaction(self, model: ParticleAdapter, atoms: Atoms) -> Array:
        """Return the forces (k, 3) on the wall, in the field's unit; before the first step, by ``model`` alone."""
        if self._felt is not None:
            return self._felt * self._units["forces"]
        found = model.compute(atoms, {Quantity.FORCES}).forces
        assert found is not None, "it was asked for"
        felt: Array = found[self.index]
        return felt * self._units["forces"]

    def complete(self, atoms: Atoms) -> Atoms:
        """Return ``atoms`` with the wall's velocities, which the engine does not know."""
        velocities = atoms.get_velocities()
        velocities[self.index] = self.velocities
        atoms.set_momenta(velocities * atoms.get_masses()[:, None], apply_constraint=False)
        return atoms

    def save(self) -> State:
        """Return where the wall is, how it moves, what it feels and its work."""
        state: State = {"places": self._places, "velocities": self.velocities, "work": np.array(self.work)}
        return state if self._felt is None else state | {"felt": self._felt}

    def restore(self, state: State) -> None:
        """Return to what `save` gave."""
        self._places, self.velocities = np.array(state["places"]), np.array(state["velocities"])
        self.work = float(state["work"])
        self._felt = np.array(state["felt"]) if "felt" in state else None


def _chosen(atoms: list[int], count: int) -> Array:
    chosen = np.array(atoms, dtype=np.int64)
    if chosen.min() < 0 or chosen.max() >= count or len(np.unique(chosen)) < len(chosen):
        raise OptionError(f"'walls.atoms' names atoms twice, or outside 0 to {count - 1}", where="particles")
    return chosen
