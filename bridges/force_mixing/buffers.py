"""How thick the buffer has to be: the region's forces against its radius."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from ase import Atoms

from scalespan.adapters.interface import Array, Quantity

from .cluster import carve
from .force_mixing import ForceMixing
from .options import BufferOptions


def forces_in_region(mixing: ForceMixing, atoms: Atoms, buffer: BufferOptions) -> Array:
    """Return the high level's forces (k, 3) eV/Å on the region, in a cluster with another buffer."""
    options = mixing.options.model_copy(update={"buffer": buffer})
    cluster = carve(atoms, mixing.region_of(atoms), options)
    found = mixing.high.compute(mixing.cluster_atoms(atoms, cluster), {Quantity.FORCES})
    assert found.forces is not None
    return cluster.forces_on_region(atoms, found.forces)


def buffer_errors(mixing: ForceMixing, atoms: Atoms, radii: Sequence[float], exact: Array) -> Array:
    """Return the longest error (r,) eV/Å of a force on the region, for each radius (Å) of the buffer.

    Args:
        mixing: gives the region, the ends and the high level.
        atoms: all atoms; at a minimum every buffer looks good, so displace them.
        radii: of the buffers to try.
        exact: (k, 3) eV/Å, forces on the region in the whole, or with the thickest buffer that can be paid for.
    """
    errors = []
    for radius in radii:
        buffer = mixing.options.buffer.model_copy(update={"radius": radius, "hops": None})
        wrong = forces_in_region(mixing, atoms, buffer) - exact
        errors.append(float(np.linalg.norm(wrong, axis=1).max()))
    return np.array(errors)
