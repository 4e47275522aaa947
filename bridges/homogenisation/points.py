r"""Which cell answers for which point of a continuum, where its search starts, and what has happened to it.

A cell that has been solved at H_s answers for every point near it that has the same history,

$$P(H) \approx P_s + C_s : (H - H_s), \qquad \frac{|\delta P|}{|C_s|} \approx \kappa \, |H - H_s|^2, \qquad
\kappa = \max \frac{|C_a - C_s|}{2 \, |C_s| \, |H_a - H_s|}$$

over neighbours among the cells that have been solved. After a history the difference may go into it: there the error
is of the first order, |δP|/|C| ≤ |H − H_s|, and points that share a cell share its history from then on
(M. Redeker and C. Eck 2013, doi:10.1016/j.jcp.2012.12.004).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, fields

import numpy as np

from scalespan.adapters.interface import Array, CaseError, EngineFailed, Microstructure, State

from .cell import Condensed

_KEPT = 1000  # cells that answer for nobody at the moment
# Of the error allowed, at which a point joins a cell; it leaves at 1, or Newton's method could go to and fro.
_JOINS = 0.25
_FAR = 1e-6  # a difference of H above which tangents say something of κ


@dataclass(eq=False)
class Site:
    """A mean gradient at which a cell answers, after one of the histories."""

    gradient: Array  # (d, d) H
    group: int  # the history
    base: Condensed | None  # where its search starts
    answer: Condensed | None = None  # so far

    def error(self, gradient: Array, steepness: float | None) -> float:
        """Return the estimate of |δP|/|C| at another H; without κ, of the first order."""
        away = float(np.linalg.norm(gradient - self.gradient))
        return away if steepness is None else steepness * away**2


class Points:
    """The points, in the order in which the continuum asks, and the sites that answer for them.

    A history is a trial until `commit`: the same step can be asked as often as the continuum's Newton needs.
    """

    def __init__(self, micro: Microstructure, reuse: float, alone: bool) -> None:
        """Reuse: the error that may come from answering for others; alone: each point asks its own cell, always."""
        self._reuse, self._alone, self._begun = reuse, alone, False
        self.remember = micro.history is not None
        self._histories: list[Array | None] = [micro.history]
        self._groups: list[int] = []  # of each point: which history is its own
        self._at: list[Site | None] = []  # of each point: who answered last
        self._bases: list[Condensed | None] = []  # of each point: the answer where the continuum was linearised last
        self._sites: list[Site] = []
        self.steepness: float | None = None  # κ; within a step it stays, or points would change cells for no reason
        self._steepest = 0.0  # κ as measured since

    def number(self, count: int) -> None:
        """Be ready for so many points; where they are others than before, nothing has happened to them.

        Raises:
            CaseError: they have a history already, and would lose it.
        """
        if count == len(self._groups):
            return
        if self._begun and self.remember:
            raise CaseError(
                f"{count} points ask a law that has the history of {len(self._groups)}",
                where="homogenisation",
                todo="give each continuum, and each mesh, a law of its own",
            )
        self._groups, self._at, self._bases = [0] * count, [None] * count, [None] * count

    def history(self, site: Site) -> Array | None:
        """Return what has happened to a site's cell until the last final step; None of a cell without a history."""
        return self._histories[site.group]

    def place(self, gradients: Array) -> list[Site]:
        """Return the site of each point at mean gradients (p, d, d); it stays where it was while that is near enough.

        Where no site is near, a new one opens at the point's own H.
        """
        if self._alone:
            before = [None if each is None else each.answer for each in self._at]
            return [Site(*each) for each in zip(gradients, self._groups, before, strict=True)]
        known = {_key(each.group, each.gradient): each for each in self._sites}
        table = np.array([each.gradient for each in self._sites]).reshape(-1, *gradients.shape[1:])
        found = []
        for point, (group, gradient) in enumerate(zip(self._groups, gradients, strict=True)):
            site = self._near(self._at[point], group, gradient, 1.0) or known.get(_key(group, gradient))
            if site is None and self._reuse > 0.0:
                order = np.argsort(np.linalg.norm(table - gradient, axis=(1, 2)), kind="stable")
                nearest = next((i for i in order if self._sites[i].group == group), None)
                site = None if nearest is None else self._near(self._sites[nearest], group, gradient, _JOINS)
            if site is None:
                site = Site(gradient.copy(), group, self._bases[point])
                self._sites.append(site)
                known[_key(group, gradient)] = site
                table = np.concatenate([table, gradient[None]]) if self._reuse > 0.0 else table
            found.append(site)
        return found

    def _near(self, site: Site | None, group: int, gradient: Array, part: float) -> Site | None:
        """Return the site if its error at H is within a part of what is allowed."""
        if site is None or site.group != group:
            return None
        if np.array_equal(site.gradient, gradient):
            return site
        measured = self.remember or self.steepness is not None
        near = measured and self._reuse > 0.0 and site.error(gradient, self.steepness) <= part * self._reuse
        return site if near else None

    def keep(self, sites: Sequence[Site], linearised: bool) -> None:
        """Take the sites (p,) that have answered; ``linearised``: the next search starts from these answers."""
        self._at = list(sites)
        if linearised:
            self._bases = [site.answer for site in sites]
        used = {id(site) for site in sites}
        spare = [] if self._reuse == 0.0 else [each for each in self._sites if id(each) not in used][-_KEPT:]
        kept = used | {id(each) for each in spare}
        self._sites = [each for each in self._sites if id(each) in kept]

    def learn(self, answers: Iterable[Condensed], tolerance: float) -> None:
        """Measure κ between answers that are exact and their nearest neighbours."""
        if self._reuse == 0.0 or self.remember:
            return
        solved = [each.answer for each in self._sites if each.answer is not None and each.answer.left <= tolerance]
        for one in answers:
            others = [each for each in solved if np.linalg.norm(each.gradient - one.gradient) > _FAR]
            if others:
                other = min(others, key=lambda each: float(np.linalg.norm(each.gradient - one.gradient)))
                self._steepest = max(self._steepest, steepness(one, other))

    def commit(self, tolerance: float) -> None:
        """Make the last answers' histories final.

        Raises:
            EngineFailed: a cell is not at rest; the continuum has not asked for exact answers at the end of its step.
        """
        if any(site is not None and site.answer is not None and site.answer.left > tolerance for site in self._at):
            raise EngineFailed("a step ends with a cell that is not at rest", where="homogenisation")
        self._begun = True
        self.steepness = None if self.steepness is None else max(self.steepness, self._steepest)
        if not self.remember or None in self._at:
            return
        sites = list(dict.fromkeys(site for site in self._at if site is not None))
        self._histories = [None if site.answer is None else site.answer.history for site in sites]
        number = {site: i for i, site in enumerate(sites)}
        self._groups = [number[site] for site in self._at if site is not None]
        self._at, self._sites = [None] * len(self._groups), []

    def save(self) -> State:
        """Return all of it."""
        owned = [each for each in (*self._at, *self._sites) if each is not None and each.answer is not None]
        answers = dict.fromkeys(each.answer for each in owned if each.answer is not None)
        cells = list(dict.fromkeys((*answers, *(each for each in self._bases if each is not None))))
        number = {id(each): i for i, each in enumerate(cells)}

        def numbers(given: Iterable[Condensed | None]) -> Array:
            return np.array([-1 if each is None else number[id(each)] for each in given], dtype=np.float64)

        state = {
            "groups": np.array(self._groups, dtype=np.float64),
            "at": numbers(None if each is None else each.answer for each in self._at),
            "bases": numbers(self._bases),
            "sites": numbers(each.answer for each in self._sites),
            "continues": np.array([each.group for each in self._sites], dtype=np.float64),
            "begun": np.array(self._begun),
            "steepness": np.array([-1.0 if self.steepness is None else self.steepness, self._steepest]),
        }
        if self.remember:
            state["histories"] = np.array(self._histories)
        return state | _packed(cells)

    def restore(self, state: State) -> None:
        """Return to what `save` gave."""
        cells: list[Condensed | None] = [*_unpacked(state), None]
        indices = {key: _numbers(state[key]) for key in ("at", "bases", "sites")}
        self._groups = _numbers(state["groups"])
        self._bases = [cells[i] for i in indices["bases"]]
        self._begun = bool(state["begun"])
        steepness, self._steepest = (float(each) for each in state["steepness"])
        self.steepness = None if steepness < 0.0 else steepness
        if self.remember:
            self._histories = list(np.array(state["histories"]))
        self._sites = []
        for i, group in zip(indices["sites"], _numbers(state["continues"]), strict=True):
            answer = cells[i]
            if answer is not None:
                self._sites.append(Site(answer.gradient, group, answer, answer))
        place = {id(site.answer): site for site in self._sites}
        self._at = [place.get(id(cells[i])) for i in indices["at"]]


def _numbers(given: Array) -> list[int]:
    return [int(each) for each in given]


def _key(group: int, gradient: Array) -> tuple[int, bytes]:
    return group, gradient.tobytes()


def steepness(one: Condensed, other: Condensed) -> float:
    """Return |ΔC| / (2 |C| |ΔH|) of two cells."""
    assert one.tangent is not None and other.tangent is not None, "they are wanted always"
    away = float(np.linalg.norm(one.gradient - other.gradient))
    size = float(np.linalg.norm(other.tangent))
    return float(np.linalg.norm(one.tangent - other.tangent)) / (2.0 * size * away)


def _packed(cells: Sequence[Condensed]) -> State:
    """Return the fields of some cells' answers as arrays; what they have not is left out."""
    columns = {each.name: [getattr(cell, each.name) for cell in cells] for each in fields(Condensed)}
    return {f"cells/{key}": np.array(column) for key, column in columns.items() if column and column[0] is not None}


def _unpacked(state: State) -> list[Condensed]:
    names = [each.name for each in fields(Condensed)]
    columns = {name: state[f"cells/{name}"] for name in names if f"cells/{name}" in state}
    if not columns:
        return []
    count = len(columns["left"])
    scalars = {"energy": float, "iterations": int, "left": float, "hill_mandel": float, "dissipation": float}

    def value(name: str, i: int) -> object:
        if name not in columns:
            return None
        return scalars[name](columns[name][i]) if name in scalars else np.array(columns[name][i])

    return [Condensed(*(value(name, i) for name in names)) for i in range(count)]  # type: ignore[arg-type]
