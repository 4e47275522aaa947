r"""A continuum's points, each with its own box of atoms, through the steps of the load.

Within a step a point always begins from the same atoms and hears the same noise, so that its answer is a function of
F and Newton's method converges. When the step is final its atoms go on from where they are, with new noise.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from scalespan.adapters.interface import Array, CaseError, State

from .relaxed import Answer, AtRest
from .sampled import REFERENCE, InMotion, Start, Trace


class PointsAtRest:
    """Boxes that remember where their atoms came to rest."""

    def __init__(self, rest: AtRest) -> None:
        self._rest = rest
        self._before: list[Array] = []  # X of each point when the last step was final
        self._after: list[Array] = []  # X of the last answers

    def respond(self, deformation: Array, tangent: bool) -> list[Answer]:
        """Return the answers under F (n, 3, 3)."""
        if len(self._before) != len(deformation):
            self._before = [self._rest.box.places] * len(deformation)
        known: dict[tuple[bytes, int], tuple[Answer, Array]] = {}
        found = []
        for each, places in zip(deformation, self._before, strict=True):
            key = each.tobytes(), id(places)
            if key not in known:
                known[key] = self._rest.answer(each, places, tangent)
            found.append(known[key])
        self._after = [places for _, places in found]
        return [answer for answer, _ in found]

    def advance(self) -> None:
        """Let the atoms stay where they came to rest."""
        self._before = self._after or self._before

    def save(self) -> State:
        """Return X (points, n, 3)."""
        return {"places": np.array(self._before)}

    def restore(self, state: State) -> None:
        """Return to saved places; those that are the same stay one."""
        self._after = []
        self._before = []
        for each in np.asarray(state["places"], dtype=np.float64):
            same = next((known for known in self._before[-1:] if np.array_equal(known, each)), each)
            self._before.append(same)


@dataclass
class _Point:
    """One point's box, as the last final step left it, and what it has been asked since."""

    start: Start
    deformation: Array  # F (3, 3) of the last final step
    stress: Array  # P (3, 3) there
    energy: float  # W there
    skip: int = -1  # samples left out within this step; -1: nothing has been asked
    trace: Trace | None = None
    answer: Answer | None = None


class PointsInMotion:
    """Boxes that remember where their atoms are, and the work that has been done on them."""

    def __init__(self, motion: InMotion) -> None:
        self.motion = motion
        self._points: list[_Point] = []
        self._reference: tuple[Trace, int, Answer] | None = None
        self._steps = 0

    def respond(self, deformation: Array, tangent: bool) -> list[Answer]:
        """Return the answers under F (n, 3, 3).

        Raises:
            CaseError: another number of points than have a history.
        """
        if len(self._points) != len(deformation):
            if self._steps:
                raise CaseError(f"{len(deformation)} points are asked, and {len(self._points)} boxes have a history")
            _, _, at_rest = self.reference()
            starts = [self.motion.begin(number) for number in range(len(deformation))]
            self._points = [_Point(start, np.eye(3), at_rest.stress, 0.0) for start in starts]
        return [self._at(point, each, tangent) for point, each in zip(self._points, deformation, strict=True)]

    def reference(self) -> tuple[Trace, int, Answer]:
        """Return the trajectory at F = 1, the samples left out, and the answer: where the work is counted from."""
        if self._reference is None:
            start = self.motion.begin(REFERENCE)
            trace = self.motion.follow(np.eye(3), start)
            skip = self.motion.skipped(trace)
            self._reference = trace, skip, self.motion.answer(trace, skip, start, False)
        return self._reference

    def _at(self, point: _Point, deformation: Array, tangent: bool) -> Answer:
        known = point.trace is not None and np.array_equal(point.trace.deformation, deformation)
        complete = known and len(point.trace or ()) >= self.motion.samples
        if complete and point.answer is not None and not (tangent and point.answer.tangent is None):
            return point.answer
        point.trace = self.motion.follow(deformation, point.start, point.trace if known else None)
        if point.skip < 0:
            point.skip = self.motion.skipped(point.trace)
        answer = self.motion.answer(point.trace, point.skip, point.start, tangent)
        work = 0.5 * float(((point.stress + answer.stress) * (deformation - point.deformation)).sum())
        point.answer = replace(answer, energy=point.energy + work)
        return point.answer

    def advance(self) -> None:
        """Let each point's atoms go on from the end of its last trajectory, with new noise."""
        self._steps += 1
        for number, point in enumerate(self._points):
            if point.trace is None or point.answer is None:
                continue
            start = Start(point.trace.places[-1], point.trace.momenta, self.motion.seed(number, self._steps))
            self._points[number] = _Point(start, point.trace.deformation, point.answer.stress, point.answer.energy)

    def save(self) -> State:
        """Return where each point's trajectory begins, its last final F, P and W, and what this step leaves out."""
        points = self._points
        return {
            "places": np.array([each.start.places for each in points]),
            "momenta": np.array([each.start.momenta for each in points]),
            "seeds": np.array([each.start.seed for each in points], dtype=np.int64),
            "deformation": np.array([each.deformation for each in points]),
            "stress": np.array([each.stress for each in points]),
            "energy": np.array([each.energy for each in points]),
            "skip": np.array([each.skip for each in points], dtype=np.int64),
            "counts": np.array([self._steps, self.motion.samples], dtype=np.int64),
        }

    def restore(self, state: State) -> None:
        """Return to a saved state."""
        self._steps, self.motion.samples = (int(each) for each in state["counts"])
        names = ("places", "momenta", "seeds", "deformation", "stress", "energy", "skip")
        rows = zip(*(state[name] for name in names), strict=True)
        self._points = [
            _Point(Start(np.array(x), np.array(p), int(seed)), np.array(f), np.array(s), float(w), int(skip))
            for x, p, seed, f, s, w, skip in rows
        ]
