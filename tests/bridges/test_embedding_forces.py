"""Forces are minus the gradient, for every way of embedding, with levels in NumPy."""

from itertools import product

import numpy as np
import pytest

from scalespan.adapters.interface import Quantity
from scalespan.adapters.interface.units import BOHR, HARTREE
from scalespan.bridges.embedding import Embedding, EmbeddingOptions
from scalespan.bridges.embedding.switching import Edge

from .standins import Molecule, ethanol, ethanol_in_water

ATOMIC = HARTREE / BOHR  # eV/Å
TRICLINIC = [[15.0, 0.0, 0.0], [3.5, 14.0, 0.0], [-4.0, 5.0, 14.5]]
SCHEMES = ["none", "Z1", "Z2", "Z3", "RC", "RCD", "CS", "balanced-RC", "balanced-RCD", "balanced-CS"]


def embedding(low, *, high=None, model=None, **table) -> Embedding:
    table.setdefault("region", {"atoms": [4, 5, 6, 7, 8]})
    return Embedding(EmbeddingOptions.read(table), low=low, high=high or Molecule(), model=model)


def slope_error(model, atoms, directions=3, step=1e-3, seed=3) -> float:
    """Return the largest error of the forces along random directions of unit components, in Eh/bohr.

    The error of a sum over all atoms is about the length of the error of all forces, so at least any one's.
    """
    forces = model.compute(atoms, {Quantity.FORCES}).forces
    rng = np.random.default_rng(seed)
    worst = 0.0
    for _ in range(directions):
        along = rng.normal(size=forces.shape)

        def energy(shift, along=along):
            moved = atoms.copy()
            moved.positions += shift * along
            return model.compute(moved, {Quantity.ENERGY}).energy

        slope = (8 * (energy(step) - energy(-step)) - energy(2 * step) + energy(-2 * step)) / (12 * step)
        worst = max(worst, abs(slope + float(np.sum(forces * along))))
    return worst / ATOMIC


def net(atoms, forces) -> float:
    """Return the largest component of net force and torque, eV/Å and eV."""
    torque = np.cross(atoms.positions, forces).sum(axis=0)
    return max(np.abs(forces.sum(axis=0)).max(), np.abs(torque).max())


MECHANICAL = [("mechanical", None, "none")]
ELECTROSTATIC = [("electrostatic", g, s) for g, s in product([None, "0.7 angstrom"], SCHEMES)]


@pytest.mark.parametrize("links", ["fixed", "scaled"])
@pytest.mark.parametrize(("kind", "gaussian", "scheme"), MECHANICAL + ELECTROSTATIC)
@pytest.mark.parametrize("partition", ["terms", "additive"])
def test_forces_without_a_box(partition, kind, gaussian, scheme, links):
    low = ethanol()
    atoms = low.initial_atoms()
    atoms.rattle(0.05, seed=1)
    table = {"scheme": "additive"} if partition == "additive" else {"subtract": "terms"}
    charges = {"scheme": scheme} | ({} if gaussian is None else {"gaussian_radius": gaussian})
    model = embedding(low, embedding=kind, links={"kind": links}, charges=charges, **table)
    assert slope_error(model, atoms) < 1e-8
    assert net(atoms, model.compute(atoms, {Quantity.FORCES}).forces) < 1e-9


@pytest.mark.parametrize("links", ["fixed", "scaled"])
@pytest.mark.parametrize(("kind", "gaussian", "scheme"), MECHANICAL + ELECTROSTATIC)
def test_forces_in_a_triclinic_box(kind, gaussian, scheme, links):
    """Waters fade between 3 and 4.5 Å; molecules are stored in any image."""
    low = ethanol_in_water(TRICLINIC)
    atoms = low.initial_atoms()
    charges = {"scheme": scheme, "cutoff": "4.5 angstrom", "switch": "2 angstrom"}
    charges |= {} if gaussian is None else {"gaussian_radius": gaussian}
    model = embedding(low, embedding=kind, links={"kind": links}, charges=charges)
    if kind == "electrostatic":
        view = model.layout_of(atoms).surroundings.look(atoms.positions, atoms.cell.array)
        assert len(view.fading) >= 3, "nothing fades, so nothing is tested"
    assert slope_error(model, atoms) < 1e-8
    assert np.abs(model.compute(atoms, {Quantity.FORCES}).forces.sum(axis=0)).max() < 1e-9


def test_additive_and_terms_are_one_number():
    low = ethanol()
    atoms = low.initial_atoms()
    wanted = {Quantity.ENERGY, Quantity.FORCES}
    for kind in ("mechanical", "electrostatic"):
        one = embedding(low, embedding=kind, scheme="additive").compute(atoms, wanted)
        other = embedding(low, embedding=kind, scheme="subtractive").compute(atoms, wanted)
        assert one.energy == pytest.approx(other.energy, abs=1e-10)
        assert one.forces == pytest.approx(other.forces, abs=1e-10)


def test_weight_is_smooth_at_both_ends():
    """The quintic and its first two derivatives are continuous: differences see no jump."""
    edge = Edge(3.0, 5.0)
    r = np.array([3.0, 5.0])
    h = 1e-4
    second = (edge.weight(r + h)[1] - edge.weight(r - h)[1]) / (2 * h)
    assert second == pytest.approx(0.0, abs=1e-3)
    assert edge.weight(np.array([2.9, 3.0, 4.0, 5.0, 5.1]))[0] == pytest.approx([1.0, 1.0, 0.5, 0.0, 0.0])
