"""Exact integrals of external charges over the basis: one pass per quantity, one atom pair at a time.

A charge is the Gaussian q (π a²)^(-3/2) exp(-r²/a²), or a point for a = 0. Its potential is
q erf(r/a)/r (q/r); libcint's ``int1e_grids`` takes the exponent 1/a², one for each call, so
charges are grouped by radius. For a density D the electronic interaction is

    E = −Σ_k q_k Σ_pq D_pq (p|v_k|q),    v_k = erf(|r−R_k|/a_k)/|r−R_k|,

and one array, P_A,k = Σ_{p∈A,q} D_pq (∇p|v_k|q), gives both gradients, because a potential
that moves with its charge makes ∂/∂R_k (p|v_k|q) = (∇p|v_k|q) + (p|v_k|∇q):

    ∂E/∂R_A = 2 Σ_k q_k P_A,k,    ∂E/∂R_k = −2 q_k Σ_A P_A,k.

Integrals: Q. Sun, J. Comput. Chem. 36 (2015) 1664, doi:10.1002/jcc.23981. Everything here is
in atomic units.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from pyscf import gto
from pyscf.gto.mole import NGRIDS, PTR_EXPCUTOFF, PTR_GRIDS, PTR_RINV_ZETA

from ..interface import Array, Indices

_BUFFER = 8e6  # bytes of integrals at once: about what stays in a cache
_CHUNK = 312  # libcint's own block of grid points
_EXPONENT_CUTOFF = 40.0  # libcint leaves out pairs of primitives below exp(-40) = 4e-18; its own default is 60
_NEGLIGIBLE = 1e-15  # the largest of a pair's exp(−μR²)·|D| that is left out


@dataclass(frozen=True)
class _Block:
    """Charges of one radius, as many as one call takes."""

    which: Indices | slice  # into the field's charges
    charges: Array  # (g,)
    env: Array  # libcint's environment with the charges' places at its end


class ExactField:
    """The potential of charges, in exact integrals over the basis of ``mol``.

    Args:
        mol: the built ``pyscf.gto.Mole``.
        positions: (m, 3) bohr.
        charges: (m,) e.
        radii: (m,) bohr, zero for points.
    """

    def __init__(self, mol: Any, positions: Array, charges: Array, radii: Array) -> None:
        self.mol, self.positions, self.charges, self.radii = mol, positions, charges, radii
        self._slices: list[list[int]] = mol.aoslice_by_atom().tolist()
        self._smallest = _smallest_exponents(mol)

    def hcore(self) -> Array:
        """Return −Σ_k q_k (p|v_k|q), (nao, nao) hartree."""
        total = np.zeros((self.mol.nao, self.mol.nao))
        for a, b, block, integrals in self._pairs("int1e_grids", halved=True):
            p, q = self._functions(a), self._functions(b)
            part = -(integrals[0] @ block.charges).T
            total[p, q] += part
            if a != b:
                total[q, p] += part.T
        return total

    def potential(self, density: Array) -> Array:
        """Return the electrons' −Σ_pq D_pq (p|v_k|q) at each charge, (m,) hartree/e."""
        found = np.zeros(len(self.charges))
        for a, b, block, integrals in self._pairs("int1e_grids", density, halved=True):
            pair = density[self._functions(a), self._functions(b)]
            found[block.which] -= (1.0 if a == b else 2.0) * _contract(pair, integrals)[0]
        return found

    def gradient(self, density: Array) -> tuple[Array, Array]:
        """Return ∂E/∂R of the electronic interaction on atoms (n, 3) and charges (m, 3), hartree/bohr."""
        atoms = np.zeros((self.mol.natm, 3))
        charges = np.zeros((len(self.charges), 3))
        for a, b, block, integrals in self._pairs("int1e_grids_ip", density):
            pair = _contract(density[self._functions(a), self._functions(b)], integrals)
            atoms[a] += 2.0 * pair @ block.charges
            charges[block.which] -= 2.0 * (block.charges * pair).T
        return atoms, charges

    def _pairs(
        self, name: str, density: Array | None = None, halved: bool = False
    ) -> Iterator[tuple[int, int, _Block, Array]]:
        """Yield atoms a, b, a block, and its integrals (components, functions of b, of a, g)."""
        mol = self.mol
        name = mol._add_suffix(name)
        optimizer = gto.moleintor.make_cintopt(mol._atm, mol._bas, mol._env, name)
        components = 3 if "_ip" in name else 1
        widest = max((last - first for _, _, first, last in self._slices), default=1)
        room = max(1, int(_BUFFER / (8 * components * max(1, widest) ** 2 * _CHUNK))) * _CHUNK
        buffer = np.empty(components * widest**2 * min(room, len(self.charges)))
        ao_loc = gto.moleintor.make_loc(mol._bas, name)
        for block in self._blocks(room):
            for a, b in self._atom_pairs(density, halved):
                shells = (*self._slices[a][:2], *self._slices[b][:2])
                found = gto.moleintor.getints2c(
                    name, mol._atm, mol._bas, block.env, shells, components, 0, ao_loc, optimizer, buffer
                )
                found = found[None] if components == 1 else found
                yield a, b, block, found.transpose(0, 3, 2, 1)

    def _blocks(self, room: int) -> Iterator[_Block]:
        for radius in np.unique(self.radii):
            same = np.flatnonzero(self.radii == radius)
            for start in range(0, len(same), room):
                which = same[start : start + room]
                env = np.append(self.mol._env, self.positions[which].ravel())
                env[NGRIDS], env[PTR_GRIDS] = len(which), len(self.mol._env)
                env[PTR_EXPCUTOFF] = _EXPONENT_CUTOFF
                env[PTR_RINV_ZETA] = 1.0 / radius**2 if radius > 0.0 else 0.0
                yield _Block(which, self.charges[which], env)

    def _atom_pairs(self, density: Array | None, halved: bool) -> list[tuple[int, int]]:
        places, least = self.mol.atom_coords(), self._smallest
        with_functions = [a for a, (_, _, first, last) in enumerate(self._slices) if last > first]
        found = []
        for a in with_functions:
            for b in with_functions:
                if halved and b > a:
                    continue
                reduced = least[a] * least[b] / (least[a] + least[b])
                size = np.exp(-reduced * ((places[a] - places[b]) ** 2).sum())
                if density is not None:
                    size *= abs(density[self._functions(a), self._functions(b)]).max()
                if size > _NEGLIGIBLE:
                    found.append((a, b))
        return found

    def _functions(self, atom: int) -> slice:
        return slice(*self._slices[atom][2:])


def _contract(pair: Array, integrals: Array) -> Array:
    """Return Σ_pq D_pq of integrals (components, q, p, g): (components, g)."""
    components, _, _, points = integrals.shape
    contracted: Array = np.ascontiguousarray(pair.T).ravel() @ integrals.reshape(components, -1, points)
    return contracted


def _smallest_exponents(mol: Any) -> Array:
    least = np.full(mol.natm, np.inf)
    for shell in range(mol.nbas):
        atom = mol.bas_atom(shell)
        least[atom] = min(least[atom], mol.bas_exp(shell).min())
    return least
