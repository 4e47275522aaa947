r"""What each method will cost, and how wrong it will be: known before it runs, from one period.

For the lowest mode u = sin(πx/L_x) sin(πy/L_y) of the domain, relative to ‖u‖ in L2,

$$e_H = \tfrac{\pi^2}{2} \sqrt{\tfrac{2}{30} + \tfrac{1}{18}} \left(\frac{H}{L}\right)^2, \qquad
  e_\varepsilon = \sqrt{\tfrac12 \langle \chi\cdot\chi \rangle \left(\tfrac{\pi^2}{L_x^2} +
  \tfrac{\pi^2}{L_y^2}\right)}, \qquad
  e_{\varepsilon/H} = \left(\frac{\operatorname{tr} a_{kin}}{\operatorname{tr} a_{per}} - 1\right)
  \frac{\varepsilon}{H}:$$

the bilinear interpolation; the oscillation that a coarse field cannot have, by the correctors χ of the period; the
stiffening of an element by boundary values that are too smooth, as that of one period under kinematic ones, which
falls as one over the number of periods. HMM is wrong by e_H + e_ε, C (H² + ε); MsFEM by e_H + e_ε/H, C (H² + ε/H)
(T. Y. Hou, X.-H. Wu and Z. Cai 1999, doi:10.1090/S0025-5718-99-01077-7); the arithmetic mean by tr⟨a⟩ in place of
tr a_per. The work is Σ n^1.5, that of factoring n unknowns in the plane (A. George 1973, doi:10.1137/0710032).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from scalespan.adapters.interface import Array, CaseError

from .grid import Grid
from .medium import Medium
from .methods import LinearLaw
from .options import Family, MethodName, MultiscaleOptions

_WHOLE = 1e-6
_NEWTON = 4  # iterations of a nonlinear problem, and of each of its cells, that an estimate reckons with


@dataclass(frozen=True)
class Estimate:
    """One method on one coarse mesh."""

    method: MethodName
    elements: int  # along each axis
    periods: float  # in an element, along the axis with fewer
    problems: int  # local ones
    factorisations: int  # of local problems
    largest: int  # unknowns of a local problem
    work: float
    error: float  # expected


@dataclass(frozen=True)
class Constants:
    """What one period tells of the errors to come."""

    corrector: float  # √(½⟨χ·χ⟩), in units of length
    stiffening: float  # tr a_kin / tr a_per − 1
    boundary: float  # |tr a / tr a_per − 1| of the boundary that hmm's cells have
    mean: float  # 1 − tr a_per / tr⟨a⟩

    @classmethod
    def of(cls, medium: Medium, place: Array, boundary: Family = "periodic") -> Constants:
        """Solve one period under periodic, kinematic and hmm's boundary conditions."""
        laws = {each: LinearLaw.of(medium.cell(place, each)[1]) for each in _families(boundary)}
        periodic, kinematic = laws["periodic"], laws["kinematic"]
        squares = (periodic.correctors**2).sum(axis=1)
        mean = float(periodic.grid.weights @ squares / periodic.grid.weights.sum())
        trace = float(np.trace(periodic.conductivity))
        return cls(
            float(np.sqrt(0.5 * mean)),
            float(np.trace(kinematic.conductivity)) / trace - 1.0,
            abs(float(np.trace(laws[boundary].conductivity)) / trace - 1.0),
            1.0 - trace / float(np.trace(periodic.mean)),
        )


def domain_of(options: MultiscaleOptions, elements: int) -> Grid:
    """Return a coarse mesh."""
    return Grid(np.array(options.low), np.array(options.high), (elements, elements))


def check_scales(method: MethodName, medium: Medium, grid: Grid) -> None:
    """Refuse a method where its scales do not separate, or its elements do not fit.

    Raises:
        CaseError: the sentence says which.
    """
    periods = grid.size / medium.period
    if method in ("hmm", "mean") and periods.min() < 1.0 - _WHOLE:
        raise CaseError(
            f"a coarse element of {grid.size.tolist()} is smaller than the period {medium.period.tolist()}: the scales "
            f"do not separate, and {method} has no mean to take",
            where="multiscale_fem",
            todo="take fewer elements, msfem, or the resolved problem",
        )
    whole = grid.size / medium.spacing
    if method in ("msfem", "oversampled") and np.abs(whole - np.rint(whole)).max() > _WHOLE:
        raise CaseError(
            f"a coarse element of {grid.size.tolist()} is {np.round(whole, 6).tolist()} fine elements of the part "
            f"'cell', and must be a whole number for {method}",
            where="multiscale_fem",
            todo="take other elements, or other cells in the part's mesh",
        )


def estimate(method: MethodName, medium: Medium, grid: Grid, options: MultiscaleOptions, known: Constants) -> Estimate:
    """Return what one method will cost on one coarse mesh, and its expected error.

    Raises:
        CaseError: the method does not fit the mesh.
    """
    check_scales(method, medium, grid)
    problems, factorisations, largest = _counts(method, medium, grid, options)
    work = options.changes * (factorisations * largest**1.5 + len(grid.inside) ** 1.5)
    error = expected(method, medium, grid, grid.counts[0], known)
    times = options.changes
    periods = float((grid.size / medium.period).min())
    return Estimate(method, grid.counts[0], periods, times * problems, times * factorisations, largest, work, error)


def expected(method: MethodName, medium: Medium, domain: Grid, elements: float, known: Constants) -> float:
    """Return the error that a method is expected to have with so many elements along each axis of a domain."""
    sides = domain.high - domain.low
    interpolation = 0.5 * np.pi**2 * np.sqrt(2.0 / 30.0 + 1.0 / 18.0) / elements**2
    wrong = known.corrector * np.pi * np.sqrt((sides**-2).sum())
    if method == "hmm":
        wrong += known.boundary
    if method == "msfem":
        wrong = known.stiffening * (medium.period / sides).max() * elements
    if method == "mean":
        wrong = known.mean
    return float(interpolation + wrong)


def resolved_work(medium: Medium, domain: Grid) -> tuple[int, float]:
    """Return the unknowns of the resolved problem, and the work of factoring it."""
    unknowns = int(np.prod(np.rint((domain.high - domain.low) / medium.spacing) - 1.0))
    return unknowns, float(unknowns) ** 1.5


def _counts(method: MethodName, medium: Medium, grid: Grid, options: MultiscaleOptions) -> tuple[int, int, int]:
    """Return local problems, factorisations, and unknowns of one."""
    if method in ("hmm", "mean"):
        nodes = int(np.prod(np.rint(medium.period / medium.spacing) + 1))
        distinct = 1 if medium.periodic else 4 * len(grid.elements)
        if options.nonlinear:
            times = 4 * len(grid.elements) * _NEWTON * (_NEWTON + 1)
            return times, times, nodes
        return 2 * distinct, distinct, nodes
    margin = options.oversampling * medium.period if method == "oversampled" else 0.0 * medium.period
    largest = int(np.prod(np.rint((grid.size + 2 * margin) / medium.spacing) - 1))
    lows = grid.nodes[grid.elements[:, 0]]
    distinct = len({medium.key(low, grid.size) for low in lows})
    return 4 * distinct, distinct, largest


def _families(boundary: Family) -> tuple[Family, ...]:
    return ("periodic", "kinematic") if boundary != "static" else ("periodic", "kinematic", "static")
