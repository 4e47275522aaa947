"""The reference adapter keeps the contract, and its numbers are those of the textbook."""

import numpy as np
import pytest
from ase import Atoms

from scalespan.adapters.harmonic import HarmonicAdapter, HarmonicOptions
from scalespan.adapters.interface import AtomsError, OptionError, Quantity
from scalespan.adapters.interface.contract import ParticleContract

SPRINGS = [
    {"atoms": [0, 1], "stiffness": "20 eV/angstrom**2", "length": "1.1 angstrom"},
    {"atoms": [1, 2], "stiffness": "5 eV/angstrom**2", "length": "1.5 angstrom"},
    {"atoms": [0, 2], "stiffness": "300 kcal/mol/angstrom**2", "length": "2 angstrom"},
]


class TestHarmonic(ParticleContract):
    bound = True  # springs are named by the indices of their ends

    def make_adapter(self) -> HarmonicAdapter:
        return HarmonicAdapter(HarmonicOptions.read({"springs": SPRINGS}))

    def make_atoms(self) -> Atoms:
        return Atoms("HCO", [(0.1, 0.2, 0.3), (1.4, 0.1, -0.2), (1.9, 1.3, 0.8)])


@pytest.fixture
def one_spring() -> HarmonicAdapter:
    spring = {"atoms": [0, 1], "stiffness": "2 eV/angstrom**2", "length": "1 angstrom"}
    return HarmonicAdapter(HarmonicOptions.read({"springs": [spring]}))


def test_a_stretched_spring(one_spring: HarmonicAdapter) -> None:
    results = one_spring.compute(Atoms("H2", [(0, 0, 0), (1.5, 0, 0)]), {Quantity.ENERGY, Quantity.FORCES})
    assert results.energy == pytest.approx(0.5 * 2.0 * 0.5**2)
    np.testing.assert_allclose(results.forces, [[1.0, 0, 0], [-1.0, 0, 0]], atol=1e-14)


def test_a_spring_without_its_atom(one_spring: HarmonicAdapter) -> None:
    with pytest.raises(AtomsError, match="a spring ends at atom 1, and there are 1"):
        one_spring.compute(Atoms("H"), {Quantity.ENERGY})


def test_no_springs_are_refused() -> None:
    with pytest.raises(OptionError, match="springs"):
        HarmonicOptions.read({"springs": []})


def test_ase_asks_once_for_each_configuration(one_spring: HarmonicAdapter, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[int] = []
    ask = one_spring._compute
    monkeypatch.setattr(one_spring, "_compute", lambda *given: asked.append(1) or ask(*given))
    atoms = Atoms("H2", [(0, 0, 0), (1.5, 0, 0)], calculator=one_spring.as_calculator())
    assert atoms.get_potential_energy() == atoms.get_potential_energy(force_consistent=True) == 0.25
    atoms.get_forces()
    assert len(asked) == 1
    atoms.positions[0, 0] = 0.5
    atoms.get_forces()
    assert len(asked) == 2
