"""A number that crosses scales: it comes back as it was written, its errors propagate, and no misuse goes by."""

from __future__ import annotations

import tomllib
from pathlib import Path

import numpy as np
import pytest
from ase.units import GPa

from scalespan.adapters.elastic import ElasticAdapter, ElasticOptions
from scalespan.adapters.interface import (
    Amount,
    CaseError,
    HandOff,
    Header,
    OptionError,
    Origin,
    Range,
    ScalespanError,
    UnitError,
    first_order,
    record_of,
    sampled,
    sha256,
)
from scalespan.bridges.cauchy_born import elastic_constants

CUBIC = """
what = "elastic constants of argon"
date = 2026-11-21
[origin]
engine = "openmm"
version = "8.6.1"
[origin.inputs]
"argon.xyz" = "{hash}"
[value]
names = ["C11", "C12", "C44"]
unit = "GPa"
numbers = [3.511, 2.068, 2.097]
covariance = [[4e-4, 1e-4, 0], [1e-4, 4e-4, 0], [0, 0, 9e-4]]
[state.temperature]
value = 12
unit = "K"
[validity.strain]
low = -0.02
high = 0.02
[validity.temperature]
low = 5
high = 20
unit = "K"
[conventions]
symmetry = "cubic"
cutoff = "2.5 sigma, switched from 2.0"
"""


@pytest.fixture
def file(tmp_path: Path) -> Path:
    (tmp_path / "argon.xyz").write_text("1\n\nAr 0 0 0\n")
    found = tmp_path / "argon.toml"
    found.write_text(CUBIC.format(hash=sha256(tmp_path / "argon.xyz")))
    return found


def law(file: Path, **options) -> ElasticAdapter:
    given = {"record": str(file), "temperature": "12 K", "density": "1.78 g/cm**3", **options}
    return ElasticAdapter(ElasticOptions.read(given))


def changed(file: Path, before: str, after: str) -> Path:
    text = file.read_text()
    assert before in text
    file.write_text(text.replace(before, after))
    return file


def deformations(size=0.01, count=3):
    return np.eye(3) + size * np.random.default_rng(1).uniform(-1.0, 1.0, (count, 3, 3))


# ---- it comes back ----


def test_what_is_written_is_read(file: Path, tmp_path: Path) -> None:
    record = HandOff.load(file)
    record.save(tmp_path / "again.toml")
    assert HandOff.load(tmp_path / "again.toml") == record
    record.save(tmp_path / "third.toml")
    assert (tmp_path / "third.toml").read_text() == (tmp_path / "again.toml").read_text()


def test_names_that_toml_must_quote_come_back(tmp_path: Path) -> None:
    origin = Origin(engine='a "new" one\n', version="1", inputs={"Ωinput/a b.toml": "0" * 64})
    value = {"names": ["C 1"], "unit": "1", "numbers": [1e-300]}
    record = HandOff(what="ε", date="2026-01-02", origin=origin, value=value)
    record.save(tmp_path / "x.toml")
    assert HandOff.load(tmp_path / "x.toml") == record


def test_the_constants_are_the_laws(file: Path) -> None:
    found = elastic_constants(law(file)) / GPa
    assert [found[0, 0], found[0, 1], found[3, 3]] == pytest.approx(
        [3.511, 2.068, 2.097], rel=1e-7
    )  # CODATA years differ


def test_a_record_of_a_law_makes_the_same_law(file: Path, tmp_path: Path) -> None:
    header = Header("argon", Origin(engine="elastic", version="1"), {}, {"strain": Range(low=-0.1, high=0.1)})
    first = law(file)
    record_of(first, header, unit="GPa").save(tmp_path / "again.toml")
    second = law(tmp_path / "again.toml")
    at = deformations()
    a, b = first.respond(at, tangent=True), second.respond(at, tangent=True)
    assert b.stress == pytest.approx(a.stress, rel=1e-9, abs=1e-15)
    assert b.tangent == pytest.approx(a.tangent, rel=1e-9, abs=1e-12)
    errors = np.sqrt(np.diag(second.record.covariance("GPa")))
    names = second.record.value.names
    assert errors[names.index("C11")] == pytest.approx(0.02, rel=1e-9)
    assert errors[names.index("C44")] == pytest.approx(0.03, rel=1e-9)
    assert tomllib.loads((tmp_path / "again.toml").read_text())["value"]["unit"] == "GPa"


@pytest.mark.parametrize("table", [{"stiffness": [["57 eV/angstrom"]], "density": "1 dalton/angstrom"}])
def test_an_exact_law_has_an_exact_record(table, tmp_path: Path) -> None:
    record = record_of(
        ElasticAdapter(ElasticOptions.read(table)), Header("a chain", Origin(engine="elastic", version="1"), {}, {})
    )
    assert record.conventions.plane == "chain"
    assert record.value.covariance is None
    record.save(tmp_path / "chain.toml")
    again = law(tmp_path / "chain.toml", density="1 dalton/angstrom")
    assert again.respond(np.array([[[1.01]]])).covariance is None
    assert again.constants == pytest.approx(np.array([[57.0]]))


# ---- errors ----


def test_the_laws_errors_are_those_of_its_constants_by_sampling(file: Path) -> None:
    """P and ∂P/∂F of laws with sampled constants: their spread is what one law tells of itself."""
    at, record = deformations(count=1), HandOff.load(file)
    told = law(file).respond(at, tangent=True)

    def answer(constants):
        other = record.value.model_copy(update={"numbers": constants.tolist(), "covariance": None})
        record.model_copy(update={"value": other}).save(file.with_name("one.toml"))
        found = law(file.with_name("one.toml")).respond(at, tangent=True)
        return np.concatenate([found.stress.ravel(), found.tangent.ravel()])

    exact, linear = first_order(answer, record.numbers("GPa"), record.covariance("GPa"))
    assert exact[:9] == pytest.approx(told.stress.ravel(), abs=1e-15)
    assert linear[:9, :9] == pytest.approx(told.covariance.reshape(9, 9), rel=1e-6, abs=1e-16)
    assert np.diag(linear)[9:] == pytest.approx(told.tangent_variance.ravel(), rel=1e-6, abs=1e-13)
    _, spread = sampled(answer, record.numbers("GPa"), record.covariance("GPa"), count=400, seed=3)
    assert np.diag(spread)[:9] == pytest.approx(np.diag(linear)[:9], rel=5.0 * np.sqrt(2.0 / 400.0))


def test_first_order_and_sampling_agree_on_a_ratio_with_small_errors_only() -> None:
    """Zener's ratio 2 C44/(C11 − C12), by hand: ∂A = A (−δ11 + δ12)/(C11 − C12) + A δ44/C44; with large errors of a
    square, whose variance is 4 μ²s² + 2 s⁴, the first order lacks the second term.
    """
    at, covariance = np.array([3.511, 2.068, 2.097]), np.diag([1e-4, 2e-4, 3e-4])
    ratio = 2.0 * at[2] / (at[0] - at[1])
    by_hand = ratio**2 * (3e-4 / (at[0] - at[1]) ** 2 + 3e-4 / at[2] ** 2)

    def zener(c):
        return np.array([2.0 * c[2] / (c[0] - c[1])])

    value, linear = first_order(zener, at, covariance)
    mean, spread = sampled(zener, at, covariance, count=20_000, seed=1)
    assert value[0] == pytest.approx(ratio)
    assert linear[0, 0] == pytest.approx(by_hand, rel=1e-6)
    assert spread[0, 0] == pytest.approx(by_hand, rel=0.05)
    assert mean[0] == pytest.approx(ratio, abs=5.0 * np.sqrt(by_hand / 20_000) + 2e-4 / 1.443**2 * ratio)
    wide, many = np.array([[1.0]]), 40_000
    assert first_order(np.square, np.array([1.0]), wide)[1][0, 0] == pytest.approx(4.0, rel=1e-6)
    assert sampled(np.square, np.array([1.0]), wide, count=many, seed=1)[1][0, 0] == pytest.approx(6.0, rel=0.1)


# ---- mistakes ----


@pytest.mark.parametrize(
    ("before", "after", "error", "words"),
    [
        ('unit = "GPa"\n', "", OptionError, "'value.unit' is missing"),
        ('unit = "GPa"', 'unit = "GPaa"', UnitError, "cannot be read as a unit"),
        ('unit = "GPa"', 'unit = "N/m"', UnitError, "cannot be converted"),
        ("[3.511, 2.068, 2.097]", "[3.511, 2.068]", OptionError, "3 names"),
        ("2.097]", "nan]", OptionError, "C44 is not finite"),
        (", [0, 0, 9e-4]]", "]", OptionError, "3 rows of 3"),
        ("[[4e-4, 1e-4, 0]", "[[4e-4, 2e-4, 0]", OptionError, "not symmetric"),
        ("1e-4", "5e-4", OptionError, "eigenvalue"),
        ('"C44"]', '"C45"]', OptionError, "C44 is missing"),
        ('symmetry = "cubic"', 'symmetry = "cubical"', OptionError, "conventions.symmetry"),
        ('symmetry = "cubic"', 'strian = "small"', OptionError, "did you mean 'strain'"),
        ('symmetry = "cubic"', 'symmetry = "cubic"\nstrain = "small"', CaseError, "strain 'small'"),
        ('symmetry = "cubic"', 'symmetry = "cubic"\nsign = "compression_positive"', CaseError, "sign"),
        ('symmetry = "cubic"', 'plane = "plane_strain"', OptionError, "thickness"),
        ('symmetry = "cubic"', 'plane = "sheet"\nsymmetry = "cubic"', OptionError, "is a solid"),
        ("low = -0.02", "low = 0.03", OptionError, "before it begins"),
        ("date = 2026-11-21", 'date = "yesterday"', OptionError, "date"),
        ("[value]", "[value", OptionError, "TOML"),
        ("2.068", "3.9", OptionError, "no stable material"),
    ],
)
def test_a_wrong_record_has_its_sentence(file: Path, before, after, error: type[ScalespanError], words: str) -> None:
    with pytest.raises(error, match=words):
        law(changed(file, before, after))


def test_an_input_that_has_changed_is_noticed(file: Path) -> None:
    law(file)
    (file.parent / "argon.xyz").write_text("1\n\nAr 0 0 1\n")
    with pytest.raises(CaseError, match=r"'argon.xyz' is no longer the file"):
        law(file)


def test_an_input_that_stands_elsewhere_is_not(file: Path) -> None:
    (file.parent / "argon.xyz").unlink()
    assert HandOff.load(file).inputs_here(file.parent) == []


@pytest.mark.parametrize(
    ("temperature", "words"), [(None, "'temperature' is missing"), ("25 K", "temperature from 5 to 20 kelvin")]
)
def test_a_use_at_another_temperature_is_refused(file: Path, temperature, words: str) -> None:
    with pytest.raises(CaseError, match=words):
        law(file, temperature=temperature)


@pytest.mark.parametrize("strain", [0.03, -0.03])
def test_a_strain_outside_the_box_is_refused(file: Path, strain: float) -> None:
    inside = np.eye(3)[None] + 0.015 * np.array([[0.0, 1.0, 0.0], [0.0, 0.0, 0.0], [0.0, 0.0, 0.0]])
    assert np.isfinite(law(file).respond(inside).stress).all()
    with pytest.raises(CaseError, match=r"hold at a strain from -0.02 to 0.02"):
        law(file).respond(np.diag([1.0 + strain, 1.0, 1.0])[None])


def test_a_plane_strain_record_is_of_a_thickness(file: Path) -> None:
    changed(file, 'symmetry = "cubic"', 'plane = "plane_strain"')
    changed(file, '"C11", "C12", "C44"', '"C11", "C12", "C16", "C22", "C26", "C66"')
    changed(file, "[3.511, 2.068, 2.097]", "[3.511, 2.068, 0, 3.511, 0, 2.097]")
    changed(file, "covariance = [[4e-4, 1e-4, 0], [1e-4, 4e-4, 0], [0, 0, 9e-4]]\n", "")
    with pytest.raises(OptionError, match="of a plane strain: the key 'thickness'"):
        law(file)
    sheet = law(file, thickness="2 nm", density="1 dalton/angstrom**2")
    assert sheet.dimension == 2
    assert sheet.constants[0, 0] == pytest.approx(3.511 * GPa * 20.0)


def test_a_thickness_of_a_solid_is_refused(file: Path) -> None:
    with pytest.raises(OptionError, match="thickness"):
        law(file, thickness="2 nm")


def test_check_shows_where_the_constants_come_from(file: Path) -> None:
    shown = dict(law(file).audit()[1].rows)
    assert shown["C11"] == "3.511 ± 0.02 GPa"
    assert shown["from"] == "openmm 8.6.1, 2026-11-21"
    assert Amount(value=1.0).unit == "1"
