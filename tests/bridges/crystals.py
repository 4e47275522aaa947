"""Crystals with pair forces in NumPy: an engine of clusters and its exact Cauchy–Born law, for any pair function."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from ase import Atoms
from ase.build import bulk
from ase.io import write
from scipy.spatial import cKDTree

from scalespan.adapters.interface import Array, Material, Options, ParticleAdapter, Quantity, Response, Results
from scalespan.adapters.interface.units import FEMTOSECOND
from scalespan.adapters.simplex import SimplexAdapter, SimplexOptions
from scalespan.bridges.handshake import Handshake, HandshakeOptions


class NoOptions(Options):
    pass


class LennardJones:
    """4 (r⁻¹² − r⁻⁶), switched to 0 between 2.0 and 2.5 by a quintic in r² (ε = 1 eV, σ = 1 Å)."""

    cutoff, inner = 2.5, 2.0

    def __call__(self, r: Array) -> tuple[Array, Array]:
        power = r**-6
        value, slope = 4.0 * (power**2 - power), -24.0 * (2.0 * power**2 - power) / r
        width = self.cutoff**2 - self.inner**2
        x = np.clip((r**2 - self.inner**2) / width, 0.0, 1.0)
        switch, turn = 1.0 - x**3 * (10.0 - 15.0 * x + 6.0 * x**2), -60.0 * x**2 * (1.0 - x) ** 2 * r / width
        return value * switch, slope * switch + value * turn


class Springs:
    """½ (r − 1)² between nearest neighbours at r = 1."""

    cutoff = 1.5

    def __call__(self, r: Array) -> tuple[Array, Array]:
        near = r < self.cutoff
        return np.where(near, 0.5 * (r - 1.0) ** 2, 0.0), np.where(near, r - 1.0, 0.0)


class PairEngine(ParticleAdapter):
    """A sum over pairs. Pairs are found anew when an atom has moved by half the skin."""

    name = "pairs"
    Options = NoOptions
    skin = 0.4

    def __init__(self, pair, weights: Array | None = None) -> None:
        self.pair, self.weights, self.calls = pair, weights, 0
        self._lists: dict[int, tuple[Array, Array]] = {}

    def _compute(self, atoms, wanted, charges):
        self.calls += 1
        x = atoms.positions
        i, j = self._pairs(x).T
        along = x[j] - x[i]
        r = np.linalg.norm(along, axis=1)
        value, slope = self.pair(r)
        value, slope = np.where(r < self.pair.cutoff, value, 0.0), np.where(r < self.pair.cutoff, slope, 0.0)
        if self.weights is not None:
            value, slope = (0.5 * (self.weights[i] + self.weights[j]) * each for each in (value, slope))
        pull = (slope / r)[:, None] * along
        forces = np.stack(
            [np.bincount(i, pull[:, k], len(x)) - np.bincount(j, pull[:, k], len(x)) for k in range(3)], axis=1
        )
        energy = float(value.sum())
        return Results(energy=energy, forces=forces, components={"pairs": energy})

    def weighted(self, weights):
        return PairEngine(self.pair, weights)

    def _pairs(self, x):
        known = self._lists.get(len(x))
        if known is None or np.abs(known[0] - x).max() > 0.5 * self.skin / np.sqrt(3.0):
            pairs = cKDTree(x).query_pairs(self.pair.cutoff + self.skin, output_type="ndarray")
            known = self._lists[len(x)] = (x.copy(), pairs)
        return known[1]


class PairLaw(Material):
    """The Cauchy–Born law of a Bravais lattice with pair forces: W = Σ φ(|FR|)/(2V)."""

    name = "pair_law"
    Options = NoOptions

    def __init__(self, pair, crystal: Atoms) -> None:
        d = int(crystal.pbc.sum())
        cell = crystal.cell.array[:d, :d]
        self.pair, self._dimension = pair, d
        self.volume = float(abs(np.linalg.det(cell)))
        self._density = float(crystal.get_masses().sum()) / self.volume
        reach = int(np.ceil(1.3 * pair.cutoff * np.linalg.norm(np.linalg.inv(cell), axis=0).max())) + 1
        steps = np.stack([each.ravel() for each in np.meshgrid(*[np.arange(-reach, reach + 1)] * d)], axis=1)
        vectors = steps[(steps != 0).any(axis=1)] @ cell
        self.vectors = vectors[np.linalg.norm(vectors, axis=1) < 1.3 * pair.cutoff]

    @property
    def dimension(self):
        return self._dimension

    @property
    def stress_unit(self):
        return f"eV/angstrom**{self._dimension}"

    @property
    def density(self):
        return self._density

    def _respond(self, deformation, tangent):
        bonds = np.einsum("nij,kj->nki", deformation, self.vectors)
        r = np.linalg.norm(bonds, axis=2)
        near = r < self.pair.cutoff
        value, slope = (np.where(near, each, 0.0) for each in self.pair(r))
        stress = np.einsum("nk,nki,kj->nij", 0.5 * slope / r, bonds, self.vectors, optimize=True) / self.volume
        return Response(
            0.5 * value.sum(axis=1) / self.volume, stress, self._tangent(bonds, r, slope) if tangent else None
        )

    def _tangent(self, bonds, r, slope):
        h = 1e-5
        curve = np.where(r < self.pair.cutoff, (self.pair(r + h)[1] - self.pair(r - h)[1]) / (2 * h), 0.0)
        unit = bonds / r[:, :, None]
        along = np.einsum("nk,nki,nkj->nkij", curve - slope / r, unit, unit)
        along += (slope / r)[:, :, None, None] * np.eye(self._dimension)
        pairs = np.einsum("kj,kl->kjl", self.vectors, self.vectors)
        return 0.5 * np.einsum("nkim,kjl->nijml", along, pairs) / self.volume


def spacing(pair, make) -> float:
    """Return the lattice constant at which the stress of ``make(a)`` vanishes."""
    from scipy.optimize import brentq

    def pull(a):
        law = PairLaw(pair, make(a))
        return law.respond(np.eye(law.dimension)[None]).stress[0, 0, 0]

    return float(brentq(pull, 0.95 * make.guess, 1.05 * make.guess, xtol=1e-14))


def chain(a: float) -> Atoms:
    return Atoms("X", cell=[a, 0, 0], pbc=[True, False, False], masses=[1.0])


def triangle(a: float) -> Atoms:
    return Atoms(
        "X", cell=[[a, 0, 0], [a / 2, a * np.sqrt(3) / 2, 0], [0, 0, 0]], pbc=[True, True, False], masses=[1.0]
    )


def fcc(a: float) -> Atoms:
    found = bulk("Ar", "fcc", a=a)
    found.set_masses([1.0])
    return found


chain.guess, triangle.guess, fcc.guess = 1.12, 1.11, 1.55


def handshake(folder: Path, crystal: Atoms, pair, mesh: dict, **options) -> Handshake:
    """Return atoms with pair forces in a body of simplices; lengths in Å."""
    write(folder / "crystal.extxyz", crystal)
    table = {"crystal": "crystal.extxyz", "pad": f"{pair.cutoff + 0.3} angstrom"} | options
    body = SimplexAdapter(SimplexOptions.read({"timestep": "1 fs"} | mesh, folder=folder), law=PairLaw(pair, crystal))
    return Handshake(HandshakeOptions.read(table, folder=folder), atoms=PairEngine(pair), continuum=body)


def lengths(values) -> list[str]:
    return [f"{float(value)!r} angstrom" for value in values]


def box(size, spacing: float) -> dict:
    size = np.atleast_1d(size)
    return {"low": lengths(-size), "high": lengths(size), "spacing": f"{spacing!r} angstrom"}


def ball(radius: float, dimension: int) -> dict:
    return {"centre": lengths(np.zeros(dimension)), "radius": f"{radius!r} angstrom"}


def fs(time: float) -> str:
    """Return a time in ASE's unit as text."""
    return f"{time / FEMTOSECOND!r} fs"


WANTED = frozenset({Quantity.ENERGY, Quantity.FORCES})
