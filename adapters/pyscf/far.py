"""Far charges by multipoles on the atoms: their cost is that of a few integrals, whatever their number.

For a charge beyond the molecule 1/|r−R| is a sum of regular times irregular solid harmonics,

    1/|r−R| = Σ_lm S_lm(r−R_A) I_lm(R−R_A),   I_lm(x) = 4π/(2l+1) S_lm(x)/|x|^(2l+1),   |r−R_A| < |R−R_A|

(A. J. Stone, The Theory of Intermolecular Forces, 2nd ed. 2013, Eqs. 3.3.4 and B.1.4). Each
function p of the basis is expanded about its own atom A(p), cut at l ≤ L:

    h_pq = −½(M_pq + M_qp),   M_pq = Σ_lm V^A_lm (p|S_lm|q),   V^A_lm = Σ_k q_k I_lm(R_k−R_A),
    E = −Σ_A Σ_lm V^A_lm Q^A_lm,   Q^A_lm = Σ_{p∈A,q} D_pq (p|S_lm|q).

The SCF holds this energy and the gradients below are its exact derivatives, at any L. What is
cut off falls with the distance d as (ρ/d)^(L+1), where ρ is how far the density of an atom
reaches; `estimate` gives the size of the last order that was kept. Atomic units throughout.
"""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np
from pyscf import gto, lib
from scipy.linalg import block_diag

from ..interface import Array

ORDER = 8  # L
_CHUNK = 4096  # charges whose harmonics are held at once


class FarField:
    """The potential of point charges outside a molecule, to order L about each atom.

    Args:
        mol: the built ``pyscf.gto.Mole``.
        positions: (m, 3) bohr, all of them far from every atom.
        charges: (m,) e.
        order: L.
    """

    def __init__(self, mol: Any, positions: Array, charges: Array, order: int = ORDER) -> None:
        self.mol, self.positions, self.charges, self.order = mol, positions, charges, order
        self._slices: list[list[int]] = mol.aoslice_by_atom().tolist()
        self._places = mol.atom_coords()
        self._field: Array = self._local_fields()

    def hcore(self) -> Array:
        """Return what the charges add to the core Hamiltonian, (nao, nao) hartree."""
        half = np.zeros((self.mol.nao, self.mol.nao))
        for atom, functions in self._atoms():
            half[functions] = self._integrals(atom) @ self._kept(atom)
        return -0.5 * (half + half.T)

    def potential(self, density: Array) -> Array:
        """Return the electrons' potential at each charge, (m,) hartree/e."""
        return -self._at_charges(self._moments(density)[..., None])[:, 0]

    def gradient(self, density: Array) -> tuple[Array, Array]:
        """Return ∂E/∂R of the electronic interaction on atoms (n, 3) and charges (m, 3), hartree/bohr."""
        slopes = np.einsum("al,xlk->akx", self._moments(density), _raising(self.order))  # ∇ of Σ Q I, as moments
        charges = -self.charges[:, None] * self._at_charges(slopes)
        atoms = self._basis_gradient(density) + np.einsum("akx,ak->ax", slopes, self._field)
        return atoms, charges

    def estimate(self, density: Array) -> float:
        """Return Σ_k |q_k φ_k| of the last order kept, hartree: the size of what was cut off is below it."""
        moments = self._moments(density)
        moments[:, : self.order**2] = 0.0
        return float(abs(self.charges * self._at_charges(moments[..., None])[:, 0]).sum())

    def _basis_gradient(self, density: Array) -> Array:
        """Return ∂E/∂R (n, 3) of (p|S|q) alone: functions q move against the harmonics of atom A(p)."""
        found = np.zeros((self.mol.natm, 3))
        for atom, functions in self._atoms():
            slope = self._integrals(atom, slopes=True) @ self._kept(atom)  # (3, nao, functions of the atom)
            pull = np.einsum("xqp,pq->xq", slope, density[functions])
            for other, others in self._atoms():
                found[other] += pull[:, others].sum(axis=1)
            found[atom] -= pull.sum(axis=1)
        return found

    def _moments(self, density: Array) -> Array:
        """Return Q^A_lm, (n, (L+1)²)."""
        found = np.zeros((self.mol.natm, (self.order + 1) ** 2))
        for atom, functions in self._atoms():
            found[atom] = np.einsum("pql,pq->l", self._integrals(atom), density[functions])
        return found

    def _kept(self, atom: int) -> Array:
        field: Array = self._field[atom, : (self.order + 1) ** 2]
        return field

    def _local_fields(self) -> Array:
        """Return V^A_lm to one order more, for its gradient, (n, (L+2)²)."""
        found = np.zeros((self.mol.natm, (self.order + 2) ** 2))
        for chunk in self._chunks():
            for atom, _ in self._atoms():
                found[atom] += self.charges[chunk] @ _irregular(self._from(atom, chunk), self.order + 1)
        return found

    def _at_charges(self, moments: Array) -> Array:
        """Return Σ_A Σ_lm moments[A, lm, :] I_lm(R_k−R_A), (m, last axis of moments)."""
        order = round(moments.shape[1] ** 0.5) - 1
        found = np.zeros((len(self.charges), moments.shape[2]))
        for chunk in self._chunks():
            for atom, _ in self._atoms():
                found[chunk] += _irregular(self._from(atom, chunk), order) @ moments[atom]
        return found

    def _from(self, atom: int, chunk: slice) -> Array:
        apart: Array = self.positions[chunk] - self._places[atom]
        return apart

    def _integrals(self, atom: int, slopes: bool = False) -> Array:
        """Return (p|S_lm|q), (functions of the atom, nao, (L+1)²); with slopes (∇q|S_lm|p), (3, nao, p, …)."""
        mol, harmonics = self.mol, _harmonics(self._places[atom], self.order)
        joined = gto.conc_env(mol._atm, mol._bas, mol._env, harmonics._atm, harmonics._bas, harmonics._env)
        first, last = self._slices[atom][:2]
        mine, every, centre = (first, last), (0, mol.nbas), (mol.nbas, mol.nbas + harmonics.nbas)
        name = mol._add_suffix("int3c1e_ip1" if slopes else "int3c1e")
        shells = (*every, *mine, *centre) if slopes else (*mine, *every, *centre)
        # Without libcint's optimiser: it tabulates every triple of angular momenta up to L before it starts.
        found: Array = gto.moleintor.getints3c(name, *joined, shells, 3 if slopes else 1, cintopt=lib.c_null_ptr())
        return found @ _spherical(self.order) if mol.cart else found

    def _atoms(self) -> list[tuple[int, slice]]:
        return [(a, slice(first, last)) for a, (_, _, first, last) in enumerate(self._slices) if last > first]

    def _chunks(self) -> list[slice]:
        return [slice(i, i + _CHUNK) for i in range(0, len(self.charges), _CHUNK)]


def _irregular(x: Array, order: int) -> Array:
    """Return I_lm at x (m, 3), (m, (L+1)²): S_lm is homogeneous, so I_lm(x) = 4π/(2l+1) S_lm(x/|x|²)/|x|."""
    r2 = (x**2).sum(axis=1)[:, None]
    found: Array = _harmonics(np.zeros(3), order, irregular=True).eval_gto("GTOval_sph", x / r2)
    found /= np.sqrt(r2)
    return found


@cache
def _raising(order: int) -> Array:
    """Return G with ∇I_lm = Σ_m' G_lm,m' I_l+1,m', (3, (L+1)², (L+2)²).

    The derivative of a decaying harmonic function is one of the next order: G is solved for
    from values at points, where it holds exactly.
    """
    points = np.random.default_rng(0).normal(size=(4 * (order + 2) ** 2, 3))
    points *= (0.9 + 0.2 * np.arange(len(points)) / len(points))[:, None] / np.linalg.norm(points, axis=1)[:, None]
    degree = np.repeat(np.arange(order + 1), 2 * np.arange(order + 1) + 1)
    values, *slopes = _harmonics(np.zeros(3), order, irregular=True).eval_gto("GTOval_sph_deriv1", points)
    r2 = (points**2).sum(axis=1)[:, None]
    fall = r2 ** -(degree + 0.5)
    raised = _irregular(points, order + 1)
    found = np.zeros((3, len(degree), (order + 2) ** 2))
    for axis, slope in enumerate(slopes):
        wanted = fall * (slope - (2 * degree + 1) / r2 * values * points[:, axis, None])
        for n in range(order + 1):
            mine, above = slice(n**2, (n + 1) ** 2), slice((n + 1) ** 2, (n + 2) ** 2)
            found[axis, mine, above] = np.linalg.lstsq(raised[:, above], wanted[:, mine])[0].T
    return found


@cache
def _spherical(order: int) -> Array:
    """Return the solid harmonics in Cartesian monomials, which is what libcint gives beside Cartesian functions."""
    parts = [gto.cart2sph(degree, normalized="sp") for degree in range(order + 1)]
    whole: Array = block_diag(*parts)
    return whole


def _harmonics(centre: Array, order: int, irregular: bool = False) -> Any:
    """Return a molecule whose functions are the solid harmonics r^l Y_lm about ``centre``: exponent zero."""
    mol = gto.Mole()
    start = gto.mole.PTR_ENV_START
    factors = 4.0 * np.pi / (2 * np.arange(order + 1) + 1) if irregular else np.ones(order + 1)
    mol._env = np.concatenate([np.zeros(start), centre, [0.0], factors])
    mol._atm = np.array([[0, start, 1, start + 3, 0, 0]], dtype=np.int32)
    mol._bas = np.array([[0, n, 1, 1, 0, start + 3, start + 4 + n, 0] for n in range(order + 1)], dtype=np.int32)
    mol._built = True
    return mol
