"""Which atoms are in the region, and how it moves: in at r₋, out at r₊, so that nobody comes and goes at each step.

The hysteresis is that of N. Bernstein, C. Várnai, I. Solt, S. A. Winfield, M. C. Payne, I. Simon, M. Fuxreiter and
G. Csányi 2012 (doi:10.1039/c1cp22600b).
"""

from __future__ import annotations

import numpy as np

from scalespan.adapters.interface import Indices

from .neighbourhood import Neighbourhood
from .options import MovingOptions


def follow(around: Neighbourhood, seeds: Indices, moving: MovingOptions | None, before: Indices) -> Indices:
    """Return the region (k,), ascending.

    Args:
        around: all atoms as they stand.
        seeds: the atoms that are always in.
        moving: the two radii; None: the seeds are the region.
        before: (j,) the region as it was; empty: nobody has a right to stay.
    """
    if moving is None:
        return seeds.copy()
    pairs = around.within(seeds, moving.leave)
    nearest = np.full(len(around), np.inf)
    np.minimum.at(nearest, pairs.atoms, pairs.distances)
    nearest[seeds] = 0.0
    stays = np.zeros(len(around), dtype=bool)
    stays[before] = True
    region: Indices = np.flatnonzero((nearest <= moving.enter) | (stays & (nearest <= moving.leave)))
    return region
