"""Microstructures of structured cells: laminates, checkerboards, images."""

from __future__ import annotations

from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from ..interface import Array, CaseError, EngineImport, Indices
from .microstructures import Checkerboard, Laminate, Voxels
from .versions import INSTALL

with EngineImport("dolfinx", install=INSTALL) as engine:
    from dolfinx import mesh as meshes

_GREYS = 16  # more of them are no phases


class Blocks(NamedTuple):
    """A box of blocks, each of so many cells and of one phase."""

    lines: tuple[Array, ...]  # for each axis, where the blocks begin and end, from 0
    phases: Indices  # one for each block, by its place along each axis
    cells: tuple[int, ...]  # elements across a block along each axis
    kinds: int  # of phases that the medium has

    def mesh(self, comm: Any, cell: str) -> tuple[Any, Indices]:
        """Return the mesh, and the block of each of this rank's cells, ghosts included."""
        kind = getattr(meshes.CellType, cell)
        blocks = np.array(self.phases.shape)
        create = meshes.create_rectangle if len(blocks) == 2 else meshes.create_box
        # With a block as the unit of length, so that a cell's block is where the middle of it is.
        mesh = create(comm, [0.0 * blocks, 1.0 * blocks], (blocks * self.cells).tolist(), cell_type=kind)
        number = mesh.topology.index_map(mesh.topology.dim)
        mine = np.arange(number.size_local + number.num_ghosts, dtype=np.int32)
        middles = meshes.compute_midpoints(mesh, mesh.topology.dim, mine)
        places = tuple(np.floor(middles[:, axis]).astype(np.int64) for axis in range(len(blocks)))
        for axis, lines in enumerate(self.lines):
            mesh.geometry.x[:, axis] = np.interp(mesh.geometry.x[:, axis], np.arange(len(lines)), lines)
        return mesh, np.ravel_multi_index(places, self.phases.shape)


def blocks_of(options: Laminate | Checkerboard | Voxels) -> Blocks:
    """Return the blocks that the options say.

    Raises:
        CaseError: an image that cannot be read, or has one phase.
    """
    if isinstance(options, Laminate):
        return _laminate(options)
    if isinstance(options, Checkerboard):
        shape = tuple(options.squares)
        phases = np.indices(shape).sum(axis=0) % 2
        if options.seed is not None:
            phases = (np.random.default_rng(options.seed).random(shape) < options.fraction).astype(np.int64)
        return _even(phases, options.edge, options.cells, 2)
    image = read_image(options.file)
    phases = image if options.window is None else _cut(image, options)
    return _even(phases, options.edge, options.cells, int(image.max()) + 1)


def _cut(image: Indices, options: Voxels) -> Indices:
    wide = options.window
    assert wide is not None, "it has been asked for"
    if wide > min(image.shape):
        raise CaseError(f"a window of {wide} voxels is larger than the image, {image.shape}", where=options.file.name)
    numbers = np.random.default_rng(options.seed)
    first = [int(numbers.integers(0, each - wide + 1)) for each in image.shape]
    return image[tuple(slice(each, each + wide) for each in first)]


def _even(phases: Indices, edge: float, cells: int, count: int) -> Blocks:
    lines = tuple(edge * np.arange(each + 1) for each in phases.shape)
    return Blocks(lines, phases, (cells,) * phases.ndim, count)


def _laminate(options: Laminate) -> Blocks:
    lines = [np.concatenate([[0.0], np.cumsum(options.layers)]), *(np.array([0.0, each]) for each in options.widths)]
    phases = np.array(options.phases or range(len(options.layers)), dtype=np.int64)
    shape = (-1, *(1 for _ in options.widths))
    cells = (options.across, *(options.along for _ in options.widths))
    return Blocks(tuple(lines), phases.reshape(shape), cells, int(phases.max()) + 1)


def read_image(file: Path) -> Indices:
    """Return the phase of each voxel of a file, by its place along x, y (and z).

    Raises:
        CaseError: it cannot be read, is no image, or has one phase.
    """
    try:
        found = _read(file)
    except Exception as error:  # readers of images raise anything
        raise CaseError(f"the image cannot be read: {error}", where=file.name) from error
    if found is None:
        raise CaseError("an image is a .png, a .txt or a .npy", where=file.name)
    return _phases(found, file)


def _read(file: Path) -> Array | None:
    if file.suffix == ".png":
        return _upright(_greys(file))
    if file.suffix == ".txt":
        return _upright(np.loadtxt(file, ndmin=2))
    return np.asarray(np.load(file)) if file.suffix == ".npy" else None


def _phases(found: Array, file: Path) -> Indices:
    if found.ndim not in (2, 3) or not np.array_equal(found, np.round(found)) or found.min() < 0:
        raise CaseError(
            f"an image of the shape {found.shape} with values from {found.min():g} to {found.max():g}",
            where=file.name,
            todo="give phase numbers, 0, 1, 2 …, along two axes or three",
        )
    known = np.unique(found).astype(int).tolist()
    if len(known) == 1:
        raise CaseError("the image has one phase", where=file.name, todo="a microstructure has two, or more")
    if known != list(range(len(known))):
        raise CaseError(f"phases are numbered from 0 without gaps, and are {known}", where=file.name)
    return found.astype(np.int64)


def _greys(file: Path) -> Array:
    from matplotlib.image import imread

    pixels = imread(file)
    grey = pixels if pixels.ndim == 2 else pixels[:, :, :3].mean(axis=2)
    levels, phases = np.unique(np.round(255 * grey), return_inverse=True)
    if len(levels) > _GREYS:
        raise ValueError(f"it has {len(levels)} greys; make each phase one, by a threshold")
    found: Array = phases.reshape(grey.shape)
    return found


def _upright(rows: Array) -> Array:
    """Return an image whose first row is on top by x and y."""
    return rows[::-1].T
