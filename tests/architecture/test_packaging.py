"""What is in the checkout is in the wheel, and importing it does nothing."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import Any

import pytest

DATA = {".py", ".typed", ".html", ".tmpl"}


@pytest.fixture(scope="module")
def wheel(root: Path, tmp_path_factory: pytest.TempPathFactory) -> set[str]:
    """The names in the wheel, built from a copy so that the checkout stays clean."""
    copy = tmp_path_factory.mktemp("copy")
    ignore = shutil.ignore_patterns("__pycache__", "*.egg-info")
    for name in ("adapters", "bridges"):
        shutil.copytree(root / name, copy / name, ignore=ignore)
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(root / name, copy / name)
    command = [sys.executable, "-m", "pip", "wheel", "--quiet", "--disable-pip-version-check", "--no-index"]
    command += ["--no-build-isolation", "--no-deps", "--wheel-dir", str(copy / "out"), str(copy)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    (built,) = (copy / "out").glob("scalespan-*.whl")
    return set(zipfile.ZipFile(built).namelist())


def test_every_module_is_in_the_wheel(root: Path, wheel: set[str]) -> None:
    files = [path for name in ("adapters", "bridges") for path in (root / name).rglob("*")]
    kept = [path for path in files if path.is_file() and path.suffix in DATA and "__pycache__" not in path.parts]
    expected = {f"scalespan/{path.relative_to(root).as_posix()}" for path in kept}
    assert {name for name in wheel if name.startswith("scalespan/")} == expected


def test_every_file_is_of_a_kind_that_is_packaged(root: Path) -> None:
    files = [path for name in ("adapters", "bridges") for path in (root / name).rglob("*")]
    strange = [str(p.relative_to(root)) for p in files if p.is_file() and p.suffix not in DATA | {".pyc"}]
    assert not strange, "name their suffix in [tool.setuptools.package-data]"


def test_the_packages_listed_are_the_folders_there_are(root: Path, project: dict[str, Any]) -> None:
    inits = [path for name in ("adapters", "bridges") for path in (root / name).rglob("__init__.py")]
    folders = {"scalespan." + ".".join(path.parent.relative_to(root).parts) for path in inits}
    assert sorted(folders) == sorted(project["tool"]["setuptools"]["packages"])


def test_both_packages_say_that_they_are_typed(wheel: set[str]) -> None:
    assert {"scalespan/adapters/py.typed", "scalespan/bridges/py.typed"} <= wheel


def test_scalespan_itself_is_a_namespace(wheel: set[str]) -> None:
    assert "scalespan/__init__.py" not in wheel


IMPORT_ALL = """
import importlib, pkgutil, sys
path = list(sys.path)
import scalespan.adapters, scalespan.bridges
for package in (scalespan.adapters, scalespan.bridges):
    for each in pkgutil.walk_packages(package.__path__, package.__name__ + "."):
        importlib.import_module(each.name)
assert sys.path == path, "an import changed sys.path"
"""


def test_importing_everything_prints_nothing(tree: Path, tmp_path: Path) -> None:
    env = os.environ | {"PYTHONPATH": str(tree)}
    done = subprocess.run(
        [sys.executable, "-c", IMPORT_ALL], cwd=tmp_path, env=env, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert (done.stdout, done.stderr) == ("", "")
    assert not list(tmp_path.iterdir()), "an import wrote files"


def test_the_interface_imports_no_engine(tree: Path) -> None:
    code = (
        "import sys, scalespan.adapters.interface, scalespan.bridges.interface\n"
        "print(*{'openmm', 'pyscf', 'tblite', 'MDAnalysis', 'pint', 'precice', 'mpi4py'} & set(sys.modules))"
    )
    env = os.environ | {"PYTHONPATH": str(tree)}
    done = subprocess.run([sys.executable, "-c", code], env=env, capture_output=True, text=True, check=True)
    assert done.stdout.split() == []


def test_the_changelog_starts_with_this_version(root: Path, project: dict[str, Any]) -> None:
    found = re.search(r"^## \[?v?(\d+\.\d+\.\d+)", (root / "CHANGELOG.md").read_text(), re.MULTILINE)
    assert found is not None
    assert found[1] == project["project"]["version"]
