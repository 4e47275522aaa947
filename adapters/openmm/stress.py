"""The stress of a periodic system, by OpenMM's own differences of its energy under strain.

`MonteCarloFlexibleBarostat.computeStressTensor`, new in OpenMM 8.6, strains atoms and box together, by a thousandth:
its error is about 1e-5 of the stiffness. `computeCurrentPressure` is wrong in triclinic boxes (issue 5315 of OpenMM),
and is not used. The barostat is there to be asked, and never moves the box.
"""

from __future__ import annotations

import numpy as np
from ase.stress import full_3x3_to_voigt_6_stress

from ..interface import Array, EngineImport, NotOffered
from ..interface.units import convert
from .contexts import Evaluator, asking, create
from .model import Model
from .options import OpenMMSettings

with EngineImport("openmm", install="pip install 'scalespan[openmm]'") as engine:
    import openmm

_ORDER = ((0, 0), (1, 1), (2, 2), (0, 1), (0, 2), (1, 2))


def refusal(model: Model) -> NotOffered | None:
    """Return why a model has no stress; None where it has."""
    if model.cell is None:
        return NotOffered("openmm has no stress of a force field without a periodic cell")
    if not hasattr(openmm.MonteCarloFlexibleBarostat, "computeStressTensor"):
        return NotOffered(
            f"OpenMM {openmm.__version__} has no computeStressTensor, so that the adapter has no stress",
            todo="install OpenMM 8.6 or newer (its wheel needs glibc 2.34)",
        )
    if model.system.getNumConstraints():
        return NotOffered(
            "openmm has no stress of constrained atoms: it would lack the forces of the constraints",
            todo="take constraints = 'none' and flexible water",
        )
    return None


class StressMeter:
    """A context of its own, so that other answers stay as they are, bit for bit."""

    def __init__(self, model: Model, settings: OpenMMSettings, names: list[str]) -> None:
        system = openmm.XmlSerializer.clone(model.system)
        self._barostat = openmm.MonteCarloFlexibleBarostat(0.0, 300.0, 0)  # bar, K, and no trial boxes
        self._barostat.setScaleMoleculesAsRigid(False)
        self._barostat.setRandomNumberSeed(1)  # by chance otherwise, and all noise of the Reference platform
        system.addForce(self._barostat)
        context = create(system, openmm.VerletIntegrator(0.001), settings)
        self.evaluator = Evaluator(model, settings, context, names)
        self._bar = convert(1.0, "bar", "eV/angstrom**3")

    def read(self) -> Array:
        """Return the stress (6,) eV/Å³ where the evaluator's atoms are, without their motion, in the atoms' frame."""
        with asking("compute the stress"):
            values = self._barostat.computeStressTensor(self.evaluator.context, False)
        full = np.zeros((3, 3))
        for (i, j), value in zip(_ORDER, values, strict=True):
            full[i, j] = full[j, i] = self._bar * getattr(value, "_value", value)
        turned = self.evaluator.frame.back(self.evaluator.frame.back(full).T)  # R σ Rᵀ
        found: Array = full_3x3_to_voigt_6_stress(turned)
        return found
