"""What a person chooses: partition, region, links, charges."""

from __future__ import annotations

from typing import Literal, Self

from pydantic import Field, field_validator, model_validator

from scalespan.adapters.interface import Options
from scalespan.adapters.interface.units import Length

ChargeScheme = Literal[
    "none", "Z1", "Z2", "Z3", "RC", "RCD", "CS", "balanced-RC", "balanced-RCD", "balanced-CS"
]  # fmt: skip


class RegionOptions(Options):
    """The atoms of the high level, in one of three ways."""

    select: str | None = None  # MDAnalysis' selection language: "resname FOR"
    around: str | None = None  # every residue with an atom within `radius` of this selection
    radius: Length | None = None  # of `around`
    atoms: list[int] | None = None  # indices, from 0

    @model_validator(mode="after")
    def _one_way(self) -> Self:
        ways = [key for key in ("select", "around", "atoms") if getattr(self, key) is not None]
        if len(ways) != 1:
            raise ValueError(
                f"the region needs one of 'select', 'around', 'atoms' (given: {', '.join(ways) or 'none'})"
            )
        if (self.around is None) != (self.radius is None):
            raise ValueError("'around' and 'radius' go together")
        if self.radius is not None and not self.radius > 0.0:
            raise ValueError("radius must be above zero")
        return self


class LinkOptions(Options):
    """The hydrogens that close cut bonds, and the cuts that may be made."""

    kind: Literal["fixed", "scaled"] = "fixed"  # at a distance from Q, or at a part of Q–M
    distance: Length | None = None  # fixed: Q–H; None: boundary.HYDRIDE_LENGTHS
    ratio: float | None = Field(default=None, gt=0.0, lt=1.0)  # scaled: Q–H over Q–M; None: of their usual lengths
    allow_cuts: list[str] = Field(default_factory=list)  # made although refused: "CA-C", "12:C-13:N"

    @model_validator(mode="after")
    def _of_its_kind(self) -> Self:
        if self.kind == "fixed" and self.ratio is not None:
            raise ValueError("'ratio' belongs to kind = \"scaled\"")
        if self.kind == "scaled" and self.distance is not None:
            raise ValueError("'distance' belongs to kind = \"fixed\"")
        if self.distance is not None and not self.distance > 0.0:
            raise ValueError("distance must be above zero")
        return self

    @field_validator("allow_cuts")
    @classmethod
    def _pairs(cls, cuts: list[str]) -> list[str]:
        for cut in cuts:
            if cut.count("-") != 1:
                raise ValueError(f'\'{cut}\' is no pair of atom names like "CA-C" or "12:C-13:N"')
        return cuts


class ChargeOptions(Options):
    """The charges that the high level feels (electrostatic embedding)."""

    scheme: ChargeScheme = "RCD"  # at cut bonds; see charges.py
    spread: float = Field(default=0.05, gt=0.0, lt=0.5)  # CS: the pair sits at M2 ± spread (M2 − M1)
    region_charge: int | None = None  # e, of the high level; None: its own, or else the force field's, rounded
    leftover: Literal["refuse", "keep"] = "refuse"  # when the region's charges add up to no integer
    gaussian_radius: Length | None = None  # one 1/e radius for all; none of the three: point charges
    gaussian_radii: dict[str, Length] | None = None  # per element
    gaussian_factor: float | None = Field(default=None, gt=0.0)  # times the covalent radius
    cutoff: Length | None = None  # from the region to a group's centre; None: 10 Å in a box, all without one
    switch: Length | None = None  # where the charges begin to fade; None: 2 Å (at most half the cutoff) before it
    all_charges: bool = False  # in a box: every group, at its nearest image; the energy jumps
    largest_molecule: int = Field(default=30, gt=0)  # atoms; a larger one is grouped by residue

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        radii = ("gaussian_radius", "gaussian_radii", "gaussian_factor")
        if len([key for key in radii if getattr(self, key) is not None]) > 1:
            raise ValueError("give one of 'gaussian_radius', 'gaussian_radii', 'gaussian_factor'")
        if self.all_charges and self.cutoff is not None:
            raise ValueError("'all_charges' and 'cutoff' exclude each other")
        if self.switch is not None and (self.cutoff is None or not 0.0 < self.switch < self.cutoff):
            raise ValueError("'switch' must lie between zero and 'cutoff'")
        if self.cutoff is not None and not self.cutoff > 0.0:
            raise ValueError("cutoff must be above zero")
        return self


class EmbeddingOptions(Options):
    """An embedding: how the energy is put together, where, and what the levels feel of each other."""

    scheme: Literal["subtractive", "additive"] = "subtractive"  # low − low of the region, or only what is outside
    subtract: Literal["terms", "capped"] | None = None  # None: terms of a force field, else capped
    embedding: Literal["mechanical", "electrostatic"] = "electrostatic"  # whose charges meet: both low, or density
    region: RegionOptions
    links: LinkOptions = LinkOptions()
    charges: ChargeOptions = ChargeOptions()

    @model_validator(mode="after")
    def _subtract_something(self) -> Self:
        if self.scheme == "additive" and self.subtract is not None:
            raise ValueError("'subtract' belongs to scheme = \"subtractive\"")
        return self
