"""Case directories for the tests of `scalespan.bridges.run`."""

from __future__ import annotations

from pathlib import Path

import pytest

from scalespan.bridges.run.scaffold import new_case


@pytest.fixture
def springs(tmp_path: Path) -> Path:
    """A case that needs no engine and runs in a moment."""
    case = tmp_path / "springs"
    new_case(case, "springs")
    return case
