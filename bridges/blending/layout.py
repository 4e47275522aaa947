"""Who counts how much: β on sites and cells, and which nodes of the mesh are atoms, free, or held.

The blend has a lattice's mesh: a node where 0 < β < 1 is one of the atoms there. A cell T has the weight
v_T β, the mean of β at its corners, so that with a node at each site of the blend every site is counted once:
Σ_i (1 − β_i) Ω + Σ_T v_T β = the body's volume.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
from scipy.spatial import cKDTree

from scalespan.adapters.interface import Array, CaseError, Indices, RegionError, Solid, shape_gradients

from ..handshake import AtomsRegion, CrystalRegion, Sites, find_sites
from .options import FadeOptions

_SAME = 1e-6  # Å between an atom's place and a node's
SHAPES: dict[str, Callable[[Array], Array]] = {
    "linear": lambda x: x,
    "cubic": lambda x: x**2 * (3.0 - 2.0 * x),
    "quintic": lambda x: x**3 * (10.0 - 15.0 * x + 6.0 * x**2),
}


@dataclass(frozen=True)
class Layout:
    """The sites, the mesh, and what they share. Sites with β < 1 come first, then the pads."""

    sites: Sites
    solid: Solid  # as the continuum gives it
    fade: Array  # (s,) β of the sites
    cell_weights: Array  # (k,) mean β of each cell's corners
    at_site: Indices  # (nodes,) the free site at each node's place, −1 where there is none
    counted: Array  # (nodes,) whether the node has a cell of the energy

    @property
    def own(self) -> Indices:
        """The nodes that move freely and are no atom's place."""
        return np.flatnonzero(self.counted & (self.at_site < 0) & ~self.solid.held)

    def count(self) -> tuple[float, float]:
        """Return how many sites the body has, and how many atoms and cells count together."""
        _, volumes = shape_gradients(self.solid.nodes, self.solid.cells)
        each = self.sites.volume / (int(self.sites.basis.max()) + 1)  # of a site
        atoms = float((1.0 - self.fade[: self.sites.free]).sum())
        return float(volumes.sum()) / each, atoms + float(volumes @ self.cell_weights) / each


def find_layout(options: FadeOptions, solid: Solid, shared: bool = True) -> Layout:
    """Return the layout; where nodes and atoms are not ``shared``, the mesh may be any, and lies over the atoms.

    Raises:
        CaseError: a mesh of another dimension, or coarser than the lattice where atoms and continuum both count.
    """
    if (d := solid.nodes.shape[1]) != (of := len(options.region.centre or options.region.low or [])):
        raise CaseError(f"the mesh is {d}-dimensional, and the region {of}-dimensional")
    at_nodes = blend(options, solid.nodes)
    rim = 0.0 if shared else _longest_edge(solid, at_nodes)
    region = _widened(options.region, options.width + rim)
    # The region is not read from a table: its numbers are in Å already.
    reach = CrystalRegion.model_construct(crystal=options.crystal, region=region, pad=options.pad)
    sites = find_sites(reach, solid.lattice())
    if shared:
        fade = blend(options, sites.points)
    else:
        near = _distance(options.region, sites.points) < options.width + rim
        fade = _interpolated(solid, at_nodes, sites.points, near)
    sites, fade = _sorted(sites, fade, options.pad)
    weights = at_nodes[solid.cells].mean(axis=1)
    distance, nearest = cKDTree(sites.points[: sites.free]).query(solid.nodes)
    counted = np.zeros(len(solid.nodes), dtype=bool)
    counted[solid.cells[weights > 0.0].ravel()] = True
    if not shared:
        return Layout(sites, solid, fade, weights, np.full(len(counted), -1), counted)
    found = Layout(sites, solid, fade, weights, np.where(distance < _SAME, nearest, -1), counted)
    _check(found, at_nodes)
    return found


def blend(options: FadeOptions, points: Array) -> Array:
    """Return β (m,) at points (m, d)."""
    outside = _distance(options.region, points)
    if options.width == 0.0:
        return np.where(outside > _SAME, 1.0, 0.0)
    found: Array = SHAPES[options.shape](np.clip(outside / options.width, 0.0, 1.0))
    return np.where(outside > options.width - _SAME, 1.0, found)


def vacant(options: FadeOptions, layout: Layout) -> Array:
    """Return which of the free sites (s,) the options leave empty.

    Raises:
        RegionError: a vacancy that is not in the region, or of another dimension.
    """
    found = np.zeros(layout.sites.free, dtype=bool)
    for point in options.vacancies:
        if len(point) != layout.sites.dimension:
            raise RegionError(f"the vacancy {point} has {len(point)} coordinates, not {layout.sites.dimension}")
        _, nearest = cKDTree(layout.sites.points).query(point)
        if nearest >= layout.sites.free or found[nearest]:
            raise RegionError(f"the site nearest to the vacancy {point} is no atom of the region")
        found[nearest] = True
    return found


def _longest_edge(solid: Solid, at_nodes: Array) -> float:
    cells = solid.cells[(at_nodes[solid.cells] < 1.0).any(axis=1)]
    corners = solid.nodes[cells]
    return float(np.linalg.norm(corners[:, :, None] - corners[:, None], axis=3).max(initial=0.0))


def _interpolated(solid: Solid, at_nodes: Array, points: Array, near: Array) -> Array:
    """Return β (m,) at points as the mesh's own shape functions give it, which cells weigh by; 1 where not ``near``."""
    found = np.ones(len(points))
    found[near] = solid.interpolation(points[near]) @ at_nodes
    return np.where(found > 1.0 - _SAME, 1.0, np.where(found < _SAME, 0.0, found))


def _distance(region: AtomsRegion, points: Array) -> Array:
    """Return how far points lie outside the region: from a box along the axis where it is most."""
    if region.centre is not None and region.radius is not None:
        found: Array = np.linalg.norm(points - np.asarray(region.centre), axis=1) - region.radius
        return np.maximum(found, 0.0)
    beyond = np.maximum(np.asarray(region.low) - points, points - np.asarray(region.high)).max(axis=1)
    return np.asarray(np.maximum(beyond, 0.0))


def _widened(region: AtomsRegion, width: float) -> AtomsRegion:
    if region.centre is not None and region.radius is not None:
        return AtomsRegion.model_construct(centre=region.centre, radius=region.radius + width)
    assert region.low is not None and region.high is not None, "the options check it"
    low, high = [x - width for x in region.low], [x + width for x in region.high]
    return AtomsRegion.model_construct(low=low, high=high)


def _sorted(sites: Sites, fade: Array, pad: float) -> tuple[Sites, Array]:
    """Return the sites with those of β < 1 first, then those that they reach, and β in that order."""
    counts = fade < 1.0
    if not counts.any():
        raise RegionError("no site of the crystal lies in the region", todo="enlarge it, or move it")
    distance, _ = cKDTree(sites.reference[counts]).query(sites.reference, distance_upper_bound=pad + _SAME)
    order = np.concatenate([np.flatnonzero(counts), np.flatnonzero(~counts & np.isfinite(distance))])
    reference, numbers, masses, basis = (
        each[order] for each in (sites.reference, sites.numbers, sites.masses, sites.basis)
    )
    chosen = replace(sites, reference=reference, numbers=numbers, masses=masses, basis=basis, free=int(counts.sum()))
    return chosen, fade[order]


def _check(layout: Layout, at_nodes: Array) -> None:
    alone = layout.counted & (layout.at_site < 0) & (at_nodes < 1.0)
    if alone.any():
        raise CaseError(
            f"{int(alone.sum())} nodes of the mesh count and lie among atoms that count, but at no atom's place, "
            f"the first at {layout.solid.nodes[np.flatnonzero(alone)[0]].tolist()}",
            todo="give the mesh a node at each site of the blend",
        )
    if (layout.solid.held & (layout.at_site >= 0)).any():
        raise CaseError("a free atom lies on a held node of the mesh", todo="enlarge the mesh")
