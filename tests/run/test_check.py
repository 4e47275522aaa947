"""What `check` finds and shows before anything runs."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from rich.console import Console

from scalespan.adapters.interface import CaseError, Table
from scalespan.bridges.run.case import read
from scalespan.bridges.run.check import check, checks_table, shown, tree
from scalespan.bridges.run.cli import main
from scalespan.bridges.run.results import Check

FILES = ["README.md", "case.toml", "input", "reference.toml"]

# An adapter whose audit has something to show, and to refuse.
AUDITED = '''
from ase import Atoms
from scalespan.adapters.interface import AtomsError, Options, ParticleAdapter, Results, Table
import numpy as np


class AuditedAdapter(ParticleAdapter):
    """Nothing acts."""

    name = "audited"
    Options = Options

    def __init__(self, options):
        pass

    def _compute(self, atoms, wanted, charges):
        return Results(energy=0.0, forces=np.zeros((len(atoms), 3)))

    def audit(self, atoms):
        if len(atoms) > 2:
            raise AtomsError("three is a crowd", where="audited")
        return [Table("Who computes what", ("term", "by"), (("bond [1]", "nobody"),), "each once")]
'''


def audited(case: Path) -> Path:
    (case / "audited.py").write_text(AUDITED, encoding="utf-8")
    text = (case / "case.toml").read_text(encoding="utf-8")
    head, tail = text[: text.index("[model]")], text[text.index("[atoms]") :]
    (case / "case.toml").write_text(f'{head}[model]\nuse = "audited"\n\n{tail}', encoding="utf-8")
    return case


def test_check_runs_nothing_and_writes_nothing(springs: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["check", str(springs)]) == 0
    said = capsys.readouterr()
    assert f"ready: scalespan run {springs}" in said.out
    assert said.err == ""
    assert sorted(path.name for path in springs.iterdir()) == FILES


def test_check_shows_the_audit_of_the_model(springs: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["check", str(audited(springs))]) == 0
    said = capsys.readouterr().out
    for text in ("Who computes what", "bond [1]", "nobody", "each once"):
        assert text in said


@pytest.mark.parametrize("command", ["check", "run"])
def test_what_the_audit_refuses_does_not_run(springs: Path, command: str, capsys: pytest.CaptureFixture[str]) -> None:
    (springs / "input" / "molecule.xyz").write_text("3\n\nC 0 0 0\nO 1 0 0\nO 2 0 0\n", encoding="utf-8")
    assert main([command, str(audited(springs))]) == 2
    assert capsys.readouterr().err == "scalespan: audited: three is a crowd\n"
    assert not (springs / "results").exists()


def test_the_overview_names_model_atoms_and_task(springs: Path) -> None:
    overview = dict(check(read(springs)).tables[0].rows)  # type: ignore[arg-type]  # its rows are pairs
    assert overview["model"] == "harmonic"
    assert overview["atoms"] == "2: CO"
    assert overview["cell"] == "none"
    assert overview["task"] == "dynamics"
    assert overview["reference numbers"] == "2"


def test_a_nested_model_is_shown_as_a_tree() -> None:
    model = {"use": "a", "low": {"use": "b", "options": {}}, "high": {"use": "c", "low": {"use": "d"}}}
    assert tree(model) == "a (low: b, high: c (low: d))"


def test_results_that_are_a_file_are_refused(springs: Path) -> None:
    (springs / "results").write_text("notes", encoding="utf-8")
    with pytest.raises(CaseError, match="results is not a folder; move it away"):
        check(read(springs))


def test_a_copy_of_a_case_needs_nothing_else(springs: Path, tmp_path: Path) -> None:
    copy = shutil.copytree(springs, tmp_path / "elsewhere" / "copy")
    shutil.rmtree(springs)
    assert main(["check", str(copy)]) == 0


def printed(table: Table) -> str:
    console = Console(width=100)
    with console.capture() as capture:
        console.print(shown(table))
    return capture.get()


def test_failed_checks_are_counted_and_marked() -> None:
    good = Check("a", 1.0, 1.0, 0.1, "eV", "somewhere")
    bad = Check("b", 1.2, 1.0, 0.1, "eV", "elsewhere")
    assert "all 1 are within the tolerance" in printed(checks_table([good]))
    said = printed(checks_table([good, bad]))
    assert "1 of 2 are outside the tolerance" in said
    assert any("b " in line and "NO" in line for line in said.splitlines())
