"""The sites of the perfect crystal: which carry free atoms, which are slaved to the continuum around them."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import product
from pathlib import Path

import numpy as np
from ase import Atoms
from ase.io import read, write
from scipy.spatial import cKDTree

from scalespan.adapters.interface import Array, AtomsError, Indices, RegionError

from .options import AtomsRegion, CrystalRegion

_ROUNDING = 1e-8  # Å: a site on the region's surface is inside


@dataclass(frozen=True)
class Sites:
    """Sites of the perfect crystal, free ones first, then the pads."""

    reference: Array  # (s, 3) Å
    numbers: Indices  # (s,)
    masses: Array  # (s,) amu
    basis: Indices  # (s,) which atom of the crystal's cell
    free: int  # how many of them are in the region
    dimension: int  # of the continuum: the crystal's periodic directions
    volume: float  # of the cell, in Å^dimension
    cell_mass: float  # amu

    @property
    def density(self) -> float:
        """The crystal's mass in amu/Å^dimension."""
        return self.cell_mass / self.volume

    @property
    def points(self) -> Array:
        """The sites (s, dimension) as points of the continuum."""
        return self.reference[:, : self.dimension]


def find_sites(options: CrystalRegion, lattice: Atoms | None = None) -> Sites:
    """Return the sites of the region, and those around it that are nearer than the pad's thickness.

    Args:
        options: with the region; their crystal goes before ``lattice``.
        lattice: the cell of the continuum's crystal.

    Raises:
        AtomsError: no crystal, or one that is not periodic along its first axes.
        RegionError: a region of another dimension, or without a site.
    """
    crystal = read_crystal(options.crystal) if options.crystal is not None else lattice
    if crystal is None:
        raise AtomsError("the continuum's material is no crystal", todo="give the handshake its 'crystal'")
    dimension = int(crystal.pbc.sum())
    low, high = _bounds(options.region, dimension)
    reach = options.pad + _ROUNDING
    places, basis = _lattice(crystal, low - reach, high + reach)
    inside = _inside(options.region, places[:, :dimension])
    if not inside.any():
        raise RegionError("no site of the crystal lies in the region", todo="enlarge it, or move it")
    distance, _ = cKDTree(places[inside]).query(places, distance_upper_bound=reach)
    order = np.concatenate([np.flatnonzero(inside), np.flatnonzero(~inside & np.isfinite(distance))])
    basis = basis[order]
    return Sites(
        reference=places[order],
        numbers=crystal.numbers[basis],
        masses=crystal.get_masses()[basis],
        basis=basis,
        free=int(inside.sum()),
        dimension=dimension,
        volume=float(np.sqrt(np.linalg.det((cell := crystal.cell.array[:dimension]) @ cell.T))),
        cell_mass=float(crystal.get_masses().sum()),
    )


def write_sites(region: CrystalRegion, file: Path) -> None:
    """Write the sites that carry free atoms, for the ``overlap`` of a continuum; ``.traj`` keeps all digits."""
    sites = find_sites(region)
    free = slice(sites.free)
    write(file, Atoms(sites.numbers[free], sites.reference[free], masses=sites.masses[free]))


def read_crystal(file: Path) -> Atoms:
    """Return the crystal's cell from a file.

    Raises:
        AtomsError: ASE cannot read it, or it is not periodic along its first axes, which lie along x, x–y or in space.
    """
    try:
        crystal = read(file)
    except Exception as error:  # ASE's readers raise anything
        raise AtomsError(f"ASE cannot read the crystal {file}: {error}") from error
    assert isinstance(crystal, Atoms), "one frame was asked for"
    periodic = crystal.pbc.tolist()
    dimension = sum(periodic)
    if dimension == 0 or not all(periodic[:dimension]):
        raise AtomsError(
            f"the crystal {file} is periodic along {periodic}, and must be so along its first axes", todo="set its pbc"
        )
    if np.abs(crystal.cell.array[:dimension, dimension:]).max(initial=0.0) > _ROUNDING:
        raise AtomsError(f"the periodic axes of the crystal {file} must lie along x, or in the plane of x and y")
    return crystal


def _bounds(region: AtomsRegion, dimension: int) -> tuple[Array, Array]:
    first = region.centre if region.centre is not None else region.low
    second = region.centre if region.centre is not None else region.high
    assert first is not None and second is not None, "the options check it"
    if len(first) != dimension or len(second) != dimension:
        raise RegionError(
            f"the region has {len(first)} coordinates, and the crystal repeats along {dimension}",
            todo="give one for each axis along which it repeats",
        )
    radius = region.radius or 0.0
    return np.asarray(first) - radius, np.asarray(second) + radius


def _lattice(crystal: Atoms, low: Array, high: Array) -> tuple[Array, Indices]:
    """Return the sites (n, 3) of all cells that touch a box, and which atom of the cell each is."""
    d = len(low)
    cell = crystal.cell.array[:d, :d]
    corners = np.array(list(product(*zip(low, high, strict=True)))) @ np.linalg.inv(cell)
    ranges = [np.arange(np.floor(a) - 1, np.ceil(b) + 2) for a, b in zip(corners.min(0), corners.max(0), strict=True)]
    shifts = np.stack([each.ravel() for each in np.meshgrid(*ranges, indexing="ij")], axis=1) @ crystal.cell.array[:d]
    places = (shifts[:, None] + crystal.positions).reshape(-1, 3)
    basis = np.tile(np.arange(len(crystal)), len(shifts))
    near = ((places[:, :d] >= low) & (places[:, :d] <= high)).all(axis=1)
    return places[near], basis[near]


def _inside(region: AtomsRegion, points: Array) -> Array:
    if region.centre is not None and region.radius is not None:
        return np.asarray(np.linalg.norm(points - np.asarray(region.centre), axis=1) <= region.radius + _ROUNDING)
    low, high = np.asarray(region.low) - _ROUNDING, np.asarray(region.high) + _ROUNDING
    return np.asarray(((points >= low) & (points <= high)).all(axis=1))


def free_atoms(options: CrystalRegion, sites: Sites) -> Atoms:
    """Return the atoms that are free at the start, undeformed: the sites in the region but the vacancies, or a file's.

    Raises:
        AtomsError: a file that ASE cannot read.
        RegionError: a vacancy that is not in the region.
    """
    if options.atoms_file is not None:
        try:
            found = read(options.atoms_file)
        except Exception as error:  # ASE's readers raise anything
            raise AtomsError(f"ASE cannot read {options.atoms_file}: {error}") from error
        assert isinstance(found, Atoms), "one frame was asked for"
        return Atoms(found.numbers, found.positions, masses=found.get_masses())
    keep = np.ones(sites.free, dtype=bool)
    tree = cKDTree(sites.points)
    for point in options.vacancies:
        if len(point) != sites.dimension:
            raise RegionError(
                f"the vacancy {point} has {len(point)} coordinates",
                todo=f"give {sites.dimension}, one for each axis along which the crystal repeats",
            )
        _, nearest = tree.query(point)
        if nearest >= sites.free or not keep[nearest]:
            raise RegionError(
                f"the site nearest to the vacancy {point} is no atom of the region",
                todo="move it inside, away from others, or enlarge the region",
            )
        keep[nearest] = False
    chosen = np.flatnonzero(keep)
    return Atoms(sites.numbers[chosen], sites.reference[chosen], masses=sites.masses[chosen])
