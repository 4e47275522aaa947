"""Charge schemes at a cut bond: totals, dipoles, places, and what is refused."""

import numpy as np
import pytest

from scalespan.adapters.interface import BoundaryError, ChargeError, OptionError
from scalespan.bridges.embedding.boundary import find_cuts
from scalespan.bridges.embedding.charges import place_charges
from scalespan.bridges.embedding.options import ChargeOptions

from .standins import ETHANOL, ETHANOL_BONDS, ETHANOL_CHARGES, topology_of

REGION = np.array([4, 5, 6, 7, 8])
KEEPING = ["none", "RC", "RCD", "CS"]
SCHEMES = [*KEEPING, "Z1", "Z2", "Z3", "balanced-RC", "balanced-RCD", "balanced-CS"]


def sites(scheme, charges=ETHANOL_CHARGES, region=REGION, **options):
    topology = topology_of(ETHANOL, ETHANOL_BONDS, charges)
    cuts = find_cuts(topology, region)
    return place_charges(topology, region, cuts, ChargeOptions(scheme=scheme, **options))


def between(found):
    """Return the sites that are no atoms."""
    return np.flatnonzero(np.diff(found.matrix.indptr) > 1)


def dipole(found, positions=ETHANOL.positions):
    return found.charges @ (found.matrix @ positions)


@pytest.mark.parametrize("scheme", SCHEMES)
def test_a_site_is_a_weighted_mean_of_atoms(scheme):
    """Rows of W add up to one, so forces handed back have the same sum and torque."""
    assert sites(scheme).matrix.sum(axis=1) == pytest.approx(1.0)


@pytest.mark.parametrize("scheme", KEEPING)
def test_the_total_charge_is_kept(scheme):
    assert sites(scheme).charges.sum() == pytest.approx(0.0, abs=1e-12)


def test_z_schemes_lose_charges():
    """Z1 loses q_M1, Z2 also those of its neighbours."""
    assert sites("Z1").charges.sum() == pytest.approx(0.18)
    assert len(sites("Z2")) == 0


@pytest.mark.parametrize("scheme", ["RCD", "CS"])
def test_the_dipole_is_kept(scheme):
    """RCD and CS move charge without changing the dipole of the surroundings; RC does change it."""
    before = dipole(sites("none"))
    assert dipole(sites(scheme)) == pytest.approx(before, abs=1e-12)
    assert np.linalg.norm(dipole(sites("RC")) - before) > 0.03


def test_redistributed_charges_sit_at_midpoints():
    """RC: a third of −0.18 e at each midpoint C–H, nothing at C (Lin and Truhlar 2005)."""
    found = sites("RC")
    extra = between(found)
    assert found.charges[extra] == pytest.approx([-0.06] * 3)
    middle = (ETHANOL.positions[0] + ETHANOL.positions[1:4]) / 2
    assert (found.matrix @ ETHANOL.positions)[extra] == pytest.approx(middle)


def test_redistributed_charge_and_dipole():
    """RCD: twice a third at each midpoint, and a third taken from each H."""
    found = sites("RCD")
    assert found.charges == pytest.approx([0.12] * 3 + [-0.12] * 3)


def test_balanced_schemes_end_at_an_integer():
    """The region has +0.07 e too much; M1 takes it, so that the surroundings have −(the region's integer)."""
    charges = np.array(ETHANOL_CHARGES) + np.array([-0.07] + [0.0] * 3 + [0.07] + [0.0] * 4)
    for scheme in ("balanced-RC", "balanced-RCD", "balanced-CS"):
        found = sites(scheme, charges)
        assert found.charges.sum() == pytest.approx(0.0, abs=1e-12)
    shifted = sites("balanced-RC", charges)
    assert shifted.charges[between(shifted)] == pytest.approx([-0.06] * 3)


def test_a_leftover_charge_is_refused_or_kept_by_name():
    charges = np.array(ETHANOL_CHARGES) + np.array([-0.07] + [0.0] * 3 + [0.07] + [0.0] * 4)
    with pytest.raises(ChargeError, match=r"add up to \+0.0700 e, which is no integer.*balanced-RCD"):
        sites("RCD", charges)
    assert sites("RCD", charges, leftover="keep").charges.sum() == pytest.approx(-0.07)


def test_another_charge_of_the_region_is_a_leftover():
    """The high level is an anion, the force field's region is neutral: +1 e is over."""
    for scheme in ("RCD", "balanced-RCD"):
        with pytest.raises(ChargeError, match="which is not the high level's -1; correct"):
            sites(scheme, region_charge=-1)
    assert sites("balanced-RCD", region_charge=-1, leftover="keep").charges.sum() == pytest.approx(1.0)


def test_without_a_cut_a_balanced_scheme_has_nowhere_to_put_it():
    charges = np.array(ETHANOL_CHARGES) + 0.01
    with pytest.raises(ChargeError, match="no cut bond to take them"):
        sites("balanced-RC", charges, region=np.arange(9))


def test_m1_without_neighbours_is_refused():
    """Chloroethane cut at C–Cl: there is nobody to take the chlorine's charge."""
    atoms = ETHANOL[[0, 1, 2, 3, 4, 5, 6]] + ETHANOL[7:8]
    atoms.numbers[7] = 17
    topology = topology_of(atoms, ETHANOL_BONDS[:7], ETHANOL_CHARGES[:8])
    cuts = find_cuts(topology, np.arange(7))
    with pytest.raises(BoundaryError, match="no neighbour outside"):
        place_charges(topology, np.arange(7), cuts, ChargeOptions(scheme="RC", leftover="keep"))


def test_gaussian_radii():
    """One for all, per element, times the covalent radius; a moved charge keeps the radius of its M1."""
    one = sites("RC", gaussian_radius="0.8 angstrom")
    assert one.radii == pytest.approx(0.8)
    each = sites("RC", gaussian_radii={"C": "0.7 angstrom", "H": "0.3 angstrom"})
    assert each.radii == pytest.approx([0.3] * 3 + [0.7] * 3)
    times = sites("RC", gaussian_factor=2.0)
    assert times.radii == pytest.approx([0.62] * 3 + [1.52] * 3)
    with pytest.raises(OptionError, match="no radius for C"):
        sites("RC", gaussian_radii={"H": "0.3 angstrom"})
