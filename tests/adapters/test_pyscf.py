"""PySCF: the adapters' contract, PySCF's own QM/MM numbers, and exact statements about charges."""

from typing import Any

import numpy as np
import pytest
from ase import Atoms
from ase.units import Bohr, Hartree

from scalespan.adapters.interface import Array, ExternalCharges, Quantity, Results
from scalespan.adapters.interface.contract import ParticleContract

pyscf = pytest.importorskip("pyscf")

from pyscf import dft, qmmm, scf  # noqa: E402

from scalespan.adapters.pyscf import PySCFAdapter, PySCFOptions, gradient  # noqa: E402
from scalespan.adapters.pyscf.charges import ChargeField  # noqa: E402

EVERYTHING = {Quantity.ENERGY, Quantity.FORCES, Quantity.CHARGE_FORCES, Quantity.CHARGE_POTENTIAL}
FORCE = Hartree / Bohr  # eV/Å
TIGHT = "1e-18 hartree"  # the orbital gradient falls to 3e-10, and with it what an unfinished SCF leaves in forces

# Water in three charges: pyscf/qmmm/test/test_mm_itrf.py.
WATER = Atoms("OHH", [(-1.464, 0.099, 0.300), (-1.956, 0.624, -0.340), (-1.797, -0.799, 0.206)])
PLACES = np.array([(1.369, 0.146, -0.395), (1.894, 0.486, 0.335), (0.451, 0.165, -0.083)])
POINTS = ExternalCharges(PLACES, np.array([-1.040, 0.520, 0.520]))
WIDE = ExternalCharges(PLACES, POINTS.charges, np.array([6.3, 0.32, 0.32]))
NARROW = ExternalCharges(PLACES, POINTS.charges, np.array([0.63, 0.32, 0.32]))
H4 = Atoms("H4", [(0.0, 0.0, 0.0), (0.0, 0.0, 1.0), (0.0, -0.82, 0.0), (-0.91, -0.02, 0.0)])


def adapter(**options: Any) -> PySCFAdapter:
    return PySCFAdapter(PySCFOptions.read({"method": "rhf", "basis": "6-31g"} | options))


def norm(array: Array | None) -> float:
    assert array is not None
    return float(np.linalg.norm(array))


class TestHartreeFock(ParticleContract):
    most_directions = 6

    def make_adapter(self) -> PySCFAdapter:
        return adapter(basis="sto-3g", convergence=TIGHT)

    def make_atoms(self) -> Atoms:
        atoms = WATER.copy()
        atoms.rattle(0.05, seed=2)
        return atoms

    def make_charges(self) -> tuple[ExternalCharges, ...]:
        return POINTS, ExternalCharges(PLACES, POINTS.charges, np.array([0.0, 0.4, 1.5]))


# PySCF's own numbers, and those of the qmmm wrapper


@pytest.mark.parametrize(
    ("charges", "energy", "forces"),
    [(POINTS, -76.00057498193152, 0.030903934), (WIDE, -76.02861628942037, 0.045613562)],
)
def test_water_in_three_charges(charges: ExternalCharges, energy: float, forces: float) -> None:
    """The energies and gradient norms of pyscf/qmmm/test/test_mm_itrf.py, test_energy and test_grad."""
    found = adapter().compute(WATER, EVERYTHING, charges)
    assert found.energy == pytest.approx(energy * Hartree, abs=1e-9 * Hartree)
    assert norm(found.forces) / FORCE == pytest.approx(forces, abs=2e-7)


def test_water_in_narrow_charges() -> None:
    """pyscf/qmmm/test/test_mm_itrf.py."""
    energy = adapter().compute(WATER, {Quantity.ENERGY}, NARROW).energy
    assert energy == pytest.approx(-76.00028338468692 * Hartree, abs=1e-9 * Hartree)


@pytest.mark.parametrize(
    ("radius", "energy", "slope"),
    [(0.0, 2.0042702433049024, 26.978089280783), (1.0, -1.6382613373942227, 0.287026393860)],
)
def test_four_hydrogens_with_a_charge_among_them(radius: float, energy: float, slope: float) -> None:
    """pyscf/qmmm/test/test_mm_itrf.py, test_hf_gradients: a charge at 0.1 Å of a nucleus."""
    scale = Bohr / pyscf.lib.param.BOHR  # their Å: so near to a nucleus the 7e-10 between the two is felt
    atoms = H4.copy()
    atoms.positions *= scale
    charge = ExternalCharges(np.array([[0.0, 0.1, 0.0]]) * scale, np.array([1.0]), np.array([radius]) * scale)
    found = adapter(basis="cc-pvdz").compute(atoms, EVERYTHING, charge)
    assert found.energy == pytest.approx(energy * Hartree, abs=1e-9 * Hartree)
    assert norm(found.forces) / FORCE == pytest.approx(slope, abs=1e-7)


def stock(method: Any, options: dict[str, Any], charges: ExternalCharges) -> tuple[float, Array, Array]:
    """Return energy, atoms' and charges' gradients of pyscf.qmmm, in atomic units."""
    mol = pyscf.M(
        atom=list(zip(WATER.symbols, WATER.positions / Bohr, strict=True)),
        unit="Bohr",
        basis="6-31g",
        verbose=0,
        **options,
    )
    radii = None if charges.radii is None else charges.radii / Bohr
    mf = qmmm.mm_charge(method(mol), charges.positions / Bohr, charges.charges, radii=radii, unit="Bohr")
    mf.conv_tol, mf.conv_tol_grad = 1e-12, 1e-9
    energy = mf.kernel()
    slopes = mf.nuc_grad_method()
    if hasattr(slopes, "grid_response"):
        slopes.grid_response = True
    on_atoms = slopes.kernel()
    return energy, on_atoms, slopes.grad_nuc_mm() + slopes.grad_hcore_mm(gradient.total_density(mf))


@pytest.mark.parametrize("charges", [POINTS, WIDE], ids=["points", "gaussians"])
@pytest.mark.parametrize("name", ["rhf", "uhf", "rks"])
def test_agrees_with_the_wrapper(name: str, charges: ExternalCharges) -> None:
    """One pass over ``int1e_grids_ip`` gives what PySCF takes three passes for."""
    spin = 1 if name == "uhf" else 0
    method = {"rhf": scf.RHF, "uhf": scf.UHF, "rks": lambda mol: dft.RKS(mol, xc="lda,vwn")}[name]
    energy, on_atoms, on_charges = stock(method, {"charge": spin, "spin": spin}, charges)
    functional = {"functional": "lda,vwn"} if name == "rks" else {}
    mine = adapter(method=name, charge=spin, spin=spin, convergence=TIGHT, **functional)
    found = mine.compute(WATER, EVERYTHING, charges)
    assert found.forces is not None and found.charge_forces is not None
    assert found.energy == pytest.approx(energy * Hartree, abs=1e-8)
    assert np.abs(found.forces / FORCE + on_atoms).max() < 1e-8
    assert np.abs(found.charge_forces / FORCE + on_charges).max() < 1e-8


def test_open_shells_give_their_total_density_to_the_charges() -> None:
    """The electrons' force on the charges has norm 0.511663690 (pyscf, grad_hcore_mm); the alpha half 0.2558318."""
    mine = adapter(method="uhf")
    found = mine.compute(WATER, EVERYTHING, POINTS)
    field = ChargeField(mine._mf.mol, POINTS)
    electrons = field.near.gradient(gradient.total_density(mine._mf))[1]
    assert norm(electrons) == pytest.approx(0.511663690, abs=1e-7)
    assert norm(field._nuclear_gradient()[1]) == pytest.approx(0.491540460, abs=1e-8)
    closed = adapter().compute(WATER, EVERYTHING, POINTS)
    assert np.abs(found.need(Quantity.CHARGE_FORCES) - closed.need(Quantity.CHARGE_FORCES)).max() < 1e-5


# Exact statements


def difference(a: Results, b: Results) -> float:
    """Return the largest difference of energy (eV) and forces (eV/Å)."""
    forces = np.abs(np.asarray(a.need(Quantity.FORCES)) - b.need(Quantity.FORCES)).max()
    return max(float(forces), abs(float(a.need(Quantity.ENERGY)) - float(b.need(Quantity.ENERGY))))


def gas_phase(**options: Any) -> Results:
    return adapter(**options).compute(WATER, {Quantity.ENERGY, Quantity.FORCES})


@pytest.mark.parametrize(
    "charges",
    [
        ExternalCharges(PLACES, 1e-12 * POINTS.charges),
        ExternalCharges(PLACES, POINTS.charges, np.full(3, 1e9)),
        ExternalCharges(np.zeros((0, 3)), np.zeros(0)),
    ],
    ids=["no charge", "wide as the world", "none"],
)
def test_charges_that_do_nothing(charges: ExternalCharges) -> None:
    found = adapter().compute(WATER, EVERYTHING, charges)
    assert difference(found, gas_phase()) < 1e-7


def test_small_radii_are_points() -> None:
    small = ExternalCharges(PLACES, POINTS.charges, np.full(3, 1e-6))
    assert difference(adapter().compute(WATER, EVERYTHING, small), adapter().compute(WATER, EVERYTHING, POINTS)) < 1e-7


def test_a_broad_charge_on_a_nucleus() -> None:
    """At r = 0 a Gaussian's potential is 2q/(a√π), and its slope vanishes."""
    radius = 50.0  # Å; the electrons all but see a constant too, so the atoms' charge is what counts
    charge = ExternalCharges(WATER.positions[:1], np.array([1.0]), np.array([radius]))
    found = adapter().compute(WATER, EVERYTHING, charge)
    here = np.asarray(found.need(Quantity.CHARGE_POTENTIAL))[0]
    near = ExternalCharges(WATER.positions[:1] + 1e-3, charge.charges, charge.radii)
    there = np.asarray(adapter().compute(WATER, EVERYTHING, near).need(Quantity.CHARGE_POTENTIAL))[0]
    assert here == pytest.approx(there, abs=1e-6)
    assert norm(found.charge_forces) < 1e-4


@pytest.mark.parametrize("far_field", ["never", "10 angstrom"])
def test_far_charges_are_a_uniform_field(far_field: str) -> None:
    """±Q at ∓R along F with Q = F R²/2: gpu4pyscf's test_external_field; here against int1e_r."""
    field, distance = np.array([0.002, -0.004, 0.006]), 1e4  # hartree/(e bohr), bohr
    strength = np.linalg.norm(field)
    places = np.outer([-distance, distance], field / strength) * Bohr
    far = ExternalCharges(places, np.array([0.5, -0.5]) * strength * distance**2)
    found = adapter(far_field=far_field, convergence=TIGHT).compute(WATER, {*EVERYTHING, Quantity.DIPOLE}, far)

    mol = pyscf.M(
        atom=list(zip(WATER.symbols, WATER.positions / Bohr, strict=True)), unit="Bohr", basis="6-31g", verbose=0
    )
    mf = scf.RHF(mol)
    core = scf.hf.get_hcore(mol) + np.einsum("x,xpq->pq", field, mol.intor("int1e_r"))
    mf.get_hcore = lambda *_: core
    energy = mf.run(conv_tol=1e-12).e_tot - mol.atom_charges() @ mol.atom_coords() @ field
    assert found.energy == pytest.approx(energy * Hartree, abs=1e-9 * Hartree)
    dipole = mf.dip_moment(unit="AU", verbose=0)
    assert np.abs(np.asarray(found.need(Quantity.DIPOLE)) / Bohr - dipole).max() < 1e-6


@pytest.mark.parametrize("charges", [POINTS, WIDE], ids=["points", "gaussians"])
@pytest.mark.parametrize(
    "options",
    [{}, {"method": "uhf", "spin": 1, "charge": 1}, {"density_fitting": True}, {"method": "mp2"}, {"method": "ccsd"}],
    ids=lambda options: options.get("method", "rhf") + ("-df" if "density_fitting" in options else ""),
)
def test_nothing_pulls_or_turns_the_whole(options: dict[str, Any], charges: ExternalCharges) -> None:
    found = adapter(**options, convergence=TIGHT).compute(WATER, EVERYTHING, charges)
    forces = np.vstack([found.need(Quantity.FORCES), found.need(Quantity.CHARGE_FORCES)])
    positions = np.vstack([WATER.positions, charges.positions])
    assert np.abs(forces.sum(axis=0)).max() < 1e-8
    assert np.abs(np.cross(positions, forces).sum(axis=0)).max() < 1e-8


def test_nothing_pulls_with_a_functional() -> None:
    """The grid's response is in the forces; without it they do not add up."""
    options = {"method": "rks", "functional": "pbe", "grid_level": 1}
    sums = []
    for response in (True, False):
        found = adapter(**options, grid_response=response, convergence=TIGHT).compute(WATER, EVERYTHING, POINTS)
        sums.append(np.vstack([found.need(Quantity.FORCES), found.need(Quantity.CHARGE_FORCES)]).sum(axis=0))
    assert np.abs(sums[0]).max() < 1e-8
    assert np.abs(sums[1]).max() > 1e-5


@pytest.mark.parametrize("method", ["rhf", "mp2", "ccsd"])
def test_partial_charges_and_dipole(method: str) -> None:
    """The partial charges add up to the molecule's, and the dipole is −∂E/∂F, by two far charges."""
    mine = adapter(method=method, convergence=TIGHT)
    found = mine.compute(WATER, {Quantity.CHARGES, Quantity.DIPOLE})
    assert np.sum(found.need(Quantity.CHARGES)) == pytest.approx(0.0, abs=1e-9)
    distance, direction = 1e5, np.array([0.6, 0.0, -0.8])
    places = np.outer([-distance, distance], direction)

    def energy(field: float) -> float:
        charges = ExternalCharges(places, np.array([0.5, -0.5]) * field * distance**2)
        return float(mine.compute(WATER, {Quantity.ENERGY}, charges).need(Quantity.ENERGY))

    step = 1e-3  # e/Å², a field of 1e-3 × 14.4 V/Å
    slope = (energy(step) - energy(-step)) / (2.0 * step) / (Hartree * Bohr)
    assert direction @ np.asarray(found.need(Quantity.DIPOLE)) == pytest.approx(-slope, abs=2e-4)
