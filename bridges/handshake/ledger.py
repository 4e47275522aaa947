"""The energy ledger of a handshake's motion: what each side has, what crosses the joint, what a bath gives.

With E₁ = E_at[y ∪ s_P] of the atoms among pads and E₂ = E_at[s_A ∪ s_P] counted twice, the two sides are

    atoms: K_y + E₁,    continuum: K_U + E_FE − E₂,    W = ∫ f·dU,    f = −∂E₁/∂U,

and a bath's heat Q comes to the atoms. The sum of both, less Q, is constant; and so is each side for itself when W, and
for the atoms Q, is booked: K_y + E₁ + W − Q and K_U + E_FE − E₂ − W. W is summed up by the trapezoidal rule over
the atoms' steps, from forces that are there anyway, so that it can be wrong where the energies are right, and they
where it is. What is left is the integrator's offset, of second order in the step.

Where both clocks are one, the motion is leapfrog, in which linear forces f = −Kx conserve the staggered energy
½ p(n−½)·M⁻¹p(n+½) + ½ x·Kx to round-off, as p(n+½) − p(n−½) = Δt f and x(n+1) − x(n) = Δt M⁻¹p(n+½) show. It is
H − Δt² f·M⁻¹f / 8: H itself at whole steps is off by the second order in Δt.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from scalespan.adapters.interface import Array, Observation, Results, State
from scalespan.adapters.interface.units import BOLTZMANN

if TYPE_CHECKING:
    from .handshake import Handshake
    from .motion import TwoClocks


class Ledger:
    """Asks for the atoms' forces step by step, and books the work that they do on the continuum's nodes."""

    def __init__(self, handshake: Handshake, positions: Array) -> None:
        self._handshake, self.free, self.dimension = handshake, handshake.free, handshake.sites.dimension
        self.work = 0.0  # eV, on the nodes since the start
        self.begin(positions, handshake.fast(positions))

    def begin(self, positions: Array, fast: Results) -> None:
        """Take a place (n, 3) and the answer there as the end of the last step."""
        self.last = fast
        self._places: Array = positions[self.free :].copy()

    def fast(self, positions: Array) -> Results:
        """Return the handshake's `fast` at the end of a step, and book the step."""
        before, begun = self._on_nodes(), self._places
        self.begin(positions, self._handshake.fast(positions))
        self.work += 0.5 * float(((before + self._on_nodes()) * (self._places - begun)).sum())
        return self.last

    def _on_nodes(self) -> Array:
        return np.asarray(self.last.forces)[self.free :]

    def save(self) -> State:
        """Return the work."""
        return {"ledger/work": np.array(self.work)}

    def restore(self, state: State) -> None:
        """Return to a saved work."""
        self.work = float(state["ledger/work"])


def observed(moving: TwoClocks) -> Observation:
    """Return the energies of the moving atoms and nodes as they stand, without asking the engine again."""
    atoms, free = moving.atoms, moving.ledger.free
    kinetic = 0.5 * (atoms.get_momenta() ** 2).sum(axis=1) / atoms.get_masses()
    seen = Observation(
        potential=sum(moving.components.values()),
        kinetic=float(kinetic.sum()),
        temperature=2.0 * float(kinetic[:free].sum()) / (moving.ledger.dimension * free * BOLTZMANN),
        volume=None,
        components=moving.components,
        kinetic_parts={"atoms": float(kinetic[:free].sum()), "continuum": float(kinetic[free:].sum())},
        given=moving.given,
        books={"work on continuum": moving.ledger.work},
    )
    if moving.forces is None:
        return seen
    offset = moving.motion.timestep**2 / 8.0 * float(((moving.forces**2).sum(axis=1) / atoms.get_masses()).sum())
    return replace(seen, books={**seen.books, "staggered": seen.conserved - offset})
