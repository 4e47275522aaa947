"""Each atom's own energy counted by a weight, E = Σ w_i Φ_i, where the system's custom forces ask for it.

A custom force takes part by a parameter of each particle called ``weight``, 1 by default, in its expressions: a pair
½(w₁ + w₂) φ(r), a term of three atoms w₁ φ₃ of its central one, an embedding energy w F(ρ).
"""

from __future__ import annotations

import numpy as np

from ..interface import Array, CaseError, EngineImport, NotOffered

with EngineImport("openmm", install="pip install 'scalespan[openmm]'") as engine:
    import openmm

WEIGHT = "weight"


def weigh(system: openmm.System, weights: Array) -> openmm.System:
    """Return a copy of a system with the weights (n,) in place.

    Raises:
        CaseError: another number of weights, or one that is not finite.
        NotOffered: a force without the parameter ``weight``.
    """
    given = np.asarray(weights, dtype=float)
    count = system.getNumParticles()
    if given.shape != (count,) or not np.isfinite(given).all():
        raise CaseError(f"{count} finite weights are wanted, and the shape given is {given.shape}", where="openmm")
    copy = openmm.XmlSerializer.clone(system)
    for force in copy.getForces():
        _set(force, given)
    return copy


def _set(force: openmm.Force, weights: Array) -> None:
    names: list[str] = []
    if isinstance(force, (openmm.CustomNonbondedForce, openmm.CustomManyParticleForce, openmm.CustomGBForce)):
        names = [force.getPerParticleParameterName(i) for i in range(force.getNumPerParticleParameters())]
    if WEIGHT not in names:
        raise NotOffered(
            f"the force '{force.getName()}' has no parameter '{WEIGHT}' of each particle",
            where="openmm",
            todo="use custom pair, many-particle or GB forces with it, as the page of openmm shows",
        )
    column = names.index(WEIGHT)
    for i, weight in enumerate(weights.tolist()):
        found = force.getParticleParameters(i)
        # A many-particle force gives the particle's type beside its parameters.
        many = isinstance(force, openmm.CustomManyParticleForce)
        values = list(found[0] if many else found)
        values[column] = weight
        force.setParticleParameters(i, *((values, found[1]) if many else (values,)))
