"""Charges between conductors: formulas of electrostatics, orders in the mesh, forces as gradients, one exchange."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest
from ase import Atoms
from ase.io import write
from scipy.special import digamma, k0

from scalespan.adapters.interface import CaseError, NotOffered, OptionError
from scalespan.adapters.interface.units import COULOMB
from scalespan.bridges.electrostatics import coulomb
from scalespan.bridges.interface import build

from .paired import Pair
from .test_remote import THREE

pytest.importorskip("dolfinx", reason="DOLFINx is not installed: apt-get install python3-dolfinx, or conda-forge")

HEIGHT, HALF = 20.0, 20.0  # Å: between the plates, and from the axis to the side walls
ONE = np.array([[0.31, -0.22, 6.7]]), np.array([1.0])
TWO = np.array([[0.31, -0.22, 6.7], [4.1, 3.3, 12.2]]), np.array([1.0, -0.7])


def model(mesh, degree=1, **poisson):
    return {"use": "dolfinx", "length": "angstrom", "time": "fs", "degree": degree, "mesh": mesh, "poisson": poisson}


def bridge(mesh, degree=1, voltage=None, points=None, **table):
    low = mesh.get("low", [-50.0] * 3)
    high = mesh.get("high", [50.0] * 3)
    base = {"use": "electrostatics", "mesh": "Ions-Mesh", "low": low, "high": high}
    base["reaction"] = model(mesh, degree) | {"places": {"walls": {"boundary": "all", "takes": ["potential"]}}}
    if voltage is not None:
        base["applied"] = model(mesh, 1, fixed=[{"boundary": "all", "value": voltage}])
    made = build(base | table, where="case.toml: participants.Field")
    if points is not None:
        made.meet("Ions-Mesh", points)
    return made


def plates(cells):
    sides = round(2 * HALF / HEIGHT * cells)
    return {"low": [-HALF, -HALF, 0.0], "high": [HALF, HALF, HEIGHT], "cells": [sides, sides, cells]}


def answer(made, places, charges):
    """Return the energy and the forces of charges that began where they are."""
    made.meet("Ions-Mesh", places)
    made.receive(lambda field, at: np.zeros((len(places), 3)) if field.components == 3 else charges[:, None])
    made.advance(1.0)
    energy, forces = (made.write(field) for field in reversed(made.exchange.writes))
    return float(energy.sum()), forces


def in_a_box(places, charges, reach=3, terms=40):
    """The energy of charges with earthed plates at 0 and HEIGHT and side walls at ±HALF, by images.

    Between the plates alone the images of a charge on itself add up to q²k/4L [ψ(a) + ψ(1−a) + 2γ], a = z/L, and
    two charges have 4k/L Σ_n sin(nπz/L) sin(nπz'/L) K₀(nπρ/L) (Jackson, Classical Electrodynamics, 3rd ed.,
    problems 2.11 and 3.20); the side walls add images of alternating sign at every second width.
    """
    n = np.arange(1, terms + 1) * np.pi / HEIGHT
    energy = 0.0
    for i, (x, y, z) in enumerate(places):
        a = z / HEIGHT
        energy += charges[i] ** 2 * COULOMB / (4 * HEIGHT) * (digamma(a) + digamma(1 - a) + 2 * np.euler_gamma)
        for j, (u, v, w) in enumerate(places):
            for k, m in product(range(-reach, reach + 1), repeat=2):
                if i == j and k == m == 0:
                    continue
                rho = np.hypot(2 * HALF * k + (-1) ** k * u - x, 2 * HALF * m + (-1) ** m * v - y)
                green = (-1) ** (k + m) * 4 * COULOMB / HEIGHT * np.sum(np.sin(n * z) * np.sin(n * w) * k0(n * rho))
                if k == m == 0:
                    green -= COULOMB / np.linalg.norm(places[i] - places[j])
                energy += 0.5 * charges[i] * charges[j] * green
    return energy


def error(mesh, degree, places, exact):
    """Return the root mean square error of the energies of single ions: one alone may lie well in its cell."""
    made = bridge(mesh, degree)
    return np.sqrt(
        np.mean([(answer(made, p[None], np.ones(1))[0] - u) ** 2 for p, u in zip(places, exact, strict=True)])
    )


@pytest.mark.parametrize(("degree", "cells", "order"), [(1, (4, 8), 1.7), (2, (2, 4), 2.5)])
def test_plates_against_images(degree, cells, order):
    places = np.random.default_rng(4).uniform([-6, -6, 7], [6, 6, 13], size=(12, 3))
    exact = [in_a_box(place[None], np.ones(1)) for place in places]
    errors = [error(plates(n), degree, places, exact) for n in cells]
    assert np.log2(errors[0] / errors[1]) > order, errors
    assert errors[1] < 5e-3


def test_two_ions_against_images():
    assert answer(bridge(plates(4), 2), *TWO)[0] == pytest.approx(in_a_box(*TWO), abs=2e-3)


def test_the_forces_come_nearer_too():
    """Against the images' energy, differentiated by central differences."""
    exact = np.zeros((2, 3))
    for i, x in np.ndindex(2, 3):
        shift = np.zeros((2, 3))
        shift[i, x] = 1e-4
        exact[i, x] = -(in_a_box(TWO[0] + shift, TWO[1]) - in_a_box(TWO[0] - shift, TWO[1])) / 2e-4
    errors = [abs(answer(bridge(plates(n), 2), *TWO)[1] - exact).max() for n in (2, 4)]
    assert errors[1] < 0.03 * abs(exact).max() and errors[0] / errors[1] > 2.5, errors


@pytest.mark.parametrize("degree", [1, 2])
@pytest.mark.parametrize("voltage", [None, "0.1*z"])
def test_forces_are_minus_the_gradient_of_the_energy(degree, voltage):
    """Of the elements' own energy, on any mesh: to the differences' error."""
    made = bridge(plates(2), degree, voltage)
    forces = answer(made, *TWO)[1]
    for i, x in np.ndindex(2, 3):
        shift = np.zeros((2, 3))
        shift[i, x] = 1e-3
        slope = (answer(made, TWO[0] + shift, TWO[1])[0] - answer(made, TWO[0] - shift, TWO[1])[0]) / 2e-3
        assert forces[i, x] == pytest.approx(-slope, abs=1e-7)


def test_a_uniform_field_is_exact():
    """0.1 V/Å between plates: the difference that the voltage makes is q E and q φ, to round-off."""
    earthed, live = bridge(plates(2)), bridge(plates(2), voltage="0.1*z")
    none, some = answer(earthed, *TWO), answer(live, *TWO)
    places, charges = TWO
    assert some[0] - none[0] == pytest.approx(0.1 * charges @ places[:, 2], abs=1e-10)
    assert np.allclose(some[1] - none[1], np.outer(charges, [0.0, 0.0, -0.1]), atol=1e-9)


@pytest.fixture(scope="module")
def balls(gmsh, tmp_path_factory):
    """Two meshes of a ball of 10 Å, with cells of 4 and 2 Å."""
    folder = tmp_path_factory.mktemp("balls")
    ball = "Sphere(1) = {0, 0, 0, 10};\nPhysical Volume(1) = {1};\nMesh.MeshSizeMin = %g;\nMesh.MeshSizeMax = %g;"
    return [str(gmsh(folder / f"ball-{size}.msh", ball % (size, size), 3)) for size in (4.0, 2.0)]


def test_a_sphere_against_its_image(balls):
    """U = −q² k R / 2(R² − d²), F = q² k R d / (R² − d²)² outward (Jackson, sect. 2.2), second order in the mesh."""
    rng = np.random.default_rng(4)
    places = rng.normal(size=(12, 3))
    places *= (rng.uniform(1, 6, 12) / np.linalg.norm(places, axis=1))[:, None]
    energies = [-COULOMB * 10.0 / (2 * (100.0 - place @ place)) for place in places]
    errors = [error({"file": file}, 1, places, energies) for file in balls]
    assert np.log2(errors[0] / errors[1]) > 1.5, errors
    exact = [COULOMB * 10.0 / (100.0 - place @ place) ** 2 * place for place in places]
    off = []
    for file in balls:
        made = bridge({"file": file})
        forces = [answer(made, place[None], np.ones(1))[1][0] for place in places]
        off.append(np.linalg.norm(np.array(forces) - exact) / np.linalg.norm(exact))
    assert off[1] < min(0.15, off[0] / 1.5), off  # a gradient of degree 0 is of first order


def test_the_induced_charge_is_the_ions_and_its_energy_theirs():
    """Half the Coulomb energy with what the walls carry is half Σ q φ: the reciprocity that the forces build on."""
    made = bridge(plates(2))
    energy, _ = answer(made, *TWO)
    places, charges = TWO
    field = made._reaction
    field.set_input("walls.potential", np.zeros((len(made._walls), 1)))
    field.load(places, charges[:, None])
    field.advance(1.0)
    induced = -field.output("walls.charge")[:, 0]
    assert induced.sum() == pytest.approx(-charges.sum(), abs=1e-10)
    assert 0.5 * induced @ coulomb(made._walls, places, charges) == pytest.approx(energy, abs=1e-10)


def test_going_back_is_exact():
    made = bridge(plates(2), voltage="0.1*z")
    before = answer(made, *TWO)
    state = made.save()
    answer(made, TWO[0] + 0.3, TWO[1])
    made.restore(state)
    again = [made.write(field) for field in reversed(made.exchange.writes)]
    assert again[0].sum() == before[0] and np.array_equal(again[1], before[1])


def moving(folder, window):
    """Run springs of charges between plates for 20 fs; return the totals at the windows' ends."""
    write(folder / "ions.xyz", Atoms("LiOLi", [(0.1, 0.2, 5.3), (1.1, 0.1, 5.0), (1.5, 1.2, 6.1)]))
    table = {
        "use": "particles",
        "mesh": "Ions-Mesh",
        "scheme": "impulse",
        "charges": [0.6, -1.2, 0.9],
        "atoms": {"file": "ions.xyz"},
        "motion": {"timestep": f"{window} fs"},
        "reads": {"forces": "Force", "energies": "Energy"},
        "writes": {"displacements": "Displacement", "charges": "Charge"},
        "model": {"use": "harmonic", **THREE},
    }
    ions, totals = build(table, where="case.toml: participants.Ions", folder=folder), []
    ions.accept = lambda time: totals.append(ions.observe()["total/eV"])
    Pair(ions, until=20.0, window=window).drive(bridge(plates(2), 2, "0.05*z"))
    return np.array(totals)


def test_ions_move_in_the_field_and_the_total_is_kept(tmp_path):
    """The leapfrog's total, the field's energy in it, is conserved to second order in the window."""
    coarse, fine = moving(tmp_path, 0.5), moving(tmp_path, 0.25)
    assert np.ptp(coarse) / np.ptp(fine) == pytest.approx(4.0, abs=0.5)


@pytest.mark.parametrize(
    ("change", "error", "words"),
    [
        ({"reaction": None}, OptionError, "the table 'reaction' is missing"),
        ({"place": "sides"}, NotOffered, "'sides.potential'"),
        ({"length": "nm"}, CaseError, "the unit of length nm"),
        ({"flat": True}, NotOffered, "no potential in three dimensions"),
    ],
)
def test_what_does_not_fit_is_refused(change, error, words):
    mesh = plates(2) if "flat" not in change else {"low": [0, 0], "high": [1, 1], "cells": [2, 2]}
    reaction = model(mesh) | {"places": {"walls": {"boundary": "all", "takes": ["potential"]}}}
    if "length" in change:
        reaction["length"] = change["length"]
    base = {"use": "electrostatics", "mesh": "M", "low": [0, 0, 0], "high": [1, 1, 1], "reaction": reaction}
    if "place" in change:
        base["place"] = change["place"]
    if change.get("reaction", True) is None:
        del base["reaction"]
    with pytest.raises(error, match=words):
        build(base, where="x")
