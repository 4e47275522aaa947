"""Charges from outside an embedding, and those of its own low level: the high level feels both."""

import numpy as np
import pytest

from scalespan.adapters.interface import ExternalCharges, Quantity, Results

from .standins import Springs, coulomb, ethanol
from .test_embedding_forces import embedding


class Outward(Springs):
    """Springs whose charges feel others from outside."""

    offers = frozenset({Quantity.ENERGY, Quantity.FORCES, Quantity.CHARGE_FORCES, Quantity.CHARGE_POTENTIAL})

    def select(self, region, part, charges=None):
        found = super().select(region, part, charges)
        inside = np.isin(np.arange(len(self.topology)), region)
        found.felt = {"all": 1.0, "inside": inside, "rest": ~inside}[part] * found.topology.charges
        return found

    def _compute(self, atoms, wanted, charges):
        found = super()._compute(atoms, wanted, None)
        own = self.felt
        along = charges.positions[None] - atoms.positions[:, None]
        r = np.linalg.norm(along, axis=2)
        f, slope = coulomb(r)
        pull = -(own[:, None] * charges.charges * slope / r)[:, :, None] * along
        return Results(
            energy=found.energy + float(own @ f @ charges.charges),
            forces=found.forces - pull.sum(axis=1),
            charge_forces=pull.sum(axis=0),
            charge_potential=own @ f,
        )


@pytest.mark.parametrize("gaussian", [{}, {"gaussian_radius": "0.7 angstrom"}])
def test_charges_from_outside_join_those_of_the_low_level(gaussian):
    """The high level sees both, and each gets its own force: all are the energy's gradient."""
    plain = ethanol()
    atoms = plain.initial_atoms()
    model = embedding(Outward(plain.topology, atoms), charges=gaussian)
    rng = np.random.default_rng(6)
    outer = ExternalCharges(atoms.positions.mean(axis=0) + rng.normal(scale=6.0, size=(3, 3)), rng.normal(size=3))
    found = model.compute(atoms, {Quantity.ENERGY, *Outward.offers}, outer)
    at, on = rng.normal(size=atoms.positions.shape), rng.normal(size=(3, 3))

    def energy(shift):
        moved = atoms.copy()
        moved.positions += shift * at
        shifted = ExternalCharges(outer.positions + shift * on, outer.charges)
        return model.compute(moved, {Quantity.ENERGY}, shifted).energy

    h = 1e-3
    slope = (8 * (energy(h) - energy(-h)) - energy(2 * h) + energy(-2 * h)) / (12 * h)
    assert slope == pytest.approx(-np.sum(found.forces * at) - np.sum(found.charge_forces * on), abs=1e-7)
    assert found.charge_potential.shape == (3,)
