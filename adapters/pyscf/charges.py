"""External charges as the SCF sees them: the nuclei's part, the electrons' part, their derivatives.

E = Σ_k q_k [Σ_A Z_A erf(R_Ak/a_k)/R_Ak − Σ_pq D_pq (p|v_k|q)], nothing among the charges
(H. M. Senn, W. Thiel, Angew. Chem. Int. Ed. 48 (2009) 1198, doi:10.1002/anie.200802019).
Atomic units throughout.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from scipy.spatial import cKDTree
from scipy.special import erf

from ..interface import Array, ExternalCharges
from ..interface.units import BOHR
from .exact import ExactField
from .far import FarField


class ChargeField:
    """The interaction of a molecule with external charges.

    Args:
        mol: the built ``pyscf.gto.Mole``.
        charges: the external charges.
        far: Å; charges further than this from every atom, and further than six of their
            radii, act on the electrons by multipoles.
    """

    def __init__(self, mol: Any, charges: ExternalCharges, far: float = np.inf) -> None:
        self.mol = mol
        self.positions = charges.positions / BOHR
        self.charges = np.asarray(charges.charges, dtype=float)
        self.radii = np.zeros(len(charges)) if charges.radii is None else charges.radii / BOHR
        distance = cKDTree(mol.atom_coords()).query(self.positions)[0]
        remote = (
            np.zeros(len(charges), dtype=bool) if far is None else distance > np.maximum(far / BOHR, 6 * self.radii)
        )
        self._near, self._far = np.flatnonzero(~remote), np.flatnonzero(remote)
        near = self._near
        self.near = ExactField(mol, self.positions[near], self.charges[near], self.radii[near])
        self.far = FarField(mol, self.positions[remote], self.charges[remote]) if remote.any() else None

    def hcore(self) -> Array:
        """Return what the charges add to the core Hamiltonian, (nao, nao) hartree."""
        near = self.near.hcore()
        return near if self.far is None else near + self.far.hcore()

    def nuclear_energy(self) -> float:
        """Return the energy of the nuclei in the charges' field, hartree."""
        return float(self._nuclear_potential() @ self.charges)

    def potential(self, density: Array) -> Array:
        """Return dE/dq of the molecule at each charge, (m,) hartree/e."""
        found = self._nuclear_potential()
        found[self._near] += self.near.potential(density)
        if self.far is not None:
            found[self._far] += self.far.potential(density)
        return found

    def gradient(self, density: Array) -> tuple[Array, Array]:
        """Return dE/dR of the interaction, at fixed density: atoms (n, 3), charges (m, 3), hartree/bohr."""
        atoms, charges = self._nuclear_gradient()
        for part, which in ((self.near, self._near), (self.far, self._far)):
            if part is not None:
                on_atoms, on_charges = part.gradient(density)
                atoms += on_atoms
                charges[which] += on_charges
        return atoms, charges

    def _nuclear_gradient(self) -> tuple[Array, Array]:
        atoms, charges = np.zeros((self.mol.natm, 3)), np.zeros_like(self.positions)
        for atom, (z, place) in enumerate(zip(self.mol.atom_charges(), self.mol.atom_coords(), strict=True)):
            apart = self.positions - place
            pull = (z * self.charges * _slope(np.linalg.norm(apart, axis=1), self.radii))[:, None] * apart
            charges += pull
            atoms[atom] -= pull.sum(axis=0)
        return atoms, charges

    def _nuclear_potential(self) -> Array:
        found = np.zeros(len(self.charges))
        for z, place in zip(self.mol.atom_charges(), self.mol.atom_coords(), strict=True):
            found += z * _kernel(np.linalg.norm(self.positions - place, axis=1), self.radii)
        return found


def _kernel(r: Array, a: Array) -> Array:
    """Return erf(r/a)/r; 1/r where a = 0, 2/(a√π) where r = 0."""
    with np.errstate(divide="ignore", invalid="ignore"):
        value = np.where(a > 0.0, erf(r / a), 1.0) / r
        centre = 2.0 / (np.sqrt(np.pi) * a)
    result: Array = np.where((r == 0.0) & (a > 0.0), centre, value)
    return result


def _slope(r: Array, a: Array) -> Array:
    """Return (1/r) d/dr of `_kernel`; its limit −4/(3√π a³) where r/a is small."""
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        x = r / a
        smeared = (2.0 / np.sqrt(np.pi) * x * np.exp(-(x**2)) - erf(x)) / r**3
        centre = -4.0 / (3.0 * np.sqrt(np.pi) * a**3) * (1.0 - 0.6 * x**2 + 3.0 / 14.0 * x**4)
        point = -1.0 / r**3
    result: Array = np.where(a > 0.0, np.where(x < 0.02, centre, smeared), point)
    return result
