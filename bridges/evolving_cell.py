r"""A cell whose phases move, and its effective conductivity: two continua on one mesh as a micro model.

The first moves a phase field φ by what the macro problem gives, one value for the whole cell; the second conducts where
φ says, and is homogenised after each step (M. Bastidas, C. Bringedal and I. S. Pop 2021,
doi:10.1016/j.amc.2020.125933):

$$K_{ij} = \frac1V \int \kappa(\varphi) (\delta_{ij} + \partial_i w_j), \qquad
\int \kappa(\varphi) (e_j + \nabla w_j) \cdot \nabla v = 0 \text{ for all periodic } v.$$
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from pydantic import Field as Key

from scalespan.adapters.interface import (
    Array,
    CaseError,
    Datum,
    FieldAdapter,
    MicroModel,
    Options,
    Port,
    State,
    Table,
    nearest,
)

from .homogenisation import Cell, HomogenisationOptions


class EvolvingCellOptions(Options):
    """The ports of the two continua, and the names of what goes in and comes out."""

    takes: dict[str, str]  # an input of `phase`, by the name of what is given: { Concentration = "cell.concentration" }
    output: str = "cell.phase"  # of `phase`: φ at its nodes
    input: str = "cell.phase"  # of `conduction`: the same φ at the same nodes
    conductivity: str = "K"  # the components are given as K-00, K-01, …
    fraction: str | None = None  # the name under which the mean of φ is given; None: it is not
    unit: str = "W/m/kelvin"  # of the conductivity, in pint's spelling
    given_unit: str = "1"  # of what is taken
    final: float | None = Key(default=None, gt=0)  # the mean of φ above which a cell no longer changes


class EvolvingCell(MicroModel):
    """A phase field, and the conductivity of what it leaves open."""

    name = "evolving_cell"
    Options = EvolvingCellOptions
    parts = ("phase", "conduction")

    def __init__(
        self, options: EvolvingCellOptions, phase: FieldAdapter | None = None, conduction: FieldAdapter | None = None
    ) -> None:
        if not isinstance(phase, FieldAdapter) or not isinstance(conduction, FieldAdapter):
            raise CaseError("an evolving cell has the parts 'phase' and 'conduction'", todo="give both use = …")
        self.options, self.phase, self.conduction, self.time_unit = options, phase, conduction, phase.time_unit
        self._ports = {name: _port(port, phase.inputs, "phase") for name, port in options.takes.items()}
        out, into = _port(options.output, phase.outputs, "phase"), _port(options.input, conduction.inputs, "conduction")
        self.cell = Cell(conduction.microstructure(), HomogenisationOptions())
        if self.cell.micro.components != 1:
            raise CaseError("an evolving cell conducts: its second part has one unknown", todo="take heat conduction")
        theirs, ours = phase.points(out.place).points, conduction.points(into.place).points
        if theirs.shape != ours.shape or not np.allclose(theirs, ours, rtol=0.0, atol=1e-12):
            raise CaseError("'phase' and 'conduction' have other nodes", todo="give both the same mesh and degree")
        self._nodes = len(ours)
        self._ends = self._mean(np.zeros(self._nodes)), self._mean(np.ones(self._nodes))
        self._begin = _copied(phase.save())

    @property
    def takes(self) -> Mapping[str, Datum]:
        """What moves the phases."""
        return {name: Datum(port.components, self.options.given_unit) for name, port in self._ports.items()}

    @property
    def gives(self) -> Mapping[str, Datum]:
        """The conductivity by components, and the mean of φ."""
        d, own = self.cell.micro.points.shape[1], self.options
        found = {f"{own.conductivity}-{i}{j}": Datum(1, own.unit) for i in range(d) for j in range(d)}
        return found if own.fraction is None else found | {own.fraction: Datum(1, "1")}

    def initial(self) -> State:
        """Return the phase field's state at the beginning."""
        return _copied(self._begin)

    def initial_answer(self) -> Mapping[str, Array]:
        """Return the conductivity at the beginning."""
        self.phase.restore(self._begin)
        return self._answer()

    def _step(self, state: State, given: Mapping[str, Array], dt: float) -> tuple[State, Mapping[str, Array]]:
        self.phase.restore(state)
        if self.options.final is None or self._fraction(self._field()) < self.options.final:
            for name, port in self._ports.items():
                points = len(self.phase.points(port.place).points)
                self.phase.set_input(self.options.takes[name], np.tile(given[name], (points, 1)))
            self.phase.advance(dt)
        return _copied(self.phase.save()), self._answer()

    @property
    def longest_step(self) -> float:
        """The phase field's."""
        return self.phase.longest_step

    def audit(self) -> list[Table]:
        """Return what the cell is at the beginning, with Hill's condition under a gradient of 1 along x."""
        answer = self.initial_answer()
        rows = [(name, f"{float(values[0]):.7g} {self.gives[name].unit}") for name, values in answer.items()]
        along = self.cell.answer(np.eye(1, self.cell.micro.points.shape[1]))
        rows += [("nodes", str(self._nodes)), ("Hill's condition", f"{along.hill_mandel:.1e}")]
        tables = [*self.phase.audit(), *self.conduction.audit()]
        return [Table("The cell at the beginning", ("what", "how much"), tuple(rows)), *tables]

    def close(self) -> None:
        """Close both."""
        self.phase.close()
        self.conduction.close()

    def _field(self) -> Array:
        return self.phase.output(self.options.output)[:, 0]

    def _answer(self) -> dict[str, Array]:
        field = self._field()
        self.conduction.set_input(self.options.input, field[:, None])
        d = self.cell.micro.points.shape[1]
        tangent = self.cell.answer(np.zeros((1, d)), tangent=True).tangent
        assert tangent is not None, "it was wanted"
        answer = dict(zip(self.gives, tangent.reshape(-1, 1), strict=False))
        return answer if self.options.fraction is None else answer | {self.options.fraction: self._fraction(field)}

    def _fraction(self, field: Array) -> Array:
        """Return the mean (1,) of φ, by the conductivity, which is linear in it."""
        low, high = self._ends
        return np.array([(self._mean(field) - low) / (high - low)])

    def _mean(self, field: Array) -> float:
        """Return ⟨κ(φ)⟩, the flux under a uniform gradient of 1."""
        self.conduction.set_input(self.options.input, field[:, None])
        return float(self.cell.micro.answer(self.cell.micro.points[:, :1]).flux[0, 0]) / self.cell.volume


def _port(name: str, ports: Mapping[str, Port], part: str) -> Port:
    if name not in ports:
        raise CaseError(f"'{part}' has no port '{name}'", todo=nearest(name, ports) if ports else "give it places")
    return ports[name]


def _copied(state: State) -> State:
    return {key: value.copy() for key, value in state.items()}
