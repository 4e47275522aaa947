r"""What the tangent of a cell must be: positive definite, and between Reuss's and Voigt's.

Of a cell whose local moduli c are known, as matrices,

$$\langle c^{-1} \rangle^{-1} \le C \le \langle c \rangle$$

(A. Reuss 1929, doi:10.1002/zamm.19290090104; W. Voigt 1889, doi:10.1002/andp.18892741206; R. Hill 1952,
doi:10.1088/0370-1298/65/5/307), by the cell's own quadrature, so that they hold in every digit on any mesh. Small
strains and their tangents are matrices on the symmetric gradients alone.
"""

from __future__ import annotations

import numpy as np

from scalespan.adapters.interface import Array, EngineFailed, Microstructure

_SLACK = 1e-8  # of the largest component: a digit that is lost breaks no bound
_SINGULAR = 1e-10  # of the largest component: an eigenvalue that is none
_ROTATES = 1e-9  # of the largest component: what a tangent of small strains may make of a rotation


class Soundness:
    """What the tangents of one cell are held to."""

    def __init__(self, micro: Microstructure, volume: float, definite: bool | None) -> None:
        """Take ``definite`` as the options say; ``volume`` with holes, where no stress can be uniform."""
        self._micro, self._definite = micro, definite
        self._passed: tuple[Array, Array] = np.zeros(0), np.zeros(0)
        self._whole = abs(micro.volume / volume - 1.0) < _ROTATES

    def check(self, tangent: Array, voigt: Array, gradient: Array) -> None:
        """Look at a tangent (m, d, m, d) under a mean gradient H (m, d), and at what it would be of a uniform one.

        That of a linear cell is looked at once, until its phases are others.

        Raises:
            EngineFailed: it is not positive definite, or breaks a bound.
        """
        if self._micro.linear and all(map(np.array_equal, self._passed, (tangent, voigt))):
            return
        self._look(tangent, voigt, gradient)
        self._passed = tangent, voigt

    def _look(self, tangent: Array, voigt: Array, gradient: Array) -> None:
        basis = _basis(tangent, gradient)
        matrix, upper = (basis.T @ each.reshape(2 * (tangent[0, 0].size,)) @ basis for each in (tangent, voigt))
        small = tangent.shape[0] == 1 or not _turns(tangent)
        least = float(np.linalg.eigvalsh(matrix + matrix.T).min())
        definite = least > _SINGULAR * float(np.abs(matrix).max())
        if not definite and (small if self._definite is None else self._definite):
            raise EngineFailed(
                f"the tangent is not positive definite (an eigenvalue is {0.5 * least:.3g}): the cell softens or is "
                "unstable",
                where="homogenisation",
                todo="take smaller steps or a material that hardens, or say definite = false where that is physical",
            )
        if definite and small:
            self._between(matrix, upper, basis)

    def _between(self, matrix: Array, upper: Array, basis: Array) -> None:
        slack = _SLACK * float(np.abs(upper).max())
        if (above := _least(upper - matrix)) < -slack:
            raise EngineFailed(
                f"the tangent lies above Voigt's bound by {-above:.3g}: the cell is no minimum of its energy",
                where="homogenisation",
            )
        lower = self._reuss(basis)
        if lower is not None and (below := _least(matrix - lower)) < -slack:
            raise EngineFailed(
                f"the tangent lies below Reuss's bound by {-below:.3g}: stiffness is lost that the cell's moduli have",
                where="homogenisation",
                todo="look for parts of the mesh that are not joined",
            )

    def _reuss(self, basis: Array) -> Array | None:
        """Return ⟨c⁻¹⟩⁻¹ on a basis; None where the moduli are not known, or are no positive ones."""
        local = self._micro.moduli() if self._whole else None
        if local is None:
            return None
        moduli, weights = local
        matrices = basis.T @ moduli.reshape(len(moduli), len(basis), len(basis)) @ basis
        if float(np.linalg.eigvalsh(matrices).min()) <= 0.0:
            return None
        found: Array = np.linalg.inv(np.einsum("q,qij->ij", weights / weights.sum(), np.linalg.inv(matrices)))
        return found


def _basis(tangent: Array, gradient: Array) -> Array:
    """Return the directions (m d, s), orthonormal at F = 1, in which a gradient strains: D F of symmetric D."""
    m, d = tangent.shape[:2]
    if m == 1:
        return np.eye(d)
    stretch = np.eye(d) + gradient if _turns(tangent) else np.eye(d)
    parts = []
    for i in range(d):
        for j in range(i + 1):
            symmetric = np.zeros((d, d))
            symmetric[i, j] = symmetric[j, i] = 1.0 if i == j else np.sqrt(0.5)
            parts.append((symmetric @ stretch).ravel())
    return np.array(parts).T


def _turns(tangent: Array) -> bool:
    """Say whether a tangent of solids feels rotations, which small strains do not."""
    return float(np.abs(tangent - tangent.swapaxes(2, 3)).max()) > _ROTATES * float(np.abs(tangent).max())


def _least(matrix: Array) -> float:
    return 0.5 * float(np.linalg.eigvalsh(matrix + matrix.T).min())
