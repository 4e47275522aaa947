"""What a person chooses: how large the cells are, how many of each, and what holds them."""

from __future__ import annotations

from typing import Annotated, Self

from pydantic import Field, model_validator

from scalespan.adapters.interface import Options

from ..homogenisation import Family


class RveLadderOptions(Options):
    """Realisations of a random medium in cells of several sizes."""

    sizes: list[Annotated[int, Field(ge=2)]]  # of cells along each axis, in lengths of the medium, from small to large
    realisations: list[Annotated[int, Field(ge=2)]]  # how many of each size
    families: list[Family] = Field(default=["kinematic", "periodic", "static"])  # of what holds the cells
    error: float = Field(default=0.01, gt=0, lt=1)  # that is wanted of the mean, relative, with 95 % confidence
    seed: int = Field(default=0, ge=0)  # of the first realisation; each has one of its own

    @model_validator(mode="after")
    def _a_ladder(self) -> Self:
        if len(self.sizes) != len(self.realisations):
            raise ValueError(
                f"{len(self.sizes)} sizes and {len(self.realisations)} numbers of realisations: one of each is wanted"
            )
        if not self.sizes or sorted(set(self.sizes)) != self.sizes:
            raise ValueError(f"the sizes are {self.sizes}, and must grow")
        if not self.families or len(set(self.families)) != len(self.families):
            raise ValueError("each family is named once, and there is at least one")
        return self
