"""OpenMM's stress in sheared boxes against exact pair sums, and what has no stress."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from ase import Atoms
from ase.stress import full_3x3_to_voigt_6_stress
from scipy.spatial.transform import Rotation

from scalespan.adapters.interface import AtomsError, NotOffered, Quantity

from ..bridges.argon import argon, engine, pair_sum

openmm = pytest.importorskip("openmm", reason="OpenMM is not installed")
from scalespan.adapters.openmm import OpenMMAdapter  # noqa: E402

SHEARS = {
    "as OpenMM has it": [[1.02, 0.03, -0.02], [0.0, 0.99, 0.015], [0.0, 0.0, 1.01]],
    "tilted and turned": [[1.0, 0.01, 0.0], [0.04, 1.02, -0.03], [0.02, 0.01, 0.98]],
    "far from reduced": [[1.0, 0.4, -0.3], [0.0, 1.0, 0.35], [0.0, 0.0, 1.0]],
}


def sheared(gradient: list[list[float]], seed: int = 1) -> Atoms:
    """Return a compressed box of argon with its atoms off their places, and off the faces."""
    atoms = argon(5.2)
    atoms.positions += np.random.default_rng(seed).normal(0.0, 0.1, atoms.positions.shape) + 0.31
    atoms.set_cell(atoms.cell.array @ np.array(gradient).T, scale_atoms=True)
    return atoms


@pytest.mark.parametrize("platform", ["Reference", "CPU"])
@pytest.mark.parametrize("name", SHEARS)
def test_the_stress_of_a_triclinic_box_is_the_pair_sum(name: str, platform: str) -> None:
    """To 1e-4 of the largest component, shear included; computeCurrentPressure is off by half here."""
    atoms = sheared(SHEARS[name])
    found = engine(argon(), platform).compute(atoms, {Quantity.ENERGY, Quantity.STRESS})
    energy, stress = pair_sum(atoms)
    assert found.energy == pytest.approx(energy, rel=1e-6)
    np.testing.assert_allclose(
        found.stress, full_3x3_to_voigt_6_stress(stress), rtol=0, atol=1e-4 * np.abs(stress).max()
    )


def test_the_stress_turns_with_the_box() -> None:
    atoms = sheared(SHEARS["as OpenMM has it"])
    turn = Rotation.from_rotvec([0.4, -1.1, 0.7]).as_matrix()
    other = atoms.copy()
    other.set_cell(atoms.cell.array @ turn.T, scale_atoms=True)
    adapter = engine(argon())
    _, stress = pair_sum(atoms)
    found = adapter.compute(other, {Quantity.STRESS}).stress
    expected = full_3x3_to_voigt_6_stress(turn @ stress @ turn.T)
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-4 * np.abs(stress).max())


def test_asking_for_stress_leaves_other_answers_alone() -> None:
    adapter, atoms = engine(argon()), sheared(SHEARS["as OpenMM has it"])
    before = adapter.compute(atoms, {Quantity.FORCES}).forces
    adapter.compute(atoms, {Quantity.STRESS})
    assert np.array_equal(adapter.compute(atoms, {Quantity.FORCES}).forces, before)


def test_an_old_openmm_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    new = engine(argon())
    monkeypatch.delattr(openmm.MonteCarloFlexibleBarostat, "computeStressTensor")
    adapter = OpenMMAdapter(new.settings, new.model)
    assert Quantity.STRESS not in adapter.offers
    with pytest.raises(NotOffered, match=r"has no computeStressTensor.*install OpenMM 8\.6"):
        adapter.compute(argon(), {Quantity.STRESS})


def test_constrained_atoms_have_no_stress() -> None:
    new = engine(argon())
    held = openmm.XmlSerializer.clone(new.model.system)
    held.addConstraint(0, 1, 0.37)
    with pytest.raises(NotOffered, match="no stress of constrained atoms"):
        OpenMMAdapter(new.settings, replace(new.model, system=held)).compute(argon(), {Quantity.STRESS})


def test_a_box_too_narrow_for_the_cutoff_has_no_stress() -> None:
    atoms = argon()
    atoms.set_cell(atoms.cell.array * [0.7, 1.0, 1.0], scale_atoms=True)
    with pytest.raises(AtomsError, match="less than twice the cutoff"):
        engine(argon()).compute(atoms, {Quantity.STRESS})
