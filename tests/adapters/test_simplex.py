"""The reference field adapter keeps the contract, and is the gradient of its energy."""

from __future__ import annotations

from math import asin, cos, pi, sin, sqrt
from pathlib import Path

import numpy as np
import pytest

from scalespan.adapters.interface import Array, CaseError, OptionError, barycentric, shape_gradients
from scalespan.adapters.interface.contract_fields import FieldContract
from scalespan.adapters.interface.units import FEMTOSECOND
from scalespan.adapters.simplex import SimplexAdapter, SimplexOptions, box_mesh, outer_nodes

from .laws import NeoHookean

DIMENSIONS = [1, 2, 3]


def make(dimension: int, spacing: float = 1.0, size: float = 3.0, **other: object) -> SimplexAdapter:
    """Return a box from −size to size."""
    box = {"low": [f"{-size} angstrom"] * dimension, "high": [f"{size} angstrom"] * dimension}
    table = box | {"spacing": f"{spacing} angstrom", "timestep": "1 fs"} | other
    return SimplexAdapter(SimplexOptions.read(table), law=NeoHookean(dimension))


@pytest.fixture(params=DIMENSIONS, ids=["1-D", "2-D", "3-D"])
def dimension(request: pytest.FixtureRequest) -> int:
    return int(request.param)


def crumpled(adapter: SimplexAdapter) -> Array:
    """Return displacements that are not affine."""
    nodes = adapter.body.nodes
    return 0.05 * np.sin(1.7 * nodes + np.arange(len(nodes))[:, None])


class Contract(FieldContract):
    dimension = 1

    def make_adapter(self) -> SimplexAdapter:
        return make(self.dimension, held=["left"])


class TestChain(Contract):
    dimension = 1


class TestSheet(Contract):
    dimension = 2


class TestBody(Contract):
    dimension = 3


del Contract  # it is no test of its own


def test_simplices_fill_the_box_and_have_its_mass(dimension: int) -> None:
    body = make(dimension).body
    assert body.volumes.sum() == pytest.approx(6.0**dimension, rel=1e-13)
    assert body.masses.sum() == pytest.approx(2.0 * 6.0**dimension, rel=1e-13)
    assert len(body.cells) == 6**dimension * {1: 1, 2: 2, 3: 6}[dimension]


def test_every_point_of_a_box_is_in_one_simplex() -> None:
    """Kuhn's simplices fit to each other: a point inside has one barycentric place, whose interpolation is itself."""
    nodes, cells = box_mesh(np.zeros(3), np.ones(3), np.array([2, 3, 2]))
    points = np.random.default_rng(3).random((200, 3))
    found, weights = barycentric(nodes, cells, points)
    assert np.allclose(np.einsum("ma,mai->mi", weights, nodes[cells[found]]), points, rtol=0, atol=1e-13)
    assert outer_nodes(cells, len(nodes)).sum() == 3 * 4 * 3 - 1 * 2 * 1


def test_forces_are_minus_the_gradient_of_the_energy(dimension: int) -> None:
    body = make(dimension).body
    adapter = make(dimension)
    u, e = crumpled(adapter), 1e-5
    v = np.cos(np.arange(u.size)).reshape(u.shape)
    slope = (body.elastic(u + e * v)[0] - body.elastic(u - e * v)[0]) / (2.0 * e)
    assert slope == pytest.approx(-(body.elastic(u)[1] * v).sum(), rel=1e-8)


def test_the_stiffness_is_minus_the_gradient_of_the_forces(dimension: int) -> None:
    adapter = make(dimension)
    u, e = crumpled(adapter), 1e-6
    v = np.cos(np.arange(u.size)).reshape(u.shape)
    slope = (adapter.body.elastic(u + e * v)[1] - adapter.body.elastic(u - e * v)[1]) / (2.0 * e)
    stiffness = adapter.solid().stiffness(u)
    assert abs(stiffness - stiffness.T).max() < 1e-12
    assert np.allclose(stiffness @ v.ravel(), -slope.ravel(), rtol=0, atol=1e-8)


def test_an_affine_field_leaves_no_force_inside_and_the_energy_of_the_law(dimension: int) -> None:
    strain = 0.02 * np.arange(1, dimension**2 + 1).reshape(dimension, dimension)
    adapter = make(dimension, strain=strain.tolist())
    energy, forces = adapter.solid().elastic(adapter.output("volume.displacement"))
    answer = NeoHookean(dimension).respond(np.eye(dimension)[None] + strain)
    assert energy == pytest.approx(answer.energy[0] * 6.0**dimension, rel=1e-12)
    assert np.abs(forces[~adapter.body.held]).max() < 1e-13


def test_the_laplacian_is_zero_on_affine_fields_inside(dimension: int) -> None:
    body = make(dimension).body
    field = body.laplacian() @ (body.nodes @ np.arange(1.0, 1.0 + dimension))
    assert np.abs(field[~body.held]).max() < 1e-12


def test_held_nodes_stay(dimension: int) -> None:
    adapter = make(dimension, held=["left"], strain=(0.01 * np.eye(dimension)).tolist())
    held, start = adapter.body.held, adapter.output("volume.displacement")
    for _ in range(3):
        adapter.advance(1.0)
    moved = np.abs(adapter.output("volume.displacement") - start).max(axis=1)
    assert held.sum() == 7 ** (dimension - 1)
    assert np.array_equal(adapter.body.held_displacement[held], start[held])
    assert moved[held].max() == 0.0
    assert moved[~held].max() > 1e-6


def test_a_wave_has_the_frequency_of_leapfrog_on_linear_elements() -> None:
    """sin(ωΔt/2) = (cΔt/h) sin(kh/2): 1-D P1 elements with lumped masses are a chain of springs."""
    adapter = make(1, spacing=0.5)
    law, h, dt = adapter.law, 0.5, 1.0 * FEMTOSECOND
    assert isinstance(law, NeoHookean)
    speed, k = sqrt((2.0 * law.shear + law.swelling) / law.density), pi / 6.0
    omega = 2.0 / dt * asin(speed * dt / h * sin(0.5 * k * h))
    shape = 1e-7 * np.cos(k * adapter.body.nodes)
    adapter.displacement = shape.copy()
    for step in range(1, 41):
        adapter.advance(1.0)
        assert np.allclose(adapter.displacement, shape * cos(omega * dt * step), rtol=0, atol=1e-13)


def test_the_energy_of_a_body_that_swings_does_not_drift(dimension: int) -> None:
    """Leapfrog's own offset is bounded, and falls with Δt²: the same at the beginning and at the end."""
    worst = []
    for dt in (1.0, 0.5):
        adapter = make(dimension, spacing=1.5)
        adapter.displacement = np.where(adapter.body.held[:, None], 0.0, 0.2 * np.cos(adapter.body.nodes))
        energies = []
        for _ in range(int(300 / dt)):
            adapter.advance(dt)
            energies.append(sum(adapter.observe().values()))
        spread = [np.ptp(half) for half in np.array_split(np.array(energies), 2)]
        assert spread[1] < 1.5 * spread[0]
        worst.append(max(spread) / energies[0])
    assert worst[0] < 2e-2
    assert worst[1] == pytest.approx(0.25 * worst[0], rel=0.25)


def test_a_force_acts_from_the_beginning_of_the_step() -> None:
    """u₁ = ½ Δt² M⁻¹ f: the first kick is half a step's."""
    adapter = make(1, held=())
    force = np.zeros((7, 1))
    force[3] = 0.3
    adapter.set_input("volume.force", force)
    adapter.advance(1.0)
    assert adapter.output("volume.displacement")[3] == pytest.approx(0.5 * FEMTOSECOND**2 * 0.3 / 2.0, rel=1e-13)
    assert adapter.output("volume.velocity")[3] == pytest.approx(0.5 * FEMTOSECOND**2 * 0.3 / 2.0, rel=1e-13)


@pytest.mark.parametrize("count", [1, 2, 3])
def test_nodes_of_a_file_are_joined(tmp_path: Path, count: int) -> None:
    """In any order; the simplices of a cubic lattice fill the hull and fit: only facets of the hull have one side."""
    nodes, _ = box_mesh(np.zeros(count), np.ones(count), np.full(count, 3))
    np.savetxt(tmp_path / "nodes.txt", np.random.default_rng(1).permutation(nodes))
    options = SimplexOptions.read({"file": "nodes.txt", "timestep": "1 fs"}, folder=tmp_path)
    body = SimplexAdapter(options, law=NeoHookean(count)).body
    assert shape_gradients(body.nodes, body.cells)[1].sum() == pytest.approx(1.0, rel=1e-12)
    assert (~body.held).sum() == 2**count


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"file": __file__}, "either a file, or a box"),
        ({"high": ["1 angstrom", "2 angstrom"]}, "as many numbers"),
        ({"high": ["-5 angstrom"]}, "low < high"),
        ({"held": ["front"]}, "the side 'front' is along z, and the mesh is 1-dimensional"),
        ({"strain": [[1, 2]]}, r"the strain has the shape \(1, 2\)"),
    ],
)
def test_wrong_options_are_refused(change: dict[str, object], sentence: str) -> None:
    with pytest.raises((OptionError, CaseError), match=sentence):
        make(1, **change)  # type: ignore[arg-type]


def test_a_law_of_another_dimension_is_refused() -> None:
    options = SimplexOptions.read(
        {"low": ["0 angstrom"], "high": ["3 angstrom"], "spacing": "1 angstrom", "timestep": "1 fs"}
    )
    with pytest.raises(CaseError, match="the mesh is 1-dimensional, and the law 'neo-hookean' 2-dimensional"):
        SimplexAdapter(options, law=NeoHookean(2))
    with pytest.raises(CaseError, match="needs a material"):
        SimplexAdapter(options)
