"""Silicon of F. H. Stillinger and T. A. Weber, as an adapter beside its case: NumPy, and no engine.

E = Σ_{i<j} ε A (B r⁻⁴ − 1) exp(1/(r − a)) + Σ_i Σ_{j<k} ε λ (cos θ_jik + ⅓)² exp(γ/(r_ij − a) + γ/(r_ik − a)),
r in units of σ (Phys. Rev. B 31, 5262 (1985), doi:10.1103/PhysRevB.31.5262). All slopes vanish at r = a.
"""

from __future__ import annotations

import numpy as np
from ase import Atoms
from ase.neighborlist import neighbor_list
from ase.stress import full_3x3_to_voigt_6_stress

from scalespan.adapters.interface import Array, ExternalCharges, Options, ParticleAdapter, Quantity, Results

_SMALL = 200_000  # vectors: up to so many, trying all is faster than ASE's bins


class StillingerWeberOptions(Options):
    """The published numbers."""

    epsilon: float = 2.1683  # eV, of the cohesive energy of 4.3366 eV
    sigma: float = 2.0951  # Å
    A: float = 7.049556277
    B: float = 0.6022245584
    a: float = 1.80
    lamda: float = 21.0
    gamma: float = 1.20


class StillingerWeber(ParticleAdapter):
    """Pairs and triplets of silicon atoms."""

    name = "stillinger_weber"
    Options = StillingerWeberOptions
    offers = frozenset({Quantity.ENERGY, Quantity.FORCES, Quantity.STRESS})
    elements = frozenset({14})

    def __init__(self, options: StillingerWeberOptions) -> None:
        self.parameters = options

    def _compute(self, atoms: Atoms, wanted: frozenset[Quantity], charges: ExternalCharges | None) -> Results:
        p = self.parameters
        first, second, along = neighbours(atoms, p.a * p.sigma * (1.0 - 1e-9))
        energy, pull = self._pairs(along / p.sigma)
        added, more = self._triplets(first, along / p.sigma)
        pull = (pull + more) / p.sigma  # ∂E/∂(r_j − r_i) of each directed pair
        forces = np.zeros((len(atoms), 3))
        np.add.at(forces, first, pull)
        np.add.at(forces, second, -pull)
        stress = None
        if atoms.cell.rank == 3:
            stress = full_3x3_to_voigt_6_stress(along.T @ pull / atoms.get_volume())
        components = {"pairs": energy, "triplets": added}
        return Results(energy=energy + added, forces=forces, stress=stress, components=components)

    def _pairs(self, along: Array) -> tuple[float, Array]:
        p = self.parameters
        r = np.linalg.norm(along, axis=1)
        decay = np.exp(1.0 / (r - p.a))
        well = p.B * r**-4 - 1.0
        energy = 0.5 * p.epsilon * p.A * well * decay  # each pair is here twice
        slope = 0.5 * p.epsilon * p.A * decay * (-4.0 * p.B * r**-5 - well / (r - p.a) ** 2)
        return float(energy.sum()), (slope / r)[:, None] * along

    def _triplets(self, first: Array, along: Array) -> tuple[float, Array]:
        p = self.parameters
        j, k = _couples(first, int(first.max(initial=-1)) + 1)
        r = np.linalg.norm(along, axis=1)
        unit, decay = along / r[:, None], np.exp(p.gamma / (r - p.a))
        cosine = (unit[j] * unit[k]).sum(axis=1)
        weight, tilt = p.epsilon * p.lamda * decay[j] * decay[k], cosine + 1.0 / 3.0
        energy = weight * tilt**2
        pull = np.zeros_like(along)
        for one, other in ((j, k), (k, j)):
            radial = -energy * p.gamma / (r[one] - p.a) ** 2
            turn = (2.0 * weight * tilt / r[one])[:, None] * (unit[other] - cosine[:, None] * unit[one])
            np.add.at(pull, one, radial[:, None] * unit[one] + turn)
        return float(energy.sum()), pull


def neighbours(atoms: Atoms, cutoff: float) -> tuple[Array, Array, Array]:
    """Return both directions (i, j, r_j − r_i) of all pairs nearer than ``cutoff``, i ascending."""
    count, cell = len(atoms), atoms.cell.complete().array
    widths = 1.0 / np.linalg.norm(np.linalg.inv(cell), axis=0)
    # Atoms may lie outside their cell, so images are counted from the spread of their places.
    spread = np.ptp(atoms.positions @ np.linalg.inv(cell), axis=0)
    reach = np.where(atoms.pbc, np.ceil(cutoff / widths + spread), 0).astype(int)
    if count**2 * np.prod(2 * reach + 1) > _SMALL:
        return neighbor_list("ijD", atoms, cutoff)
    shifts = np.stack(np.meshgrid(*(np.arange(-n, n + 1) for n in reach), indexing="ij"), axis=-1).reshape(-1, 3)
    along = (atoms.positions[None, :] - atoms.positions[:, None])[:, :, None] + shifts @ cell
    squared = (along**2).sum(axis=-1)
    first, second, image = np.nonzero((squared < cutoff**2) & (squared > 1e-12))
    return first, second, along[first, second, image]


def _couples(first: Array, atoms: int) -> tuple[Array, Array]:
    """Return all couples (j < k) of directed pairs that leave the same atom; ``first`` is ascending."""
    counts = np.bincount(first, minlength=atoms)
    starts = np.concatenate([[0], np.cumsum(counts)])
    left, right = [np.zeros(0, dtype=int)], [np.zeros(0, dtype=int)]
    for number in np.unique(counts):
        j, k = np.triu_indices(number, 1)
        begin = starts[:-1][counts == number]
        left.append((begin[:, None] + j).ravel())
        right.append((begin[:, None] + k).ravel())
    return np.concatenate(left), np.concatenate(right)
