"""Each method's error falls with the number of unknowns as theory says: a vacancy in a strained sheet."""

from __future__ import annotations

from pathlib import Path

import pytest

from .defects import DEFECTS, Reference, by_forces, by_turns, by_weights, joined, rate, tied, truncated


@pytest.fixture(scope="module", params=DEFECTS)
def body(request: pytest.FixtureRequest) -> Reference:
    return Reference(request.param, 32)


@pytest.fixture(scope="module")
def vacancy() -> Reference:
    return Reference("vacancy", 32)


@pytest.mark.slow
def test_clamped_atoms_fall_by_the_root_and_the_handshake_by_the_unknowns(tmp_path: Path, body: Reference) -> None:
    """N^(−1/2) and N⁻¹ (M. Luskin and C. Ortner 2013, doi:10.1017/S0962492913000068)."""
    assert rate([truncated(tmp_path, body, radius) for radius in (4.1, 8.1, 16.1)]) == pytest.approx(-0.5, abs=0.15)
    assert rate([joined(tmp_path, body, radius) for radius in (2.1, 4.1, 8.1)]) < -0.85


@pytest.mark.parametrize(
    ("method", "sizes"),
    [
        (by_forces, (2.1, 4.1)),
        (lambda *at: by_weights(*at, at[-1], correction="deformed"), (2.1, 4.1)),
        (by_turns, (4.1, 6.1)),
    ],
    ids=["blended forces", "blended energy, corrected", "Schwarz"],
)
def test_consistent_methods_fall_by_the_unknowns(tmp_path: Path, vacancy: Reference, method, sizes) -> None:
    """BQCF (arXiv:1304.1368) and BGFC (arXiv:1407.0053) as N⁻¹; Schwarz solves the sharp joint of forces."""
    assert -2.0 < rate([method(tmp_path, vacancy, size) for size in sizes]) < -0.9


@pytest.mark.parametrize(
    ("method", "slope"),
    [
        (lambda *at: by_weights(*at, at[-1]), -0.5),
        (lambda *at: by_weights(*at, at[-1], "linear"), -0.25),
        (lambda *at: tied(*at, at[-1]), -0.25),
    ],
    ids=["blended energy", "blended linearly", "bridging domain"],
)
def test_ghost_forces_of_a_blend_fall_by_a_root(tmp_path: Path, vacancy: Reference, method, slope: float) -> None:
    """‖∇²β‖ over a blend as wide as the core: N^(−1/2) where β is smooth, N^(−1/4) where it has kinks."""
    found = rate([method(tmp_path, vacancy, size) for size in (4.1, 8.1)])
    assert found == pytest.approx(slope, abs=0.12)


def test_the_sharp_joint_does_not_converge(tmp_path: Path, vacancy: Reference) -> None:
    """Its ghost forces are the same at every radius: so is the largest error, and their number grows as its rim."""
    points, largest = [], []
    for radius in (6.1, 12.1):
        points.append(by_weights(tmp_path, vacancy, radius, 0.0))
        largest.append(vacancy.largest)
    assert rate(points) == pytest.approx(0.25, abs=0.1)
    assert largest[1] == pytest.approx(largest[0], rel=0.1)
