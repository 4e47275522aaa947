"""The checkout, and a folder in which its two packages lie as they are imported."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[2]
PACKAGES = ("adapters", "bridges")


@pytest.fixture(scope="session")
def root() -> Path:
    return ROOT


@pytest.fixture(scope="session")
def project() -> dict[str, Any]:
    """What pyproject.toml says."""
    return tomllib.loads((ROOT / "pyproject.toml").read_text())


@pytest.fixture(scope="session")
def sources() -> list[Path]:
    """Every module of the two packages."""
    found = [path for package in PACKAGES for path in sorted((ROOT / package).rglob("*.py"))]
    assert len(found) > 10
    return found


@pytest.fixture(scope="session")
def tree(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder to put on a search path, where scalespan/adapters and scalespan/bridges are this checkout's."""
    folder = tmp_path_factory.mktemp("tree")
    (folder / "scalespan").mkdir()
    for package in PACKAGES:
        (folder / "scalespan" / package).symlink_to(ROOT / package)
    return folder
