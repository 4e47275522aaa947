"""Which box of atoms, and how it is relaxed or sampled."""

from __future__ import annotations

from typing import Literal, Self

from pydantic import Field, model_validator

from scalespan.adapters.interface import CaseFile, Options
from scalespan.adapters.interface.units import Force, Frequency, Pressure, Temperature, Time


class SamplingOptions(Options):
    """The motion of the box's atoms at a temperature, and what is kept of it."""

    temperature: Temperature = Field(gt=0)
    timestep: Time = Field(gt=0)
    friction: Frequency = Field(gt=0)  # of the Langevin thermostat; strong friction forgets sooner which noise it was
    samples: int = Field(default=400, ge=40)  # of one answer, those before equilibrium included
    interval: int = Field(default=10, ge=1)  # timesteps from one sample to the next
    # fluctuations: the formula; differences: of answers at twelve neighbouring strains under the same noise
    tangent: Literal["fluctuations", "differences"] = "fluctuations"
    born: int = Field(default=20, ge=5)  # how many of the samples have their Born term taken: 12 stresses each
    error: Pressure | None = None  # the largest standard error of a component of P that is taken; None: any
    seed: int = Field(default=1, ge=0)  # of the first momenta and of the thermostat


class AtomisticCellOptions(Options):
    """A periodic box of atoms in place of a law."""

    file: CaseFile | None = None  # a periodic box that ASE reads, undeformed; None: the engine's own input
    repeat: tuple[int, int, int] = (1, 1, 1)  # of the file's cell
    sampling: SamplingOptions | None = None  # None: atoms at rest, at no temperature
    force_tolerance: Force = Field(default=1e-6, gt=0)  # at rest: the largest force that remains
    steps: int = Field(default=500, ge=1)  # at rest: of the optimiser, at most
    difference: float = Field(default=1e-3, gt=0, lt=0.05)  # the strain of the tangent's differences

    @model_validator(mode="after")
    def _fits(self) -> Self:
        if min(self.repeat) < 1:
            raise ValueError("'repeat' counts cells, at least 1 in each direction")
        if self.file is None and max(self.repeat) > 1:
            raise ValueError("'repeat' is of a 'file', and none is given")
        return self
