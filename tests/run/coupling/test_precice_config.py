"""precice-config.xml is read with preCICE's defaults, and what is written wrongly is named by its line."""

from __future__ import annotations

from pathlib import Path

import pytest

from scalespan.adapters.interface import CaseError
from scalespan.bridges.run.precice_config import Config, read_config

from .pair import Pair

XML = Pair(acceleration='<acceleration:IQN-ILS><data name="Load" mesh="Left-Mesh"/></acceleration:IQN-ILS>').xml()


def read(xml: str, folder: Path) -> Config:
    (folder / "precice-config.xml").write_text(xml)
    return read_config(folder / "precice-config.xml")


def test_participants_and_their_meshes(tmp_path: Path) -> None:
    config = read(XML, tmp_path)
    right = config.participant("Right")
    received = right.received("Left-Mesh")
    assert received is not None
    assert (right.provides, received.source, received.api_access, received.safety_factor) == (
        ("Right-Mesh",),
        "Left",
        False,
        0.5,
    )
    assert [(use.data, use.mesh) for use in right.writes] == [("Load", "Right-Mesh")]
    assert [(each.kind, each.direction, each.constraint) for each in right.mappings] == [
        ("nearest-neighbor", "read", "consistent"),
        ("nearest-neighbor", "write", "conservative"),
    ]
    assert config.components("Load", "Left-Mesh") == 2
    assert config.partners("Left") == ("Right",)


def test_the_scheme_and_precices_defaults(tmp_path: Path) -> None:
    scheme = read(XML, tmp_path).schemes_of("Left")[0]
    assert (scheme.kind, scheme.participants, scheme.window, scheme.max_time, scheme.max_windows) == (
        "serial-implicit",
        ("Left", "Right"),
        0.5,
        None,
        3,
    )
    acceleration = scheme.acceleration
    assert acceleration is not None
    assert (acceleration.relaxation, acceleration.max_used_iterations) == (0.1, 100)
    assert (acceleration.time_windows_reused, acceleration.preconditioner) == (10, "residual-sum")
    assert (acceleration.filter, acceleration.filter_limit) == ("QR3", 1e-2)


@pytest.mark.parametrize(("scheme", "substeps"), [("serial-explicit", False), ("parallel-implicit", True)])
def test_substeps_are_exchanged_by_default_where_precice_does(tmp_path: Path, scheme: str, substeps: bool) -> None:
    config = read(Pair(scheme=scheme).xml().replace('substeps="true"', ""), tmp_path)
    assert [each.substeps for each in config.schemes[0].exchanges] == [substeps, substeps]


def test_a_just_in_time_mapping_lacks_a_mesh(tmp_path: Path) -> None:
    right = read(Pair(bridges="moving").xml(), tmp_path).participant("Right")
    assert [(each.source, each.target, each.just_in_time) for each in right.mappings] == [
        ("Left-Mesh", "", True),
        ("", "Left-Mesh", True),
    ]


WRONG = {
    "not XML": ("</precice-configuration>", "", r"line \d+: this is not XML: no element found; close every element"),
    "another root": ("precice-configuration", "configuration", r"starts with <precice-configuration>"),
    "an unknown element": ("<max-iterations", "<max-iteration", r"<max-iteration>: .* did you mean 'max-iterations'\?"),
    "an unknown attribute": ("substeps=", "substep=", r"<exchange>: .* 'substep'; did you mean 'substeps'\?"),
    "a missing attribute": ('limit="1e-8"', "", r"<relative-convergence-measure>: the attribute 'limit' is missing"),
    "no number": ('"0.5"', '"half"', r"line \d+ <time-window-size>: value='half' is not a number"),
    "no whole number": ('dimensions="2"', 'dimensions="2.0"', r"<mesh>: dimensions='2.0' is not a whole number"),
    "one dimension": ('dimensions="2"', 'dimensions="1"', r"<mesh>: a mesh has 2 or 3 dimensions, not 1"),
    "neither yes nor no": ('substeps="true"', 'substeps="maybe"', r"substeps='maybe' is neither true nor false"),
    "an unknown mesh": ('from="Left-Mesh"', 'from="Lft-Mesh"', r"no mesh 'Lft-Mesh'; did you mean 'Left-Mesh'\?"),
    "an unknown participant": ('second="Right"', 'second="Rite"', r"<participants>: there is no participant 'Rite'"),
    "unknown data": ('<exchange data="Move"', '<exchange data="Mov"', r"<exchange>: there is no data 'Mov'"),
    "no end": ('<max-time-windows value="3"/>', "", r"<coupling-scheme:serial-implicit>: a scheme needs <max-time"),
    "no participants": ('<participants first="Left" second="Right"/>', "", r"the element <participants …/> is missing"),
    "twice": ("<max-iterations", '<max-iterations value="3"/><max-iterations', r"<max-iterations>: it is there twice"),
    "sideways": ('direction="read"', 'direction="left"', r"direction is 'read' or 'write', not 'left'"),
}


@pytest.mark.parametrize("name", WRONG)
def test_what_is_wrong_is_named_with_its_line(name: str, tmp_path: Path) -> None:
    old, new, sentence = WRONG[name]
    assert old in XML
    with pytest.raises(CaseError, match=sentence) as error:
        read(XML.replace(old, new), tmp_path)
    assert str(error.value).startswith("precice-config.xml line ")


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(CaseError, match=r"none\.xml: cannot read it \(No such file or directory\)"):
        read_config(tmp_path / "none.xml")
