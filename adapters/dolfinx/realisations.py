"""Realisations of a random medium: other seeds, other sizes, by the same problem."""

from __future__ import annotations

from collections.abc import Callable

from ..interface import Array, CellAnswer, Indices, Microstructure, NotOffered
from .blocks import blocks_of
from .cell import DolfinxCell
from .domain import Domain
from .microstructures import Inclusions
from .options import DolfinxOptions, MeshOptions
from .problem import Problem


class Realisations:
    """Those of structured cells that are of one size share a mesh and its forms; they differ in their phases."""

    def __init__(self, options: DolfinxOptions, make: Callable[[Domain], Problem], flux_unit: str) -> None:
        self._options, self._make, self._unit = options, make, flux_unit
        self._known: dict[int, tuple[Domain, DolfinxCell]] = {}

    def cell(self, size: int, seed: int) -> Microstructure:
        """Return the cell of one realisation.

        Raises:
            NotOffered: the medium is not random.
            CaseError: the mesh of it cannot be made.
        """
        mesh = realised(self._options.mesh, size, seed)
        medium = mesh.checkerboard or mesh.voxels
        if medium is None:
            return self._made(mesh)[1]
        if size not in self._known:
            self._known[size] = self._made(mesh)
        domain, cell = self._known[size]
        return _OfPhases(domain, cell, blocks_of(medium).phases.ravel())

    def _made(self, mesh: MeshOptions) -> tuple[Domain, DolfinxCell]:
        domain = Domain(mesh, self._options.degree, alone=True)
        return domain, DolfinxCell(self._make(domain), domain, self._unit)


def realised(mesh: MeshOptions, size: int, seed: int) -> MeshOptions:
    """Return the options of one realisation; a size is in squares, in voxels, or in mean distances of inclusions.

    Raises:
        NotOffered: the mesh is of no random medium.
    """
    board, voxels, inclusions = mesh.checkerboard, mesh.voxels, mesh.fibres or mesh.spheres
    if board is not None and board.seed is not None:
        given = {"squares": [size] * len(board.squares), "seed": seed}
        return mesh.model_copy(update={"checkerboard": board.model_copy(update=given)})
    if voxels is not None:
        return mesh.model_copy(update={"voxels": voxels.model_copy(update={"window": size, "seed": seed})})
    if inclusions is not None and inclusions.is_random:
        key = "spheres" if mesh.fibres is None else "fibres"
        return mesh.model_copy(update={key: _more(inclusions, size, seed)})
    raise NotOffered(
        "the mesh is of no random medium, and has no realisations",
        todo='take a checkerboard with a seed, voxels, or fibres or spheres with arrangement = "random"',
    )


def _more(inclusions: Inclusions, size: int, seed: int) -> Inclusions:
    d, radius = inclusions.dimension, inclusions.reach
    apart = inclusions.edge / inclusions.count ** (1.0 / d)
    given = {"count": size**d, "edge": size * apart, "radius": radius, "fraction": None, "seed": seed}
    return inclusions.model_copy(update=given | {"size": inclusions.fine})


class _OfPhases(Microstructure):
    """A cell of one realisation; others share its mesh, so that its phases are put there before each answer."""

    def __init__(self, domain: Domain, cell: DolfinxCell, phases: Indices) -> None:
        self._domain, self._cell, self._phases = domain, cell, phases

    @property
    def points(self) -> Array:
        """Of the mesh."""
        return self._cell.points

    @property
    def slopes(self) -> Array:
        """Of the mesh."""
        return self._cell.slopes

    @property
    def volume(self) -> float:
        """Of the mesh."""
        return self._cell.volume

    @property
    def components(self) -> int:
        """Of the unknown."""
        return self._cell.components

    @property
    def flux_unit(self) -> str:
        """Of the problem."""
        return self._cell.flux_unit

    @property
    def linear(self) -> bool:
        """As the problem is."""
        return self._cell.linear

    @property
    def history(self) -> Array | None:
        """Of the problem, when the cell was made."""
        return self._cell.history

    def moduli(self) -> tuple[Array, Array] | None:
        """Of this realisation."""
        self._put()
        return self._cell.moduli()

    def answer(self, field: Array, stiffness: bool = False, history: Array | None = None) -> CellAnswer:
        """Return the answer of this realisation."""
        self._put()
        return self._cell.answer(field, stiffness, history)

    def _put(self) -> None:
        assert self._domain.phases is not None, "the medium has phases"
        self._domain.phases.set(self._phases)
