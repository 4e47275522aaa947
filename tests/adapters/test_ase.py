"""Every ASE calculator is an adapter, and the adapter says clearly what it cannot take."""

import subprocess
import sys
from typing import Any

import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk, molecule
from ase.calculators.calculator import CalculationFailed, Calculator, InputError, SCFError, all_changes
from ase.calculators.emt import EMT
from ase.calculators.lj import LennardJones
from ase.calculators.morse import MorsePotential
from ase.calculators.tip3p import TIP3P, angleHOH, rOH

from scalespan.adapters.ase import ASEAdapter, ASEOptions
from scalespan.adapters.interface import (
    ADAPTERS,
    AtomsError,
    EngineFailed,
    EngineMissing,
    NotConverged,
    NotOffered,
    OptionError,
    Quantity,
    ScalespanError,
)
from scalespan.adapters.interface.contract import ParticleContract

BOTH = {Quantity.ENERGY, Quantity.FORCES}


def adapter_of(calculator: str, **keywords: Any) -> ASEAdapter:
    return ASEAdapter(ASEOptions.read({"calculator": calculator, "keywords": keywords}))


def shaken(atoms: Atoms, by: float = 0.08) -> Atoms:
    atoms.rattle(by, seed=1)
    return atoms


def water_dimer(distance: float) -> Atoms:
    """Two rigid waters as in ASE's test of its QM/MM calculators, order H H O."""
    r, a = rOH, np.radians(angleHOH)
    first = [(r * np.cos(a), 0, r * np.sin(a)), (r, 0, 0), (0, 0, 0)]
    second = [(r * np.cos(a / 2), r * np.sin(a / 2), 0), (r * np.cos(a / 2), -r * np.sin(a / 2), 0), (0, 0, 0)]
    return Atoms("HHOHHO", np.array(first + [(x + distance, y, z) for x, y, z in second]))


class TestGFN2(ParticleContract):
    energy_tolerance = 1e-7  # tblite's SCF ends at 1e-6 Eh times the accuracy, and the order of atoms changes its path

    def make_adapter(self) -> ASEAdapter:
        return adapter_of("tblite", accuracy=0.001)

    def make_atoms(self) -> Atoms:
        return shaken(molecule("CH3OH"))


class TestGFN1Crystal(ParticleContract):
    energy_tolerance = 1e-5  # tblite cuts its lattice sums at distances that see a shift or a strain
    gradient_tolerance = 5e-5
    stress_tolerance = 5e-5

    def make_adapter(self) -> ASEAdapter:
        return adapter_of("tblite.ase.TBLite", method="GFN1-xTB", accuracy=0.001)

    def make_atoms(self) -> Atoms:
        atoms = molecule("HCN")
        atoms.set_cell([(6.0, 0, 0), (0.7, 6.5, 0), (0.3, -0.4, 7.0)])
        atoms.pbc = True
        return shaken(atoms)


class TestEMT(ParticleContract):
    def make_adapter(self) -> ASEAdapter:
        return adapter_of("emt")

    def make_atoms(self) -> Atoms:
        atoms = bulk("Cu", cubic=True)
        atoms.symbols[1] = "Ni"
        return shaken(atoms)


class TestTIP3P(ParticleContract):
    bound = True  # it takes H H O or O H H, molecule by molecule
    extensive = False

    def make_adapter(self) -> ASEAdapter:
        return adapter_of("tip3p", rc=9.0)

    def make_atoms(self) -> Atoms:
        return shaken(water_dimer(3.0))


class TestRoundTrip(TestEMT):
    """Adapter to calculator to adapter keeps the whole contract, stress included."""

    def make_adapter(self) -> ASEAdapter:
        return ASEAdapter.of(adapter_of("emt").as_calculator())


def test_the_round_trip_is_exact() -> None:
    atoms = TestEMT().make_atoms()
    wanted = BOTH | {Quantity.STRESS}
    direct, round_trip = (each().make_adapter().compute(atoms, wanted) for each in (TestEMT, TestRoundTrip))
    assert round_trip.energy == direct.energy
    np.testing.assert_array_equal(round_trip.forces, direct.forces)
    np.testing.assert_array_equal(round_trip.stress, direct.stress)


# ASE 3.29, ase/test/test_qmmm.py: energy (eV) of the dimer, Σ F_x (eV/Å) on its first molecule.
@pytest.mark.parametrize(
    ("distance", "energy", "force"),
    [
        (2.5, -0.1720911003, -1.048383138),
        (2.74, -0.2694159808, -0.0188204483),
        (3.0, -0.2397637059, 0.1810750939),
        (3.5, -0.1528499407, 0.1437551519),
    ],
)
def test_the_tip3p_dimer_of_ase(distance: float, energy: float, force: float) -> None:
    results = adapter_of("tip3p", rc=9.0).compute(water_dimer(distance), BOTH)
    assert results.energy == pytest.approx(energy, abs=1e-9)
    assert results.forces is not None
    assert results.forces[:3, 0].sum() == pytest.approx(force, abs=1e-8)


# The manual of tblite 0.8, Python API, ASE: ase.build.molecule("H2O"); eV, eV/Å, e·Å.
def test_gfn2_water_of_the_tblite_manual() -> None:
    results = adapter_of("tblite").compute(molecule("H2O"), BOTH | {Quantity.DIPOLE})
    assert results.energy == pytest.approx(-137.96777594361677, abs=1e-5)
    assert results.forces is not None and results.dipole is not None
    np.testing.assert_allclose(results.forces[0], [0, 0, -7.49527168e-01], atol=1e-5)
    np.testing.assert_allclose(results.dipole, [0, 0, -4.76020974e-01], atol=1e-5)


def test_gfn1_water_of_the_tblite_manual() -> None:
    results = adapter_of("tblite", method="GFN1-xTB").compute(molecule("H2O"), {Quantity.ENERGY, Quantity.CHARGES})
    assert results.energy == pytest.approx(-156.96750590276173, abs=1e-5)
    np.testing.assert_allclose(results.charges, [-0.66558478, 0.33279239, 0.33279239], atol=1e-5)


def test_charge_by_keyword_and_by_the_atoms() -> None:
    anion = -131.50015843891816  # the manual's H2O−
    charged = molecule("H2O")
    charged.set_initial_charges([0, 0, -1])
    assert adapter_of("tblite", charge=-1).compute(molecule("H2O"), BOTH).energy == pytest.approx(anion, abs=1e-5)
    assert adapter_of("tblite").compute(charged, BOTH).energy == pytest.approx(anion, abs=1e-5)


def test_the_lifted_adapter_sees_a_change_of_charge() -> None:
    atoms = molecule("H2O")
    atoms.calc = adapter_of("tblite").as_calculator()
    neutral = atoms.get_potential_energy()
    atoms.set_initial_charges([0, 0, -1])
    assert atoms.get_potential_energy() > neutral + 6.0


def test_the_answer_does_not_depend_on_what_was_asked_before() -> None:
    adapter, atoms = adapter_of("tblite"), shaken(molecule("CH3OH"))
    fresh = adapter.compute(atoms, BOTH)
    for seed in (5, 6, 7):
        other = atoms.copy()
        other.rattle(0.05, seed=seed)
        adapter.compute(other, BOTH)
    after = adapter.compute(atoms, BOTH)
    assert after.energy == fresh.energy
    np.testing.assert_array_equal(after.forces, fresh.forces)


def test_tblite_is_quiet(capfd: pytest.CaptureFixture[str]) -> None:
    adapter_of("tblite").compute(molecule("H2O"), BOTH)
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize(
    ("name", "kind", "keywords", "atoms"),
    [
        ("emt", EMT, {"asap_cutoff": True}, bulk("Cu", cubic=True)),
        ("lj", LennardJones, {"epsilon": 0.0104, "sigma": 3.4, "smooth": True}, bulk("Ar", "fcc", 5.3, cubic=True)),
        ("ase.calculators.morse.MorsePotential", MorsePotential, {"r0": 2.6}, bulk("Cu", cubic=True)),
        ("tip3p", TIP3P, {"rc": 9.0}, water_dimer(3.0)),
    ],
)
def test_the_numbers_are_the_calculators_own(name: str, kind: Any, keywords: dict[str, Any], atoms: Atoms) -> None:
    adapter, atoms = adapter_of(name, **keywords), shaken(atoms.copy())
    results = adapter.compute(atoms, adapter.offers)
    atoms.calc = kind(**keywords)
    assert results.energy == atoms.get_potential_energy()
    np.testing.assert_array_equal(results.forces, atoms.get_forces())
    if Quantity.STRESS in adapter.offers:
        np.testing.assert_array_equal(results.stress, atoms.get_stress())


def test_energy_is_the_one_whose_gradient_the_forces_are() -> None:
    free = Scripted(answers={"energy": 1.0, "free_energy": 2.0})
    assert ASEAdapter.of(free).compute(Atoms("H"), {Quantity.ENERGY}).energy == 2.0


class Scripted(Calculator):
    """A calculator that does what it is told: answers, or raises."""

    def __init__(self, answers: dict[str, Any] | None = None, error: Exception | None = None) -> None:
        super().__init__()
        self.answers, self.error = answers or {"energy": 0.0}, error
        self.implemented_properties = list(self.answers)
        self.closed = 0

    def calculate(self, atoms: Any = None, properties: Any = None, system_changes: Any = all_changes) -> None:
        super().calculate(atoms, properties, system_changes)
        if self.error is not None:
            raise self.error
        self.results = self.answers

    def close(self) -> None:
        self.closed += 1


@pytest.mark.parametrize(
    ("raised", "becomes"),
    [
        (CalculationFailed("boom"), EngineFailed),
        (SCFError("250 cycles"), NotConverged),
        (NotImplementedError("no potential for Xe"), AtomsError),
        (InputError("no such method"), OptionError),
        (ZeroDivisionError("division by zero"), EngineFailed),
    ],
    ids=lambda each: getattr(each, "__name__", type(each).__name__),
)
def test_errors_are_translated_and_keep_their_cause(raised: Exception, becomes: type[ScalespanError]) -> None:
    with pytest.raises(becomes, match=str(raised)) as caught:
        ASEAdapter.of(Scripted(error=raised)).compute(Atoms("H"), {Quantity.ENERGY})
    assert type(caught.value) is becomes
    assert caught.value.__cause__ is raised


def test_an_answer_that_is_not_finite_is_refused() -> None:
    with pytest.raises(EngineFailed, match="not finite: energy"):
        ASEAdapter.of(Scripted(answers={"energy": np.nan})).compute(Atoms("H"), {Quantity.ENERGY})


def test_a_calculator_without_forces() -> None:
    adapter = ASEAdapter.of(Scripted())
    assert adapter.offers == {Quantity.ENERGY}
    with pytest.raises(NotOffered, match="does not offer forces; it offers energy"):
        adapter.compute(Atoms("H"), {Quantity.FORCES})
    atoms = Atoms("H", calculator=adapter.as_calculator())
    assert atoms.get_potential_energy() == 0.0


def test_a_calculator_without_energy() -> None:
    with pytest.raises(NotOffered, match="gives no energy"):
        ASEAdapter.of(Scripted(answers={"dipole": np.zeros(3)}))


def test_forces_that_are_no_gradient_say_so() -> None:
    table = {"calculator": "emt", "conservative": False}
    assert not ASEAdapter(ASEOptions.read(table)).conservative
    assert not ASEAdapter.of(Scripted(), conservative=False).conservative


def test_a_stress_of_nine_numbers_becomes_six() -> None:
    nine = np.array([[1.0, 6, 5], [6, 2, 4], [5, 4, 3]])
    adapter = ASEAdapter.of(Scripted(answers={"energy": 0.0, "stress": nine}))
    atoms = Atoms("H", cell=np.eye(3), pbc=True)
    np.testing.assert_array_equal(adapter.compute(atoms, {Quantity.STRESS}).stress, [1, 2, 3, 4, 5, 6])


def test_the_calculator_is_closed() -> None:
    calculator = Scripted()
    ASEAdapter.of(calculator).close()
    assert calculator.closed == 1


@pytest.mark.parametrize(
    ("calculator", "keywords", "error", "sentence"),
    [
        ("emtt", {}, OptionError, "calculator: ASE has no calculator called 'emtt'; did you mean 'emt'"),
        ("tblite.ase.TBlite", {}, OptionError, "calculator: tblite.ase has no class called 'TBlite'; did you mean"),
        ("tblite.asee.TBLite", {}, OptionError, "calculator: there is no module tblite.asee; correct"),
        ("no_such_package.ase.Engine", {}, EngineMissing, "no_such_package is not installed for"),
        ("tblite", {"metod": "GFN1-xTB"}, OptionError, "keywords: tblite knows no keyword 'metod'; did you mean"),
        ("tblite", {"method": "GFN9"}, EngineFailed, "tblite raised TBLiteValueError: Method 'GFN9' is not available"),
        ("tblite", {"solvation": ["alpb", "sand"]}, OptionError, "tblite refuses its input: "),
        ("tblite", {"multiplicity": 2}, EngineFailed, "unpaired electrons (1) is not compatible"),
        ("tblite", {"max_iterations": 2}, NotConverged, "tblite did not converge: SCF not converged in 2 cycles"),
        ("tip3p", {"cutoff": 5.0}, OptionError, "keywords: tip3p knows no keyword 'cutoff'; known: rc, width"),
        ("orca", {}, EngineMissing, "orca is not set up here"),
        ("emt", {}, AtomsError, "emt cannot take these atoms: No EMT-potential for Xe"),
        ("", {}, OptionError, "'calculator'"),
    ],
)
def test_every_mistake_has_its_sentence(
    calculator: str, keywords: dict[str, Any], error: type[ScalespanError], sentence: str
) -> None:
    atoms = shaken(Atoms("XeH2", [(0, 0, 0), (0, 0, 3), (0, 2, 3)]))
    with pytest.raises(error) as caught:
        adapter_of(calculator, **keywords).compute(atoms, {Quantity.ENERGY})
    assert sentence in str(caught.value)


def test_without_tblite_the_hint_says_what_to_type(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "tblite", None)
    monkeypatch.delitem(sys.modules, "tblite.ase", raising=False)
    with pytest.raises(EngineMissing, match=r"tblite is not installed for .*type: pip install 'scalespan\[xtb\]'"):
        adapter_of("tblite")


def test_the_audit_shows_the_calculator() -> None:
    (table,) = adapter_of("emt", asap_cutoff=True).audit(bulk("Cu"))
    assert table.rows[0] == ("emt", "asap_cutoff = True", "energy, forces, stress")


def test_the_registry_knows_it() -> None:
    assert ADAPTERS.find("ase") is ASEAdapter


def test_importing_the_adapter_imports_no_calculator() -> None:
    code = "import sys, scalespan.adapters.ase; assert 'tblite' not in sys.modules, 'tblite was imported'"
    subprocess.run([sys.executable, "-c", code], check=True)
