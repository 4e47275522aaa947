"""The contract catches what it says it catches: each broken adapter fails the test made for it."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

import numpy as np
import pytest
from ase import Atoms

from scalespan.adapters.interface import (
    Array,
    AseMotion,
    AtomsError,
    ExternalCharges,
    ForceField,
    Indices,
    Motion,
    Observation,
    Options,
    Part,
    ParticleAdapter,
    Potential,
    Quantity,
    Results,
    ScalespanError,
    TermCount,
    Topology,
)
from scalespan.adapters.interface.contract import ForceFieldContract, ParticleContract
from scalespan.adapters.interface.units import COULOMB

BONDS = np.array([(0, 1), (1, 2), (2, 3), (3, 4)])
Law = Callable[[float, int, int], tuple[float, float]]
CHARGES = np.array([0.3, -0.2, 0.1, -0.4, 0.2])


class Yukawa(ParticleAdapter):
    """Pairs of atoms, and external charges, by c·exp(−r)/r: enough to offer every derivative."""

    name = "yukawa"
    Options = Options
    offers = frozenset(Quantity) - {Quantity.STRESS, Quantity.DIPOLE, Quantity.CHARGES}
    elements = frozenset({1, 6, 8})

    def _compute(self, atoms: Atoms, wanted: frozenset[Quantity], charges: ExternalCharges | None) -> Results:
        at = ExternalCharges(np.zeros((0, 3)), np.zeros(0)) if charges is None else charges
        n = len(atoms)
        positions = np.vstack([atoms.positions, at.positions])
        weight = np.concatenate([atoms.numbers, at.charges])
        along = positions[:, None] - positions[None]
        r = np.linalg.norm(along, axis=2) + np.eye(len(positions))
        potential = np.exp(-r) / r * (1 - np.eye(len(positions)))
        potential[n:, n:] = 0.0
        slope = weight[:, None] * weight[None] * potential * (1 + 1 / r) / r
        pull = (slope[:, :, None] * along).sum(axis=1)
        field = potential @ weight
        return Results(
            energy=float(0.5 * weight @ field),
            forces=pull[:n],
            charge_forces=pull[n:],
            charge_potential=field[n:],
        )


class TestYukawa(ParticleContract):
    def make_adapter(self) -> ParticleAdapter:
        return Yukawa()

    def make_atoms(self) -> Atoms:
        return Atoms("HCOH", [(0.1, 0.2, 0.3), (1.1, 0.1, -0.2), (1.9, 1.3, 0.8), (-0.4, 0.9, 1.3)])

    def make_charges(self) -> list[ExternalCharges]:
        return [ExternalCharges(np.array([(2.0, -1.0, 2.0), (-1.5, 0.2, 0.6)]), np.array([0.7, -1.1]))]


class Beads(ForceField):
    """A chain of five atoms: harmonic bonds, and Coulomb between all that are not bonded."""

    name = "beads"
    Options = Options
    offers = frozenset({Quantity.ENERGY, Quantity.FORCES})

    def __init__(self, bonds: Array = BONDS, pairs: Array | None = None, charges: Array = CHARGES) -> None:
        every = {(i, j) for i in range(5) for j in range(i)} - {(j, i) for i, j in BONDS.tolist()}
        self.bonds = bonds
        self.pairs = np.array(sorted(every)) if pairs is None else pairs
        self.charges = charges

    def _compute(self, atoms: Atoms, wanted: frozenset[Quantity], charges: ExternalCharges | None) -> Results:
        forces = np.zeros((5, 3))
        bonded = self._pairwise(atoms, self.bonds, lambda r, i, j: (2.5 * (r - 1.2) ** 2, 5.0 * (r - 1.2)), forces)
        q = COULOMB * self.charges
        coulomb = self._pairwise(
            atoms, self.pairs, lambda r, i, j: (q[i] * self.charges[j] / r, -q[i] * self.charges[j] / r**2), forces
        )
        return Results(energy=bonded + coulomb, forces=forces, components={"bond": bonded, "Coulomb": coulomb})

    def _pairwise(self, atoms: Atoms, ends: Array, law: Law, forces: Array) -> float:
        energy = 0.0
        for i, j in ends:
            along = atoms.positions[j] - atoms.positions[i]
            r = float(np.linalg.norm(along))
            value, slope = law(r, i, j)
            energy += value
            forces[i] += slope * along / r
            forces[j] -= slope * along / r
        return float(energy)

    @property
    def topology(self) -> Topology:
        zero = np.zeros(5, dtype=np.int64)
        names = ("A", "B", "C", "D", "E")
        return Topology(self.initial_atoms().numbers, names, zero, ("BDS",), (1,), ("A",), BONDS, self.charges)

    def initial_atoms(self) -> Atoms:
        return Atoms("CNOCH", [(0, 0, 0), (1.3, 0, 0), (1.9, 1.1, 0.2), (3.1, 1.2, 0.9), (3.5, 2.3, 0.4)])

    def _check(self, atoms: Atoms, wanted: object, charges: ExternalCharges | None) -> None:
        super()._check(atoms, wanted, charges)  # type: ignore[arg-type]
        if len(atoms) != 5:
            raise AtomsError("beads are five")

    def terms(self, region: Indices) -> Mapping[str, TermCount]:
        live = [(i, j) for i, j in self.pairs if self.charges[i] != 0.0 != self.charges[j]]
        return {"bond": count(self.bonds, region), "Coulomb": count(live, region)}

    def select(self, region: Indices, part: Part, charges: Array | None = None) -> ForceField:
        def keep(ends: Array) -> Array:
            inside = np.isin(ends, region).all(axis=1)
            return ends[{"all": inside | True, "inside": inside, "rest": ~inside}[part]]

        return type(self)(keep(self.bonds), keep(self.pairs), self.charges if charges is None else charges)

    def host(self, atoms: Atoms, motion: Motion, extra: Potential | None = None) -> None:
        mine = atoms.copy()
        mine.calc = self.as_calculator() if extra is None else Hosted(self, extra).as_calculator()
        self._motion = AseMotion(mine, motion)


def count(ends: Sequence[tuple[int, int]] | Array, region: Indices) -> TermCount:
    inside = [int(np.isin(pair, region).sum()) for pair in ends]
    return TermCount(inside.count(2), inside.count(1), inside.count(0))


class Hosted(ParticleAdapter):
    """A force field and an extra potential, as one."""

    name = "hosted"
    Options = Options

    def __init__(self, field: ForceField, extra: Potential) -> None:
        self.field, self.extra = field, extra

    def _compute(self, atoms: Atoms, wanted: frozenset[Quantity], charges: ExternalCharges | None) -> Results:
        mine = self.field.compute(atoms, {Quantity.ENERGY, Quantity.FORCES})
        energy, forces = self.extra(atoms.positions, atoms.cell.array)
        return Results(energy=mine.energy + energy, forces=mine.forces + forces)


class TestBeads(ForceFieldContract):
    def make_adapter(self) -> ForceField:
        return Beads()


# What is broken, the test that says so.


class LostForce(Yukawa):
    def _compute(self, atoms, wanted, charges):
        results = super()._compute(atoms, wanted, charges)
        results.forces[1, 2] += 1e-4
        return results


class FieldForcesHalved(Yukawa):
    def _compute(self, atoms, wanted, charges):
        results = super()._compute(atoms, wanted, charges)
        return replace(results, charge_forces=0.5 * results.charge_forces)


class PotentialOfTheWrongSign(Yukawa):
    def _compute(self, atoms, wanted, charges):
        results = super()._compute(atoms, wanted, charges)
        return replace(results, charge_potential=-results.charge_potential)


class Anchored(Yukawa):
    def _compute(self, atoms, wanted, charges):
        results = super()._compute(atoms, wanted, charges)
        return replace(results, energy=results.energy + atoms.positions[:, 0].sum())


class Preferring(Yukawa):
    """It prefers a direction, and knows the first atom."""

    def _compute(self, atoms, wanted, charges):
        results = super()._compute(atoms, wanted, charges)
        along = atoms.positions[1] - atoms.positions[0]
        return replace(results, energy=results.energy + 1e-3 * along[0] ** 2)


class Rooted(Yukawa):
    def _compute(self, atoms, wanted, charges):
        results = super()._compute(atoms, wanted, charges)
        return replace(results, energy=float(np.sqrt(results.energy)))


class Miscounted(Yukawa):
    def _compute(self, atoms, wanted, charges):
        results = super()._compute(atoms, wanted, charges)
        return replace(results, components={"pairs": 0.9 * results.energy})


class Drunk(Yukawa):
    def __init__(self):
        self.rng = np.random.default_rng()

    def _compute(self, atoms, wanted, charges):
        results = super()._compute(atoms, wanted, charges)
        return replace(results, energy=results.energy * (1 + 1e-12 * self.rng.normal()))


class OneBuffer(Yukawa):
    def __init__(self):
        self.buffer = np.zeros((4, 3))

    def _compute(self, atoms, wanted, charges):
        results = super()._compute(atoms, wanted, charges)
        self.buffer[:] = results.forces
        return replace(results, forces=self.buffer)


class Wrapping(Yukawa):
    def _compute(self, atoms, wanted, charges):
        atoms.positions -= atoms.positions.mean(axis=0)
        return super()._compute(atoms, wanted, charges)


class Deaf(Yukawa):
    def _compute(self, atoms, wanted, charges):
        return super()._compute(atoms, wanted, None)


class Forgetful(Yukawa):
    """Its answers depend on how often it was asked, and it does not save that."""

    def __init__(self):
        self.asked = 0

    def _compute(self, atoms, wanted, charges):
        self.asked += 1
        results = super()._compute(atoms, wanted, charges)
        return replace(results, forces=results.forces * (1 + 1e-9 * self.asked))


class StateOfObjects(Yukawa):
    def _save_engine(self):
        return {"guess": np.array([{"a": 1}], dtype=object)}


class LiveState(Yukawa):
    def save(self):
        return {**super().save(), "motion/positions": self._motion.atoms.positions}


class Curious(Yukawa):
    def observe(self) -> Observation:
        self.compute(self.atoms, {Quantity.ENERGY})
        return super().observe()


class Careless(Yukawa):
    def _check(self, atoms, wanted, charges):
        return


class ClosesOnce(Yukawa):
    handle = (1,)

    def close(self):
        self.handle[0]
        self.handle = ()


BROKEN = [
    (LostForce, "test_forces_are_minus_the_gradient", {}),
    (LostForce, "test_nothing_pulls_on_the_whole", {}),
    (FieldForcesHalved, "test_charge_derivatives", {}),
    (FieldForcesHalved, "test_nothing_pulls_on_the_whole", {}),
    (PotentialOfTheWrongSign, "test_charge_derivatives", {}),
    (Anchored, "test_translation", {}),
    (Preferring, "test_rotation", {}),
    (Preferring, "test_permutation", {}),
    (Rooted, "test_two_far_copies_have_twice_the_energy", {}),
    (Miscounted, "test_components_add_up_to_the_energy", {}),
    (Drunk, "test_the_same_twice", {}),
    (OneBuffer, "test_input_is_left_alone_and_output_is_new", {}),
    (Wrapping, "test_input_is_left_alone_and_output_is_new", {}),
    (Deaf, "test_external_charges_are_taken_or_refused", {}),
    (Careless, "test_positions_that_are_not_finite_are_refused", {"bad": np.nan}),
    (Careless, "test_no_atoms_are_refused", {}),
    (Careless, "test_an_unknown_element_is_refused", {}),
    (Careless, "test_what_is_not_offered_is_refused", {"quantity": Quantity.DIPOLE}),
    (Forgetful, "test_going_back_is_exact", {"ensemble": "nve"}),
    (StateOfObjects, "test_the_state_is_plain_arrays", {}),
    (LiveState, "test_the_state_is_plain_arrays", {}),
    (Curious, "test_observing_is_true_and_costs_nothing", {}),
    (ClosesOnce, "test_close_may_be_called_twice", {}),
]


@pytest.mark.parametrize(("kind", "test", "given"), BROKEN, ids=lambda each: getattr(each, "__name__", None))
def test_a_broken_adapter_is_caught(kind, test, given, monkeypatch):
    monkeypatch.setattr(TestYukawa, "make_adapter", lambda self: kind())
    _fails(TestYukawa(), test, given, monkeypatch)


class LeavesATerm(Beads):
    def select(self, region, part, charges=None):
        part_of = super().select(region, part, charges)
        if part == "rest":
            part_of.pairs = part_of.pairs[1:]
        return part_of


class KeepsTheCharges(Beads):
    def select(self, region, part, charges=None):
        return super().select(region, part, None)


class CountsTwice(Beads):
    def terms(self, region):
        found = super().terms(region)
        return found | {"bond": replace(found["bond"], across=2 * found["bond"].across)}


class IgnoresTheExtra(Beads):
    def host(self, atoms, motion, extra=None):
        super().host(atoms, motion)


class AsksTwice(Beads):
    def host(self, atoms, motion, extra=None):
        def twice(positions, cell):
            extra(positions, cell)
            return extra(positions, cell)

        super().host(atoms, motion, extra and twice)


class LosesHalfOfTheExtra(Beads):
    def host(self, atoms, motion, extra=None):
        def half(positions, cell):
            energy, forces = extra(positions, cell)
            return energy, 0.5 * forces

        super().host(atoms, motion, extra and half)


class BondsTwice(Beads):
    @property
    def topology(self):
        return replace(super().topology, bonds=np.vstack([BONDS, BONDS[:1]]))


BROKEN_FIELDS = [
    (LeavesATerm, "test_parts_add_up", {"own": True}),
    (LeavesATerm, "test_terms_are_counted_once", {}),
    (KeepsTheCharges, "test_select_without_charges_keeps_the_own", {}),
    (KeepsTheCharges, "test_no_charges_are_no_coulomb_terms", {}),
    (CountsTwice, "test_terms_are_counted_once", {}),
    (IgnoresTheExtra, "test_an_extra_potential_joins_the_motion", {}),
    (AsksTwice, "test_an_extra_potential_joins_the_motion", {}),
    (LosesHalfOfTheExtra, "test_an_extra_potential_joins_the_motion", {}),
    (BondsTwice, "test_topology", {}),
]


@pytest.mark.parametrize(("kind", "test", "given"), BROKEN_FIELDS, ids=lambda each: getattr(each, "__name__", None))
def test_a_broken_force_field_is_caught(kind, test, given, monkeypatch):
    monkeypatch.setattr(TestBeads, "make_adapter", lambda self: kind())
    _fails(TestBeads(), test, given, monkeypatch)


def _fails(contract, test, given, monkeypatch):
    check = getattr(contract, test)
    fixtures = {"adapter": contract.make_adapter(), "atoms": contract.make_atoms(), "monkeypatch": monkeypatch}
    wanted = inspect.signature(check).parameters
    with pytest.raises((AssertionError, pytest.fail.Exception, ScalespanError, LookupError, ValueError)):
        check(**{key: value for key, value in fixtures.items() if key in wanted}, **given)
