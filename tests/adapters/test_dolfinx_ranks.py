"""DOLFINx on one rank and on two: the same numbers, adjoint loads, complete meshes, restores bit for bit."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
import pytest
from ase import Atoms

pytest.importorskip("dolfinx", reason="DOLFINx is not installed: conda install -c conda-forge fenics-dolfinx")

Answers = dict[str, dict[str, float]]


def answers(ranks: int) -> Answers:
    launcher = shutil.which("mpirun")
    if launcher is None:
        pytest.skip("mpirun is not installed")
    program = str(Path(__file__).parent / "dolfinx_ranks.py")
    # Open MPI's session folder is named by the process's number, which another container may have too.
    with tempfile.TemporaryDirectory(prefix="mpi") as folder:
        write_body(Path(folder))
        command = [launcher, "-n", str(ranks), sys.executable, program, folder]
        environment = os.environ | {"TMPDIR": folder}
        done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    found: Answers = json.loads(done.stdout[done.stdout.index("{") :])
    return found


def write_body(folder: Path) -> None:
    """Nodes of a square body, and a square lattice of atoms in its middle that is as heavy as the body there."""
    lines = np.linspace(-6.0, 6.0, 10), np.arange(-2.5, 3.0)
    nodes, sites = (np.stack(np.meshgrid(line, line, indexing="ij"), axis=-1).reshape(-1, 2) for line in lines)
    np.savetxt(folder / "nodes.txt", nodes)
    places = np.column_stack([sites, np.zeros(len(sites))])
    Atoms(f"X{len(sites)}", places, masses=np.full(len(sites), 2.0)).write(folder / "sites.xyz", "extxyz")


@pytest.fixture(scope="module")
def one() -> Answers:
    return answers(1)


@pytest.fixture(scope="module")
def two() -> Answers:
    return answers(2)


@pytest.mark.parametrize("dimension", ["2", "3"])
def test_a_load_is_the_adjoint_of_evaluation_across_ranks(one: Answers, two: Answers, dimension: str) -> None:
    for found in (one[dimension], two[dimension]):
        assert found["nodal"] == pytest.approx(found["work"], abs=1e-13)
    assert two[dimension] == pytest.approx(one[dimension], abs=1e-12)


@pytest.mark.parametrize("name", ["heat2", "heat3"])
def test_conduction_is_exact_and_repeats_bit_for_bit(one: Answers, two: Answers, name: str) -> None:
    for found in (one[name], two[name]):
        assert found["error"] < 1e-13
        assert found["flux"] < 1e-11
        assert found["same"] == 0
        assert found["area"] == pytest.approx(1.0, abs=1e-12)
    assert two[name]["owned"] == one[name]["owned"]


def test_loads_on_doubled_points_all_count(one: Answers, two: Answers) -> None:
    for found in (one["doubled"], two["doubled"]):
        assert found["leaves"] == pytest.approx(found["given"], abs=1e-11)
    assert two["doubled"]["given"] > one["doubled"]["given"], "two ranks share points"


@pytest.mark.parametrize(("name", "rim"), [("gauss2", 1 + 2 / 3), ("gauss3", 1 + 4 / 3)])
def test_gauss_points_are_divided_among_ranks_without_gap_or_overlap(
    one: Answers, two: Answers, name: str, rim: float
) -> None:
    """∫ x² is 1/3 in the unit box; over its rim it is 1 on the right, and 1/3 on each side along x."""
    for found in (one[name], two[name]):
        assert found["nodal"] == pytest.approx(found["work"], abs=1e-13)
        assert found["given"] == pytest.approx(1 / 3 + rim, abs=1e-12)
    assert two[name] == pytest.approx(one[name], abs=1e-12)


def test_a_file_of_gmsh_is_shared_out_with_its_groups_and_a_wrong_one_refused_by_all(
    one: Answers, two: Answers
) -> None:
    if "msh" not in one:
        pytest.skip("meshio is not installed: pip install meshio")
    board = (np.random.default_rng(1).random((5, 4)) < 0.3).mean()
    exact = {"area": 9.0, "bottom": 9.0, "left": 1.0, "second": 0.5, "board": board}
    for ranks, found in ((1, one["msh"]), (2, two["msh"])):
        assert found == pytest.approx(exact | {"refused": ranks}, abs=1e-12)


def test_a_body_beside_atoms_moves_alike_on_one_rank_and_two(one: Answers, two: Answers) -> None:
    for found in (one["joined"], two["joined"]):
        assert found["filled"] == pytest.approx(found["gathered"], abs=1e-12)
    assert two["joined"] == pytest.approx(one["joined"], rel=1e-11)


def test_a_body_beside_atoms_rests_alike_on_one_rank_and_two(one: Answers, two: Answers) -> None:
    for found in (one["rest"], two["rest"]):
        assert (found["x"], found["y"]) == pytest.approx((0.1, -0.2), abs=1e-11)
    assert two["rest"] == pytest.approx(one["rest"], rel=1e-9)


def test_a_plastic_body_flows_alike_on_one_rank_and_two(one: Answers, two: Answers) -> None:
    assert one["flowing"]["lost"] > 1e-3
    assert one["flowing"].pop("again") == 0.0
    assert two["flowing"].pop("again") < 1e-13  # factorised by two, in an order that may change
    assert two["flowing"] == pytest.approx(one["flowing"], rel=1e-8)


def test_a_law_that_fails_on_one_rank_fails_on_all(one: Answers, two: Answers) -> None:
    assert one["failing"]["failed"] == two["failing"]["failed"] == 1
