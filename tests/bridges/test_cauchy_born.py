"""The Cauchy–Born law: what must hold of any law, whatever the engine."""

from __future__ import annotations

import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk
from ase.calculators.lj import LennardJones
from ase.optimize import BFGS
from scipy.spatial.transform import Rotation

from scalespan.adapters.ase import ASEAdapter
from scalespan.adapters.interface import (
    AtomsError,
    CaseError,
    NotOffered,
    OptionError,
    ParticleAdapter,
    Quantity,
    Results,
)
from scalespan.bridges.cauchy_born import (
    CauchyBorn,
    CauchyBornOptions,
    Crystal,
    acoustic_tensor,
    elastic_constants,
    ellipticity,
)
from scalespan.bridges.interface.registry import build

from .potentials import LennardJonesLaw, stillinger_weber

SIGMA = 2.0 ** (1.0 / 6.0)  # where two Lennard-Jones atoms rest
FCC = {"symbol": "Ar", "structure": "fcc", "a": f"{2.0**0.5 * SIGMA!r} angstrom"}
SHEET = {"symbol": "Ar", "structure": "triangular", "a": f"{SIGMA!r} angstrom"}
CHAIN = {"symbol": "Ar", "structure": "chain", "a": "1.11961087 angstrom"}
SILICON = {"symbol": "Si", "structure": "diamond", "a": "5.43094977841 angstrom"}


def law_of(calculator, crystal, **options):
    return CauchyBorn(CauchyBornOptions.read({"crystal": crystal, **options}), ASEAdapter.of(calculator))


def silicon():
    return stillinger_weber().as_calculator()


def neighbours_only():
    return LennardJones(rc=1.35)  # between the first and the second shell of fcc


def some_deformations(count, d, size=0.01, seed=3):
    return np.eye(d) + size * np.random.default_rng(seed).uniform(-1.0, 1.0, (count, d, d))


MADE = {
    "chain": lambda **o: law_of(LennardJones(rc=2.5), CHAIN, **o),
    "sheet": lambda **o: law_of(neighbours_only(), SHEET, **o),
    "fcc": lambda **o: law_of(neighbours_only(), FCC, **o),
    "silicon": lambda **o: law_of(silicon(), SILICON, **o),
}
FITTED = {"law": "polynomial", "polynomial": {"strain": 0.022, "error": 1e-2}}


def slopes_of(function, deformation, step=1e-4):
    """Return the fourth-order differences of ``function`` in each entry of F (n, d, d), on the last two axes."""
    d = deformation.shape[1]
    found = []
    for entry in np.eye(d * d).reshape(-1, d, d):
        far = [function(deformation + times * step * entry) for times in (-2.0, -1.0, 1.0, 2.0)]
        found.append((far[0] - 8.0 * far[1] + 8.0 * far[2] - far[3]) / (12.0 * step))
    return np.moveaxis(np.array(found), 0, -1).reshape(*found[0].shape, d, d)


@pytest.mark.parametrize(
    ("name", "options"),
    [(name, options) for name in MADE for options in ({}, {"law": "quadratic"})]
    + [("chain", FITTED), ("sheet", FITTED)],
)
def test_the_stress_is_the_slope_of_the_energy_and_the_tangent_that_of_the_stress(name, options):
    law = MADE[name](**options)
    at = some_deformations(1, law.dimension)
    answer = law.respond(at, tangent=True)
    stiff = np.abs(answer.tangent).max()
    assert np.abs(slopes_of(lambda f: law.respond(f).energy, at) - answer.stress).max() < 1e-8 * stiff
    assert np.abs(slopes_of(lambda f: law.respond(f).stress, at) - answer.tangent).max() < 1e-6 * stiff


@pytest.mark.parametrize("name", MADE)
def test_a_rotation_turns_the_stress_and_leaves_the_energy(name):
    law = MADE[name]()
    d = law.dimension
    at = some_deformations(2, d)
    turn = {1: np.eye(1), 2: Rotation.from_euler("z", 50, degrees=True).as_matrix()[:2, :2]}.get(d)
    turn = Rotation.from_euler("xyz", [40, -70, 110], degrees=True).as_matrix() if turn is None else turn
    here, there = law.respond(at, tangent=True), law.respond(turn @ at, tangent=True)
    np.testing.assert_allclose(there.energy, here.energy, rtol=0, atol=1e-12)
    np.testing.assert_allclose(there.stress, turn @ here.stress, rtol=0, atol=1e-11)
    turned = np.einsum("ip,kq,npjql->nijkl", turn, turn, here.tangent)
    np.testing.assert_allclose(there.tangent, turned, rtol=0, atol=1e-7 * np.abs(turned).max())


@pytest.mark.parametrize(
    ("calculator", "cell", "crystal"),
    [
        (neighbours_only(), bulk("Ar", "fcc", a=2.0**0.5 * SIGMA), FCC),
        (silicon(), None, SILICON),
    ],
    ids=["fcc", "silicon"],
)
def test_it_is_the_energy_of_the_deformed_and_relaxed_lattice(calculator, cell, crystal):
    """Against a supercell under the same F, rotation included, relaxed by ASE."""
    law = law_of(calculator, crystal)
    cell = bulk("Si", "diamond", a=5.43094977841) if cell is None else cell
    for gradient in some_deformations(3, 3, size=0.02):
        atoms = cell.repeat(3)
        atoms.set_cell(atoms.cell.array @ gradient.T, scale_atoms=True)
        atoms.calc = calculator
        BFGS(atoms, logfile=None).run(fmax=1e-6, steps=200)
        expected = atoms.get_potential_energy() / 27
        assert law.respond(gradient[None]).energy[0] * law.crystal.volume == pytest.approx(expected, abs=1e-8)


@pytest.mark.parametrize("d", [2, 3])
def test_it_is_the_lattice_sum(d):
    """Energy, stress and tangent against Σ φ(|F R|), by formula, beyond nearest neighbours and in d dimensions."""
    name, crystal = {2: ("triangular", SHEET), 3: ("fcc", FCC)}[d]
    cut = 2.45  # between shells, for all strains here
    law = law_of(LennardJones(rc=cut), {**crystal, "structure": name})
    formula = LennardJonesLaw(law.crystal.atoms.cell.array[:d, :d], cut)
    at = some_deformations(3, d, size=0.002)
    found, expected = law.respond(at, tangent=True), formula.respond(at, tangent=True)
    shift = 0.5 * len(formula.vectors) / formula.volume * 4.0 * (cut**-12 - cut**-6)  # ASE's, to end at zero
    np.testing.assert_allclose(found.energy, expected.energy - shift, rtol=0, atol=1e-11)
    np.testing.assert_allclose(found.stress, expected.stress, rtol=0, atol=1e-11)
    np.testing.assert_allclose(found.tangent, expected.tangent, rtol=0, atol=1e-7 * np.abs(expected.tangent).max())


class Forces(ParticleAdapter):
    """An engine that gives no stress, or a wrong one."""

    name = "forces"
    Options = CauchyBornOptions

    def __init__(self, calculator, stress=None):
        self.inside, self.stress = ASEAdapter.of(calculator), stress
        self.offers = frozenset({Quantity.ENERGY, Quantity.FORCES} | ({Quantity.STRESS} if stress else set()))

    def _compute(self, atoms, wanted, charges):
        found = self.inside.compute(atoms, wanted)
        stress = None if found.stress is None else found.stress * self.stress
        return Results(energy=found.energy, forces=found.forces, stress=stress)


@pytest.mark.parametrize(
    ("name", "calculator", "crystal"),
    [("sheet", neighbours_only(), SHEET), ("silicon", silicon(), SILICON)],
)
def test_an_engine_without_stress_gives_the_same_by_its_energies(name, calculator, crystal):
    law, other = MADE[name](), CauchyBorn(CauchyBornOptions.read({"crystal": crystal}), Forces(calculator))
    at = some_deformations(1, law.dimension, size=0.004)
    expected, found = law.respond(at, tangent=True), other.respond(at, tangent=True)
    stiff = np.abs(expected.tangent).max()
    np.testing.assert_allclose(found.stress, expected.stress, rtol=0, atol=1e-9 * stiff)
    np.testing.assert_allclose(found.tangent, expected.tangent, rtol=0, atol=1e-6 * stiff)


def test_an_engine_whose_stress_is_wrong_is_refused_before_running():
    law = CauchyBorn(CauchyBornOptions.read({"crystal": FCC}), Forces(neighbours_only(), stress=1.01))
    with pytest.raises(CaseError, match="not the slope of its energy"):
        law.audit()


def test_equal_strains_are_asked_once_whatever_their_rotation():
    law = MADE["fcc"]()
    at = some_deformations(1, 3)[0]
    turn = Rotation.from_euler("x", 30, degrees=True).as_matrix()
    law.respond(np.array([at, turn @ at, at]))
    law.respond(at[None])
    assert law.cell.asked == 1


def test_the_stated_error_of_a_polynomial_holds_at_other_strains():
    fitted, law = MADE["sheet"](law="polynomial", polynomial={"strain": 0.02, "error": 1e-6}), MADE["sheet"]()
    at = some_deformations(200, 2, size=0.012, seed=8)
    at = at[np.linalg.norm(np.swapaxes(at, 1, 2) @ at - np.eye(2), axis=(1, 2)) < 0.04]
    exact, near = law.respond(at), fitted.respond(at)
    assert len(at) > 50
    assert fitted.strain_law.error <= 1e-6
    assert np.abs(near.stress - exact.stress).max() <= 2e-6 * np.abs(exact.stress).max()


def test_beyond_its_strains_a_polynomial_refuses_or_asks_the_engine():
    far = np.array([np.eye(2), np.diag([1.05, 1.0])])
    options = {"strain": 0.02, "error": 1e-5}
    with pytest.raises(CaseError, match=r"1 of 2 strains are beyond 0\.02"):
        MADE["sheet"](law="polynomial", polynomial=options).respond(far)
    asking = MADE["sheet"](law="polynomial", polynomial=options | {"beyond": "engine"})
    np.testing.assert_allclose(asking.respond(far).stress[1], MADE["sheet"]().respond(far).stress[1], atol=1e-12)


def test_a_polynomial_of_too_low_a_degree_says_its_error():
    with pytest.raises(CaseError, match=r"degree 2 keeps an error of .* of the largest stress"):
        MADE["sheet"](law="polynomial", polynomial={"degree": 2, "error": 1e-6}).respond(np.eye(2)[None])


def test_the_quadratic_law_falls_short_with_the_square_of_the_strain():
    law, quadratic = MADE["fcc"](), MADE["fcc"](law="quadratic")
    errors = []
    for size in (0.001, 0.002):
        at = np.eye(3)[None] + size * np.array([[0.3, 0.5, 0.0], [0.1, 0.4, 0.2], [0.0, 0.3, 0.6]])
        errors.append(np.abs(law.respond(at).stress - quadratic.respond(at).stress).max())
    assert errors[1] / errors[0] == pytest.approx(4.0, rel=0.05)


@pytest.mark.parametrize("options", [{}, {"law": "polynomial", "polynomial": {"error": 1e-2}}])
def test_inner_displacements_keep_the_centre_of_mass_and_have_the_right_slopes(options, tmp_path):
    isotopes = bulk("Si", "diamond", a=5.43094977841)
    isotopes.set_masses([28.0, 30.0])
    isotopes.write(tmp_path / "cell.traj")
    law = law_of(silicon(), {"file": str(tmp_path / "cell.traj")}, **options)
    at, way, step = some_deformations(1, 3), np.random.default_rng(5).normal(size=(3, 3)), 1e-4
    places, slopes = law.inner(at)
    assert np.abs(places).max() > 1e-3
    assert np.abs(np.einsum("b,nbi->ni", [28.0, 30.0], places)).max() < 1e-12
    expected = (law.inner(at + step * way)[0] - law.inner(at - step * way)[0]) / (2.0 * step)
    np.testing.assert_allclose(np.einsum("nbikl,kl->nbi", slopes, way), expected, rtol=0, atol=1e-6)


def test_inner_displacements_are_where_the_relaxed_atoms_are():
    law, gradient = MADE["silicon"](), some_deformations(1, 3, size=0.02)[0]
    atoms = law.crystal.atoms.copy()
    atoms.set_cell(atoms.cell.array @ gradient.T)
    atoms.positions = atoms.positions @ gradient.T + law.inner(gradient[None])[0][0]
    atoms.calc = silicon()
    assert np.abs(atoms.get_forces()).max() < 1e-8


@pytest.mark.parametrize("name", ["chain", "sheet", "fcc"])
def test_a_lattice_has_no_inner_displacements(name):
    law = MADE[name]()
    assert law.inner(some_deformations(1, law.dimension)) is None


def test_more_cells_in_a_question_give_the_same():
    once, more = (law_of(silicon(), SILICON, repeat=repeat) for repeat in ([1, 1, 1], [2, 1, 3]))
    at = some_deformations(2, 3)
    np.testing.assert_allclose(once.respond(at).stress, more.respond(at).stress, rtol=0, atol=1e-11)


def test_a_conventional_cell_gives_the_same():
    one, four = law_of(neighbours_only(), FCC), law_of(neighbours_only(), {**FCC, "cubic": True})
    at = some_deformations(1, 3)
    here, there = one.respond(at, tangent=True), four.respond(at, tangent=True)
    np.testing.assert_allclose(there.stress, here.stress, rtol=0, atol=1e-11)
    np.testing.assert_allclose(there.tangent, here.tangent, rtol=0, atol=1e-8 * np.abs(here.tangent).max())


def test_axes_turn_the_crystal():
    """Along [111], C33' = (C11 + 2 C12 + 4 C44)/3 (J. F. Nye, Physical Properties of Crystals)."""
    turned = law_of(neighbours_only(), {**FCC, "axes": [[1, -1, 0], [1, 1, -2], [1, 1, 1]]})
    c = elastic_constants(law_of(neighbours_only(), FCC))
    assert elastic_constants(turned)[2, 2] == pytest.approx((c[0, 0] + 2 * c[0, 1] + 4 * c[3, 3]) / 3, rel=1e-8)


def test_plane_waves_of_a_cubic_crystal():
    """Along [100] ρc² is C11 and twice C44; along [110] the softest is (C11 − C12)/2."""
    law = MADE["fcc"]()
    c, tangent = elastic_constants(law), law.respond(np.eye(3)[None], tangent=True).tangent
    waves = np.linalg.eigvalsh(acoustic_tensor(tangent, np.eye(3)[:1]))[0, 0]
    np.testing.assert_allclose(waves, [c[3, 3], c[3, 3], c[0, 0]], rtol=1e-8)
    assert ellipticity(tangent)[0] == pytest.approx(0.5 * (c[0, 0] - c[0, 1]), rel=1e-8)


def test_a_crystal_beyond_its_strength_is_refused_before_running():
    stretched = {**FCC, "a": "1.85 angstrom"}  # φ″ < 0
    with pytest.raises(CaseError, match="the crystal is not stable"):
        law_of(LennardJones(rc=1.5), stretched).audit()


def test_the_audit_shows_both_constants_and_what_frozen_atoms_cost():
    tables = MADE["silicon"](inner="frozen").audit()
    rows = {row[0]: row[1:] for row in tables[0].rows}
    assert float(rows["yz yz"][0]) == pytest.approx(109.76, abs=0.01)
    assert "C44 is nearly twice too large" in tables[0].note


def test_the_audit_sees_neighbours_on_a_sharp_cut_off():
    fifth = 3.0 * SIGMA
    assert "sharp cut-off" in law_of(LennardJones(rc=fifth * (1.0 + 1e-4)), SHEET).audit()[0].note
    assert not MADE["sheet"]().audit()[0].note


def test_it_is_built_from_a_table():
    table = {
        "use": "cauchy_born",
        "crystal": FCC,
        "atoms": {"use": "ase", "calculator": "lj", "keywords": {"rc": 1.35}},
    }
    law = build(table, where="case.toml [model.continuum.law]")
    assert law.density == pytest.approx(39.948 / (2.0**1.5 * SIGMA**3 / 4.0))
    assert law.stress_unit == "eV/angstrom**3"


@pytest.mark.parametrize(
    ("crystal", "sentence"),
    [
        ({"symbol": "Si"}, "needs the key 'structure'"),
        ({"file": "absent.xyz"}, "does not exist"),
        ({**FCC, "structure": "cubist"}, "ASE cannot build the crystal"),
        ({**FCC, "axes": [[1, 0, 0], [1, 1, 0], [0, 0, 1]]}, "three directions at right angles"),
        ({**SHEET, "dimension": 3}, "the law is of 3 dimensions"),
    ],
)
def test_a_crystal_that_cannot_be_is_refused(crystal, sentence):
    with pytest.raises((OptionError, AtomsError), match=sentence):
        law_of(neighbours_only(), crystal)


def test_a_cell_off_its_axes_is_refused():
    with pytest.raises(AtomsError, match="do not span the first 2 axes"):
        Crystal.of(Atoms("Ar", cell=[[1, 0, 1], [0, 1, 0], [0, 0, 5]], pbc=(True, True, False)))


def test_an_engine_that_is_not_conservative_is_refused():
    engine = ASEAdapter.of(neighbours_only(), conservative=False)
    with pytest.raises(NotOffered, match="not the gradient of an energy"):
        CauchyBorn(CauchyBornOptions.read({"crystal": FCC}), engine)


def test_without_an_engine_it_says_so():
    with pytest.raises(CaseError, match="the part 'atoms'"):
        build({"use": "cauchy_born", "crystal": FCC}, where="law")
