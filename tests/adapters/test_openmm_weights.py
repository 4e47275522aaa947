"""Weights of atoms' own energies: E = Σ w_i Φ_i, of pairs, of angles, of embedded atoms."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk

pytest.importorskip("openmm", reason="the energies are OpenMM's")

from scalespan.adapters.harmonic import HarmonicAdapter, HarmonicOptions
from scalespan.adapters.interface import Array, CaseError, NotOffered, ParticleAdapter, Quantity
from scalespan.adapters.interface.contract import ParticleContract
from scalespan.adapters.openmm import OpenMMAdapter

from . import test_openmm, weighted_systems

ENERGY = {Quantity.ENERGY}
WEIGHTS = np.random.default_rng(5).random(64)
MAKERS = {"silicon": weighted_systems.stillinger_weber, "copper": weighted_systems.copper}


def ball(element: str, count: int) -> Atoms:
    """Return the atoms of a crystal nearest to one of them, which comes first, off their places."""
    crystal = bulk(element, cubic=True, a={"Si": 5.430950, "Cu": 3.615}[element]) * (4, 4, 4)
    crystal.positions -= crystal.positions[
        np.linalg.norm(crystal.positions - crystal.positions.mean(0), axis=1).argmin()
    ]
    atoms = crystal[np.argsort(np.linalg.norm(crystal.positions, axis=1), kind="stable")[:count]]
    atoms.pbc = False
    return atoms


def shaken(atoms: Atoms) -> Atoms:
    atoms.rattle(0.08, seed=2)
    return atoms


class Weighted(ParticleContract):
    make: Callable[[Atoms], OpenMMAdapter]
    element: str
    bound = True

    def make_atoms(self) -> Atoms:
        return shaken(ball(self.element, 13))  # of copper, none so far apart that a step takes it over the cutoff

    def make_adapter(self) -> ParticleAdapter:
        return type(self).make(self.make_atoms()).weighted(WEIGHTS[:13])


class TestWeightedSilicon(Weighted):
    make, element = staticmethod(weighted_systems.stillinger_weber), "Si"


class TestWeightedCopper(Weighted):
    make, element = staticmethod(weighted_systems.copper), "Cu"


del Weighted  # it is no test of its own


def silicon_sites(positions: Array) -> Array:
    """Return each atom's own energy by Stillinger and Weber's formula, term by term."""
    eps, sig = 2.1683, 2.0951
    along = positions[None] - positions[:, None]
    r = np.linalg.norm(along, axis=2) + 9.0 * np.eye(len(positions))
    near = r < weighted_systems.SW_CUTOFF
    with np.errstate(divide="ignore", over="ignore"):
        tail = np.where(near, 1.0 / (r / sig - 1.8), -np.inf)
        pair = 7.049556277 * eps * (0.6022245584 * (sig / r) ** 4 - 1.0) * np.exp(tail)
    found = 0.5 * pair.sum(axis=1)
    for i in range(len(positions)):
        for j in np.flatnonzero(near[i]):
            for k in np.flatnonzero(near[i])[np.flatnonzero(near[i]) > j]:
                cosine = along[i, j] @ along[i, k] / (r[i, j] * r[i, k])
                found[i] += 21.0 * eps * (cosine + 1 / 3) ** 2 * np.exp(1.2 * (tail[i, j] + tail[i, k]))
    return found


def copper_sites(positions: Array) -> Array:
    """Return each atom's own energy by Cleri and Rosato's formula."""
    r = np.linalg.norm(positions[None] - positions[:, None], axis=2)
    near = (r < weighted_systems.COPPER_CUTOFF) & (r > 0.0)
    x = r / 2.556 - 1.0
    density = np.where(near, 1.224**2 * np.exp(-2 * 2.278 * x), 0.0).sum(axis=1)
    return np.where(near, 0.0855 * np.exp(-10.96 * x), 0.0).sum(axis=1) - np.sqrt(density)


@pytest.mark.parametrize(
    ("make", "element", "sites"),
    [(MAKERS["silicon"], "Si", silicon_sites), (MAKERS["copper"], "Cu", copper_sites)],
    ids=["silicon", "copper"],
)
def test_a_weighted_energy_is_the_sum_of_weighted_sites(
    make: Callable[[Atoms], OpenMMAdapter], element: str, sites: Callable[[Array], Array]
) -> None:
    atoms = shaken(ball(element, 30))
    adapter, own = make(atoms), sites(atoms.positions)
    assert adapter.compute(atoms, ENERGY).energy == pytest.approx(own.sum(), rel=1e-12)
    for weights in (WEIGHTS[:30], np.eye(30)[3], np.zeros(30)):
        found = adapter.weighted(weights).compute(atoms, ENERGY).energy
        assert found == pytest.approx(weights @ own, rel=1e-11, abs=1e-12)


@pytest.mark.parametrize(
    ("make", "element", "count", "energy"),
    [(MAKERS["silicon"], "Si", 29, -4.3366), (MAKERS["copper"], "Cu", 79, -3.544)],
    ids=["silicon", "copper"],
)
def test_one_site_of_the_perfect_crystal_has_its_cohesive_energy(
    make: Callable[[Atoms], OpenMMAdapter], element: str, count: int, energy: float
) -> None:
    """By the potentials' papers: silicon to the digits of its scale, copper as it was fitted to 3.544 eV (table II)."""
    atoms = ball(element, count)
    found = make(atoms).weighted(np.eye(count)[0]).compute(atoms, ENERGY).energy
    assert found == pytest.approx(energy, abs=5e-5 if element == "Si" else 5e-4)


def test_atoms_of_weight_zero_feel_only_those_that_count() -> None:
    """A neighbour of a counted atom is pulled by it, and an atom out of its reach not at all."""
    atoms = ball("Si", 64)
    results = (
        MAKERS["silicon"](atoms).weighted(np.eye(64)[0]).compute(shaken(atoms), {Quantity.ENERGY, Quantity.FORCES})
    )
    r = atoms.get_distances(0, range(64))
    assert np.abs(results.forces[r > weighted_systems.SW_CUTOFF]).max() == 0.0
    assert np.abs(results.forces[1:5]).max(axis=1).min() > 1e-3


def test_a_force_without_weights_is_refused() -> None:
    adapter = test_openmm.make({"nonbonded": "no-cutoff"})
    count = len(adapter.initial_atoms())
    with pytest.raises(NotOffered, match="has no parameter 'weight' of each particle"):
        adapter.weighted(np.ones(count))
    with pytest.raises(CaseError, match="finite weights are wanted"):
        adapter.weighted(np.ones(3))


def test_an_engine_that_answers_only_whole_clusters_says_so() -> None:
    spring = {"atoms": [0, 1], "stiffness": "2 eV/angstrom**2", "length": "1 angstrom"}
    with pytest.raises(NotOffered, match="harmonic cannot weigh"):
        HarmonicAdapter(HarmonicOptions.read({"springs": [spring]})).weighted(np.ones(2))
