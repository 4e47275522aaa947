"""The smallest curvature of the joint: what is asked of the engine, beside all of H. Copper is with LAMMPS's tests."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from scipy.linalg import eigh

from scalespan.adapters.interface import Array, CaseError
from scalespan.bridges.handshake import Handshake
from scalespan.bridges.handshake.stability import softest, stability_table

from .crystals import LennardJones, ball, box, chain, handshake, spacing, triangle


def forces(model: Handshake, positions: Array) -> Array:
    return np.asarray(model.fast(positions).forces) + np.asarray(model.slow(positions).forces)


@pytest.mark.parametrize(
    ("make", "mesh", "radius"), [(chain, box(10.0, 1.1), 2.5), (triangle, box([6.0, 6.0], 3.0), 2.5)]
)
def test_the_smallest_curvature_is_that_of_the_joints_own_forces(tmp_path: Path, make, mesh, radius) -> None:
    """All of H by differences of the handshake's forces, and all eigenvalues of H v = λ P v."""
    crystal = make(spacing(LennardJones(), make))
    model = handshake(tmp_path, crystal, LennardJones(), mesh, region=ball(2.5, int(crystal.pbc.sum())))
    x, d = model.initial_atoms().positions, model.sites.dimension
    columns = []
    for number in range(len(x) * d):
        way = np.zeros_like(x)
        way[divmod(number, d)] = 1e-4
        columns.append((forces(model, x - way) - forces(model, x + way))[:, :d].ravel() / 2e-4)
    laplacian = np.kron(model.preconditioner(model.initial_atoms()).toarray(), np.eye(d))
    smallest = eigh(np.stack(columns, axis=1), laplacian, eigvals_only=True)[0]
    assert 0.1 < smallest < 0.3
    assert softest(model).curvature == pytest.approx(smallest, rel=0.02)


def test_a_crystal_beyond_its_largest_tension_is_refused(tmp_path: Path) -> None:
    """Nearest neighbours at 1.25 times their distance soften: each bond's curvature is negative, and so the joint's."""
    crystal = chain(spacing(LennardJones(), chain))
    mesh = box(10.0, 1.1)
    stretched = handshake(tmp_path, crystal, LennardJones(), mesh, region=ball(2.5, 1), deformation=[[1.25]])
    with pytest.raises(CaseError, match="give no deformation at which the crystal itself is unstable"):
        stability_table(stretched)


def test_a_body_that_nothing_holds_is_stable(tmp_path: Path) -> None:
    crystal = chain(spacing(LennardJones(), chain))
    free = handshake(tmp_path, crystal, LennardJones(), box(10.0, 1.1) | {"held": []}, region=ball(2.5, 1))
    assert softest(free).curvature > 0.01
