"""How reference.toml was made: the same sites and charges given to PySCF's own qmmm by hand, without scalespan.

Run by hand: python input/reference.py > reference.toml
"""

from pathlib import Path

import numpy as np
from ase.io import read
from pyscf import gto, qmmm, scf

KCAL_PER_HARTREE = 627.5094740631
atoms = read(Path(__file__).parent / "ethanol.xyz")
r = atoms.positions
along = r[0] - r[4]
link = r[4] + 1.09 * along / np.linalg.norm(along)
m1, m2 = r[0], r[1:4]
half, f, away = (m1 + m2) / 2, 0.05, m2 - m1
schemes = {
    "none": ([-0.18, 0.06, 0.06, 0.06], r[:4]),
    "Z1": ([0.06] * 3, m2),
    "Z2": ([], []),
    "RC": ([0.06] * 3 + [-0.06] * 3, np.vstack([m2, half])),
    "RCD": ([0.12] * 3 + [-0.12] * 3, np.vstack([m2, half])),
    "CS": ([0.0] * 3 + [-0.06 / (2 * f)] * 3 + [0.06 / (2 * f)] * 3, np.vstack([m2, m2 - f * away, m2 + f * away])),
}


def energy(last: int, charge: int, charges: list[float], places: np.ndarray) -> float:
    """Return RHF/6-31G* of atoms 4 to ``last`` and the link atom, in the charges (hartree)."""
    body = [(atoms[i].symbol, r[i]) for i in range(4, last)] + [("H", link)]
    mf = scf.RHF(gto.M(atom=body, basis="6-31g*", charge=charge, verbose=0))
    if len(charges):
        mf = qmmm.mm_charge(mf, np.array(places), np.array(charges), unit="Ang")
    mf.conv_tol = 1e-11
    return mf.kernel()


source = "PySCF 2.14.0 with its own qmmm.mm_charge: input/reference.py"
for name, (charges, places) in schemes.items():
    neutral, anion = energy(9, 0, charges, places), energy(8, -1, charges, places)
    for key, value, tolerance, unit in (
        (f"energy_high_{name}_neutral", neutral, 1e-8, "hartree"),
        (f"difference_{name}", (anion - neutral) * KCAL_PER_HARTREE, 1e-4, "kcal/mol"),
    ):
        print(f'[{key}]\nvalue = {value:.10f}\ntolerance = {tolerance}\nunit = "{unit}"\nsource = "{source}"')
        print('engines = { pyscf = "2.14.0" }\n')
