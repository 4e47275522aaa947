"""Charges of a partner in a space that conductors bound: their reaction on the charges, by a field adapter.

The potential of point charges is singular where they are; what they feel is not. Split it: φ = φ_c + φ_r + φ_a, with
the Coulomb potential φ_c = Σ q_i / (4πε₀ |r − r_i|), which the partner's engine has already; the potential φ_a of the
conductors' voltages alone; and the reaction of the conductors,

    ∇²φ_r = 0 inside,  φ_r = −φ_c on the conductors,

which is smooth inside, so that elements are good at it. The energy is

    U = ½ Σ q_i φ_r(r_i) + Σ q_i φ_a(r_i):

the charges that the conductor takes from earth give half of the first term back, and what holds the voltages all of
the second (J. D. Jackson, Classical Electrodynamics, 3rd ed., ch. 1.11 and 2.1–2.4). The forces are minus
the gradient of this very U, that of the elements: with φ_r from its values on the walls' nodes, and with the
charges s_w that the same elements induce there where the q_i are point loads,

    F_i = −½ q_i ∇φ_r(r_i) − ½ Σ_w q_i s_w (r_w − r_i) / (4πε₀ |r_w − r_i|³) − q_i ∇φ_a(r_i),

two solutions with one matrix. In the limit both halves are the same, by reciprocity; on a mesh only their sum is a
gradient, except where a charge lies on a face between two cells.
"""

from __future__ import annotations

from collections.abc import Mapping
from math import inf
from pathlib import Path
from typing import Literal

import numpy as np

from scalespan.adapters.interface import (
    Array,
    CaseError,
    FieldAdapter,
    NotOffered,
    OptionError,
    Options,
    State,
    Table,
    under,
)
from scalespan.adapters.interface.units import COULOMB
from scalespan.bridges.interface import Bridge, Exchange, Field, Read

# Å; half the distance of the difference that is ∇φ: exact for elements of degree 1 and 2, inside a cell.
_STEP = 1e-4


class ElectrostaticsOptions(Options):
    """Whose charges, and where the conductors are."""

    mesh: str  # the partner's, with points where its charges began
    low: tuple[float, float, float]  # angstrom, a corner of the box in which charges may begin
    high: tuple[float, float, float]  # the opposite corner
    place: str = "walls"  # the conductors: a place of the reaction's model that takes potential
    when: Literal["start", "end"] = "start"  # of a window, where the charges act: start for explicit, end for implicit
    displacement: str = "Displacement"  # the name of the data that is read, in angstrom
    charge: str = "Charge"  # read, in e
    force: str = "Force"  # written, in eV/angstrom
    energy: str | None = "Energy"  # written, in eV, of each charge; None: it is not


class Electrostatics(Bridge):
    """Conductors around a partner's point charges."""

    name = "electrostatics"
    Options = ElectrostaticsOptions
    parts = ("reaction", "applied")

    def __init__(self, options: ElectrostaticsOptions, *, reaction: object = None, applied: object = None) -> None:
        """Take the model of the reaction, and that of the voltages alone: None where all conductors are earthed."""
        self.options = options
        self._reaction = _usable(reaction, "reaction")
        self._applied = None if applied is None else _usable(applied, "applied")
        self._potential, self._charge = f"{options.place}.potential", f"{options.place}.charge"
        if self._potential not in self._reaction.inputs or self._charge not in self._reaction.outputs:
            raise NotOffered(
                f"the reaction's model does not take '{self._potential}' and give '{self._charge}'",
                where=self.name,
                todo=f'add places.{options.place} = {{ boundary = "all", takes = ["potential"] }}',
            )
        self.time_unit = self._reaction.time_unit
        self._walls: Array = self._reaction.points(options.place).points
        self._first: Array = np.zeros((0, 3))
        self._forces: Array = np.zeros((0, 3))
        self._energies: Array = np.zeros((0, 1))
        self._read: Read
        self._solved = False  # the voltages' field

    @property
    def exchange(self) -> Exchange:
        """Displacements and charges in, forces and energies out, at the partner's points."""
        return Exchange(
            reads=(self._field("displacement", "angstrom", 3), self._field("charge", "e", 1)),
            writes=(self._field("force", "eV/angstrom", 3), *self._energy_field),
            regions={self.options.mesh: np.array([self.options.low, self.options.high])},
        )

    def _field(self, name: str, unit: str, components: int) -> Field:
        return Field(getattr(self.options, name), self.options.mesh, unit, components)

    @property
    def _energy_field(self) -> tuple[Field, ...]:
        return () if self.options.energy is None else (self._field("energy", "eV", 1),)

    @property
    def longest_step(self) -> float:
        """No limit: the field has no memory."""
        return inf

    def meet(self, mesh: str, points: Array) -> None:
        """Hear where the charges began."""
        self._first = points.copy()
        self._forces, self._energies = np.zeros((len(points), 3)), np.zeros((len(points), 1))

    def receive(self, read: Read) -> None:
        """Take what displacements and charges may be read with."""
        self._read = read

    def advance(self, dt: float) -> None:
        """Find the reaction on the charges where they are."""
        at = 0.0 if self.options.when == "start" else dt
        displacement, charge = (self._read(field, at) for field in self.exchange.reads)
        self._solve(self._first + displacement, charge[:, 0], dt)

    def _solve(self, places: Array, charges: Array, dt: float) -> None:
        potential, slope = self._react(places, charges, dt)
        self._energies, self._forces = 0.5 * charges[:, None] * potential, 0.5 * charges[:, None] * slope
        if self._applied is None:
            return
        if not self._solved:
            self._applied.advance(dt)
            self._solved = True
        potential, field = _local(self._applied, places)
        self._energies += charges[:, None] * potential
        self._forces += charges[:, None] * field

    def _react(self, places: Array, charges: Array, dt: float) -> tuple[Array, Array]:
        """Return φ_r (n, 1) V at the charges, and the field (n, 3) V/Å of which each half of the force is one half."""
        model, walls = self._reaction, self._walls
        model.set_input(self._potential, np.zeros((len(walls), 1)))
        model.load(places, charges[:, None])
        model.advance(dt)
        induced = -model.output(self._charge)[:, 0]
        model.set_input(self._potential, -coulomb(walls, places, charges)[:, None])
        model.load(places, np.zeros((len(places), 1)))
        model.advance(dt)
        potential, field = _local(model, places)
        along = places[:, None] - walls[None]
        weights = COULOMB * induced / np.linalg.norm(along, axis=2) ** 3
        return potential, field + np.einsum("iw,iwx->ix", weights, along)

    def write(self, field: Field) -> Array:
        """Return the forces, or the energies, of the charges."""
        return (self._forces if field.name == self.options.force else self._energies).copy()

    def observe(self) -> Mapping[str, float]:
        """Return the energy of the charges with the conductors."""
        return {"energy/eV": float(self._energies.sum())}

    def frame(self, folder: Path, time: float) -> None:
        """Add the reaction to its field file."""
        self._reaction.frame(folder, time)

    def audit(self) -> list[Table]:
        """Return the models' own tables."""
        models = [self._reaction] if self._applied is None else [self._reaction, self._applied]
        return [table for model in models for table in model.audit()]

    def save(self) -> State:
        """Return the models' states and the last answer."""
        state: State = {"forces": self._forces.copy(), "energies": self._energies.copy()}
        state |= {"first": self._first.copy(), "solved": np.array(self._solved)}
        for name, model in self._models().items():
            state |= {f"{name}/{key}": value for key, value in model.save().items()}
        return state

    def restore(self, state: State) -> None:
        """Return to a saved state."""
        self._forces, self._energies = np.array(state["forces"]), np.array(state["energies"])
        self._first, self._solved = np.array(state["first"]), bool(state["solved"])
        for name, model in self._models().items():
            model.restore(under(name, state))

    def _models(self) -> dict[str, FieldAdapter]:
        found = {"reaction": self._reaction}
        return found if self._applied is None else found | {"applied": self._applied}

    def close(self) -> None:
        """Close the models."""
        for model in self._models().values():
            model.close()


def coulomb(points: Array, places: Array, charges: Array) -> Array:
    """Return the potential (n,) V at ``points`` (n, 3) Å of point charges (m,) e at ``places`` (m, 3) Å."""
    found = np.zeros(len(points))
    for place, charge in zip(places, charges, strict=True):
        found += COULOMB * charge / np.linalg.norm(points - place, axis=1)
    return found


def _local(model: FieldAdapter, places: Array) -> tuple[Array, Array]:
    """Return the potential (n, 1) V and the field −∇φ (n, 3) V/Å at ``places``."""
    shifts = _STEP * np.vstack([np.zeros(3), np.eye(3), -np.eye(3)])
    values = model.evaluate("potential", (places[:, None] + shifts).reshape(-1, 3)).reshape(-1, 7)
    return values[:, :1], (values[:, 4:] - values[:, 1:4]) / (2.0 * _STEP)


def _usable(model: object, name: str) -> FieldAdapter:
    if not isinstance(model, FieldAdapter):
        raise OptionError(
            f"the table '{name}' is missing, or no field adapter",
            where="electrostatics",
            todo=f'add [….{name}] with use = "dolfinx" and its option poisson',
        )
    if model.fields.get("potential") != 1 or model.dimension != 3:
        raise NotOffered(f"the model '{name}' gives no potential in three dimensions", where="electrostatics")
    if model.length_unit != "angstrom":
        raise CaseError(
            f"the model '{name}' has the unit of length {model.length_unit}",
            where="electrostatics",
            todo='set length = "angstrom": charges are in e, energies in eV',
        )
    return model
