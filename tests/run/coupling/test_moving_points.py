"""Points that move through a partner's mesh, by preCICE's just-in-time mappings: values, sums, densities, energy."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from scipy.spatial import cKDTree
from scipy.spatial.distance import cdist

from .moving_side import (
    SCENARIOS,
    SIDES,
    SLOPE,
    SPACING,
    STEPS,
    WINDOWS,
    bridge_of,
    electric_field,
    grid,
    made,
    potential,
    xml,
)
from .pair import embedded
from .processes import HERE, run_all

NEED = "pyprecice is not installed: just-in-time mappings other than nearest-neighbour cannot be tried"
Record = dict[str, dict[str, np.ndarray]]
Records = dict[str, Record]


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory) -> Records:
    """Scenario -> side -> record with preCICE, all from one pair of processes."""
    pytest.importorskip("precice", reason=NEED)
    folder = tmp_path_factory.mktemp("moving")
    for name, scenario in SCENARIOS.items():
        (folder / name).mkdir()
        (folder / name / "precice-config.xml").write_text(xml(scenario))
    script = HERE / "moving_side.py"
    ended = run_all(folder, {side: [script, side, *SCENARIOS] for side in SIDES}, timeout=240.0)
    assert [each.status for each in ended.values()] == [0, 0], [each.output[-3000:] for each in ended.values()]
    return {name: {side: dict(np.load(folder / name / f"{side}.npz")) for side in SIDES} for name in SCENARIOS}


def by_embedded(folder: Path) -> Record:
    """Return side -> record of the scenario that the embedded coupling has, too."""
    scenario = SCENARIOS["nearest"]
    sides = {name: made(scenario, name, folder) for name in SIDES}
    embedded(folder, {name: bridge_of(side) for name, side in sides.items()}, xml(scenario))
    return {name: side.record() for name, side in sides.items()}


@pytest.fixture(params=["precice", "embedded"])
def nearest(request: pytest.FixtureRequest, tmp_path: Path) -> Record:
    """Side -> record by nearest neighbours, with each coupling."""
    if request.param == "embedded":
        return by_embedded(tmp_path)
    every: Records = request.getfixturevalue("found")
    return every["nearest"]


def written(record: Record) -> list[tuple[np.ndarray, np.ndarray, np.ndarray]]:
    """Return for each window but the last: the points' places at its end, their weights, and what came to the grid."""
    places, weights = record["Ions"]["places"], record["Ions"]["given"]
    ends = places[STEPS - 1 :: STEPS][: WINDOWS - 1]
    came = record["Field"]["weights"][1:]
    assert len(ends) == len(came) == WINDOWS - 1
    return [(at, weights, values) for at, values in zip(ends, came, strict=True)]


def test_a_read_by_nearest_neighbour_is_the_nearest_point_s_value(nearest: Record) -> None:
    """At each step's end, which inside a window is between the grid's values of its two ends."""
    points, seen = grid(False), nearest["Ions"]
    for time, places, one, other in zip(*(seen[key] for key in ("times", "places", "potential", "field")), strict=True):
        close = points[cKDTree(points).query(places)[1]]
        assert np.abs(one - potential(close, time, False)).max() < 1e-13
        assert np.abs(other - electric_field(close, time, False)).max() < 1e-12
    assert np.abs(seen["places"][1:] - seen["places"][:-1]).max() > SPACING  # they move through the cells


@pytest.mark.parametrize("name", ["radial", "alias"])
def test_a_read_by_radial_functions_is_the_field_where_the_point_is(found: Records, name: str) -> None:
    """A wave over 20 grid spacings, to 1e-3 of its largest value; the nearest point is a hundred times worse."""
    errors = {}
    for each in (name, "nearest"):
        seen = found[each]["Ions"]
        exact = [potential(at, time, False) for time, at in zip(seen["times"], seen["places"], strict=True)]
        errors[each] = np.abs(seen["potential"] - np.array(exact)).max() / np.abs(exact).max()
    assert errors[name] < 1e-3
    assert errors["nearest"] > 100.0 * errors[name]


def test_a_write_by_nearest_neighbour_keeps_the_sum(nearest: Record) -> None:
    points = grid(False)
    for places, weights, came in written(nearest):
        exact = np.zeros_like(came)
        np.add.at(exact, cKDTree(points).query(places)[1], weights)
        assert np.allclose(came, exact, rtol=0, atol=1e-13)
        assert came.sum() == pytest.approx(weights.sum(), rel=1e-14)
        assert abs(weights.T @ places - came.T @ points).max() > 1e-3  # and not the first moment


def test_a_write_by_radial_functions_keeps_the_sum_and_the_first_moment(found: Records) -> None:
    points = grid(False)
    for places, weights, came in written(found["radial"]):
        assert came.sum() == pytest.approx(weights.sum(), rel=1e-12)
        assert np.allclose(came.T @ points, weights.T @ places, rtol=1e-11, atol=0)


def lucy(distance: np.ndarray, radius: float) -> np.ndarray:
    """Lucy's kernel in 3-D, whose integral is one: (105/16πr³) (1 + 3q)(1 − q)³, q = d/r (doi:10.1086/112164)."""
    q = np.minimum(distance / radius, 1.0)
    return 105.0 / (16.0 * np.pi * radius**3) * (1.0 + 3.0 * q) * (1.0 - q) ** 3


@pytest.mark.parametrize(("name", "cells", "limit"), [("alias", 2, 1e-3), ("coarse", 4, 1e-5)])
def test_a_write_by_coarse_graining_is_a_density(found: Records, name: str, cells: int, limit: float) -> None:
    """Of Lucy's kernel; its integral over the grid is the sum, to the quadrature's error, which falls with r/h."""
    points = grid(False)
    for places, weights, came in written(found[name]):
        exact = lucy(cdist(points, places), cells * SPACING) @ weights
        assert np.allclose(came, exact, rtol=0, atol=1e-12 * exact.max())
        assert came.sum() * SPACING**3 == pytest.approx(weights.sum(), rel=limit)


def test_an_ion_in_a_linear_potential_keeps_its_energy(found: Records) -> None:
    """Velocity Verlet is exact in it, and radial functions with a linear polynomial are exact for the field."""
    record = found["ion"]["Ions"]
    column = dict(zip(record["names"].tolist(), record["rows"].T, strict=True))
    gained = column["kinetic/eV"][-1] - column["kinetic/eV"][0]
    assert gained > 1e-5
    assert np.ptp(column["total/eV"]) < 1e-6 * gained
    assert column["partners/eV"][-1] == pytest.approx(float((record["places"] @ SLOPE).sum()), rel=1e-10)
    assert np.allclose(found["ion"]["Field"]["weights"][1:].sum(axis=(1, 2)), 2.0, rtol=1e-14)


def test_the_embedded_coupling_gives_the_same_by_nearest_neighbour(found: Records, tmp_path: Path) -> None:
    for name, mine in by_embedded(tmp_path).items():
        theirs = found["nearest"][name]
        assert mine.keys() == theirs.keys()
        for key, values in mine.items():
            assert np.allclose(values, theirs[key], rtol=0, atol=1e-13), (name, key)
