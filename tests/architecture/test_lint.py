"""The linters have nothing to say: ruff on all of the checkout, mypy (strict) on the two packages."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest


def run(root: Path, *command: str, **env: str) -> None:
    done = subprocess.run(
        [sys.executable, "-m", *command], cwd=root, env=os.environ | env, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_ruff_check(root: Path) -> None:
    run(root, "ruff", "check", "--no-cache", ".")


def test_ruff_format(root: Path) -> None:
    run(root, "ruff", "format", "--check", "--no-cache", ".")


@pytest.mark.slow
def test_mypy(root: Path, tree: Path, pytestconfig: pytest.Config) -> None:
    # An editable install is a finder, which mypy does not follow: it gets the packages as folders.
    cache = pytestconfig.cache.mkdir("mypy") if pytestconfig.cache else tree
    run(root, "mypy", "--cache-dir", str(cache), MYPYPATH=str(tree))
