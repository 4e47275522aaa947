"""A law at a temperature: against exact partition functions, an exact spectrum and molecular dynamics."""

from __future__ import annotations

import numpy as np
import pytest
from ase import units
from ase.build import bulk
from scipy.integrate import quad
from scipy.spatial import cKDTree

from scalespan.adapters.interface import CaseError
from scalespan.bridges.cauchy_born import Vibrations, elastic_constants, unstressed

from .crystals import fcc, spacing
from .test_cauchy_born import slopes_of, some_deformations
from .warm import LJ, NEAR, kelvin, law

REST = 2.0 ** (1.0 / 6.0)  # Å, of a chain of nearest neighbours
HEAVY = 1e6  # amu: quanta of such atoms are far below k_B T
POLYNOMIAL = {"law": "polynomial", "polynomial": {"error": 1e-3}}


def isobaric(heat: float) -> tuple[float, float]:
    """Return ⟨r⟩ and k_B T / Var r of a chain at no pressure, whose bonds are independent: Z = ∫ exp(−φ/kT) dr.

    H. Takahashi, Proc. Phys.-Math. Soc. Japan 24, 60 (1942). Bonds that break are far off, by exp(−ε/kT).
    """

    def moment(n: int) -> float:
        return quad(lambda r: np.exp(-(NEAR(np.array([r]))[0][0] + 1.0) / heat) * r**n, 0.9, 1.5, epsrel=1e-12)[0]

    zeroth, first, second = (moment(n) for n in range(3))
    mean = first / zeroth
    return mean, heat / (second / zeroth - mean**2)


def chain_at(heat: float, modes: str) -> tuple[float, float]:
    """Return the errors of a(T) and of the stiffness of a bond."""
    a = float(unstressed(law(NEAR, REST, heat, modes=modes)).cell[0, 0])
    mean, stiffness = isobaric(heat)
    return a - mean, float(elastic_constants(law(NEAR, a, heat, modes=modes))[0, 0]) / a - stiffness


@pytest.mark.parametrize("modes", ["full", "local"])
def test_a_chain_has_the_exact_length_and_stiffness_to_the_first_order_in_temperature(modes: str) -> None:
    (length, stiffness), (twice, stiffer) = chain_at(0.005, modes), chain_at(0.01, modes)
    assert twice == pytest.approx(4.0 * length, rel=0.1)
    assert stiffer == pytest.approx(4.0 * stiffness, rel=0.1)
    assert abs(length) < 1e-3 * (isobaric(0.005)[0] - REST)


@pytest.mark.parametrize(
    ("dimension", "options"),
    [(1, {}), (2, {}), (1, {"law": "quadratic"}), (2, {"law": "quadratic"}), (1, POLYNOMIAL)],
)
def test_the_stress_is_the_slope_of_the_free_energy_and_the_tangent_that_of_the_stress(dimension, options) -> None:
    warm = law(NEAR, 1.005 * REST, 0.02, dimension, waves=4, **options)
    at = some_deformations(1, dimension, size=0.004)
    answer = warm.respond(at, tangent=True)
    stiff = np.abs(answer.tangent).max()
    assert np.abs(slopes_of(lambda f: warm.respond(f).energy, at) - answer.stress).max() < 1e-7 * stiff
    assert np.abs(slopes_of(lambda f: warm.respond(f).stress, at) - answer.tangent).max() < 1e-5 * stiff


@pytest.mark.parametrize("statistics", ["classical", "quantum"])
def test_the_free_energy_of_a_chain_is_that_of_its_spectrum(statistics: str) -> None:
    """ω = 2 √(φ″/m) |sin(qa/2)|. Of 400 waves that at 0 is left out, by which classical atoms miss kT ln 400 / 399."""
    heat, a = 0.02, 1.12
    warm = law(NEAR, a, heat, waves=400, statistics=statistics)
    found = float((warm.respond(np.eye(1)[None]).energy - warm.at_rest().respond(np.eye(1)[None]).energy)[0]) * a
    h = 1e-5
    spring = float((NEAR(np.array([a + h]))[1] - NEAR(np.array([a - h]))[1])[0] / (2.0 * h))
    quantum = units._hbar * units.J * units.s * np.sqrt(spring)

    def each(angle: float) -> float:
        x = 2.0 * quantum * np.sin(angle) / heat
        return heat * (np.log(x) if statistics == "classical" else np.log(2.0 * np.sinh(0.5 * x)))

    exact = quad(each, 0.0, 0.5 * np.pi)[0] / (0.5 * np.pi)
    missed = heat * np.log(400.0) if statistics == "classical" else exact
    assert found == pytest.approx(exact + missed / 399.0, abs=0.01 * heat)


def test_heavy_atoms_are_classical() -> None:
    strained = np.array([[[1.004]]])

    def stress(statistics: str) -> float:
        warm = law(NEAR, REST, 0.02, statistics=statistics)
        warm.crystal.atoms.set_masses([HEAVY])
        return float(warm.respond(strained).stress[0, 0, 0] - warm.at_rest().respond(strained).stress[0, 0, 0])

    assert stress("quantum") == pytest.approx(stress("classical"), rel=1e-3)


def test_the_motion_of_a_cubic_crystal_pushes_alike_in_all_directions() -> None:
    warm = law(NEAR, 1.56, 0.05, 3, waves=4, law="quadratic")
    stress, rest = (each.respond(np.eye(3)[None]).stress[0] for each in (warm, warm.at_rest()))
    assert np.abs(stress - stress[0, 0] * np.eye(3)).max() < 1e-8
    assert stress[0, 0] < rest[0, 0] - 0.1, "the motion pushes"


def test_an_unstable_crystal_is_refused() -> None:
    with pytest.raises(CaseError, match="not stable"):
        law(NEAR, 1.4, 0.02).respond(np.eye(1)[None])


def pressure(heat: float, a: float, steps: int) -> tuple[float, float]:
    """Return the mean normal stress of 256 Lennard-Jones atoms moved by OpenMM, and its standard error (eV/Å³)."""
    openmm = pytest.importorskip("openmm", reason="OpenMM is not installed: pip install openmm")
    atoms, ps = bulk("Ar", "fcc", a=a, cubic=True).repeat(4), 1000.0 * units.fs
    system, n, box = openmm.System(), len(atoms), 4.0 * a
    system.setDefaultPeriodicBoxVectors(*(0.1 * box * np.eye(3)))
    energy = "4*(q^2-q)*(1-x^3*(10-15*x+6*x^2)); x=min(1,max(0,(s-4)/2.25)); q=s^(-3); s=(10*r)^2"
    force = openmm.CustomNonbondedForce(f"{units.mol / units.kJ!r}*{energy}")
    force.setNonbondedMethod(force.CutoffPeriodic)
    force.setCutoffDistance(0.25)
    for _ in range(n):
        system.addParticle(1.0)
        force.addParticle([])
    system.addForce(force)
    integrator = openmm.LangevinMiddleIntegrator(heat / units.kB, ps, 0.006 / ps)
    integrator.setRandomNumberSeed(1)
    context = openmm.Context(system, integrator, openmm.Platform.getPlatformByName("CPU"), {"Threads": "1"})
    context.setPositions(0.1 * atoms.positions)
    context.setVelocitiesToTemperature(heat / units.kB, 1)
    integrator.step(1000)
    seen = []
    for _ in range(steps // 20):
        integrator.step(20)
        places = context.getState(getPositions=True).getPositions(asNumpy=True)
        x = 10.0 * np.asarray(places.value_in_unit(openmm.unit.nanometer)) % box
        i, j = cKDTree(x, boxsize=box).query_pairs(LJ.cutoff, output_type="ndarray").T
        along = x[j] - x[i]
        r = np.linalg.norm(along - box * np.round(along / box), axis=1)
        seen.append(((LJ(r)[1] * r).sum() / 3.0 - n * heat) / box**3)
    blocks = np.array(seen).reshape(10, -1).mean(axis=1)
    return float(blocks.mean()), float(blocks.std(ddof=1) / np.sqrt(10.0))


@pytest.mark.slow
def test_fcc_has_the_stress_of_molecular_dynamics() -> None:
    """At k_B T = 0.1 ε and 0.5 % above the length at rest: 3 % of the vibrations' part is what the law leaves out."""
    pytest.importorskip("openmm", reason="OpenMM is not installed: pip install openmm")
    heat, a = 0.1, 1.557
    assert a > spacing(LJ, fcc)
    warm = law(LJ, a, heat, 3, waves=6)
    stress, rest = (float(each.respond(np.eye(3)[None]).stress[0, 0, 0]) for each in (warm, warm.at_rest()))
    mean, error = pressure(heat, a, 4000)
    assert abs(mean - stress) < 0.03 * (rest - stress) + 3.0 * error
    assert error < 0.01 * (rest - stress)


def test_cells_narrower_than_twice_the_range_of_forces_are_refused() -> None:
    narrow = law(LJ, 1.12, 0.02)
    few = narrow.options.vibrations.model_copy(update={"repeat": (3, 1, 1)})
    narrow.asked.vibrations = Vibrations(narrow.cell, few)
    with pytest.raises(CaseError, match="more cells"):
        narrow.audit()


def test_the_audit_names_temperature_and_statistics() -> None:
    rows = dict(law(NEAR, REST, 0.02).audit()[-1].rows)
    assert rows["atoms"] == f"classical, full vibrations at {float(kelvin(0.02).split()[0]):g} K"
