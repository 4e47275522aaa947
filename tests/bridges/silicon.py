"""Silicon for the tests of force mixing: Stillinger and Weber's outside, Tersoff's inside."""

from __future__ import annotations

import numpy as np
from ase.build import bulk
from ase.neighborlist import neighbor_list

from scalespan.adapters.ase import ASEAdapter
from scalespan.bridges.force_mixing import ForceMixing, ForceMixingOptions

from .potentials import stillinger_weber, tersoff_silicon

TERSOFF_CUTOFF = 3.0  # Å; a force reaches over two bonds, twice as far


def tersoff() -> ASEAdapter:
    return ASEAdapter.of(tersoff_silicon())


def mixing(low=None, high=None, **table) -> ForceMixing:
    """Return a force mixing around atom 0; keys of ``table`` replace the usual ones, None takes them away."""
    usual = {
        "region": {"atoms": [0]},
        "moving": {"enter": "3 angstrom", "leave": "3.5 angstrom"},
        "buffer": {"radius": "6 angstrom"},
        "ends": {"element": "none"},
    }
    chosen = {key: value for key, value in (usual | table).items() if value is not None}
    return ForceMixing(ForceMixingOptions.read(chosen), low=low or stillinger_weber(), high=high or tersoff())


def crystal(size=3, rattle=0.05, skew=None, a=5.431):
    """Return cubic cells of silicon with displaced atoms; ``skew`` (3, 3) adds whole vectors of one to another."""
    atoms = bulk("Si", a=a, cubic=True).repeat(size)
    if skew is not None:
        atoms.set_cell(np.asarray(skew) @ atoms.cell.array)  # another basis of the same lattice, if unimodular
    atoms.rattle(rattle, seed=1)
    return atoms


def site_energies(atoms):
    """Return Stillinger and Weber's energy (n,) eV of each atom: half of its pairs, all angles at it."""
    p = stillinger_weber().options
    first, lengths, along = neighbor_list("idD", atoms, p.a * p.sigma * (1.0 - 1e-9))
    r = lengths / p.sigma
    pairs = 0.5 * p.epsilon * p.A * (p.B * r**-4 - 1.0) * np.exp(1.0 / (r - p.a))
    found = np.bincount(first, pairs, len(atoms))
    for i in range(len(atoms)):
        mine = first == i
        unit, decay = along[mine] / (r[mine, None] * p.sigma), np.exp(p.gamma / (r[mine] - p.a))
        angles = p.epsilon * p.lamda * np.outer(decay, decay) * (unit @ unit.T + 1.0 / 3.0) ** 2
        found[i] += angles[np.triu_indices(mine.sum(), 1)].sum()
    return found
