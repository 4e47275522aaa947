"""What a problem is: an unknown, its residual, and the names of what partners can give and take."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from math import inf
from typing import Any

from .options import Fixed


def _nothing() -> None:
    return


def _as_it_is(tangent: bool) -> None:
    return


@dataclass
class Problem:
    """Find u with F(u; v) = ∮ g·v ds + Σ loads·v for all v, at the end of each step.

    ``residual`` is F without g and the loads, which partners give: the adapter adds them. A
    partner that gives u instead receives g, which is what leaves: −F(u; ·) on its boundary.
    """

    name: str  # of the unknown: "temperature"
    unknown: Any  # fem.Function in a space of `Domain.space`, with its initial values
    test: Any  # ufl.TestFunction of that space
    residual: Any  # F(u; v), a form of UFL
    natural: str = "flux"  # of g: "heat_flux", "traction"
    load: str = "load"  # of the nodal loads: "heat", "force", "charge"
    flux: tuple[Any, Any] | None = None  # q as UFL and its measure, where F is ∫q·∇v: what a cell's mean is of
    outflow: Any = None  # −g as UFL on a facet, of the unknown: "−κ∇u·n"
    largest_gradient: float = inf  # of the unknown: the largest norm that the problem's law takes
    linear: bool = False  # F is affine in u, with a matrix that changes only with dt
    fixed: Sequence[Fixed] = ()
    inputs: Mapping[str, Any] = field(default_factory=dict)  # fem.Functions in F that a partner may set at nodes
    fields: Mapping[str, Any] = field(default_factory=dict)  # fem.Functions, or UFL to be projected, to give
    history: Mapping[str, Any] = field(default_factory=dict)  # fem.Functions that a later step depends on
    # To observe, {"kinetic": …}: energies, or what names its unit, {"mean/kelvin": …}; forms without v, or functions
    # that return a number.
    measures: Mapping[str, Any] = field(default_factory=dict)
    at: float = 1.0  # the part of the step at which F takes g and the loads
    begin: tuple[Any, Any] | None = None  # a function and its residual, solved once before the first step
    after: Callable[[], None] = _nothing  # moves the history on when a step is done
    # Where F holds functions that are computed from u outside of UFL, such as a stress at Gauss points: computes them
    # for u as it stands; True: also those in ``tangent``, the form ∂F/∂u·w that UFL cannot derive, of a trial function.
    refresh: Callable[[bool], None] = _as_it_is
    tangent: Any = None
    # Where `refresh` may compute loosely on the way to an answer: says whether from now on it must not, and returns
    # whether what it computed last is exact.
    exactly: Callable[[bool], bool] | None = None
    lumped: Any = None  # ∫ρ v dx, the masses at the nodes, where the motion is by leapfrog; F has no inertia then
    slaved: Any = None  # an `Extension`, by which some nodes follow the others
