"""Units, options, errors, data and motion: what every adapter stands on."""

from __future__ import annotations

import pickle
import re
from pathlib import Path

import numpy as np
import pytest
from ase import units
from pydantic import BaseModel

from scalespan.adapters.interface import (
    CaseError,
    CaseFile,
    EngineImport,
    EngineMissing,
    ExternalCharges,
    OptionError,
    Options,
    Quantity,
    Results,
    ScalespanError,
    Topology,
    UnitError,
    errors,
    nearest,
    under,
)
from scalespan.adapters.interface.units import (
    COULOMB,
    FEMTOSECOND,
    KCAL_PER_MOL,
    KJ_PER_MOL,
    NANOMETRE,
    PICOSECOND,
    Length,
    convert,
    quantity,
    show,
)

# Units


def test_a_kilojoule_per_mole_is_mechanical() -> None:
    # 1 kJ/mol = 1 amu nm²/ps², if a mole of amu were a gram. In CODATA 2014, which ASE uses, it is
    # short of one by 2.6e-10, and so much do ASE's molar unit and ours differ.
    assert KJ_PER_MOL == (NANOMETRE / PICOSECOND) ** 2
    assert units.kJ / units.mol * (units._amu * units._Nav * 1000) == pytest.approx(KJ_PER_MOL, rel=1e-14)
    assert units.kJ / units.mol / KJ_PER_MOL - 1 == pytest.approx(2.57e-10, abs=1e-12)


@pytest.mark.parametrize(
    ("text", "dimension", "value"),
    [
        ("1.5 nm", "length", 15.0),
        ("1 bohr", "length", units.Bohr),
        ("1 hartree", "energy", units.Hartree),
        ("2 kcal/mol", "energy", 2 * KCAL_PER_MOL),
        ("1 hartree/bohr", "force", units.Hartree / units.Bohr),
        ("1000 kJ/mol/nm", "force", 100 * KJ_PER_MOL),
        ("0.5 fs", "time", 0.5 * FEMTOSECOND),
        ("2 ps", "time", 2 * PICOSECOND),
        ("1/ps", "frequency", 1 / PICOSECOND),
        ("300 K", "temperature", 300.0),
        ("26.85 degC", "temperature", 300.0),
        ("1 bar", "pressure", units.bar),
        ("1 atm", "pressure", 1.01325 * units.bar),
        ("180 deg", "angle", np.pi),
        ("-0.834 e", "charge", -0.834),
        ("12 dalton", "mass", 12.0),
        ("10 kcal/mol/angstrom**2", "spring", 10 * KCAL_PER_MOL),
        ("100 kJ/mol/nm**2", "spring", KJ_PER_MOL),
        ("100 kJ/mol/rad**2", "torsion", 100 * KJ_PER_MOL),
    ],
)
def test_a_quantity_in_any_unit(text: str, dimension: str, value: float) -> None:
    assert quantity(text, dimension) == pytest.approx(value, rel=1e-8)


@pytest.mark.parametrize(
    ("text", "dimension", "sentence"),
    [
        (0.5, "time", '0.5 has no unit; write the time as text with a unit, like "0.5 fs"'),
        (True, "length", "True has no unit"),
        (None, "length", "None has no unit"),
        ("0.5", "time", "'0.5' has no unit; write the time"),
        ("1 fs", "length", "'1 fs' has the unit femtosecond, which is no length"),
        ("1 kJ/mol", "length", "which is no length"),
        ("300", "temperature", "'300' has no unit"),
        ("1 eV", "force", "'1 eV' has the unit electron_volt, which is no force"),
        ("1 angstrom**2", "spring", "which is no spring"),
        ("3 blorps", "length", "'3 blorps' cannot be read as a quantity"),
        ("", "length", "'' cannot be read as a quantity"),
        ("1 eV +", "energy", "cannot be read"),
        ("import os", "energy", "cannot be read"),
        ("1 bar", "frequency", "which is no frequency"),
        ("1 nm", "angle", "which is no angle"),
        ("1 K", "charge", "which is no charge"),
        ("1 K", "mass", "which is no mass"),
        ("1 eV", "pressure", "which is no pressure"),
        ("1 nm", "torsion", "which is no torsion"),
        ("60", "angle", "'60' has no unit"),
        ("nan eV", "energy", "is not finite"),
        ("inf fs", "time", "is not finite"),
    ],
)
def test_a_bad_quantity_has_its_sentence(text: object, dimension: str, sentence: str) -> None:
    with pytest.raises(UnitError) as caught:
        quantity(text, dimension)
    assert sentence in str(caught.value)


def test_a_number_is_shown_in_a_chosen_unit() -> None:
    assert show(FEMTOSECOND * 2.5, "fs", "time") == "2.5 fs"
    assert show(KCAL_PER_MOL, "eV", "energy") == "0.0433641 eV"


@pytest.mark.parametrize(
    ("value", "unit", "to", "expected"),
    [
        (1.0, "eV", "kJ/mol", 1 / KJ_PER_MOL),
        (2.0, "kcal/mol/angstrom", "eV/angstrom", 2 * KCAL_PER_MOL),
        (1.0, "hartree/bohr", "eV/angstrom", units.Hartree / units.Bohr),
        (5.0, "fs", "ps", 0.005),
    ],
)
def test_a_number_is_converted(value: float, unit: str, to: str, expected: float) -> None:
    assert convert(value, unit, to) == pytest.approx(expected, rel=1e-8)


@pytest.mark.parametrize(("unit", "to"), [("eV", "fs"), ("blorp", "eV")])
def test_a_number_that_cannot_be_converted_says_so(unit: str, to: str) -> None:
    with pytest.raises(UnitError, match=f"'{unit}'"):
        convert(1.0, unit, to)


def test_coulomb_is_the_constant_of_charge_in_vacuum() -> None:
    # CODATA 2018: e²/(4πε₀) = 14.399645478 eV·Å
    assert pytest.approx(14.399645478, rel=1e-8) == COULOMB


# Errors


def tree() -> dict[str, tuple[str, int]]:
    """Read the tree drawn in the docstring: class -> (its parent, its exit status)."""
    found: dict[str, tuple[str, int]] = {}
    above: dict[int, str] = {}
    for line in (errors.__doc__ or "").splitlines():
        match = re.match(r"^(?P<branch>[ │├└─]*)(?P<name>[A-Z]\w+)\s+(?P<status>\d)\s", line)
        if match:
            depth = len(match["branch"])
            parent = next((above[d] for d in range(depth - 1, -1, -1) if d in above), "Exception")
            above = {d: name for d, name in above.items() if d < depth} | {depth: match["name"]}
            found[match["name"]] = (parent, int(match["status"]))
    return found


def test_the_tree_in_the_docstring_is_the_tree_in_the_code() -> None:
    classes = [each for each in vars(errors).values() if isinstance(each, type) and issubclass(each, ScalespanError)]
    assert {each.__name__: (each.__mro__[1].__name__, each.status) for each in classes} == tree()
    assert len(classes) == 13


def test_an_error_says_where_what_and_what_to_do() -> None:
    error = OptionError("the key 'basis' is missing", where="[model.high]", todo="add basis = …")
    assert str(error) == "[model.high]: the key 'basis' is missing; add basis = …"
    assert str(error.at("case.toml")) == "case.toml: [model.high]: the key 'basis' is missing; add basis = …"
    assert type(error.at("case.toml")) is OptionError
    assert str(CaseError("plain")) == "plain"


def test_an_error_reaches_other_ranks_whole() -> None:
    error = OptionError("the key 'basis' is missing", where="[model.high]", todo="add basis = …")
    copy = pickle.loads(pickle.dumps(error))
    assert (type(copy), str(copy)) == (OptionError, str(error))


def test_a_missing_engine_says_what_to_type_and_where() -> None:
    with EngineImport("openmm", install="pip install 'scalespan[openmm]'") as engine:
        import no_such_engine  # noqa: F401
    with pytest.raises(EngineMissing, match=r"openmm is not installed for .*python.*; type: pip install") as caught:
        engine.need()
    assert isinstance(caught.value.__cause__, ModuleNotFoundError)


def test_a_broken_engine_is_not_called_missing() -> None:
    with pytest.raises(ImportError, match="libfoo"), EngineImport("openmm", install=""):
        raise ImportError("libfoo.so: cannot open shared object file")


def test_nearest_or_all() -> None:
    assert nearest("basiss", ["basis", "method"]) == "did you mean 'basis'?"
    assert nearest("x", ["basis", "method"]) == "known: basis, method"


# Options


class Inner(Options):
    stiffness: Length
    name: str = "x"


class Example(Options):
    method: str
    steps: int = 3
    springs: list[Inner] = []  # noqa: RUF012  pydantic copies it
    nested: Inner | None = None
    file: CaseFile | None = None
    ends: tuple[int, int] = (0, 1)


GOOD = {"stiffness": "1 nm"}


@pytest.mark.parametrize(
    ("table", "sentence"),
    [
        ({"metod": "hf"}, "t: unknown key 'metod'; did you mean 'method'?"),
        ({"method": "hf", "zzz": 1}, "t: unknown key 'zzz'; known: ends, file, method, nested, springs, steps"),
        ({}, "t: the key 'method' is missing; add method = …"),
        ({"method": 3}, "t: 'method' input should be a valid string (given: 3)"),
        ({"method": "hf", "steps": "many"}, "t: 'steps' input should be a valid integer"),
        ({"method": "hf", "nested": {**GOOD, "nam": "y"}}, "t: unknown key 'nested.nam'; did you mean 'name'?"),
        (
            {"method": "hf", "springs": [GOOD, {"stifness": "1 nm"}]},
            "t: unknown key 'springs.1.stifness'; did you mean 'stiffness'?",
        ),
        ({"method": "hf", "springs": [GOOD, {}]}, "t: the key 'springs.1.stiffness' is missing"),
        ({"method": "hf", "springs": [{"stiffness": 1.0}]}, "t: springs.0.stiffness: 1.0 has no unit"),
        ({"method": "hf", "springs": [GOOD, {"stiffness": "1 eV"}]}, "t: springs.1.stiffness: '1 eV' has the unit"),
        ({"method": "hf", "file": "no.pdb"}, "t: file: the file "),
        ({"method": "hf", "ends": [1]}, "t: the key 'ends.1' is missing"),
        ({"method": "hf", "ends": [1, "x"]}, "t: 'ends.1' input should be a valid integer"),
    ],
)
def test_a_bad_table_has_its_sentence(table: dict[str, object], sentence: str, tmp_path: Path) -> None:
    with pytest.raises(CaseError) as caught:
        Example.read(table, where="t", folder=tmp_path)
    assert str(caught.value).startswith(sentence)


def test_a_file_is_found_from_the_case_folder(tmp_path: Path) -> None:
    (tmp_path / "x.pdb").touch()
    assert Example.read({"method": "hf", "file": "x.pdb"}, folder=tmp_path).file == tmp_path / "x.pdb"


def test_options_do_not_change() -> None:
    with pytest.raises(ValueError, match="frozen"):
        Example.read({"method": "hf"}).steps = 4


def test_options_are_models() -> None:
    assert issubclass(Options, BaseModel)


# Data


def topology(bonds: list[tuple[int, int]], n: int) -> Topology:
    pairs = np.array(bonds, dtype=np.int64).reshape(-1, 2)
    ones = np.ones(n, dtype=np.int64)
    return Topology(ones, ("H",) * n, 0 * ones, ("UNK",), (1,), ("A",), pairs, np.zeros(n))


def test_molecules_are_the_connected_parts() -> None:
    assert topology([(0, 3), (1, 2), (3, 4)], 6).molecules().tolist() == [0, 1, 1, 0, 0, 2]
    assert topology([], 3).molecules().tolist() == [0, 1, 2]


def test_neighbours_are_ascending() -> None:
    assert topology([(0, 3), (0, 1), (1, 3)], 4).neighbours() == [[1, 3], [0, 3], [], [0, 1]]


def test_external_charges_have_one_position_each() -> None:
    with pytest.raises(AssertionError, match="one position"):
        ExternalCharges(np.zeros((2, 3)), np.zeros(3))


def test_a_result_that_was_not_given_is_our_bug() -> None:
    with pytest.raises(AssertionError, match="stress was wanted"):
        Results(energy=1.0).need(Quantity.STRESS)


def test_under_takes_the_prefix_off() -> None:
    one = np.ones(1)
    assert under("motion", {"motion/a": one, "engine/a": one, "motion/b/c": one}).keys() == {"a", "b/c"}
