r"""Whether the joint is stable: the smallest curvature of its energy about the perfect crystal.

$$E(y, U) = E_{at}[y \cup s_P] - E_{at}[s_A \cup s_P] + E_{FE}[U], \qquad H v = \lambda P v$$

with H the second derivative over the region's atoms y and the nodes U that move, and P the preconditioner's Laplacian,
which is nearly H: λ is about 1 for a sound joint, however large the body is. A node among the atoms that is still free
has little of E_FE of its own, and what is subtracted answers to a kink at the node as atoms do, not as the law does:
below 0, the node runs away. H is asked of the engine by differences of forces, and λ found by Lanczos's method.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING
from warnings import catch_warnings, simplefilter

import numpy as np
from scipy.sparse import csr_array

from scalespan.adapters.interface import Array, CaseError, Table

from .preconditioner import stiffness

if TYPE_CHECKING:
    from collections.abc import Callable

    from .handshake import Handshake

_SHIFT = 1e-4  # Å, of a difference of forces
_FREE = 1e-3  # of P's diagonal, added on both sides where nothing holds the body, which may then move as a whole
_PASSES = 16  # a curvature below 0 is far from all others, and found in ten


@dataclass(frozen=True)
class Softest:
    """The mode of the smallest curvature."""

    curvature: float  # λ
    node: Array  # (d,) Å: the reference place of the node that moves most in it


def softest(handshake: Handshake) -> Softest:
    """Return the mode of the smallest curvature about the perfect crystal, as the options deform it."""
    from scipy.sparse import eye_array, kron
    from scipy.sparse.linalg import LinearOperator, lobpcg, splu

    d, free = handshake.sites.dimension, handshake.sites.free
    scalar = stiffness(handshake, handshake.sites.reference[:free])
    shape = (scalar.shape[0], d)
    free_body = 0.0 if handshake.solid.held.any() else _FREE * float(scalar.diagonal().mean())
    scalar = csr_array(scalar + free_body * eye_array(shape[0]))
    curved, solve = _curvature(handshake), splu(scalar.tocsc()).solve

    def apply(vector: Array) -> Array:
        return np.asarray(curved(vector.reshape(shape)).ravel() + free_body * vector.ravel())

    def inverse(vector: Array) -> Array:
        return np.asarray(solve(np.ascontiguousarray(vector.reshape(shape)))).ravel()

    size = (scalar.shape[0] * d,) * 2
    begin = np.random.default_rng(1).standard_normal((size[0], 1))
    with catch_warnings():
        simplefilter("ignore")  # of passes that are not enough: the curvature is then less, and its sign is known
        values, vectors = lobpcg(
            LinearOperator(size, matvec=apply, dtype=float),
            begin,
            B=kron(scalar, eye_array(d)).tocsr(),
            M=LinearOperator(size, matvec=inverse, dtype=float),
            largest=False,
            maxiter=_PASSES,
        )
    moves = (vectors[:, 0].reshape(shape)[free:] ** 2).sum(axis=1)
    return Softest(float(values[0]), handshake.nodes[int(moves.argmax())])


def _curvature(handshake: Handshake) -> Callable[[Array], Array]:
    """Return what gives H v (sites in the region + nodes, d), eV/Å, of a way v (the same shape), Å."""
    extension, free, moves = handshake.extension, handshake.sites.free, handshake.moving_nodes
    shape, d = (len(extension.others), handshake.sites.dimension), handshake.sites.dimension
    elastic = handshake.counted.stiffness(handshake.displacement(handshake.initial_atoms().positions))
    still = handshake.cluster_forces(np.zeros((free + len(moves), d)))

    def curved(way: Array) -> Array:
        step = _SHIFT / float(np.abs(way).max())
        found = (still - handshake.cluster_forces(step * way)) / step
        others = np.zeros(shape)
        others[moves] = way[free:]
        field = extension.fill(others)
        found[free:] += extension.gather((elastic @ field.ravel()).reshape(field.shape))[moves]
        return np.asarray(found)

    return curved


def stability_table(handshake: Handshake) -> Table:
    """Return the smallest curvature.

    Raises:
        CaseError: it is below 0.
    """
    found = softest(handshake)
    where = "(" + ", ".join(f"{each:.4g}" for each in found.node) + ") Å"
    if not found.curvature > 0.0:
        raise CaseError(
            f"the joint is unstable at the mesh's node {where}: its energy has the curvature {found.curvature:.2g}, "
            "where a sound joint has 0.1 or more",
            todo="raise slaved_below, so that nodes among the atoms follow the others; or give no deformation at which "
            "the crystal itself is unstable",
        )
    rows = ((f"{found.curvature:.2g}", f"node at {where}"),)
    note = "of what a sound joint has, which is between about 0.1 and 1; below 0 a node among the atoms would run away"
    return Table("Smallest curvature of the joint", ("curvature / stiffness", "largest motion of nodes"), rows, note)
