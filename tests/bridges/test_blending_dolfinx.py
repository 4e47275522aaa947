"""Blended energies and a bridging domain whose continuum is DOLFINx: the numbers of the reference continuum."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from ase.io import write
from scipy.spatial import cKDTree

pytest.importorskip("dolfinx", reason="DOLFINx is not installed: conda install -c conda-forge fenics-dolfinx")

from scalespan.adapters.dolfinx import DolfinxAdapter, DolfinxOptions
from scalespan.adapters.simplex import SimplexAdapter, SimplexOptions
from scalespan.bridges.blending import BlendedEnergy, BlendingOptions
from scalespan.bridges.bridging_domain import BridgingDomain, BridgingDomainOptions

from .crystals import WANTED, PairEngine, PairLaw, ball, fcc, lengths, spacing, triangle
from .defects import LJ

MAKE = {2: triangle, 3: fcc}
UNITS = {"length": "angstrom", "time": "ase_time", "mass": "dalton"}


def continua(folder: Path, d: int, step: int, reach: float) -> tuple[SimplexAdapter, DolfinxAdapter]:
    """Return the body of every ``step``-th point of the lattice within ``reach`` cells, by NumPy and by DOLFINx."""
    crystal = MAKE[d](spacing(LJ, MAKE[d]))
    write(folder / "crystal.extxyz", crystal)
    cell = step * crystal.cell.array[:d, :d]
    steps = np.stack([each.ravel() for each in np.meshgrid(*[np.arange(-9, 10)] * d)], axis=1)
    near = np.abs(steps @ cell).max(axis=1) < reach * np.linalg.norm(cell[0]) / step
    np.savetxt(folder / "nodes.txt", steps[near] @ cell, fmt="%.17g")
    law = PairLaw(LJ, crystal)
    plain = SimplexAdapter(SimplexOptions.read({"file": "nodes.txt", "timestep": "1 fs"}, folder=folder), law=law)
    solid = {"material": "law", "fixed": [{"boundary": "all", "value": 0.0}]}
    options = DolfinxOptions.read(UNITS | {"mesh": {"points": "nodes.txt"}, "elasticity": solid}, folder=folder)
    return plain, DolfinxAdapter(options, law)


@pytest.mark.parametrize(("kind", "d", "step"), [("blending", 2, 1), ("bridging domain", 2, 2)])
def test_energies_and_forces_are_those_of_the_reference(tmp_path: Path, kind: str, d: int, step: int) -> None:
    bodies = continua(tmp_path, d, step, 8.0)
    table = {"crystal": "crystal.extxyz", "region": ball(2.5, d), "width": "2.4 angstrom", "pad": "2.8 angstrom"}
    table |= {"vacancies": [lengths(np.zeros(d))]}
    found = []
    for body in bodies:
        if kind == "blending":
            options = BlendingOptions.read(table | {"correction": "undeformed"}, folder=tmp_path)
            model = BlendedEnergy(options, atoms=PairEngine(LJ), perfect=PairEngine(LJ), continuum=body)
        else:
            options = BridgingDomainOptions.read(table, folder=tmp_path)
            model = BridgingDomain(options, atoms=PairEngine(LJ), continuum=body)
        atoms = model.initial_atoms()
        atoms.set_constraint()
        order = cKDTree(atoms.positions)
        shift = 0.02 * np.sin(3.0 * atoms.positions) * [1.0, 1.0, float(d == 3)]
        atoms.positions += shift
        answer = model.compute(atoms, WANTED)
        found.append((order, answer.energy, np.asarray(answer.forces), atoms.get_masses(), len(model.blend.present)))
    (_, energy, forces, masses, count), (tree, again, others, weights, _) = found
    assert len(forces) == len(others) > count
    assert again == pytest.approx(energy, abs=1e-10)
    # Atoms may lie on nodes: each kind has its own order.
    start = found[0][0].data
    which = np.concatenate([np.arange(count), count + cKDTree(tree.data[count:]).query(start[count:])[1]])
    assert np.abs(others[which] - forces).max() < 1e-10
    assert np.abs(weights[which] - masses).max() < 1e-10
