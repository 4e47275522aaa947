"""Serves an engine to another participant: the other end of `remote`."""

from __future__ import annotations

from collections.abc import Mapping
from math import inf, nan
from pathlib import Path

import numpy as np
from pydantic import Field as Key
from pydantic import ValidationInfo, field_validator

from scalespan.adapters.interface import Array, CaseError, OptionError, ParticleAdapter, Results, State, Table, under
from scalespan.bridges.interface import Bridge, Exchange, Field, Read

from .remote.questions import Line, Request, answers, pack_results, questions, unpack_atoms, unpack_charges

_EVERYWHERE = 1e6  # Å, half the edge of the region in which atoms may begin
_KEPT = 8  # states; older ones are forgotten


class EngineOptions(Line):
    """What is served; the keys of `remote` that both ends share must be the same there."""

    # The folder, in the case's, of states that a restarted run goes on from.
    memory: Path | None = Key(default=Path("results/memory"), validate_default=True)

    @field_validator("memory")
    @classmethod
    def _in_the_case(cls, path: Path | None, info: ValidationInfo) -> Path | None:
        folder = (info.context or {}).get("folder")
        if path is None or path.is_absolute():
            return path
        return None if folder is None else Path(folder) / path


class Engine(Bridge):
    """Computes what another participant asks: one question in each window, answered at its end."""

    name = "engine"
    Options = EngineOptions
    parts = ("engine",)

    def __init__(self, options: EngineOptions, *, engine: object = None) -> None:
        """Take the adapter that computes."""
        if not isinstance(engine, ParticleAdapter):
            raise OptionError("the table 'engine' is missing", where="engine", todo='add [….engine] with use = "…"')
        self.options, self.engine = options, engine
        self._read: Read
        self._points: dict[str, int] = {}
        self._results: Mapping[str, Array] = {}
        self._energy = nan  # eV, the last one
        self._answered = 0
        self._states: dict[int, State] = {0: engine._save_engine()}

    @property
    def exchange(self) -> Exchange:
        """Questions in, answers out, on the meshes of who asks."""
        reads, writes = questions(self.options).values(), answers(self.options).values()
        box = np.array([[-_EVERYWHERE] * 3, [_EVERYWHERE] * 3])
        regions = {field.mesh: box.copy() for field in reads}
        return Exchange(tuple(reads), tuple(writes), regions=regions)

    @property
    def longest_step(self) -> float:
        """No limit of its own: a window is a question."""
        return inf

    def meet(self, mesh: str, points: Array) -> None:
        """Hear how many atoms, or charges, there are."""
        self._points[mesh] = len(points)

    def receive(self, read: Read) -> None:
        """Take what the question may be read with."""
        self._read = read

    def advance(self, dt: float) -> None:
        """Answer the question that has been asked for the end of this window."""
        asked = {name: self._read(field, dt) for name, field in questions(self.options).items()}
        request = Request.of(asked["Request"][0, 0])
        if "restore" in request.flags:
            self.engine._restore_engine(self._recall(request.memory))
        if "save" in request.flags:
            self._keep(request.memory)
        self._results = {}
        if not request.wanted:
            return
        atoms = unpack_atoms(self.options, asked, request)
        charges = unpack_charges(asked, request)
        results = self.engine.compute(atoms, request.wanted, charges)
        self._energy = self._energy if results.energy is None else results.energy
        self._answered += 1
        self._results = self._packed(results, request, len(atoms))

    def _packed(self, results: Results, request: Request, atoms: int) -> Mapping[str, Array]:
        return pack_results(results, request.wanted, atoms, self._points.get(self.options.charges_mesh, 0))

    def write(self, field: Field) -> Array:
        """Return a part of the answer; zeros where it was not wanted."""
        if field.name in self._results:
            return self._results[field.name]
        return np.zeros((self._points[field.mesh], field.components))

    def observe(self) -> Mapping[str, float]:
        """Return the last energy, and how many questions have been answered."""
        return {"energy/eV": self._energy, "answers/1": float(self._answered)}

    def save(self) -> State:
        """Return what the engine remembers, and the states that it was told to keep."""
        now = {f"engine/{key}": value for key, value in self.engine._save_engine().items()}
        kept = {f"kept/{k}/{key}": value for k, state in self._states.items() for key, value in state.items()}
        return now | kept | {"numbers": np.array(list(self._states), dtype=np.int64)}

    def restore(self, state: State) -> None:
        """Return to a saved state."""
        self.engine._restore_engine(under("engine", state))
        self._states = {k: under(f"kept/{k}", state) for k in map(int, state["numbers"])}

    def _keep(self, number: int) -> None:
        self._states[number] = self.engine._save_engine()
        for old in sorted(self._states)[1:-_KEPT]:  # the first is where it began
            del self._states[old]
        if self.options.memory is not None:
            self.options.memory.mkdir(parents=True, exist_ok=True)
            np.savez(self._file(number), **self._states[number])  # type: ignore[arg-type]
            self._file(number - _KEPT).unlink(missing_ok=True)

    def _recall(self, number: int) -> State:
        if number in self._states:
            return self._states[number]
        if self.options.memory is None or not self._file(number).is_file():
            raise CaseError(
                f"the engine's state number {number} is not here, so the run cannot go on exactly",
                where=self.name,
                todo="restart where its folder is, which the key memory names",
            )
        with np.load(self._file(number)) as found:
            return dict(found)

    def _file(self, number: int) -> Path:
        assert self.options.memory is not None
        return self.options.memory / f"memory-{number}.npz"

    def audit(self) -> list[Table]:
        """Return what is served.

        Raises:
            OptionError: a quantity that the engine does not offer.
        """
        if lacking := sorted(set(self.options.offers) - self.engine.offers):
            offered = ", ".join(f'"{quantity}"' for quantity in sorted(self.engine.offers))
            raise OptionError(
                f"{self.engine.name} does not offer {', '.join(lacking)}",
                where=self.name,
                todo=f"set offers at both ends to some of [{offered}]",
            )
        rows = (("engine", self.engine.name), ("quantities", ", ".join(self.options.offers)))
        return [Table("Remote engine", ("what", "value"), rows)]

    def close(self) -> None:
        """Close the engine."""
        self.engine.close()
