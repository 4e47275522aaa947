"""Regions by selection, by radius, by index, and the sentences for those that cannot be."""

import numpy as np
import pytest

from scalespan.adapters.interface import OptionError, RegionError
from scalespan.bridges.embedding.options import RegionOptions
from scalespan.bridges.embedding.region import find_region, guessed_topology

from .standins import ethanol_in_water


@pytest.fixture(scope="module")
def low():
    return ethanol_in_water(np.diag([14.0, 14.0, 14.0]), waters=20)


def found(low, **table):
    return find_region(RegionOptions.read(table), low.initial_atoms(), low.topology).tolist()


def test_by_index_in_the_order_of_the_atoms(low):
    assert found(low, atoms=[8, 4, 5]) == [4, 5, 8]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("resid 1", list(range(9))),
        ("resid 1 and not name C1 H1*", [4, 5, 6, 7, 8]),
        ("index 9:11", [9, 10, 11]),
        ("element C", [0, 4]),
        ("bonded name O and resid 1", [4, 8]),
    ],
)
def test_by_selection(low, text, expected):
    assert found(low, select=text) == expected


def test_by_radius_with_whole_residues_across_the_faces_of_the_box(low):
    """Every water with an atom within 3 Å of the hydroxyl oxygen's nearest image, whole."""
    atoms = low.initial_atoms()
    near = atoms.get_distances(7, range(9, len(atoms)), mic=True).reshape(-1, 3).min(axis=1) < 3.0
    assert near.any() and not near.all()
    expected = [*range(9), *(9 + 3 * w + k for w in np.flatnonzero(near) for k in range(3))]
    assert found(low, around="resid 1 and name O", radius="3 angstrom") == expected


@pytest.mark.parametrize(
    ("table", "sentence"),
    [
        ({"atoms": []}, "the region is empty"),
        ({"atoms": [1, 69]}, "atom 69 does not exist; indices go from 0 to 68"),
        ({"atoms": [-1]}, "atom -1 does not exist"),
        ({"atoms": [3, 4, 3]}, "atom 3 is named twice"),
        ({"select": "resname XYZ"}, "finds no atom; residue names here: RES"),
        ({"select": "resname"}, "cannot be read"),
        ({"select": "frobnicate 7"}, "cannot be read"),
    ],
)
def test_regions_that_cannot_be(low, table, sentence):
    with pytest.raises(RegionError, match=sentence):
        found(low, **table)


@pytest.mark.parametrize(
    ("table", "sentence"),
    [
        ({}, "needs one of 'select', 'around', 'atoms'"),
        ({"atoms": [1], "select": "all"}, "given: select, atoms"),
        ({"around": "resid 1"}, "'around' and 'radius' go together"),
        ({"around": "resid 1", "radius": "-3 angstrom"}, "above zero"),
        ({"selection": "all"}, "did you mean 'select'"),
    ],
)
def test_tables_that_cannot_be(table, sentence):
    with pytest.raises(OptionError, match=sentence):
        RegionOptions.read(table)


def test_bonds_are_guessed_from_distances(low):
    """Without a force field the bonds of ethanol and water come out of their distances, across the faces too."""
    guessed = guessed_topology(low.initial_atoms())
    assert guessed.bonds.tolist() == low.topology.bonds.tolist()
    assert guessed.residues.tolist() == low.topology.residues.tolist()
