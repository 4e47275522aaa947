"""PySCF: every force and potential is the derivative of the energy, for every method."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from ase import Atoms
from ase.units import Bohr, Hartree

from scalespan.adapters.interface import Array, ExternalCharges, Quantity

pytest.importorskip("pyscf")

from scalespan.adapters.pyscf import PySCFAdapter, PySCFOptions

WATER = Atoms("OHH", [(0.02, 0.01, 0.05), (0.1, 0.76, -0.52), (-0.05, -0.8, -0.47)])
PLACES = np.array([(1.9, 0.4, 0.9), (-0.6, 1.2, 2.1), (0.3, -2.2, 1.0), (2.8, 2.5, -3.0)])
POINTS = ExternalCharges(PLACES, np.array([0.6, -0.834, 0.417, 0.3]))
CHARGES = {
    "none": None,
    "points": POINTS,
    "gaussians": replace(POINTS, radii=np.array([0.5, 0.5, 0.8, 0.0])),  # the last one is a point
}
OPEN = {"charge": 1, "spin": 1}
METHODS: dict[str, dict[str, Any]] = {
    "rhf": {"method": "rhf"},
    "rhf df": {"method": "rhf", "density_fitting": True},
    "uhf": {"method": "uhf"} | OPEN,
    "rohf": {"method": "rohf"} | OPEN,
    "cartesian": {"method": "rhf", "cartesian": True, "basis": {"O": "6-31g*", "default": "6-31g"}},
    "lda": {"method": "rks", "functional": "lda,vwn"},
    "pbe-d3bj": {"method": "rks", "functional": "pbe", "dispersion": "d3bj"},
    "b3lyp df": {"method": "rks", "functional": "b3lyp", "density_fitting": True},
    "r2scan": {"method": "rks", "functional": "r2scan"},
    "cam-b3lyp": {"method": "uks", "functional": "camb3lyp"} | OPEN,
    "uks pbe": {"method": "uks", "functional": "pbe"} | OPEN,
    "roks b3lyp-d4": {"method": "roks", "functional": "b3lyp-d4"} | OPEN,
    "mp2": {"method": "mp2", "basis": "6-31g"},
    "ump2": {"method": "mp2", "basis": "6-31g"} | OPEN,
    "ccsd": {"method": "ccsd"},
    "uccsd": {"method": "ccsd"} | OPEN,
}
STEP = 2e-3  # Å and e


def adapter(options: dict[str, Any]) -> PySCFAdapter:
    return PySCFAdapter(
        PySCFOptions.read({"basis": "sto-3g", "grid_level": 0, "convergence": "1e-11 hartree"} | options)
    )


def slope(energies: list[float]) -> float:
    """Return the derivative from values at −2, −1, 1, 2 steps; the error is of fourth order."""
    a, b, c, d = energies
    return (8.0 * (c - b) - (d - a)) / (12.0 * STEP)


def directions(charges: ExternalCharges | None) -> tuple[Array, Array]:
    """Return a unit direction that moves every atom and every charge at once."""
    generator = np.random.default_rng(3)
    atoms, sites = generator.normal(size=(3, 3)), generator.normal(size=(4, 3)) * (charges is not None)
    length = np.sqrt((atoms**2).sum() + (sites**2).sum())
    return atoms / length, sites / length


@pytest.mark.parametrize("charges", CHARGES.values(), ids=CHARGES.keys())
@pytest.mark.parametrize("options", METHODS.values(), ids=METHODS.keys())
def test_forces_and_potential(options: dict[str, Any], charges: ExternalCharges | None) -> None:
    """F = −∂E/∂R within 1e-6 Eh/bohr, on atoms and charges together; φ = ∂E/∂q within 1e-7 Eh/e."""
    mine = adapter(options)
    wanted = {Quantity.ENERGY, Quantity.FORCES}
    if charges is not None:
        wanted |= {Quantity.CHARGE_FORCES, Quantity.CHARGE_POTENTIAL}
    found = mine.compute(WATER, wanted, charges)
    on_atoms, on_charges = directions(charges)

    def energy(by: float, of_charge: float = 0.0) -> float:
        atoms, shifted = WATER.copy(), charges
        atoms.positions += by * STEP * on_atoms
        if charges is not None:
            strengths = charges.charges + of_charge * STEP * np.array([0.5, -0.5, 0.5, 0.5])
            shifted = replace(charges, positions=charges.positions + by * STEP * on_charges, charges=strengths)
        return float(mine.compute(atoms, {Quantity.ENERGY}, shifted).need(Quantity.ENERGY))

    force = np.sum(found.need(Quantity.FORCES) * on_atoms)
    if charges is not None:
        force += np.sum(found.need(Quantity.CHARGE_FORCES) * on_charges)
        potential = np.asarray(found.need(Quantity.CHARGE_POTENTIAL)) @ np.array([0.5, -0.5, 0.5, 0.5])
        assert potential / Hartree == pytest.approx(slope([energy(0.0, n) for n in (-2, -1, 1, 2)]) / Hartree, abs=1e-7)
    unit = Hartree / Bohr
    assert force / unit == pytest.approx(-slope([energy(n) for n in (-2, -1, 1, 2)]) / unit, abs=1e-6)


@pytest.mark.parametrize("model", ["C-PCM", "IEF-PCM", "SS(V)PE", "COSMO"])
def test_forces_in_a_continuum(model: str) -> None:
    mine = adapter({"method": "rhf", "solvent": {"model": model, "permittivity": 10.0}})
    on_atoms, _ = directions(None)

    def energy(by: float) -> float:
        atoms = WATER.copy()
        atoms.positions += by * STEP * on_atoms
        return float(mine.compute(atoms, {Quantity.ENERGY}).need(Quantity.ENERGY))

    force = np.sum(mine.compute(WATER, {Quantity.FORCES}).need(Quantity.FORCES) * on_atoms)
    unit = Hartree / Bohr
    assert force / unit == pytest.approx(-slope([energy(n) for n in (-2, -1, 1, 2)]) / unit, abs=1e-6)
    vacuum = float(adapter({"method": "rhf"}).compute(WATER, {Quantity.ENERGY}).need(Quantity.ENERGY))
    assert energy(0.0) < vacuum - 0.05  # a dipole gains in a dielectric


def test_forces_with_a_core_potential() -> None:
    """Hydrogen iodide: 28 of iodine's electrons are in its potential, beside a charge."""
    mine = adapter({"method": "rhf", "basis": "def2-svp", "ecp": {"I": "def2-svp"}})
    atoms = Atoms("IH", [(0.0, 0.0, 0.0), (0.1, 0.2, 1.6)])
    charges = ExternalCharges(np.array([[0.5, -2.5, 1.0]]), np.array([-0.5]))
    found = mine.compute(atoms, {Quantity.FORCES, Quantity.CHARGE_FORCES}, charges)
    forces = np.vstack([found.need(Quantity.FORCES), found.need(Quantity.CHARGE_FORCES)])
    assert np.abs(forces.sum(axis=0)).max() < 1e-7
    energies = []
    for n in (-2, -1, 1, 2):
        moved = replace(charges, positions=charges.positions + n * STEP * np.array([0.0, 1.0, 0.0]))
        energies.append(float(mine.compute(atoms, {Quantity.ENERGY}, moved).need(Quantity.ENERGY)))
    assert forces[-1, 1] == pytest.approx(-slope(energies), abs=1e-5)
