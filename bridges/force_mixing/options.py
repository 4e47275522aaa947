"""What a person chooses: the region and how it moves, the buffer, the cluster's ends, the match, the interval."""

from __future__ import annotations

from typing import Literal, Self

from ase.data import atomic_numbers
from pydantic import Field, field_validator, model_validator

from scalespan.adapters.interface import Options
from scalespan.adapters.interface.units import Length, Time

from ..embedding import RegionOptions

_POSITIVE = ("distance", "radius", "enter", "leave", "near", "interval", "thermostat_margin")


def _above_zero(options: Options) -> None:
    for key in _POSITIVE:
        value = getattr(options, key, None)
        if value is not None and not value > 0.0:
            raise ValueError(f"{key} must be above zero")


class MovingOptions(Options):
    """A region that follows its seeds: which atoms come in, and which go."""

    enter: Length  # r₋: an atom this near to a seed comes in
    leave: Length  # r₊ ≥ r₋: an atom farther than this from all seeds goes out

    @model_validator(mode="after")
    def _wider(self) -> Self:
        _above_zero(self)
        if self.leave < self.enter:
            raise ValueError("'leave' must not be below 'enter', or atoms would go as soon as they come")
        return self


class BufferOptions(Options):
    """The atoms around the region that the high level sees as well, and whose forces it does not decide."""

    radius: Length | None = None  # every atom this near to an atom of the region
    hops: int | None = Field(default=None, gt=0)  # or: every atom that so many bonds lead to
    bond_factor: float = Field(default=1.2, gt=0.0)  # two atoms are bonded below this × the sum of covalent radii
    join: float = Field(default=0.5, gt=0.0, lt=1.0)  # an outer atom joins if more than this part of its bonds is cut

    @model_validator(mode="after")
    def _one_way(self) -> Self:
        _above_zero(self)
        if (self.radius is None) == (self.hops is None):
            raise ValueError("the buffer needs one of 'radius', 'hops'")
        return self


class EndOptions(Options):
    """What closes the bonds that the cluster cuts."""

    element: str = "H"  # a symbol, or "none": they dangle
    distance: Length | None = None  # from the cluster's atom, along the cut bond; None: as in its hydride

    @field_validator("element")
    @classmethod
    def _known(cls, symbol: str) -> str:
        if symbol != "none" and atomic_numbers.get(symbol, 0) == 0:
            raise ValueError(f"'{symbol}' is no element, and not \"none\"")
        return symbol

    @model_validator(mode="after")
    def _far(self) -> Self:
        _above_zero(self)
        if self.distance is not None and self.element == "none":
            raise ValueError("'distance' needs an element")
        return self


class MatchOptions(Options):
    """The crystal in which both levels are measured, so that the low one takes the high one's a₀ and B."""

    element: str  # a symbol: "Si"
    structure: Literal["sc", "fcc", "bcc", "diamond"]  # cubic
    near: Length  # where to look for the lattice constant: within 8 % of it
    cells: int = Field(default=1, gt=0)  # cubic cells along each edge; more where the high level has no k-points

    @model_validator(mode="after")
    def _real(self) -> Self:
        _above_zero(self)
        if atomic_numbers.get(self.element, 0) == 0:
            raise ValueError(f"'{self.element}' is no element")
        return self


class ForceMixingOptions(Options):
    """Forces of a high level in a region, of a low one elsewhere: what is chosen."""

    region: RegionOptions  # the atoms of the high level, or the seeds that it follows
    moving: MovingOptions | None = None  # None: the region stays as it is
    buffer: BufferOptions
    ends: EndOptions = EndOptions()
    along: list[Literal["a", "b", "c"]] = Field(default_factory=list)  # cell vectors along which the cluster repeats
    match: MatchOptions | None = None  # None: the low level as it is
    net_force: Literal["leave", "remove"] = "leave"  # of the mixing, on the whole: remove takes it from the region
    interval: Time | None = None  # between two questions to the high level; None: each timestep
    thermostat_margin: Length | None = None  # Langevin only this far from the region and beyond; None: everywhere

    @model_validator(mode="after")
    def _positive(self) -> Self:
        _above_zero(self)
        return self
