"""Mistakes that people make, each with its sentence and its exit status; the table is `bad_input.toml`."""

from __future__ import annotations

import ctypes
import os
import re
import resource
import shutil
import subprocess
import sys
import tomllib
from dataclasses import dataclass
from pathlib import Path

import pytest

from scalespan.bridges.run.cli import main
from scalespan.bridges.run.scaffold import new_case

HERE = Path(__file__).parent
PEPTIDE = HERE.parents[1] / "cases" / "alanine_dipeptide" / "input" / "alanine_dipeptide.pdb"
PEPTIDE_CASE = """
title = "the side chain of alanine"

[model]
use = "embedding"

[model.region]
select = "name CB HB1 HB2 HB3"

[model.charges]
leftover = "keep"

[model.low]
use = "openmm"
pdb = "input/peptide.pdb"
force_field = ["amber14/protein.ff14SB.xml"]

[model.high]
use = "pyscf"
method = "rhf"
basis = "sto-3g"

[task]
kind = "single-point"
"""
OTHER_ORDER = "6\n\nH -1.9 0.8 0\nO -1.6 -0.1 0\nH -0.6 0 0\nO 1.4 0.1 0\nH 1.7 -0.4 -0.8\nH 1.7 -0.4 0.8\n"


@dataclass(frozen=True)
class Mistake:
    base: str  # the case that is spoiled
    name: str
    old: str  # there exactly once
    new: str
    status: int
    sentence: str
    file: str = "case.toml"
    command: str = "check"


def table() -> list[Mistake]:
    with (HERE / "bad_input.toml").open("rb") as file:
        return [Mistake(base, **entry) for base, entries in tomllib.load(file).items() for entry in entries]


def make(base: str, folder: Path) -> Path:
    """Write a case that works."""
    case = folder / base
    if base == "springs":
        new_case(case, "springs")
    elif base == "dimer":
        new_case(case, "qmmm")
        (case / "input" / "other.xyz").write_text(OTHER_ORDER, encoding="utf-8")
    else:
        (case / "input").mkdir(parents=True)
        (case / "case.toml").write_text(PEPTIDE_CASE, encoding="utf-8")
        shutil.copy(PEPTIDE, case / "input" / "peptide.pdb")
    return case


def need_engines(base: str) -> None:
    if base != "springs":
        for engine in ("openmm", "pyscf", "MDAnalysis"):
            pytest.importorskip(engine)


def said(capsys: pytest.CaptureFixture[str]) -> str:
    """What `main` said on stderr: one line."""
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 1, lines
    return lines[0].removeprefix("scalespan: ")


def same(found: str, sentence: str, case: Path) -> bool:
    pattern = ".+".join(re.escape(part) for part in sentence.replace("{case}", str(case)).split("…"))
    return re.fullmatch(pattern, found) is not None


@pytest.mark.parametrize("mistake", table(), ids=lambda mistake: mistake.name)
def test_a_mistake_has_its_sentence_and_its_status(
    mistake: Mistake, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    need_engines(mistake.base)
    case = make(mistake.base, tmp_path)
    path = case / mistake.file
    text = path.read_text(encoding="utf-8")
    assert text.count(mistake.old) == 1, f"{mistake.old!r} is there {text.count(mistake.old)} times"
    path.write_text(text.replace(mistake.old, mistake.new), encoding="utf-8")
    status = main([mistake.command, *(["--quiet"] if mistake.command == "run" else []), str(case)])
    sentence = said(capsys)
    assert same(sentence, mistake.sentence, case), sentence
    assert status == mistake.status


def test_there_are_thirty_and_no_two_are_alike() -> None:
    mistakes = table()
    assert len(mistakes) >= 30
    assert len({mistake.sentence for mistake in mistakes}) == len(mistakes)


@pytest.mark.parametrize("base", ["springs", "dimer", "peptide"])
def test_the_cases_are_right_before_they_are_spoiled(base: str, tmp_path: Path) -> None:
    need_engines(base)
    assert main(["check", str(make(base, tmp_path))]) == 0


# Mistakes that are not one replacement in a file.


def ran(*arguments: str, folder: Path, **limits: object) -> tuple[int, str]:
    """Run the command in a process of its own; return its status and what it said on stderr."""
    code = "import sys; from scalespan.bridges.run.cli import main; sys.exit(main())"
    command = [sys.executable, "-c", code, *arguments]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False, **limits)  # type: ignore[call-overload]
    return done.returncode, done.stderr.removeprefix("scalespan: ").rstrip("\n")


def test_a_case_that_is_not_there(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    case = make("springs", tmp_path)
    assert main(["run", str(tmp_path / "sprigns")]) == 2
    assert said(capsys) == f"there is no case at {tmp_path / 'sprigns'}; did you mean '{case.name}'?"


def test_a_folder_without_a_case(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["run", str(tmp_path)]) == 2
    assert said(capsys) == f"{tmp_path} holds no case.toml; make one: scalespan new-case NAME"


def test_a_restart_of_what_never_ran(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    case = make("springs", tmp_path)
    assert main(["run", "-q", "--restart", str(case)]) == 2
    assert said(capsys) == f"{case / 'results'}: there is nothing to restart from; run without --restart"


def test_a_restart_of_another_case(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    case = make("springs", tmp_path)
    assert main(["run", "-q", str(case)]) == 0
    text = (case / "case.toml").read_text(encoding="utf-8")
    (case / "case.toml").write_text(text.replace("1900 N/m", "1800 N/m"), encoding="utf-8")
    assert main(["run", "-q", "--restart", str(case)]) == 2
    assert same(said(capsys), '…1900 N/m" and is "1800 N/m"; change it back, or run without --restart', case)


def test_a_file_in_place_of_the_results(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    case = make("springs", tmp_path)
    (case / "results").write_text("notes", encoding="utf-8")
    assert main(["run", "-q", str(case)]) == 2
    assert said(capsys) == f"{case / 'results'} is not a folder; move it away: a run writes its results there"


def as_an_ordinary_user() -> None:
    """Root may write everywhere: let the child be a root that may not (PR_CAPBSET_DROP, CAP_DAC_OVERRIDE)."""
    ctypes.CDLL(None).prctl(24, 1, 0, 0, 0)


def test_a_folder_that_may_not_be_written(tmp_path: Path) -> None:
    case = make("springs", tmp_path)
    case.chmod(0o555)
    probe = [sys.executable, "-c", f"import os, sys; sys.exit(os.access({str(case)!r}, os.W_OK))"]
    if subprocess.run(probe, preexec_fn=as_an_ordinary_user, check=False).returncode:
        pytest.skip("this user may write everywhere")
    status, sentence = ran("run", "-q", str(case), folder=tmp_path, preexec_fn=as_an_ordinary_user)
    assert sentence == f"{case} cannot be written; change its permissions, or copy the case elsewhere"
    assert status == 2


def test_a_disk_that_is_full(tmp_path: Path) -> None:
    case = make("springs", tmp_path)

    def little_room() -> None:  # the kernel refuses to let any file grow beyond this
        resource.setrlimit(resource.RLIMIT_FSIZE, (6000, 6000))

    status, sentence = ran("run", "-q", str(case), folder=tmp_path, preexec_fn=little_room)
    assert same(sentence, "{case}/results/…: the disk or the quota is full (File too large); make room there, …", case)
    assert status == 2
    summary = (case / "results" / "summary.json").read_text(encoding="utf-8")
    assert '"status": "failed"' in summary


@pytest.mark.parametrize("engine", ["openmm", "pyscf", "MDAnalysis"])
def test_an_engine_that_is_not_installed(tmp_path: Path, engine: str) -> None:
    need_engines("dimer")
    case = make("dimer", tmp_path)
    hidden = tmp_path / "hidden"
    hidden.mkdir()
    (hidden / "sitecustomize.py").write_text(
        f"""
import sys


class Hide:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] == {engine!r}:
            raise ModuleNotFoundError(f"No module named {{name!r}}", name=name)


sys.meta_path.insert(0, Hide())
""",
        encoding="utf-8",
    )
    paths = os.pathsep.join([str(hidden), *filter(None, [os.environ.get("PYTHONPATH")])])
    status, sentence = ran("check", str(case), folder=tmp_path, env=os.environ | {"PYTHONPATH": paths})
    place = {"openmm": "model.low", "pyscf": "model.high", "MDAnalysis": "model"}[engine]
    expected = f"case.toml: {place}: {engine} is not installed for {sys.executable}; type: pip install 'scalespan[…]'"
    assert same(sentence, f"{expected} (ready here: …harmonic…)", case), sentence
    assert status == 3
