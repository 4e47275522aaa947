"""Stillinger and Weber's silicon keeps the contract, and its sums over neighbours are those over pairs and triplets."""

from __future__ import annotations

from itertools import combinations, product

import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk

from scalespan.adapters.interface import Quantity
from scalespan.adapters.interface.contract import ParticleContract
from scalespan.adapters.stillinger_weber import StillingerWeberAdapter, StillingerWeberOptions

WANTED = {Quantity.ENERGY, Quantity.FORCES, Quantity.STRESS}


@pytest.fixture
def engine() -> StillingerWeberAdapter:
    return StillingerWeberAdapter(StillingerWeberOptions())


class TestStillingerWeber(ParticleContract):
    def make_adapter(self) -> StillingerWeberAdapter:
        return StillingerWeberAdapter(StillingerWeberOptions())

    def make_atoms(self) -> Atoms:
        atoms = bulk("Si", a=5.5, cubic=True)
        atoms.rattle(0.1, seed=1)
        return atoms


def by_definition(atoms: Atoms) -> float:
    """The published double and triple sum, images and all."""
    p = StillingerWeberOptions()
    reach = range(-6, 7) if atoms.pbc.all() else [0]
    places = np.concatenate([atoms.positions + np.array(n) @ atoms.cell.array for n in product(reach, repeat=3)])
    energy = 0.0
    for centre in atoms.positions:
        along = (places - centre) / p.sigma
        r = np.linalg.norm(along, axis=1)
        near = [(d / length, length) for d, length in zip(along, r, strict=True) if 0.0 < length < p.a - 1e-9]
        energy += sum(0.5 * p.epsilon * p.A * (p.B * r**-4 - 1.0) * np.exp(1.0 / (r - p.a)) for _, r in near)
        for (u, r), (v, s) in combinations(near, 2):
            decay = np.exp(p.gamma / (r - p.a) + p.gamma / (s - p.a))
            energy += p.epsilon * p.lamda * decay * (u @ v + 1.0 / 3.0) ** 2
    return float(energy)


def skewed() -> Atoms:
    """Two atoms in a cell much smaller than the cut-off, one of them outside."""
    atoms = bulk("Si", a=5.3)
    atoms.set_cell(atoms.cell.array @ [[1.0, 0.1, 0.0], [0.0, 0.95, 0.2], [0.0, 0.0, 1.1]], scale_atoms=True)
    atoms.positions[1] += 3.0 * atoms.cell.array[0] + 0.1
    return atoms


def cluster() -> Atoms:
    atoms = bulk("Si", a=5.5, cubic=True).repeat((2, 1, 1))
    atoms.pbc = False
    atoms.rattle(0.2, seed=3)
    return atoms


@pytest.mark.parametrize("make", [skewed, cluster])
def test_it_is_the_sum_over_pairs_and_triplets(engine: StillingerWeberAdapter, make) -> None:
    atoms = make()
    assert engine.compute(atoms, WANTED - {Quantity.STRESS}).energy == pytest.approx(by_definition(atoms), abs=1e-11)


def test_the_cohesive_energy_is_two_bonds(engine: StillingerWeberAdapter) -> None:
    """The potential is made so that a bond's depth is ε at r = 2^(1/6) σ, where angles are perfect."""
    crystal = bulk("Si", a=4.0 / 3.0**0.5 * 2.0 ** (1.0 / 6.0) * 2.0951)
    found = engine.compute(crystal, WANTED)
    assert found.energy / 2 == pytest.approx(-2.0 * 2.1683, abs=1e-6)
    np.testing.assert_allclose(found.stress, 0.0, atol=1e-6)
