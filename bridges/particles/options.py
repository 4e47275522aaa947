"""What atoms exchange with partners, and how they move."""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import BeforeValidator, model_validator
from pydantic import Field as Key

from scalespan.adapters.interface import CaseFile, Motion, Options
from scalespan.adapters.interface.units import Length, Temperature


class Datum(Options):
    """One field of precice-config.xml."""

    data: str  # its name
    mesh: str | None = None  # a partner's, at the places where the atoms are; None: the atoms' own
    unit: str | None = None  # None: of eV, angstrom, e, V and fs


def _named(value: object) -> object:
    return {"data": value} if isinstance(value, str) else value


Named = Annotated[Datum, BeforeValidator(_named)]


class Reads(Options):
    """What partners say; a name alone is a field on the atoms' own mesh."""

    forces: Named | None = None  # on the atoms
    electric_field: Named | None = None  # where the atoms are: times their charge it is a force
    energies: Named | None = None  # of each atom with the partner, whose gradient the forces are
    potential: Named | None = None  # electrostatic, where the atoms are: times their charge it is such an energy

    @model_validator(mode="after")
    def _once(self) -> Self:
        if self.energies is not None and self.potential is not None:
            raise ValueError("give one of 'energies', 'potential': both are the energy with the partner")
        return self


class Writes(Options):
    """What partners hear; a name alone is a field on the atoms' own mesh."""

    positions: Named | None = None
    displacements: Named | None = None  # from the positions at the start
    velocities: Named | None = None
    charges: Named | None = None  # they do not change


class WallsOptions(Options):
    """Atoms that a partner moves, on a mesh of their own with points where they start."""

    atoms: list[int] = Key(min_length=1)  # from 0
    mesh: str  # its name
    displacements: Named  # read: from the places at the start
    forces: Named | None = None  # written: of the other atoms on them

    @model_validator(mode="after")
    def _own(self) -> Self:
        for datum in (self.displacements, self.forces):
            if datum is not None and datum.mesh not in (None, self.mesh):
                raise ValueError(f"'{datum.data}' of walls is on the mesh '{self.mesh}': leave its key 'mesh' out")
        return self


class AtomsSource(Options):
    """Atoms from any file that ASE reads."""

    file: CaseFile
    frame: int = -1  # of a file with several, from 0; negative from the end


class ParticlesOptions(Options):
    """Atoms as a participant."""

    motion: Motion
    mesh: str | None = None  # the atoms' own mesh, with points where they start; None: none is provided
    select: list[int] | None = None  # the atoms that are coupled, from 0; None: all
    reads: Reads = Reads()
    writes: Writes = Writes()
    walls: WallsOptions | None = None  # atoms that a partner moves; None: the engine moves all
    scheme: Literal["verlet", "impulse"] = "verlet"  # partners' forces in each timestep, or one kick a window
    every_step: bool = False  # partners see each timestep, not the windows' ends alone
    atoms: AtomsSource | None = None  # None: the model's own
    temperature: Temperature | None = None  # of random velocities at the start; None: as the atoms have them
    seed: int = Key(default=1, ge=0)  # of those velocities
    charges: list[float] | None = None  # e, of the coupled atoms; None: the force field's, else the atoms' own
    reach: Length = 10.0  # how far atoms may go beyond their first places: the region of partners' meshes
    length: str = "angstrom"  # the unit of all meshes
    time: str = "fs"  # the unit of precice-config.xml

    @model_validator(mode="after")
    def _fits(self) -> Self:
        if self.scheme == "impulse" and self.motion.ensemble != "nve":
            raise ValueError("scheme 'impulse' needs motion.ensemble 'nve'")
        if self.motion.ensemble == "npt":
            raise ValueError("a partner's mesh does not follow a box that changes: choose another ensemble than npt")
        if self.walls is not None and self.scheme == "impulse":
            raise ValueError("walls need the scheme 'verlet'")
        if self.walls is not None and self.walls.mesh == self.mesh:
            raise ValueError("walls need a mesh of their own: give walls.mesh another name")
        own = [datum for each in (self.reads, self.writes) for _, datum in each if datum is not None and not datum.mesh]
        if self.mesh is None and own:
            raise ValueError(f"'{own[0].data}' is on the atoms' own mesh: give the key 'mesh'")
        return self
