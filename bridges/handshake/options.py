"""What a person chooses: the crystal, the region of the atoms, the pad, the clocks."""

from __future__ import annotations

from typing import Literal, Self

from pydantic import Field, model_validator

from scalespan.adapters.interface import CaseFile, Options
from scalespan.adapters.interface.units import Frequency, Length, Temperature, Time


class AtomsRegion(Options):
    """Where atoms are atoms: a ball (in 2-D a disc, in 1-D an interval) or a box."""

    centre: list[Length] | None = None  # of the ball
    radius: Length | None = Field(default=None, gt=0)  # of the ball
    low: list[Length] | None = None  # of the box
    high: list[Length] | None = None  # of the box

    @model_validator(mode="after")
    def _one_shape(self) -> Self:
        ball, box = (self.centre, self.radius), (self.low, self.high)
        if (None in ball) == (None in box) or (self.centre is None) != (self.radius is None):
            raise ValueError("a region is either a ball with centre and radius, or a box with low and high")
        if self.low and self.high and not all(a < b for a, b in zip(self.low, self.high, strict=True)):
            raise ValueError("a box has low < high")
        return self


class Thermostat(Options):
    """Langevin friction and noise on the outermost free atoms, relative to the continuum's velocity there."""

    width: Length = Field(gt=0)  # of the layer of free atoms next to the pads that it acts on
    friction: Frequency  # at the layer's outer side; it rises from 0 at its inner side
    temperature: Temperature = Field(default=0.0, ge=0)  # 0: only absorbs what the mesh cannot carry
    seed: int = Field(default=1, ge=0)  # of the random numbers


class CrystalRegion(Options):
    """Which part of a crystal is atoms, and where these are at the start."""

    # A cell of the perfect crystal, periodic in 1, 2 or 3 directions, the continuum's dimensions; None: the law's own.
    crystal: CaseFile | None = None
    region: AtomsRegion
    pad: Length = Field(gt=0)  # thickness of the slaved atoms: the engine's cut-off, twice that for many-body forces
    vacancies: list[list[Length]] = Field(default_factory=list)  # the atom nearest to each point is taken out
    atoms_file: CaseFile | None = (
        None  # the free atoms as they are, where they are not the crystal's: a defect, a pulse
    )
    deformation: list[list[float]] | None = None  # F of everything at the start, held nodes included; None: none
    ghost_force: float = Field(default=1e-6, gt=0)  # eV/Å; more than this on the perfect, strained crystal is refused
    beyond_limit: bool = False  # take a continuum's step, or a window, above half the atoms' shortest period


class HandshakeOptions(CrystalRegion):
    """Atoms in a continuum of the same crystal."""

    slaved_below: float = Field(default=0.4, gt=0, lt=1)  # nodes that keep less of their mass follow the others
    continuum_step: Time | None = Field(default=None, gt=0)  # a whole multiple of the timestep; None: the timestep
    # respa: kicks of the continuum between the atoms' steps; staggered: pads move linearly in a continuum's step and
    # their force counts at its end, as between two participants
    scheme: Literal["respa", "staggered"] = "respa"
    thermostat: Thermostat | None = None
