"""Force mixing at rest: buffers, clusters in any cell, ends, hysteresis, the match, and what is refused."""

from __future__ import annotations

import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk, molecule

from scalespan.adapters.harmonic import HarmonicAdapter
from scalespan.adapters.interface import (
    CaseError,
    Motion,
    NotOffered,
    OptionError,
    Quantity,
    RegionError,
    ScalespanError,
)
from scalespan.adapters.interface.contract import ParticleContract
from scalespan.bridges.force_mixing import (
    BufferOptions,
    ForceMixing,
    ForceMixingOptions,
    Rescaled,
    buffer_errors,
    measure,
)
from scalespan.bridges.interface import build
from scalespan.bridges.run.results import Output
from scalespan.bridges.run.tasks import read_task

from .silicon import TERSOFF_CUTOFF, crystal, mixing, stillinger_weber, tersoff

MATCH = {"element": "Si", "structure": "diamond", "near": "5.4 angstrom"}
SKEW = [[1, 0, 0], [1, 1, 0], [-2, 1, 1]]  # the same lattice in a long and oblique basis


def forces(adapter, atoms):
    return adapter.compute(atoms, {Quantity.FORCES}).forces


class TestForceMixing(ParticleContract):
    force_tolerance = 1e-9

    def make_adapter(self):
        return mixing(buffer={"hops": 1}, net_force="remove")

    def make_atoms(self):
        return crystal(2, 0.1)

    extensive = False  # seeds are named by index
    bound = True


# ---- the buffer ----


def test_the_error_ends_at_the_reach_of_the_high_level():
    atoms, mixed = crystal(), mixing(moving=None)
    exact = forces(tersoff(), atoms)[mixed.region_of(atoms)]
    radii = [0.5, 2.6, 4.3, 2.0 * TERSOFF_CUTOFF]  # no shell, one, two (the reach of three-body forces), certain
    errors = buffer_errors(mixed, atoms, radii, exact)
    assert errors[0] > 1.0 and errors[1] > 0.1
    assert (errors[2:] < 1e-12).all()


def test_forces_are_each_levels_own():
    atoms, mixed = crystal(), mixing()
    region = mixed.region_of(atoms)
    outside = np.setdiff1d(np.arange(len(atoms)), region)
    mixed_forces = forces(mixed, atoms)
    assert len(region) == 5
    assert mixed_forces[region] == pytest.approx(forces(tersoff(), atoms)[region], abs=1e-12)
    assert np.array_equal(mixed_forces[outside], forces(stillinger_weber(), atoms)[outside])


def test_the_net_force_is_left_or_removed_from_the_region_alone():
    atoms = crystal()
    left, removed = (forces(mixing(net_force=way), atoms) for way in ("leave", "remove"))
    region = mixing().region_of(atoms)
    assert np.linalg.norm(left.sum(axis=0)) > 0.01
    assert np.linalg.norm(removed.sum(axis=0)) < 1e-12
    assert np.array_equal(np.flatnonzero((left != removed).any(axis=1)), region)
    assert (left - removed)[region] == pytest.approx(np.tile(left.sum(axis=0) / 5, (5, 1)))


def test_the_energy_is_the_low_levels_and_says_so():
    atoms = crystal()
    found = mixing().compute(atoms, {Quantity.ENERGY})
    assert found.energy == stillinger_weber().compute(atoms, {Quantity.ENERGY}).energy
    assert found.components == {"low": found.energy}
    assert not ForceMixing.conservative


# ---- the cluster ----


@pytest.mark.parametrize("hops", [1, 2])
def test_hops_follow_bonds(hops):
    cluster = mixing(buffer={"hops": hops}).cluster_of(crystal(4))
    # The shells of diamond hold 1, 4, 12, 24 atoms by bonds (10.1103/PhysRevB.33.7983); region: the first two.
    assert len(cluster.region) == 5
    assert len(cluster.members) == {1: 17, 2: 41}[hops]


@pytest.mark.parametrize("seed", [0, 13, 101])
def test_a_triclinic_cell_gives_the_cubic_ones_forces(seed):
    cubic, oblique = crystal(), crystal(skew=SKEW)
    assert not np.allclose(oblique.cell.angles(), 90.0)
    one, other = (forces(mixing(region={"atoms": [seed]}), atoms) for atoms in (cubic, oblique))
    assert other == pytest.approx(one, abs=1e-11)


def test_it_does_not_matter_in_which_image_an_atom_is_stored():
    atoms, moved = crystal(), crystal()
    moved.positions += np.random.default_rng(4).integers(-2, 3, (len(atoms), 3)) @ atoms.cell.array
    cluster = mixing().cluster_of(moved)
    assert np.ptp(cluster.places(moved)[0], axis=0).max() < 20.0
    assert forces(mixing(), moved) == pytest.approx(forces(mixing(), atoms), abs=1e-10)


def test_a_cluster_that_repeats_is_the_crystal_where_it_repeats():
    atoms = bulk("Si", a=5.431, cubic=True).repeat((3, 3, 1))
    atoms.rattle(0.05, seed=1)
    table = {"region": {"atoms": [0, 1]}, "moving": None, "along": ["c"]}
    mixed = mixing(**table)
    assert mixed.cluster_atoms(atoms, mixed.cluster_of(atoms)).pbc.tolist() == [False, False, True]
    assert forces(mixed, atoms)[:2] == pytest.approx(forces(tersoff(), atoms)[:2], abs=1e-12)


# ---- the ends ----


def test_hydrogens_close_cut_bonds_at_their_length_along_them():
    atoms = crystal()
    mixed = mixing(buffer={"hops": 1}, ends={"element": "H"})
    cluster = mixed.cluster_of(atoms)
    seen = mixed.cluster_atoms(atoms, cluster)
    at_members, at_outer = cluster.places(atoms)
    inner, ends = at_members[cluster.links.q], seen.positions[len(cluster.members) :]
    assert str(seen.symbols) == "Si17H36"
    assert np.linalg.norm(ends - inner, axis=1) == pytest.approx(1.48)  # of SiH4
    assert np.cross(ends - inner, at_outer - inner) == pytest.approx(0.0, abs=1e-12)
    assert np.linalg.norm(at_outer - inner, axis=1) == pytest.approx(2.35, abs=0.3)


def test_a_pseudo_atom_keeps_its_distance():
    mixed = mixing(buffer={"hops": 1}, ends={"element": "F", "distance": "1.6 angstrom"})
    cluster = mixed.cluster_of(crystal())
    assert cluster.element == 9 and (cluster.links.lengths == 1.6).all()


def test_an_ends_force_reaches_the_atom_that_carries_it():
    # Two springs through the end: E of the cluster depends on its inner atom directly and through the end.
    atoms = Atoms("CCCC", [[0, 0, 0], [1.5, 0.1, 0], [2.9, 0.4, 0.3], [4.4, 0.4, 0.4]])
    spring = {"atoms": [0, 2], "stiffness": "3 eV/angstrom**2", "length": "1 angstrom"}
    high = HarmonicAdapter(HarmonicAdapter.Options.read({"springs": [spring]}))
    low = HarmonicAdapter(HarmonicAdapter.Options.read({"springs": [spring]}))
    table = {"region": {"atoms": [0]}, "moving": None, "buffer": {"hops": 1}, "ends": {"element": "H"}}
    mixed = mixing(low, high, **table)

    def energy(x):
        moved = atoms.copy()
        moved.positions[0, 0] += x
        return high.compute(mixed.cluster_atoms(moved, mixed.cluster_of(moved)), {Quantity.ENERGY}).energy

    slope = (energy(1e-5) - energy(-1e-5)) / 2e-5
    assert forces(mixed, atoms)[0, 0] == pytest.approx(-slope, rel=1e-6)


@pytest.mark.parametrize(("join", "most"), [(0.4, 1), (0.5, 2)])
def test_no_atom_outside_keeps_as_many_of_its_four_bonds_as_make_it_join(join, most):
    cluster = mixing(buffer={"radius": "4.2 angstrom", "join": join}, ends=None).cluster_of(crystal(4))
    assert np.unique(cluster.links.m, return_counts=True)[1].max() == most


def test_a_metal_whose_atoms_have_many_bonds_is_carved_too():
    copper = bulk("Cu", cubic=True).repeat(4)
    table = {"moving": {"enter": "2.6 angstrom", "leave": "2.6 angstrom"}, "buffer": {"radius": "2.6 angstrom"}}
    cluster = mixing(**table).cluster_of(copper)
    # 1, 12, 6, 24, 12 atoms of fcc lie at √0, √1, √2, √3, √4 of the nearest distance, and two steps reach no others.
    assert (len(cluster.region), len(cluster.members)) == (13, 55)


def test_an_atom_with_no_other_bond_joins():
    methane = molecule("CH4") + Atoms("C", [[9, 9, 9]])
    spring = {"atoms": [0, 1], "stiffness": "3 eV/angstrom**2", "length": "1 angstrom"}
    low = HarmonicAdapter(HarmonicAdapter.Options.read({"springs": [spring]}))
    cluster = mixing(low, low, moving=None, buffer={"radius": "0.5 angstrom"}, ends=None).cluster_of(methane)
    assert cluster.members.tolist() == [0, 1, 2, 3, 4] and cluster.cuts == 0


# ---- the region ----


def test_hysteresis_keeps_atoms():
    atoms, mixed = crystal(rattle=0.0), mixing(moving={"enter": "2.5 angstrom", "leave": "3.0 angstrom"})
    first = mixed.region_of(atoms)
    mixed.remember(first)
    away = atoms.copy()
    away.positions[first[1]] += 0.15 * (away.get_distance(0, first[1], mic=True, vector=True))  # to 2.7 Å
    assert np.array_equal(mixed.region_of(away), first), "inside 'leave' it stays"
    assert first[1] not in mixing(moving={"enter": "2.5 angstrom", "leave": "3.0 angstrom"}).region_of(away)
    away.positions[first[1]] += 0.15 * (away.get_distance(0, first[1], mic=True, vector=True))  # to 3.1 Å
    assert first[1] not in mixed.region_of(away), "beyond 'leave' it goes"


# ---- the match ----


@pytest.fixture(scope="module")
def matched():
    return mixing(match=MATCH)


def test_the_match_gives_the_low_level_the_high_ones_constants(matched):
    high, low = matched.match.high, matched.match.low
    after = measure(matched.matched, matched.options.match)
    # Tersoff: a₀ 5.432005 Å, B (142.54 + 2·75.38)/3 GPa; Stillinger–Weber: 5.430950, (151.42 + 2·76.42)/3, computed
    # with matscipy 1.3.1 from J. Tersoff, doi:10.1103/PhysRevB.39.5566, and doi:10.1103/PhysRevB.31.5262.
    assert (high.a0, low.a0) == pytest.approx((5.432005, 5.430950), rel=1e-6)
    assert np.array((high.bulk_modulus, low.bulk_modulus)) * 160.21766 == pytest.approx((97.77, 101.42), abs=0.02)
    assert after.a0 == pytest.approx(high.a0, rel=1e-9)
    assert after.bulk_modulus == pytest.approx(high.bulk_modulus, rel=1e-6)


def test_scaled_forces_are_minus_the_gradient():
    scaled, atoms = Rescaled(stillinger_weber(), 1.02, 0.9), crystal(2, 0.1)
    step = np.zeros((len(atoms), 3))
    step[3] = [1e-4, 2e-4, -1e-4]
    ends = [atoms.copy() for _ in range(2)]
    for sign, end in zip((1, -1), ends, strict=True):
        end.positions += sign * step
    change = [scaled.compute(end, {Quantity.ENERGY}).energy for end in ends]
    assert np.sum(forces(scaled, atoms) * step) == pytest.approx(-(change[0] - change[1]) / 2, rel=1e-6)


# ---- what a person sees ----


def test_the_audit_shows_region_buffer_ends_and_match(matched):
    atoms = crystal()
    tables = {table.title: table for table in matched.audit(atoms)}
    rows = dict(tables["Who moves by whose forces"].rows)
    assert rows["region"].startswith("5 of 216") and rows["ends"] == "none"
    assert "not the forces' potential" in tables["What is not conserved"].note
    _, before, after = tables["Match in diamond Si"].rows
    assert float(before[2]) == pytest.approx(-1.94e-4, abs=1e-6) and abs(float(after[2])) < 1e-9
    assert float(before[4]) == pytest.approx(3.74e-2, abs=1e-4) and abs(float(after[4])) < 1e-6


def test_a_case_builds_it():
    table = {
        "use": "force_mixing",
        "region": {"atoms": [0]},
        "buffer": {"hops": 2},
        "low": {"use": "ase", "calculator": "emt"},
        "high": {"use": "ase", "calculator": "emt"},
    }
    assert isinstance(build(table, where="model"), ForceMixing)


# ---- what is refused ----


@pytest.mark.parametrize(
    ("table", "sentence"),
    [
        ({"buffer": {}}, "the buffer needs one of 'radius', 'hops'"),
        ({"buffer": {"radius": "6 angstrom", "hops": 2}}, "the buffer needs one of 'radius', 'hops'"),
        ({"buffer": {"radius": "0 angstrom"}}, "radius must be above zero"),
        ({"moving": {"enter": "4 angstrom", "leave": "3 angstrom"}}, "'leave' must not be below 'enter'"),
        ({"ends": {"element": "Hy"}}, "'Hy' is no element"),
        ({"ends": {"element": "none", "distance": "1 angstrom"}}, "'distance' needs an element"),
        ({"region": {}}, "the region needs one of 'select', 'around', 'atoms'"),
        ({"match": {"element": "Si", "structure": "wurtzite", "near": "5 angstrom"}}, "'match.structure' input should"),
        ({"interval": "10"}, "has no unit"),
    ],
)
def test_options_that_are_refused(table, sentence):
    with pytest.raises(ScalespanError, match=sentence):
        mixing(**table)


@pytest.mark.parametrize(
    ("table", "size", "sentence"),
    [
        ({"region": {"atoms": [999]}}, 2, "atom 999 does not exist"),
        ({"region": {"atoms": []}}, 2, "the region is empty"),
        ({"buffer": {"radius": "9 angstrom"}}, 3, "the cluster meets its own image along the cell vector"),
        ({"buffer": {"hops": 4}}, 2, "the cluster meets its own image along the cell vector"),
    ],
)
def test_regions_and_clusters_that_are_refused(table, size, sentence):
    with pytest.raises(RegionError, match=sentence):
        mixing(**table).cluster_of(crystal(size))


def test_levels_that_are_refused():
    options = ForceMixingOptions(region={"atoms": [0]}, buffer=BufferOptions(hops=1))
    with pytest.raises(OptionError, match="the table 'high' is missing"):
        ForceMixing(options, low=stillinger_weber())
    silent = stillinger_weber()
    silent.offers = frozenset({Quantity.ENERGY})
    with pytest.raises(NotOffered, match="gives no forces"):
        ForceMixing(options, low=silent, high=tersoff())


def test_a_high_level_that_knows_no_hydrogen_is_not_given_any():
    high = tersoff()
    high.elements = frozenset({14})
    with pytest.raises(NotOffered, match="does not know the element H that closes cut bonds"):
        forces(mixing(high=high, ends={"element": "H"}), crystal())


@pytest.mark.parametrize(
    ("near", "sentence"), [("5 angstrom", "has no minimum between"), ("7 angstrom", "has no minimum between")]
)
def test_a_match_far_from_any_crystal_is_refused(near, sentence):
    with pytest.raises(CaseError, match=sentence):
        mixing(match=MATCH | {"near": near}).compute(crystal(2), {Quantity.ENERGY})


@pytest.mark.parametrize(
    ("table", "motion", "sentence"),
    [
        ({"interval": "2.5 fs"}, {}, "the interval of 2.5 fs is no whole multiple of the timestep, 1 fs; use 2 fs"),
        ({"thermostat_margin": "3 angstrom"}, {}, "the ensemble 'nve' has no thermostat"),
        (
            {},
            {"ensemble": "nose-hoover", "temperature": "300 K", "damping_time": "20 fs"},
            "does not move in the ensemble 'nose-hoover'",
        ),
    ],
)
def test_motions_that_are_refused(table, motion, sentence):
    with pytest.raises(CaseError, match=sentence):
        mixing(**table).start(crystal(2), Motion.read({"timestep": "1 fs", **motion}))


@pytest.mark.parametrize("optimiser", ["bfgs-line-search", "geometric"])
def test_a_minimum_by_energies_is_refused(optimiser):
    task = read_task({"kind": "minimise", "fmax": "0.1 eV/angstrom", "optimiser": optimiser}, where="task")
    with pytest.raises(NotOffered, match=f"{optimiser} compares energies"):
        task.check(mixing(), crystal(2), Output())
    plain = read_task({"kind": "minimise", "fmax": "0.1 eV/angstrom"}, where="task")
    assert plain.check(mixing(), crystal(2), Output())
