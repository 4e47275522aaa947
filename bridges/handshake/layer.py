"""Friction on what the outermost free atoms do beside the continuum, and the noise that belongs to it.

Of the layer's velocities v, the part that the mesh can carry is Πq, the q that makes Σ D m |v − Πq|² least, with Π the
mesh's shape functions at the atoms, D = 1 − c and c = exp(−γΔt). A step takes D off the rest, r = v − Πq:

    p ← p − D m r + √(kT m) D^½ (1 − P)(1 + c)^½ ξ,    P = B (BᵀB)⁻¹ Bᵀ,  B = (D m)^½ Π

Because ΠᵀD m r = 0, the friction takes no momentum and no energy from any motion of the mesh, and from the rest exactly
½ m (1 − c²) r². The noise has the covariance kT m (1 − A²) of this map A = 1 − D^½ (1 − P) D^½, so that equipartition
is exact for any profile of γ and any step. The idea of damping what a coarse space does not carry is that of
K. Fackeldey, D. Krause, R. Krause and C. Lenzen, Multiscale Model. Simul. 9, 1459 (2011).
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import numpy as np
from ase import units
from scipy.linalg import cho_factor, cho_solve
from scipy.spatial import cKDTree

from scalespan.adapters.interface import Array, State

from .sites import free_atoms

if TYPE_CHECKING:
    from .handshake import Handshake

_CARRIED = 1e-8  # of the largest: a node that the layer touches less than this carries nothing there


class FineScale:
    """The part of atoms' velocities that a mesh does not carry, found with weights D m.

    Args:
        shapes: (atoms, nodes) shape functions at the atoms.
        weights: (atoms,) above zero.
    """

    def __init__(self, shapes: Array, weights: Array) -> None:
        touched = weights @ shapes
        self._shapes = shapes[:, touched > _CARRIED * touched.max()]
        self._weighted = weights[:, None] * self._shapes
        matrix = self._shapes.T @ self._weighted
        # A node that one far atom touches makes the matrix nearly singular: the shift is far below rounding elsewhere.
        self._factor = cho_factor(matrix + 1e-13 * np.diag(np.diag(matrix)) + 1e-15 * np.eye(len(matrix)))

    def of(self, velocities: Array) -> Array:
        """Return r = v − Πq for velocities (atoms, d)."""
        found: Array = velocities - self._shapes @ cho_solve(self._factor, self._weighted.T @ velocities)
        return found


class Layer:
    """The layer of a handshake's options."""

    def __init__(self, handshake: Handshake, dt: float) -> None:
        options = handshake.options.thermostat
        assert options is not None
        sites, self._d = handshake.sites, handshake.sites.dimension
        atoms = free_atoms(handshake.options, sites)
        depth, _ = cKDTree(sites.reference[sites.free :]).query(atoms.positions)
        friction = options.friction * np.clip(1.0 - (depth - float(depth.min())) / options.width, 0.0, None)
        self._on = np.flatnonzero(friction > 0.0)
        shapes = handshake.solid.interpolation(atoms.positions[self._on, : self._d]).toarray()
        self._masses = atoms.get_masses()[self._on][:, None]
        self._kept = np.exp(-friction[self._on] * dt)[:, None]  # c
        self._fine = FineScale(shapes, ((1.0 - self._kept) * self._masses)[:, 0])
        self._noise = np.sqrt(units.kB * options.temperature)
        self._rng = np.random.default_rng(options.seed)
        self.heat = 0.0  # eV, taken in since the start

    def act(self, momenta: Array, masses: Array) -> None:
        """Change the momenta (n, 3) of the layer's atoms in place."""
        on, d, m, loss = self._on, self._d, self._masses, 1.0 - self._kept
        new = momenta[on].copy()
        new[:, :d] -= loss * m * self._fine.of(new[:, :d] / m)
        if self._noise > 0.0:
            raw = np.sqrt((1.0 + self._kept) / (loss * m)) * self._rng.standard_normal((len(on), d))
            new[:, :d] += self._noise * loss * m * self._fine.of(raw)
        self.heat += float((0.5 * (new**2 - momenta[on] ** 2) / m).sum())
        momenta[on] = new

    def save(self) -> State:
        """Return the random numbers and the heat."""
        text = json.dumps(self._rng.bit_generator.state)
        return {"layer/rng": np.frombuffer(text.encode(), np.uint8), "layer/heat": np.array(self.heat)}

    def restore(self, state: State) -> None:
        """Return to a saved state."""
        self._rng.bit_generator.state = json.loads(state["layer/rng"].tobytes())
        self.heat = float(state["layer/heat"])
