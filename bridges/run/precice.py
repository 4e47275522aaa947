"""preCICE as the coupling, behind a thin guard: what would abort or hang the process becomes a sentence.

Written for preCICE and pyprecice 3.4 (doi:10.12688/openreseurope.14445.2). Several functions of pyprecice end the
interpreter when they are called in a wrong state, or with a name that does not exist, and others crash it. So the
flags of a window are asked for once, in the right state, right after `initialize` and `advance`, and kept; everything
else is checked before preCICE hears of it. This is the only file that imports precice.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from enum import Enum
from math import isfinite
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from scalespan.adapters.interface import (
    Array,
    CaseError,
    CouplingError,
    EngineFailed,
    EngineMissing,
    ScalespanError,
)
from scalespan.bridges.interface import Exchange, Field, Mesh

from .build_options import refuse_unbuilt
from .precice_config import read_config
from .precice_exchange import check_exchange, wrong
from .precice_mesh import Vertices, matrix, provide

SERIES = "3.4"  # of preCICE and of pyprecice, whose first two numbers must be equal
INSTALL = f"pip install 'pyprecice=={SERIES}.*' (it needs libprecice {SERIES} and its headers)"
# preCICE takes shorter times and steps for zero.
_ZERO = 1e-14
# A read or a step that passes the window's end by this part of what is left, ends there.
_ROUNDING = 1e-9


class Communicator(Protocol):
    """The ranks of a participant: all ranks of its program."""

    @property
    def rank(self) -> int:
        """Which of them this is, from 0."""

    @property
    def size(self) -> int:
        """How many they are."""


class _State(Enum):
    MADE = "start has not been called"
    RUNNING = "it is running"
    FAILED = "preCICE has failed"
    FINISHED = "finish has been called"


class Precice:
    """One rank of a participant that preCICE couples.

    Args:
        config: precice-config.xml.
        participant: its name in there.
        communicator: all ranks of the program, for a participant under mpirun; only rank and size reach preCICE.

    Raises:
        EngineMissing: no pyprecice, or one that does not fit its library.
        CaseError: XML that preCICE or this build of it does not take, or a participant that it does not name.
    """

    must_save = False  # whether this window may have to be done again
    must_restore = False  # whether the window is to be done again from its start
    _running = False
    _left = 0.0
    _window_begins = False  # for the first time, with one behind it

    def __init__(self, config: Path, participant: str, communicator: Communicator | None = None) -> None:
        precice = _library()
        self.name, self.config = participant, read_config(config)
        self.config.participant(participant)
        refuse_unbuilt(self.config, build_of(precice))
        self._size = communicator.size if communicator else 1
        self._state = _State.MADE
        self._exchange = Exchange((), ())
        self._vertices: dict[str, Vertices] = {}
        self._reads: frozenset[tuple[str, str]] = frozenset()
        self._writes: frozenset[tuple[str, str]] = frozenset()
        self._unwritten: set[tuple[str, str]] = set()
        self._moved: set[str] = set()  # the meshes that have new points in this window
        self._graded: set[str] = set()  # the fields of which a mapping wants the gradient
        try:
            rank = communicator.rank if communicator else 0
            self._precice = precice.Participant(participant, str(config), rank, self._size)
        except RuntimeError as error:
            raise self._foreign(CaseError, error) from error

    def start(self, exchange: Exchange, initial: Mapping[Field, Array]) -> None:
        """Give preCICE the meshes and the initial values, and wait for the partners.

        Raises:
            CaseError: meshes or fields that do not fit the XML.
            CouplingError: the partners run another version of preCICE or another XML, or the order of calls is wrong.
        """
        self._need(_State.MADE, "start")
        check_exchange(self.config, self.name, exchange)
        self._exchange = exchange
        self._reads = frozenset((field.mesh, field.name) for field in exchange.reads)
        self._writes = frozenset((field.mesh, field.name) for field in exchange.writes)
        try:
            self._build(exchange)
            if self._precice.requires_initial_data():
                for field, values in initial.items():
                    self._send(field, values, None)
        except RuntimeError as error:
            raise self._foreign(CaseError, error) from error
        try:
            self._precice.initialize()
            for name in exchange.regions:
                ids, points = self._precice.get_mesh_vertex_ids_and_coordinates(name)
                self._vertices[name] = Vertices(ids.tolist(), np.reshape(points, (len(ids), self._dimension(name))))
        except RuntimeError as error:
            raise self._foreign(CouplingError, error) from error
        self._state = _State.RUNNING
        self._look()

    def points(self, mesh: str) -> Array:
        """Return a partner's points (n, dimension) inside the region that `start` was given for ``mesh``."""
        self._need(_State.RUNNING, "points")
        if mesh not in self._exchange.regions:
            raise CouplingError(f"{self.name} has no region on the mesh '{mesh}'", todo="name it in Exchange.regions")
        return self._vertices[mesh].points.copy()

    @property
    def running(self) -> bool:
        """Whether there is another window."""
        self._need(_State.RUNNING, "running")
        return self._running

    @property
    def longest_step(self) -> float:
        """The time left in this window, in the XML's unit."""
        self._need(_State.RUNNING, "longest_step")
        return self._left

    def read(self, field: Field, at: float, points: Array | None = None) -> Array:
        """Return a partner's values (n, components) at ``at`` from now; with ``points`` (n, dimension), at those.

        Raises:
            CouplingError: a field that is not read, a time outside the window, points outside the region.
        """
        self._need(_State.RUNNING, "read")
        if (field.mesh, field.name) not in self._reads:
            raise CouplingError(f"{self.name} does not read '{field.name}' on '{field.mesh}'", todo="see its exchange")
        if not 0.0 <= at <= self._left * (1.0 + _ROUNDING):
            raise CouplingError(f"{self.name} reads '{field.name}' at {at:g}, and {self._left:g} is left of its window")
        at = min(at, self._left)
        if field.mesh in self._moved and (self._window_begins or at < self._left):
            raise CouplingError(
                f"{self.name} reads '{field.name}' on the new points of '{field.mesh}' at {at:g} of {self._left:g}",
                todo="read before they are given, or, when the window is done again, at its end",
            )
        count = len(self._vertices[field.mesh].ids) if points is None else len(points)
        if count == 0:
            return np.zeros((0, field.components))
        inside = None if points is None else self._inside(field, points)
        try:
            if inside is None:
                values = self._precice.read_data(field.mesh, field.name, self._vertices[field.mesh].ids, at)
            else:
                values = self._precice.map_and_read_data(field.mesh, field.name, inside, at)
        except RuntimeError as error:
            raise self._foreign(CouplingError, error) from error
        found: Array = values.reshape(count, field.components)
        return found

    def write(self, field: Field, values: Array, points: Array | None = None) -> None:
        """Send values (n, components) of the end of the step; with ``points`` (n, dimension), from those.

        Raises:
            CouplingError: a field that is not written, another shape, points outside the region.
            EngineFailed: a value that is not finite; preCICE would send it.
        """
        self._need(_State.RUNNING, "write")
        if not self._running:
            raise CouplingError(f"{self.name} writes '{field.name}' after the last window, where nobody reads it")
        self._send(field, values, points)
        self._unwritten.discard((field.mesh, field.name))

    @contextmanager
    def section(self, name: str) -> Iterator[None]:
        """Let preCICE's profile show under ``name`` what is done inside; a section left open would abort `advance`."""
        self._precice.start_profiling_section(name)
        try:
            yield
        finally:
            self._precice.stop_last_profiling_section()

    def remesh(self, meshes: Mapping[str, Mesh]) -> None:
        """Give provided meshes other points; preCICE then sets up mappings and communication again, at `advance`.

        Any rank may do it for its part. Columns of a quasi-Newton acceleration are lost.

        Raises:
            CaseError: the XML does not allow it, or a mesh of another shape.
            CouplingError: a mesh that is not provided, or another moment than the first step of a window but the first.
        """
        self._need(_State.RUNNING, "remesh")
        first = f"{self.name} has new points on '{min(meshes)}'"
        if not self.config.remeshing:
            todo = 'write <precice-configuration experimental="true" allow-remeshing="true">, with a parallel scheme'
            raise wrong(self.config, self.name, f"{first}, and its meshes may not change", todo)
        if not (self._running and self._window_begins):
            todo = "give them in the first step of a window, from the second window on"
            raise CouplingError(f"{first} inside a window, or outside the run", todo=todo)
        for name, mesh in meshes.items():
            if name not in self._exchange.meshes:
                raise CouplingError(f"{self.name} has new points on '{name}', which it does not provide")
            matrix(mesh.points, self._dimension(name), f"the mesh '{name}'")
            try:
                self._precice.reset_mesh(name)
                self._vertices[name] = provide(self._precice, name, mesh, self._dimension(name))
            except RuntimeError as error:
                raise self._foreign(CouplingError, error) from error
            self._moved.add(name)

    def advance(self, dt: float) -> None:
        """Say that a step of ``dt`` is done; wait for the partners at a window's end.

        Raises:
            CouplingError: an impossible step, a field that was not written since the last one, an error of preCICE.
        """
        self._need(_State.RUNNING, "advance")
        if not self._running:
            raise CouplingError(f"{self.name} goes on after the last window")
        if not (isfinite(dt) and _ZERO < dt <= self._left * (1.0 + _ROUNDING)):
            raise CouplingError(
                f"{self.name} takes a step of {dt:g}, and {self._left:g} is left of its window",
                todo=f"take steps above {_ZERO:g}, in a unit of time that suits the case, up to longest_step",
            )
        if self._moved and dt < self._left * (1.0 - _ROUNDING):
            raise CouplingError(
                f"{self.name} has new points on '{min(self._moved)}' and takes a step of {dt:g} of {self._left:g}",
                todo="let that step end the window",
            )
        if self._unwritten:
            mesh, name = min(self._unwritten)
            raise CouplingError(
                f"{self.name} did not write '{name}' on '{mesh}' in this step, and preCICE would send zeros",
                todo="write every field of the exchange before each advance",
            )
        try:
            self._precice.advance(self._left if dt >= self._left * (1.0 - _ROUNDING) else dt)
        except RuntimeError as error:
            raise self._foreign(CouplingError, error) from error
        self._look()

    def finish(self) -> None:
        """Part from the partners, once."""
        self._need(_State.RUNNING, "finish")
        self._state = _State.FINISHED
        self._precice.finalize()

    def _look(self) -> None:
        """Ask all flags of the window, in the one state where none of the questions aborts."""
        self._running = self._precice.is_coupling_ongoing()
        self._left = self._precice.get_max_time_step_size()
        self.must_restore = self._precice.requires_reading_checkpoint()
        self.must_save = self._precice.requires_writing_checkpoint()
        self._unwritten = set(self._writes) if self._running else set()
        self._window_begins = self.config.remeshing and self._precice.is_time_window_complete()
        if self._window_begins:  # before, preCICE 3.4 has no value at their window's beginning, and gives the end's
            self._moved.clear()

    def _send(self, field: Field, values: Array, points: Array | None) -> None:
        if (field.mesh, field.name) not in self._writes:
            raise CouplingError(f"{self.name} does not write '{field.name}' on '{field.mesh}'", todo="see its exchange")
        count = len(self._vertices[field.mesh].ids) if points is None else len(points)
        if np.shape(values) != (count, field.components):
            raise CouplingError(
                f"{self.name} writes '{field.name}' of shape {np.shape(values)}",
                todo=f"give ({count}, {field.components}): points, components",
            )
        if not np.isfinite(values).all():
            raise EngineFailed(f"{self.name} writes '{field.name}' that is not finite", todo="look at its last steps")
        if count == 0:
            return
        inside = None if points is None else self._inside(field, points)
        try:
            if inside is None:
                self._precice.write_data(field.mesh, field.name, self._vertices[field.mesh].ids, values)
                if field.name in self._graded:
                    self._send_gradient(field, np.shape(values))
            else:
                self._precice.write_and_map_data(field.mesh, field.name, inside, values)
        except RuntimeError as error:
            raise self._foreign(CouplingError, error) from error

    def _send_gradient(self, field: Field, shape: tuple[int, ...]) -> None:
        gradient = self._exchange.gradients[field.name]()
        if gradient.shape != (wanted := (*shape, self._dimension(field.mesh))):
            raise CouplingError(f"the gradient of '{field.name}' has the shape {gradient.shape}", todo=f"give {wanted}")
        ids = self._vertices[field.mesh].ids
        # All slopes of a component together: preCICE 3.4 documents another order than the one that its mapping takes.
        self._precice.write_gradient_data(field.mesh, field.name, ids, gradient.reshape(len(gradient), -1))

    def _inside(self, field: Field, points: Array) -> Array:
        """Return points for just-in-time mapping; a point outside the region is named."""
        if field.mesh not in self._exchange.regions:
            raise CouplingError(
                f"{self.name} gives points for '{field.name}' on '{field.mesh}', which is no mesh of its regions",
                todo="give no points, or name the partner's mesh in Exchange.regions",
            )
        low, high = self._exchange.regions[field.mesh]
        where = matrix(points, len(low), f"the points of '{field.name}'")
        outside = np.flatnonzero(((where < low) | (where > high)).any(axis=1))
        if len(outside):
            raise CouplingError(
                f"point {outside[0]} of '{field.name}', {where[outside[0]].tolist()}, is outside the region of "
                f"'{field.mesh}', {np.asarray(low).tolist()} to {np.asarray(high).tolist()}",
                todo="make the region larger: it is fixed for the whole run",
            )
        return where

    def _build(self, exchange: Exchange) -> None:
        for name, mesh in exchange.meshes.items():
            self._vertices[name] = provide(self._precice, name, mesh, self._dimension(name))
        for name, region in exchange.regions.items():
            box = matrix(region, self._dimension(name), f"the region of the mesh '{name}'", rows=2)
            self._precice.set_mesh_access_region(name, box.T.ravel())
        for field in exchange.writes:
            if self._precice.requires_gradient_data_for(field.mesh, field.name):
                if field.name not in exchange.gradients:
                    what = f"a mapping needs the gradient of '{field.name}', which {self.name} does not give"
                    raise wrong(self.config, self.name, what)
                self._graded.add(field.name)

    def _dimension(self, mesh: str) -> int:
        return self.config.mesh(mesh).dimension

    def _need(self, state: _State, call: str) -> None:
        if self._state is not state:
            raise CouplingError(f"{call} of {self.name} was called when {self._state.value}", todo=_order(state))

    def _foreign(self, kind: type[ScalespanError], error: RuntimeError) -> ScalespanError:
        """Return preCICE's error as ours: its first sentence, and what it advises. It is in no state to go on."""
        self._state = _State.FAILED
        text = str(error)
        if "passed MPI communicator" in text:
            return self._alone(text)
        what, _, todo = text.strip().rstrip(".").partition(". ")
        return kind(what, where=f"{self.config.file}: {self.name}", todo=todo)

    def _alone(self, reason: str) -> CouplingError:
        lines = [f"mpirun -n N scalespan run CASE --participant {each.name}" for each in self.config.participants]
        return CouplingError(
            f"the {self._size} ranks of {self.name} are not all ranks of its program (preCICE: {reason})",
            todo="start each participant by an mpirun of its own:\n  " + "\n  ".join(lines),
        )


def build_of(precice: Any = None) -> str:
    """Return preCICE's own line about its version and build options.

    Raises:
        EngineMissing: it is not installed, or of another series than pyprecice.
    """
    text: bytes = (precice or _library()).get_version_information()
    return text.decode()


def _library() -> Any:
    try:
        import precice
    except ModuleNotFoundError as error:
        raise EngineMissing.named("pyprecice", INSTALL) from error
    except ImportError as error:  # the bindings are there, their library is not
        raise EngineMissing(f"pyprecice cannot be loaded ({error})", todo=f"type: {INSTALL}") from error
    library, bindings = build_of(precice).split(";")[0], str(precice.__version__)
    if {_series(library), _series(bindings)} != {SERIES}:
        raise EngineMissing(
            f"preCICE is {library} and pyprecice {bindings}, where both must be {SERIES}", todo=f"type: {INSTALL}"
        )
    return precice


def _series(version: str) -> str:
    return ".".join(version.lstrip("v").split(".")[:2])


def _order(state: _State) -> str:
    return "call start first" if state is _State.RUNNING else "start a coupling once, and make a new one to start again"
