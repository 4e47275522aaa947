"""Boxes: whole molecules, nearest images, charges that fade, and boxes that are too small."""

import numpy as np
import pytest
from ase import Atoms

from scalespan.adapters.interface import NotOffered, Quantity, RegionError
from scalespan.bridges.embedding import Embedding, EmbeddingOptions
from scalespan.bridges.embedding.images import Box, charge_groups
from scalespan.bridges.embedding.switching import Edge

from .standins import Molecule, Springs, ethanol_in_water, topology_of

TRICLINIC = np.array([[15.0, 0.0, 0.0], [3.5, 14.0, 0.0], [-4.0, 5.0, 14.5]])
BOX = Box.of(TRICLINIC)
WANTED = {Quantity.ENERGY, Quantity.FORCES}


def embedding(low, high=None, region=(4, 5, 6, 7, 8), **charges) -> Embedding:
    charges = {"cutoff": "4.5 angstrom", "switch": "2 angstrom", **charges}
    table = {"region": {"atoms": list(region)}, "charges": charges}
    return Embedding(EmbeddingOptions.read(table), low=low, high=high or Molecule())


@pytest.fixture
def low():
    return ethanol_in_water(TRICLINIC)


def shifted(atoms, which, by):
    moved = atoms.copy()
    moved.positions[which] += np.array(by) @ atoms.cell.array
    return moved


@pytest.mark.parametrize("which", [[9, 10, 11], [20], list(range(9)), [4], [0, 1], [7, 30, 31]])
def test_any_atom_may_be_stored_in_any_image(low, which):
    """A molecule, a single atom, the solute, the atoms at the cut: nothing depends on their images."""
    model, atoms = embedding(low), low.initial_atoms()
    before = model.compute(atoms, WANTED)
    after = model.compute(shifted(atoms, which, (1, -2, 1)), WANTED)
    assert after.energy == pytest.approx(before.energy, abs=1e-10)
    assert after.forces == pytest.approx(before.forces, abs=1e-10)


def test_another_basis_of_the_lattice_is_the_same_crystal(low):
    """The sheared basis a, b + a, c − b − a spans the same lattice."""
    atoms = low.initial_atoms()
    other = atoms.copy()
    other.set_cell(np.array([[1, 0, 0], [1, 1, 0], [-1, -1, 1]]) @ TRICLINIC)
    views = [embedding(low).layout_of(a).surroundings.look(a.positions, a.cell.array) for a in (atoms, other)]
    charges = [np.sort(view.charges.charges) for view in views]
    assert charges[0] == pytest.approx(charges[1], abs=1e-12)


def test_the_charges_shown_are_those_of_a_search_over_all_images(low):
    """Each group counts by 1 − Π (1 − w(r)), with r the nearest of all images, found by brute force."""
    model, atoms = embedding(low), low.initial_atoms()
    layout = model.layout_of(atoms)
    view = layout.surroundings.look(atoms.positions, atoms.cell.array)
    grid = np.stack(np.meshgrid(*[np.arange(-3, 4)] * 3), axis=-1).reshape(-1, 3) @ TRICLINIC
    edge, expected = Edge(2.0, 4.5), []
    for oxygen in range(9, len(atoms), 3):
        water = atoms.positions[oxygen : oxygen + 3].copy()
        water[1:] += BOX.vectors(BOX.nearest(water[1:] - water[0]))
        images = water.mean(axis=0) + grid
        r = np.linalg.norm(images[:, None] - view.region[None], axis=2)
        expected.append(1.0 - np.prod(1.0 - edge.weight(r)[0], axis=1).min())
    shown = view.charges.charges
    fading = view.near.owner[view.shown] < len(view.near.starts)  # the others are the boundary's
    oxygens = shown[(shown < 0.0) & fading]
    factors = np.sort([each for each in expected if each > 0.0])
    assert len(factors) >= 3
    assert np.sort(-oxygens / 0.8) == pytest.approx(factors, abs=1e-12)
    assert shown.sum() == pytest.approx(0.0, abs=1e-12), "whole molecules fade, so no charge is left"


def test_a_water_that_comes_in_brings_its_charge_smoothly(low):
    """Along a path from outside to inside the energy and its slope are continuous: no step, no kink."""
    atoms = low.initial_atoms()[:12]
    topology = topology_of(atoms, [*low.topology.bonds[:8], (9, 10), (9, 11)], low.topology.charges[:12])
    model = embedding(Springs(topology, atoms))
    centre, shape = atoms.positions[7], np.array([[0.0, 0.0, 0.0], [0.96, 0.0, 0.0], [-0.24, 0.93, 0.0]])

    def bend(points):
        energies = []
        for r in np.linspace(7.0, 2.5, points):
            atoms.positions[9:12] = centre + np.array([0.0, -r, 0.0]) + shape
            energies.append(model.compute(atoms, {Quantity.ENERGY}).components["high"])
        return np.abs(np.diff(energies, 2)).max()

    assert bend(401) / bend(201) == pytest.approx(0.25, abs=0.03), "a kink would give a half, a step one"


def test_the_answer_depends_on_the_positions_alone(low):
    """After a walk the same positions give the same bits as a new embedding does."""
    walked, fresh = embedding(low), embedding(low)
    atoms, rng = low.initial_atoms(), np.random.default_rng(0)
    for _ in range(30):
        atoms.positions += rng.normal(scale=0.1, size=atoms.positions.shape)
        walked.compute(atoms, {Quantity.ENERGY})
    one, other = walked.compute(atoms, WANTED), fresh.compute(atoms, WANTED)
    assert one.energy == other.energy
    assert np.array_equal(one.forces, other.forces)


def test_the_list_of_near_groups_is_kept_while_it_serves(low):
    surroundings = embedding(low).layout_of(low.initial_atoms()).surroundings
    atoms = low.initial_atoms()
    near = surroundings.look(atoms.positions, TRICLINIC).near
    moved = atoms.positions + 0.4 * near.reach
    assert surroundings.look(moved, TRICLINIC).near is near
    far = atoms.positions.copy()
    far[30, 0] += 1.01 * near.reach
    assert surroundings.look(far, TRICLINIC).near is not near
    assert surroundings.look(atoms.positions, 1.001 * TRICLINIC).near is not near


def test_a_box_that_shows_a_charge_twice_is_refused(low):
    model = embedding(low, cutoff=f"{BOX.half - 0.5} angstrom")
    with pytest.raises(RegionError, match=r"seen twice.*give charges.cutoff below"):
        model.compute(low.initial_atoms(), {Quantity.ENERGY})


def test_a_box_that_shrinks_is_refused_when_it_does(low):
    model, atoms = embedding(low), low.initial_atoms()
    model.compute(atoms, {Quantity.ENERGY})
    atoms.set_cell(0.85 * TRICLINIC, scale_atoms=True)
    with pytest.raises(RegionError, match="seen twice"):
        model.compute(atoms, {Quantity.ENERGY})


def test_the_default_cutoff_is_ten_angstrom_and_too_long_here(low):
    table = EmbeddingOptions.read({"region": {"atoms": [4, 5, 6, 7, 8]}})
    with pytest.raises(RegionError, match=r"charges within 10\.00 Å"):
        Embedding(table, low=low, high=Molecule()).compute(low.initial_atoms(), {Quantity.ENERGY})


def test_all_charges_take_their_nearest_image_and_say_that_energy_jumps(low):
    table = {"region": {"atoms": [4, 5, 6, 7, 8]}, "charges": {"all_charges": True}}
    model = Embedding(EmbeddingOptions.read(table), low=low, high=Molecule())
    atoms = low.initial_atoms()
    view = model.layout_of(atoms).surroundings.look(atoms.positions, TRICLINIC)
    # three oxygens and hydrogens of each water, and three midpoints and hydrogens of CH3
    assert len(view.charges) == 12 * 3 + 6
    oxygens = view.charges.positions[np.isclose(view.charges.charges, -0.8)] - view.region.mean(axis=0)
    assert np.abs(oxygens @ np.linalg.inv(TRICLINIC)).max() < 0.6, "a molecule is not at its nearest image"
    assert not model.conservative
    assert any("energy is not conserved" in row[0] for table in model.audit(atoms) for row in table.rows)


def test_two_molecules_in_the_region_are_brought_together(low):
    """Ethanol and a water, stored far apart, are one region at the high level."""
    atoms = low.initial_atoms()
    near = 9 + 3 * int(atoms.get_all_distances(mic=True)[7, 9::3].argmin())
    water = [near, near + 1, near + 2]
    model = embedding(low, region=[*range(9), *water], cutoff="1.5 angstrom", switch="1 angstrom")
    high = model.high
    before = model.compute(atoms, WANTED).energy
    after = model.compute(shifted(atoms, water, (2, 1, -1)), WANTED).energy
    assert after == pytest.approx(before, abs=1e-10)
    apart = high.calls[-1].positions[9:].mean(axis=0) - high.calls[-1].positions[:9].mean(axis=0)
    assert not BOX.nearest(apart[None]).any()


def test_parts_of_a_region_half_a_box_apart_are_refused():
    """Two atoms exactly half a box apart have no nearest image of each other."""
    atoms = Atoms("OO", [[0, 0, 0], [7.5, 0, 0]], cell=[15, 15, 15], pbc=True)
    table = {"region": {"atoms": [0, 1]}, "embedding": "mechanical"}
    model = Embedding(EmbeddingOptions.read(table), low=Springs(topology_of(atoms, [], [0, 0]), atoms), high=Molecule())
    with pytest.raises(RegionError, match="half the smallest width"):
        model.compute(atoms, {Quantity.ENERGY})


def test_groups_are_molecules_or_residues_of_large_ones():
    """A chain of six is one group, or its two residues if six is large; a site without an element goes with its own."""
    atoms = Atoms("C6OHHX", np.arange(30.0).reshape(10, 3))
    bonds = [(0, 1), (1, 2), (2, 3), (3, 4), (4, 5), (6, 7), (6, 8)]
    topology = topology_of(atoms, bonds, np.zeros(10), residues=[0, 0, 0, 1, 1, 1, 2, 2, 2, 2])
    none = np.array([], dtype=np.int64)
    assert charge_groups(topology, none, 30).tolist() == [0] * 6 + [1] * 4
    assert charge_groups(topology, none, 5).tolist() == [1, 1, 1, 2, 2, 2] + [0] * 4
    assert charge_groups(topology, np.array([0, 1]), 30).tolist() == [-1, -1, 0, 0, 0, 0] + [1] * 4


def test_charges_may_fade_without_a_box(low):
    """A cutoff serves in a droplet too."""
    atoms = low.initial_atoms()
    atoms.pbc = False
    model = embedding(Springs(low.topology, atoms))
    assert np.isfinite(model.compute(atoms, WANTED).energy)


def test_fading_charges_need_their_potential(low):
    class Dull(Molecule):
        offers = Molecule.offers - {Quantity.CHARGE_POTENTIAL}

    with pytest.raises(NotOffered, match="all_charges = true"):
        embedding(low, high=Dull())
