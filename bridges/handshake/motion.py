"""Two clocks: the atoms' step, and the continuum's as a whole multiple of it.

The reversible reference system propagator algorithm (r-RESPA; M. Tuckerman, B. J. Berne and G. J. Martyna 1992,
doi:10.1063/1.463137): what depends on the continuum alone kicks once in a continuum's step, and the atoms with their
pads make velocity-Verlet steps in between. It is symplectic, and with equal steps it is velocity Verlet.
What the continuum does in proportion to its displacement moves with the atoms' steps all the same: see `linear`.

The staggered scheme is that of two participants that meet at the ends of windows (C. Farhat, K. G. van der Zee and
P. Geuzaine 2006, doi:10.1016/j.cma.2004.11.031): the continuum drifts first, pads move linearly between its old and its
new displacement, and their force at the end of its step kicks it. With equal steps it too is velocity Verlet.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from ase import Atoms

from scalespan.adapters.interface import Array, AseMotion, CaseError, Motion, Results, State

from .clocks import check_ensemble, whole_multiple
from .layer import Layer
from .ledger import Ledger
from .linear import LinearPart

if TYPE_CHECKING:
    from .handshake import Handshake

_WHOLE = 1e-9


class TwoClocks(AseMotion):
    """Moves the atoms and nodes of a handshake."""

    def __init__(self, atoms: Atoms, motion: Motion, handshake: Handshake) -> None:
        self._handshake = handshake
        self._every = whole_multiple(handshake.options.continuum_step, motion.timestep)
        self._move = {"respa": self._step, "staggered": self._staggered_step}[handshake.options.scheme]
        self._layer = Layer(handshake, motion.timestep) if handshake.options.thermostat else None
        split = self._every > 1 and handshake.options.scheme == "respa"
        self._linear = LinearPart(handshake) if split else None
        super().__init__(atoms, motion)
        self.ledger = Ledger(handshake, atoms.positions)
        self._fast, self._slow = self.ledger.last, handshake.slow(atoms.positions)

    def _build(self) -> Any:
        check_ensemble(self.motion)

    @property
    def components(self) -> dict[str, float]:
        """The parts of the potential energy (eV) as the atoms and nodes stand."""
        return {**self._fast.components, **self._slow.components}

    @property
    def given(self) -> dict[str, float]:
        """What came from outside since the start (eV): the layer's heat."""
        return {"bath": self._layer.heat} if self._layer else {}

    @property
    def forces(self) -> Array | None:
        """The forces (n, 3) on atoms and nodes as they stand, where all of them kick together; None elsewhere."""
        return _forces(self._fast) + _forces(self._slow) if self._every == 1 else None

    def advance(self, dt: float) -> None:
        """Move by ``dt`` (ASE's time), a whole number of the continuum's steps.

        Raises:
            CaseError: another ``dt``.
        """
        steps = dt / (self.motion.timestep * self._every)
        if abs(steps - round(steps)) > _WHOLE * max(steps, 1.0) or round(steps) < 1:
            raise CaseError(
                f"a handshake cannot take {steps:g} steps of its continuum",
                todo="make windows and frames whole multiples of continuum_step",
            )
        for _ in range(round(steps)):
            self._move()

    def _step(self) -> None:
        atoms, handshake, dt = self.atoms, self._handshake, self.motion.timestep
        masses = atoms.get_masses()[:, None]
        way = np.repeat(dt / masses, 3, axis=1)  # products of equal shapes are faster
        momenta, positions = atoms.get_momenta(), atoms.get_positions()
        moved = np.empty_like(positions)
        self._kick(momenta, positions, 0.5 * dt, 0.5 * dt * self._every)
        for left in reversed(range(self._every)):
            positions += np.multiply(way, momenta, out=moved)
            self._fast = self.ledger.fast(positions)
            kick = dt if left else 0.5 * dt  # the end of this step and the beginning of the next
            if self._layer:
                self._kick(momenta, positions, 0.5 * dt)
                self._layer.act(momenta, masses)
                kick -= 0.5 * dt
            self._kick(momenta, positions, kick)
        self._slow = handshake.slow(positions)
        self._kick(momenta, positions, 0.0, 0.5 * dt * self._every)
        atoms.set_positions(positions)
        atoms.set_momenta(momenta)

    def _kick(self, momenta: Array, positions: Array, fast: float, slow: float = 0.0) -> None:
        """Kick by what changes fast and by what changes slowly, each for its time."""
        for part, time in ((self._fast, fast), (self._slow, slow)):
            if time:
                momenta += time * _forces(part)
        if self._linear:
            self._linear.kick(momenta, positions, fast - slow)

    def _staggered_step(self) -> None:
        atoms, handshake, dt, every = self.atoms, self._handshake, self.motion.timestep, self._every
        masses, free = atoms.get_masses()[:, None], handshake.free
        momenta, positions = atoms.get_momenta(), atoms.get_positions()
        momenta[free:] += 0.5 * dt * every * (_forces(self._fast) + _forces(self._slow))[free:]
        begin, way = positions[free:].copy(), every * dt * momenta[free:] / masses[free:]
        for step in range(1, every + 1):
            momenta[:free] += 0.5 * dt * _forces(self._fast)[:free]
            positions[:free] += dt * momenta[:free] / masses[:free]
            positions[free:] = begin + way * (step / every)
            self._fast = self.ledger.fast(positions)
            momenta[:free] += 0.5 * dt * _forces(self._fast)[:free]
            if self._layer:
                self._layer.act(momenta, masses)
        self._slow = handshake.slow(positions)
        momenta[free:] += 0.5 * dt * every * (_forces(self._fast) + _forces(self._slow))[free:]
        atoms.set_positions(positions)
        atoms.set_momenta(momenta)

    def save(self) -> State:
        """Return positions, momenta, both forces with their energies, and the thermostat's random numbers."""
        state = super().save()
        for name, part in (("fast", self._fast), ("slow", self._slow)):
            state[f"{name}/forces"] = _forces(part).copy()
            state[f"{name}/energies"] = np.array(list(part.components.values()))
        return state | self.ledger.save() | (self._layer.save() if self._layer else {})

    def restore(self, state: State) -> None:
        """Return to a state that `save` gave."""
        super().restore(state)
        self._fast = _restored(self._fast, state, "fast")
        self._slow = _restored(self._slow, state, "slow")
        self.ledger.begin(self.atoms.positions, self._fast)
        self.ledger.restore(state)
        if self._layer:
            self._layer.restore(state)


def _forces(part: Results) -> Array:
    return np.asarray(part.forces)


def _restored(part: Results, state: State, name: str) -> Results:
    components = dict(zip(part.components, state[f"{name}/energies"].tolist(), strict=True))
    return Results(energy=sum(components.values()), forces=state[f"{name}/forces"].copy(), components=components)
