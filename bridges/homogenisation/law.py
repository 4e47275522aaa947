r"""A cell as a material: at each point of a continuum its own cell, under the continuum's F (FE²).

$$\bar P(F) = \frac1V \int_{cell} P, \qquad F = 1 + \langle \nabla u \rangle$$

F. Feyel and J.-L. Chaboche 2000, doi:10.1016/S0045-7825(99)00224-8; V. Kouznetsova, W. A. M. Brekelmans and
F. P. T. Baaijens 2001, doi:10.1007/s004660000212.

Within the continuum's Newton iteration (`iterate`) a cell starts from w + ∂w/∂F : ΔF of the last linearisation, and
goes on until its correction is below `forcing` times the change of F (S. C. Eisenstat and H. F. Walker 1996,
doi:10.1137/0917003), or, monolithic, by one step for each new F: the Newton method of cells and continuum as one
system, with the cells condensed (N. Lange, G. Hütter and B. Kiefer 2021, doi:10.1016/j.cma.2021.113886). Where the
iteration ends, `respond` brings every cell to its full tolerance.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from scalespan.adapters.interface import (
    Array,
    CaseError,
    FieldAdapter,
    Material,
    NotConverged,
    Response,
    Spread,
    State,
    Table,
    in_turn,
)

from .cell import Cell, Condensed, Effort
from .options import HomogenisationOptions
from .points import Points, Site, steepness
from .separation import separation

_PART = 1e-2
_PROBE = 0.02  # a strain for the first measure of how fast the tangent changes


@dataclass(frozen=True)
class _Search:
    """What a rank needs to answer for one cell."""

    gradient: Array  # (d, d)
    starts: Sequence[Array | None]  # (n, m) fluctuations to start from, in turn until one leads to an answer
    history: Array | None
    effort: Effort


class Homogenisation(Material):
    """The law of a cell; each point keeps its own fluctuation and, of a cell with a history, its own history."""

    name = "homogenisation"
    Options = HomogenisationOptions
    parts = ("cell",)

    def __init__(self, options: HomogenisationOptions, cell: FieldAdapter | None = None) -> None:
        if not isinstance(cell, FieldAdapter):
            raise CaseError("a homogenisation needs a cell", todo='give it the part "cell": use = "dolfinx", …')
        self.options, self.engine = options, cell
        self.cell = Cell(cell.microstructure(), options)
        if self.cell.micro.components != self.cell.micro.points.shape[1]:
            raise CaseError("a material's cell has displacements as its unknown", todo="take elasticity")
        if options.body is not None:
            separation(self._longest, options.body).need()
        self._plain = options.scheme == "plain"
        self._points = Points(self.cell.micro, 0.0 if self._plain else options.reuse, self._plain)
        self._full = Effort(options.tolerance, options.iterations)
        self._linear: Condensed | None = None  # the answer that says all of a linear cell
        self._last: Array | None = None  # F of the last question
        self._spread: Spread = in_turn
        self._counts = {"points/1": 0.0, "cells/1": 0.0, "cell_iterations/1": 0.0}

    @property
    def dimension(self) -> int:
        """The cell's."""
        return int(self.cell.micro.points.shape[1])

    @property
    def _longest(self) -> float:
        return float(np.linalg.norm(self.cell.periods, axis=1).max())

    @property
    def stress_unit(self) -> str:
        """The cell's."""
        return self.cell.micro.flux_unit

    @property
    def density(self) -> float:
        """As the options say."""
        return self.options.density

    def share(self, spread: Spread, rank: int) -> None:
        """Let others do cells, too."""
        self._spread = spread

    def observe(self) -> Mapping[str, float]:
        """Return how many points were answered, cells worked on for it, and Newton's iterations in these."""
        return dict(self._counts)

    def _respond(self, deformation: Array, tangent: bool) -> Response:
        return self._answer(deformation, tangent, exact=True)

    def _iterate(self, deformation: Array, tangent: bool) -> Response:
        return self._answer(deformation, tangent, exact=self._plain)

    def _answer(self, deformation: Array, tangent: bool, exact: bool) -> Response:
        self._counts["points/1"] += len(deformation)
        gradients = deformation - np.eye(self.dimension)
        if self.cell.micro.linear and not self._plain:
            return self._proportional(gradients, tangent)
        self._points.number(len(gradients))
        self._measure()
        again = self._last is not None and np.array_equal(deformation, self._last)
        sites = self._points.place(gradients)
        self._solve(sites, exact, again)
        self._points.keep(sites, linearised=tangent or exact)
        self._last = deformation.copy()
        return self._response(sites, gradients, tangent)

    def _solve(self, sites: Sequence[Site], exact: bool, again: bool) -> None:
        """Work on the cells that have not answered as wanted; on the way, only once for each new F."""
        wanted = []
        for site in dict.fromkeys(sites):
            rough = site.answer is None or site.answer.left > self.options.tolerance
            if site.answer is None or (rough and (exact or not (again or self.options.reuse > 0.0))):
                wanted.append(site)
        searches = [self._search(site, exact) for site in wanted]
        costs = [1.0 if site.base is None else float(site.base.iterations) for site in wanted]
        answers = self._spread(self._find, searches, costs)
        for site, answer in zip(wanted, answers, strict=True):
            site.answer = answer
        self._counts["cells/1"] += len(answers)
        self._counts["cell_iterations/1"] += sum(answer.iterations for answer in answers)
        self._points.learn([each for each in answers if each.left <= self.options.tolerance], self.options.tolerance)

    def _search(self, site: Site, exact: bool) -> _Search:
        base = site.answer or site.base
        starts: tuple[Array | None, ...] = (None,)
        if base is not None:
            starts = (base.fluctuation,) if self._plain else (base.predicted(site.gradient), base.fluctuation)
        return _Search(site.gradient, starts, self._points.history(site), self._full if exact else self._effort(site))

    def _effort(self, site: Site) -> Effort:
        """Return how far a cell goes on the way: the change of F since the last linearisation says."""
        options = self.options
        if options.scheme == "monolithic" and options.reuse == 0.0:
            return Effort(options.tolerance, 1)
        size = float(np.abs(site.gradient).max())
        change = size if site.base is None else float(np.abs(site.gradient - site.base.gradient).max())
        accept = options.forcing * min(1.0, change / size) if size > 0.0 else 0.0
        if options.reuse > 0.0:  # others lean on it: its own error, of the second order, is a small part of theirs
            accept = min(accept, _PART * options.reuse**0.5)
        return Effort(max(options.tolerance, accept), options.iterations)

    def _find(self, search: _Search) -> Condensed:
        for start in search.starts[:-1]:
            try:
                return self.cell.approach(search.gradient, start, search.history, search.effort)
            except NotConverged:
                continue
        return self.cell.approach(search.gradient, search.starts[-1], search.history, search.effort)

    def _response(self, sites: Sequence[Site], gradients: Array, tangent: bool) -> Response:
        d, answers = self.dimension, [site.answer for site in sites]
        found = [each for each in answers if each is not None and each.tangent is not None]
        slopes = np.array([each.tangent for each in found]).reshape(-1, d, d, d, d)
        away = gradients - np.array([each.gradient for each in found]).reshape(-1, d, d)
        change = np.einsum("nijkl,nkl->nij", slopes, away)
        at_sites = np.array([each.flux for each in found]).reshape(-1, d, d)
        stress = at_sites + change
        if any(each.energy is None for each in found):
            energy = 0.5 * (stress * gradients).sum(axis=(1, 2))
        else:
            energy = np.array([each.energy for each in found]) + ((at_sites + 0.5 * change) * away).sum(axis=(1, 2))
        lost = np.array([each.dissipation for each in found]) if self._points.remember else None
        at_rest = all(each.left <= self.options.tolerance for each in found)
        return Response(energy, stress, slopes if tangent else None, dissipation=lost, exact=at_rest)

    def _proportional(self, gradients: Array, tangent: bool) -> Response:
        """Answer for a linear cell: it is solved once, at a strain, where Hill's condition is checked."""
        d = self.dimension
        if self._linear is None:
            self._linear = self.cell.answer(_small(d), tangent=True)
            self._counts["cells/1"] += 1
            self._counts["cell_iterations/1"] += self._linear.iterations
        slope = self._linear.tangent
        assert slope is not None, "it was wanted"
        stress = np.einsum("ijkl,nkl->nij", slope, gradients)
        energy = 0.5 * (stress * gradients).sum(axis=(1, 2))
        return Response(energy, stress, np.tile(slope, (len(gradients), 1, 1, 1, 1)) if tangent else None)

    def _measure(self) -> None:
        """Find out, before a cell answers for others, how fast its tangent changes: from rest, along each of H."""
        points, d = self._points, self.dimension
        if points.steepness is not None or points.remember or self.options.reuse == 0.0 or self._plain:
            return
        at_rest = self.cell.answer(np.zeros((d, d)), tangent=True)
        around = [self.cell.answer(_PROBE * each.reshape(d, d), tangent=True) for each in np.eye(d * d)]
        points.steepness = max(steepness(each, at_rest) for each in around)
        self._counts["cells/1"] += 1 + len(around)
        self._counts["cell_iterations/1"] += at_rest.iterations + sum(each.iterations for each in around)

    def advance(self, dt: float) -> None:
        """Make each point's history that of its last answer."""
        self._points.commit(self.options.tolerance)
        self._last = None

    def audit(self) -> list[Table]:
        """Return the law at rest: its condensed tangent, its bounds, Hill's condition at a strain of 1e-3."""
        d = self.dimension
        at_rest, strained = self.cell.answer(np.zeros((d, d)), tangent=True), self.cell.answer(_small(d))
        assert at_rest.tangent is not None and at_rest.voigt is not None, "they were wanted"
        below = np.linalg.eigvalsh((at_rest.voigt - at_rest.tangent).reshape(d * d, d * d)).min()
        rows = [(f"C{i + 1}{i + 1}", f"{at_rest.tangent[i, i, i, i]:.7g} {self.stress_unit}") for i in range(d)]
        rows += [("C12", f"{at_rest.tangent[0, 0, 1, 1]:.7g} {self.stress_unit}")] if d > 1 else []
        rows += [("below the uniform strain's (Voigt), at least", f"{below:.3g} {self.stress_unit}")]
        rows += [("Hill's condition", f"{strained.hill_mandel:.1e}")]
        if self.options.body is not None:
            rows += [("its size over that of the body", f"{separation(self._longest, self.options.body).ratio:.3g}")]
        return [Table(f"The cell's law, {self.options.boundary} boundary", ("what", "how much"), tuple(rows))]

    def save(self) -> State:
        """Return what each point remembers."""
        return self._points.save()

    def restore(self, state: State) -> None:
        """Return to a saved state."""
        self._points.restore(state)
        self._last = None

    def close(self) -> None:
        """Close the cell's engine."""
        self.engine.close()


def _small(d: int) -> Array:
    return 1e-3 * (np.eye(d) + np.ones((d, d)))
