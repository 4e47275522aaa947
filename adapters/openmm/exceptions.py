"""Charges, Lennard-Jones parameters and exceptions of a NonbondedForce, as arrays."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from math import log, sqrt
from typing import Literal
from xml.etree.ElementTree import Element

import numpy as np
from scipy import constants

from ..interface import Array, ChargeError, Indices, NotOffered


@dataclass(frozen=True)
class Pairs:
    """A NonbondedForce in OpenMM's units: e, nm, kJ/mol."""

    method: Literal["no-cutoff", "reaction-field", "ewald"]
    periodic: bool
    cutoff: float
    switch: float | None
    dielectric: float  # of the reaction field
    alpha: float  # 1/nm, of the Ewald methods
    charges: Array  # (n,)
    sigmas: Array  # (n,)
    epsilons: Array  # (n,)
    exceptions: Indices  # (m, 2)
    exception_values: Array  # (m, 3): charge product, sigma, epsilon


@cache
def coulomb_constant() -> float:
    """Return 1/(4πε₀) in kJ/mol·nm/e² of the constants that OpenMM has: CODATA 2018."""
    # SciPy's own table moves with CODATA; OpenMM 8.6 has ε₀ of 2018.
    return float(constants.e**2 * constants.N_A * 1e6 / (4.0 * np.pi * 8.8541878128e-12))


def read_pairs(force: Element) -> Pairs:
    """Return the arrays of the element of a NonbondedForce."""
    attributes = force.attrib
    for lists in ("ParticleOffsets", "ExceptionOffsets"):
        if force.find(f"{lists}/*") is not None:
            raise NotOffered("nonbonded parameters that depend on global ones cannot be selected", where="openmm")
    method, cutoff = int(attributes["method"]), float(attributes["cutoff"])
    tolerance = float(attributes["ewaldTolerance"])
    particles, exceptions = list(force.iterfind("Particles/Particle")), list(force.iterfind("Exceptions/Exception"))
    return Pairs(
        method="no-cutoff" if method == 0 else "reaction-field" if method <= 2 else "ewald",
        periodic=method >= 2,
        cutoff=cutoff,
        switch=float(attributes["switchingDistance"]) if attributes["useSwitchingFunction"] == "1" else None,
        dielectric=float(attributes["rfDielectric"]),
        alpha=float(attributes["alpha"]) or sqrt(-log(2.0 * tolerance)) / cutoff,
        charges=_floats(particles, "q").ravel(),
        sigmas=_floats(particles, "sig").ravel(),
        epsilons=_floats(particles, "eps").ravel(),
        exceptions=_floats(exceptions, "p1", "p2").astype(np.int64),
        exception_values=_floats(exceptions, "q", "sig", "eps"),
    )


def _floats(elements: list[Element], *keys: str) -> Array:
    return np.array([[float(each.attrib[key]) for key in keys] for each in elements]).reshape(-1, len(keys))


def recharge(force: Element, charges: Array) -> None:
    """Put other charges into the element of a NonbondedForce, with the 1-4 pairs at their old scale.

    The scale of a pair is the quotient of its charge product and its atoms' charges. Where one
    of them had no charge, a pair with dispersion takes the scale of the force's other 1-4 pairs, and a pair
    without is an exclusion.

    Raises:
        ChargeError: a pair needs a scale and the force has not one but several.
    """
    pairs = read_pairs(force)
    charges = np.asarray(charges, dtype=float)
    if charges.shape != pairs.charges.shape:
        raise ChargeError(f"{len(pairs.charges)} charges are wanted and the shape given is {charges.shape}")
    for particle, q in zip(force.iterfind("Particles/Particle"), charges.tolist(), strict=True):
        particle.attrib["q"] = repr(q)
    i, j = pairs.exceptions.T
    new = charges[i] * charges[j] * _scales(pairs, charges)
    for exception, qq in zip(force.iterfind("Exceptions/Exception"), new.tolist(), strict=True):
        exception.attrib["q"] = repr(qq)


def _scales(pairs: Pairs, charges: Array) -> Array:
    i, j = pairs.exceptions.T
    product, (qq, _, epsilon) = pairs.charges[i] * pairs.charges[j], pairs.exception_values.T
    known = product != 0.0
    scales: Array = np.divide(qq, product, out=np.zeros_like(qq), where=known)
    unknown = ~known & (epsilon != 0.0) & (charges[i] * charges[j] != 0.0)
    if unknown.any():
        others = scales[known & (qq != 0.0)]
        if len(others) == 0 or np.ptp(others) > 1e-4:
            a, b = pairs.exceptions[unknown][0]
            raise ChargeError(
                f"the 1-4 pair of atoms {a} and {b} had no charge and is to get one, and the force field does "
                "not say with which scale",
                where="openmm",
                todo="give both atoms a charge that is not zero in the force field",
            )
        scales[unknown] = others.mean()
    return scales
