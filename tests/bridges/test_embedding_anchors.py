"""Published and measured numbers: ASE's TIP3P dimer, the S22 water dimer, ethanol cut at C–C."""

import numpy as np
import pytest
from ase import Atoms
from ase.calculators.tip3p import TIP3P, angleHOH, epsilon0, rOH, sigma0

from scalespan.adapters.interface import ADAPTERS, ExternalCharges, ParticleAdapter, Quantity, Results
from scalespan.adapters.interface.units import COULOMB, HARTREE, KCAL_PER_MOL
from scalespan.bridges.embedding import Embedding, EmbeddingOptions

from .standins import ETHANOL, ETHANOL_BONDS, ETHANOL_NAMES, Springs, topology_of

WANTED = {Quantity.ENERGY, Quantity.FORCES}


def engine(name, **table):
    find = ADAPTERS.find(name)
    return find(find.Options.read(table))


def quantum(basis="6-31g*", **table):
    table = {"method": "rhf", "basis": basis, "convergence": "1e-11 hartree", "far_field": "never", **table}
    return engine("pyscf", **table)


class LennardJones(Springs):
    """A low level of rigid waters: Lennard-Jones between oxygens, Coulomb between molecules."""

    sigma, epsilon = sigma0, epsilon0

    def _all_terms(self):
        molecules = self._topology.molecules()
        n = len(molecules)
        pairs = [(i, j) for i in range(n) for j in range(i + 1, n) if molecules[i] != molecules[j]]
        oxygen = self._topology.numbers == 8
        return {"pair": pairs, "lj": [p for p in pairs if oxygen[p[0]] and oxygen[p[1]]], "bond": []}

    def _compute(self, atoms, wanted, charges):
        energy, forces, q = 0.0, np.zeros((len(atoms), 3)), self._topology.charges
        for name in ("pair", "lj"):
            for i, j in self._terms[name]:
                along = atoms.positions[j] - atoms.positions[i]
                r = np.linalg.norm(along)
                c6 = (self.sigma / r) ** 6
                e = 4 * self.epsilon * (c6**2 - c6) if name == "lj" else COULOMB * q[i] * q[j] / r
                slope = -24 * self.epsilon * (2 * c6**2 - c6) / r if name == "lj" else -e / r
                energy += e
                forces[i] += slope / r * along
                forces[j] -= slope / r * along
        return Results(energy=energy, forces=forces)


class FixedCharges(ParticleAdapter):
    """A high level that is TIP3P's own charges, so that embedding it is TIP3P again (as ASE's test does)."""

    name = "fixed"
    offers = frozenset({Quantity.ENERGY, Quantity.FORCES, Quantity.CHARGE_FORCES, Quantity.CHARGE_POTENTIAL})

    def _compute(self, atoms, wanted, charges: ExternalCharges | None):
        assert charges is not None
        own = np.where(atoms.numbers == 8, -0.834, 0.417)
        along = charges.positions[None] - atoms.positions[:, None]
        r = np.linalg.norm(along, axis=2)
        each = COULOMB * own[:, None] * charges.charges / r
        pull = (each / r**2)[:, :, None] * along
        return Results(
            energy=float(each.sum()),
            forces=-pull.sum(axis=1),
            charge_forces=pull.sum(axis=0),
            charge_potential=COULOMB * (own[:, None] / r).sum(axis=0),
        )


def tip3p_dimer(d):
    """ASE's test_qmmm.py, order H H O: the acceptor first, the donor shifted by d along x."""
    a = np.radians(angleHOH)
    first = [[rOH * np.cos(a), 0, rOH * np.sin(a)], [rOH, 0, 0], [0, 0, 0]]
    half = a / 2
    second = [[rOH * np.cos(half), rOH * np.sin(half), 0], [rOH * np.cos(half), -rOH * np.sin(half), 0], [0, 0, 0]]
    return Atoms("HHOHHO", np.array(first + [np.add(p, [d, 0, 0]) for p in second]))


@pytest.mark.parametrize(
    ("d", "energy", "force"),  # eV, eV/Å along x on molecule 1: ASE 3.29, ase/test/calculator/test_qmmm.py
    [
        (2.5, -0.1720911003, -1.048383138),
        (2.74, -0.2694159808, -0.0188204483),
        (3.0, -0.2397637059, 0.1810750939),
        (3.5, -0.1528499407, 0.1437551519),
    ],
)
class TestTIP3P:
    """TIP3P in TIP3P gives ASE's numbers for ASE's TIP3P, SimpleQMMM and EIQMMM, in each way of embedding."""

    def check(self, model, d, energy, force):
        found = model.compute(tip3p_dimer(d), WANTED)
        assert found.energy == pytest.approx(energy, abs=1e-9)
        assert found.forces[:3, 0].sum() == pytest.approx(force, abs=1e-8)

    def test_electrostatic(self, d, energy, force):
        atoms = tip3p_dimer(d)
        bonds = [(0, 2), (1, 2), (3, 5), (4, 5)]
        low = LennardJones(topology_of(atoms, bonds, [0.417, 0.417, -0.834] * 2), atoms)
        for scheme in ("subtractive", "additive"):
            options = EmbeddingOptions.read({"region": {"atoms": [0, 1, 2]}, "scheme": scheme})
            self.check(Embedding(options, low=low, high=FixedCharges()), d, energy, force)

    def test_mechanical(self, d, energy, force):
        ase = ADAPTERS.find("ase")
        options = EmbeddingOptions.read({"region": {"atoms": [0, 1, 2]}, "embedding": "mechanical"})
        low, high = ase.of(TIP3P(rc=9.0)), ase.of(TIP3P(rc=9.0))
        self.check(Embedding(options, low=low, high=high), d, energy, force)


# Jurečka et al. 2006 (S22), geometry as in ase.data.s22
S22 = Atoms(
    "OHHOHH",
    [
        [-1.551007, -0.114520, 0.0],
        [-1.934259, 0.762503, 0.0],
        [-0.599677, 0.040712, 0.0],
        [1.350625, 0.111469, 0.0],
        [1.680398, -0.373741, -0.758561],
        [1.680398, -0.373741, 0.758561],
    ],
)
MONOMERS = [-76.00895343248965, -76.00906115175881]  # Eh, RHF/6-31G*


@pytest.mark.parametrize(
    ("region", "embedded", "interaction", "on_region", "on_charges"),  # PySCF's own qmmm.mm_charge, run apart from this
    [
        ([0, 1, 2], -76.02009553468923, -6.39522, 0.0207672, 0.0143571),
        ([3, 4, 5], -76.02045024402514, -6.55021, 0.0208624, 0.0150660),
    ],
)
def test_s22_water_dimer(region, embedded, interaction, on_region, on_charges):
    """One water at RHF/6-31G* in the TIP3P charges of the other, and Lennard-Jones between them."""
    bonds = [(0, 1), (0, 2), (3, 4), (3, 5)]
    low = LennardJones(topology_of(S22, bonds, [-0.834, 0.417, 0.417] * 2), S22)
    low.sigma, low.epsilon = 3.15061, 0.1521 * KCAL_PER_MOL
    high = quantum()
    model = Embedding(EmbeddingOptions.read({"region": {"atoms": region}}), low=low, high=high)
    found = model.compute(S22, WANTED)
    assert found.components["high"] / HARTREE == pytest.approx(embedded, abs=2e-9)
    alone = MONOMERS[region[0] // 3] * HARTREE
    assert (found.energy - alone) / KCAL_PER_MOL == pytest.approx(interaction, abs=2e-5)
    view = model.layout_of(S22).surroundings.look(S22.positions, None)
    asked = {Quantity.FORCES, Quantity.CHARGE_FORCES}
    parts = high.compute(model.layout_of(S22).capped(view), asked, view.charges)
    atomic = HARTREE / 0.52917721067  # eV/Å, of a force in Eh/bohr
    assert np.linalg.norm(parts.forces) / atomic == pytest.approx(on_region, abs=1e-7)
    assert np.linalg.norm(parts.charge_forces) / atomic == pytest.approx(on_charges, abs=1e-7)


DEPROTONATION = 412.538  # kcal/mol, RHF/6-31G*, the whole molecule: E(anion) − E(ethanol), same geometry
# Charges at the cut, error of the embedded deprotonation energy, kcal/mol, and E of the neutral, Eh
ETHANOL_TABLE = [
    ("none", 10.99, -115.10809139),
    ("Z1", -18.45, None),
    ("Z2", 4.01, None),
    ("RC", 7.88, -115.04481585),
    ("RCD", 11.67, -115.05791856),
    ("CS", 11.04, -115.04199040),
]


def cut_ethanol(scheme, atoms, **links):
    """CH2OH or CH2O⁻ at RHF/6-31G* in the charges of CH3; the low level has no other terms that count here."""
    charges = [-0.18, 0.06, 0.06, 0.06] + [0.0] * (len(atoms) - 4)
    bonds = [bond for bond in ETHANOL_BONDS if max(bond) < len(atoms)]
    low = Springs(topology_of(atoms, bonds, charges, ETHANOL_NAMES[: len(atoms)]), atoms)
    # the pair of CS at ±0.05 Å, as where the numbers come from: C–H is 1.0963 and 1.0960 Å long
    table = {
        "scheme": scheme,
        "spread": 0.05 / 1.0962,
        "leftover": "keep",
    }  # the anion keeps the neutral charges around it
    region = {"atoms": list(range(4, len(atoms)))}
    options = EmbeddingOptions.read({"region": region, "charges": table, "links": links})
    high = quantum(charge=0 if len(atoms) == 9 else -1)
    return Embedding(options, low=low, high=high).compute(atoms, {Quantity.ENERGY}).components["high"]


@pytest.mark.parametrize(("scheme", "mistake", "neutral"), ETHANOL_TABLE)
def test_deprotonation_of_cut_ethanol(scheme, mistake, neutral):
    """The numbers come from a script on PySCF's own qmmm module, with the pair of CS at a fixed length."""
    before, after = cut_ethanol(scheme, ETHANOL), cut_ethanol(scheme, ETHANOL[:8])
    assert (after - before) / KCAL_PER_MOL - DEPROTONATION == pytest.approx(mistake, abs=0.006)
    if neutral is not None:
        assert before / HARTREE == pytest.approx(neutral, abs=1e-8 if scheme != "CS" else 1e-6)


@pytest.mark.parametrize(("scheme", "mistake"), [("RC", 7.75), ("RCD", 11.57), ("CS", 10.94), ("Z1", -18.66)])
def test_deprotonation_with_a_scaled_link(scheme, mistake):
    """The same with r_QH = 0.723 r_QM."""
    links = {"kind": "scaled", "ratio": 0.723}
    before, after = cut_ethanol(scheme, ETHANOL, **links), cut_ethanol(scheme, ETHANOL[:8], **links)
    assert (after - before) / KCAL_PER_MOL - DEPROTONATION == pytest.approx(mistake, abs=0.006)


def test_an_open_shell_is_felt_with_both_spins():
    """CH3CH2 radical, CH2 as UHF: forces on the charges come from the total density, not from one spin's."""
    atoms = ETHANOL[:7]
    charges = [-0.18, 0.06, 0.06, 0.06, 0.0, 0.0, 0.0]
    low = Springs(topology_of(atoms, ETHANOL_BONDS[:6], charges, ETHANOL_NAMES[:7]), atoms)
    options = EmbeddingOptions.read({"region": {"atoms": [4, 5, 6]}, "links": {"allow_cuts": ["C1-C2"]}})
    high = quantum("sto-3g", method="uhf", spin=1)
    model = Embedding(options, low=low, high=high)
    forces = model.compute(atoms, WANTED).forces
    h = 2e-3
    for i, x in ((0, 0), (1, 1), (4, 1)):
        energies = []
        for shift in (-2, -1, 1, 2):
            moved = atoms.copy()
            moved.positions[i, x] += shift * h
            energies.append(model.compute(moved, {Quantity.ENERGY}).energy)
        slope = (energies[0] - 8 * energies[1] + 8 * energies[2] - energies[3]) / (12 * h)
        assert forces[i, x] == pytest.approx(-slope, abs=2e-5)
