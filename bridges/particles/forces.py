"""Forces of partners in an engine's motion.

A partner's force is known as values at times, not as the gradient of an energy that the engine could sum. So it
adds nothing to the energy that the engine reports; what it does to the atoms is booked as work,

    W = Σ ½ (F_k + F_{k+1}) · (x_{k+1} − x_k)   over the timesteps,

and the engine's energy minus W is what velocity Verlet conserves, to the second order in the timestep and
without a drift where F is the gradient of some energy of the positions.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

import numpy as np
from ase import Atoms

from scalespan.adapters.interface import (
    Array,
    ExternalCharges,
    ForceField,
    Indices,
    Motion,
    Observation,
    Options,
    ParticleAdapter,
    Quantity,
    Results,
    State,
    under,
)

_SAME = 1e-10  # Å; the atoms have not moved


class Pull:
    """The forces of partners on all atoms, as a `Potential` that is asked once for each configuration.

    Args:
        sample: forces (n, 3) eV/Å at positions (n, 3) Å and at a time from the step's beginning.
    """

    def __init__(self, sample: Callable[[Array, float], Array]) -> None:
        self._sample = sample
        self.at = 0.0  # the time that the next configuration belongs to
        self.work = 0.0  # eV
        self._known: tuple[Array, Array] | None = None  # the last positions and the forces there
        self._start: tuple[Array, Array] | None = None  # where the step begins, with the forces that act there
        self._kick = False

    def begin(self, positions: Array, at: float, *, resample: bool) -> bool:
        """Take the forces at a timestep's beginning; return whether the engine must ask for them again.

        Args:
            positions: (n, 3) Å, where the atoms are.
            at: the time from the step's beginning.
            resample: the coupling has new data, so what is known from there is old.
        """
        known, self._kick = self._known, False
        here = known is not None and np.abs(positions - known[0]).max() < _SAME
        if known is not None and here and not resample:
            self._start = known
            return False
        forces = self._sample(positions, at)
        self._start = (positions.copy(), forces)
        self._book(positions, forces)
        return known is None or not here or not np.array_equal(known[1], forces)

    def kick(self, positions: Array, at: float, steps: int) -> Array:
        """Return the forces (n, 3) of one kick for ``steps`` timesteps; the first half timestep will carry it all."""
        forces = self._sample(positions, at)
        self._start, self._kick = (positions.copy(), 2.0 * steps * forces), True
        self._book(positions, forces)
        return forces

    def __call__(self, positions: Array, cell: Array) -> tuple[float, Array]:
        """Return no energy and the forces; see `Potential`."""
        if self._start is not None and np.abs(positions - self._start[0]).max() < _SAME:
            return 0.0, self._start[1]
        if self._kick:
            return 0.0, np.zeros_like(positions)
        forces = self._sample(positions, self.at)
        self._book(positions, forces)
        return 0.0, forces

    def _book(self, positions: Array, forces: Array) -> None:
        if self._known is not None:
            before, pulled = self._known
            self.work += 0.5 * float(np.sum((pulled + forces) * (positions - before)))
        self._known = (positions.copy(), forces)

    def save(self) -> State:
        """Return the work and the last forces."""
        state: State = {"work": np.array(self.work)}
        for name, pair in (("known", self._known), ("start", self._start)):
            if pair is not None:
                state |= {f"{name}/positions": pair[0].copy(), f"{name}/forces": pair[1].copy()}
        return state

    def restore(self, state: State) -> None:
        """Return to what `save` gave."""
        self.work = float(state["work"])
        self._known, self._start = _pair("known", state), _pair("start", state)


def _pair(name: str, state: State) -> tuple[Array, Array] | None:
    found = under(name, state)
    return (np.array(found["positions"]), np.array(found["forces"])) if found else None


class Mover(Protocol):
    """An engine's atoms in motion, with a pull in it."""

    @property
    def atoms(self) -> Atoms:
        """A copy of the moving atoms."""

    def ask_again(self) -> None:
        """Hear that the pull has changed where the atoms are."""

    def advance(self, dt: float) -> None:
        """Move by ``dt`` (ASE's time)."""

    def drag(self, held: Indices, places: Array) -> None:
        """Let the next timestep take the fixed atoms ``held`` (k,) to ``places`` (k, 3) Å."""

    def moving_forces(self) -> Array:
        """Return the forces (n, 3) eV/Å on all atoms as they stand, fixed ones included."""

    def observe(self) -> Observation:
        """Return the engine's energies."""

    def save(self) -> State:
        """Return everything that a later step depends on."""

    def restore(self, state: State) -> None:
        """Return to a saved state."""


def moving(model: ParticleAdapter, atoms: Atoms, motion: Motion, pull: Pull) -> Mover:
    """Return ``model`` in motion with ``pull``: by its own integrator where it is a force field, else by ASE's."""
    if isinstance(model, ForceField):
        model.host(atoms, motion, extra=pull)
        return model
    pulled = Pulled(model, pull)
    pulled.start(atoms, motion)
    return pulled


class Pulled(ParticleAdapter):
    """An adapter's atoms under forces from outside. Its energy is the adapter's alone: see this module's page."""

    name = "pulled"
    Options = Options
    offers = frozenset({Quantity.ENERGY, Quantity.FORCES})
    conservative = False

    def __init__(self, model: ParticleAdapter, pull: Pull) -> None:
        self._model, self._pull = model, pull
        self._answers = model.as_calculator()

    def _compute(self, atoms: Atoms, wanted: frozenset[Quantity], charges: ExternalCharges | None) -> Results:
        mine = atoms.copy()
        # What it computed here before it has kept.
        forces: Array = self._answers.get_forces(mine)  # type: ignore[no-untyped-call]
        energy, pulls = self._pull(atoms.positions, atoms.cell.array)
        found = self._answers.last
        assert found.energy is not None
        parts = found.components or {self._model.name: found.energy}
        return Results(energy=found.energy + energy, forces=forces + pulls, components=dict(parts))

    def ask_again(self) -> None:
        """Hear that the pull has changed where the atoms are."""
        self._moving.atoms.calc.reset()

    def drag(self, held: Indices, places: Array) -> None:
        """Let the next timestep take the fixed atoms ``held`` (k,) to ``places`` (k, 3) Å."""
        self._moving.drag(held, places)

    def moving_forces(self) -> Array:
        """Return the forces (n, 3) on the moving atoms, which the integrator has asked for already."""
        forces: Array = self._moving.atoms.get_forces(apply_constraint=False)
        return forces

    def _save_engine(self) -> State:
        parts = {"answers": self._answers.save(), "model": self._model._save_engine()}
        return {f"{part}/{key}": value for part, state in parts.items() for key, value in state.items()}

    def _restore_engine(self, state: State) -> None:
        self._answers.restore(self._moving.atoms, under("answers", state))
        self._model._restore_engine(under("model", state))
