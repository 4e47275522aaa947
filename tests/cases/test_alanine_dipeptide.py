"""The case alanine_dipeptide refuses the charge schemes that its region has no use for."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from scalespan.bridges.run.cli import main

CASE = Path(__file__).parents[2] / "cases" / "alanine_dipeptide"


@pytest.mark.parametrize(("scheme", "status"), [("RCD", 2), ("balanced-RC", 0), ("balanced-CS", 0)])
def test_only_balanced_schemes_are_taken(
    scheme: str, status: int, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    case = shutil.copytree(CASE, tmp_path / "case", ignore=shutil.ignore_patterns("results*"))
    text = (case / "case.toml").read_text(encoding="utf-8")
    (case / "case.toml").write_text(text.replace('"balanced-RCD"', f'"{scheme}"'), encoding="utf-8")
    assert main(["check", str(case)]) == status
    assert ("-0.0294 e" in capsys.readouterr().err) == (status == 2)
