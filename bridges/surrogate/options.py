"""What a person chooses: how well the stress must be known, and what is believed of the law before it is asked."""

from __future__ import annotations

from pydantic import Field

from scalespan.adapters.interface import Options


class SurrogateOptions(Options):
    """A table in place of a noisy law."""

    stress_error: str  # the wanted standard error of the stress: "0.01 GPa"; above it the law is asked
    # What is believed of the law before it is asked; its own answers correct both.
    smooth: float = Field(default=0.1, gt=0, lt=10)  # the strain over which its stiffness changes by as much as it is
    stiffness: str | None = None  # its size: "50 GPa"; None: the law's first tangent
    questions: int = Field(default=500, ge=1)  # to the law, at most
