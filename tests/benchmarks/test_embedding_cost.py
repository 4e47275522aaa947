"""What external charges cost PySCF: R = (SCF + gradient + charges' gradient) / (SCF + gradient without charges).

Four ways take turns in one process: without charges, exact integrals, multipoles beyond 10 Å, and
PySCF's own ``qmmm.mm_charge``. All start from the same density; processor time is taken, the
bare SCF is scaled to as many Fock matrices as the embedded one built (its cycles and two), and
the median of the rounds is shown. The charges' own part (core Hamiltonian and both gradients) is also
timed alone, for it is small beside the rest's noise. SCALESPAN_BENCHMARK_ROUNDS and SCALESPAN_BENCHMARK_CHARGES
(such as "1000,10000") make it shorter or longer.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from time import process_time
from typing import Any

import numpy as np
import pytest
from ase import Atoms
from ase.build import molecule
from ase.units import Bohr
from pyscf import gto, qmmm

from scalespan.adapters.interface import ExternalCharges, Quantity
from scalespan.adapters.pyscf import PySCFAdapter, PySCFOptions, gradient, method
from scalespan.adapters.pyscf.charges import ChargeField

from .table import write_table

ROUNDS = int(os.environ.get("SCALESPAN_BENCHMARK_ROUNDS", "3"))
CHARGES = [int(n) for n in os.environ.get("SCALESPAN_BENCHMARK_CHARGES", "1000,3000,10000,25000").split(",")]

# N-acetylalanine N'-methylamide, 22 atoms, standard bonds and angles, φ = −75°, ψ = 70°.
DIPEPTIDE = """
C
C 1 1.51
O 2 1.23 1 121
N 2 1.34 1 116 3 180
H 4 1.01 2 119 3 180
C 4 1.45 2 122 3 0
C 6 1.53 4 110 2 -75
O 7 1.23 6 120 4 -110
N 7 1.34 6 116 4 70
H 9 1.01 7 119 8 180
C 9 1.45 7 122 8 0
C 6 1.53 4 110 2 165
H 6 1.09 4 108 2 45
H 1 1.09 2 110 3 0
H 1 1.09 2 110 3 120
H 1 1.09 2 110 3 240
H 12 1.09 6 110 4 60
H 12 1.09 6 110 4 180
H 12 1.09 6 110 4 300
H 11 1.09 9 110 7 60
H 11 1.09 9 110 7 180
H 11 1.09 9 110 7 300
"""


def dipeptide() -> Atoms:
    symbols, positions = zip(*gto.format_atom(DIPEPTIDE, unit="Bohr"), strict=True)
    return Atoms(symbols, np.array(positions))


SYSTEMS = {
    "water, PBE/def2-SVP": (lambda: molecule("H2O"), {"functional": "pbe", "basis": "def2-svp"}),
    "methanol, B3LYP/6-31G*": (lambda: molecule("CH3OH"), {"functional": "b3lyp", "basis": "6-31g*"}),
    "alanine dipeptide, B3LYP/6-31G*": (dipeptide, {"functional": "b3lyp", "basis": "6-31g*"}),
}


def waters(atoms: Atoms, count: int) -> ExternalCharges:
    """Return ``count`` charges of TIP3P waters around the atoms: a jittered lattice of 3.1 Å, turned at random."""
    generator = np.random.default_rng(1)
    half = int(np.ceil((count / 3) ** (1 / 3) / 2)) + 4
    oxygens = 3.1 * np.stack(np.meshgrid(*[np.arange(-half, half + 1)] * 3), axis=-1).reshape(-1, 3)
    oxygens = oxygens + atoms.positions.mean(axis=0) + generator.uniform(-0.3, 0.3, size=oxygens.shape)
    nearest = np.min([np.linalg.norm(oxygens - place, axis=1) for place in atoms.positions], axis=0)
    oxygens = oxygens[np.argsort(nearest)][np.sort(nearest) > 2.9][: count // 3 + 1]
    bonds = generator.normal(size=(len(oxygens), 2, 3))
    bonds *= 0.9572 / np.linalg.norm(bonds, axis=2, keepdims=True)
    places = np.concatenate([oxygens[:, None], oxygens[:, None] + bonds], axis=1).reshape(-1, 3)
    return ExternalCharges(places[:count], np.tile([-0.834, 0.417, 0.417], len(oxygens))[:count])


@dataclass
class Timing:
    """One calculation: processor seconds, those of the charges alone, and how many Fock matrices it built."""

    seconds: float
    charges: float
    builds: int


def options_of(table: dict[str, Any], far_field: str = "never") -> PySCFOptions:
    common = {"method": "rks", "density_fitting": True, "grid_response": False, "guess": "cold", "threads": 1}
    return PySCFOptions.read(common | table | {"far_field": far_field})


def seconds(*calls: Callable[[], object]) -> float:
    start = process_time()
    for call in calls:
        call()
    return process_time() - start


def ours(options: PySCFOptions, atoms: Atoms, wanted: set[Quantity], charges: ExternalCharges | None = None) -> Timing:
    adapter = PySCFAdapter(options)
    whole = seconds(lambda: adapter.compute(atoms, wanted, charges))
    mf = adapter._mf
    if charges is None:
        return Timing(whole, 0.0, mf.cycles + 2)
    density = gradient.total_density(mf)
    start = process_time()
    field = ChargeField(mf.mol, charges, options.far_field)
    alone = process_time() - start + seconds(field.hcore, field.nuclear_energy, lambda: field.gradient(density))
    return Timing(whole, alone, mf.cycles + 2)


def stock(options: PySCFOptions, atoms: Atoms, charges: ExternalCharges) -> Timing:
    start = process_time()
    nuclei = list(zip(atoms.symbols, atoms.positions / Bohr, strict=True))
    mol = gto.M(atom=nuclei, unit="Bohr", basis=options.basis, verbose=0)
    bare = method.build(mol, options)
    mf = qmmm.mm_charge(bare, charges.positions / Bohr, charges.charges, unit="Bohr")
    mf.kernel()
    assert mf.converged
    slopes = mf.nuc_grad_method()
    slopes.kernel()
    density = gradient.total_density(mf)
    on_charges = slopes.grad_nuc_mm, lambda: slopes.grad_hcore_mm(density)
    last = seconds(*on_charges)
    whole = process_time() - start
    with_charges = seconds(mf.get_hcore, mf.energy_nuc, slopes.get_hcore, slopes.grad_nuc)
    plain = bare.nuc_grad_method()
    without = seconds(bare.get_hcore, bare.energy_nuc, plain.get_hcore, plain.grad_nuc)
    return Timing(whole, last + with_charges - without, mf.cycles + 2)


def once(atoms: Atoms, table: dict[str, Any], charges: ExternalCharges) -> dict[str, tuple[float, float]]:
    """Return, for each way, R and the seconds of the charges alone."""
    exact, far = options_of(table), options_of(table, "10 angstrom")
    both = {Quantity.ENERGY, Quantity.FORCES, Quantity.CHARGE_FORCES}
    energy = ours(exact, atoms, {Quantity.ENERGY})
    forces = ours(exact, atoms, {Quantity.ENERGY, Quantity.FORCES})
    found = {}
    for way, run in (
        ("stock", lambda: stock(exact, atoms, charges)),
        ("exact", lambda: ours(exact, atoms, both, charges)),
        ("far", lambda: ours(far, atoms, both, charges)),
    ):
        taken = run()
        bare = energy.seconds * taken.builds / energy.builds + forces.seconds - energy.seconds
        found[way] = taken.seconds / bare, taken.charges
    return found


@pytest.mark.benchmark
@pytest.mark.parametrize("name", SYSTEMS)
def test_cost_of_charges(name: str) -> None:
    make, table = SYSTEMS[name]
    atoms = make()
    once(molecule("H2O"), table, waters(molecule("H2O"), 100))  # what is loaded and cached at the first use
    rows = []
    for count in CHARGES:
        rounds = [once(atoms, table, waters(atoms, count)) for _ in range(ROUNDS)]
        ratio, extra = ({way: np.median([r[way][i] for r in rounds]) for way in rounds[0]} for i in (0, 1))
        ways = ("stock", "exact", "far")
        rows.append([f"{count:,}", *(f"{ratio[way]:.2f}" for way in ways), *(f"{extra[way]:.3f}" for way in ways)])
    ways = ("PySCF's qmmm", "exact", "multipoles beyond 10 Å")
    header = ["charges", *(f"R, {way}" for way in ways), *(f"charges alone, s, {way}" for way in ways)]
    write_table(f"embedding cost: {name}", header, rows)
