"""A law of measured constants: what is put in comes out, units included; slopes; turned bodies; nonsense is refused."""

from __future__ import annotations

import numpy as np
import pytest
from ase.units import GPa
from scipy.spatial.transform import Rotation

from scalespan.adapters.elastic import ElasticAdapter, ElasticOptions
from scalespan.adapters.interface import CaseError, OptionError, ScalespanError, UnitError
from scalespan.bridges.cauchy_born import elastic_constants

ARGON = {"cubic": ["4.401 GPa", "2.518 GPa", "2.518 GPa"], "density": "1.77 g/cm**3"}  # Lennard-Jones, at rest
CHAIN = {"stiffness": [["57 eV/angstrom"]], "density": "0.89 dalton/angstrom"}
SHEET = {"stiffness": [["60 N/m", "20 N/m", "0 N/m"], ["20 N/m", "60 N/m", "0 N/m"], ["0 N/m", "0 N/m", "20 N/m"]]}
LAWS = {"chain": CHAIN, "sheet": {**SHEET, "density": "1 dalton/angstrom**2"}, "argon": ARGON}


def law(table: dict, **parts) -> ElasticAdapter:
    return ElasticAdapter(ElasticOptions.read(table), **parts)


def test_cubic_constants_come_back() -> None:
    found = elastic_constants(law(ARGON)) / GPa
    assert found[0, 0] == pytest.approx(4.401)
    assert found[0, 1] == pytest.approx(2.518)
    assert found[3, 3] == pytest.approx(2.518)
    assert np.abs(found[3, :3]).max() == 0.0


def test_the_density_is_in_atomic_units() -> None:
    assert law(ARGON).density == pytest.approx(1.77 * 0.602214076)


@pytest.mark.parametrize("name", LAWS)
def test_the_stress_is_the_slope_of_the_energy_and_the_tangent_that_of_the_stress(name: str) -> None:
    material, h = law(LAWS[name]), 1e-5
    d = material.dimension
    at = np.eye(d)[None] + 0.05 * np.random.default_rng(1).uniform(-1.0, 1.0, (1, d, d))
    answer = material.respond(at, tangent=True)
    for i, j in np.ndindex(d, d):
        move = np.zeros((1, d, d))
        move[0, i, j] = h
        ahead, behind = material.respond(at + move), material.respond(at - move)
        slope = (ahead.energy - behind.energy) / (2.0 * h)
        assert slope[0] == pytest.approx(answer.stress[0, i, j], abs=1e-8 * np.abs(answer.tangent).max())
        change = (ahead.stress - behind.stress) / (2.0 * h)
        assert change[0] == pytest.approx(answer.tangent[0, :, :, i, j], abs=1e-8 * np.abs(answer.tangent).max())


def test_a_turned_body_has_the_same_energy() -> None:
    turn = Rotation.from_euler("xyz", [30, 50, -20], degrees=True).as_matrix()
    at = np.eye(3) + 0.02 * np.random.default_rng(2).uniform(-1.0, 1.0, (1, 3, 3))
    material = law(ARGON)
    assert material.respond(turn @ at).energy == pytest.approx(material.respond(at).energy, rel=1e-12)
    assert material.respond(turn @ at).stress == pytest.approx(turn @ material.respond(at).stress, rel=1e-9)


def test_the_law_at_rest_is_the_part() -> None:
    rest = law(ARGON)
    assert law(ARGON).at_rest() is None
    assert law(ARGON, at_rest=rest).at_rest() is rest
    with pytest.raises(CaseError, match="dimensions"):
        law(ARGON, at_rest=law(CHAIN))


@pytest.mark.parametrize(
    ("change", "error", "words"),
    [
        ({"cubic": ["1 GPa", "2 GPa", "1 GPa"]}, OptionError, "stable"),
        ({"cubic": ["4 eV", "2 GPa", "1 GPa"]}, UnitError, "cannot be converted"),
        ({"cubic": ["much", "2 GPa", "1 GPa"]}, OptionError, "no number with a unit"),
        ({"cubic": ["4", "2 GPa", "1 GPa"]}, UnitError, "cannot be converted"),
        ({"cubic": None}, CaseError, "one of 'cubic', 'stiffness' and 'record'"),
        ({"cubic": None, "stiffness": [["1 GPa", "1 GPa"], ["1 GPa", "1 GPa"]]}, CaseError, "one, three or six rows"),
        ({"density": "3 kg"}, UnitError, "cannot be converted"),
    ],
)
def test_nonsense_is_refused(change: dict, error: type[ScalespanError], words: str) -> None:
    with pytest.raises(error, match=words):
        law({key: value for key, value in (ARGON | change).items() if value is not None})
