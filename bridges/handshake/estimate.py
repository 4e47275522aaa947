r"""How large the error of the strains is, from a minimum itself, and how it falls with the region's size.

Of the displacement u beside the uniform deformation, three things are asked in every simplex that is no atom's:

    mesh:   ∫|G − ∇u|² (1 − (V/V_T)^(2/d)),    coupling:   ∫|(a²/24) ∇³u|²,    whole:   ∫|∇u|²

G is the gradient averaged at nodes and interpolated (O. C. Zienkiewicz and J. Z. Zhu 1987, doi:10.1002/nme.1620240206).
A simplex with one site for each (V_T = V, V = a cell's volume / (its atoms d!)) interpolates nothing, so that only the
rest of G − ∇u is the mesh's. What Cauchy–Born leaves out is of second order (X. Blanc, C. Le Bris and P.-L. Lions 2002,
doi:10.1007/s00205-002-0218-5); its size here is that of the first term by which a bond's strain differs from the
gradient in its middle, (u(x + a/2) − u(x − a/2))/a = u' + a² u'''/24 + …, with a the distance of neighbours. The
estimate is √(mesh + coupling) over the square root of all of ∫|∇u|², the atoms' part by their bonds.

The strain of a point defect falls as r^(−d), and a mesh graded with the region's radius R keeps mesh and coupling at
∥∇²u∥ beyond R, as R^(−(d+2)/2) (M. Luskin and C. Ortner 2013, doi:10.1017/S0962492913000068): the next size follows.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from ase import Atoms
from scipy.spatial import cKDTree

from scalespan.adapters.interface import Array, Chart, Table, shape_gradients

from .preconditioner import unit_springs

if TYPE_CHECKING:
    from .handshake import Handshake

_SMALL = 1e-12  # Å^(d/2): a body without strains has no error
_GOALS = (1.0, 2.0, 4.0)  # by which the error is to fall


@dataclass(frozen=True)
class StrainError:
    """The estimated error of the strains, root mean square over that of all strains beside the uniform deformation."""

    mesh: float
    coupling: float
    strain: float  # √∫|∇u|², Å^(d/2)

    @property
    def total(self) -> float:
        """Of both."""
        return float(np.hypot(self.mesh, self.coupling))


def strain_error(handshake: Handshake, atoms: Atoms) -> StrainError:
    """Return the estimate for atoms and nodes at a minimum."""
    start, solid, sites = handshake.initial_atoms(), handshake.solid, handshake.sites
    field = handshake.displacement(atoms.positions) - handshake.displacement(start.positions)
    gradients, volumes = shape_gradients(solid.nodes, solid.cells)
    weights = _not_the_atoms(handshake) * volumes
    patches = _Patches(solid.cells, gradients, weights, len(solid.nodes))
    slope = patches.slope(field)
    smooth = patches.mean(slope)
    d = sites.dimension
    site = sites.volume / len(np.unique(sites.basis))
    cubes = volumes * float(np.prod(np.arange(1, d + 1)))
    finer = np.clip(1.0 - (site / cubes) ** (2.0 / d), 0.0, 1.0)
    mesh = float(finer @ patches.distance(smooth, slope))
    third = patches.slope(patches.mean(patches.slope(smooth)))
    coupling = (_neighbours(handshake) ** 2 / 24.0) ** 2 * float(weights @ _squares(third))
    strain = float(np.sqrt(weights @ _squares(slope) + _by_bonds(handshake, atoms, start, field)))
    size = max(strain, _SMALL)
    return StrainError(np.sqrt(mesh) / size, np.sqrt(coupling) / size, strain)


def error_table(handshake: Handshake, atoms: Atoms) -> list[Table]:
    """Return the estimate, and what larger regions would do; nothing where nothing is strained."""
    found = strain_error(handshake, atoms)
    if found.strain < _SMALL:
        return []
    d, radius, power = handshake.sites.dimension, region_radius(handshake), (handshake.sites.dimension + 2.0) / 2.0
    rows = [
        ("error of the strains, of all strains beside the uniform one", f"{100 * found.total:.2g} %"),
        ("of it, by the mesh", f"{100 * found.mesh:.2g} %"),
        ("of it, by the law beyond the atoms", f"{100 * found.coupling:.2g} %"),
    ]
    for goal in _GOALS[1:]:
        larger = radius * goal ** (1.0 / power)
        count = handshake.sites.free * (larger / radius) ** d
        rows.append((f"{100 * found.total / goal:.2g} %: radius to try", f"{larger:.3g} Å, about {count:.0f} atoms"))
    grown = radius * np.linspace(1.0, 3.0, 41)
    curves = {
        "expected": Chart.points(grown, 100.0 * found.total * (grown / radius) ** -power),
        "this run": Chart.points(np.array([radius]), np.array([100.0 * found.total])),
    }
    note = (
        f"an estimate, right to a factor of two where it was tested; for a point defect it falls as the radius to the "
        f"power −{power:g}, if the mesh stays as fine up to the pads and grows with the radius beyond"
    )
    chart = Chart("radius of the region (Å)", "error of the strains (%)", curves)
    return [Table("How far the strains can be trusted", ("what", "how much"), tuple(rows), note, chart)]


def region_radius(handshake: Handshake) -> float:
    """Return the radius (Å) of the region; of a box, that of a ball as large."""
    sites = handshake.sites
    if handshake.options.region.radius is not None:
        return float(handshake.options.region.radius)
    volume = sites.free * sites.volume / len(np.unique(sites.basis))
    ball = {1: 2.0, 2: np.pi, 3: 4.0 * np.pi / 3.0}[sites.dimension]
    return float((volume / ball) ** (1.0 / sites.dimension))


class _Patches:
    """Averages at nodes of what is constant in simplices."""

    def __init__(self, cells: Array, gradients: Array, weights: Array, count: int) -> None:
        self._cells, self._gradients, self._weights = cells, gradients, weights
        self._sums = np.bincount(cells.ravel(), np.repeat(weights, cells.shape[1]), count)

    def slope(self, nodal: Array) -> Array:
        """Return the gradient (k, …, d) of a nodal field (n, …)."""
        found: Array = np.einsum("ca...,cai->c...i", nodal[self._cells], self._gradients)
        return found

    def mean(self, each: Array) -> Array:
        """Return the weighted average (n, …) at nodes of values (k, …) in simplices; 0 where none counts."""
        found = np.zeros((len(self._sums), *each.shape[1:]))
        shape = (-1, *[1] * (each.ndim - 1))
        for corner in self._cells.T:
            np.add.at(found, corner, self._weights.reshape(shape) * each)
        known = self._sums > 0.0
        found[known] /= self._sums[known].reshape(shape)
        return found

    def distance(self, nodal: Array, each: Array) -> Array:
        """Return ∫|G − g|² (k,) of G linear between nodes and g constant in simplices."""
        apart = nodal[self._cells] - each[:, None]
        corners = self._cells.shape[1]
        both = _squares(apart.reshape(-1, *each.shape[1:])).reshape(-1, corners).sum(axis=1)
        return np.asarray(self._weights * (both + _squares(apart.sum(axis=1))) / (corners * (corners + 1)))


def _squares(values: Array) -> Array:
    """Return the sum of squares (k,) of each row."""
    return np.asarray((values.reshape(len(values), -1) ** 2).sum(axis=1))


def _not_the_atoms(handshake: Handshake) -> Array:
    """Return the part of each simplex (k,) whose mass is no atom's."""
    sites, solid = handshake.sites, handshake.solid
    taken = handshake.slaved.interpolation[: sites.free].T @ sites.masses[: sites.free]
    found: Array = np.clip(1.0 - taken / solid.masses, 0.0, 1.0)[solid.cells].mean(axis=1)
    return found


def _neighbours(handshake: Handshake) -> float:
    """Return the distance of nearest neighbours, Å."""
    return float(np.median(cKDTree(handshake.sites.reference).query(handshake.sites.reference, k=2)[0][:, 1]))


def _by_bonds(handshake: Handshake, atoms: Atoms, start: Atoms, field: Array) -> float:
    """Return ∫|∇u|² of the atoms: of a uniform gradient, a site's bonds r have Σ|∇u r|² = |∇u|² Σr²/d."""
    sites, free = handshake.sites, handshake.free
    pads = slice(sites.free, None)
    places = np.concatenate([start.positions[:free], sites.reference[pads]])
    places[free:, : sites.dimension] += handshake.slaved.interpolation[pads] @ handshake.displacement(start.positions)
    moved = np.zeros_like(places)
    moved[:free] = atoms.positions[:free] - start.positions[:free]
    moved[free:, : sites.dimension] = handshake.slaved.interpolation[pads] @ field
    springs, squares = unit_springs(places, free)
    site = sites.volume / len(np.unique(sites.basis))
    return sites.dimension * site / squares * float((moved * (springs @ moved)).sum())
