"""Where inclusions are: on a lattice, or by random sequential addition in a periodic box.

Random sequential addition puts one after the other at a uniformly random place and takes it back where it overlaps
(B. Widom 1966, doi:10.1063/1.1726548). A place where an inclusion would just touch a side of the box is taken back
too: no mesh fills the sliver.
"""

from __future__ import annotations

from itertools import product

import numpy as np

from ..interface import Array, CaseError
from .microstructures import Inclusions

_TRIALS = 20_000  # for one inclusion
_LATTICES = {
    "square": [[0.5, 0.5]],
    "hexagonal": [[0.0, 0.0], [0.5, 0.5]],
    "cubic": [[0.5, 0.5, 0.5]],
    "bcc": [[0.0, 0.0, 0.0], [0.5, 0.5, 0.5]],
}


def centres(options: Inclusions) -> Array:
    """Return the centres (n, d) of inclusions in their box, and of those images that reach into it.

    Raises:
        CaseError: random ones that do not find their place.
    """
    box = np.array(options.box)
    placed = _random(options, box) if options.is_random else np.array(_LATTICES[options.arrangement]) * box
    shifts = np.array(list(product((-1, 0, 1), repeat=len(box)))) * box
    images = (placed[:, None] + shifts).reshape(-1, len(box))
    nearest = np.clip(images, 0.0, box)
    found: Array = images[np.linalg.norm(images - nearest, axis=1) < options.reach * (1.0 - 1e-9)]
    return found


def _random(options: Inclusions, box: Array) -> Array:
    numbers = np.random.default_rng(options.seed)
    apart = (2.0 + options.gap) * options.reach
    placed = np.zeros((0, len(box)))
    while len(placed) < options.count:
        trials = numbers.random((_TRIALS, len(box))) * box
        free = _clear_of_sides(trials, box, options)
        for other in placed:
            across = trials - other
            across -= box * np.round(across / box)
            free &= (across**2).sum(axis=1) >= apart**2
        if not free.any():
            raise CaseError(
                f"{len(placed)} of {options.count} random inclusions found a place",
                where="mesh",
                todo="take a smaller fraction or gap, or another seed",
            )
        placed = np.vstack([placed, trials[int(np.argmax(free))]])
    return placed


def _clear_of_sides(trials: Array, box: Array, options: Inclusions) -> Array:
    """Say of each trial (n,) whether it cuts every side, edge and corner of the box well, or stays well off."""
    reach, near = options.reach, options.gap * options.reach
    offsets = np.abs(trials[:, None] - box * np.array([[0.0], [1.0]]))  # (n, low or high, d)
    clear = np.ones(len(trials), dtype=bool)
    for sides in product((None, 0, 1), repeat=len(box)):
        axes = [axis for axis, side in enumerate(sides) if side is not None]
        if axes:
            away = np.sqrt(sum(offsets[:, sides[axis], axis] ** 2 for axis in axes))
            clear &= np.abs(away - reach) >= near
    return clear
