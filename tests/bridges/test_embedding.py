"""Embeddings as a whole: exact limits, hosting, nesting, restart, the audit, and what is refused."""

from dataclasses import replace

import numpy as np
import pytest
from ase import Atoms
from ase.build import fcc111, molecule

from scalespan.adapters.interface import (
    ADAPTERS,
    AtomsError,
    CaseError,
    ExternalCharges,
    Motion,
    NotOffered,
    OptionError,
    ParticleAdapter,
    Quantity,
    TermCount,
)
from scalespan.adapters.interface.contract import ParticleContract
from scalespan.bridges.embedding import Embedding, EmbeddingOptions
from scalespan.bridges.interface import build

from .standins import Molecule, Springs, ethanol, ethanol_in_water, topology_of

REGION = {"atoms": [4, 5, 6, 7, 8]}
WANTED = {Quantity.ENERGY, Quantity.FORCES}
TRICLINIC = [[15.0, 0.0, 0.0], [3.5, 14.0, 0.0], [-4.0, 5.0, 14.5]]


def embedding(low=None, high=None, model=None, **table) -> Embedding:
    options = EmbeddingOptions.read({"region": REGION, **table})
    return Embedding(options, low=low or ethanol(), high=high or Molecule(), model=model)


def ase(calculator, **keywords):
    find = ADAPTERS.find("ase")
    return find(find.Options.read({"calculator": calculator, "keywords": keywords}))


class TestEmbedding(ParticleContract):
    """Electrostatic embedding in a force field, hosted by it."""

    bound = True

    def make_adapter(self):
        return embedding()

    def make_atoms(self):
        atoms = ethanol().initial_atoms()
        atoms.rattle(0.05, seed=2)
        return atoms


class TestEmbeddingInABox(TestEmbedding):
    """With charges that fade, in a triclinic box."""

    def make_adapter(self):
        charges = {"cutoff": "4.5 angstrom", "switch": "2 angstrom"}
        return embedding(ethanol_in_water(TRICLINIC), charges=charges)

    def make_atoms(self):
        return ethanol_in_water(TRICLINIC).initial_atoms()


class TestCapped(ParticleContract):
    """ONIOM of two adapters that take any atoms, driven by ASE."""

    bound = True

    def make_adapter(self):
        return embedding(low=Molecule(), high=Molecule({1: 0.2, 6: 0.1, 8: -0.5}), embedding="mechanical")

    def make_atoms(self):
        atoms = ethanol().initial_atoms()
        atoms.rattle(0.05, seed=2)
        return atoms

    def make_charges(self):
        where, q = np.array([[4.0, 1.0, 2.0], [-3.0, -4.0, 1.0]]), np.array([0.4, -0.7])
        return [ExternalCharges(where, q), ExternalCharges(where, q, np.array([0.5, 1.2]))]


# Limits that are exact


def test_the_same_level_twice_is_that_level():
    """Subtractive and capped, E_low − E_low(capped) + E_low(capped): the plain engine, cut bond or not."""
    emt = ase("emt")
    slab = fcc111("Cu", (3, 3, 3), vacuum=6.0)
    slab.rattle(0.1, seed=1)
    slab.pbc = False
    # copper atoms are bonded to each other, and their bonds must not be cut: take all of them
    model = embedding(low=emt, high=ase("emt"), region={"atoms": list(range(27))}, embedding="mechanical")
    plain, joined = emt.compute(slab, WANTED), model.compute(slab, WANTED)
    assert joined.energy == pytest.approx(plain.energy, abs=1e-10)
    assert joined.forces == pytest.approx(plain.forces, abs=1e-10)


@pytest.mark.parametrize("links", ["fixed", "scaled"])
def test_xtb_in_xtb_is_xtb(links):
    """Ethanol cut at C–C, GFN2-xTB on both sides (Bannwarth et al., doi:10.1021/acs.jctc.8b01176)."""
    pytest.importorskip("tblite")
    atoms = molecule("CH3CH2OH")
    heavy = np.flatnonzero(atoms.numbers == 6)
    distances = atoms.get_all_distances()
    methyl = heavy[0] if distances[heavy[0], atoms.numbers == 8].min() > 2.0 else heavy[1]
    outside = {int(methyl), *np.flatnonzero((distances[methyl] < 1.2) & (atoms.numbers == 1)).tolist()}
    region = [i for i in range(len(atoms)) if i not in outside]
    plain = ase("tblite", method="GFN2-xTB", accuracy=0.01)
    table = {"region": {"atoms": region}, "embedding": "mechanical", "links": {"kind": links}}
    model = embedding(low=plain, high=ase("tblite", method="GFN2-xTB", accuracy=0.01), **table)
    expected, found = plain.compute(atoms, WANTED), model.compute(atoms, WANTED)
    assert found.energy == pytest.approx(expected.energy, abs=1e-10)
    assert found.forces == pytest.approx(expected.forces, abs=1e-9)


def test_everything_in_the_region_is_the_high_level():
    low, high = ethanol(), Molecule()
    atoms = low.initial_atoms()
    for kind in ("mechanical", "electrostatic"):
        found = embedding(low, high, region={"atoms": list(range(9))}, embedding=kind).compute(atoms, WANTED)
        expected = high.compute(atoms, WANTED)
        assert found.energy == pytest.approx(expected.energy, abs=1e-10)
        assert found.forces == pytest.approx(expected.forces, abs=1e-10)


def without_charges(field: Springs) -> Springs:
    return Springs(replace(field.topology, charges=np.zeros(len(field.topology))), field.initial_atoms())


def test_without_charges_electrostatic_is_mechanical():
    """q → 0."""
    low = without_charges(ethanol())
    atoms = low.initial_atoms()
    found = [embedding(low, embedding=kind).compute(atoms, WANTED) for kind in ("mechanical", "electrostatic")]
    assert found[0].energy == pytest.approx(found[1].energy, abs=1e-12)
    assert found[0].forces == pytest.approx(found[1].forces, abs=1e-12)


def test_gaussians_become_points_and_then_nothing():
    """Radius → 0: points. Radius → ∞: no field at all."""
    low = ethanol()
    atoms = low.initial_atoms()

    def high_energy(**charges):
        return embedding(low, charges=charges).compute(atoms, WANTED).components["high"]

    assert high_energy(gaussian_radius="1e-6 angstrom") == pytest.approx(high_energy(), abs=1e-10)
    alone = embedding(low, embedding="mechanical").compute(atoms, WANTED).components["high"]
    assert high_energy(gaussian_radius="1e12 angstrom") == pytest.approx(alone, abs=1e-9)


# Three layers


def three_layers(kind="electrostatic"):
    """CH2OH in ethanol: OH at the highest level, CH2OH with its hydrogen at the middle one, the rest below."""
    middle = Molecule({1: 0.1, 6: 0.05, 8: -0.4})
    inner = Embedding(
        EmbeddingOptions.read({"region": {"atoms": [3, 4]}, "embedding": "mechanical"}), low=middle, high=Molecule()
    )
    return embedding(high=inner, embedding=kind)


@pytest.mark.parametrize("kind", ["mechanical", "electrostatic"])
def test_three_layers_have_a_gradient(kind):
    """The inner embedding is the outer one's high level; the outer charges act on all its levels."""
    model, atoms = three_layers(kind), ethanol().initial_atoms()
    atoms.rattle(0.05, seed=4)
    forces = model.compute(atoms, WANTED).forces
    along = np.random.default_rng(0).normal(size=forces.shape)

    def energy(shift):
        moved = atoms.copy()
        moved.positions += shift * along
        return model.compute(moved, {Quantity.ENERGY}).energy

    h = 1e-3
    slope = (8 * (energy(h) - energy(-h)) - energy(2 * h) + energy(-2 * h)) / (12 * h)
    assert slope == pytest.approx(-np.sum(forces * along), abs=1e-7)


# Motion


def started(model, atoms, ensemble="nve"):
    table = {"timestep": "0.5 fs", "ensemble": ensemble, "seed": 3}
    if ensemble == "langevin":
        table |= {"temperature": "300 K", "friction": "10 / ps"}
    atoms.set_momenta(np.random.default_rng(1).normal(scale=0.3, size=(len(atoms), 3)))
    motion = Motion.read(table)
    model.start(atoms, motion)
    return motion.timestep


def test_a_hosted_run_and_one_driven_by_ase_are_one_trajectory():
    """50 steps inside the force field's integrator, and 50 by ASE's velocity Verlet."""
    hosted, driven = embedding(), embedding()
    atoms = ethanol().initial_atoms()
    dt = started(hosted, atoms)
    ParticleAdapter.start(driven, atoms, Motion.read({"timestep": "0.5 fs"}))
    for _ in range(50):
        hosted.advance(dt)
        driven.advance(dt)
    assert hosted.atoms.positions == pytest.approx(driven.atoms.positions, abs=1e-9)


def test_one_high_level_call_per_step_however_often_energies_are_read():
    model = embedding()
    dt = started(model, ethanol().initial_atoms())
    model.observe()
    before = len(model.high.calls)
    for _ in range(10):
        model.advance(dt)
        model.observe()
        model.observe()
    assert len(model.high.calls) - before == 10


def test_an_observation_has_the_levels_as_components():
    model = embedding()
    dt = started(model, ethanol().initial_atoms())
    model.advance(dt)
    seen = model.observe()
    expected = model.compute(model.atoms, {Quantity.ENERGY})
    assert seen.components.keys() == {"low", "high"}
    assert seen.components["high"] == pytest.approx(expected.components["high"], abs=1e-9)
    assert seen.potential == pytest.approx(sum(seen.components.values()))


def test_the_region_of_guessed_bonds_survives_a_restart():
    """A saved run keeps the cuts that it began with, also if the atoms now look bonded otherwise."""

    def model():
        return embedding(low=Molecule(), embedding="mechanical")

    first, second = model(), model()
    atoms = ethanol().initial_atoms()
    dt = started(first, atoms, "langevin")
    first.advance(dt)
    state = first.save()
    apart = atoms.copy()
    apart.positions[:4] -= [3.0, 0.0, 0.0]
    started(second, apart, "langevin")
    assert len(second.layout_of(apart).cuts) == 0
    second.restore(state)
    for each in (first, second):
        each.advance(dt)
    assert np.array_equal(first.atoms.positions, second.atoms.positions)


# The audit


def rows(model, title):
    tables = {table.title: table for table in model.audit(ethanol().initial_atoms())}
    return tables[title].rows


@pytest.mark.parametrize("kind", ["mechanical", "electrostatic"])
@pytest.mark.parametrize("scheme", ["additive", "subtractive"])
def test_every_interaction_is_counted_once(scheme, kind):
    found = rows(embedding(scheme=scheme, embedding=kind), "Who computes what")
    assert {row[-1] for row in found} == {"once"}
    across = next(row for row in found if row[:2] == ("Coulomb", "across"))
    assert across[3:5] == (("0", "through charges") if kind == "electrostatic" else (across[2], "no"))


class Forgetful(Springs):
    """A force field with a mistake: it does not do what `select` is asked."""

    mistake = ""

    def select(self, region, part, charges=None):
        if self.mistake == "keeps charges":
            return super().select(region, part, None)
        if self.mistake == "keeps the inside" and part == "rest":
            return super().select(region, "all", charges)
        found = super().select(region, part, charges)
        if self.mistake == "loses a bond" and part == "rest":
            found._terms["bond"] = found._terms["bond"][1:]
        return found


@pytest.mark.parametrize(
    ("mistake", "sentence"),
    [
        ("keeps charges", "Coulomb terms across the region are counted twice"),
        ("keeps the inside", "bond terms inside the region are counted twice"),
        ("loses a bond", "by 2 terms instead of 3"),
    ],
)
def test_the_audit_looks_at_the_terms_that_are_there(mistake, sentence):
    low = Forgetful(ethanol().topology, ethanol().initial_atoms())
    low.mistake = mistake
    with pytest.raises(CaseError, match=sentence):
        embedding(low, scheme="additive").audit(low.initial_atoms())


def test_the_audit_shows_links_charges_and_what_is_near():
    model = embedding()
    assert rows(model, "Cut bonds")[0][:2] == ("RES 1 C2", "RES 1 C1")
    charges = dict(rows(model, "Charges"))
    assert charges["outside, as the high level feels it"] == "+0.0000 e on 6 sites"
    assert any("Å from a charge of" in row[0] for row in rows(model, "Look at these"))


def test_a_polar_cut_is_pointed_out():
    table = {"region": {"atoms": list(range(7))}, "charges": {"leftover": "keep"}}
    found = rows(embedding(**table), "Look at these")
    assert any("not between two carbon atoms (C–O)" in row[0] for row in found)


# What is refused


class Deaf(Molecule):
    offers = frozenset({Quantity.ENERGY, Quantity.FORCES})


@pytest.mark.parametrize(
    ("levels", "table", "error", "sentence"),
    [
        ({"high": Deaf()}, {}, NotOffered, "molecule takes no external charges"),
        ({"low": Molecule()}, {}, NotOffered, "molecule is no force field.*mechanical"),
        ({"low": Molecule()}, {"embedding": "mechanical", "scheme": "additive"}, NotOffered, "no terms to choose from"),
        ({}, {"subtract": "capped"}, CaseError, "add the table 'model'"),
        ({"model": Molecule()}, {"subtract": "capped"}, NotOffered, "charges of the capped region"),
        ({"model": Molecule()}, {}, CaseError, "'model' has no use"),
        ({"high": object()}, {}, OptionError, "'high' is no adapter of atoms"),
        ({}, {"scheme": "additive", "subtract": "terms"}, OptionError, "'subtract' belongs to"),
    ],
)
def test_levels_that_do_not_fit(levels, table, error, sentence):
    with pytest.raises(error, match=sentence):
        embedding(**levels, **table)


def test_a_missing_level_is_named():
    springs = {"atoms": [0, 1], "stiffness": "1 eV/angstrom^2", "length": "1 angstrom"}
    low = {"use": "harmonic", "springs": [springs]}
    with pytest.raises(OptionError, match="the table 'high' is missing"):
        build({"use": "embedding", "embedding": "mechanical", "region": {"atoms": [0]}, "low": low}, where="model")


def test_other_atoms_are_refused():
    model = embedding()
    with pytest.raises(AtomsError, match="has 9 atoms, and 8 were given"):
        model.compute(ethanol().initial_atoms()[:8], {Quantity.ENERGY})
    swapped = ethanol().initial_atoms()[[1, 0, 2, 3, 4, 5, 6, 7, 8]]
    with pytest.raises(AtomsError, match="atom 0 is a H"):
        model.compute(swapped, {Quantity.ENERGY})


def test_atoms_periodic_in_one_direction_are_refused():
    atoms = ethanol().initial_atoms()
    atoms.set_cell([20, 20, 20])
    atoms.pbc = (True, False, False)
    with pytest.raises(AtomsError, match="some directions only"):
        embedding().compute(atoms, {Quantity.ENERGY})


def test_term_counts_of_the_stand_in_are_right():
    """The audit's tests rest on it: eight bonds, of them one across."""
    assert ethanol().terms(np.array(REGION["atoms"]))["bond"] == TermCount(4, 1, 3)


# Sites that are no atoms


def four_point_water():
    """Two waters with their negative charge on a site, as TIP4P has it."""
    water = np.array([[0.0, 0.0, 0.0], [0.96, 0.0, 0.0], [-0.24, 0.93, 0.0], [0.07, 0.1, 0.0]])
    atoms = Atoms("OHHX" * 2, np.concatenate([water, water + np.array([0.5, 0.4, 3.0])]))
    bonds = [(0, 1), (0, 2), (4, 5), (4, 6)]
    return Springs(topology_of(atoms, bonds, [0.0, 0.5, 0.5, -1.0] * 2, residues=[0] * 4 + [1] * 4), atoms)


def test_a_site_of_the_region_is_not_shown_to_the_high_level():
    low = four_point_water()
    model = embedding(low, region={"select": "resid 1"}, embedding="mechanical")
    model.compute(low.initial_atoms(), WANTED)
    assert model.high.calls[-1].get_chemical_symbols() == ["O", "H", "H"]


def test_forces_on_sites_are_left_to_the_engine_that_knows_them():
    low = four_point_water()
    model = embedding(low, region={"select": "resid 1"})
    model.compute(low.initial_atoms(), {Quantity.ENERGY})
    assert model.high.fields[-1].charges.tolist() == [0.5, 0.5, -1.0]
    with pytest.raises(NotOffered, match="virtual sites"):
        model.compute(low.initial_atoms(), {Quantity.FORCES})
