"""A table of a noisy law: its errors are honest, it asks no more than it must, and Newton's method converges on it."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from scipy.spatial.transform import Rotation
from scipy.stats import chi2

from scalespan.adapters.interface import CaseError, NotConverged, NotOffered, OptionError, ScalespanError, UnitError
from scalespan.bridges.surrogate import GradientProcess, Surrogate, SurrogateOptions
from scalespan.bridges.surrogate.law import more_samples
from scalespan.bridges.surrogate.process import Data

from .noisy import Noisy
from .potentials import LennardJonesLaw

SIGMA = 2.0 ** (1.0 / 6.0)
SHEET = LennardJonesLaw(SIGMA * np.array([[1.0, 0.0], [0.5, np.sqrt(0.75)]]), reach=1.5)
CHAIN = LennardJonesLaw(np.array([[SIGMA]]), reach=1.5)
WANTED = 0.1  # of about 74 ε/σ² of stiffness


def table_of(truth=SHEET, seed=0, **options) -> Surrogate:
    unit = truth.stress_unit
    given = {"stress_error": f"{WANTED} {unit}", "smooth": 0.05, **options}
    return Surrogate(SurrogateOptions.read(given), Noisy(truth, size=20.0, seed=seed))


def along(strain, d=2):
    return np.eye(d) + strain * np.array([[1.0, 0.4], [0.0, -0.3]])[:d, :d]


def drawn(process_size, count, random):
    """Return data with correlated noise of unequal size: (count, k)."""
    strains = 0.05 * random.uniform(-1.0, 1.0, (count, process_size))
    roots = random.uniform(-1.0, 1.0, (count, process_size, process_size))
    return strains, roots @ roots.transpose(0, 2, 1)


# ---- the process ----


def some_process(k=3):
    random = np.random.default_rng(5)
    strains, noise = drawn(k, 7, random)
    data = Data(strains, random.standard_normal((7, k)), 0.01 * noise)
    return GradientProcess(data, np.array([40.0, 0.06]), np.diag(np.arange(1.0, k + 1.0)))


@pytest.mark.parametrize("k", [1, 3, 6])
def test_stress_is_the_slope_of_the_energy_and_stiffness_that_of_the_stress(k) -> None:
    process, at, h = some_process(k), 0.02 * np.random.default_rng(1).standard_normal((4, k)), 1e-5
    known = process.at(at)
    for p in range(k):
        ahead, behind = process.at(at + h * np.eye(k)[p]), process.at(at - h * np.eye(k)[p])
        assert known.stress[:, p] == pytest.approx((ahead.energy - behind.energy) / (2.0 * h), abs=1e-7)
        assert known.stiffness[:, :, p] == pytest.approx((ahead.stress - behind.stress) / (2.0 * h), abs=1e-5)
    assert known.stiffness == pytest.approx(known.stiffness.transpose(0, 2, 1), abs=1e-12)
    assert process.at(np.zeros((1, k))).energy[0] == 0.0


def test_the_errors_of_laws_that_are_as_believed_are_chi_squared() -> None:
    """Laws drawn from the belief itself, measured with known noise: (S − S̄)ᵀ cov⁻¹ (S − S̄) has k degrees each."""
    random, scales, k, laws = np.random.default_rng(11), np.array([40.0, 0.06]), 3, 300
    strains, noise = drawn(k, 6, random)
    places = np.concatenate([strains, 0.05 * random.uniform(-1.0, 1.0, (1, k))])
    apart = places[:, None] - places
    near = np.exp(-0.5 * (apart**2).sum(axis=2) / scales[1] ** 2)
    prior = np.einsum("ij,pq->ipjq", near, np.eye(k)) - np.einsum("ij,ijp,ijq->ipjq", near, apart, apart) / 0.06**2
    root = np.linalg.cholesky((40.0 * 0.06) ** 2 * prior.reshape(7 * k, -1) + 1e-12 * np.eye(7 * k))
    total = 0.0
    for _ in range(laws):
        truth = (root @ random.standard_normal(7 * k)).reshape(7, k)
        errors = np.array([random.multivariate_normal(np.zeros(k), each) for each in noise])
        known = GradientProcess(Data(strains, truth[:6] + errors, noise), scales, np.zeros((k, k))).at(places[6:])
        off = truth[6] - known.stress[0]
        total += float(off @ np.linalg.solve(known.covariance[0], off))
    low, high = chi2.ppf([0.005, 0.995], k * laws)
    assert low < total < high


def test_the_likeliest_scales_are_those_that_the_data_have() -> None:
    """Stresses of a known length and size, from a belief that is wrong by 2.5 in each."""
    random, k, n = np.random.default_rng(2), 2, 60
    strains = 0.2 * random.uniform(-1.0, 1.0, (n, k))
    apart = strains[:, None] - strains
    near = np.exp(-0.5 * (apart**2).sum(axis=2) / 0.05**2)
    prior = np.einsum("ij,pq->ipjq", near, np.eye(k)) - np.einsum("ij,ijp,ijq->ipjq", near, apart, apart) / 0.05**2
    root = np.linalg.cholesky((30.0 * 0.05) ** 2 * prior.reshape(n * k, -1) + 1e-10 * np.eye(n * k))
    data = Data(strains, (root @ random.standard_normal(n * k)).reshape(n, k), np.tile(1e-6 * np.eye(k), (n, 1, 1)))
    belief = np.array([75.0, 0.125])
    found = GradientProcess(data, belief, np.zeros((k, k))).fitted(belief).scales
    assert found == pytest.approx([30.0, 0.05], rel=0.25)


# ---- samples ----


def test_the_samples_that_are_asked_for_are_those_that_the_error_needs() -> None:
    """Where nothing is known before, f = R/wanted²; where it is, f = R/wanted² − R/Σ, with scalars by hand."""
    assert more_samples(1e6 * np.eye(2), 4.0 * np.eye(2), 0.1) == pytest.approx(400.0, rel=1e-3)
    assert more_samples(0.02 * np.eye(2), 4.0 * np.eye(2), 0.1) == pytest.approx(400.0 - 200.0, rel=1e-9)
    assert more_samples(0.009 * np.eye(2), 4.0 * np.eye(2), 0.1) == 1.0


def test_the_wanted_error_is_reached_with_the_predicted_samples() -> None:
    """One answer of the sheet: 20²/(0.7 · 0.1)² samples of size 20; its errors over 80 seeds are chi-squared."""
    total, at = 0.0, along(0.02)[None]
    for seed in range(80):
        table = table_of(seed=seed, stiffness="1e4 eV/angstrom**2")  # a belief so vague that it adds nothing
        found, law = table.respond(at), table.law
        assert law.taken == pytest.approx(20.0**2 / (0.7 * WANTED) ** 2, rel=0.02)
        assert table.errors(at)[0] == pytest.approx(0.7 * WANTED, rel=0.02)
        off = np.linalg.solve(at[0], found.stress[0] - SHEET.respond(at).stress[0])
        total += float((off**2).sum()) / (0.7 * WANTED) ** 2  # in S, as symmetric matrices: three components
    low, high = chi2.ppf([0.005, 0.995], 3 * 80)
    assert low < total < high


def test_covariance_turns_into_that_of_the_first_stress() -> None:
    """The sample covariance of P over seeds, at an F with a rotation, is what the table tells."""
    at = (Rotation.from_euler("z", 40, degrees=True).as_matrix()[:2, :2] @ along(0.03))[None]
    answers = [table_of(seed=seed, stiffness="1e4 eV/angstrom**2").respond(at) for seed in range(150)]
    told = answers[0].covariance[0].reshape(4, 4)
    seen = np.cov(np.array([each.stress[0].ravel() for each in answers]).T)
    assert seen == pytest.approx(told, abs=5.0 * np.sqrt(2.0 / 150.0) * np.abs(told).max())
    assert np.linalg.matrix_rank(told, tol=1e-6 * np.abs(told).max()) == 3  # moments balance: one direction is sure


# ---- the switch ----


def test_a_path_is_learnt_once() -> None:
    table, path = table_of(), [along(strain)[None] for strain in np.linspace(0.0, 0.03, 13)]
    asked = []
    for _ in range(3):
        before = table.asked
        for at in path:
            assert table.respond(at).covariance is not None
            assert table.errors(at)[0] <= WANTED
        asked.append(table.asked - before)
    assert asked[0] < 13
    assert asked[1] <= 2
    assert asked[2] == 0
    assert table.observe()["points/1"] == 39.0


def test_its_errors_cover_the_truth() -> None:
    """Of 40 runs up to 3 % of strain, with scales estimated on the way: 95 % within 1.96 errors, by 99.9 % binomial."""
    inside = 0
    for seed in range(40):
        table = table_of(CHAIN, seed=seed)
        for strain in np.linspace(0.0, 0.03, 7):
            answer = table.respond(np.array([[[1.0 + strain]]]))
        at = np.array([[[1.0 + 0.03 * np.random.default_rng(seed).uniform()]]])
        answer, truth = table.respond(at), CHAIN.respond(at)
        inside += abs(answer.stress - truth.stress).item() < 1.96 * np.sqrt(answer.covariance.item())
    assert inside >= 33


def test_nearby_points_share_their_questions() -> None:
    table = table_of()
    cloud = along(0.02) + 1e-3 * np.random.default_rng(4).uniform(-1.0, 1.0, (200, 2, 2))
    table.respond(cloud)
    assert table.asked <= 10


def test_points_may_want_errors_of_their_own_until_the_step_is_final() -> None:
    table, at = table_of(), np.array([along(0.0), along(0.03), along(-0.02)])
    table.respond(at)
    table.tolerate(np.array([1.0, 0.02, 1.0]))
    table.respond(at)
    assert table.errors(at)[1] <= 0.02
    assert table.errors(at)[2] > 0.02
    table.advance(1.0)
    asked = table.asked
    table.respond(np.array([along(0.0), along(-0.02), along(0.03)]))
    assert table.asked == asked


def test_a_law_without_noise_is_reproduced() -> None:
    options = SurrogateOptions.read({"stress_error": "1e-4 eV/angstrom", "smooth": 0.05})
    table = Surrogate(options, CHAIN)
    at = 1.0 + np.linspace(0.0, 0.05, 40).reshape(-1, 1, 1)
    found, truth = table.respond(at, tangent=True), CHAIN.respond(at, tangent=True)
    assert table.asked < 15
    assert found.stress == pytest.approx(truth.stress, abs=4e-4)
    assert found.energy - found.energy[0] == pytest.approx(truth.energy - truth.energy[0], abs=1e-4)
    assert found.tangent == pytest.approx(truth.tangent, rel=1e-2)


def test_a_turned_body_is_the_same_question() -> None:
    table, turn = table_of(), Rotation.from_euler("z", 70, degrees=True).as_matrix()[:2, :2]
    at = along(0.02)[None]
    first, asked = table.respond(at, tangent=True), table.asked
    second = table.respond(turn @ at, tangent=True)
    assert table.asked == asked
    assert second.energy == pytest.approx(first.energy, rel=1e-9)
    assert second.stress == pytest.approx(turn @ first.stress, abs=1e-9)
    turned = np.einsum("ia,kb,naJbL->niJkL", turn, turn, first.tangent)
    assert second.tangent == pytest.approx(turned, abs=1e-8 * np.abs(turned).max())


def test_tangent_is_the_slope_of_the_stress() -> None:
    table, at, h = table_of(), along(0.02)[None], 1e-6
    found = table.respond(at, tangent=True)
    for i, j in np.ndindex(2, 2):
        move = np.zeros((1, 2, 2))
        move[0, i, j] = h
        slope = (table.respond(at + move).stress - table.respond(at - move).stress) / (2.0 * h)
        assert slope[0] == pytest.approx(found.tangent[0, :, :, i, j], abs=1e-4)


def test_restored_it_goes_on_bit_for_bit() -> None:
    table = table_of()
    for strain in (0.0, 0.01, 0.02):
        table.respond(along(strain)[None])
    state = table.save()
    first = [table.respond(along(strain)[None], tangent=True) for strain in (0.015, 0.03, 0.035)]
    asked, other = table.asked, table_of(seed=99)
    for again in (table, other):
        again.restore(state)
        for strain, before in zip((0.015, 0.03, 0.035), first, strict=True):
            now = again.respond(along(strain)[None], tangent=True)
            assert np.array_equal(now.stress, before.stress)
            assert np.array_equal(now.tangent, before.tangent)
            assert np.array_equal(now.covariance, before.covariance)
        assert again.asked == asked


# ---- a continuum ----


def equilibrium(law, load, iterations=12):
    """Return the residuals of Newton's method for a bar of eight elements under its weight and a pull at its end."""
    count, residuals = 8, []
    force = np.full(count, 0.05 * load)
    force[-1] += load
    moved = np.zeros(count)  # of the nodes 1 … 8; lengths are 1
    for _ in range(iterations):
        stretch = 1.0 + np.diff(np.concatenate([[0.0], moved]))
        answer = law.respond(stretch.reshape(-1, 1, 1), tangent=True)
        stress, slope = answer.stress.ravel(), answer.tangent.ravel()
        residual = force - stress + np.append(stress[1:], 0.0)
        residuals.append(float(np.linalg.norm(residual)))
        stiff = np.diag(slope + np.append(slope[1:], 0.0)) - np.diag(slope[1:], 1) - np.diag(slope[1:], -1)
        moved = moved + np.linalg.solve(stiff, residual)
    return residuals


def test_newtons_method_converges_on_the_table_and_not_on_the_noise() -> None:
    on_table = equilibrium(table_of(CHAIN, seed=3), load=1.0)
    on_noise = equilibrium(Noisy(CHAIN, size=20.0, samples=20.0**2 / WANTED**2, seed=3), load=1.0)
    assert on_table[-1] < 1e-11
    assert min(on_noise) > 0.05 * WANTED


# ---- mistakes ----


class Dissipating(Noisy):
    def _respond(self, deformation, tangent):
        return replace(super()._respond(deformation, tangent), dissipation=np.zeros(len(deformation)))


class Blunt(Noisy):
    def sharpen(self, factor):
        return


@pytest.mark.parametrize(
    ("change", "law", "error", "words"),
    [
        ({"stress_error": "much"}, None, OptionError, "no number with a unit"),
        ({"stress_error": "0.1"}, None, UnitError, "cannot be converted"),
        ({"stress_error": "0.1 GPa"}, None, UnitError, "cannot be converted"),  # a sheet's is per length
        ({"stress_error": "0 eV/angstrom**2"}, None, OptionError, "not above zero"),
        ({"stiffness": "-1 eV/angstrom**2"}, None, OptionError, "not above zero"),
        ({"smoth": 0.1}, None, OptionError, "did you mean 'smooth'"),
        ({"questions": 3}, None, NotConverged, "asked 3 times"),
        ({}, Dissipating(SHEET, 1.0), NotOffered, "dissipates"),
        ({}, Blunt(SHEET, 1000.0), NotConverged, "samples do not bring the standard error"),
    ],
)
def test_mistakes_have_their_sentence(change, law, error: type[ScalespanError], words: str) -> None:
    def ask():
        given = {"stress_error": "0.1 eV/angstrom**2"} | change
        table = Surrogate(SurrogateOptions.read(given), law or Noisy(SHEET, 20.0))
        table.respond(np.array([along(strain) for strain in (0.0, 0.1, 0.2, -0.1)]))

    with pytest.raises(error, match=words):
        ask()


def test_a_table_needs_its_law() -> None:
    with pytest.raises(CaseError, match='the part "law"'):
        Surrogate(SurrogateOptions.read({"stress_error": "0.1 GPa"}))


def test_a_law_that_takes_no_more_samples_says_so() -> None:
    class Fixed(Noisy):
        def sharpen(self, factor):
            super(Noisy, self).sharpen(factor)

    table = Surrogate(SurrogateOptions.read({"stress_error": "0.1 eV/angstrom**2"}), Fixed(SHEET, 1000.0))
    with pytest.raises(NotOffered, match="no mean of samples"):
        table.respond(np.eye(2)[None])
