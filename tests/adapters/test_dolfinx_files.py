"""DOLFINx: meshes that come in, frames that go out, and what is refused."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import numpy as np
import pytest

pytest.importorskip("dolfinx", reason="DOLFINx is not installed: conda install -c conda-forge fenics-dolfinx")

from dolfinx import fem

from scalespan.adapters.dolfinx.domain import Domain
from scalespan.adapters.dolfinx.options import MeshOptions
from scalespan.adapters.interface import CaseError

from .dolfinx_problems import box, make, warm

# ---- meshes ----


Gmsh = Callable[[Path, str, int], Path]

# Physical groups 7 bottom, 8 right, 9 top, 10 left.
SQUARE = "Rectangle(1) = {0, 0, 0, 1, 1};\nPhysical Surface(1) = {1};\n" + "".join(
    f"Physical Curve({6 + side}) = {{{side}}};\n" for side in (1, 2, 3, 4)
)
BALL = "Sphere(1) = {0, 0, 0, 1};\nPhysical Volume(1) = {1};\nPhysical Surface(5) = {-1};\nMesh.MeshSizeMax = 0.5;\n"
ENDS = [{"boundary": "hot", "value": 3.0}, {"boundary": "cold", "value": 1.0}]


@pytest.mark.parametrize("form", ["", "Mesh.Binary = 1;", "Mesh.MshFileVersion = 2.2;", "Mesh.RecombineAll = 1;"])
def test_a_mesh_of_gmsh_has_its_boundaries_by_number(gmsh: Gmsh, tmp_path: Path, form: str) -> None:
    file = gmsh(tmp_path / "square.msh", SQUARE + "Mesh.MeshSizeMax = 0.4;\n" + form, 2)
    mesh = {"file": str(file), "dimension": 2, "boundaries": {"hot": 8, "cold": 10}}
    adapter = make(mesh=mesh, exact="1 + 2*x", heat={"capacity": 0, "fixed": ENDS}, places={"end": {"boundary": "hot"}})
    adapter.advance(1.0)
    assert adapter.observe()["error/1"] < 1e-13
    assert np.allclose(adapter.output("end.heat_flux"), -2.0, rtol=0, atol=1e-11)
    assert "gmsh" not in sys.modules  # it is GPL


@pytest.mark.parametrize(("order", "off"), [(1, 2e-1), (2, 5e-3)])
def test_curved_cells_of_gmsh_are_curved(gmsh: Gmsh, tmp_path: Path, order: int, off: float) -> None:
    """The ball's volume and surface; wrongly ordered nodes of a cell would turn it inside out."""
    file = gmsh(tmp_path / "ball.msh", BALL + f"Mesh.ElementOrder = {order};", 3)
    domain = Domain(MeshOptions(file=file, boundaries={"skin": 5}), degree=1)
    volume = domain.integral(fem.form(fem.Constant(domain.mesh, 1.0) * domain.dx))
    surface = domain.integral(fem.form(fem.Constant(domain.mesh, 1.0) * domain.ds("skin")))
    assert volume == pytest.approx(4 * np.pi / 3, rel=off)
    assert surface == pytest.approx(4 * np.pi, rel=off)


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("Mesh.ElementOrder = 3;", "no cells of degree 1 or 2"),
        ("Mesh.SaveAll = 1;\nPoint(9) = {0.5, 0.5, 0};", "meshio cannot read it"),
        ("Rectangle(2) = {2, 0, 0, 1, 1};\nRecombine Surface {2};\nPhysical Surface(2) = {2};", "of several kinds"),
    ],
)
def test_a_mesh_that_cannot_be_read_is_refused(gmsh: Gmsh, tmp_path: Path, text: str, sentence: str) -> None:
    file = gmsh(tmp_path / "square.msh", SQUARE + text, 2)
    with pytest.raises(CaseError, match=sentence):
        make(mesh={"file": str(file), "dimension": 2}, poisson={})


def test_a_volume_does_not_fit_into_a_plane(gmsh: Gmsh, tmp_path: Path) -> None:
    with pytest.raises(CaseError, match="tetrahedron cells in 2 dimensions"):
        make(mesh={"file": str(gmsh(tmp_path / "ball.msh", BALL, 3)), "dimension": 2}, poisson={})


def test_a_file_that_is_none_of_gmsh_is_refused(tmp_path: Path) -> None:
    pytest.importorskip("meshio", reason="meshio is not installed: pip install meshio")
    (tmp_path / "square.msh").write_text("$MeshFormat\n4.1 0 8\n$EndMeshFormat\nno more\n")
    with pytest.raises(CaseError, match="meshio cannot read it"):
        make(mesh={"file": str(tmp_path / "square.msh"), "dimension": 2}, poisson={})


# ---- what is wrong ----


@pytest.mark.parametrize(
    ("table", "sentence"),
    [
        ({"poisson": {}, "heat": {}}, "one problem of"),
        ({"poisson": {"fixed": [{"boundary": "lift", "value": 0}]}}, "did you mean 'left'?"),
        ({"poisson": {"source": "sin(x) + foo"}}, "unknown name 'foo'"),
        ({"poisson": {}, "places": {"a": {"boundary": "left", "takes": ["temperature"]}}}, "cannot take 'temperature'"),
        ({"poisson": {}, "mesh": box(2, 2, cell="tetrahedron")}, "no cells of the kind tetrahedron"),
        ({"poisson": {}, "mesh": box(2, 2) | {"boundaries": {"far": "x > 5"}}}, "holds no facet"),
        ({"elasticity": {"young": 1, "poisson": 0.3, "source": "x"}}, "2 components are wanted"),
    ],
)
def test_what_is_wrong_is_said(table: dict[str, Any], sentence: str) -> None:
    with pytest.raises(CaseError, match=sentence.replace("?", r"\?")):
        make(**{"mesh": box(2, 2)} | table)


def test_a_point_outside_is_refused() -> None:
    adapter = make(mesh=box(2, 2), poisson={})
    with pytest.raises(CaseError, match="outside"):
        adapter.evaluate("potential", np.array([[1.5, 0.5]]))


def test_two_loads_are_two_components() -> None:
    adapter = make(mesh=box(2, 2), poisson={})
    with pytest.raises(CaseError, match="components"):
        adapter.load(np.array([[0.5, 0.5]]), np.ones((1, 2)))


def test_frames_are_whole_on_disk_after_each_one(tmp_path: Path) -> None:
    adapter = warm(box(2, 2), "heat_flux")
    for number in (1, 2, 3):
        adapter.frame(tmp_path, 0.1 * number)
        index = ElementTree.parse(tmp_path / "fields.pvd").getroot().iter("DataSet")
        pieces = {float(each.attrib["timestep"]): each.attrib["file"] for each in index}
        assert list(pieces) == pytest.approx([0.1 * each for each in range(1, number + 1)])
        assert all((tmp_path / piece).exists() for piece in pieces.values())
    assert len(set(pieces.values())) == 3
    assert [path.name for path in tmp_path.glob("*.pvd")] == ["fields.pvd"]
    adapter.frame(tmp_path, 0.2)  # a restart from there
    index = ElementTree.parse(tmp_path / "fields.pvd").getroot().iter("DataSet")
    assert [float(each.attrib["timestep"]) for each in index] == pytest.approx([0.1, 0.2])


LEFT = """
import os
import scalespan.adapters.dolfinx
there, here = os.pipe()
os.close(there)
try:
    os.write(here, b"anybody?")
except BrokenPipeError:
    print("nobody")
"""


@pytest.mark.parametrize("first", ["", "import dolfinx"])
def test_a_pipe_without_a_reader_does_not_end_the_process(first: str) -> None:
    """PETSc's own handlers abort on SIGPIPE: a coupling could not tell that its partner left."""
    done = subprocess.run([sys.executable, "-c", f"{first}\n{LEFT}"], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (0, "nobody\n"), done.stderr
