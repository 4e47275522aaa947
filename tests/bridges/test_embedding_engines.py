"""OpenMM as the low level: the contract, exact identities, and trajectories inside it and outside."""

from pathlib import Path

import numpy as np
import pytest
from openmm import app

from scalespan.adapters.interface import ADAPTERS, Motion, NotConverged, ParticleAdapter, Quantity
from scalespan.adapters.interface.contract import ParticleContract
from scalespan.bridges.embedding import Embedding, EmbeddingOptions

from .standins import Molecule

DATA = Path(__file__).parents[1] / "data" / "openmm"
WANTED = {Quantity.ENERGY, Quantity.FORCES}
ETHANOL, WATER = list(range(9)), [9, 10, 11]
FADE = {"cutoff": "3.5 angstrom", "switch": "2 angstrom", "leftover": "keep"}
BOX = {"cutoff": "5 angstrom", "switch_distance": "4.5 angstrom"}


def openmm(**table):
    find = ADAPTERS.find("openmm")
    files = {"pdb": "ethanol_water.pdb", "force_field": ["ethanol_water.xml"], "platform": "Reference"}
    return find(find.Options.read(files | table, folder=DATA))


def embedding(low, high, region, **table):
    return Embedding(EmbeddingOptions.read({"region": {"atoms": region}, **table}), low=low, high=high)


class TestVacuum(ParticleContract):
    bound = True
    timestep = 0.25

    def make_adapter(self):
        return embedding(openmm(nonbonded="no-cutoff"), Molecule(), ETHANOL[4:], charges={"leftover": "keep"})

    def make_atoms(self):
        atoms = openmm(nonbonded="no-cutoff").initial_atoms()
        atoms.rattle(0.03, seed=2)
        return atoms


class TestBox(ParticleContract):
    """Charges that fade; NPT too, whose trial boxes are answered with the true energy."""

    bound = True
    timestep = 0.25

    def make_adapter(self):
        return embedding(openmm(nonbonded="cutoff-periodic", **BOX), Molecule(), ETHANOL[4:], charges=FADE)

    def make_atoms(self):
        atoms = openmm(nonbonded="cutoff-periodic", **BOX).initial_atoms()
        atoms.rattle(0.03, seed=2)
        return atoms


def one_molecule(region):
    """Return OpenMM's adapter of a molecule of the box alone, with the same force field."""
    pdb = app.PDBFile(str(DATA / "ethanol_water.pdb"))
    atoms = list(pdb.topology.atoms())
    modeller = app.Modeller(pdb.topology, pdb.positions)
    modeller.delete([atom for atom in atoms if atom.index not in region])
    modeller.topology.setPeriodicBoxVectors(None)
    system = app.ForceField(str(DATA / "ethanol_water.xml")).createSystem(modeller.topology, rigidWater=False)
    find = ADAPTERS.find("openmm")
    settings = openmm(nonbonded="no-cutoff").settings
    return find.of(system, modeller.topology, modeller.positions, settings)


@pytest.mark.parametrize("nonbonded", [{"nonbonded": "no-cutoff"}, BOX | {"nonbonded": "cutoff-periodic"}])
@pytest.mark.parametrize("scheme", ["subtractive", "additive"])
def test_openmm_in_openmm_is_openmm(scheme, nonbonded):
    """A whole molecule of the same force field on both sides: the plain engine, to 1e-10 eV."""
    low = openmm(**nonbonded)
    atoms = low.initial_atoms()
    atoms.rattle(0.05, seed=3)
    model = embedding(low, one_molecule(WATER), WATER, scheme=scheme, embedding="mechanical")
    plain, joined = low.compute(atoms, WANTED), model.compute(atoms, WANTED)
    assert joined.energy == pytest.approx(plain.energy, abs=1e-10)
    assert joined.forces == pytest.approx(plain.forces, abs=1e-10)


def test_every_interaction_of_the_real_force_field_is_counted_once():
    low = openmm(nonbonded="no-cutoff")
    model = embedding(low, Molecule(), ETHANOL[4:], charges={"leftover": "keep"})
    table = next(each for each in model.audit(low.initial_atoms()) if each.title == "Who computes what")
    found = {row[:2]: row[2:] for row in table.rows}
    assert {row[-1] for row in table.rows} == {"once"}
    assert found["torsion", "across"][0] == found["torsion", "across"][1] != "0"
    assert found["Coulomb", "across"][1:3] == ("0", "through charges")


def trajectory(model, atoms, steps, dt="0.5 fs"):
    motion = Motion.read({"timestep": dt})
    model.start(atoms, motion)
    for _ in range(steps):
        model.advance(motion.timestep)
    return model.atoms


class Driven(Embedding):
    """The same embedding, moved by ASE's drivers although its low level could do it."""

    def start(self, atoms, motion):
        ParticleAdapter.start(self, atoms, motion)


@pytest.mark.slow
def test_inside_openmm_and_under_ase_is_one_trajectory():
    """Hartree-Fock ethanol, cut, in a box with charges that fade: 50 steps by velocity Verlet, twice."""
    pyscf = ADAPTERS.find("pyscf")
    table = {"method": "rhf", "basis": "sto-3g", "convergence": "1e-11 hartree", "far_field": "never"}
    options = EmbeddingOptions.read({"region": {"atoms": ETHANOL[4:]}, "charges": FADE})
    low = openmm(nonbonded="cutoff-periodic", **BOX)
    atoms = low.initial_atoms()
    atoms.set_momenta(np.random.default_rng(1).normal(scale=0.2, size=(len(atoms), 3)))
    hosted, driven = (kind(options, low=low, high=pyscf(pyscf.Options.read(table))) for kind in (Embedding, Driven))
    one, other = trajectory(hosted, atoms, 50), trajectory(driven, atoms, 50)
    assert np.linalg.norm(one.positions - atoms.positions, axis=1).max() > 0.1, "nothing moved, so nothing is tested"
    assert one.positions == pytest.approx(other.positions, abs=1e-6)
    assert hosted.observe().potential == pytest.approx(driven.observe().potential, abs=1e-6)


def test_one_quantum_call_per_step_inside_openmm():
    high = Molecule()
    model = embedding(openmm(nonbonded="cutoff-periodic", **BOX), high, ETHANOL[4:], charges=FADE)
    trajectory(model, openmm(nonbonded="cutoff-periodic", **BOX).initial_atoms(), 1)
    before = len(high.calls)
    for _ in range(10):
        model.advance(model.longest_step)
        model.observe()
        model.observe()
    assert len(high.calls) - before == 10


def test_the_trial_boxes_of_a_barostat_have_the_embedding_s_energy():
    """−∂E/∂V by differences of boxes scaled by molecules is what the host answers with: no virial is left out."""
    low, high = openmm(nonbonded="cutoff-periodic", **BOX), Molecule()
    model, atoms = embedding(low, high, ETHANOL[4:], charges=FADE), low.initial_atoms()
    motion = Motion.read(
        {
            "timestep": "0.25 fs",
            "ensemble": "npt",
            "temperature": "300 K",
            "friction": "1 / ps",
            "pressure": "1 bar",
            "barostat_interval": 1,
        }
    )
    model.start(atoms, motion)
    seen = set()
    for _ in range(12):
        model.advance(motion.timestep)
        now, expected = model.observe(), model.compute(model.atoms, {Quantity.ENERGY})
        assert now.potential == pytest.approx(expected.energy, abs=1e-8)
        assert now.components["high"] == pytest.approx(expected.components["high"], abs=1e-8)
        seen.add(round(now.volume, 6))
    assert len(seen) > 3, "no trial box was accepted, so nothing is tested"


def test_forces_on_virtual_sites_reach_the_atoms_inside_openmm():
    """TIP4P-Ew carries its charge on a site; OpenMM hands the site's force on, so the energy is kept."""
    find = ADAPTERS.find("openmm")
    table = {"pdb": "droplet.pdb", "force_field": ["tip4pew.xml"], "extra_particles": True, "platform": "Reference"}
    low = find(find.Options.read(table | {"nonbonded": "no-cutoff"}, folder=DATA.parent))
    assert (low.topology.numbers == 0).sum() == 65
    model = embedding(low, Molecule(), [0, 1, 2, 3])
    motion = Motion.read({"timestep": "0.1 fs"})
    model.start(low.initial_atoms(), motion)
    totals, highs = [], []
    for _ in range(40):
        model.advance(motion.timestep)
        seen = model.observe()
        totals.append(seen.potential + seen.kinetic)
        highs.append(seen.components["high"])
    assert np.ptp(highs) > 0.05, "the high level's energy does not change, so nothing is tested"
    assert np.ptp(totals) < 0.02 * np.ptp(highs)


def test_an_error_of_the_high_level_comes_out_of_openmm_as_it_was_raised():
    class Gives(Molecule):
        def _compute(self, atoms, wanted, charges):
            if len(self.calls) == 3:
                raise NotConverged("no density was found", todo="look at the geometry")
            return super()._compute(atoms, wanted, charges)

    model = embedding(openmm(nonbonded="cutoff-periodic", **BOX), Gives(), ETHANOL[4:], charges=FADE)
    with pytest.raises(NotConverged, match="no density was found"):
        trajectory(model, openmm(nonbonded="cutoff-periodic", **BOX).initial_atoms(), 5)


def test_three_layers_of_three_engines():
    """RHF in GFN2-xTB in OpenMM, bonds cut at both borders: forces are the gradient along a random direction."""
    pytest.importorskip("tblite")
    xtb, pyscf = ADAPTERS.find("ase"), ADAPTERS.find("pyscf")
    keywords = {"method": "GFN2-xTB", "verbosity": 0, "accuracy": 1e-4}
    middle = xtb(xtb.Options.read({"calculator": "tblite.ase.TBLite", "keywords": keywords}))
    high = pyscf(pyscf.Options.read({"method": "rhf", "basis": "sto-3g", "convergence": "1e-13 hartree"}))
    inner = embedding(middle, high, [3, 4], embedding="mechanical")
    low = openmm(nonbonded="no-cutoff")
    model = embedding(low, inner, ETHANOL[4:], embedding="mechanical")
    atoms = low.initial_atoms()
    atoms.rattle(0.02, seed=4)
    forces = model.compute(atoms, WANTED).forces
    along = np.random.default_rng(4).normal(size=forces.shape)
    energies = []
    for step in (-2e-3, -1e-3, 1e-3, 2e-3):
        moved = atoms.copy()
        moved.positions += step * along
        energies.append(model.compute(moved, {Quantity.ENERGY}).energy)
    slope = (energies[0] - 8 * energies[1] + 8 * energies[2] - energies[3]) / (12 * 1e-3)
    assert -float((forces * along).sum()) == pytest.approx(slope, abs=5e-5)
