"""The options of microstructures' meshes: periodic boxes whose cells belong to numbered phases.

Laminates, checkerboards and voxels are of structured cells; fibres and spheres are meshed by gmsh. The same options
make the same mesh.
"""

from __future__ import annotations

from math import pi, prod, sqrt
from typing import Annotated, ClassVar, Literal, Self

from pydantic import Field, model_validator

from ..interface import CaseFile, Options

Positive = Annotated[float, Field(gt=0)]
Count = Annotated[int, Field(ge=1)]

# The fraction at which those of a lattice touch.
_TOUCHING = {"hexagonal": pi / sqrt(12.0), "square": pi / 4.0, "cubic": pi / 6.0, "bcc": sqrt(3.0) * pi / 8.0}


class Laminate(Options):
    """Layers across x, from x = 0."""

    layers: list[Positive]  # their thicknesses
    phases: list[int] | None = None  # of each layer; None: 0, 1, 2 …
    widths: list[Positive] = Field(
        default_factory=lambda: [1.0]
    )  # the box's other edges: one number in 2-D, two in 3-D
    across: Count = 4  # elements across each layer
    along: Count = 4  # and along the other edges

    @model_validator(mode="after")
    def _each_has_one(self) -> Self:
        if len(self.layers) < 2 or len(self.widths) not in (1, 2):
            raise ValueError("a laminate has at least two layers, and one other edge, or two")
        if self.phases is not None and len(self.phases) != len(self.layers):
            raise ValueError(f"{len(self.phases)} phases are given, and there are {len(self.layers)} layers")
        if self.phases is not None and sorted(set(self.phases)) != list(range(len(set(self.phases)))):
            raise ValueError(f"phases are numbered from 0 without gaps, and are {sorted(set(self.phases))}")
        return self


class Checkerboard(Options):
    """Squares (cubes in 3-D) of two phases, in turn or each at random and independent of all others."""

    squares: list[Count]  # along each axis
    edge: Positive = 1.0  # of one square
    cells: Count = 4  # elements along the edge of one
    seed: int | None = Field(default=None, ge=0)  # of the random numbers; None: black and white in turn
    fraction: float = Field(default=0.5, gt=0, lt=1)  # the probability of phase 1, where they are random

    @model_validator(mode="after")
    def _periodic(self) -> Self:
        if len(self.squares) not in (2, 3):
            raise ValueError(f"a checkerboard has squares along two axes, or three, not {len(self.squares)}")
        if self.seed is None and any(each % 2 for each in self.squares):
            raise ValueError("black and white in turn need an even number of squares along each axis; or give a seed")
        return self


class Voxels(Options):
    """An image: each voxel is a square of structured cells."""

    file: CaseFile  # a .png whose greys are the phases, or phase numbers: rows in a .txt, or an array in a .npy
    edge: Positive = 1.0  # of one voxel
    cells: Count = 1  # elements along the edge of one
    window: Count | None = None  # take so many voxels along each axis, at a random place; None: all
    seed: int = Field(default=0, ge=0)  # of that place


class Inclusions(Options):
    """Equal inclusions in a matrix: phase 1 in phase 0. Of radius and fraction one is given."""

    dimension: ClassVar[int]  # of the box
    jamming: ClassVar[float]  # the fraction at which nothing more can be added at random

    arrangement: str  # of the inclusions in the box
    radius: Positive | None = None  # of each
    fraction: float | None = Field(default=None, gt=0, lt=1)  # of the area or volume
    edge: Positive = 1.0  # between neighbours on a lattice; of the box where they are random
    count: Count = 10  # of random ones
    seed: int = Field(default=0, ge=0)  # of random ones
    gap: float = Field(default=0.1, ge=0.01)  # between random ones, and to where they touch a side, in radii
    size: Positive | None = None  # of the elements; None: a quarter of the radius
    curved: bool = False  # elements follow the inclusions by parabolas; straight ones cut off a part of each

    @model_validator(mode="after")
    def _fits(self) -> Self:
        if (self.radius is None) == (self.fraction is None):
            raise ValueError("of radius and fraction one is given")
        jammed = self.jamming / (1.0 + 0.5 * self.gap) ** self.dimension
        limit = jammed if self.is_random else _TOUCHING[self.arrangement]
        if self.filled > 0.995 * limit:
            why = f"random ones with a gap of {self.gap:g} radii jam" if self.is_random else "they touch"
            raise ValueError(f"inclusions over {self.filled:.4g} of the cell do not fit: {why} at {limit:.4g}")
        return self

    @property
    def is_random(self) -> bool:
        """Whether they are on no lattice."""
        return self.arrangement == "random"

    @property
    def box(self) -> tuple[float, ...]:
        """The edges (d,) of the box."""
        hexagonal = self.arrangement == "hexagonal"
        return (self.edge, sqrt(3.0) * self.edge) if hexagonal else (self.edge,) * self.dimension

    @property
    def filled(self) -> float:
        """The fraction of the inclusions."""
        return self.fraction or self._whole * (self.radius or 0.0) ** self.dimension

    @property
    def reach(self) -> float:
        """The radius of each."""
        return self.radius or float((self.filled / self._whole) ** (1.0 / self.dimension))

    @property
    def fine(self) -> float:
        """The size of the elements."""
        return self.size or 0.25 * self.reach

    @property
    def _whole(self) -> float:
        """The fraction of inclusions of radius 1."""
        each = self.count if self.is_random else 2 if self.arrangement in ("hexagonal", "bcc") else 1
        return each * (pi if self.dimension == 2 else 4.0 * pi / 3.0) / prod(self.box)


class Fibres(Inclusions):
    """Fibres across the plane: discs in 2-D."""

    dimension: ClassVar[int] = 2
    jamming: ClassVar[float] = 0.5470735  # G. Zhang and S. Torquato 2013, doi:10.1103/PhysRevE.88.053312
    arrangement: Literal["hexagonal", "square", "random"] = "hexagonal"  # of the fibres in the box


class Spheres(Inclusions):
    """Spheres in 3-D."""

    dimension: ClassVar[int] = 3
    jamming: ClassVar[float] = 0.3841307  # likewise
    arrangement: Literal["cubic", "bcc", "random"] = "cubic"  # of the spheres in the box
