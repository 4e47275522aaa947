"""Parts of OpenMM's terms: exact sums for every force that can be split, and a refusal for the others."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import openmm
import pytest
from openmm import app, unit

from scalespan.adapters.interface import ChargeError, NotOffered, Quantity, RegionError
from scalespan.adapters.interface.contract import ForceFieldContract
from scalespan.adapters.openmm import OpenMMAdapter, OpenMMOptions, OpenMMSettings

DATA = Path(__file__).parents[1] / "data" / "openmm"
REFERENCE = OpenMMSettings(platform="Reference")
BOTH = {Quantity.ENERGY, Quantity.FORCES}
PARTS = ("all", "inside", "rest")
FILES: dict[str, object] = {
    "pdb": "ethanol_water.pdb",
    "force_field": ["ethanol_water.xml"],
    "platform": "Reference",
}


def make(**table: object) -> OpenMMAdapter:
    return OpenMMAdapter(OpenMMOptions.read(FILES | {"cutoff": "5 angstrom"} | table, folder=DATA))


def openmm_topology() -> app.Topology:
    topology: app.Topology = app.PDBFile(str(DATA / "ethanol_water.pdb")).topology
    return topology


def zoo() -> openmm.System:
    """Return the ethanol and its waters with a force of every kind that can be split."""
    system: openmm.System = make(nonbonded="cutoff-periodic").model.system
    system = openmm.XmlSerializer.clone(system)
    lennard_jones = openmm.CustomNonbondedForce("a1*a2/r6^2-c1*c2/r6; r6=r^6")  # as the readers' NBFIX
    screened = openmm.CustomNonbondedForce("0.3*b1*b2*exp(-5*r)")
    for name in ("a", "c"):
        lennard_jones.addPerParticleParameter(name)
    screened.addPerParticleParameter("b")
    plain = next(force for force in system.getForces() if isinstance(force, openmm.NonbondedForce))
    for i in range(system.getNumParticles()):
        charge, sigma, epsilon = (value._value for value in plain.getParticleParameters(i))
        plain.setParticleParameters(i, charge, 1.0, 0.0)
        lennard_jones.addParticle([2.0 * np.sqrt(epsilon) * sigma**6, 2.0 * np.sqrt(epsilon) * sigma**3])
        screened.addParticle([0.3 + 0.1 * i])
    for i, j, *_ in map(plain.getExceptionParameters, range(plain.getNumExceptions())):
        lennard_jones.addExclusion(i, j)
        screened.addExclusion(i, j)
    screened.addInteractionGroup(range(6), range(3, 15))
    for force in (lennard_jones, screened):
        force.setNonbondedMethod(openmm.CustomNonbondedForce.CutoffPeriodic)
        force.setCutoffDistance(0.5)
    lennard_jones.setUseLongRangeCorrection(True)
    for force in (lennard_jones, screened, *bonded_zoo()):
        system.addForce(force)
    return system


def bonded_zoo() -> list[openmm.Force]:
    urey = openmm.HarmonicBondForce()
    urey.setName("UreyBradleyForce")
    urey.addBond(1, 4, 0.21, 5000.0)
    urey.addBond(9, 12, 0.3, 50.0)
    ryckaert = openmm.RBTorsionForce()
    ryckaert.addTorsion(0, 4, 7, 8, 1.0, 0.5, 0.3, 0.2, 0.1, 0.05)
    maps = openmm.CMAPTorsionForce()
    maps.addMap(6, np.random.default_rng(1).normal(size=36))
    maps.addTorsion(0, 1, 0, 4, 7, 0, 4, 7, 8)
    maps.addTorsion(0, 5, 4, 7, 8, 2, 0, 4, 7)
    bond = openmm.CustomBondForce("0.25*k*(r^2-0.02)^2")
    bond.addPerBondParameter("k")
    bond.addBond(0, 7, [100.0])
    bond.addBond(7, 9, [3.0])
    angle = openmm.CustomAngleForce("k*(cos(theta)+0.3)^2")
    angle.addPerAngleParameter("k")
    angle.addAngle(1, 0, 7, [10.0])
    angle.addAngle(8, 7, 9, [5.0])
    improper = openmm.CustomTorsionForce("k*min(d,2*3.141592653589793-d)^2; d=abs(theta-0.4)")
    improper.addPerTorsionParameter("k")
    improper.addTorsion(4, 5, 6, 7, [12.0])
    compound = openmm.CustomCompoundBondForce(3, "k*(distance(p1,p2)-distance(p2,p3))^2")
    compound.addPerBondParameter("k")
    compound.addBond([8, 7, 9], [20.0])
    compound.addBond([4, 7, 8], [30.0])
    for force in (bond, angle, improper, compound):
        force.setUsesPeriodicBoundaryConditions(True)
    return [urey, ryckaert, maps, bond, angle, improper, compound]


class TestZoo(ForceFieldContract):
    """Also the forms in which CHARMM and GROMACS files arrive: LJ apart from charges, Urey-Bradley, CMAP."""

    timestep = 0.25
    step = 1e-4  # a pair lies within a strain of 2e-3 from the sharp cutoff
    stress_tolerance = 5e-3  # eV: OpenMM's strain of a thousandth

    def make_adapter(self) -> OpenMMAdapter:
        return OpenMMAdapter.of(zoo(), openmm_topology(), make().model.positions, REFERENCE)


@pytest.mark.parametrize("method", ["no-cutoff", "cutoff-nonperiodic", "ewald", "pme"])
def test_the_parts_add_up_under_every_method(method: str) -> None:
    """Pairs beyond the cutoff are in the region: the whole ethanol and a water, five ångström being the cutoff."""
    table: dict[str, object] = {"nonbonded": method, "cutoff": "3.5 angstrom", "dispersion_correction": True}
    if method == "no-cutoff":
        table = {"nonbonded": method}
        adapter = OpenMMAdapter(OpenMMOptions.read({**FILES, **table}, folder=DATA))
    else:
        adapter = make(**table)
    atoms = adapter.initial_atoms()
    atoms.rattle(0.05, seed=3)
    region = np.r_[0:9, 12:15]
    for charges in (None, np.random.default_rng(8).uniform(-1.0, 1.0, 15)):
        found = {part: adapter.select(region, part, charges).compute(atoms, BOTH) for part in ("all", "inside", "rest")}
        parts = found["inside"].energy + found["rest"].energy
        assert parts == pytest.approx(found["all"].energy, rel=1e-10, abs=1e-10)
        np.testing.assert_allclose(found["inside"].forces + found["rest"].forces, found["all"].forces, atol=1e-10)


def test_the_inside_of_pme_is_coulomb_s_law() -> None:
    """Up to the direct sum's own truncation, whose size the Ewald tolerance says."""
    mesh, plain = make(ewald_tolerance=1e-6, dispersion_correction=False), make(nonbonded="cutoff-nonperiodic")
    region = np.arange(9)
    vacuum = OpenMMAdapter(OpenMMOptions.read({**FILES, "nonbonded": "no-cutoff"}, folder=DATA))
    inside = mesh.select(region, "inside").compute(mesh.initial_atoms(), {Quantity.ENERGY}).energy
    outside = vacuum.select(region, "inside").compute(vacuum.initial_atoms(), {Quantity.ENERGY}).energy
    assert inside == pytest.approx(outside, abs=1e-5)
    assert plain.model.cell is None


def test_the_single_precision_platform_adds_up_to_its_precision() -> None:
    adapter = make(platform="CPU", nonbonded="pme")
    atoms, region = adapter.initial_atoms(), np.arange(9)
    found = {part: adapter.select(region, part).compute(atoms, BOTH) for part in ("all", "inside", "rest")}
    assert found["inside"].energy + found["rest"].energy == pytest.approx(found["all"].energy, abs=2e-5)
    np.testing.assert_allclose(found["inside"].forces + found["rest"].forces, found["all"].forces, atol=1e-3)


def test_an_image_of_an_atom_is_the_atom() -> None:
    """Any atom may be given in any image, bonded or not, in the region or not."""
    adapter = make()
    atoms = adapter.initial_atoms()
    other = atoms.copy()
    other.positions[[2, 7, 10]] += atoms.cell.array[[0, 2, 1]]
    other.positions[12:15] -= atoms.cell.array[0]
    for part in ("all", "inside", "rest"):
        model = adapter.select(np.r_[0:9, 12:15], part)
        one, same = model.compute(atoms, BOTH), model.compute(other, BOTH)
        assert same.energy == pytest.approx(one.energy, abs=1e-9)
        np.testing.assert_allclose(same.forces, one.forces, atol=1e-9)


def test_one_four_pairs_keep_their_scale_with_other_charges() -> None:
    """E of new charges is a quadratic form: four times it, where every charge is doubled."""
    adapter = OpenMMAdapter(OpenMMOptions.read({**FILES, "nonbonded": "no-cutoff"}, folder=DATA))
    atoms, own = adapter.initial_atoms(), adapter.topology.charges

    def energy(charges: np.ndarray) -> float:
        return float(adapter.select(np.arange(0), "all", charges).compute(atoms, {Quantity.ENERGY}).energy)

    none, once, twice = energy(0.0 * own), energy(own), energy(2.0 * own)
    assert twice - none == pytest.approx(4.0 * (once - none), rel=1e-12)
    i, j = 1, 7  # H11 and O1, three bonds apart
    pair = np.zeros(15)
    pair[[i, j]] = 1.0
    distance = atoms.get_distance(i, j)
    assert energy(pair) - none == pytest.approx(14.399645 / 1.2 / distance, rel=1e-6)


def test_a_pair_without_charges_gets_the_scale_of_the_others() -> None:
    """Charges of zero in the force field hide the scale; dispersion shows that the pair is 1-4."""
    full = OpenMMAdapter(OpenMMOptions.read({**FILES, "nonbonded": "no-cutoff"}, folder=DATA))
    own = full.topology.charges
    some = own.copy()
    some[1] = 0.0
    nothing = np.arange(0)
    back = full.select(nothing, "all", some).select(nothing, "all", own)
    atoms = full.initial_atoms()
    found, expected = (each.compute(atoms, {Quantity.ENERGY}).energy for each in (back, full))
    assert found == pytest.approx(expected, abs=1e-12)
    with pytest.raises(ChargeError, match="does not say with which scale"):
        full.select(nothing, "all", 0.0 * own).select(nothing, "all", own)


def test_the_net_charge_changes_with_the_volume_term_in_every_part() -> None:
    """With a net charge PME has a background; the sum over parts holds at another volume too."""
    adapter = make()
    charges = adapter.topology.charges.copy()
    charges[:9] = 0.1
    atoms = adapter.initial_atoms()
    atoms.set_cell(atoms.cell.array * 1.3)
    e = {p: adapter.select(np.arange(9), p, charges).compute(atoms, {Quantity.ENERGY}).energy for p in PARTS}
    assert e["inside"] + e["rest"] == pytest.approx(e["all"], abs=1e-10)


def test_constraints_of_the_region_are_released_and_others_kept() -> None:
    adapter = make(rigid_water=True, constraints="h-bonds")
    rest = adapter.select(np.arange(9, 12), "rest")
    assert rest.released == ((9, 10), (9, 11), (10, 11))
    assert rest.model.system.getNumConstraints() == adapter.model.system.getNumConstraints() - 3
    across = adapter.select(np.array([0, 4]), "rest")
    assert (0, 1) in across.released and (7, 8) not in across.released
    assert adapter.select(np.arange(9), "all").released == tuple(
        pair for pair in adapter.select(np.arange(9), "rest").released
    )


def test_a_constraint_across_the_border_needs_a_bond_behind_it() -> None:
    model = make().model
    system = openmm.XmlSerializer.clone(model.system)
    system.addConstraint(2, 12, 0.5)
    adapter = OpenMMAdapter.of(system, openmm_topology(), model.positions, REFERENCE)
    with pytest.raises(RegionError, match="between atoms 2 and 12 crosses"):
        adapter.select(np.arange(9), "rest")


def refused() -> list[openmm.Force]:
    born = openmm.GBSAOBCForce()
    hydrogen = openmm.CustomHbondForce("distance(a1,d1)")
    centroid = openmm.CustomCentroidBondForce(2, "distance(g1,g2)")
    for _ in range(15):
        born.addParticle(0.1, 0.15, 0.8)
    born.setNonbondedMethod(openmm.GBSAOBCForce.CutoffPeriodic)
    born.setCutoffDistance(0.5)
    hydrogen.addAcceptor(0, -1, -1)
    hydrogen.addDonor(9, -1, -1)
    centroid.addGroup([0, 1])
    centroid.addGroup([9, 10])
    centroid.addBond([0, 1], [])
    return [born, hydrogen, centroid]


@pytest.mark.parametrize("force", refused(), ids=lambda force: type(force).__name__)
def test_a_force_that_cannot_be_split_is_named(force: openmm.Force) -> None:
    """It can still be computed and moved."""
    model = make(nonbonded="cutoff-periodic").model
    system = openmm.XmlSerializer.clone(model.system)
    system.addForce(openmm.XmlSerializer.clone(force))
    adapter = OpenMMAdapter.of(system, openmm_topology(), model.positions, REFERENCE)
    assert np.isfinite(adapter.compute(adapter.initial_atoms(), {Quantity.ENERGY}).energy)
    with pytest.raises(NotOffered, match=type(force).__name__):
        adapter.select(np.arange(9), "rest")


def test_ljpme_cannot_be_split() -> None:
    adapter = make(nonbonded="lj-pme")
    assert np.isfinite(adapter.compute(adapter.initial_atoms(), {Quantity.ENERGY}).energy)
    with pytest.raises(NotOffered, match="LJPME"):
        adapter.select(np.arange(9), "inside")


def test_a_region_outside_the_atoms_is_refused() -> None:
    with pytest.raises(RegionError, match="outside 0 to 14"):
        make().select(np.array([3, 15]), "rest")
    with pytest.raises(ChargeError, match="15 charges are wanted"):
        make().select(np.array([3]), "rest", np.zeros(3))


def test_nonbonded_can_be_shown_in_two_parts() -> None:
    """Coulomb and dispersion as components; Coulomb is what charges make."""
    adapter = make(split_nonbonded=True)
    atoms = adapter.initial_atoms()
    found = adapter.compute(atoms, {Quantity.ENERGY})
    bare = adapter.select(np.arange(0), "all", np.zeros(15)).compute(atoms, {Quantity.ENERGY})
    assert found.components["dispersion"] == pytest.approx(bare.components["dispersion"], abs=1e-12)
    assert bare.components["Coulomb"] == pytest.approx(0.0, abs=1e-12)
    assert found.components["Coulomb"] == pytest.approx(found.energy - bare.energy, abs=1e-10)


def four_site() -> OpenMMAdapter:
    """Return a small box of TIP4P-Ew, whose negative charge is on a site."""
    field = app.ForceField("tip4pew.xml")
    modeller = app.Modeller(app.Topology(), [])
    modeller.addSolvent(field, model="tip4pew", boxSize=openmm.Vec3(1.25, 1.25, 1.25))
    system = field.createSystem(
        modeller.topology,
        nonbondedMethod=app.PME,
        nonbondedCutoff=0.6 * unit.nanometer,
        switchDistance=0.5 * unit.nanometer,
        ewaldErrorTolerance=1e-7,
        rigidWater=False,
    )
    return OpenMMAdapter.of(system, modeller.topology, modeller.positions, REFERENCE)


def test_virtual_sites_follow_their_atoms_and_hand_forces_on() -> None:
    adapter = four_site()
    sites = adapter.model.sites
    atoms = adapter.initial_atoms()
    atoms.rattle(0.02, seed=1)
    found = adapter.compute(atoms, BOTH)
    assert len(sites) and not found.forces[sites].any()
    other = atoms.copy()
    other.positions[sites] += 1.0
    assert adapter.compute(other, BOTH).energy == found.energy
    along = np.random.default_rng(5).normal(size=(len(atoms), 3))
    energies = []
    for step in (1e-4, -1e-4):
        moved = atoms.copy()
        moved.positions += step * along
        energies.append(adapter.compute(moved, {Quantity.ENERGY}).energy)
    assert -np.sum(found.forces * along) == pytest.approx((energies[0] - energies[1]) / 2e-4, abs=2e-4)


def test_parts_of_a_system_with_sites_add_up() -> None:
    adapter = four_site()
    atoms, region = adapter.initial_atoms(), np.arange(8)
    charges = adapter.topology.charges.copy()
    charges[region] = 0.0
    for given in (None, charges):
        found = {part: adapter.select(region, part, given).compute(atoms, BOTH) for part in PARTS}
        assert found["inside"].energy + found["rest"].energy == pytest.approx(found["all"].energy, abs=1e-10)
        np.testing.assert_allclose(found["inside"].forces + found["rest"].forces, found["all"].forces, atol=1e-10)
    assert adapter.model.masses[adapter.model.sites].sum() == 0.0
