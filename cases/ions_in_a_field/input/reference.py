"""Electrostatics by formulas, without scalespan and without elements: writes reference.toml beside the case.

The energy of the ions with the earthed conductors by images, as (Jackson, Classical Electrodynamics, 3rd ed., problems
2.11 and 3.20), and with the plates' voltage. Type: python cases/ions_in_a_field/input/reference.py
"""

from __future__ import annotations

from itertools import product
from pathlib import Path

import numpy as np
import scipy
from ase.units import Bohr, Hartree
from scipy.special import digamma, k0

CASE = Path(__file__).parents[1]
HEIGHT, HALF, FIELD = 20.0, 30.0, 0.1  # Å, Å, V/Å
COULOMB = Hartree * Bohr  # eV·Å/e²
CHARGES = {"NA": 1.0, "CL": -1.0}  # e


def ions() -> tuple[np.ndarray, np.ndarray]:
    """Return positions (n, 3) Å and charges (n,) e."""
    lines = [line for line in (CASE / "input" / "ions.pdb").read_text().splitlines() if line.startswith("HETATM")]
    places = [[float(line[start : start + 8]) for start in (30, 38, 46)] for line in lines]
    return np.array(places), np.array([CHARGES[line[17:20].strip()] for line in lines])


def self_energy(charge: float, z: float) -> float:
    """Return the energy of a charge with its images in two plates, eV."""
    a = z / HEIGHT
    return float(charge**2 * COULOMB / (4 * HEIGHT) * (digamma(a) + digamma(1 - a) + 2 * np.euler_gamma))


def between(z: float, w: float, distance: float) -> float:
    """Return the energy of two unit charges between plates at a distance along them, eV."""
    n = np.arange(1, 200) * np.pi / HEIGHT
    return float(4 * COULOMB / HEIGHT * np.sum(np.sin(n * z) * np.sin(n * w) * k0(n * distance)))


def energy() -> float:
    """Return the ions' energy with the conductors, eV."""
    places, charges = ions()
    total = FIELD * float(charges @ places[:, 2])
    for (x, y, z), q in zip(places, charges, strict=True):
        total += self_energy(q, z)
        for (u, v, w), p in zip(places, charges, strict=True):
            for k, m in product(range(-3, 4), repeat=2):  # the side walls' images
                distance = np.hypot(2 * HALF * k + (-1) ** k * u - x, 2 * HALF * m + (-1) ** m * v - y)
                if distance > 0.0:
                    total += 0.5 * q * p * (-1) ** (k + m) * between(z, w, float(distance))
    for i, j in product(range(len(places)), repeat=2):  # what OpenMM has already
        if i != j:
            total -= 0.5 * COULOMB * charges[i] * charges[j] / float(np.linalg.norm(places[i] - places[j]))
    return total


if __name__ == "__main__":
    formula = f"images between plates and side walls: input/reference.py, SciPy {scipy.__version__}"
    text = f"""["Field.energy_first"]
value = {energy():.9f}
tolerance = 5e-3
unit = "eV"
source = "{formula}; the tolerance is the mesh's"
engines = {{ scipy = "{scipy.__version__}" }}

["Ions.total_std"]
value = 0.0
tolerance = 2e-5
unit = "eV"
source = "½ Σ m v² + U is conserved by the leapfrog to second order, doi:10.1063/1.463137"
engines = {{ scipy = "{scipy.__version__}" }}
"""
    (CASE / "reference.toml").write_text(text, encoding="utf-8")
    print(text)
