"""Forces against differences with the real engines, for every way of embedding; writes docs/tables/force_errors.md.

Ethanol and two waters: Hartree-Fock for CH2OH, OpenMM for the rest.
"""

from __future__ import annotations

from itertools import product
from pathlib import Path

import numpy as np
import pytest
from ase import Atoms

from scalespan.adapters.interface import ADAPTERS, ParticleAdapter, Quantity
from scalespan.adapters.interface.units import BOHR, HARTREE
from scalespan.bridges.embedding import Embedding, EmbeddingOptions

from .standins import Springs, topology_of

ROOT = Path(__file__).parents[2]
DATA = ROOT / "tests" / "data" / "openmm"
TABLE = ROOT / "docs" / "tables" / "force_errors.md"
LIMIT = 1e-6  # Eh/bohr

PARTITIONS = {
    "additive": {"scheme": "additive"},
    "subtractive, terms": {"scheme": "subtractive", "subtract": "terms"},
    "subtractive, capped": {"scheme": "subtractive", "subtract": "capped"},
}
FIELDS = {"point": {}, "Gaussian": {"gaussian_factor": 1.0}}
SCHEMES = ["none", "Z1", "Z2", "Z3", "RC", "RCD", "CS", "balanced-RC", "balanced-RCD", "balanced-CS"]
LINKS = ["fixed", "scaled"]
BOXES = ["no box", "triclinic box"]


class Remembered(ParticleAdapter):
    """An adapter that is asked the same question once; partitions differ in the low level only."""

    name = "remembered"

    def __init__(self, inner: ParticleAdapter) -> None:
        self.inner, self.offers, self.answers = inner, inner.offers, {}

    def _compute(self, atoms, wanted, charges):
        field = b"" if charges is None else charges.positions.tobytes() + charges.charges.tobytes()
        key = (atoms.positions.tobytes(), field, charges is not None and charges.radii is not None, wanted)
        if key not in self.answers:
            self.answers[key] = self.inner.compute(atoms, wanted, charges)
        return self.answers[key]


def engine(name, folder=None, **table):
    find = ADAPTERS.find(name)
    return find(find.Options.read(table, folder=folder))


def engine_high() -> Remembered:
    # Torques vanish with the orbital gradient, which falls with the root of this.
    return Remembered(engine("pyscf", method="rhf", basis="sto-3g", convergence="1e-14 hartree", far_field="never"))


def low_level(box: str):
    table = {"pdb": "ethanol_water.pdb", "force_field": ["ethanol_water.xml"], "platform": "Reference"}
    if box == "no box":
        return engine("openmm", DATA, nonbonded="no-cutoff", **table)
    return engine(
        "openmm",
        DATA,
        cell=["13 angstrom", "12.5 angstrom", "12 angstrom"],
        cell_angles=["85 deg", "80 deg", "75 deg"],
        nonbonded="cutoff-periodic",  # a mesh would not conserve momentum, and would hide what the embedding does
        cutoff="5.2 angstrom",
        switch_distance="4 angstrom",
        **table,
    )


def methanol() -> Springs:
    """The low level of the capped region: C H H O H, and the link hydrogen."""
    bonds = [(0, 1), (0, 2), (0, 3), (3, 4), (0, 5)]
    atoms = Atoms("CHHOHH", np.eye(6, 3))
    return Springs(topology_of(atoms, bonds, [0.1, 0.05, 0.05, -0.6, 0.4, 0.0]), atoms)


def options(partition, embedding, field, scheme, links) -> EmbeddingOptions:
    charges = {"scheme": scheme, "leftover": "keep", "cutoff": "3.9 angstrom", "switch": "2 angstrom"}
    return EmbeddingOptions.read(
        {
            "region": {"atoms": [4, 5, 6, 7, 8]},
            "embedding": embedding,
            "links": {"kind": links},
            "charges": charges | FIELDS.get(field, {}),
            **PARTITIONS[partition],
        }
    )


def error(model: Embedding, atoms: Atoms, directions: int = 2, step: float = 1e-3) -> float:
    """Return the largest error of a slope along random directions of unit components, Eh/bohr."""
    forces, rng, worst = model.compute(atoms, {Quantity.FORCES}).forces, np.random.default_rng(11), 0.0
    for _ in range(directions):
        along = rng.normal(size=forces.shape)
        energy = []
        for shift in (-2, -1, 1, 2):
            moved = atoms.copy()
            moved.positions += shift * step * along
            energy.append(model.compute(moved, {Quantity.ENERGY}).energy)
        slope = (energy[0] - 8 * energy[1] + 8 * energy[2] - energy[3]) / (12 * step)
        worst = max(worst, abs(slope + float(np.sum(forces * along))))
    return worst / (HARTREE / BOHR)


def net(atoms: Atoms, forces) -> float:
    """Return the largest component of the net force (Eh/bohr) and, without a box, of the torque (Eh)."""
    force = np.abs(forces.sum(axis=0)).max() / (HARTREE / BOHR)
    torque = np.cross(atoms.positions - atoms.positions.mean(axis=0), forces).sum(axis=0)
    return max(force, 0.0 if atoms.pbc.any() else np.abs(torque).max() / HARTREE)


def ways():
    for partition, links, box in product(PARTITIONS, LINKS, BOXES):
        yield partition, "mechanical", "", "none", links, box
        for field, scheme in product(FIELDS, SCHEMES):
            yield partition, "electrostatic", field, scheme, links, box


def test_the_box_has_charges_that_fade():
    """Guard of the test below: both waters are on the edge, so its derivative counts."""
    low = low_level("triclinic box")
    model = Embedding(options("additive", "electrostatic", "point", "RCD", "fixed"), low=low, high=engine_high())
    atoms = low.initial_atoms()
    view = model.layout_of(atoms).surroundings.look(atoms.positions, atoms.cell.array)
    assert len(view.fading) == 2


@pytest.mark.slow
def test_forces_are_the_gradient_in_every_way_of_embedding():
    """Errors below 1e-6 Eh/bohr, net force and torque below 1e-8 in atomic units, for all 252 ways."""
    high = engine_high()
    lows = {box: low_level(box) for box in BOXES}
    found = {}
    for partition, embedding, field, scheme, links, box in ways():
        atoms = lows[box].initial_atoms()
        atoms.rattle(0.02, seed=1)
        model_of_low = methanol() if partition == "subtractive, capped" else None
        chosen = options(partition, embedding, field, scheme, links)
        model = Embedding(chosen, low=lows[box], high=high, model=model_of_low)
        forces = model.compute(atoms, {Quantity.FORCES}).forces
        way = (f"{embedding} {field}".strip(), scheme, links, partition, box)
        found[way] = (error(model, atoms), net(atoms, forces))
    write_table(found)
    worst = max(found, key=lambda way: found[way][0])
    assert found[worst][0] < LIMIT, f"{worst}: {found[worst][0]:.1e} Eh/bohr"
    unbalanced = max(found, key=lambda way: found[way][1])
    assert found[unbalanced][1] < 1e-8, f"{unbalanced}: {found[unbalanced][1]:.1e}"


def write_table(found: dict[tuple[str, ...], tuple[float, float]]) -> None:
    """Write a row for each embedding, charge scheme and link, a column for each partition and box."""
    columns = list(product(PARTITIONS, BOXES))
    lines = [
        "# Forces against differences",
        "",
        "Written by `tests/bridges/test_embedding_gradients.py`; do not edit. Ethanol and two waters, CH2OH at",
        "RHF/STO-3G, the rest in OpenMM. Each entry bounds the error of the slope of the energy along two random",
        "directions of all atoms, in Eh/bohr. Net forces, and torques without a box, are below 1e-8 in all, without a",
        "projection.",
        "",
        "| embedding | charges at the cut | link | " + " | ".join(f"{p}, {b}" for p, b in columns) + " |",
        "|---" * (3 + len(columns)) + "|",
    ]
    for row in dict.fromkeys(way[:3] for way in found):
        entries = [bound(found[(*row, *column)][0]) for column in columns]
        lines.append("| " + " | ".join([*row, *entries]) + " |")
    TABLE.parent.mkdir(parents=True, exist_ok=True)
    TABLE.write_text("\n".join(lines) + "\n")


def bound(value: float) -> str:
    return "< 1e-6" if value < LIMIT else f"**{value:.0e}**"
