"""An engine in another participant, asked like a local one: contract, same numbers, the end, what is refused."""

from __future__ import annotations

import numpy as np
import pytest
from ase import Atoms
from ase.build import molecule

from scalespan.adapters.harmonic import HarmonicAdapter
from scalespan.adapters.interface import (
    AtomsError,
    CaseError,
    ChargeError,
    CouplingError,
    EngineFailed,
    ExternalCharges,
    Motion,
    OptionError,
    Quantity,
    Results,
)
from scalespan.adapters.interface.contract import ParticleContract
from scalespan.adapters.interface.contract_probes import warmed
from scalespan.bridges.embedding import Embedding, EmbeddingOptions
from scalespan.bridges.engine import Engine, EngineOptions
from scalespan.bridges.interface import build
from scalespan.bridges.remote import Remote, RemoteOptions
from scalespan.bridges.run.loop import Recording

from .paired import Pair
from .standins import Molecule

SPRINGS = {"offers": ["energy", "forces"]}
THREE = {
    "springs": [
        {"atoms": [0, 1], "stiffness": "30 eV/angstrom**2", "length": "1 angstrom"},
        {"atoms": [1, 2], "stiffness": "20 eV/angstrom**2", "length": "1.2 angstrom"},
    ]
}


def pair(engine, memory=None, **table):
    """Return the local end of a remote engine, and the pair that serves it."""
    shared = {key: value for key, value in table.items() if key not in ("charges", "charge", "conservative")}
    serving = Engine(EngineOptions.read(shared | ({} if memory is None else {"memory": memory})), engine=engine)
    made = Pair(serving)
    return Remote(RemoteOptions.read({"participant": "Quantum", **table}), coupling=made), made


def three_atoms():
    return Atoms("HCO", [(0.1, 0.2, 0.3), (1.3, 0.1, -0.2), (1.9, 1.3, 0.8)])


def springs():
    return HarmonicAdapter(HarmonicAdapter.Options.read(THREE))


class TestSprings(ParticleContract):
    bound = True

    @pytest.fixture(autouse=True)
    def _folder(self, tmp_path):
        self.memory = str(tmp_path / "memory")

    def make_adapter(self):
        return pair(springs(), self.memory, **SPRINGS)[0]

    def make_atoms(self):
        return three_atoms()


class TestMolecule(TestSprings):
    """With charges: points, then fewer Gaussians than there is room for."""

    def make_adapter(self):
        return pair(Molecule(), self.memory, charges=6)[0]

    def make_atoms(self):
        return Atoms("HCOH", [(0.1, 0.2, 0.3), (1.1, 0.1, -0.2), (1.9, 1.3, 0.8), (-0.4, 0.9, 1.3)])

    def make_charges(self):
        places = np.array([(2.0, -1.0, 2.0), (-1.5, 0.2, 0.6), (0.3, 3.0, 0.5)])
        amounts = np.array([0.7, -1.1, 0.4])
        return [ExternalCharges(places, amounts), ExternalCharges(places[:2], amounts[:2], np.array([0.9, 0.6]))]


def test_every_quantity_passes_bit_for_bit():
    """What the engine answers is what arrives, and what is asked is what the engine hears."""

    class Oracle(Molecule):
        offers = frozenset(Quantity)

        def _compute(self, atoms, wanted, charges):
            self.calls.append(atoms)
            self.fields.append(charges)
            rng = np.random.default_rng(len(self.calls))
            shapes = {"energy": (), "forces": (3, 3), "stress": (6,), "charges": (3,), "dipole": (3,)}
            shapes |= {"charge_forces": (2, 3), "charge_potential": (2,)}
            self.given = {name: rng.normal(size=shape) for name, shape in shapes.items()}
            return Results(**self.given | {"energy": float(self.given["energy"])})

    oracle, atoms = Oracle(), three_atoms()
    atoms.set_cell([[4.0, 0.1, 0.2], [0.0, 5.0, 0.3], [0.7, 0.0, 6.0]])
    atoms.pbc = (True, False, True)
    charges = ExternalCharges(np.random.default_rng(1).normal(size=(2, 3)), np.array([0.1, -0.3]), np.array([0.0, 0.2]))
    remote, made = pair(oracle, offers=[each.value for each in Quantity], cell=True, charges=5)
    found = remote.compute(atoms, set(Quantity), charges)
    for name, value in oracle.given.items():
        assert np.array_equal(getattr(found, name), value), name
    heard, field = oracle.calls[0], oracle.fields[0]
    assert np.array_equal(heard.positions, atoms.positions) and np.array_equal(heard.numbers, atoms.numbers)
    assert np.array_equal(heard.cell.array, atoms.cell.array) and np.array_equal(heard.pbc, atoms.pbc)
    for name in ("positions", "charges", "radii"):
        assert np.array_equal(getattr(field, name), getattr(charges, name)), name
    remote.close()
    made.join()


def test_a_call_is_a_window_and_closing_is_one_more():
    remote, made = pair(springs(), **SPRINGS)
    for shift in range(3):
        atoms = three_atoms()
        atoms.positions[0, 0] -= 0.1 * shift
        remote.compute(atoms, {Quantity.ENERGY})
    remote.close()
    made.join()
    assert made.ends[0].windows == made.ends[1].windows == 4
    assert made.ends[0].finished and made.ends[1].finished


def test_the_trajectory_of_an_embedding_is_the_local_one():
    """A water beside another, the near one at the high level: 50 steps, bit for bit."""
    far = molecule("H2O")
    far.translate([2.9, 0.3, 0.1])
    atoms = warmed(molecule("H2O") + far)
    motion = Motion.read({"timestep": "0.5 fs"})
    waters = [("O", 0, 1), ("O", 0, 2), ("O", 3, 4), ("O", 3, 5)]
    low_springs = [{"atoms": [i, j], "stiffness": "30 eV/angstrom**2", "length": "1 angstrom"} for _, i, j in waters]
    found = []
    for high in (Molecule(), pair(Molecule(), charges=4)[0]):
        low = HarmonicAdapter(HarmonicAdapter.Options.read({"springs": low_springs}))
        options = EmbeddingOptions.read(
            {"scheme": "subtractive", "embedding": "mechanical", "region": {"atoms": [0, 1, 2]}}
        )
        model = HarmonicAdapter(HarmonicAdapter.Options.read({"springs": low_springs[:2]}))
        model_level = Embedding(options, low=low, high=high, model=model)
        model_level.start(atoms, motion)
        for _ in range(50):
            model_level.advance(motion.timestep)
        found.append(model_level.atoms)
        model_level.close()
    assert np.array_equal(found[0].positions, found[1].positions)
    assert abs(found[0].positions - atoms.positions).max() > 0.1


class Forgetting(HarmonicAdapter):
    """Springs whose answer depends on how often they were asked: an engine with a memory."""

    name = "forgetting"
    asked = 0

    def _compute(self, atoms, wanted, charges):
        self.asked += 1
        found = super()._compute(atoms, wanted, charges)
        return Results(energy=found.energy + 1e-3 * self.asked, forces=found.forces)

    def _save_engine(self):
        return {"asked": np.array([self.asked])}

    def _restore_engine(self, state):
        self.asked = int(state["asked"][0])


def test_the_engine_s_memory_goes_back_too(tmp_path):
    """In the same process, and from its folder in a new one."""

    def make():
        options = HarmonicAdapter.Options.read(THREE)
        return pair(Forgetting(options), memory=str(tmp_path / "states"), **SPRINGS)[0]

    def energies(remote, count):
        return [remote.compute(three_atoms(), {Quantity.ENERGY}).energy for _ in range(count)]

    first = make()
    energies(first, 3)
    state = first._save_engine()
    assert first._save_engine() == state, "nothing was computed meanwhile"
    expected = energies(first, 2)
    first._restore_engine(state)
    assert energies(first, 2) == expected
    first.close()
    other = make()
    other._restore_engine(state)
    assert energies(other, 2) == expected
    other.close()


def test_a_state_that_is_lost_is_named():
    remote, _ = pair(springs(), **SPRINGS)
    remote._restore_engine({"memory": np.array([7])})
    with pytest.raises(CaseError, match="state number 7 is not here"):
        remote.compute(three_atoms(), {Quantity.ENERGY})


def test_more_charges_than_places_are_refused():
    remote, _ = pair(Molecule())
    charges = ExternalCharges(np.array([[4.0, 0, 0], [5.0, 0, 0]]), np.ones(2))
    remote.compute(three_atoms(), {Quantity.ENERGY}, charges)
    many = ExternalCharges(np.arange(12.0).reshape(4, 3) + 5.0, np.ones(4))
    with pytest.raises(ChargeError, match="4 external charges, and the mesh has room for 3; set charges = 5"):
        remote.compute(three_atoms(), {Quantity.ENERGY}, many)
    remote.close()


def test_other_atoms_are_refused():
    remote, _ = pair(springs(), **SPRINGS)
    remote.compute(three_atoms(), {Quantity.ENERGY})
    with pytest.raises(AtomsError, match="there are 2 atoms, and the mesh is of 3"):
        remote.compute(three_atoms()[:2], {Quantity.ENERGY})
    with pytest.raises(AtomsError, match="cell = true"):
        remote.compute(Atoms("HCO", three_atoms().positions, cell=[9, 9, 9], pbc=True), {Quantity.ENERGY})
    remote.close()


def test_an_engine_s_error_ends_the_question():
    class Failing(HarmonicAdapter):
        name = "failing"

        def _compute(self, atoms, wanted, charges):
            raise EngineFailed("the SCF did not converge")

    remote, made = pair(Failing(HarmonicAdapter.Options.read(THREE)), **SPRINGS)
    with pytest.raises(EngineFailed, match="the SCF did not converge"):
        remote.compute(three_atoms(), {Quantity.ENERGY})
    remote.close()  # must not speak to a partner that is gone
    made.join()


def test_a_question_needs_a_coupling_and_it_must_run():
    alone = build({"use": "remote", "participant": "Quantum"}, where="model")
    with pytest.raises(CaseError, match="needs a coupling"):
        alone.compute(three_atoms(), {Quantity.ENERGY})
    engine = Engine(EngineOptions.read(SPRINGS), engine=springs())
    brief = Pair(engine, until=1.0)
    remote = build({"use": "remote", "participant": "Quantum", **SPRINGS}, where="model", coupling=brief)
    remote.compute(three_atoms(), {Quantity.ENERGY})
    with pytest.raises(CouplingError, match="raise max-time"):
        remote.compute(three_atoms(), {Quantity.ENERGY})


def test_a_scheme_that_asks_twice_is_refused():
    tape = Recording(1.0, 1.0, {"Energy": [np.zeros((3, 1))], "Force": [np.zeros((3, 3))]}, repeats=1)
    remote = Remote(RemoteOptions.read({"participant": "Quantum", **SPRINGS}), coupling=lambda: tape)
    with pytest.raises(CouplingError, match="serial-explicit"):
        remote.compute(three_atoms(), {Quantity.ENERGY})


def test_the_audit_names_what_the_engine_lacks():
    with pytest.raises(OptionError, match="harmonic does not offer charge_forces, charge_potential"):
        Engine(EngineOptions.read({}), engine=springs()).audit()
    assert Engine(EngineOptions.read(SPRINGS), engine=springs()).audit()
