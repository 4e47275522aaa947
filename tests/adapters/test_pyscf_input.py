"""PySCF: each mistake has its sentence, and nothing runs after one."""

import logging
from typing import Any

import numpy as np
import pytest
from ase import Atoms
from ase.build import molecule

from scalespan.adapters.interface import (
    AtomsError,
    EngineMissing,
    ExternalCharges,
    NotOffered,
    OptionError,
    Quantity,
    ScalespanError,
    UnitError,
)

pytest.importorskip("pyscf")

from scalespan.adapters.pyscf import PySCFAdapter, PySCFOptions

WATER = molecule("H2O")
IODIDE = Atoms("IH", [(0.0, 0.0, 0.0), (0.0, 0.0, 1.6)])
PERIODIC = Atoms("He", cell=[5.0, 5.0, 5.0], pbc=True)


def computed(options: dict[str, Any], atoms: Atoms = WATER, charges: ExternalCharges | None = None) -> None:
    adapter = PySCFAdapter(PySCFOptions.read({"method": "rhf", "basis": "sto-3g"} | options))
    adapter.compute(atoms, {Quantity.ENERGY}, charges)


@pytest.mark.parametrize(
    ("options", "error", "said"),
    [
        ({"method": "hf"}, OptionError, "'method' input should be 'rhf'"),
        ({"functonal": "pbe"}, OptionError, "did you mean 'functional'"),
        ({"method": "rks"}, OptionError, "needs a functional"),
        ({"functional": "pbe"}, OptionError, "takes no functional"),
        ({"method": "rks", "functional": "pbee"}, OptionError, "no functional 'pbee'"),
        ({"method": "rks", "functional": "wb97x-d"}, OptionError, "no functional 'wb97x-d'"),
        ({"method": "rks", "functional": "pbe-d3bk"}, OptionError, "did you mean 'd3bj'"),
        ({"method": "rks", "functional": "pbe-d4", "dispersion": "d4"}, OptionError, "named twice"),
        ({"basis": "sto-4h"}, OptionError, "no basis 'sto-4h' for H"),
        ({"basis": {"O": "sto-3g"}}, OptionError, "no basis for H"),
        ({"basis": {"Ox": "sto-3g", "default": "sto-3g"}}, OptionError, "'Ox' is no element"),
        ({"ecp": "nonsense"}, OptionError, "no ecp 'nonsense'"),
        ({"spin": 1}, OptionError, "closed shells"),
        ({"method": "uhf", "spin": 1}, OptionError, "10 electrons .* cannot have 1 unpaired"),
        ({"charge": 1}, OptionError, "an odd spin is needed"),
        ({"charge": 10}, OptionError, "0 electrons"),
        ({"method": "mp2", "density_fitting": True}, OptionError, "density fitting"),
        ({"method": "ccsd", "solvent": {}}, OptionError, "in a solvent is approximate"),
        ({"method": "mp2", "dispersion": "d4"}, OptionError, "holds dispersion already"),
        ({"solvent": {"model": "C-PCN"}}, OptionError, "solvent.model"),
        ({"far_field": 10.0}, UnitError, "has no unit"),
        ({"convergence": "1e-9 angstrom"}, UnitError, "is no energy"),
        ({"max_cycles": 0}, OptionError, "max_cycles"),
    ],
)
def test_options(options: dict[str, Any], error: type[ScalespanError], said: str) -> None:
    with pytest.raises(error, match=said):
        computed(options)


@pytest.mark.parametrize(
    ("options", "atoms", "error", "said"),
    [
        ({}, PERIODIC, AtomsError, "periodic"),
        ({}, Atoms("HeHe", [(0, 0, 0), (0, 0, 1e-3)]), AtomsError, "atoms 0 and 1 are 0.001 Å apart"),
        ({}, Atoms("XHe", [(0, 0, 0), (0, 0, 3)]), AtomsError, "atom 0 has no element"),
        ({"basis": "6-31g*"}, IODIDE, OptionError, "no basis '6-31g.*' for I"),
        ({"basis": "def2-svp"}, IODIDE, OptionError, 'ecp = { I = "def2-svp" }'),
    ],
)
def test_atoms(options: dict[str, Any], atoms: Atoms, error: type[ScalespanError], said: str) -> None:
    with pytest.raises(error, match=said):
        computed(options, atoms)


def test_a_charge_on_a_nucleus() -> None:
    places = np.vstack([[9.0, 9.0, 9.0], WATER.positions[1]])
    with pytest.raises(AtomsError, match=r"external charge 1 and atom 1 \(H\) are 0 Å apart"):
        computed({}, charges=ExternalCharges(places, np.array([0.1, 0.2])))


def test_a_charge_near_a_nucleus_is_said_once(caplog: pytest.LogCaptureFixture) -> None:
    adapter = PySCFAdapter(PySCFOptions.read({"method": "rhf", "basis": "sto-3g"}))
    charges = ExternalCharges(WATER.positions[:1] + np.array([0.0, 0.8, 0.0]), np.array([0.1]))
    with caplog.at_level(logging.WARNING):
        for _ in range(3):
            adapter.compute(WATER, {Quantity.ENERGY}, charges)
    assert caplog.text.count("overpolarises") == 1
    caplog.clear()
    smeared = ExternalCharges(charges.positions, charges.charges, np.array([0.5]))
    PySCFAdapter(adapter.options).compute(WATER, {Quantity.ENERGY}, smeared)
    assert not caplog.records


def test_a_continuum_with_charges_is_refused() -> None:
    with pytest.raises(NotOffered, match="cavity"):
        computed({"solvent": {}}, charges=ExternalCharges(np.array([[5.0, 5.0, 5.0]]), np.array([1.0])))


@pytest.mark.parametrize("quantity", [Quantity.CHARGE_FORCES, Quantity.CHARGE_POTENTIAL])
def test_what_needs_charges_needs_charges(quantity: Quantity) -> None:
    adapter = PySCFAdapter(PySCFOptions.read({"method": "rhf", "basis": "sto-3g"}))
    with pytest.raises(NotOffered, match="without external charges"):
        adapter.compute(WATER, {quantity})


def test_a_dispersion_model_that_is_not_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("scalespan.adapters.pyscf.method.find_spec", lambda name: None)
    with pytest.raises(EngineMissing, match="pip install pyscf-dispersion"):
        PySCFAdapter(PySCFOptions.read({"method": "rks", "functional": "pbe-d3bj", "basis": "sto-3g"}))
