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
    # The shortest length by which the body's shape or load changes, in the cell's unit: a thickness, a notch's radius.
    # A cell longer than a tenth of it is refused; None: not looked at.
    body: float | None = Field(default=None, gt=0)
    density: float = Field(default=0.0, ge=0)  # of the cell, amu/Å^d; 0: for statics only
    tolerance: float = Field(default=1e-10, gt=0, lt=1e-2)  # Newton's last correction over the largest displacement
    # How cells follow a continuum's Newton iteration. nested: each to its own tolerance, which is tied to the change of
    # F; monolithic: one step of each cell for each step of the continuum; plain: every cell to the full tolerance at
    # every question, and nothing is used again. All end with every cell at the full tolerance.
    scheme: Literal["nested", "monolithic", "plain"] = "nested"
    forcing: float = Field(default=1e-2, ge=0, lt=1)  # nested: correction left, over the change of F; 0: always full
    # A point is answered by a cell that was solved near its F, to first order in the difference, where the error of
    # the stress over the tangent is estimated below this; 0: only by a cell at the same F.
    reuse: float = Field(default=0.0, ge=0, lt=1e-1)
    iterations: int = Field(default=25, ge=1)  # Newton's, at most
    # Whether a tangent that is not positive definite is refused; None: of small strains and of conduction.
    definite: bool | None = None
    hill_mandel: float = Field(default=1e-8, gt=0)  # the largest relative fault of the work that is taken
