"""The dataclasses of a precice-config.xml."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeVar

from scalespan.adapters.interface import CaseError, nearest

from .element import Element


@dataclass(frozen=True)
class Data:
    """A ``<data:…>``."""

    name: str
    vector: bool
    degree: int = 1  # of the interpolation in time
    bounded: bool = False  # has a lower or an upper bound


@dataclass(frozen=True)
class DeclaredMesh:
    """A ``<mesh>``."""

    name: str
    dimension: int  # 2 or 3
    data: tuple[str, ...]


@dataclass(frozen=True)
class ReceivedMesh:
    """A ``<receive-mesh>``."""

    name: str
    source: str  # the participant that provides it
    api_access: bool = False
    safety_factor: float = 0.5


@dataclass(frozen=True)
class Use:
    """A ``<read-data>`` or a ``<write-data>``."""

    data: str
    mesh: str


@dataclass(frozen=True)
class DataMapping:
    """A ``<mapping:…>``; a just-in-time mapping has no ``source`` (write) or no ``target`` (read)."""

    kind: str  # "nearest-neighbor"
    direction: str  # "read" or "write"
    constraint: str  # "consistent", "conservative" or "scaled-consistent-…"
    source: str  # mesh; "" for just-in-time writing
    target: str  # mesh; "" for just-in-time reading
    element: Element  # for what is particular to a kind: options, basis function, executor

    @property
    def just_in_time(self) -> bool:
        """Whether it maps from or to points that are only known when data is read or written."""
        return not (self.source and self.target)

    @property
    def basis(self) -> Element | None:
        """The basis function of a radial-basis mapping."""
        return next(iter(self.element.all("basis-function")), None)

    @property
    def executor(self) -> str:
        """Where it is computed: ``cpu``, ``cuda``, ``hip``, ``openmp``, ``sycl``."""
        return next((each.tag.partition(":")[2] for each in self.element.all("executor")), "cpu")


@dataclass(frozen=True)
class WatchPoint:
    """A ``<watch-point>``."""

    name: str
    mesh: str
    coordinate: tuple[float, ...]


@dataclass(frozen=True)
class Participant:
    """A ``<participant>``."""

    name: str
    provides: tuple[str, ...]
    receives: tuple[ReceivedMesh, ...]
    reads: tuple[Use, ...]
    writes: tuple[Use, ...]
    mappings: tuple[DataMapping, ...]
    watch_points: tuple[WatchPoint, ...]
    element: Element

    def received(self, mesh: str) -> ReceivedMesh | None:
        """Return the ``<receive-mesh>`` of that name, or None."""
        return next((each for each in self.receives if each.name == mesh), None)


@dataclass(frozen=True)
class Connection:
    """An ``<m2n:…>``."""

    kind: str  # "sockets", "mpi", "mpi-multiple-ports"
    acceptor: str
    connector: str
    folder: str  # the exchange-directory, relative to where the participant is started


@dataclass(frozen=True)
class Transfer:
    """An ``<exchange>``."""

    data: str
    mesh: str
    source: str  # participant
    target: str  # participant
    initialize: bool
    substeps: bool


@dataclass(frozen=True)
class Measure:
    """A ``<…-convergence-measure>``."""

    kind: str  # "absolute", "relative", "residual-relative", "absolute-or-relative"
    data: str
    mesh: str
    limit: float  # the relative limit, where the kind has both
    absolute: float = 0.0  # the absolute limit, where the kind has both
    suffices: bool = False
    strict: bool = False


@dataclass(frozen=True)
class Acceleration:
    """An ``<acceleration:…>``, with preCICE's defaults."""

    kind: str  # "constant", "aitken", "IQN-ILS", "IQN-IMVJ"
    relaxation: float  # the factor, or the first one
    enforce: bool  # the first relaxation in each window
    data: tuple[tuple[str, str, float], ...]  # (data, mesh, scaling)
    max_used_iterations: int
    time_windows_reused: int
    filter: str  # "QR1", "QR1-absolute", "QR2", "QR3"
    filter_limit: float
    preconditioner: str  # "none", "constant", "value", "residual", "residual-sum"
    update_on_threshold: bool
    freeze_after: int  # windows; -1 for never
    reduced_time_grid: bool
    on_bound_violation: str
    element: Element


@dataclass(frozen=True)
class Scheme:
    """A ``<coupling-scheme:…>``."""

    kind: str  # "serial-explicit", "parallel-explicit", "serial-implicit", "parallel-implicit", "multi"
    participants: tuple[str, ...]  # first and second, or all of a multi scheme
    control: str  # the controlling participant of a multi scheme, otherwise ""
    window: float  # -1 where the first participant sets it
    method: str  # "fixed" or "first-participant"
    max_time: float | None
    max_windows: int | None
    min_iterations: int
    max_iterations: int  # -1 for no limit
    exchanges: tuple[Transfer, ...]
    measures: tuple[Measure, ...]
    acceleration: Acceleration | None

    @property
    def implicit(self) -> bool:
        """Whether windows may be done again."""
        return not self.kind.endswith("-explicit")

    @property
    def serial(self) -> bool:
        """Whether the second participant waits for the first."""
        return self.kind.startswith("serial-")


@dataclass(frozen=True)
class Config:
    """A whole precice-config.xml."""

    file: str
    data: tuple[Data, ...]
    meshes: tuple[DeclaredMesh, ...]
    participants: tuple[Participant, ...]
    connections: tuple[Connection, ...]
    schemes: tuple[Scheme, ...]
    experimental: bool
    remeshing: bool
    root: Element
    digest: str  # of the file's bytes: participants must agree

    def participant(self, name: str) -> Participant:
        """Return the participant of that name, or raise a `CaseError` that names the nearest."""
        return _named(name, self.participants, "participant", self.file)

    def mesh(self, name: str) -> DeclaredMesh:
        """Return the mesh of that name, or raise a `CaseError` that names the nearest."""
        return _named(name, self.meshes, "mesh", self.file)

    def datum(self, name: str) -> Data:
        """Return the data of that name, or raise a `CaseError` that names the nearest."""
        return _named(name, self.data, "data", self.file)

    def components(self, data: str, mesh: str) -> int:
        """Return how many numbers ``data`` has at each point of ``mesh``."""
        return self.mesh(mesh).dimension if self.datum(data).vector else 1

    def schemes_of(self, participant: str) -> tuple[Scheme, ...]:
        """Return the schemes that a participant takes part in."""
        return tuple(each for each in self.schemes if participant in each.participants)

    def partners(self, participant: str) -> tuple[str, ...]:
        """Return the participants that a participant is connected to."""
        ends = [(each.acceptor, each.connector) for each in self.connections]
        return tuple(
            second if first == participant else first for first, second in ends if participant in (first, second)
        )


Named = TypeVar("Named", Data, DeclaredMesh, Participant)


def _named(name: str, known: Sequence[Named], what: str, where: str) -> Named:
    found = next((each for each in known if each.name == name), None)
    if found is None:
        raise CaseError(f"there is no {what} '{name}'", where=where, todo=nearest(name, [each.name for each in known]))
    return found
