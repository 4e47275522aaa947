"""OpenMM's kinds of input, and the sentence for each wrong one."""

from __future__ import annotations

import logging
from pathlib import Path

import numpy as np
import openmm
import pytest
from openmm import app, unit

from scalespan.adapters.interface import AtomsError, CaseError, Motion, OptionError, Quantity, ScalespanError
from scalespan.adapters.interface.units import KJ_PER_MOL
from scalespan.adapters.openmm import OpenMMAdapter, OpenMMOptions, OpenMMSettings

DATA = Path(__file__).parents[1] / "data" / "openmm"
ROUTES: dict[str, dict[str, object]] = {
    "force_field": {"pdb": "ethanol_water.pdb", "force_field": ["ethanol_water.xml"]},
    "prmtop": {"prmtop": "ethanol_water.prmtop", "inpcrd": "ethanol_water.inpcrd"},
    "top": {"top": "ethanol_water.top", "gro": "ethanol_water.gro"},
    "psf": {"psf": "ethanol_water.psf", "crd": "ethanol_water.crd", "parameters": ["ethanol_water.prm"]},
}
CELL: dict[str, object] = {"cell": ["13 angstrom", "12.5 angstrom", "12 angstrom"], "dispersion_correction": True}
METHODS: list[dict[str, object]] = [
    {"nonbonded": "no-cutoff"},
    {"nonbonded": "cutoff-periodic", "cutoff": "5 angstrom", "switch_distance": "4.5 angstrom", **CELL},
    {"nonbonded": "pme", "cutoff": "5 angstrom", "switch_distance": "4.5 angstrom", **CELL},
]


def make(route: str, folder: Path = DATA, **options: object) -> OpenMMAdapter:
    table = {"platform": "Reference", **ROUTES[route], **options}
    return OpenMMAdapter(OpenMMOptions.read(table, folder=folder, where="case.toml [model]"))


def components(adapter: OpenMMAdapter) -> dict[str, float]:
    return dict(adapter.compute(adapter.initial_atoms(), {Quantity.ENERGY}).components)


@pytest.mark.parametrize("method", METHODS, ids=lambda method: str(method["nonbonded"]))
@pytest.mark.parametrize("route", ["prmtop", "top"])
def test_one_system_has_one_energy_in_every_format(route: str, method: dict[str, object]) -> None:
    """A prmtop writes nine digits; GROMACS' files hold all."""
    here, there = components(make("force_field", **method)), components(make(route, **method))
    assert here == pytest.approx(there, abs=1e-7 if route == "prmtop" else 1e-11)


@pytest.mark.parametrize("method", METHODS, ids=lambda method: str(method["nonbonded"]))
def test_charmm_files_have_the_same_energy(tmp_path: Path, method: dict[str, object]) -> None:
    """CHARMM takes Coulomb's 1-4 pairs in full."""
    text = (DATA / "ethanol_water.xml").read_text().replace(f'coulomb14scale="{1 / 1.2!r}"', 'coulomb14scale="1.0"')
    (tmp_path / "full.xml").write_text(text)
    here = components(make("force_field", force_field=[str(tmp_path / "full.xml")], **method))
    assert here == pytest.approx(components(make("psf", **method)), abs=1e-7)


@pytest.mark.parametrize("route", ROUTES)
def test_topology_and_atoms_are_the_same_in_every_format(route: str) -> None:
    here, there = make("force_field", nonbonded="no-cutoff"), make(route, nonbonded="no-cutoff")
    one, other = here.topology, there.topology
    assert np.array_equal(one.bonds, other.bonds) and np.array_equal(one.numbers, other.numbers)
    assert one.names == other.names and np.array_equal(one.residues, other.residues)
    assert one.residue_names[0] == other.residue_names[0] == "ETO"
    np.testing.assert_allclose(one.charges, other.charges, atol=1e-7)
    np.testing.assert_allclose(here.initial_atoms().positions, there.initial_atoms().positions, atol=1e-6)


@pytest.mark.parametrize("route", ROUTES)
@pytest.mark.parametrize("method", METHODS[::2], ids=lambda method: str(method["nonbonded"]))
def test_constraints_leave_the_energy_alone(route: str, method: dict[str, object]) -> None:
    """The terms that a constraint holds still are kept, so that the energy is one function of positions."""
    free = make(route, **method)
    held = make(route, constraints="h-bonds", rigid_water=True, **method)
    # Amber's rigid water has a bond between its hydrogens, and this flexible one has none to constrain.
    assert held.model.system.getNumConstraints() == 6 + 2 * (2 if route == "prmtop" else 3)
    assert components(held) == pytest.approx(components(free), abs=1e-12)


def test_a_serialised_system_is_taken_as_it_is(tmp_path: Path) -> None:
    made = make("force_field", **METHODS[2])
    (tmp_path / "system.xml").write_text(openmm.XmlSerializer.serialize(made.model.system))
    table = {"system": "system.xml", "pdb": str(DATA / "ethanol_water.pdb"), "platform": "Reference"}
    adapter = OpenMMAdapter(OpenMMOptions.read(table, folder=tmp_path))
    assert components(adapter) == pytest.approx(components(made), abs=1e-12)


def test_objects_in_memory_have_openmm_s_energy_and_forces() -> None:
    """Against a plain context of the untouched system, for a box of OpenMM's own water with a barostat in it."""
    box = app.PDBFile(str(Path(app.__file__).parent / "data" / "tip3p.pdb"))
    system = app.ForceField("tip3p.xml").createSystem(box.topology, nonbondedMethod=app.PME, rigidWater=False)
    system.addForce(openmm.MonteCarloBarostat(1.0, 300.0))
    reference = openmm.Platform.getPlatformByName("Reference")
    context = openmm.Context(system, openmm.VerletIntegrator(0.001), reference)
    context.setPositions(box.positions)
    state = context.getState(energy=True, forces=True)
    adapter = OpenMMAdapter.of(system, box.topology, box.positions, OpenMMSettings(platform="Reference"))
    found = adapter.compute(adapter.initial_atoms(), {Quantity.ENERGY, Quantity.FORCES})
    energy = state.getPotentialEnergy().value_in_unit(unit.kilojoule_per_mole) * KJ_PER_MOL
    forces = state.getForces(asNumpy=True).value_in_unit(unit.kilojoule_per_mole / unit.angstrom) * KJ_PER_MOL
    assert found.energy == pytest.approx(energy, rel=1e-12)
    np.testing.assert_allclose(found.forces, forces, atol=1e-10)


def test_a_box_may_have_any_angles_and_come_from_a_pdb() -> None:
    """CHARMM's files have none; a PDB beside the psf brings it, or the option does."""
    files: dict[str, object] = {"psf": "ethanol_water.psf", "parameters": ["ethanol_water.prm"], "cutoff": "5 angstrom"}
    pdb = OpenMMAdapter(OpenMMOptions.read({**files, "pdb": "ethanol_water.pdb"}, folder=DATA))
    np.testing.assert_allclose(pdb.initial_atoms().cell.cellpar(), [13.0, 12.5, 12.0, 90.0, 90.0, 90.0])
    table = {"cell": ["13 angstrom", "14 angstrom", "15 angstrom"], "cell_angles": ["70 deg", "80 deg", "75 deg"]}
    skew = OpenMMAdapter(OpenMMOptions.read({**files, "crd": "ethanol_water.crd", **table}, folder=DATA))
    assert skew.initial_atoms().cell.niggli_reduce()[0].volume == pytest.approx(2467.0265, abs=0.01)


def test_bonds_are_found_in_the_system_where_the_topology_has_none() -> None:
    """Rigid waters are known by constraints alone, whose H-H distance is no bond."""
    made = make("force_field", **METHODS[0])
    topology = app.Topology()
    chain = topology.addChain()
    residues = [topology.addResidue(name, chain) for name in made.topology.residue_names]
    for number, name, residue in zip(made.topology.numbers, made.topology.names, made.topology.residues, strict=True):
        topology.addAtom(name, app.Element.getByAtomicNumber(int(number)), residues[residue])
    system = openmm.XmlSerializer.clone(made.model.system)
    bonds = next(force for force in system.getForces() if isinstance(force, openmm.HarmonicBondForce))
    rigid = openmm.HarmonicBondForce()
    for i, j, length, k in map(bonds.getBondParameters, range(bonds.getNumBonds())):
        if i < 9:
            rigid.addBond(i, j, length, k)
        else:
            system.addConstraint(i, j, length)
    system.removeForce([type(force) for force in system.getForces()].index(openmm.HarmonicBondForce))
    system.addForce(rigid)
    for first in (9, 12):
        system.addConstraint(first + 1, first + 2, 0.15)
    adapter = OpenMMAdapter.of(system, topology, made.model.positions)
    assert np.array_equal(adapter.topology.bonds, made.topology.bonds)


def test_extra_particles_and_bonds_can_be_asked_for(tmp_path: Path) -> None:
    """A PDB of three-site waters with a four-site force field; a bond that the file forgot."""
    made = make("force_field", **METHODS[0])
    text = (DATA / "ethanol_water.pdb").read_text().splitlines()
    waters = [line for line in text if " HOH " in line]
    (tmp_path / "waters.pdb").write_text("\n".join([*waters, "END", ""]))
    files = {"pdb": "waters.pdb", "force_field": ["tip4pew.xml"], "platform": "Reference"}
    adapter = OpenMMAdapter(OpenMMOptions.read(files | {"extra_particles": True}, folder=tmp_path))
    assert adapter.initial_atoms().get_chemical_symbols() == ["O", "H", "H", "X"] * 2
    assert adapter.initial_atoms().get_masses()[3] == 0.0
    (tmp_path / "bare.pdb").write_text("\n".join(line for line in text if not line.startswith("CONECT")))
    bonds = [pair for pair in made.topology.bonds.tolist() if pair[1] < 9]
    files = {"pdb": "bare.pdb", "force_field": [str(DATA / "ethanol_water.xml")], "nonbonded": "no-cutoff"}
    adapter = OpenMMAdapter(OpenMMOptions.read(files | {"bonds": bonds, "platform": "Reference"}, folder=tmp_path))
    assert components(adapter) == components(made)


def test_the_fastest_platform_is_taken_and_named(caplog: pytest.LogCaptureFixture) -> None:
    platforms = [openmm.Platform.getPlatform(i) for i in range(openmm.Platform.getNumPlatforms())]
    fastest = max(platforms, key=lambda each: float(each.getSpeed())).getName()
    with caplog.at_level(logging.INFO, logger="scalespan"):
        components(make("force_field", platform=None, cutoff="5 angstrom"))
        components(make("force_field", platform=None, precision="double", cutoff="5 angstrom"))
    assert f"on platform {fastest}" in caplog.messages[0]
    assert "Reference" in caplog.messages[1] or "double" in caplog.messages[1]


WRONG: list[tuple[dict[str, object], type[ScalespanError], str]] = [
    ({"prmtop": "ethanol_water.prmtop"}, OptionError, "exactly one kind of input"),
    ({"pdb": None}, OptionError, "'force_field' needs the key 'pdb'"),
    ({"pdb": "nowhere.pdb"}, OptionError, "does not exist"),
    ({"force_field": ["tip3q.xml"]}, OptionError, "did you mean 'tip3p.xml'"),
    ({"force_field": ["tip3p.xml"]}, CaseError, "no template for residue ETO"),
    ({"pdb": "ethanol_water.gro"}, CaseError, "ethanol_water.gro"),
    ({"platform": "CUDDA"}, OptionError, "no platform 'CUDDA'"),
    ({"platform": "CPU", "precision": "double"}, OptionError, "no double precision on CPU"),
    ({"cutoff": "9 angstrom"}, AtomsError, "less than twice the cutoff"),
    ({"nonbonded": "no-cutoff", "cutoff": "9 angstrom"}, OptionError, "no use for the key 'cutoff'"),
    ({"switch_distance": "12 angstrom"}, OptionError, "switch_distance must lie between"),
    ({"cutof": "9 angstrom"}, OptionError, "did you mean 'cutoff'"),
    ({"bonds": [(0, 99)]}, OptionError, "no bond joins atoms 0 and 99"),
    ({"gro": "ethanol_water.gro"}, OptionError, "no use for the key 'gro'"),
    ({"restraints": [{"kind": "position", "atoms": [99], "force_constant": "1 eV/angstrom**2"}]}, OptionError, "99"),
]


@pytest.mark.parametrize(("change", "error", "words"), WRONG, ids=[each[2] for each in WRONG])
def test_wrong_input(change: dict[str, object], error: type[ScalespanError], words: str) -> None:
    table = {"platform": "Reference", "cutoff": "5 angstrom", **ROUTES["force_field"], **change}
    with pytest.raises(error) as found:
        components(OpenMMAdapter(OpenMMOptions.read({k: v for k, v in table.items() if v is not None}, folder=DATA)))
    assert words in str(found.value)


def test_wrong_atoms() -> None:
    box, vacuum = make("force_field", cutoff="5 angstrom"), make("force_field", nonbonded="no-cutoff")
    atoms = box.initial_atoms()
    with pytest.raises(AtomsError, match="the atoms are periodic and the force field is not"):
        vacuum.compute(atoms, {Quantity.ENERGY})
    with pytest.raises(AtomsError, match="no periodic cell"):
        box.compute(vacuum.initial_atoms(), {Quantity.ENERGY})
    with pytest.raises(AtomsError, match="14 atoms and the force field is of 15"):
        box.compute(atoms[:-1], {Quantity.ENERGY})
    other = atoms.copy()
    other.numbers[4] = 7
    with pytest.raises(AtomsError, match="atom 4 has the atomic number 7"):
        box.host(other, Motion.read({"timestep": "1 fs"}))
