"""Boxes of atoms under F: at rest against Cauchy–Born, at a temperature against it and within their errors."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk
from ase.calculators.lj import LennardJones
from ase.io import write
from ase.units import kB

from scalespan.adapters.ase import ASEAdapter
from scalespan.adapters.interface import Array, ParticleAdapter, in_turn
from scalespan.adapters.stillinger_weber import StillingerWeberAdapter, StillingerWeberOptions
from scalespan.bridges.atomistic_cell import AtomisticCell, AtomisticCellOptions
from scalespan.bridges.cauchy_born import CauchyBorn, CauchyBornOptions

from .argon import argon, engine

needs_pymbar = pytest.mark.skipif(find_spec("pymbar") is None, reason="pymbar is not installed")

AT = np.array([[[1.02, 0.03, -0.01], [0.0, 0.99, 0.02], [0.01, 0.0, 1.01]]])
ONE = np.eye(3)[None]
SILICON = StillingerWeberAdapter(StillingerWeberOptions())


def box_of(folder: Path, atoms: Atoms, engine: ParticleAdapter, **options: Any) -> AtomisticCell:
    """Return the law of a box in a file."""
    write(folder / "box.xyz", atoms, format="extxyz")
    return AtomisticCell(AtomisticCellOptions.read({"file": "box.xyz"} | options, folder=folder), engine)


def warm(kelvin: float = 10.0, platform: str = "CPU", **options: Any) -> AtomisticCell:
    """Return the law of a box of argon that OpenMM moves."""
    table = {"timestep": "10 fs", "friction": "3 / ps", "samples": 80, "temperature": f"{kelvin} K"}
    settings = AtomisticCellOptions.read({"sampling": table | options})
    return AtomisticCell(settings, engine(argon(), platform))


def slope(law: AtomisticCell, name: str, along: Array, step: float = 1e-4) -> Array:
    """Return the slope of an answer at AT along a direction (3, 3)."""
    ahead, behind = (getattr(law.respond(AT + sign * step * along), name)[0] for sign in (1.0, -1.0))
    found: Array = (ahead - behind) / (2.0 * step)
    return found


def test_a_box_of_lennard_jones_at_rest_is_cauchy_born(tmp_path: Path) -> None:
    """To 1e-8, at a finite F with shear and rotation; 32 atoms against one."""
    a, pair = 2.0 ** (2.0 / 3.0), ASEAdapter.of(LennardJones(rc=1.35))
    crystal = {"symbol": "Ar", "structure": "fcc", "a": f"{a!r} angstrom"}
    expected = CauchyBorn(CauchyBornOptions.read({"crystal": crystal}), pair).respond(AT, tangent=True)
    box = bulk("Ar", "fcc", a=a, cubic=True).repeat((2, 1, 1))
    found = box_of(tmp_path, box, pair, repeat=[1, 2, 2]).respond(AT, tangent=True)
    np.testing.assert_allclose(found.energy, expected.energy, rtol=1e-8)
    np.testing.assert_allclose(found.stress, expected.stress, rtol=0, atol=1e-8)
    np.testing.assert_allclose(found.tangent, expected.tangent, rtol=0, atol=1e-6)
    assert found.covariance is None, "atoms at rest are exact"


def test_inner_displacements_relax_as_in_cauchy_born(tmp_path: Path) -> None:
    """Silicon, whose two sublattices move against each other."""
    crystal = {"symbol": "Si", "structure": "diamond", "a": "5.431 angstrom"}
    expected = CauchyBorn(CauchyBornOptions.read({"crystal": crystal}), SILICON).respond(AT, tangent=True)
    found = box_of(tmp_path, bulk("Si", a=5.431, cubic=True), SILICON, force_tolerance="1e-9 eV/angstrom")
    answer = found.respond(AT, tangent=True)
    np.testing.assert_allclose(answer.stress, expected.stress, rtol=0, atol=1e-8)
    np.testing.assert_allclose(answer.tangent, expected.tangent, rtol=0, atol=1e-6)


def test_the_answers_of_a_box_with_a_vacancy_are_slopes_of_each_other(tmp_path: Path) -> None:
    """Where nothing is symmetric: P = ∂W/∂F, Hill's condition for atoms, and ∂P/∂F."""
    atoms = bulk("Si", a=5.431, cubic=True).repeat((2, 1, 1))
    del atoms[3]
    law = box_of(tmp_path, atoms, SILICON, force_tolerance="1e-8 eV/angstrom")
    answer = law.respond(AT, tangent=True)
    along = np.random.default_rng(3).normal(size=(3, 3))
    assert slope(law, "energy", along) == pytest.approx(float((answer.stress[0] * along).sum()), abs=1e-7)
    expected = np.einsum("ijkl,kl", answer.tangent[0], along)
    np.testing.assert_allclose(slope(law, "stress", along), expected, rtol=0, atol=1e-5)


def test_a_box_that_has_given_way_stays_there(tmp_path: Path) -> None:
    """The atoms begin from where they were when the step was final, and a restored law does so too."""
    atoms = bulk("Si", a=5.431, cubic=True).repeat((2, 1, 1))
    del atoms[3]
    law = box_of(tmp_path, atoms, SILICON, force_tolerance="1e-4 eV/angstrom")
    untouched = law.respond(ONE).stress
    law.respond(1.15 * AT)
    law.advance(1.0)
    state = law.save()
    first = law.respond(ONE).stress
    assert not np.array_equal(first, untouched), "it begins elsewhere"
    law.respond(1.001 * ONE)
    assert np.array_equal(law.respond(ONE).stress, first), "the answer is a function of F within a step"
    law.restore(state)
    assert np.array_equal(law.respond(ONE).stress, first)


@needs_pymbar
@pytest.mark.slow
def test_stress_and_tangent_tend_to_cauchy_born_with_the_temperature() -> None:
    """Linear in T near 0, so that twice the one at T less the one at 2 T is the one at 0, within the errors."""
    rest = AtomisticCell(AtomisticCellOptions(), engine(argon())).respond(ONE, tangent=True)
    cold, twice = (warm(t, samples=150).respond(ONE, tangent=True) for t in (2.0, 4.0))
    for name, errors in (("stress", "covariance"), ("tangent", "tangent_variance")):
        found = 2.0 * getattr(cold, name)[0] - getattr(twice, name)[0]
        variance = [getattr(each, errors)[0] for each in (cold, twice)]
        if name == "stress":
            variance = [np.einsum("ijij->ij", each) for each in variance]
        error = np.sqrt(4.0 * variance[0] + variance[1])
        assert (np.abs(found - getattr(rest, name)[0]) < 4.0 * error + 1e-7).all()
    assert cold.stress[0, 0, 0] < rest.stress[0, 0, 0] - 20.0 * np.sqrt(cold.covariance[0, 0, 0, 0, 0]), "it pushes"


@needs_pymbar
def test_atoms_without_forces_are_an_ideal_gas(tmp_path: Path) -> None:
    """P = −n kT F⁻ᵀ and ∂P_iJ/∂F_kL = n kT F⁻¹_Jk F⁻¹_Li, n of the undeformed volume; ASE moves them."""
    atoms = Atoms("Ar4", positions=10.0 * np.random.default_rng(1).random((4, 3)), cell=[10.0] * 3, pbc=True)
    table = {"timestep": "2 fs", "friction": "20 / ps", "samples": 60, "temperature": "300 K"}
    free = ASEAdapter.of(LennardJones(epsilon=1e-20, rc=3.0))
    answer = box_of(tmp_path, atoms, free, sampling=table).respond(AT, tangent=True)
    pressure, inverse = 4.0 * kB * 300.0 / 1000.0, np.linalg.inv(AT[0])
    np.testing.assert_allclose(answer.stress[0], -pressure * inverse.T, rtol=1e-9)
    np.testing.assert_allclose(answer.tangent[0], pressure * np.einsum("Jk,Li->iJkL", inverse, inverse), rtol=1e-9)


@needs_pymbar
def test_any_engine_can_be_sampled(tmp_path: Path) -> None:
    """Silicon, moved by ASE's integrator: a few per cent softer at 300 K than at rest, and pushing."""
    table = {"timestep": "4 fs", "friction": "20 / ps", "samples": 60, "interval": 5, "temperature": "300 K"}
    box = bulk("Si", a=5.431, cubic=True)
    rest = box_of(tmp_path, box, SILICON).respond(ONE, tangent=True)
    found = box_of(tmp_path, box, SILICON, sampling=table).respond(ONE, tangent=True)
    index = (0, 0, 0, 0, 0)
    error = np.sqrt(found.tangent_variance[index])
    assert 0.9 * rest.tangent[index] - 4.0 * error < found.tangent[index] < rest.tangent[index] + 4.0 * error
    assert found.stress[0, 0, 0] < 0.0


@needs_pymbar
@pytest.mark.slow
def test_both_tangents_agree_within_their_errors() -> None:
    """The fluctuation formula, and differences under the same noise."""
    first, second = (
        warm(20.0, tangent=each, samples=60).respond(AT, tangent=True) for each in ("fluctuations", "differences")
    )
    error = np.sqrt(first.tangent_variance + second.tangent_variance)
    assert (np.abs(first.tangent - second.tangent) < 4.5 * error + 1e-5).all()
    assert error.max() < 0.05 * np.abs(second.tangent).max()


@needs_pymbar
def test_the_same_noise_makes_differences_sharp() -> None:
    """P(F + dF) − P(F) is C dF to a tenth, where the error of either is several times as large."""
    law, step = warm(), np.zeros((3, 3))
    step[0, 0] = 1e-4
    at, beside = law.respond(ONE, tangent=True), law.respond(ONE + step)
    change = float((beside.stress - at.stress)[0, 0, 0])
    expected = float(at.tangent[0, 0, 0, 0, 0]) * 1e-4
    assert change == pytest.approx(expected, rel=0.1)
    assert np.sqrt(at.covariance[0, 0, 0, 0, 0]) > 0.5 * expected


@needs_pymbar
def test_errors_are_those_of_other_noise() -> None:
    """The spread of six points' answers, each with its own noise, is what their covariances say."""
    found = warm().respond(np.tile(ONE, (6, 1, 1)))
    said = np.sqrt(np.einsum("nijij->nij", found.covariance).mean())
    seen = np.sqrt(found.stress.var(axis=0, ddof=1).mean())
    assert 0.5 < seen / said < 2.0


@needs_pymbar
def test_each_rank_has_noise_of_its_own_and_counts_work_from_the_same_state() -> None:
    first, other = warm(), warm()
    other.share(in_turn, 1)
    one, two = first.respond(AT), other.respond(AT)
    assert np.abs(one.stress - two.stress).max() > np.sqrt(np.einsum("ijij", one.covariance[0]).max()) / 10.0
    half = 0.5 * float(((two.stress - one.stress)[0] * (AT[0] - np.eye(3))).sum())
    assert float(two.energy[0] - one.energy[0]) == pytest.approx(half, rel=1e-6)


@needs_pymbar
def test_a_final_step_brings_new_noise_and_a_restored_law_the_old() -> None:
    """Bit for bit in double precision; in single, sums depend on what a context has seen, in their last digits."""
    law = warm(platform="Reference", samples=50)
    first = law.respond(AT).stress
    law.advance(1.0)
    state = law.save()
    second = law.respond(AT).stress
    assert not np.array_equal(second, first)
    assert np.array_equal(law.respond(AT).stress, second)
    other = warm(platform="Reference", samples=50)
    other.restore(state)
    assert np.array_equal(other.respond(AT).stress, second)


@needs_pymbar
def test_more_samples_sharpen_the_answer() -> None:
    law = warm()
    before = law.respond(ONE)
    law.sharpen(5.0)
    after = law.respond(ONE)
    assert law.samples == 400
    assert np.trace(after.covariance[0].reshape(9, 9)) < 0.5 * np.trace(before.covariance[0].reshape(9, 9))


@needs_pymbar
def test_the_work_comes_back_on_the_way_back() -> None:
    """W is a free energy: after F and back to 1 it is 0 within the errors of P, and never the work of one way."""
    law = warm()
    there = 1.0 + 0.02 * np.sin(np.pi * np.linspace(0.0, 1.0, 5))
    works, error = [], 0.0
    for stretch in there[1:]:
        answer = law.respond(np.diag([stretch, 1.0, 1.0])[None])
        law.advance(1.0)
        works.append(float(answer.energy[0]))
        error += float(answer.covariance[0, 0, 0, 0, 0]) * 0.02**2
    assert abs(works[-1]) < 4.0 * np.sqrt(error) < 0.5 * abs(works[1])
