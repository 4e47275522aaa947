"""PySCF: integrals of external charges, exact and by multipoles."""

from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np
import pytest
from ase import Atoms
from ase.build import molecule
from ase.units import Bohr, Hartree

from scalespan.adapters.interface import Array, ExternalCharges, Quantity

pyscf = pytest.importorskip("pyscf")

from pyscf import df, gto, scf  # noqa: E402

from scalespan.adapters.pyscf import PySCFAdapter, PySCFOptions, gradient  # noqa: E402
from scalespan.adapters.pyscf.charges import ChargeField  # noqa: E402
from scalespan.adapters.pyscf.exact import ExactField  # noqa: E402
from scalespan.adapters.pyscf.far import FarField, _irregular, _raising  # noqa: E402

METHANOL = molecule("CH3OH")


def solved(atoms: Atoms, basis: str, cart: bool = False) -> tuple[Any, Array]:
    """Return the molecule and its Hartree-Fock density."""
    nuclei = list(zip(atoms.symbols, atoms.positions / Bohr, strict=True))
    mol = gto.M(atom=nuclei, unit="Bohr", basis=basis, cart=cart, verbose=0)
    return mol, gradient.total_density(scf.RHF(mol).run())


def waters(atoms: Atoms, nearest: float, count: int) -> ExternalCharges:
    """Return the charges of ``count`` TIP3P-like waters at random outside ``nearest`` Å, 33 to the nm³."""
    generator = np.random.default_rng(5)
    oxygens = generator.uniform(-1.0, 1.0, size=(20 * count, 3)) * 1.5 * (nearest + 3.1 * count ** (1 / 3))
    distance = np.linalg.norm(oxygens[:, None] - atoms.positions, axis=2).min(axis=1)
    oxygens = oxygens[np.argsort(distance)][np.sort(distance) > nearest + 1.0][:count]
    bonds = generator.normal(size=(count, 2, 3))
    bonds *= 0.9572 / np.linalg.norm(bonds, axis=2, keepdims=True)
    places = np.concatenate([oxygens[:, None], oxygens[:, None] + bonds], axis=1).reshape(-1, 3)
    return ExternalCharges(places, np.tile([-0.834, 0.417, 0.417], count))


@pytest.mark.parametrize("cartesian", [False, True])
def test_integrals_are_those_of_three_centre_repulsion(cartesian: bool) -> None:
    """A Gaussian charge is an s function with exponent 1/a²: PySCF's int3c2e says the same, pair by pair."""
    mol = gto.M(atom="O 0 0 0; H 0 0.8 0.5", basis="cc-pvdz", charge=-1, cart=cartesian, verbose=0)
    generator = np.random.default_rng(1)
    places, charges = generator.normal(size=(7, 3)) * 4.0, generator.normal(size=7)
    radii = np.array([0.5, 1.0, 0.5, 2.0, 1.0, 0.5, 1e-6])
    gaussians = gto.fakemol_for_charges(places, radii**-2.0)
    gaussians.cart = cartesian
    exact = -df.incore.aux_e2(mol, gaussians, "int3c2e") @ charges
    field = ExactField(mol, places, charges, radii)
    assert np.abs(field.hcore() - exact).max() < 1e-12
    density = generator.normal(size=exact.shape)
    density = density + density.T
    assert charges @ field.potential(density) == pytest.approx(np.sum(exact * density), abs=1e-11)


def test_blocks_do_not_show(monkeypatch: pytest.MonkeyPatch) -> None:
    """Many charges go through in blocks of one radius; the order they came in stays theirs."""
    mol, density = solved(METHANOL, "sto-3g")
    charges = waters(METHANOL, 2.0, 300)
    radii = np.tile([0.0, 0.3, 0.3], 300)
    whole = ExactField(mol, charges.positions / Bohr, charges.charges, radii).gradient(density)
    monkeypatch.setattr("scalespan.adapters.pyscf.exact._BUFFER", 1.0)
    pieces = ExactField(mol, charges.positions / Bohr, charges.charges, radii).gradient(density)
    for a, b in zip(whole, pieces, strict=True):
        assert np.abs(a - b).max() < 1e-12


def test_the_derivative_of_a_harmonic_is_one_order_higher() -> None:
    """∇I_lm against central differences; the lowest is ∇(1/r)."""
    x, step, order = np.array([[3.0, -2.0, 4.0], [-1.0, 5.0, 0.5]]), 1e-4, 5
    for axis, raised in enumerate(_raising(order)):
        shift = step * np.eye(3)[axis]
        slope = (_irregular(x + shift, order) - _irregular(x - shift, order)) / (2.0 * step)
        assert np.abs(slope - _irregular(x, order + 1) @ raised.T).max() < 1e-8
    r = np.linalg.norm(x, axis=1)
    assert _irregular(x, 0)[:, 0] == pytest.approx(np.sqrt(4.0 * np.pi) / r)


@pytest.mark.parametrize(("basis", "cart"), [("6-31g*", False), ("6-31g*", True), ("aug-cc-pvdz", False)])
def test_far_charges_by_multipoles_are_as_good_as_exact(basis: str, cart: bool) -> None:
    """At the default distance of 10 Å: 1e-9 Eh and 1e-8 Eh/bohr, and the last order kept says so."""
    mol, density = solved(METHANOL, basis, cart)
    charges = waters(METHANOL, 10.0, 200)
    args = mol, charges.positions / Bohr, charges.charges
    exact, far = ExactField(*args, np.zeros(600)), FarField(*args)
    error = abs(np.sum((exact.hcore() - far.hcore()) * density))
    assert error < 1e-9
    assert error < far.estimate(density) < 1e-6
    for true, found in zip(exact.gradient(density), far.gradient(density), strict=True):
        assert np.abs(true - found).max() < 1e-8
    assert np.abs(exact.potential(density) - far.potential(density)).max() < 1e-9


def test_the_error_of_multipoles_falls_with_the_order() -> None:
    mol, density = solved(METHANOL, "6-31g*")
    charges = waters(METHANOL, 6.0, 100)
    args = mol, charges.positions / Bohr, charges.charges
    exact = np.sum(ExactField(*args, np.zeros(300)).hcore() * density)
    errors = [abs(np.sum(FarField(*args, order=n).hcore() * density) - exact) for n in (2, 5, 8)]
    assert errors[0] > 10.0 * errors[1] > 100.0 * errors[2]
    bounds = [FarField(*args, order=n).estimate(density) for n in (2, 5, 8)]
    assert all(error < bound for error, bound in zip(errors, bounds, strict=True))


def test_forces_are_the_gradient_of_the_cut_off_energy(monkeypatch: pytest.MonkeyPatch) -> None:
    """Cut off at order 2 the energy is wrong by more than 1e-4 Eh, and its forces are right to 1e-6 Eh/bohr."""
    monkeypatch.setattr("scalespan.adapters.pyscf.charges.FarField", partial(FarField, order=2))
    atoms = METHANOL.copy()
    atoms.rattle(0.05, seed=1)
    charges = waters(atoms, 3.4, 30)

    def adapter(far: str) -> PySCFAdapter:
        options = {"method": "rhf", "basis": "6-31g", "far_field": far, "convergence": "1e-13 hartree"}
        return PySCFAdapter(PySCFOptions.read(options))

    mine, wanted = adapter("3.2 angstrom"), {Quantity.ENERGY, Quantity.FORCES, Quantity.CHARGE_FORCES}
    found = mine.compute(atoms, {*wanted, Quantity.CHARGE_POTENTIAL}, charges)
    true = adapter("never").compute(atoms, wanted, charges)
    assert abs(float(found.need(Quantity.ENERGY)) - float(true.need(Quantity.ENERGY))) > 1e-4 * Hartree

    generator = np.random.default_rng(2)
    on_atoms, on_charges = generator.normal(size=(6, 3)) / 5.0, generator.normal(size=(90, 3)) / 15.0
    on_strengths, step = generator.normal(size=90) / 10.0, 1e-3

    def energy(by: float, strengths: float = 0.0) -> float:
        moved = atoms.copy()
        moved.positions += by * step * on_atoms
        places = charges.positions + by * step * on_charges
        shifted = replace(charges, positions=places, charges=charges.charges + strengths * step * on_strengths)
        return float(mine.compute(moved, {Quantity.ENERGY}, shifted).need(Quantity.ENERGY))

    def slope(energies: list[float]) -> float:
        a, b, c, d = energies
        return (8.0 * (c - b) - (d - a)) / (12.0 * step)

    force = np.sum(found.need(Quantity.FORCES) * on_atoms) + np.sum(found.need(Quantity.CHARGE_FORCES) * on_charges)
    assert abs(force + slope([energy(n) for n in (-2, -1, 1, 2)])) < 1e-6 * Hartree / Bohr
    potential = np.asarray(found.need(Quantity.CHARGE_POTENTIAL)) @ on_strengths
    assert abs(potential - slope([energy(0, n) for n in (-2, -1, 1, 2)])) < 1e-7 * Hartree
    forces = np.vstack([found.need(Quantity.FORCES), found.need(Quantity.CHARGE_FORCES)])
    assert np.abs(forces.sum(axis=0)).max() < 1e-8


def test_wide_charges_are_never_far() -> None:
    """A Gaussian within six radii of an atom is not a point to it."""
    mol, _ = solved(METHANOL, "sto-3g")
    charges = ExternalCharges(np.array([[20.0, 0, 0], [20.0, 1, 0]]), np.ones(2), np.array([5.0, 0.5]))
    field = ChargeField(mol, charges, far=10.0)
    assert len(field.near.charges) == 1 and field.near.radii[0] * Bohr == pytest.approx(5.0)
    assert field.far is not None and len(field.far.charges) == 1
