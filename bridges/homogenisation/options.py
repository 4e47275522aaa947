"""What a person chooses: what holds a cell at its boundary, and how exactly it is solved."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from scalespan.adapters.interface import Options

Family = Literal["periodic", "kinematic", "static"]


class HomogenisationOptions(Options):
    """A cell in place of a law."""

    # periodic: what leaves at one side comes in at the other; kinematic: the boundary follows the mean gradient, too
    # stiff; static: only the mean of the gradient is kept, too soft.
    boundary: Family = "periodic"
    periods: list[list[float]] | None = None  # the cell's edges, rows, in its unit of length; None: its bounding box
    density: float = Field(default=0.0, ge=0)  # of the cell, amu/Å^d; 0: for statics only
    tolerance: float = Field(default=1e-10, gt=0, lt=1e-2)  # Newton's last correction over the largest displacement
    iterations: int = Field(default=25, ge=1)  # Newton's, at most
    hill_mandel: float = Field(default=1e-8, gt=0)  # the largest relative fault of the work that is taken
