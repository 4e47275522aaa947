"""What `new-adapter` and `new-case` write works as it is."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from scalespan.adapters.interface import ADAPTERS, OptionError
from scalespan.bridges.run.cli import main
from scalespan.bridges.run.scaffold import new_adapter, new_case


def test_a_new_adapter_passes_the_test_written_with_it(tmp_path: Path) -> None:
    new_adapter("my_engine", tmp_path)
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "test_my_engine.py"]
    ran = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stdout + ran.stderr
    assert "passed" in ran.stdout and "failed" not in ran.stdout


def test_a_new_adapter_is_short(tmp_path: Path) -> None:
    path = new_adapter("mine", tmp_path)[0]
    code = [line for line in path.read_text(encoding="utf-8").split('"""')[2].splitlines() if line.strip()]
    assert len(code) <= 35


def test_a_new_adapter_beside_a_case_runs_in_it(tmp_path: Path) -> None:
    case = tmp_path / "argon"
    new_case(case, "springs")
    new_adapter("mine", case)
    text = (case / "case.toml").read_text(encoding="utf-8")
    model = '[model]\nuse = "mine"\nepsilon = "0.0103 eV"\nsigma = "1 angstrom"\n\n'
    head, tail = text[: text.index("[model]")], text[text.index("[atoms]") :]
    (case / "case.toml").write_text(head + model + tail, encoding="utf-8")
    (case / "reference.toml").unlink()
    assert main(["run", "--quiet", str(case)]) == 0
    assert (case / "results" / "summary.json").is_file()


@pytest.mark.parametrize("name", ["My", "my-engine", "1st", "class", "a b", ""])
def test_a_name_that_python_cannot_take_is_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(OptionError, match="cannot be an adapter's name"):
        new_adapter(name, tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_a_taken_name_is_refused(tmp_path: Path) -> None:
    assert "harmonic" in ADAPTERS.names()
    with pytest.raises(OptionError, match="'harmonic' is taken"):
        new_adapter("harmonic", tmp_path)


def test_nothing_is_overwritten(tmp_path: Path) -> None:
    (tmp_path / "test_mine.py").write_text("precious", encoding="utf-8")
    with pytest.raises(OptionError, match="is there already"):
        new_adapter("mine", tmp_path)
    with pytest.raises(OptionError, match="is there already"):
        new_case(tmp_path, "springs")
    assert [path.name for path in tmp_path.iterdir()] == ["test_mine.py"]


def test_a_new_case_runs_and_meets_its_reference(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(["new-case", "mine"]) == 0
    assert "next: scalespan run mine" in capsys.readouterr().out
    assert main(["run", "mine"]) == 0
    summary = json.loads((tmp_path / "mine" / "results" / "summary.json").read_text(encoding="utf-8"))
    checks = {check["name"]: check["passed"] for check in summary["checks"]}
    assert {"bond_mean", "bond_max"} <= checks.keys()
    assert all(checks.values())


@pytest.mark.slow
def test_a_new_qmmm_case_runs_and_conserves_energy(tmp_path: Path) -> None:
    for engine in ("openmm", "pyscf", "MDAnalysis"):
        pytest.importorskip(engine)
    new_case(tmp_path / "mine", "qmmm")
    assert main(["run", "--quiet", str(tmp_path / "mine")]) == 0
    summary = json.loads((tmp_path / "mine" / "results" / "summary.json").read_text(encoding="utf-8"))
    assert summary["values"]["steps"]["value"] == 10.0
    assert summary["checks"] and all(check["passed"] for check in summary["checks"])


@pytest.mark.parametrize("name", ["a/b c", 'q"', "x\ny"])
def test_a_case_name_with_odd_characters_is_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(OptionError, match="cannot be a case's name"):
        new_case(tmp_path / name, "springs")
