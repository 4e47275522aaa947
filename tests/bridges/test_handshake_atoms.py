"""A handshake as two participants: the numbers of one process, and what is refused."""

from __future__ import annotations

import importlib.util
import re
from pathlib import Path

import numpy as np
import pytest

from scalespan.adapters.interface import CaseError, NotOffered, OptionError, ScalespanError

from .coupled_crystals import STEP, apart, atoms_of, by_embedded, by_precice, recorded, region, together, write_files, xml
from .crystals import ball

WINDOWS = 200


@pytest.fixture
def place(tmp_path: Path) -> Path:
    write_files(tmp_path, region())
    return tmp_path


def in_one_process(folder: Path, every: int, scheme: str = "staggered") -> dict[str, np.ndarray]:
    model, atoms, nodes = together(folder, region(), every, scheme), [], []
    for _ in range(WINDOWS):
        model.advance(every * STEP)
        positions = model.atoms.positions
        atoms.append(positions[: model.free])
        nodes.append(model.displacement(positions))
    return {"Atoms": np.array(atoms), "Continuum": np.array(nodes)}


@pytest.mark.parametrize("coupling", ["embedded", "precice"])
@pytest.mark.parametrize(("every", "scheme"), [(1, "respa"), (1, "staggered"), (5, "staggered"), (10, "staggered")])
def test_two_participants_give_the_numbers_of_one_process(place: Path, every: int, scheme: str, coupling: str) -> None:
    """With one step in a window, both schemes are velocity Verlet of the whole."""
    text = xml(every * STEP, WINDOWS)
    if coupling == "precice":
        if importlib.util.find_spec("precice") is None:
            pytest.skip("pyprecice is not installed: the embedded coupling is tested alone")
        found = by_precice(place, every, text)
    else:
        bridges = apart(place, region(), every)
        found = recorded(bridges)
        by_embedded(place, bridges, text)
    for name, expected in in_one_process(place, every, scheme).items():
        assert np.ptp(expected) > 1e-3
        assert np.abs(np.array(found[name]) - expected).max() < 1e-10
