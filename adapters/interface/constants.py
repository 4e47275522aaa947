"""Elastic constants in a hand-off record: from a law, and into Voigt's matrix."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date

import numpy as np

from .data import Array
from .errors import NotOffered, OptionError
from .hand_off import Amount, Conventions, HandOff, Numbers, Origin, Plane, Range
from .materials import Material
from .units import convert

_PAIRS = {
    1: ((0, 0),),
    2: ((0, 0), (1, 1), (0, 1)),
    3: ((0, 0), (1, 1), (2, 2), (1, 2), (0, 2), (0, 1)),
}  # Voigt's order


def stiffness_of(names: Sequence[str], conventions: Conventions) -> Array:
    """Return (k, k, n): what each of n elastic constants adds to Voigt's matrix.

    All of the upper triangle are named, "C11", "C12", …; of a cubic crystal "C11", "C12", "C44"; in a plane
    the shear is 6, as in xx yy zz yz xz xy.

    Raises:
        OptionError: a constant is missing, or is none of these.
    """
    rows = {"solid": (1, 2, 3, 4, 5, 6), "plane_strain": (1, 2, 6), "sheet": (1, 2, 6), "chain": (1,)}
    places = {number: p for p, number in enumerate(rows[conventions.plane])}
    wanted = {f"C{i}{j}": [(places[i], places[j])] for i in places for j in places if i <= j}
    if conventions.symmetry == "cubic":
        if conventions.plane != "solid":
            raise OptionError("a cubic crystal is a solid", where="conventions", todo='write symmetry = "none"')
        equal = {"C11": ("C22", "C33"), "C12": ("C13", "C23"), "C44": ("C55", "C66")}
        wanted = {one: [wanted[each][0] for each in (one, *others)] for one, others in equal.items()}
    if set(names) != set(wanted):
        wrong = sorted(set(names) ^ set(wanted))[0]
        lacks = "missing" if wrong in wanted else f"no elastic constant of a {conventions.plane.replace('_', ' ')}"
        raise OptionError(f"{wrong} is {lacks}", where="value.names", todo=f"name {', '.join(wanted)}")
    found = np.zeros((len(places), len(places), len(names)))
    for n, name in enumerate(names):
        for i, j in wanted[name]:
            found[i, j, n] = found[j, i, n] = 1.0
    return found


@dataclass(frozen=True)
class Header:
    """What a record says beside its numbers."""

    what: str
    origin: Origin
    state: Mapping[str, Amount]
    validity: Mapping[str, Range]
    cutoff: str = ""


def record_of(law: Material, header: Header, unit: str | None = None) -> HandOff:
    """Return the record of a law's elastic constants ∂²W/∂e² at F = 1, dated today.

    Their covariance is that of the law's tangent and stress, each constant by itself: a law that tells the variance of
    each component of its tangent does not tell what they have in common.

    Args:
        law: any.
        header: where it comes from, and where it holds.
        unit: of the constants, such as "GPa"; the law's own by default.

    Raises:
        NotOffered: the law has no tangent.
    """
    d, own = law.dimension, law.stress_unit
    answer = law.respond(np.eye(d)[None], tangent=True)
    if answer.tangent is None:
        raise NotOffered(f"{law.name} has no tangent, and its constants are one")
    plane: dict[int, Plane] = {1: "chain", 2: "sheet", 3: "solid"}
    numbers = {1: (1,), 2: (1, 2, 6), 3: (1, 2, 3, 4, 5, 6)}[d]
    names, found, errors = [], [], []
    for p, (i, j) in enumerate(_PAIRS[d]):
        for q, (k, m) in list(enumerate(_PAIRS[d]))[p:]:
            names.append(f"C{numbers[p]}{numbers[q]}")
            found.append(answer.tangent[0, i, j, k, m] - (i == k) * answer.stress[0, j, m])
            errors.append(0.0 if answer.tangent_variance is None else answer.tangent_variance[0, i, j, k, m])
            if answer.covariance is not None and i == k:
                errors[-1] += answer.covariance[0, j, m, j, m]
    scale, exact = convert(1.0, own, unit or own), max(errors) == 0.0
    return HandOff(
        what=header.what,
        date=date.today(),
        origin=header.origin,
        value=Numbers(
            names=names,
            unit=unit or own,
            numbers=[scale * float(each) for each in found],
            covariance=None if exact else (scale**2 * np.diag(errors)).tolist(),
        ),
        state=dict(header.state),
        validity=dict(header.validity),
        conventions=Conventions(plane=plane[d], cutoff=header.cutoff),
    )
