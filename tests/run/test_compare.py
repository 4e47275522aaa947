"""The comparison of variants: each is the single point that a case of its own would give."""

from __future__ import annotations

from pathlib import Path

import pytest

from scalespan.adapters.interface import OptionError, UnitError
from scalespan.bridges.run import tasks
from scalespan.bridges.run.case import read
from scalespan.bridges.run.check import check

from .three_atoms import AWAY, case_of, outcome_of, summary_of

STIFFER = '"model.springs" = [{ atoms = [0, 1], stiffness = "40 eV/angstrom**2", length = "1.4 angstrom" }]'
TASK = f"""
[task]
kind = "compare"

[[task.variants]]
name = "as it is"

[[task.variants]]
name = "one spring"
set = {{ {STIFFER} }}

[[task.states]]
name = "here"

[[task.states]]
name = "there"
set = {{ "atoms.file" = "there.xyz" }}
"""
THERE = "3\n\nC -1.35 0.05 0\nO 0 0.9 0\nC 1.1 0 0.02\n"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    found = case_of(tmp_path / "case", TASK)
    (found / "there.xyz").write_text(THERE)
    return found


def alone(folder: Path, atoms: str, springs: str | None) -> float:
    """Return the energy (eV) of one variant in a case of its own."""
    case_of(folder, '[task]\nkind = "single-point"', atoms)
    if springs:
        text = (folder / "case.toml").read_text()
        start, end = text.index("[[model.springs]]"), text.index("[atoms]")
        (folder / "case.toml").write_text(f"{text[:start]}{text[end:]}".replace("[model]", f"[model]\n{springs}"))
    return outcome_of(folder).values["energy"].value


def test_each_variant_in_each_state_is_its_own_single_point(folder: Path, tmp_path: Path) -> None:
    found = outcome_of(folder).values
    spring = STIFFER.replace('"model.springs"', "springs")
    for variant, springs in (("as it is", None), ("one spring", spring)):
        for state, atoms in (("here", AWAY), ("there", THERE)):
            expected = alone(tmp_path / f"{variant} {state}", atoms, springs)
            assert found[f"energy_{variant}_{state}"].value == expected
        gap = found[f"energy_{variant}_there"].value - found[f"energy_{variant}_here"].value
        assert found[f"difference_{variant}"].value == pytest.approx(gap, abs=1e-14)


def test_the_check_builds_every_variant(folder: Path) -> None:
    text = (folder / "case.toml").read_text()
    (folder / "case.toml").write_text(text.replace("40 eV/angstrom**2", "40 eV"))
    with pytest.raises(UnitError, match=r"variant 'one spring_here': .*springs.0.stiffness: '40 eV' has the unit"):
        check(read(folder))


def test_a_restart_does_only_what_is_left(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = outcome_of(folder).values
    answer, asked = tasks.Compare._answer, []

    def interrupted(self, variant, change, state):
        asked.append(change.name)
        if len(asked) == 3:
            raise KeyboardInterrupt
        return answer(self, variant, change, state)

    monkeypatch.setattr(tasks.Compare, "_answer", interrupted)
    with pytest.raises(KeyboardInterrupt):
        outcome_of(folder)
    assert outcome_of(folder, restart=True).values == whole
    assert len(asked) == 5, "two before the interruption, the broken one, and two after it"


def test_the_report_draws_the_differences(folder: Path) -> None:
    from scalespan.bridges.run import report

    outcome_of(folder)
    assert summary_of(folder)["notes"]["states"] == ["here", "there"]
    assert "Side by side: there − here" in report.write(folder).read_text(encoding="utf-8")


def test_wrong_keys_are_sentences(tmp_path: Path) -> None:
    for spoiled, says in (
        (TASK.replace('"atoms.file"', '"title"'), "'title' is no key of .model. or .atoms."),
        (TASK.replace('"one spring"', '"as it is"'), "two are called 'as it is'"),
    ):
        with pytest.raises(OptionError, match=says):
            read(case_of(tmp_path / "case", spoiled))
