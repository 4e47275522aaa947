r"""A box of atoms at rest: W(F) = min over X of U(F X)/V₀, P = τ F⁻ᵀ/V₀ where the forces are zero.

The minimum is the one that the optimiser reaches from where the atoms were when the last step was final: a box that has
found another valley under load, such as one with a dislocation, stays there. The tangent is of relaxed boxes at
neighbouring strains, by differences of the fourth order.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from ase.optimize import LBFGS

from scalespan.adapters.interface import Array, NotConverged, ScalespanError

from .box import Box, referred, stiffness
from .options import AtomisticCellOptions


@dataclass(frozen=True)
class Answer:
    """What a box answers under one F."""

    energy: float  # W eV/Å³; of a box at a temperature the work since the last final step
    stress: Array  # P (3, 3) eV/Å³
    tangent: Array | None = None  # (3, 3, 3, 3)
    covariance: Array | None = None  # (3, 3, 3, 3) of P; None of a box at rest
    tangent_variance: Array | None = None  # (3, 3, 3, 3)


class AtRest:
    """Relaxes a box."""

    def __init__(self, box: Box, options: AtomisticCellOptions) -> None:
        self.box, self._options = box, options

    def relaxed(self, deformation: Array, places: Array) -> Array:
        """Return X (n, 3) Å at the minimum under F that lies downhill from ``places``.

        Raises:
            NotConverged: the optimiser did not get there.
        """
        atoms = self.box.under(deformation, places)
        atoms.calc = self.box.engine.as_calculator()
        try:
            optimiser = LBFGS(atoms, logfile=None)  # type: ignore[arg-type]
            done = optimiser.run(fmax=self._options.force_tolerance, steps=self._options.steps)
        except ScalespanError as error:
            raise self.box.told(error, deformation) from error
        if not done:
            left = float(np.linalg.norm(atoms.get_forces(), axis=1).max())
            unfinished = NotConverged(
                f"the atoms are not at rest after {self._options.steps} steps: a force of {left:.2g} eV/Å is left",
                todo="raise steps or force_tolerance, or take smaller steps of the load",
            )
            raise self.box.told(unfinished, deformation)
        found: Array = atoms.positions @ np.linalg.inv(deformation).T
        return found

    def answer(self, deformation: Array, places: Array, tangent: bool) -> tuple[Answer, Array]:
        """Return the answer under F, and X (n, 3) at rest there."""
        rest = self.relaxed(deformation, places)
        energy, kirchhoff = self.box.ask(deformation, rest)
        volume, slope = self.box.volume, None
        if tangent:

            def further(f: Array) -> Array:
                return self.box.ask(f @ deformation, self.relaxed(f @ deformation, rest))[1]

            stiff = stiffness(further, self._options.difference, fourth=True)
            slope = referred(deformation, kirchhoff, stiff) / volume
        stress = kirchhoff @ np.linalg.inv(deformation).T / volume
        return Answer(energy / volume, stress, slope), rest
