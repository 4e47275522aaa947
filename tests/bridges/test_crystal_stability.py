"""Where a crystal stops being one: strains beyond its limit are refused, at the strain that a formula gives."""

from __future__ import annotations

import numpy as np
import pytest
from ase.calculators.calculator import Calculator, all_changes
from ase.calculators.lj import LennardJones
from scipy.spatial.transform import Rotation

from scalespan.adapters.ase import ASEAdapter
from scalespan.adapters.interface import CaseError, OptionError
from scalespan.bridges.cauchy_born import CauchyBorn, CauchyBornOptions, ellipticity
from scalespan.bridges.cauchy_born.elastic import surely_elliptic
from scalespan.bridges.cauchy_born.strain import at_deformation, green

from .potentials import stillinger_weber

SIGMA = 2.0 ** (1.0 / 6.0)  # where two Lennard-Jones atoms rest
CRYSTALS = {
    "chain": {"symbol": "Ar", "structure": "chain", "a": f"{SIGMA!r} angstrom"},
    "sheet": {"symbol": "Ar", "structure": "triangular", "a": f"{SIGMA!r} angstrom"},
    "fcc": {"symbol": "Ar", "structure": "fcc", "a": f"{2.0**0.5 * SIGMA!r} angstrom"},
}
SILICON = {"symbol": "Si", "structure": "diamond", "a": "5.43094977841 angstrom"}
# With k = φ″ and t = φ′/r of neighbours, and x = (σ/r)⁶ so that k ~ 156 x − 42, t ~ 6 − 12 x, the first long wave
# to lose its stiffness under a uniform pull is: chain, k = 0; sheet, the longitudinal one, (9 k + 3 t)/8 = 0;
# fcc, the longitudinal one along [111], (4 k + 2 t)/3 = 0.
LIMITS = {
    "chain": (156.0 / 42.0 / 2.0) ** (1.0 / 6.0),
    "sheet": (456.0 / 120.0 / 2.0) ** (1.0 / 6.0),
    "fcc": (300.0 / 78.0 / 2.0) ** (1.0 / 6.0),
}


def law_of(name, **options):
    """Return the law of nearest neighbours: the cut-off stays between the first and the second shell."""
    calculator = LennardJones(rc=1.45 if name == "fcc" else 1.5, smooth=False)
    return CauchyBorn(CauchyBornOptions.read({"crystal": CRYSTALS[name], **options}), ASEAdapter.of(calculator))


def pulled(law, by):
    return by * np.eye(law.dimension)[None]


@pytest.mark.parametrize("name", CRYSTALS)
def test_the_limit_under_a_uniform_pull_is_exact(name: str) -> None:
    law, limit = law_of(name), LIMITS[name]
    assert law.stiffness_of_waves(pulled(law, limit))[0] == pytest.approx(0.0, abs=1e-2)
    assert law.stiffness_of_waves(pulled(law, limit - 2e-3))[0] > 0.0
    assert law.stiffness_of_waves(pulled(law, limit + 2e-3))[0] < 0.0


@pytest.mark.parametrize("name", CRYSTALS)
def test_a_strain_beyond_the_limit_is_refused(name: str) -> None:
    law, limit = law_of(name), LIMITS[name]
    assert law.respond(pulled(law, limit - 2e-3), tangent=True).tangent is not None
    with pytest.raises(CaseError, match="not stable at the strain"):
        law.respond(pulled(law, limit + 2e-3), tangent=True)
    free = law_of(name, check_stability=False)
    assert free.respond(pulled(law, limit + 2e-3), tangent=True).tangent is not None


def test_the_limit_turns_with_the_crystal() -> None:
    law, turn = law_of("fcc"), Rotation.from_euler("xyz", [20, 50, -70], degrees=True).as_matrix()
    at = pulled(law, LIMITS["fcc"] - 0.01)
    assert law.stiffness_of_waves(turn @ at) == pytest.approx(law.stiffness_of_waves(at), rel=5e-3)


@pytest.mark.parametrize("name", CRYSTALS)
def test_what_the_estimate_calls_stiff_is_stiff(name: str) -> None:
    law = law_of(name, check_stability=False)
    d, size = law.dimension, np.linspace(0.01, 0.12, 8)[:, None, None]
    at = np.eye(d) + size * np.random.default_rng(7).uniform(-1.0, 1.0, (8, d, d))
    strain = law.strain_law.respond(green(at), True)
    sure, lowest = surely_elliptic(strain, at), ellipticity(at_deformation(strain, at).tangent)
    assert (lowest[sure] > 0.0).all()
    assert sure.any()
    assert surely_elliptic(law.strain_law.respond(green(np.eye(d)[None]), True), np.eye(d)[None])[0]


# ---- waves of every length ----


class Springs(Calculator):
    """A chain of springs to the next atom and the next but one, of the given stiffness and the length at rest."""

    implemented_properties = ("energy", "forces", "stress")

    def __init__(self, first: float, second: float) -> None:
        super().__init__()
        self.stiffness = first, second

    def calculate(self, atoms=None, properties=(), system_changes=all_changes) -> None:
        super().calculate(atoms, properties, system_changes)
        x, length = atoms.positions[:, 0], atoms.cell[0, 0]
        energy, forces, virial = 0.0, np.zeros((len(atoms), 3)), 0.0
        for reach, k in zip((1, 2), self.stiffness, strict=True):
            for i in range(len(atoms)):
                j, images = (i + reach) % len(atoms), (i + reach) // len(atoms)
                stretch = x[j] + images * length - x[i] - reach
                energy += 0.5 * k * stretch**2
                forces[i, 0] += k * stretch
                forces[j, 0] -= k * stretch
                virial += k * stretch * (stretch + reach)
        stress = np.array([virial, 0.0, 0.0, 0.0, 0.0, 0.0]) / atoms.get_volume()
        self.results = {"energy": energy, "forces": forces, "stress": stress}


def springs(first, second, **options):
    crystal = {"symbol": "Ar", "structure": "chain", "a": "1 angstrom", "mass": "1 amu"}
    phonons = {"repeat": [6, 1, 1], "waves": 8}
    table = {"crystal": crystal, "repeat": [5, 1, 1], "phonons": phonons, **options}
    return CauchyBorn(CauchyBornOptions.read(table), ASEAdapter.of(Springs(first, second)))


def test_a_short_wave_may_be_unstable_where_long_ones_are_not() -> None:
    """ω² = 4 (k₁ sin² q/2 + k₂ sin² q): long waves have k₁ + 4 k₂ = 3, the shortest k₁ = −1 < 0."""
    law = springs(-1.0, 1.0)
    assert law.stiffness_of_waves(np.ones((1, 1, 1)))[0] == pytest.approx(3.0, rel=1e-6)
    q = 2.0 * np.pi * np.arange(1, 8) / 8.0
    squares = -(np.sin(0.5 * q) ** 2) + np.sin(q) ** 2
    assert law.slowest_vibration(np.ones((1, 1, 1)))[0] == pytest.approx(
        squares.min() / np.abs(squares).max(), rel=1e-5
    )
    with pytest.raises(CaseError, match=r"the wave q = \[0.5\]"):
        law.respond(np.ones((1, 1, 1)))


def test_a_chain_of_good_springs_is_stable_and_check_says_so() -> None:
    law = springs(1.0, 0.1)
    assert np.isfinite(law.respond(np.array([[[1.02]]]), tangent=True).stress).all()
    rows = dict(row for table in law.audit() for row in table.rows if len(row) == 2)
    assert float(rows["lowest ω² of its waves, of the highest"]) > 0.0
    assert rows["strains where the crystal is not stable"] == "refused"


def test_long_and_short_waves_of_a_lennard_jones_chain_end_together() -> None:
    """Nearest neighbours: ω² = 4 k sin² q/2, all with k = φ″."""
    law = law_of("chain", phonons={"repeat": [4, 1, 1]}, repeat=[4, 1, 1])
    limit = LIMITS["chain"]
    assert law.slowest_vibration(pulled(law, limit - 2e-3))[0] > 0.0
    assert law.slowest_vibration(pulled(law, limit + 2e-3))[0] < 0.0


def test_silicon_is_stable_at_rest() -> None:
    """The published potential's diamond, in cells twice as wide as its forces reach, with its optical modes."""
    options = {"crystal": SILICON, "phonons": {"repeat": [3, 3, 3], "waves": 3}}
    law = CauchyBorn(CauchyBornOptions.read(options), stillinger_weber())
    assert law.slowest_vibration(np.eye(3)[None])[0] > 0.0
    assert law.stiffness_of_waves(np.eye(3)[None])[0] > 0.0


def test_pressed_silicon_is_refused() -> None:
    law = CauchyBorn(CauchyBornOptions.read({"crystal": SILICON}), stillinger_weber())
    with pytest.raises(CaseError, match="not stable at the strain"):
        law.respond(np.diag([1.0, 1.0, 0.75])[None], tangent=True)


def test_waves_need_to_be_told_how() -> None:
    with pytest.raises(CaseError, match="without the key 'phonons'"):
        law_of("chain").slowest_vibration(np.ones((1, 1, 1)))
    with pytest.raises(OptionError, match=r"phonons.repeat' is missing"):
        law_of("chain", phonons={})
