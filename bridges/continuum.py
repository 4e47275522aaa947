"""A continuum as a participant: any field adapter, its ports tied to a coupling's data by name."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from pydantic import Field as Setting

from scalespan.adapters.interface import Array, CaseError, FieldAdapter, Mesh, Options, Port, State, Table, nearest

from .interface import Bridge, Exchange, Field, Read


class ContinuumRead(Options):
    """Data of a partner that become an input of the model."""

    data: str  # the name in precice-config.xml: "Temperature"
    mesh: str  # the mesh that this participant provides for it: "Dirichlet-Mesh"
    input: str  # of the model: "interface.temperature"
    unit: str  # pint's spelling: "kelvin"
    flip_normal: bool = False  # the sign of what crosses the boundary: false, positive when it enters here


class ContinuumWrite(Options):
    """An output of the model that becomes data for partners."""

    data: str  # the name in precice-config.xml: "Heat-Flux"
    mesh: str  # the mesh that this participant provides for it
    output: str  # of the model: "interface.heat_flux"
    unit: str  # pint's spelling: "W/m**2"
    flip_normal: bool = False  # the sign of what crosses the boundary: false, positive when it leaves here


class ContinuumOptions(Options):
    """What a continuum exchanges."""

    reads: list[ContinuumRead] = Setting(default_factory=list)
    writes: list[ContinuumWrite] = Setting(default_factory=list)


class ContinuumBridge(Bridge):
    """Any field adapter as a participant: it reads and writes at the points of its places."""

    name = "continuum"
    Options = ContinuumOptions
    parts = ("model",)

    def __init__(self, options: ContinuumOptions, model: FieldAdapter | None = None) -> None:
        if model is None:
            raise CaseError("a continuum has no model", todo='add the table model, with use = "dolfinx"')
        if not isinstance(model, FieldAdapter):
            raise CaseError(f"the model '{model.name}' is no field adapter", todo="take one, such as dolfinx")
        self.model, self.time_unit = model, model.time_unit
        self._read: Read | None = None
        self._begun = False
        self._inputs = {_field(each, _port(each.input, model.inputs)): each for each in options.reads}
        self._outputs = {_field(each, _port(each.output, model.outputs)): each for each in options.writes}
        self._exchange = Exchange(list(self._inputs), list(self._outputs), self._meshes(options))

    @property
    def exchange(self) -> Exchange:
        """The fields that the options name, and the points of their places."""
        return self._exchange

    @property
    def longest_step(self) -> float:
        """The model's."""
        return self.model.longest_step

    def receive(self, read: Read) -> None:
        """Keep the way to the partners' data for the coming step."""
        self._read = read

    def advance(self, dt: float) -> None:
        """Give the model its inputs, each at the time that its port wants, and move it by ``dt``."""
        if not self._begun:
            self._set_inputs(0.0)
            self.model.begin()
            self._begun = True
        self._set_inputs(dt)
        self.model.advance(dt)

    def write(self, field: Field) -> Array:
        """Return an output of the model at the time reached."""
        each = self._outputs[field]
        return _sign(each.flip_normal) * self.model.output(each.output)

    def save(self) -> State:
        """Return the model's state."""
        return {f"model/{key}": value for key, value in self.model.save().items()} | {"begun": np.array(self._begun)}

    def restore(self, state: State) -> None:
        """Return to a saved state."""
        self._begun = bool(state["begun"])
        prefix = "model/"
        self.model.restore({key[len(prefix) :]: value for key, value in state.items() if key.startswith(prefix)})

    def observe(self) -> Mapping[str, float]:
        """Return what the model shows of itself."""
        return self.model.observe()

    def frame(self, folder: Path, time: float) -> None:
        """Add the time reached to the model's field file."""
        self.model.frame(folder, time)

    def audit(self) -> list[Table]:
        """Return the exchange, and what the model shows."""
        read = [("reads", field, each.input) for field, each in self._inputs.items()]
        write = [("writes", field, each.output) for field, each in self._outputs.items()]
        rows = tuple((way, field.name, field.mesh, field.unit, port) for way, field, port in read + write)
        return [Table("What the continuum exchanges", ("", "data", "mesh", "unit", "port"), rows), *self.model.audit()]

    def close(self) -> None:
        """Close the model."""
        self.model.close()

    def _set_inputs(self, dt: float) -> None:
        for field, each in self._inputs.items():
            assert self._read is not None, "receive comes before advance"
            values = self._read(field, self.model.inputs[each.input].at * dt)
            self.model.set_input(each.input, _sign(each.flip_normal) * values)

    def _meshes(self, options: ContinuumOptions) -> dict[str, Mesh]:
        """Return the points of each mesh, which belongs to one place."""
        ports: Sequence[tuple[str, Port]] = [(each.mesh, self.model.inputs[each.input]) for each in options.reads]
        ports = [*ports, *((each.mesh, self.model.outputs[each.output]) for each in options.writes)]
        places: dict[str, str] = {}
        for mesh, port in ports:
            if places.setdefault(mesh, port.place) != port.place:
                raise CaseError(
                    f"the mesh '{mesh}' is of the places '{places[mesh]}' and '{port.place}'", todo="give each a mesh"
                )
        return {mesh: self.model.points(place) for mesh, place in places.items()}


def _port(name: str, ports: Mapping[str, Port]) -> Port:
    if name not in ports:
        raise CaseError(f"the model has no port '{name}'", todo=nearest(name, ports) if ports else "give it places")
    return ports[name]


def _field(each: ContinuumRead | ContinuumWrite, port: Port) -> Field:
    return Field(each.data, each.mesh, each.unit, port.components)


def _sign(flip: bool) -> float:
    return -1.0 if flip else 1.0
