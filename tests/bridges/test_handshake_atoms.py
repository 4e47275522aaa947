"""A handshake as two participants: the numbers of one process, and what is refused."""

from __future__ import annotations

import importlib.util
import re
from pathlib import Path

import numpy as np
import pytest
from ase.io import write

from scalespan.adapters.interface import (
    BesideAtoms,
    CaseError,
    Motion,
    NotOffered,
    OptionError,
    Overlap,
    ScalespanError,
)
from scalespan.adapters.interface.units import FEMTOSECOND
from scalespan.bridges.handshake import highest_frequency

from .coupled_crystals import (
    STEP,
    apart,
    atoms_of,
    body,
    by_embedded,
    by_precice,
    recorded,
    region,
    together,
    write_files,
    xml,
)
from .crystals import ball, chain, fs


@pytest.fixture
def place(tmp_path: Path) -> Path:
    write_files(tmp_path, region())
    return tmp_path


def in_one_process(folder: Path, every: int, scheme: str, windows: int, dimension: int) -> dict[str, np.ndarray]:
    model, atoms, nodes = together(folder, region(dimension), every, scheme), [], []
    for _ in range(windows):
        model.advance(every * STEP)
        positions = model.atoms.positions
        atoms.append(positions[: model.free])
        nodes.append(model.displacement(positions))
    return {"Atoms": np.array(atoms), "Continuum": np.array(nodes)}


def largest_error(
    folder: Path, every: int, scheme: str, coupling: str, windows: int = 200, dimension: int = 2
) -> float:
    """Return the largest distance (Å) of an atom or a node from where it is in one process, at any window's end."""
    text = xml(every * STEP, windows, dim=dimension)
    if coupling == "precice":
        if importlib.util.find_spec("precice") is None:
            pytest.skip("pyprecice is not installed: the embedded coupling is tested alone")
        found = by_precice(folder, every, text, dimension)
    else:
        bridges = apart(folder, region(dimension), every)
        found = recorded(bridges)
        by_embedded(folder, bridges, text)
    expected = in_one_process(folder, every, scheme, windows, dimension)
    assert min(np.ptp(each) for each in expected.values()) > 1e-3
    return max(float(np.abs(np.array(found[name]) - each).max()) for name, each in expected.items())


@pytest.mark.parametrize("coupling", ["embedded", "precice"])
@pytest.mark.parametrize(("every", "scheme"), [(1, "respa"), (5, "staggered"), (10, "staggered")])
def test_two_participants_give_the_numbers_of_one_process(place: Path, every: int, scheme: str, coupling: str) -> None:
    """With one step in a window, r-RESPA and the staggered scheme both are velocity Verlet of the whole."""
    assert largest_error(place, every, scheme, coupling) < 1e-10


@pytest.mark.parametrize("coupling", ["embedded", "precice"])
def test_so_they_do_in_three_dimensions(tmp_path: Path, coupling: str) -> None:
    write_files(tmp_path, region(3))
    assert largest_error(tmp_path, 2, "staggered", coupling, windows=20, dimension=3) < 1e-10


def test_what_leaves_the_atoms_as_work_arrives_in_the_continuum(place: Path) -> None:
    """⟨Πv, f⟩ = ⟨v, Πᵀf⟩ by the coupling's own mappings, summed over the windows on either side."""
    bridges = apart(place, region(), 5)
    by_embedded(place, bridges, xml(5 * STEP, 40))
    there, here = bridges["Atoms"].observe()["work on partner/eV"], bridges["Continuum"].observe()["work/eV"]
    assert abs(there) > 1e-3
    assert there == pytest.approx(here, rel=1e-12)


def test_what_follows_a_restore_is_the_same_bit_for_bit(place: Path) -> None:
    model, seen = atoms_of(place, region(), 5), []
    model.receive(lambda field, at: 1e-3 * (len(seen) + at / 50.0) * model.sites.points)
    model.advance(5 * STEP / FEMTOSECOND)
    saved = {key: value.copy() for key, value in model.save().items()}
    for _ in range(2):
        model.restore(saved)
        model.receive(lambda field, at: saved["moved"] + at * 1e-4 * model.sites.points)
        model.advance(5 * STEP / FEMTOSECOND)
        seen.append((model.atoms.positions, model.write(model.exchange.writes[0]), model.observe()))
    assert np.array_equal(seen[0][0], seen[1][0])
    assert np.array_equal(seen[0][1], seen[1][1])
    assert seen[0][2] == seen[1][2]


def test_the_perfect_crystal_is_asked_once_in_a_window(place: Path) -> None:
    model = atoms_of(place, region(), 10)
    model.receive(lambda field, at: np.zeros((len(model.sites.points), 2)))
    calls = model.engine.calls, model._perfect.calls
    model.advance(10 * STEP / FEMTOSECOND)
    assert (model.engine.calls - calls[0], model._perfect.calls - calls[1]) == (10, 1)


LATE = {"parallel-explicit": {"scheme": "parallel-explicit"}, "atoms first": {"first": "Atoms"}}


@pytest.mark.parametrize("what", LATE)
def test_displacements_of_a_window_ago_are_refused(place: Path, what: str) -> None:
    bridges = apart(place, region(), 1)
    with pytest.raises(CaseError, match="continuum be first in a serial-explicit scheme"):
        by_embedded(place, bridges, xml(STEP, 40, **LATE[what]))


def test_a_continuum_that_begins_elsewhere_is_refused(place: Path) -> None:
    bridges = apart(place, region(), 1, deformation=[[1.01, 0.0], [0.0, 1.0]])
    with pytest.raises(CaseError, match="same deformation"):
        by_embedded(place, bridges, xml(STEP, 4))


def test_a_strained_body_begins_as_it_is_in_one_process(place: Path) -> None:
    strain = [[0.01, 0.0], [0.0, 0.005]]
    deformation = (np.eye(2) + strain).tolist()
    bridges = apart(place, region(), 1, strain=strain, deformation=deformation)
    found = recorded(bridges)
    by_embedded(place, bridges, xml(STEP, 20))
    model = together(place, region() | {"deformation": deformation}, 1, "respa")
    model.advance(20 * STEP)
    assert np.abs(found["Atoms"][-1] - model.atoms.positions[: model.free]).max() < 1e-12


@pytest.mark.parametrize(
    ("every", "options", "error", "words"),
    [
        (1, {"pad": "1.2 angstrom"}, CaseError, "ghost force"),
        (1, {"window": fs(2.5 * STEP)}, OptionError, "whole multiple"),
        (40, {}, CaseError, "half the atoms' shortest period"),
        (1, {"timestep": fs(0.1), "window": fs(0.1)}, CaseError, "velocity Verlet"),
        (1, {"region": ball(3.0, 2)}, CaseError, "write the file anew"),
        (1, {"region": ball(3.0, 3)}, ScalespanError, "coordinates"),
        (1, {"deformation": [[1.0]]}, OptionError, "2×2"),
    ],
)
def test_wrong_input_is_refused(place: Path, every: int, options: dict, error: type[Exception], words: str) -> None:
    with pytest.raises(error, match=re.escape(words)):
        atoms_of(place, region(), every, **options).audit()


def test_a_window_beyond_the_limit_can_be_asked_for_by_name(place: Path) -> None:
    tables = atoms_of(place, region(), 40, beyond_limit=True).audit()
    assert "Clocks" in [table.title for table in tables]


def test_another_window_than_the_xmls_is_refused(place: Path) -> None:
    model = atoms_of(place, region(), 5)
    with pytest.raises(CaseError, match="time-window-size"):
        model.advance(STEP / FEMTOSECOND)


def test_the_longest_step_beside_atoms_is_refused_beyond_its_limit(place: Path) -> None:
    continuum = body(place, 0.25, overlap={"sites": "sites.traj"})
    with pytest.raises(CaseError, match=r"Δt·ω must be at most 0.6"):
        continuum.audit()
    assert body(place, 0.25, overlap={"sites": "sites.traj", "beyond_limit": True}).audit()


@pytest.mark.parametrize(("step", "words"), [(40, "half the atoms' shortest period"), (20, "of the continuum")])
def test_so_is_that_of_the_handshake_in_one_process(place: Path, step: int, words: str) -> None:
    model = together(place, region(), step, "respa", coarse=1.0)
    with pytest.raises(CaseError, match=words):
        model.check_motion(model.initial_atoms(), Motion.read({"timestep": fs(STEP)}))


def test_the_highest_frequency_is_that_of_the_force_constants(place: Path) -> None:
    """Against the eigenvalues of the matrix of second differences."""
    model = atoms_of(place, region())
    pads = model.sites.reference[model.sites.free :]
    x, h = model.atoms.positions, 1e-4

    def forces(places):
        return model.clusters.mixed(places, pads)[1].ravel()

    columns = []
    for i in range(x.size):
        way = np.zeros(x.size)
        way[i] = h
        columns.append((forces(x - way.reshape(x.shape)) - forces(x + way.reshape(x.shape))) / (2 * h))
    expected = np.sqrt(np.linalg.eigvalsh(np.array(columns)).max())  # masses of 1
    found = highest_frequency(lambda places: model.clusters.mixed(places, pads)[1], x, np.ones(len(x)))
    assert found == pytest.approx(expected, rel=1e-3)


def test_a_chain_is_refused_because_couplings_have_two_dimensions_at_least(tmp_path: Path) -> None:
    write(tmp_path / "crystal.traj", chain(1.12))
    write(tmp_path / "sites.traj", chain(1.12))
    table = {"crystal": "crystal.traj", "region": ball(4.0, 1), "pad": "2.8 angstrom"}
    with pytest.raises(NotOffered, match="one process"):
        atoms_of(tmp_path, table)


def test_masses_beside_atoms_are_those_of_one_process(place: Path) -> None:
    beside = BesideAtoms(body(place, STEP).body, Overlap.read({"sites": "sites.traj"}, folder=place))
    model = together(place, region(), 1, "respa")
    expected = model.extension.masses
    assert beside.masses[model.extension.others] == pytest.approx(expected, abs=1e-12)
    assert beside.masses.sum() == pytest.approx(model.solid.masses.sum() - model.sites.free, rel=1e-12)
