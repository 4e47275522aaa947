"""Whether this preCICE can do what an XML asks for, and whether there is a preCICE at all: known before a run."""

from __future__ import annotations

import sys
from importlib.util import find_spec
from pathlib import Path
from types import SimpleNamespace

import pytest

from scalespan.adapters.interface import CaseError, EngineMissing
from scalespan.bridges.run.build_options import lacking, refuse_unbuilt
from scalespan.bridges.run.precice import Precice, build_of
from scalespan.bridges.run.precice_config import read_config

from .oscillator_side import CASE
from .processes import run_all

OPTIONS = ("MPI_COMMUNICATION", "PETSC_MAPPING", "GINKGO_MAPPING", "PYTHON_ACTIONS")
NEAREST = '<mapping:nearest-neighbor\n      direction="read"\n'
GLOBAL = '<mapping:rbf-global-{0}\n      direction="read"\n'
CUDA = 'constraint="consistent"><executor:cuda /></mapping:rbf-global-{0}>'


def build(*without: str) -> str:
    return "3.4.1;v3.4.1;" + ";".join(f"PRECICE_FEATURE_{o}={'N' if o in without else 'Y'}" for o in OPTIONS)


def solver(name: str, executor: bool = False) -> dict[str, str]:
    """Replace the mapping that reads by a global radial-basis one."""
    found = {NEAREST: GLOBAL.format(name)}
    return found | (
        {'constraint="consistent" />\n  </participant>': CUDA.format(name) + "</participant>"} if executor else {}
    )


NEEDS = {  # what is changed in the oscillator's XML, the option that it needs, the words of the sentence
    "m2n:mpi": ({"m2n:sockets": "m2n:mpi"}, "MPI_COMMUNICATION", "use m2n:sockets"),
    "IMVJ": (
        {"    <exchange\n": "    <acceleration:IQN-IMVJ />\n    <exchange\n"},
        "MPI_COMMUNICATION",
        "use acceleration:IQN-ILS",
    ),
    "python": ({"  <m2n": "  <action:python />\n  <m2n"}, "PYTHON_ACTIONS", "<action:python>: this preCICE was built"),
    "iterative": (solver("iterative"), "PETSC_MAPPING", "use mapping:rbf-pum-direct"),
    "direct on a card": (solver("direct", executor=True), "GINKGO_MAPPING", "built without GINKGO_MAPPING"),
    "iterative on a card": (solver("iterative", executor=True), "GINKGO_MAPPING", "built without GINKGO_MAPPING"),
}


def config(folder: Path, changes: dict[str, str]) -> Path:
    text = (CASE / "precice-config.xml").read_text()
    for old, new in changes.items():
        assert old in text
        text = text.replace(old, new)
    (folder / "precice-config.xml").write_text(text)
    return folder / "precice-config.xml"


@pytest.mark.parametrize("need", NEEDS)
def test_an_element_is_refused_by_the_build_that_lacks_it_and_by_no_other(need: str, tmp_path: Path) -> None:
    changes, option, words = NEEDS[need]
    read = read_config(config(tmp_path, changes))
    with pytest.raises(CaseError, match=r"precice-config\.xml line") as error:
        refuse_unbuilt(read, build(option))
    assert words in str(error.value)
    assert list(lacking(read, build(*set(OPTIONS) - {option}))) == []


def test_the_oscillator_needs_nothing() -> None:
    assert list(lacking(read_config(CASE / "precice-config.xml"), build(*OPTIONS))) == []


def test_this_build_is_known() -> None:
    pytest.importorskip("precice", reason="pyprecice is not installed: it has no build to ask for")
    found = build_of()
    assert found.startswith("3.4.")
    assert all(f"PRECICE_FEATURE_{option}=" in found for option in OPTIONS)


@pytest.mark.parametrize("need", ["iterative", "direct on a card", "python"])
def test_preCICE_refuses_the_same(need: str, tmp_path: Path) -> None:
    """The rules are preCICE's: this build, asked without our check, says no in the constructor."""
    pytest.importorskip("precice", reason="pyprecice is not installed: it has no build to ask for")
    changes, option, _ = NEEDS[need]
    if f"PRECICE_FEATURE_{option}=Y" in build_of():
        pytest.skip(f"this preCICE was built with {option}: it refuses nothing")
    code = f"import precice; precice.Participant('Mass-Right', {str(config(tmp_path, changes))!r}, 0, 1)"
    assert "RuntimeError" in run_all(tmp_path, {"asked": ["-c", code]})["asked"].output


def test_without_pyprecice_it_says_what_to_type() -> None:
    if find_spec("precice"):
        pytest.skip("pyprecice is installed: its absence cannot be tried")
    with pytest.raises(EngineMissing, match=r"pip install 'pyprecice==3\.4\.\*'"):
        Precice(CASE / "precice-config.xml", "Mass-Left")


@pytest.mark.parametrize(("library", "bindings"), [("3.3.1", "3.4.0"), ("3.4.1", "3.5.0"), ("4.0.0", "4.0.0")])
def test_versions_that_do_not_fit_are_refused(library: str, bindings: str, monkeypatch: pytest.MonkeyPatch) -> None:
    other = SimpleNamespace(__version__=bindings, get_version_information=f"{library};v".encode)
    monkeypatch.setitem(sys.modules, "precice", other)
    with pytest.raises(EngineMissing, match=f"preCICE is {library} and pyprecice {bindings}, where both must be 3.4"):
        Precice(CASE / "precice-config.xml", "Mass-Left")
