"""Work on both sides of a joint, by random fields through the coupling itself, before the participants start.

Where forces must go back by the transpose of the way by which displacements come, ⟨Πv, f⟩ = ⟨v, Πᵀf⟩ (C. Farhat,
M. Lesoinne and P. Le Tallec 1998, doi:10.1016/S0045-7825(97)00216-8), both participants first run a few windows with
the same meshes, ranks and precice-config.xml, and no engine. Each sends random numbers and sums up its own side of the
equation; then each sends its sum as a constant field, so that both know the difference. It is what the mappings make
of these points, whoever computes them.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Mapping
from contextlib import chdir
from dataclasses import replace
from math import inf
from pathlib import Path
from zlib import crc32

import numpy as np

from scalespan.adapters.interface import Array, CaseError, Options, State
from scalespan.bridges.interface import Bridge, Coupling, Exchange, Field, Read, class_of

from .. import parallel
from ..files import write_whole
from ..loop import drive
from ..precice_config import Config, Element, Transfer, unparsed
from .case import XML, CoupledCase
from .order import Order
from .rules import joints, mapping_between

LIMIT = 1e-10  # of the work's largest possible size: what rounding leaves of a million points
STAGE = ".rehearsal"  # in the results, while it lasts
KEPT = "rehearsal.json"  # in a participant's results: what it found
_WINDOWS = 4  # two until everybody has the other's random numbers, whatever the scheme, and two for the sums
_SCHEMES = ("serial-explicit", "parallel-explicit")


def rehearsed(case: CoupledCase) -> tuple[tuple[Transfer, Transfer], ...]:
    """Return the joints of a case that are rehearsed; none where it holds other people's programs, or no joints.

    Implicit schemes change what is sent, and points that move have no mapping yet.
    """
    config = case.config
    direct = any(each.api_access for own in config.participants for each in own.receives)
    fixed = all(each.kind in _SCHEMES and each.method == "fixed" and each.window > 0.0 for each in config.schemes)
    if case.foreign or case.single or direct or not fixed:
        return ()
    pairs = (pair for name in case.parts for pair in joints(config, name))
    return tuple(pair for pair in pairs if _there_and_back(config, *pair) and _is_adjoint(case, pair[0].target))


def _there_and_back(config: Config, read: Transfer, write: Transfer) -> bool:
    there, back = mapping_between(config, read), mapping_between(config, write)
    return (there and there.constraint, back and back.constraint) == ("consistent", "conservative")


def _is_adjoint(case: CoupledCase, name: str) -> bool:
    return bool(getattr(class_of(case.parts[name].table, case.folder), "adjoint", False))


def rehearse(
    case: CoupledCase, order: Order, ranks: parallel.World, exchange: Exchange, couple: Callable[[Order], Coupling]
) -> None:
    """Let a participant take its part in the rehearsal, where the case has one.

    Args:
        case: its case.
        order: what it is to do.
        ranks: of its program.
        exchange: its own.
        couple: from an order to its coupling.

    Raises:
        CaseError: work is lost at a joint.
    """
    pairs = tuple(pair for pair in rehearsed(case) if order.name in (pair[0].source, pair[0].target))
    if not pairs:
        return
    stage = order.place.parent / STAGE
    place = stage / order.name
    if ranks.rank == 0:
        shutil.rmtree(place, ignore_errors=True)
        place.mkdir(parents=True)
        write_whole(place / XML, _shortened(case.config), sync=False)
    ranks.together()
    own = replace(order, xml=str(place / XML), meeting=str(stage))
    probe = Probe(order.name, exchange, pairs, ranks)
    with chdir(place):
        drive(probe, couple(own))
    ranks.together()
    if ranks.rank == 0:
        shutil.rmtree(place, ignore_errors=True)
        write_whole(order.place / KEPT, json.dumps(probe.lost).encode(), sync=False)
    for (read, write), lost in zip(pairs, probe.lost.values(), strict=True):
        if not lost <= LIMIT:
            raise CaseError(
                f"{lost:.2g} of the work between {read.data} and {write.data} is lost at the joint: the mappings are "
                "not each other's transpose on these meshes",
                where=XML,
                todo=f"map both in one way, consistent for {read.data} and conservative for {write.data}",
            )


def kept(place: Path) -> Mapping[str, float]:
    """Return what a participant found, by the names of its joints; nothing where nothing was rehearsed."""
    try:
        found: Mapping[str, float] = json.loads((place / KEPT).read_bytes())
    except OSError:
        return {}
    return found


class Probe(Bridge):
    """A participant that sends random numbers, and then the work that it has seen.

    Args:
        name: of the participant whose place it takes.
        exchange: that participant's.
        pairs: the joints that it is part of.
        ranks: of its program.
    """

    name = "probe"
    Options = Options
    longest_step = inf

    def __init__(
        self, name: str, exchange: Exchange, pairs: tuple[tuple[Transfer, Transfer], ...], ranks: parallel.World
    ) -> None:
        self._name, self._exchange, self._pairs, self._comm = name, exchange, pairs, ranks.comm
        self.lost = {f"{read.data} and {write.data}": inf for read, write in pairs}  # relative
        self._window = 0
        self._sent = {field: self._random(field, ranks.rank) for field in exchange.writes}
        self._sizes: list[float] = []
        self._works: list[float] = []

    @property
    def exchange(self) -> Exchange:
        """The participant's."""
        return self._exchange

    def receive(self, read: Read) -> None:
        """Keep the way to the partner's numbers."""
        self._read = read

    def advance(self, dt: float) -> None:
        """Sum up the work of the random numbers when they have come, and compare when the partner's sum has."""
        if self._window == _WINDOWS // 2 - 1:
            for pair in self._pairs:
                self._sum_up(*self._fields(pair), dt)
        if self._window == _WINDOWS - 1:
            for number, pair in enumerate(self._pairs):
                self._compare(number, pair, dt)

    def _sum_up(self, got: Field, sent: Field, dt: float) -> None:
        here, there = self._read(got, dt), self._sent[sent]
        self._works.append(self._total(float((here * there).sum())))
        squares = self._total(float((here**2).sum())) * self._total(float((there**2).sum()))
        self._sizes.append(float(np.sqrt(squares)))

    def _compare(self, number: int, pair: tuple[Transfer, Transfer], dt: float) -> None:
        got, _ = self._fields(pair)
        values = self._read(got, dt)[:, 0]
        count = self._total(float(len(values)))
        # A displacement comes as the same number everywhere; a force is given to nodes in parts.
        theirs = self._total(float(values.sum())) / (count if self._owns(pair) else 1.0)
        size = max(self._sizes[number], 1e-300)
        self.lost[list(self.lost)[number]] = abs(theirs - self._works[number]) / size

    def write(self, field: Field) -> Array:
        """Return random numbers, and from the second half on the work."""
        if self._window < _WINDOWS // 2:
            return self._sent[field]
        found = np.zeros_like(self._sent[field])
        for number, pair in enumerate(self._pairs):
            if self._works and self._fields(pair)[1] == field:
                parts = self._total(float(len(found))) if self._owns(pair) else 1.0
                found[:] = self._works[number] / parts
        return found

    def accept(self, time: float) -> None:
        """Count the windows."""
        self._window += 1

    def save(self) -> State:
        """Return nothing: no window is done again."""
        return {}

    def restore(self, state: State) -> None:
        """Do nothing."""

    def close(self) -> None:
        """Hold nothing."""

    def _owns(self, pair: tuple[Transfer, Transfer]) -> bool:
        return pair[0].target == self._name

    def _fields(self, pair: tuple[Transfer, Transfer]) -> tuple[Field, Field]:
        """Return what is read and what is written of a joint."""
        read, write = pair if self._owns(pair) else pair[::-1]
        got = next(field for field in self._exchange.reads if field.name == read.data)
        return got, next(field for field in self._exchange.writes if field.name == write.data)

    def _random(self, field: Field, rank: int) -> Array:
        count = len(self._exchange.meshes[field.mesh].points)
        seed = crc32(f"{self._name} {field.name}".encode())
        return np.random.default_rng((seed, rank)).standard_normal((count, field.components))

    def _total(self, number: float) -> float:
        return number if self._comm is None else float(self._comm.allreduce(number))


def _shortened(config: Config) -> bytes:
    """Return the XML of a run of a few windows."""

    def changed(element: Element) -> Mapping[str, str]:
        found = dict(element.attributes)
        if element.tag == "max-time":
            found["value"] = repr(_WINDOWS * config.schemes[0].window)
        elif element.tag == "max-time-windows":
            found["value"] = str(_WINDOWS)
        return found

    return unparsed(config.root, changed)
