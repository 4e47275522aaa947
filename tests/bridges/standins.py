"""Levels in NumPy for the tests of embeddings: every energy is a formula, every force its exact gradient."""

from __future__ import annotations

from collections.abc import Mapping
from copy import copy
from dataclasses import replace
from itertools import combinations

import numpy as np
from ase import Atoms
from scipy.special import erf, erfc

from scalespan.adapters.interface import (
    AdapterCalculator,
    AseMotion,
    ExternalCharges,
    ForceField,
    Options,
    ParticleAdapter,
    Quantity,
    Results,
    TermCount,
    Topology,
)
from scalespan.adapters.interface.units import COULOMB


class NoOptions(Options):
    pass


class Molecule(ParticleAdapter):
    """A high level: soft pairs, and a charge on each atom that feels external ones, not linearly.

    E = Σ a exp(−r/b) + U − β U², U = Σ Q_i q_k erf(r/a)/r, so that ∂E/∂q depends on all charges.
    """

    name = "molecule"
    Options = NoOptions
    offers = frozenset({Quantity.ENERGY, Quantity.FORCES, Quantity.CHARGE_FORCES, Quantity.CHARGE_POTENTIAL})
    beta = 0.02  # 1/eV

    def __init__(self, charges: Mapping[int, float] | None = None) -> None:
        self.own = {1: 0.31, 6: -0.17, 8: -0.62} if charges is None else dict(charges)
        self.calls: list[Atoms] = []
        self.fields: list[ExternalCharges | None] = []

    def _compute(self, atoms, wanted, charges):
        self.calls.append(atoms.copy())
        self.fields.append(charges)
        energy, forces = soft_pairs(atoms.positions)
        found = {"energy": energy, "forces": forces}
        if charges is not None:
            found = self._with_field(found, atoms, charges)
        return Results(**found)

    def _with_field(self, found, atoms, charges):
        own = np.array([self.own[z] for z in atoms.numbers.tolist()])
        along = charges.positions[None] - atoms.positions[:, None]
        r = np.linalg.norm(along, axis=2)
        f, slope = coulomb(r, charges.radii)
        u = float(own @ f @ charges.charges)
        factor = 1.0 - 2.0 * self.beta * u
        pull = -factor * (own[:, None] * charges.charges * slope / r)[:, :, None] * along
        return {
            "energy": found["energy"] + u - self.beta * u**2,
            "forces": found["forces"] - pull.sum(axis=1),
            "charge_forces": pull.sum(axis=0),
            "charge_potential": factor * (own @ f),
        }


def coulomb(r, radii=None):
    """Return the energy of two unit charges (eV) and its slope, for points or Gaussians."""
    if radii is None:
        return COULOMB / r, -COULOMB / r**2
    radii = np.maximum(radii, 1e-6)  # zero makes a point
    gauss = 2.0 / np.sqrt(np.pi) / radii * np.exp(-((r / radii) ** 2))
    return COULOMB * erf(r / radii) / r, COULOMB * (gauss / r - erf(r / radii) / r**2)


def soft_pairs(positions):
    i, j = np.triu_indices(len(positions), 1)
    along = positions[j] - positions[i]
    r = np.linalg.norm(along, axis=1)
    energy = 8.0 * np.exp(-r / 0.7)
    pull = (-energy / 0.7 / r)[:, None] * along
    forces = np.zeros_like(positions)
    np.add.at(forces, i, pull)
    np.add.at(forces, j, -pull)
    return float(energy.sum()), forces


class Springs(ForceField):
    """A low level: springs for bonds, Coulomb and a soft wall for pairs that no bond or angle joins.

    In a box Coulomb is screened, erfc(r/1.2 Å)/r, and pairs take their nearest image.
    """

    name = "springs"
    Options = NoOptions

    def __init__(self, topology: Topology, atoms: Atoms, terms=None) -> None:
        self._topology, self._atoms = topology, atoms.copy()
        self._terms = terms or self._all_terms()
        self._motion = None

    def _all_terms(self):
        bonds = [tuple(bond) for bond in self._topology.bonds.tolist()]
        near = {frozenset(bond) for bond in bonds}
        for around in self._topology.neighbours():
            near |= {frozenset(pair) for pair in combinations(around, 2)}
        pairs = [p for p in combinations(range(len(self._topology)), 2) if frozenset(p) not in near]
        return {"bond": bonds, "pair": pairs}

    @property
    def topology(self):
        return self._topology

    def initial_atoms(self):
        return self._atoms.copy()

    def _compute(self, atoms, wanted, charges):
        energy, forces = 0.0, np.zeros((len(atoms), 3))
        q = self._topology.charges
        for name, pairs in self._terms.items():
            if not pairs:
                continue
            i, j = np.array(pairs).T
            along = atoms.positions[j] - atoms.positions[i]
            if atoms.pbc.any():
                along -= np.round(along @ np.linalg.inv(atoms.cell.array)) @ atoms.cell.array
            r = np.linalg.norm(along, axis=1)
            e, slope = self._bond(r) if name == "bond" else self._pair(r, q[i] * q[j], bool(atoms.pbc.any()))
            pull = (slope / r)[:, None] * along
            np.add.at(forces, i, pull)
            np.add.at(forces, j, -pull)
            energy += float(e.sum())
        return Results(energy=energy, forces=forces)

    def _bond(self, r):
        return 10.0 * (r - 1.2) ** 2, 20.0 * (r - 1.2)

    def _pair(self, r, qq, periodic):
        wall = 400.0 * np.exp(-r / 0.2)
        if not periodic:
            return wall + COULOMB * qq / r, -wall / 0.2 - COULOMB * qq / r**2
        f = erfc(r / 1.2) / r
        gauss = 2.0 / np.sqrt(np.pi) / 1.2 * np.exp(-((r / 1.2) ** 2))
        return wall + COULOMB * qq * f, -wall / 0.2 - COULOMB * qq * (gauss + f) / r

    def terms(self, region):
        inside = set(np.asarray(region).tolist())
        q = self._topology.charges
        lists = {
            "bond": self._terms["bond"],
            "Coulomb": [p for p in self._terms["pair"] if q[p[0]] and q[p[1]]],
            "dispersion": self._terms["pair"],
        }
        found = {}
        for name, pairs in lists.items():
            ends = [(i in inside) + (j in inside) for i, j in pairs]
            found[name] = TermCount(ends.count(2), ends.count(1), ends.count(0))
        return found

    def select(self, region, part, charges=None):
        inside = set(np.asarray(region).tolist())
        topology = self._topology if charges is None else replace(self._topology, charges=charges.copy())

        def kept(pair):
            return part == "all" or inside.issuperset(pair) == (part == "inside")

        terms = {name: [pair for pair in pairs if kept(pair)] for name, pairs in self._terms.items()}
        found = copy(self)
        found._topology, found._terms = topology, terms
        return found

    def host(self, atoms, motion, extra=None):
        mine = atoms.copy()
        mine.calc = AdapterCalculator(self if extra is None else _Joined(self, extra))
        self._motion = AseMotion(mine, motion)


class _Joined(ParticleAdapter):
    name = "joined"
    Options = NoOptions

    def __init__(self, field, extra):
        self.field, self.extra = field, extra

    def _compute(self, atoms, wanted, charges):
        own = self.field._compute(atoms, wanted, None)
        cell = atoms.cell.array if atoms.pbc.any() else np.zeros((3, 3))
        energy, forces = self.extra(atoms.positions.copy(), cell)
        parts = {"own": own.energy, "extra": energy}
        return Results(energy=own.energy + energy, forces=own.forces + forces, components=parts)


def topology_of(atoms: Atoms, bonds, charges, names=None, residues=None) -> Topology:
    residues = np.zeros(len(atoms), dtype=np.int64) if residues is None else np.array(residues)
    count = int(residues.max()) + 1
    return Topology(
        numbers=atoms.numbers.astype(np.int64),
        names=tuple(names or atoms.get_chemical_symbols()),
        residues=residues,
        residue_names=("RES",) * count,
        residue_numbers=tuple(range(1, count + 1)),
        chains=("A",) * count,
        bonds=np.array(sorted(tuple(sorted(b)) for b in bonds), dtype=np.int64).reshape(-1, 2),
        charges=np.array(charges, dtype=float),
    )


# Ethanol: CH3 first, the region of the tests is CH2OH; charges of CH3 as in the ethanol anchors.
ETHANOL = Atoms(
    "CHHHCHHOH",
    [
        [-1.2127, -0.2203, 0.0],
        [-1.2690, -0.8620, 0.8870],
        [-1.2690, -0.8620, -0.8870],
        [-2.0850, 0.4430, 0.0],
        [0.0794, 0.5746, 0.0],
        [0.1360, 1.2230, -0.8870],
        [0.1360, 1.2230, 0.8870],
        [1.1518, -0.3614, 0.0],
        [1.9770, 0.1310, 0.0],
    ],
)
ETHANOL_BONDS = [(0, 1), (0, 2), (0, 3), (0, 4), (4, 5), (4, 6), (4, 7), (7, 8)]
ETHANOL_CHARGES = [-0.18, 0.06, 0.06, 0.06, 0.13, 0.03, 0.03, -0.60, 0.41]
ETHANOL_NAMES = ["C1", "H11", "H12", "H13", "C2", "H21", "H22", "O", "HO"]


def ethanol() -> Springs:
    return Springs(topology_of(ETHANOL, ETHANOL_BONDS, ETHANOL_CHARGES, ETHANOL_NAMES), ETHANOL)


def ethanol_in_water(cell, waters: int = 12, seed: int = 0) -> Springs:
    """Return ethanol among waters, in a box, each molecule in some image, some cut by the box's faces."""
    rng = np.random.default_rng(seed)
    atoms, bonds, charges, residues = ETHANOL.copy(), list(ETHANOL_BONDS), list(ETHANOL_CHARGES), [0] * 9
    atoms.set_cell(cell)
    atoms.pbc = True
    water = np.array([[0.0, 0.0, 0.0], [0.96, 0.0, 0.0], [-0.24, 0.93, 0.0]])
    while len(atoms) < 9 + 3 * waters:
        place = rng.uniform(0, 1, 3) @ atoms.cell.array + water @ np.linalg.qr(rng.normal(size=(3, 3)))[0]
        trial = atoms + Atoms("OHH", place)
        n = len(atoms)
        apart = trial.get_all_distances(mic=True)[n:, :n]
        if apart.min() < 1.9:
            continue
        atoms = trial
        bonds += [(n, n + 1), (n, n + 2)]
        charges += [-0.8, 0.4, 0.4]
        residues += [residues[-1] + 1] * 3
    names = ETHANOL_NAMES + ["O", "H1", "H2"] * waters
    atoms.positions += rng.integers(-1, 2, size=(len(atoms), 3)) @ atoms.cell.array
    return Springs(topology_of(atoms, bonds, charges, names, residues), atoms)
