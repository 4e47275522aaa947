"""A handshake at a temperature: whose motion is counted where, what balances the joint, what a bath does."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from ase import units
from ase.io import write

from scalespan.adapters.elastic import ElasticAdapter, ElasticOptions
from scalespan.adapters.interface import Material, Motion, NotOffered, shape_gradients
from scalespan.adapters.simplex import SimplexAdapter, SimplexOptions
from scalespan.bridges.cauchy_born import elastic_constants, unstressed
from scalespan.bridges.handshake import Handshake, HandshakeOptions
from scalespan.bridges.handshake.layer import Layer
from scalespan.bridges.handshake.warm import counted

from .crystals import PairEngine, ball, box, chain, fs
from .warm import NEAR, kelvin, law

REST = 2.0 ** (1.0 / 6.0)
HEAT = 0.02  # k_B T / ε
BATH = {"friction": f"{1000.0 * units.fs} 1/ps", "temperature": kelvin(HEAT)}  # a friction of 1 in ASE's unit


@pytest.fixture(scope="module")
def a() -> float:
    """The chain's lattice constant at the temperature."""
    return float(unstressed(law(NEAR, REST, HEAT)).cell[0, 0])


def body(folder: Path, a: float, material: Material, coarse: float = 4.0, half: int = 7, **options) -> Handshake:
    """Return 2 × half + 1 free atoms of a chain in a line of elements, ``coarse`` lattice constants long."""
    write(folder / "crystal.extxyz", chain(a))
    table = {"crystal": "crystal.extxyz", "pad": "2 angstrom", "region": ball((half + 0.2) * a, 1)} | options
    mesh = {"timestep": "1 fs"} | box(32.0 * a, coarse * a)
    line = SimplexAdapter(SimplexOptions.read(mesh, folder=folder), law=material)
    return Handshake(HandshakeOptions.read(table, folder=folder), atoms=PairEngine(NEAR), continuum=line)


def measured(a: float) -> ElasticAdapter:
    """Return the law of the chain's measured constants at the temperature, beside that of atoms at rest."""
    constant = float(elastic_constants(law(NEAR, a, HEAT))[0, 0])
    table = {"stiffness": [[f"{constant} eV/angstrom"]], "density": f"{1.0 / a!r} dalton/angstrom"}
    return ElasticAdapter(ElasticOptions.read(table), at_rest=law(NEAR, a, None, law="quadratic"))


def tension(bonds: int, length: float) -> float:
    """Return the mean tension of a chain of a fixed length, kT ∂ ln Z/∂L, with Z the convolution of its bonds' weights.

    H. Takahashi, Proc. Phys.-Math. Soc. Japan 24, 60 (1942).
    """
    step = 1e-3
    r = np.arange(0.85, 1.55, step)
    weights = np.exp(-(NEAR(r)[0] + 1.0) / HEAT)
    found = np.ones(1)
    for _ in range(bonds):
        found = np.convolve(found, weights / weights.sum())
    place = (length - bonds * r[0]) / step
    slope = np.gradient(np.log(found[int(place) - 2 : int(place) + 4]), step)
    return -HEAT * float(np.interp(place, np.arange(int(place) - 2, int(place) + 4), slope))


def thrust(model: Handshake, pull: float) -> float:
    """Return the sum of the forces on nodes at x > 0, at rest, with the tension ``pull`` in the atoms' last bonds."""
    start = model.initial_atoms().positions
    reach = np.linspace(1.0, 1.3, 40_001)
    stretched = float(np.interp(pull, NEAR(reach[reach > 1.0])[1][:20_000], reach[reach > 1.0][:20_000]))
    start[model.free - 1, 0] = (
        model.sites.reference[model.sites.free :, 0][model.sites.reference[model.sites.free :, 0] > 0.0].min()
        - stretched
    )
    # Nodes are at rest here: only the atoms have a motion of their own.
    model.counted = counted(model.solid, model.sites, np.zeros(len(model.solid.nodes)))
    forces = np.asarray(model.fast(start).forces) + np.asarray(model.slow(start).forces)
    return float(forces[model.free :, 0][model.nodes[:, 0] > 1e-9].sum())


@pytest.mark.parametrize("material", ["quasi-harmonic", "measured"])
def test_the_mean_forces_of_moving_atoms_balance_a_law_at_their_temperature(tmp_path: Path, a, material) -> None:
    """With the exact mean tension of the chain between its pads: of 15 moving atoms in 16 bonds, 1/16 too much."""
    warm = law(NEAR, a, HEAT, law="quadratic") if material == "quasi-harmonic" else measured(a)
    static = float(NEAR(np.array([a]))[1][0])
    model = body(tmp_path, a, warm)
    pull = tension(model.free + 1, (model.free + 1) * a)
    assert pull == pytest.approx(static / 16.0, rel=0.2)
    assert abs(thrust(model, pull)) < 0.01 * static


def test_a_law_of_atoms_at_rest_pulls_the_core_apart(tmp_path: Path, a: float) -> None:
    static = float(NEAR(np.array([a]))[1][0])
    model = body(tmp_path, a, law(NEAR, a, None))
    pull = tension(model.free + 1, (model.free + 1) * a)
    assert thrust(model, pull) == pytest.approx(static - pull, rel=2e-3)


def test_each_sites_motion_is_counted_once(tmp_path: Path, a: float) -> None:
    model = body(tmp_path, a, measured(a))
    _, volumes = shape_gradients(model.solid.nodes, model.solid.cells)
    movers = model.sites.free + len(model.moving_nodes)
    assert float(model.counted.share @ volumes) == pytest.approx(movers * a, rel=1e-12)


def test_a_mesh_as_fine_as_the_lattice_is_atoms_at_rest(tmp_path: Path, a: float) -> None:
    model = body(tmp_path, a, measured(a), coarse=1.0)
    inside = np.abs(model.solid.nodes[model.solid.cells, 0]).max(axis=1) < 31.5 * a
    assert np.abs(model.counted.share[inside] - 1.0).max() < 1e-12


def test_the_patch_test_at_rest_is_that_of_one_law(tmp_path: Path, a: float) -> None:
    model = body(tmp_path, a, measured(a))
    assert np.abs(model.uniform_forces(np.array([[1.01]]))).max() < 1e-10
    model.audit(model.initial_atoms())


def test_a_law_without_temperature_is_counted_as_it_is(tmp_path: Path, a: float) -> None:
    model = body(tmp_path, a, law(NEAR, a, None))
    assert model.counted is model.solid


def test_a_law_at_a_temperature_is_refused_beside_atoms_of_another_participant(tmp_path: Path, a: float) -> None:
    write(tmp_path / "sites.traj", chain(a))
    mesh = {"timestep": "1 fs", "overlap": {"sites": "sites.traj"}} | box(32.0 * a, 4.0 * a)
    with pytest.raises(NotOffered, match="another participant"):
        SimplexAdapter(SimplexOptions.read(mesh, folder=tmp_path), law=measured(a))


def test_the_bath_leaves_the_core_alone(tmp_path: Path, a: float) -> None:
    model = body(tmp_path, a, measured(a), thermostat={"width": f"{3.5 * a} angstrom", **BATH})
    momenta = np.random.default_rng(1).standard_normal((len(model.initial_atoms()), 3))
    before = momenta.copy()
    Layer(model, 0.01).act(momenta, model.initial_atoms().get_masses()[:, None])
    changed = np.flatnonzero((momenta != before).any(axis=1))
    assert changed.tolist() == [0, 1, 2, 3, 11, 12, 13, 14]


class Columns:
    """Random numbers that are a unit vector."""

    def __init__(self, column: int) -> None:
        self.column = column

    def standard_normal(self, shape: tuple[int, ...]) -> np.ndarray:
        return (np.arange(np.prod(shape)) == self.column).astype(float).reshape(shape)


def test_the_bath_keeps_maxwells_distribution_exactly(tmp_path: Path, a: float) -> None:
    """p ← A p + N ξ keeps the covariance k_B T m of momenta where A m Aᵀ + N Nᵀ / k_B T = m."""
    model = body(tmp_path, a, measured(a), thermostat={"width": f"{4.5 * a} angstrom", **BATH})
    layer, masses = Layer(model, 0.1), model.initial_atoms().get_masses()[:, None]
    count, acted = len(masses), 10
    layer._rng = Columns(-1)
    kept, noise = np.zeros((count, count)), np.zeros((count, acted))
    for column in range(count):
        momenta = np.zeros((count, 3))
        momenta[column, 0] = 1.0
        layer.act(momenta, masses)
        kept[:, column] = momenta[:, 0]
    for column in range(acted):
        momenta = np.zeros((count, 3))
        layer._rng = Columns(column)
        layer.act(momenta, masses)
        noise[:, column] = momenta[:, 0]
    assert np.abs(noise).max() > 0.01
    found = kept @ np.diag(masses[:, 0]) @ kept.T + noise @ noise.T / HEAT
    assert np.abs(found - np.diag(masses[:, 0])).max() < 1e-9


@pytest.mark.slow
def test_a_run_finds_the_temperature_of_the_bath(tmp_path: Path, a: float) -> None:
    """13 core atoms forget their energy in about 10 units of time, so that 75 give it to √(2 / (13 × 7)) = 15 %."""
    options = {"half": 10, "continuum_step": fs(0.05), "thermostat": {"width": f"{3.5 * a} angstrom", **BATH}}
    model = body(tmp_path, a, measured(a), **options)
    atoms, rng = model.initial_atoms(), np.random.default_rng(2)
    momenta = np.zeros((len(atoms), 3))
    momenta[:, 0] = rng.standard_normal(len(atoms)) * np.sqrt(2.0 * HEAT * atoms.get_masses())
    atoms.set_momenta(momenta)
    model.start(atoms, Motion.read({"timestep": fs(0.01)}))
    core, every = [], []
    model.advance(15.0)
    for _ in range(500):
        model.advance(0.15)
        core.append(float((model.atoms.get_momenta()[4:17, 0] ** 2).mean()) / HEAT)
        every.append(model.observe().temperature * units.kB / HEAT)
    assert float(np.mean(core)) == pytest.approx(1.0, abs=0.45)
    assert float(np.mean(every)) == pytest.approx(1.0, abs=0.45)
