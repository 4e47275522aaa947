"""Side by side with ASE's EIQMMM: one quantum water (RHF/6-31G, PySCF) in TIP3P waters, without a cutoff.

Both ask the same PySCF adapter. EIQMMM has ASE's own TIP3P; here OpenMM has the same parameters. ASE's has no terms
within a molecule, so neither has the force field given to OpenMM, and a few short steps of one trajectory can be
compared number by number.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from time import process_time

import numpy as np
import pytest
from ase import Atoms, units
from ase.calculators.calculator import Calculator, all_changes
from ase.calculators.qmmm import EIQMMM, LJInteractions
from ase.calculators.tip3p import TIP3P, epsilon0, qH, sigma0
from ase.md.verlet import VelocityVerlet
from openmm import app, unit

from scalespan.adapters.interface import (
    ADAPTERS,
    Array,
    ExternalCharges,
    ForceField,
    Motion,
    ParticleAdapter,
    Quantity,
)
from scalespan.adapters.interface.units import KJ_PER_MOL, NANOMETRE
from scalespan.bridges.embedding import Embedding, EmbeddingOptions

from .table import write_table
from .test_glue import water

STEP, STEPS = 0.1, 10  # fs; nothing holds a molecule together, and nothing has time to fall apart
SIZES = (65, 500)  # waters around the quantum one
REGION = [0, 1, 2]
FORCE_FIELD = f"""
<ForceField>
 <AtomTypes>
  <Type name="O" class="O" element="O" mass="15.99943"/><Type name="H" class="H" element="H" mass="1.007947"/>
 </AtomTypes>
 <Residues>
  <Residue name="HOH">
   <Atom name="O" type="O"/><Atom name="H1" type="H"/><Atom name="H2" type="H"/>
   <Bond atomName1="O" atomName2="H1"/><Bond atomName1="O" atomName2="H2"/>
  </Residue>
 </Residues>
 <NonbondedForce coulomb14scale="1" lj14scale="1">
  <Atom type="O" charge="{-2 * qH}" sigma="{sigma0 / NANOMETRE}" epsilon="{epsilon0 / KJ_PER_MOL}"/>
  <Atom type="H" charge="{qH}" sigma="1" epsilon="0"/>
 </NonbondedForce>
</ForceField>
"""


def droplet(waters: int) -> tuple[app.Topology, Array]:
    """Return the ``waters`` + 1 molecules nearest to the middle of a box, the middle one first."""
    _, positions, edge = water(2500)
    molecules = positions.reshape(-1, 3, 3) * NANOMETRE
    away = np.linalg.norm(molecules[:, 0] - edge * NANOMETRE / 2.0, axis=1)
    nearest = molecules[np.argsort(away)[: waters + 1]].reshape(-1, 3)
    topology = app.Topology()
    chain = topology.addChain()
    for _ in range(waters + 1):
        residue = topology.addResidue("HOH", chain)
        atoms = [topology.addAtom(name, app.Element.getBySymbol(name[0]), residue) for name in ("O", "H1", "H2")]
        topology.addBond(atoms[0], atoms[1])
        topology.addBond(atoms[0], atoms[2])
    return topology, nearest


def quantum() -> ParticleAdapter:
    find = ADAPTERS.find("pyscf")
    return find(find.Options.read({"method": "rhf", "basis": "6-31g"}))


class Stopwatch(ParticleAdapter):
    """An adapter, and the processor time that it took."""

    name = "stopwatch"

    def __init__(self, inner: ParticleAdapter) -> None:
        self.inner, self.offers, self.spent, self.calls = inner, inner.offers, 0.0, 0

    def _compute(self, atoms, wanted, charges):
        start = process_time()
        found = self.inner.compute(atoms, wanted, charges)
        self.spent += process_time() - start
        self.calls += 1
        return found


class InCharges(Calculator):
    """An adapter by the protocol of EIQMMM: a calculator that `embed` puts into point charges."""

    implemented_properties = ("energy", "forces")

    def __init__(self, adapter: ParticleAdapter) -> None:
        super().__init__()
        self.adapter, self.field = adapter, None

    def embed(self, charges: Array) -> PointCharges:
        self.field = PointCharges(self, np.array(charges))
        return self.field

    def calculate(self, atoms=None, properties=None, system_changes=all_changes):
        super().calculate(atoms, properties, system_changes)
        charges = ExternalCharges(self.field.positions, self.field.charges)
        wanted = {Quantity.ENERGY, Quantity.FORCES, Quantity.CHARGE_FORCES}
        found = self.adapter.compute(Atoms(self.atoms.symbols, self.atoms.positions), wanted, charges)
        self.field.forces = found.charge_forces
        self.results = {"energy": found.energy, "forces": found.forces}


@dataclass
class PointCharges:
    """What EIQMMM moves and asks for forces."""

    calculator: InCharges
    charges: Array
    positions: Array | None = None
    forces: Array | None = None

    def set_positions(self, positions: Array) -> None:
        self.positions = positions.copy()
        self.calculator.reset()

    def get_forces(self, calculator: InCharges) -> Array:
        return self.forces


class TimedTIP3P(TIP3P):
    """ASE's TIP3P, and the processor time that it took."""

    spent = 0.0

    def calculate(self, atoms, properties, system_changes):
        start = process_time()
        super().calculate(atoms, properties, system_changes)
        self.spent += process_time() - start


def ours(waters: int, folder: Path, high: ParticleAdapter, **settings: object) -> Embedding:
    topology, positions = droplet(waters)
    (folder / "water.xml").write_text(FORCE_FIELD)
    with (folder / "water.pdb").open("w") as file:
        app.PDBFile.writeFile(topology, positions * unit.angstrom, file, keepIds=True)
    find = ADAPTERS.find("openmm")
    table = {"pdb": "water.pdb", "force_field": ["water.xml"], "nonbonded": "no-cutoff", **settings}
    options = EmbeddingOptions.read({"scheme": "additive", "region": {"atoms": REGION}})
    return Embedding(options, low=find(find.Options.read(table, folder=folder)), high=high)


def theirs(atoms: Atoms, high: ParticleAdapter) -> tuple[Atoms, TimedTIP3P]:
    """Return the atoms with ASE's EIQMMM, and its force field."""
    low = TimedTIP3P(rc=np.inf)
    found = Atoms(atoms.symbols, atoms.positions, masses=atoms.get_masses())
    found.calc = EIQMMM(REGION, InCharges(high), low, LJInteractions({("O", "O"): (epsilon0, sigma0)}))
    return found, low


@pytest.mark.slow
def test_energy_and_forces_are_those_of_eiqmmm(tmp_path: Path) -> None:
    model = ours(65, tmp_path, quantum(), platform="Reference")
    atoms = model.initial_atoms()
    found = model.compute(atoms, {Quantity.ENERGY, Quantity.FORCES})
    other, _ = theirs(atoms, quantum())
    # Two generations of constants: Coulomb's is 1e-9 apart, and the waters' energy is 1e2 eV.
    assert found.energy == pytest.approx(other.get_potential_energy(), abs=1e-6)
    assert found.forces == pytest.approx(other.get_forces(), abs=1e-7)
    # The quantum part alone has the same charges to feel, and so the same energy to the last digits.
    high = other.calc.qmatoms.get_potential_energy()
    assert found.components["high"] == pytest.approx(high, abs=1e-8)


def timed(step: Callable[[], None]) -> float:
    start = process_time()
    for _ in range(STEPS):
        step()
    return process_time() - start


def by_openmm(waters: int, folder: Path) -> tuple[list[float], Atoms]:
    """Return the processor times of the steps, their quantum part and their classical part (s), and where they end."""
    watch = Stopwatch(quantum())
    model, motion = ours(waters, folder, watch), Motion.read({"timestep": f"{STEP} fs"})
    atoms, dt = model.initial_atoms(), STEP * units.fs
    plain: ForceField = model.low.select(np.array(REGION), "rest", model.layout_of(atoms).charges_of_low)
    for each in (model, plain):
        each.start(atoms, motion)
        each.advance(dt)
    watch.spent = watch.calls = 0
    total = timed(lambda: model.advance(dt))
    assert watch.calls == STEPS
    return [total, watch.spent, timed(lambda: plain.advance(dt))], model.atoms


def by_eiqmmm(waters: int, folder: Path) -> tuple[list[float], Atoms]:
    watch = Stopwatch(quantum())
    atoms, low = theirs(ours(waters, folder, quantum()).initial_atoms(), watch)
    motion = VelocityVerlet(atoms, STEP * units.fs)
    motion.run(1)
    watch.spent = low.spent = 0.0
    watch.calls = 0
    total = timed(lambda: motion.run(1))
    assert watch.calls == STEPS
    return [total, watch.spent, low.spent], atoms


@pytest.mark.benchmark
def test_a_step_beside_eiqmmm(tmp_path: Path) -> None:
    rows, ways = [], {"scalespan, OpenMM": by_openmm, "ASE's EIQMMM and TIP3P": by_eiqmmm}
    for waters in SIZES:
        ends = []
        for name, way in ways.items():
            (total, high, low), end = way(waters, tmp_path)
            ends.append(end.positions)
            parts = (total, high, low, total - high - low)
            rows.append([waters, name, *(f"{1e3 * each / STEPS:.2f}" for each in parts)])
        # OpenMM's fastest platform has single precision.
        assert ends[0] == pytest.approx(ends[1], abs=2e-5)
    header = ["waters", "by", "step, ms", "quantum, ms", "classical, ms", "glue, ms"]
    write_table("against EIQMMM", header, rows)
