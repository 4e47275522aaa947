"""Blended Lennard-Jones crystals: OpenMM's weighted energies, and the exact Cauchy–Born law beside them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from ase import Atoms
from ase.build import bulk
from ase.io import write
from scipy.sparse import csc_array
from scipy.sparse.linalg import splu

from scalespan.adapters.interface import Array, load_file
from scalespan.adapters.simplex import SimplexAdapter, SimplexOptions
from scalespan.bridges.blending import BlendedEnergy, BlendingOptions, find_layout
from scalespan.bridges.cauchy_born import CauchyBorn, CauchyBornOptions

from .crystals import PairLaw, lengths
from .potentials import stillinger_weber

SYSTEMS = load_file(Path(__file__).parents[1] / "adapters" / "weighted_systems.py")


class SharpLennardJones:
    """4 (r⁻¹² − r⁻⁶) up to a sharp cutoff, which no distance here crosses (ε = 1 eV, σ = 1 Å)."""

    def __init__(self, cutoff: float) -> None:
        self.cutoff = cutoff

    def __call__(self, r: Array) -> tuple[Array, Array]:
        power = r**-6
        return 4.0 * (power**2 - power), -24.0 * (2.0 * power**2 - power) / r


def blended(folder: Path, crystal: Atoms, nodes: Array, cutoff: float, **options: object) -> BlendedEnergy:
    """Return a blend of Lennard-Jones atoms with a body on ``nodes``; its engine knows how many atoms it has."""
    write(folder / "crystal.extxyz", crystal)
    np.savetxt(folder / "nodes.txt", nodes, fmt="%.17g")
    table = {"crystal": "crystal.extxyz", "pad": f"{1.2 * cutoff!r} angstrom"} | options
    settings = BlendingOptions.read(table, folder=folder)
    law = PairLaw(SharpLennardJones(cutoff), crystal)
    body = SimplexAdapter(SimplexOptions.read({"file": "nodes.txt", "timestep": "1 fs"}, folder=folder), law=law)
    sites = find_layout(settings, body.solid()).sites
    every = Atoms(sites.numbers, sites.reference, masses=sites.masses)
    there = np.ones(len(every), dtype=bool)
    for point in settings.vacancies:
        there[np.linalg.norm(sites.points - point, axis=1).argmin()] = False
    perfect = SYSTEMS.lennard_jones(every, cutoff) if settings.vacancies else None
    return BlendedEnergy(settings, atoms=SYSTEMS.lennard_jones(every[there], cutoff), perfect=perfect, continuum=body)


def chain_of(folder: Path, a: float, core: int, width: int, size: int, **options: object) -> BlendedEnergy:
    """Return a chain of 2 ``size`` + 1 sites, all of them nodes, with ``core`` atoms on each side of the middle."""
    nodes = a * np.arange(-size, size + 1.0)[:, None]
    region = {"centre": lengths([0.0]), "radius": f"{core * a!r} angstrom"}
    table = {"region": region, "width": f"{width * a!r} angstrom"} | options
    crystal = Atoms("X", cell=[a, 0, 0], pbc=[True, False, False], masses=[1.0])
    return blended(folder, crystal, nodes, 2.6, **table)


def relaxed_chain(model: BlendedEnergy) -> Array:
    """Return the positions (n,) along the chain, in its order, where all forces vanish, by Newton's method."""
    atoms = model.initial_atoms()
    order = np.argsort(atoms.positions[:, 0])

    def forces(x: Array) -> Array:
        atoms.positions[order, 0] = x
        found = model._compute(atoms, frozenset(model.offers), None).forces
        return np.asarray(found)[order, 0]

    x = atoms.positions[order, 0].copy()
    for _ in range(8):
        f = forces(x)
        if np.abs(f).max() < 1e-13:
            break
        x = x + splu(_stiffness(forces, x)).solve(f)
    return x


def _stiffness(forces, x: Array, reach: int = 2, step: float = 1e-5) -> csc_array:
    """Return −∂f/∂x of forces that reach ``reach`` neighbours, by differences, few atoms moved at once."""
    n, colours = len(x), 2 * reach + 1
    rows, columns, values = [], [], []
    for colour in range(colours):
        moved = np.arange(colour, n, colours)
        shift = np.zeros(n)
        shift[moved] = step
        slope = -(forces(x + shift) - forces(x - shift)) / (2.0 * step)
        for k in range(-reach, reach + 1):
            near = moved[(moved + k >= 0) & (moved + k < n)] + k
            rows.append(near), columns.append(near - k), values.append(slope[near])
    return csc_array((np.concatenate(values), (np.concatenate(rows), np.concatenate(columns))), shape=(n, n))


def silicon_ball(
    folder: Path, core: float, width: float, size: float, law: str = "full", **options: object
) -> BlendedEnergy:
    """Return Stillinger and Weber's silicon in a ball: its mesh has a node at each lattice point, half of the sites."""
    crystal = {"symbol": "Si", "structure": "diamond", "a": "5.43095 angstrom"}
    engine = stillinger_weber()
    material = CauchyBorn(CauchyBornOptions.read({"crystal": crystal, "law": law}), engine)
    cell = bulk("Si", a=5.43095).cell.array
    steps = np.stack([each.ravel() for each in np.meshgrid(*[np.arange(-9, 10)] * 3)], axis=1)
    nodes = steps @ cell
    np.savetxt(folder / "nodes.txt", nodes[np.linalg.norm(nodes, axis=1) < size], fmt="%.17g")
    body = SimplexAdapter(SimplexOptions.read({"file": "nodes.txt", "timestep": "1 fs"}, folder=folder), law=material)
    region = {"centre": lengths([0.0] * 3), "radius": f"{core} angstrom"}
    table = {"region": region, "width": f"{width} angstrom", "pad": "3.8 angstrom"} | options
    settings = BlendingOptions.read(table, folder=folder)
    sites = find_layout(settings, body.solid()).sites
    weighted = SYSTEMS.stillinger_weber(Atoms(sites.numbers, sites.reference, masses=sites.masses))
    return BlendedEnergy(settings, atoms=weighted, continuum=body)
