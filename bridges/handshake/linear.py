"""What the continuum does in proportion to its displacement, so that its own steps keep what is left.

r-RESPA may split an energy as it likes. With K the second derivative of the continuum's energy about the start, each
simplex counted by the part of it that is no site's, the quadratic Q = ½ uᵀKu costs one sparse product and moves with
the atoms' steps; the continuum's longer step keeps E_FE − E_at[s_A ∪ s_P] − Q, which is small where strains are.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from scalespan.adapters.interface import Array, NotOffered, barycentric, shape_gradients

if TYPE_CHECKING:
    from .handshake import Handshake


class LinearPart:
    """Q of a handshake; nothing where its continuum cannot weigh its cells."""

    def __init__(self, handshake: Handshake) -> None:
        extension, solid = handshake.extension, handshake.solid
        start, d = handshake.initial_atoms().positions, handshake.sites.dimension
        nodes = extension.others[handshake.moving_nodes]
        unknown = (d * nodes[:, None] + np.arange(d)).ravel()
        self._free, self._start, self._d = handshake.free, start[handshake.free :, :d].copy(), d
        try:
            left = solid.weighted(_left(handshake))
            self._stiffness = left.stiffness(handshake.displacement(start))[unknown][:, unknown]
        except NotOffered:
            self._stiffness = None

    def kick(self, momenta: Array, positions: Array, time: float) -> None:
        """Add what the forces of Q at ``positions`` (n, 3) do in a ``time`` to ``momenta`` (n, 3), in place."""
        if self._stiffness is not None and time:
            moved = (positions[self._free :, : self._d] - self._start).ravel()
            momenta[self._free :, : self._d] -= time * (self._stiffness @ moved).reshape(-1, self._d)


def _left(handshake: Handshake) -> Array:
    """Return the part of each simplex (k,) that is no site's; 0 where a node follows the others."""
    sites, solid = handshake.sites, handshake.solid
    inside, _ = barycentric(solid.nodes, solid.cells, sites.points)
    counted = np.bincount(inside, sites.masses / sites.density, len(solid.cells))
    left = np.clip(1.0 - counted / shape_gradients(solid.nodes, solid.cells)[1], 0.0, 1.0)
    left[np.isin(solid.cells, handshake.extension.slaved).any(axis=1)] = 0.0
    return left
