"""Silicon of F. H. Stillinger and T. A. Weber (1985), doi:10.1103/PhysRevB.31.5262, in NumPy: it needs no engine.

    E = Σ_{i<j} ε A (B r⁻⁴ − 1) exp(1/(r − a)) + Σ_i Σ_{j<k} ε λ w_j w_k (cos θ_jik + ⅓)²,    w = exp(γ/(r − a))

with r in units of σ; all slopes vanish at r = a. Triplets need no list: with u the unit vectors from i to its
neighbours, T = Σ w u⊗u, V = Σ w u and S = Σ w, all sums over neighbours,

    2 Σ_{j<k} w_j w_k (u_j·u_k + ⅓)² = T:T + ⅔ V·V + S²/9 − (16/9) Σ w².
"""

from __future__ import annotations

import numpy as np
from ase import Atoms
from ase.stress import full_3x3_to_voigt_6_stress
from pydantic import Field
from scipy.sparse import csr_array
from scipy.spatial import cKDTree

from .interface import Array, ExternalCharges, Indices, Options, ParticleAdapter, Quantity, Results
from .interface.units import Energy, Length


class StillingerWeberOptions(Options):
    """The published numbers of silicon."""

    epsilon: Energy = Field(default=2.1683, gt=0)  # eV, the depth of a bond: of a cohesive energy of 4.3366 eV
    sigma: Length = Field(default=2.0951, gt=0)  # Å, the unit of length
    A: float = 7.049556277  # of pairs
    B: float = 0.6022245584  # of pairs: repulsion beside attraction
    a: float = Field(default=1.80, gt=0)  # the cut-off, in units of sigma
    lamda: float = 21.0  # of angles
    gamma: float = 1.20  # of angles: their decay


class StillingerWeberAdapter(ParticleAdapter):
    """Silicon by pairs and angles, of Stillinger and Weber."""

    name = "stillinger_weber"
    Options = StillingerWeberOptions
    offers = frozenset({Quantity.ENERGY, Quantity.FORCES, Quantity.STRESS})
    elements = frozenset({14})

    def __init__(self, options: StillingerWeberOptions) -> None:
        self.options = options

    def _compute(self, atoms: Atoms, wanted: frozenset[Quantity], charges: ExternalCharges | None) -> Results:
        p = self.options
        first, second, along = neighbours(atoms, p.a * p.sigma * (1.0 - 1e-9))
        shape, each = (len(atoms), len(first)), np.arange(len(first))
        start = csr_array((np.ones(len(first)), (first, each)), shape=shape)  # sums over each atom's neighbours
        end = csr_array((np.ones(len(first)), (second, each)), shape=shape)
        r = np.linalg.norm(along, axis=1)
        unit = along / r[:, None]
        pairs, slope = self._pairs(r / p.sigma)
        triplets, more, turn = self._triplets(r / p.sigma, unit, first, start)
        turn = (turn - (turn * unit).sum(axis=1)[:, None] * unit) / r[:, None]
        pull = ((slope + more) / p.sigma)[:, None] * unit + turn  # ∂E/∂(r_j − r_i) of each directed pair
        stress = None
        if atoms.cell.rank == 3:
            stress = full_3x3_to_voigt_6_stress(along.T @ pull / atoms.get_volume())
        components = {"pairs": pairs, "triplets": triplets}
        return Results(energy=pairs + triplets, forces=start @ pull - end @ pull, stress=stress, components=components)

    def _pairs(self, r: Array) -> tuple[float, Array]:
        """Return the energy of directed pairs, each of which counts half, and ∂E/∂r."""
        p = self.options
        decay, well = np.exp(1.0 / (r - p.a)), p.B * r**-4 - 1.0
        half = 0.5 * p.epsilon * p.A
        slope = half * decay * (-4.0 * p.B * r**-5 - well / (r - p.a) ** 2)
        return float(half * (well * decay).sum()), slope

    def _triplets(self, r: Array, unit: Array, first: Indices, start: csr_array) -> tuple[float, Array, Array]:
        """Return the energy, and ∂E/∂r and ∂E/∂u of directed pairs."""
        p = self.options
        w = np.exp(p.gamma / (r - p.a))
        outer = (unit[:, :, None] * unit[:, None, :]).reshape(-1, 9)
        sums = start @ (w[:, None] * np.hstack([outer, unit, np.ones((len(r), 1))]))
        tensor, vector, scalar = sums[:, :9], sums[:, 9:12], sums[:, 12]
        squares = (tensor**2).sum() + 2.0 / 3.0 * (vector**2).sum() + (scalar**2).sum() / 9.0
        scale = p.epsilon * p.lamda
        energy = 0.5 * scale * float(squares - 16.0 / 9.0 * (w**2).sum())
        turned = np.einsum("pij,pj->pi", tensor[first].reshape(-1, 3, 3), unit)
        by_weight = (unit * (turned + 2.0 / 3.0 * vector[first])).sum(axis=1) + scalar[first] / 9.0 - 16.0 / 9.0 * w
        by_unit = w[:, None] * (2.0 * turned + 2.0 / 3.0 * vector[first])
        return energy, -scale * p.gamma * w / (r - p.a) ** 2 * by_weight, scale * by_unit


def neighbours(atoms: Atoms, cutoff: float) -> tuple[Indices, Indices, Array]:
    """Return both directions (i, j, r_j − r_i) of all pairs nearer than ``cutoff``, images included."""
    cell, pbc = atoms.cell.complete().array, atoms.pbc
    scaled = atoms.positions @ np.linalg.inv(cell)
    scaled -= np.where(pbc, np.floor(scaled), 0.0)
    margin = cutoff * np.linalg.norm(np.linalg.inv(cell), axis=0)  # of the cell, in its own coordinates
    counts = [np.arange(-n, n + 1) for n in np.where(pbc, np.ceil(margin), 0).astype(int)]
    images = np.stack(np.meshgrid(*counts, indexing="ij"), axis=-1).reshape(-1, 1, 3) + scaled
    _, others = near = np.nonzero((~pbc | ((images > -margin) & (images < 1.0 + margin))).all(axis=2))
    places, ends = scaled @ cell, images[near] @ cell
    found = cKDTree(places).sparse_distance_matrix(cKDTree(ends), cutoff, output_type="ndarray")
    found = found[(found["i"] != others[found["j"]]) | (found["v"] > 0.0)]  # an atom is not its own neighbour
    return found["i"], others[found["j"]], ends[found["j"]] - places[found["i"]]
