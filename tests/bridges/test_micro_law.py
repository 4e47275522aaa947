"""A material as a micro model: tensors split in vectors and joined again, stresses and tangents in their rows."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from scalespan.adapters.elastic import ElasticAdapter, ElasticOptions
from scalespan.adapters.interface import Array, CaseError, EngineFailed
from scalespan.adapters.interface.contract_micro import MicroContract
from scalespan.bridges.micro_law import MicroLaw, MicroLawOptions, join, split, upper, whole

CUBIC = {"cubic": ["168 GPa", "121 GPa", "75 GPa"], "density": "8.96 g/cm**3"}  # copper
PLANE = {"stiffness": [[f"{each} eV/angstrom**2" for each in row] for row in ((9, 3, 1), (3, 8, 0.5), (1, 0.5, 2))]}
GPA = 0.00624150907  # eV/Å³


def law(three: bool = True, **more: Any) -> MicroLaw:
    table = CUBIC if three else PLANE | {"density": "1 dalton/angstrom**2"}
    return MicroLaw(MicroLawOptions.read(more), ElasticAdapter(ElasticOptions.read(table)))


def answer(model: MicroLaw, row: Array) -> dict[str, Array]:
    slices = model._slices(model._inward)
    return model.step(model.initial(), split(slices, row), 1.0)[1]


def gathered(found: dict[str, Array], name: str) -> Array:
    return np.concatenate([values for key, values in found.items() if key.startswith(name)])


def test_six_strains_are_two_vectors_and_a_tangent_is_seven() -> None:
    model = law()
    assert {key: each.components for key, each in model.takes.items()} == {"Strains1to3": 3, "Strains4to6": 3}
    assert list(model.gives) == ["Stresses1to3", "Stresses4to6", *(f"Cmat{i}" for i in range(1, 8))]
    assert {each.components for each in model.gives.values()} == {3}


def test_in_a_plane_a_scalar_is_left() -> None:
    model = law(three=False)
    assert {key: each.components for key, each in model.takes.items()} == {"Strains1to2": 2, "Strains3": 1}
    assert {key: each.components for key, each in model.gives.items() if "Cmat" in key} == {
        f"Cmat{i}": 2 for i in (1, 2, 3)
    }


@pytest.mark.parametrize("measure", ["strain", "gradient"])
@pytest.mark.parametrize("three", [True, False])
def test_joining_undoes_splitting(three: bool, measure: str) -> None:
    model = law(three, measure=measure)
    for name in (model._inward, "Stresses", "Cmat"):
        slices = model._slices(name)
        row = np.arange(max(last for _, last in slices.values()), dtype=float)
        np.testing.assert_array_equal(join(slices, split(slices, row)), row)


def test_a_symmetric_matrix_comes_back_from_its_triangle() -> None:
    a = np.random.default_rng(0).normal(size=(6, 6))
    np.testing.assert_array_equal(whole(upper(a + a.T)), a + a.T)
    assert len(upper(a + a.T)) == 21
    with pytest.raises(EngineFailed, match=r"lacks .* of symmetry, .*; set tangent = false"):
        upper(a)


def test_copper_after_voigt() -> None:
    """σ_11 = C11 ε_11, σ_12 = C44 γ_12; the tangent undeformed is the matrix of constants."""
    model = law()
    c = np.diag([168.0 - 121.0] * 3 + [75.0] * 3) * GPA
    c[:3, :3] += 121.0 * GPA
    row = 1e-7 * np.array([1.0, 2.0, -1.0, 0.5, 0.7, -0.3])
    found = answer(model, row)
    np.testing.assert_allclose(gathered(found, "Stresses"), c @ row, rtol=1e-6)
    np.testing.assert_allclose(whole(gathered(answer(model, 0 * row), "Cmat")), c, rtol=1e-8, atol=1e-12)


@pytest.mark.parametrize("three", [True, False])
def test_both_notations_and_the_gradient_give_the_same_work(three: bool) -> None:
    d = 3 if three else 2
    strain = np.random.default_rng(1).normal(size=(d, d)) * 1e-8
    strain += strain.T
    pairs = [(i, i) for i in range(d)] + [(i, j) for i in range(d) for j in range(i + 1, d)]
    work = []
    for notation, shear in (("voigt", 2.0), ("mandel", np.sqrt(2.0))):
        row = np.array([strain[i, j] * (1.0 if i == j else shear) for i, j in pairs])
        work.append(row @ gathered(answer(law(three, notation=notation), row), "Stresses"))
    gradient = answer(law(three, measure="gradient"), (np.eye(d) + strain).ravel())
    work.append(strain.ravel() @ gathered(gradient, "Stresses"))
    assert np.ptp(work) < 1e-6 * abs(work[0])


def test_the_tangent_is_the_slope_of_the_stress() -> None:
    for measure, size in (("strain", 6), ("gradient", 9)):
        model = law(measure=measure)
        row = (np.eye(3).ravel() if size == 9 else np.zeros(6)) + 0.02 * np.random.default_rng(2).normal(size=size)
        tangent = whole(gathered(answer(model, row), "Cmat"))
        steps = 1e-6 * np.eye(size)
        slope = [
            (gathered(answer(model, row + h), "Stresses") - gathered(answer(model, row - h), "Stresses")) / 2e-6
            for h in steps
        ]
        np.testing.assert_allclose(np.array(slope).T, tangent, atol=1e-7 * np.abs(tangent).max())


class TestCopper(MicroContract):
    def make_model(self) -> MicroLaw:
        return law()

    def make_inputs(self) -> list[dict[str, Array]]:
        model = law()
        return [split(model._slices("Strains"), each * np.arange(1.0, 7.0)) for each in (1e-3, -2e-3)]


def test_it_can_do_without_the_tangent() -> None:
    assert list(law(tangent=False).gives) == ["Stresses1to3", "Stresses4to6"]


def test_undeformed_there_is_no_stress() -> None:
    found = law().initial_answer()
    np.testing.assert_allclose(gathered(dict(found), "Stresses"), 0.0, atol=1e-15)


def test_it_needs_a_material() -> None:
    with pytest.raises(CaseError, match="a micro law needs a material; give it the part"):
        MicroLaw(MicroLawOptions())
