"""What a person chooses: the domain, the coarse meshes, the methods, the sources."""

from __future__ import annotations

from typing import Literal, Self

from pydantic import Field, model_validator

from scalespan.adapters.interface import Options

Family = Literal["periodic", "kinematic", "static"]
MethodName = Literal["hmm", "msfem", "oversampled", "mean"]
Formula = str | float  # of the place x, y


class MultiscaleOptions(Options):
    """Coarse meshes over a microstructure, by several methods. Lengths are in the unit of the part's mesh."""

    low: tuple[float, float] = (0.0, 0.0)  # the domain's corner
    high: tuple[float, float] = (1.0, 1.0)  # the opposite corner; the unknown is 0 on the boundary
    elements: list[int] = Field(default=[8, 16, 32], min_length=1)  # of the coarse meshes, along each axis
    # hmm: a cell's answer at the Gauss points; msfem: a basis for each element; oversampled: one of a larger box;
    # mean: the arithmetic mean of the coefficient, which is wrong, and what people do
    methods: list[MethodName] = Field(default=["hmm", "msfem", "mean"], min_length=1)
    sources: list[Formula] = Field(default=[1.0], min_length=1)  # f, one for each right-hand side: "1 + x*y"
    periodic: bool = True  # every period is like the part's; False: each element and Gauss point asks at its own place
    boundary: Family = "periodic"  # of hmm's cells
    oversampling: int = Field(default=1, ge=1)  # by how many periods the larger box reaches over the element
    nonlinear: bool = False  # the flux is not proportional to the gradient: hmm alone, by Newton's method
    tolerance: float = Field(default=1e-9, gt=0, lt=1e-2)  # Newton's last correction over the largest value
    iterations: int = Field(default=25, ge=1)  # Newton's, at most
    changes: int = Field(default=1, ge=1)  # how often the microstructure changes, as in time: for the estimate alone
    error: float = Field(default=0.03, gt=0)  # the relative error in L2 that is good enough: for the recommendation
    samples: int = Field(default=4, ge=2)  # points in each period, along each axis, at which errors are taken

    @model_validator(mode="after")
    def _fits(self) -> Self:
        if not all(low < high for low, high in zip(self.low, self.high, strict=True)):
            raise ValueError("a domain has low < high along both axes")
        if min(self.elements) < 2:
            raise ValueError("a coarse mesh has at least 2 elements along each axis")
        if len(set(self.elements)) < len(self.elements) or len(set(self.methods)) < len(self.methods):
            raise ValueError("elements and methods are each named once")
        if self.nonlinear and set(self.methods) != {"hmm"}:
            raise ValueError('a basis made once is of a linear problem: nonlinear = true takes methods = ["hmm"]')
        return self
