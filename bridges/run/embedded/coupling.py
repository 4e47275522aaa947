"""Two participants tied without preCICE, by the same precice-config.xml and to the same numbers.

Schemes as in preCICE 3.4 (doi:10.12688/openreseurope.14445.2): in a serial one the second participant
starts when the first has ended its window, in a parallel one both run at once; in an implicit one the
window is done again until what is exchanged no longer changes.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from scalespan.adapters.interface import Array, CaseError, CouplingError, Indices
from scalespan.bridges.interface import Exchange, Field, Mesh, Unchanging

from ..precice_config import Config, Scheme, Transfer, Use
from . import mapping
from .acceleration import Coupled, Key, accelerate
from .scheme import ROUNDING, Clock, Convergence, Paced
from .support import refuse_unsupported
from .transport import Link
from .waveform import SAME, Waveform


@dataclass(frozen=True)
class _Route:
    """How a field goes between a participant's own mesh and the mesh of the exchange."""

    key: Key  # of the exchange
    matrix: mapping.Matrix | None

    def map(self, values: Array) -> Array:
        """Return values (n, components) on the other mesh."""
        return values if self.matrix is None else np.asarray(self.matrix @ values)


class Serial(Unchanging):
    """One participant in one process, tied to one partner.

    Args:
        config: the case's precice-config.xml.
        participant: its name in there.
        folder: both participants must give the same; it is how they find each other.

    Raises:
        CaseError: the XML asks for what only preCICE does, or does not name the participant.
    """

    def __init__(self, config: Config, participant: str, folder: Path) -> None:
        refuse_unsupported(config)
        self._config, self._own = config, config.participant(participant)
        schemes = config.schemes_of(participant)
        if not schemes:
            raise CaseError(f"no <coupling-scheme:…> names '{participant}'", where=config.file)
        self._scheme = schemes[0]
        self._first = self._scheme.participants[0] == participant
        self._partner = self._scheme.participants[int(self._first)]
        self._link = Link(folder, participant, self._partner)
        self._clock = _clock(self._scheme, first=self._first)
        self._sent = [each for each in self._scheme.exchanges if each.source == participant]
        self._received = [each for each in self._scheme.exchanges if each.target == participant]
        self._fields: dict[Key, Coupled] = {}  # all that is exchanged, on the meshes of the exchange
        self._meshes: dict[str, Mesh] = {}
        self._inside: dict[str, Indices] = {}  # which points of a partner's mesh are in the region
        self._outgoing: dict[Key, list[_Route]] = {}
        self._incoming: dict[Key, _Route] = {}
        self._buffers: dict[Key, Array] = {}
        self._measures = [Convergence(measure) for measure in self._scheme.measures]
        self._acceleration = accelerate(self._scheme.acceleration)
        self.must_save = self._scheme.implicit
        self.must_restore = False
        self._iterations, self._residual = 1, np.inf  # in this window; of the last iteration

    def start(self, exchange: Exchange, initial: Mapping[Field, Array]) -> None:
        """Meet the partner; ``initial`` holds values (n, components) from before the first step.

        Raises:
            CouplingError: the partner has another precice-config.xml, or ended.
            CaseError: fields or meshes that do not fit the XML.
        """
        theirs = self._link.meet({"config": self._config.digest})
        if theirs["config"] != self._config.digest:
            raise CouplingError(f"{self._own.name} and {self._partner} have read different files {self._config.file}")
        self._exchange_meshes(exchange)
        self._check_fields(exchange)
        self._find_routes(exchange)
        begins = any(each.initialize for each in self._sent)
        for field, values in initial.items() if begins else ():
            self._buffer(field)[:] = values
        self._make_waveforms()
        self._exchange_initial(begins)
        self._clear()

    def points(self, mesh: str) -> Array:
        """Return the points (n, dimension) of a partner's mesh inside the region that `start` was given for it."""
        return self._meshes[mesh].points[self._inside[mesh]]

    @property
    def running(self) -> bool:
        """Whether there is another window."""
        return self._clock.running

    @property
    def longest_step(self) -> float:
        """The time left in this window."""
        return self._clock.left

    @property
    def residual(self) -> float | None:
        """What the measures say of the last iteration, the largest of them; None where they say nothing."""
        return float(self._residual) if np.isfinite(self._residual) else None

    def read(self, field: Field, at: float, points: Array | None = None) -> Array:
        """Return a partner's values (n, components) at ``at`` from now; with ``points`` (n, dimension), at those."""
        route = self._incoming.get((field.name, field.mesh))
        if route is None:
            raise CouplingError(f"{self._own.name} does not receive '{field.name}' on '{field.mesh}'")
        values = route.map(self._fields[route.key].now.at(self._clock.now + at))
        if field.mesh not in self._inside:
            return values.copy()
        values = values[self._inside[field.mesh]]
        return values if points is None else values[self._nearest(field.mesh, points)]

    def write(self, field: Field, values: Array, points: Array | None = None) -> None:
        """Send values (n, components) at the end of the step; with ``points`` (n, dimension), from those."""
        values = np.reshape(values, (-1, field.components))
        if not np.all(np.isfinite(values)):
            raise CouplingError(f"{self._own.name} writes '{field.name}' with values that are not finite")
        buffer = self._buffer(field)
        if points is not None:
            np.add.at(buffer, self._inside[field.mesh][self._nearest(field.mesh, points)], values)
        elif field.mesh in self._inside:
            buffer[self._inside[field.mesh]] = values
        else:
            buffer[:] = values

    def advance(self, dt: float) -> None:
        """Say that a step of ``dt`` is done; at the window's end, exchange with the partner.

        Raises:
            CouplingError: the step is longer than what is left, the partner ended, or a strict measure was missed.
        """
        if not 0.0 < dt <= self._clock.left * (1.0 + ROUNDING) + SAME:
            raise CouplingError(f"{self._own.name} takes a step of {dt:g}, and {self._clock.left:g} is left")
        self.must_save = self.must_restore = False
        ends = self._clock.advance(dt)
        if ends or any(each.substeps for each in self._sent):
            time = self._clock.end if ends else self._clock.now
            for key, routes in self._outgoing.items():
                for route in routes:
                    self._fields[route.key].now.add(time, route.map(self._buffers[key]))
        self._clear()
        if ends and self._scheme.implicit:
            self._exchange_implicit()
        elif ends:
            self._exchange_explicit()

    def finish(self) -> None:
        """Part from the partner."""
        self._link.close()

    def _exchange_explicit(self) -> None:
        """Exchange at the end of a window that is not done again."""
        if self._first and isinstance(self._clock, Paced):
            self._link.send(np.array(self._clock.length))
        if self._first or self._scheme.serial:
            self._send()
        if self._first or not self._scheme.serial:
            self._receive(self._clock.end)
        if not self._first and not self._scheme.serial:
            self._send()
        self._next_window()
        if self._scheme.serial and not self._first and self._clock.running:
            self._receive_window()

    def _exchange_implicit(self) -> None:
        """Exchange at the end of an iteration; the second participant decides whether it was the last."""
        if self._first:
            self._send()
            verdict, self._residual = (float(each) for each in self._link.receive())
            converged = bool(verdict)
            self._receive(self._clock.end)
        else:
            if not self._scheme.serial:
                self._receive(self._clock.end)
            converged = self._judge()
            self._link.send(np.array([float(converged), self._residual]))
            self._send()
        if converged:
            self._next_window()
        for field in self._fields.values():
            field.before = field.now.copy()
        if not converged:
            self._again()
        if self._scheme.serial and not self._first and self._clock.running:
            self._receive(self._clock.end)

    def _judge(self) -> bool:
        """Measure convergence, and accelerate where it is not reached; return whether it is."""
        reached = [(each, *each.reached(self._fields[each.key])) for each in self._measures]
        self._residual = max((residual for _, _, residual in reached), default=np.inf)
        last = self._iterations == self._scheme.max_iterations
        missed = [each.key[0] for each, good, _ in reached if each.strict and not good]
        if missed and last:
            raise CouplingError(f"'{missed[0]}' has not converged in {self._iterations} iterations, and is strict")
        every = bool(reached) and all(good for _, good, _ in reached)
        enough = not missed and any(good and each.suffices for each, good, _ in reached)
        converged = last or (self._iterations >= self._scheme.min_iterations and (every or enough))
        mine = {(each.data, each.mesh) for each in self._sent}
        fields = {key: field for key, field in self._fields.items() if key in mine or not self._scheme.serial}
        (self._acceleration.converged if converged else self._acceleration.improve)(fields)
        return converged

    def _next_window(self) -> None:
        self._clock.next_window()
        for field in self._fields.values():
            field.now.move()
        for measure in self._measures:
            measure.next_window()
        self.must_save = self._scheme.implicit and self._clock.running
        self._iterations = 1

    def _again(self) -> None:
        self._clock.progress = 0.0
        self.must_restore = True
        self._iterations += 1
        for each in self._sent:
            self._fields[each.data, each.mesh].now.cut()

    def _send(self) -> None:
        for each in self._sent:
            waveform = self._fields[each.data, each.mesh].now
            if each.substeps:
                self._link.send(np.array(waveform.times))
            self._link.send(np.stack(waveform.values) if each.substeps else waveform.last)

    def _receive(self, time: float) -> None:
        for each in self._received:
            waveform = self._fields[each.data, each.mesh].now
            if each.substeps:
                times = self._link.receive()
                waveform.replace([float(each) for each in times], list(self._link.receive()))
            else:
                waveform.add(time, self._link.receive())

    def _receive_window(self) -> None:
        """Receive what the first participant has sent at its window's end, and how long that was where it says so."""
        if isinstance(self._clock, Paced):
            self._clock.length = float(self._link.receive())
        self._receive(self._clock.end)

    def _exchange_initial(self, begins: bool) -> None:
        """Exchange what is known before the first window, and let a serial scheme's second wait for the first's end."""
        receives = any(each.initialize for each in self._received)
        sends_before = self._first != self._scheme.serial
        if begins and sends_before:
            self._send()
        if receives:
            self._receive(0.0)
        if begins and not sends_before:
            self._send()
        if self._scheme.serial and not self._first and self._clock.running:
            self._receive_window()

    def _make_waveforms(self) -> None:
        for each in [*self._sent, *self._received]:
            shape = (len(self._meshes[each.mesh].points), self._config.components(each.data, each.mesh))
            first = Waveform(self._config.datum(each.data).degree, 0.0, np.zeros(shape))
            self._fields[each.data, each.mesh] = Coupled(first, first.copy())
        for key, routes in self._outgoing.items():
            for route in routes:
                field = self._fields[route.key]
                field.now.replace([0.0], [route.map(self._buffers[key])])
                field.before = field.now.copy()

    def _exchange_meshes(self, exchange: Exchange) -> None:
        """Give the partner the meshes that it receives, take those that this participant receives."""
        for name in self._own.provides:
            if name not in exchange.meshes:
                raise CaseError(f"{self._own.name} provides the mesh '{name}' in {self._config.file} but has none such")
            self._meshes[name] = exchange.meshes[name]
        theirs = [
            each.name for each in self._config.participant(self._partner).receives if each.source == self._own.name
        ]
        ours = [each.name for each in self._own.receives if each.source == self._partner]
        for give in (self._first, not self._first):
            for name in theirs if give else ours:
                if give:
                    mesh = self._meshes[name]
                    for array in (mesh.points, mesh.edges, mesh.triangles, mesh.tetrahedra):
                        self._link.send(array)
                else:
                    self._meshes[name] = Mesh(*(self._link.receive() for _ in range(4)))
        for name, region in exchange.regions.items():
            if name not in ours:
                raise CaseError(f"{self._own.name} has a region on the mesh '{name}', which it does not receive")
            points = self._meshes[name].points
            self._inside[name] = np.flatnonzero(np.all((points >= region[0]) & (points <= region[1]), axis=1))

    def _check_fields(self, exchange: Exchange) -> None:
        """Raise a `CaseError` for a field that the XML does not have, or has with other components."""
        file = self._config.file
        sides = (("read", exchange.reads, self._own.reads), ("write", exchange.writes, self._own.writes))
        for verb, fields, uses in sides:
            for field in fields:
                element = f"<{verb}-data name='{field.name}' mesh='{field.mesh}'/>"
                if (field.name, field.mesh) not in {(use.data, use.mesh) for use in uses}:
                    raise CaseError(f"{self._own.name} lacks {element}", where=file, todo="add it")
                components = self._config.components(field.name, field.mesh)
                if field.components != components:
                    raise CaseError(f"{element} has {components} components, the bridge {field.components}", where=file)
        for field in exchange.writes:
            self._buffer(field)

    def _find_routes(self, exchange: Exchange) -> None:
        """Find how each field goes between this participant's meshes and those of the exchange, and set up buffers."""
        for each in self._sent:
            routes = self._routes(each, "write", self._own.writes)
            if not routes:
                raise CaseError(f"{self._own.name} writes nothing that goes to '{each.data}' on '{each.mesh}'")
            key, route = routes[0]
            self._outgoing.setdefault(key, []).append(route)
            self._buffers.setdefault(key, self._zeros(*key))
        for each in self._received:
            self._incoming.update(self._routes(each, "read", self._own.reads))
        for field in exchange.reads:
            if (field.name, field.mesh) not in self._incoming:
                raise CaseError(f"nothing brings '{field.name}' to '{field.mesh}'", todo="add an <exchange …/>")

    def _routes(self, transfer: Transfer, direction: str, uses: Sequence[Use]) -> list[tuple[Key, _Route]]:
        meshes = [use.mesh for use in uses if use.data == transfer.data]
        found = [((transfer.data, mesh), self._way(transfer, mesh, direction)) for mesh in meshes]
        return [(key, route) for key, route in found if route is not None]

    def _way(self, transfer: Transfer, mesh: str, direction: str) -> _Route | None:
        """Return how ``transfer`` goes from or to the participant's ``mesh``, or None where it does not."""
        key = (transfer.data, transfer.mesh)
        if mesh == transfer.mesh:
            return _Route(key, None)
        for each in self._own.mappings:
            ends = (each.source, each.target) if direction == "write" else (each.target, each.source)
            if each.direction == direction and ends == (mesh, transfer.mesh):
                source, target = self._meshes[each.source], self._meshes[each.target]
                return _Route(key, mapping.matrix(each.element, source, target))
        return None

    def _buffer(self, field: Field) -> Array:
        key = (field.name, field.mesh)
        return self._buffers.setdefault(key, self._zeros(*key))

    def _zeros(self, data: str, mesh: str) -> Array:
        return np.zeros((len(self._meshes[mesh].points), self._config.components(data, mesh)))

    def _clear(self) -> None:
        """Values that are not written again are zero, as in preCICE."""
        self._buffers = {key: np.zeros_like(buffer) for key, buffer in self._buffers.items()}

    def _nearest(self, mesh: str, points: Array) -> Indices:
        """Return which points of a partner's mesh, of those in the region, are nearest to ``points``."""
        return np.asarray(mapping.nearest_neighbor(self.points(mesh), points).indices)


def _clock(scheme: Scheme, *, first: bool) -> Clock:
    if scheme.method == "fixed":
        return Clock(scheme.window, scheme.max_time, scheme.max_windows)
    return Paced(scheme.max_time, scheme.max_windows, first=first)
