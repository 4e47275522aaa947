"""The options of a blended energy."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from scalespan.adapters.interface import CaseFile, Options
from scalespan.adapters.interface.units import Length

from ..handshake import AtomsRegion


class FadeOptions(Options):
    """Where and how atoms' energies fade into those of a continuum of the same crystal."""

    # A cell of the perfect crystal, periodic in 1, 2 or 3 directions, the continuum's dimensions; None: the law's own.
    crystal: CaseFile | None = None
    region: AtomsRegion  # where only atoms count: β = 0
    width: Length = Field(ge=0)  # of the blend around the region, in which β rises to 1; 0: a sharp joint (QCE)
    shape: Literal["linear", "cubic", "quintic"] = "cubic"  # of β: its curvature makes the ghost forces
    pad: Length = Field(gt=0)  # thickness of the slaved atoms: the engine's cut-off, twice that for many-body forces
    ghost_force: float = Field(default=1e-6, gt=0)  # eV/Å; more on the strained crystal, unweighted, is refused
    deformation: list[list[float]] | None = None  # F of everything at the start, held nodes included; None: none
    vacancies: list[list[Length]] = Field(default_factory=list)  # the atom of the region nearest to each is taken out


class BlendingOptions(FadeOptions):
    """Atoms that are the mesh's nodes where they fade."""

    # A dead load that cancels the perfect crystal's ghost forces, of the undeformed crystal or of `deformation` (BGFC).
    correction: Literal["none", "undeformed", "deformed"] = "none"
