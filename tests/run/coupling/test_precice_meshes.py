"""What goes with the points through preCICE: cells, several ranks, substeps at any time of a window, initial values."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from .processes import HERE, run_all

pytest.importorskip("precice", reason="pyprecice is not installed: what preCICE does cannot be tried")

SIDE = HERE / "mesh_side.py"
CONFIG = """<?xml version="1.0"?>
<precice-configuration>
  <log><sink filter="%Severity% > warning and %Rank% = 0" /></log>
  <profiling mode="off" />
  <data:vector name="Shift" waveform-degree="3" />
  <mesh name="Solid-Mesh" dimensions="{dimension}"><use-data name="Shift" /></mesh>
  <mesh name="Cloud-Mesh" dimensions="{dimension}"><use-data name="Shift" /></mesh>
  <participant name="Solid">
    <provide-mesh name="Solid-Mesh" />
    <write-data name="Shift" mesh="Solid-Mesh" />
  </participant>
  <participant name="Cloud">
    <receive-mesh name="Solid-Mesh" from="Solid" />
    <provide-mesh name="Cloud-Mesh" />
    <read-data name="Shift" mesh="Cloud-Mesh" />
    <mapping:{mapping} direction="read" from="Solid-Mesh" to="Cloud-Mesh" constraint="consistent" />
  </participant>
  <m2n:sockets acceptor="Solid" connector="Cloud" />
  <coupling-scheme:serial-explicit>
    <participants first="Solid" second="Cloud" />
    <max-time-windows value="2" />
    <time-window-size value="0.5" />
    <exchange data="Shift" mesh="Solid-Mesh" from="Solid" to="Cloud" substeps="true" />
  </coupling-scheme:serial-explicit>
</precice-configuration>
"""


def exchanged(folder: Path, config: str, launch: dict[str, list[str]] | None = None) -> dict[str, float]:
    """Run both sides; return what the cloud's ranks found, summed: numbers of points, largest errors."""
    (folder / "config.xml").write_text(config)
    ended = run_all(folder, {name: [SIDE, name] for name in ("Solid", "Cloud")}, launch=launch)
    for name, each in ended.items():
        assert each.status == 0, f"{name}: {each.output[-3000:]}"
    found: dict[str, float] = {}
    for path in folder.glob("Cloud-*.json"):
        for key, value in json.loads(path.read_text()).items():
            found[key] = found.get(key, 0.0) + value
    return found


@pytest.mark.parametrize("dimension", [2, 3])
def test_cells_make_the_mapping_exact_for_linear_fields(dimension: int, tmp_path: Path) -> None:
    """Triangles in 2-D, one by one, and tetrahedra in 3-D: linear-cell interpolation of a linear field is exact."""
    found = exchanged(tmp_path, CONFIG.format(dimension=dimension, mapping="linear-cell-interpolation"))
    assert found["end"] < 1e-12
    assert found["points"] == 40


def test_without_cells_it_is_not(tmp_path: Path) -> None:
    """Guard of the test above: the nearest vertex has another value."""
    found = exchanged(tmp_path, CONFIG.format(dimension=2, mapping="nearest-neighbor"))
    assert found["end"] > 0.1


@pytest.mark.parametrize("dimension", [2, 3])
def test_edges_and_triangles_serve_a_projection(dimension: int, tmp_path: Path) -> None:
    """Points on the sides of the cube lie on edges (2-D) and triangles (3-D); a linear field is exact there."""
    found = exchanged(tmp_path, CONFIG.format(dimension=dimension, mapping="nearest-projection"))
    assert found["surface"] < 1e-12


@pytest.mark.parametrize("dimension", [2, 3])
def test_a_gradient_makes_the_nearest_neighbour_exact_for_linear_fields(dimension: int, tmp_path: Path) -> None:
    config = CONFIG.format(dimension=dimension, mapping="nearest-neighbor-gradient")
    found = exchanged(
        tmp_path, config.replace("<precice-configuration>", '<precice-configuration experimental="true">')
    )
    assert found["end"] < 1e-12


def test_reads_in_the_middle_of_a_step_are_interpolated_by_the_degree(tmp_path: Path) -> None:
    """The solid writes t³ at four times of a window: a cubic through them is exact everywhere."""
    found = exchanged(tmp_path, CONFIG.format(dimension=2, mapping="linear-cell-interpolation"))
    assert found["middle"] < 1e-12
    line = CONFIG.replace('waveform-degree="3"', 'waveform-degree="1"')
    assert exchanged(tmp_path, line.format(dimension=2, mapping="linear-cell-interpolation"))["middle"] > 1e-3


@pytest.mark.slow
@pytest.mark.parametrize(("solid", "cloud"), [(2, 1), (1, 2), (2, 2)])
def test_several_ranks(solid: int, cloud: int, tmp_path: Path) -> None:
    """Each participant under an mpirun of its own; a rank may have no points."""
    if shutil.which("mpirun") is None:
        pytest.skip("mpirun is not installed: participants with several ranks cannot be tried")
    launch = {"Solid": ["mpirun", "-n", str(solid)], "Cloud": ["mpirun", "-n", str(cloud)]}
    found = exchanged(
        tmp_path,
        CONFIG.format(dimension=2, mapping="rbf-pum-direct").replace(
            'constraint="consistent" />',
            'constraint="consistent"><basis-function:compact-polynomial-c6 support-radius="3" />'
            "</mapping:rbf-pum-direct>",
        ),
        launch,
    )
    assert found["end"] < 1e-9  # the polynomial part takes a linear field
    assert found["points"] == 40


def test_a_gradient_that_is_not_given_is_asked_for(tmp_path: Path) -> None:
    config = CONFIG.format(dimension=2, mapping="nearest-neighbor-gradient")
    config = config.replace("<precice-configuration>", '<precice-configuration experimental="true">')
    (tmp_path / "config.xml").write_text(config)
    code = f"""
import sys; sys.path.insert(0, {str(HERE)!r})
from mesh_side import CONFIG, Exchange, Field, Precice, grid
shift = Field("Shift", "Solid-Mesh", "m", 2)
Precice(CONFIG, "Solid").start(Exchange((), (shift,), {{"Solid-Mesh": grid(2)}}), {{}})
"""
    ended = run_all(tmp_path, {"Solid": ["-c", code]})["Solid"]
    assert "a mapping needs the gradient of 'Shift', which Solid does not give" in ended.output
