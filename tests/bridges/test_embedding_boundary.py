"""Cut bonds: which may be cut, where the hydrogens go, and how their forces are shared."""

import numpy as np
import pytest
from ase import Atoms
from ase.build import molecule

from scalespan.adapters.interface import BoundaryError
from scalespan.bridges.embedding.boundary import Links, bond_kind, find_cuts
from scalespan.bridges.embedding.options import LinkOptions
from scalespan.bridges.embedding.region import guessed_topology

from .standins import ETHANOL, ETHANOL_BONDS, ETHANOL_CHARGES, topology_of

CUT = [(4, 0)]  # ethanol: Q is the carbon of CH2OH, M that of CH3

# ACE-ALA-NME, heavy atoms and hydrogens, with the names of the Amber force fields
ALANINE = "HH31 CH3 HH32 HH33 C O | N H CA HA CB HB1 HB2 HB3 C O | N H CH3 HH31 HH32 HH33"
DIPEPTIDE_BONDS = [(0, 1), (1, 2), (1, 3), (1, 4), (4, 5), (4, 6), (6, 7), (6, 8), (8, 9), (8, 10), (10, 11)]
DIPEPTIDE_BONDS += [(10, 12), (10, 13), (8, 14), (14, 15), (14, 16), (16, 17), (16, 18), (18, 19), (18, 20), (18, 21)]


def dipeptide():
    parts = [part.split() for part in ALANINE.split("|")]
    names = [name for part in parts for name in part]
    residues = [i for i, part in enumerate(parts) for _ in part]
    atoms = Atoms([name[0] for name in names], np.zeros((len(names), 3)))
    return topology_of(atoms, DIPEPTIDE_BONDS, np.zeros(len(names)), names, residues)


def cuts_of(topology, region, allowed=()):
    return [(cut.q, cut.m) for cut in find_cuts(topology, np.array(region), allowed)]


def kinds(name):
    """Return the kinds of the bonds between heavy atoms of a molecule of ASE's G2 set."""
    topology = guessed_topology(molecule(name))
    z, neighbours = topology.numbers, topology.neighbours()
    heavy = [(i, j) for i, j in topology.bonds.tolist() if z[i] > 1 and z[j] > 1]
    return sorted(bond_kind(i, j, z, neighbours) for i, j in heavy)


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("C2H6", ["single"]),
        ("C2H4", ["multiple"]),
        ("C2H2", ["multiple"]),
        ("C6H6", ["aromatic"] * 6),
        ("C5H5N", ["aromatic"] * 6),
        ("CH3CHO", ["multiple", "single"]),
        ("CH3COOH", ["conjugated", "multiple", "single"]),
        ("CH3CONH2", ["multiple", "peptide C–N", "single"]),
        ("CH3CN", ["multiple", "single"]),
        ("CH3CH2NH2", ["single", "single"]),
        ("CH3CH2OCH3", ["single"] * 3),
        ("C4H4S", ["aromatic"] * 3 + ["conjugated"] * 2),
        ("CH3CH2SH", ["single", "single"]),
        ("C3H6_D3h", ["single"] * 3),
    ],
)
def test_bond_kinds_from_elements_and_coordination(name, expected):
    assert kinds(name) == expected


def test_cut_bonds_are_found_from_the_topology():
    topology = topology_of(ETHANOL, ETHANOL_BONDS, ETHANOL_CHARGES)
    assert cuts_of(topology, [4, 5, 6, 7, 8]) == CUT
    assert cuts_of(topology, [0, 1, 2, 3]) == [(0, 4)]
    assert cuts_of(topology, range(9)) == []


def test_a_side_chain_may_be_cut_off_at_ca_cb():
    assert cuts_of(dipeptide(), [10, 11, 12, 13]) == [(10, 8)]


def test_the_backbone_may_be_cut_at_ca_c():
    assert cuts_of(dipeptide(), [*range(8, 14), 6, 7, 0, 1, 2, 3, 4, 5]) == [(8, 14)]


def test_the_peptide_bond_is_refused_and_can_be_overridden_by_name():
    residue = list(range(6, 16))  # ALA: both its peptide bonds are cut
    with pytest.raises(BoundaryError, match=r"RES 2 N – RES 1 C, a bond of the kind peptide C–N.*2:N-1:C"):
        cuts_of(dipeptide(), residue)
    with pytest.raises(BoundaryError, match="RES 2 C – RES 3 N"):
        cuts_of(dipeptide(), residue, ["1:C-2:N"])
    assert cuts_of(dipeptide(), residue, ["1:C-2:N", "3:N-2:C"]) == [(6, 4), (14, 16)]
    assert cuts_of(dipeptide(), residue, ["C-N"]) == [(6, 4), (14, 16)]


def test_an_allowed_cut_that_is_not_there_is_refused():
    with pytest.raises(BoundaryError, match=r"allow_cuts names 'CA-N'.*RES 2 CB – RES 2 CA"):
        cuts_of(dipeptide(), [10, 11, 12, 13], ["CA-N"])


@pytest.mark.parametrize("region", [[4, 6, 7, 8], [8]])
def test_a_bond_to_hydrogen_is_never_cut(region):
    topology = topology_of(ETHANOL, ETHANOL_BONDS, ETHANOL_CHARGES)
    with pytest.raises(BoundaryError, match="to a hydrogen"):
        cuts_of(topology, region)


def test_two_links_at_one_atom_are_refused():
    """Propane with both ends inside: the middle would get two hydrogens."""
    propane = guessed_topology(molecule("C3H8"))
    carbons = np.flatnonzero(propane.numbers == 6)
    middle = next(i for i in carbons if sum(propane.numbers[b] == 6 for b in propane.neighbours()[i]) == 2)
    outside = {middle, *(b for b in propane.neighbours()[middle] if propane.numbers[b] == 1)}
    region = [i for i in range(len(propane)) if i not in outside]
    with pytest.raises(BoundaryError, match="two cut bonds meet"):
        cuts_of(propane, region)
    assert len(cuts_of(propane, region, ["C-C"])) == 2


def test_a_metal_is_not_cut_off():
    atoms = Atoms("ZnSCHH", np.zeros((5, 3)))
    topology = topology_of(atoms, [(0, 1), (1, 2), (2, 3), (2, 4)], np.zeros(5))
    with pytest.raises(BoundaryError, match="of the kind metal"):
        cuts_of(topology, [0])


def place(**options):
    topology = topology_of(ETHANOL, ETHANOL_BONDS, ETHANOL_CHARGES)
    cuts = find_cuts(topology, np.array([4, 5, 6, 7, 8]))
    return Links.place(cuts, topology.numbers, LinkOptions.read(options))


AT_Q, AT_M = ETHANOL.positions[[4]], ETHANOL.positions[[0]]


@pytest.mark.parametrize(
    ("options", "length"),
    [
        ({}, 1.09),  # methane's, and not the bond's
        ({"distance": "1.12 angstrom"}, 1.12),
        ({"kind": "scaled", "ratio": 0.723}, 0.723 * np.linalg.norm(AT_Q - AT_M)),
        ({"kind": "scaled"}, 1.09 / 1.52 * np.linalg.norm(AT_Q - AT_M)),  # C–C 1.52 Å: Cordero et al. 2008
    ],
)
def test_hydrogens_sit_on_the_cut_bond(options, length):
    hydrogen = place(**options).positions(AT_Q, AT_M)
    assert np.linalg.norm(hydrogen - AT_Q) == pytest.approx(length)
    assert np.cross(hydrogen - AT_Q, AT_M - AT_Q) == pytest.approx(0.0, abs=1e-12)


@pytest.mark.parametrize("options", [{}, {"kind": "scaled"}, {"distance": "0.9 angstrom"}])
def test_shares_are_the_transposed_jacobian(options):
    """F_Q = (∂r_L/∂r_Q)ᵀ F_L and F_M likewise, by differences; their sum and torque are those of F_L."""
    links, rng, h = place(**options), np.random.default_rng(1), 1e-6
    force = rng.normal(size=(1, 3))
    on_q, on_m = links.share(AT_Q, AT_M, force)
    for x in range(3):
        step = np.zeros((1, 3))
        step[0, x] = h
        by_q = (links.positions(AT_Q + step, AT_M) - links.positions(AT_Q - step, AT_M)) / (2 * h)
        by_m = (links.positions(AT_Q, AT_M + step) - links.positions(AT_Q, AT_M - step)) / (2 * h)
        assert on_q[0, x] == pytest.approx(float(np.sum(by_q * force)), abs=1e-8)
        assert on_m[0, x] == pytest.approx(float(np.sum(by_m * force)), abs=1e-8)
    hydrogen = links.positions(AT_Q, AT_M)
    torque = np.cross(AT_Q, on_q) + np.cross(AT_M, on_m) - np.cross(hydrogen, force)
    assert on_q + on_m == pytest.approx(force)
    assert torque == pytest.approx(0.0, abs=1e-12)
