"""A string that closes a channel of an ideal fluid: the fluid weighs more, and the way of iterating decides."""

from __future__ import annotations

import numpy as np
import pytest

from .pair import Channel, Pair, Record, by_embedded, by_precice

COUNT, WINDOW, WINDOWS = 20, 0.02, 10
DATA = '<data name="Load" mesh="Left-Mesh"/>'
START = '<initial-relaxation value="0.1"/>'
ACCELERATIONS = {
    "constant 0.5": '<acceleration:constant><relaxation value="0.5"/></acceleration:constant>',
    "Aitken": f"<acceleration:aitken>{START}{DATA}</acceleration:aitken>",
    "IQN-ILS": f"<acceleration:IQN-ILS>{START}{DATA}</acceleration:IQN-ILS>",
}
PAIRS = {
    name: Pair(
        bridges="string",
        counts=(COUNT, COUNT),
        window=WINDOW,
        windows=WINDOWS if name != "constant 0.5" else 1,
        measure='<relative-convergence-measure data="{data}" mesh="{mesh}" limit="1e-6"/>',
        limits='<max-iterations value="60"/>',
        acceleration=acceleration,
    )
    for name, acceleration in ACCELERATIONS.items()
}


@pytest.fixture(scope="module", params=["precice", "embedded"])
def records(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Record]:
    """Return the string's record for each acceleration."""
    folder = tmp_path_factory.mktemp(request.param)
    if request.param == "precice":
        pytest.importorskip("precice", reason="pyprecice is not installed: the string runs without preCICE only")
        return {name: each["Left"] for name, each in by_precice(PAIRS, folder).items()}
    return {name: by_embedded(pair, folder)["Left"] for name, pair in PAIRS.items()}


def test_constant_relaxation_fails(records) -> None:
    assert records["constant 0.5"]["iterations"].tolist() == [60]
    assert np.abs(records["constant 0.5"]["place"]).max() > 10.0  # the string starts with 0.15


def test_aitken_crawls(records) -> None:
    assert 12 < records["Aitken"]["iterations"].min() <= records["Aitken"]["iterations"].max() < 60


def test_quasi_newton_takes_fewer_than_ten_iterations_in_each_window(records) -> None:
    iterations = records["IQN-ILS"]["iterations"]
    assert len(iterations) == WINDOWS
    assert iterations.max() < 10
    assert iterations[-1] <= 3  # what earlier windows have learned


@pytest.mark.parametrize("name", ["Aitken", "IQN-ILS"])
def test_the_partitioned_answer_is_the_undivided_one(records, name: str) -> None:
    undivided = Channel(COUNT).undivided(WINDOW, WINDOWS)
    assert records[name]["place"] == pytest.approx(undivided, abs=1e-6 * np.abs(undivided).max())
