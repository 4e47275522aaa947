"""DOLFINx: meshes that come in, frames that go out, and what is refused."""

from __future__ import annotations

from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import numpy as np
import pytest

pytest.importorskip("dolfinx", reason="DOLFINx is not installed: conda install -c conda-forge fenics-dolfinx")

from scalespan.adapters.interface import CaseError

from .dolfinx_problems import box, make, warm

# ---- meshes ----


def test_a_mesh_of_gmsh_has_its_boundaries_by_number(tmp_path: Path) -> None:
    gmsh = pytest.importorskip("gmsh", reason="gmsh is not installed: pip install gmsh")
    gmsh.initialize(interruptible=False)
    gmsh.option.setNumber("General.Terminal", 0)
    square = gmsh.model.occ.addRectangle(0, 0, 0, 1, 1)
    gmsh.model.occ.synchronize()
    for number, side in enumerate(gmsh.model.getEntities(1), start=7):
        gmsh.model.addPhysicalGroup(1, [side[1]], number)  # 7 bottom, 8 right, 9 top, 10 left
    gmsh.model.addPhysicalGroup(2, [square], 1)
    gmsh.option.setNumber("Mesh.MeshSizeMax", 0.4)
    gmsh.model.mesh.generate(2)
    gmsh.write(str(tmp_path / "square.msh"))
    gmsh.finalize()
    mesh = {"file": str(tmp_path / "square.msh"), "dimension": 2, "boundaries": {"hot": 8, "cold": 10}}
    ends = [{"boundary": "hot", "value": 3.0}, {"boundary": "cold", "value": 1.0}]
    adapter = make(mesh=mesh, exact="1 + 2*x", heat={"capacity": 0, "fixed": ends}, places={"end": {"boundary": "hot"}})
    adapter.advance(1.0)
    assert adapter.observe()["error/1"] < 1e-13
    assert np.allclose(adapter.output("end.heat_flux"), -2.0, rtol=0, atol=1e-11)


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
