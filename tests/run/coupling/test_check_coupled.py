"""What `scalespan check` says of a case with participants, and what it refuses."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from scalespan.adapters.interface import CaseError, Table, UnitError
from scalespan.bridges.interface import Field
from scalespan.bridges.run.cli import main
from scalespan.bridges.run.coupled import CoupledCase, read
from scalespan.bridges.run.coupled.look import Look, MeshLook
from scalespan.bridges.run.coupled.rules import fit
from scalespan.bridges.run.coupled.tables import coarse_kernels, lines, tables

from .faulty import alive, faulty
from .test_faults import edited


def coupled(case: Path, kind: str = "embedded") -> CoupledCase:
    found = read(case)
    assert isinstance(found, CoupledCase)
    return found.coupled_with(kind)


def wary(case: CoupledCase, **spacing: float) -> list[str]:
    looks = {
        name: Look(name, "mass", "fs", meshes={mesh: MeshLook(8, 3, h) for mesh, h in spacing.items()})
        for name in case.parts
    }
    found = [table for table in tables(case, looks) if table.title == "To be wary of"]
    return ["; ".join(row) for table in found for row in table.rows]


def test_check_shows_everything_and_leaves_nothing(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    case = faulty(tmp_path)
    assert main(["check", str(case), "--coupling", "embedded"]) == 0
    said = capfd.readouterr().out
    for words in ("serial-implicit", "Left-Mesh (1 points)", "nearest-neighbor", "angstrom", "ready:"):
        assert words in said
    assert not (case / "results").exists()
    assert alive(case) == []


def test_check_refuses_what_a_run_would(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    case = faulty(tmp_path, fault="none", unit="nm")
    assert main(["check", str(case)]) == UnitError.status
    assert "the two differ by a factor of 10" in capfd.readouterr().err


def test_the_lines_for_mpirun_are_shown(tmp_path: Path) -> None:
    case = faulty(tmp_path)
    text = (case / "case.toml").read_text(encoding="utf-8")
    (case / "case.toml").write_text(text.replace("[participants.Right]", "[participants.Right]\nranks = 4"))
    assert lines(coupled(case)) == [
        f"scalespan run {case} --participant Left",
        f"mpirun -n 4 scalespan run {case} --participant Right",
    ]


def test_a_mapping_that_several_ranks_forbid_is_named(tmp_path: Path) -> None:
    case = faulty(tmp_path)
    text = (case / "case.toml").read_text(encoding="utf-8")
    (case / "case.toml").write_text(text.replace("[participants.Right]", "[participants.Right]\nranks = 2"))
    assert any("Right: write consistent with 2 ranks" in line for line in wary(coupled(case)))
    assert wary(coupled(faulty(tmp_path / "one"))) == []


@pytest.mark.parametrize(("constraint", "warned"), [("consistent", True), ("conservative", False)])
def test_a_force_must_be_mapped_as_its_displacements_transpose(tmp_path: Path, constraint: str, warned: bool) -> None:
    case = edited(faulty(tmp_path), "Displacement-Right", "Force-Right")
    text = (case / "precice-config.xml").read_text(encoding="utf-8")
    head, tail = text.split('direction="write"')
    text = f'{head}direction="write"{tail.replace("consistent", constraint, 1)}'
    (case / "precice-config.xml").write_text(text, encoding="utf-8")
    assert any("virtual work" in line for line in wary(coupled(case))) == warned


@pytest.mark.parametrize(("radius", "warned"), [(0.19, True), (0.21, False)])
def test_a_kernel_narrower_than_two_cells_is_named(tmp_path: Path, radius: float, warned: bool) -> None:
    case = faulty(tmp_path)
    text = (case / "precice-config.xml").read_text(encoding="utf-8")
    mapping = (
        f'<mapping:coarse-graining direction="write" to="Left-Mesh" constraint="conservative" radius="{radius}" />'
    )
    (case / "precice-config.xml").write_text(
        text.replace("<mapping:nearest-neighbor", f"{mapping}\n<mapping:nearest-neighbor", 1), encoding="utf-8"
    )
    found = coupled(case)
    looks = {"Left": Look("Left", "mass", "fs", meshes={"Left-Mesh": MeshLook(8, 3, 0.1)})}
    assert bool(list(coarse_kernels(found, looks))) == warned
    with pytest.raises(CaseError, match=r"coarse-graining.*needs preCICE"):
        tables(found, {name: Look(name, "mass", "fs") for name in found.parts})


def test_precice_is_asked_about_its_xml(tmp_path: Path) -> None:
    pytest.importorskip("precice", reason="pyprecice is not installed: its checker cannot be asked")
    case = edited(faulty(tmp_path), 'connector="Right"', 'connector="Left"')
    found = coupled(case, "precice")
    with pytest.raises(CaseError, match=r"precice-config.xml: preCICE refuses it: .*Left"):
        tables(found, {name: Look(name, "mass", "fs") for name in found.parts})


def test_tables_are_for_people(tmp_path: Path) -> None:
    case = coupled(faulty(tmp_path))
    shown: list[Table] = tables(case, {name: Look(name, "mass", "fs") for name in case.parts})
    assert [table.title for table in shown] == ["The case", "Participants", "Exchanges"]
    assert all(len(row) == len(table.columns) for table in shown for row in table.rows)


def explicit(case: Path, kind: str) -> None:
    """Make the scheme explicit."""
    xml = case / "precice-config.xml"
    text = xml.read_text(encoding="utf-8")
    for old in ("serial-implicit", "parallel-implicit"):
        text = text.replace(old, kind)
    xml.write_text(re.sub(r"<(max-iterations|relative-convergence-measure)[^>]*/>", "", text), encoding="utf-8")


@pytest.mark.parametrize("kind", ["serial-explicit", "parallel-explicit"])
@pytest.mark.parametrize(
    ("triangles", "back", "refused"),
    [(8, "angstrom", True), (8, "eV/angstrom", False), (0, "angstrom", False)],
    ids=["both move the other", "a force comes back", "points, no bodies"],
)
def test_bodies_that_only_move_each_other_in_time_are_refused(
    tmp_path: Path, kind: str, triangles: int, back: str, refused: bool
) -> None:
    case = edited(faulty(tmp_path), "data:scalar", "data:vector")
    explicit(case, kind)
    found = coupled(case)
    looks = {}
    for name, other, out, into in (("Left", "Right", "angstrom", back), ("Right", "Left", back, "angstrom")):
        own = found.config.participant(name)
        mesh = own.provides[0]
        d = found.config.mesh(mesh).dimension
        reads = (Field(f"Displacement-{other}", mesh, into, d),)
        writes = (Field(f"Displacement-{name}", mesh, out, d),)
        filled = triangles if name == "Left" else 0  # the other has atoms
        looks[name] = Look(name, "mass", "fs", reads, writes, {mesh: MeshLook(9, d, 1.0, triangles=filled)})
    if not refused:
        fit(found, looks)
        return
    with pytest.raises(CaseError, match=r"exchange displacements both ways and no force.*exponentially unstable"):
        fit(found, looks)


def test_displacements_and_forces_that_pass_each_other_are_named(tmp_path: Path) -> None:
    case = faulty(tmp_path)
    edited(case, "Displacement-Right", "Force-Right")
    explicit(case, "parallel-explicit")
    assert any("a window ago" in line for line in wary(coupled(case)))
