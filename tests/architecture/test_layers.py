"""Who may import whom: the contracts of pyproject.toml are kept, are complete, and do catch."""

from __future__ import annotations

import ast
import os
import pkgutil
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

LINT = "from importlinter.cli import lint_imports; raise SystemExit(lint_imports(no_cache=True))"
BRIDGES = "Bridges know adapters only by their interface"  # a contract's name in pyproject.toml
ENGINES = {"openmm", "pyscf", "tblite", "dolfinx", "petsc4py", "gpu4pyscf"}


def lint(root: Path, tree: Path) -> subprocess.CompletedProcess[str]:
    env = os.environ | {"PYTHONPATH": str(tree)}
    return subprocess.run([sys.executable, "-c", LINT], cwd=root, env=env, capture_output=True, text=True, check=False)


def imported(path: Path) -> Iterator[str]:
    """Yield the absolute names that a file imports, at any depth."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.level == 0 and node.module:
            yield node.module


def tops(path: Path) -> set[str]:
    return {name.partition(".")[0] for name in imported(path)}


def test_the_contracts_are_kept(root: Path, tree: Path) -> None:
    done = lint(root, tree)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize(
    ("file", "line", "contract"),
    [
        ("adapters/harmonic.py", "import scalespan.bridges.interface", "Adapters know no bridge"),
        ("adapters/ase.py", "from .harmonic import HarmonicAdapter", "No adapter knows another"),
        ("adapters/interface/data.py", "from .. import harmonic", "The interfaces know no implementation"),
        (
            "bridges/interface/bridge.py",
            "import scalespan.adapters.ase",
            "Bridges know adapters only by their interface",
        ),
        ("bridges/run/__init__.py", "import pyscf", BRIDGES),
    ],
)
def test_the_contracts_catch(root: Path, tmp_path: Path, file: str, line: str, contract: str) -> None:
    ignore = shutil.ignore_patterns("__pycache__")
    for package in ("adapters", "bridges"):
        shutil.copytree(root / package, tmp_path / "scalespan" / package, ignore=ignore)
    with (tmp_path / "scalespan" / file).open("a") as source:
        source.write(f"\n{line}\n")
    done = lint(root, tmp_path)
    assert done.returncode != 0
    assert f"{contract} BROKEN" in done.stdout


@pytest.fixture(scope="module")
def contracts(project: dict[str, Any]) -> dict[str, dict[str, Any]]:
    return {each["name"]: each for each in project["tool"]["importlinter"]["contracts"]}


@pytest.mark.parametrize(
    ("contract", "key"),
    [
        ("No adapter knows another", "modules"),
        (BRIDGES, "forbidden_modules"),
        ("The interfaces know no implementation", "forbidden_modules"),
    ],
)
def test_every_adapter_is_in_every_contract(
    root: Path, contracts: dict[str, dict[str, Any]], contract: str, key: str
) -> None:
    adapters = {f"scalespan.adapters.{each.name}" for each in pkgutil.iter_modules([str(root / "adapters")])}
    lacking = adapters - {"scalespan.adapters.interface"} - set(contracts[contract][key])
    assert not lacking, f"add to the contract '{contract}' of pyproject.toml: {sorted(lacking)}"


def test_bridges_import_no_engine(root: Path, sources: list[Path]) -> None:
    found = {str(p.relative_to(root)): tops(p) & ENGINES for p in sources if p.is_relative_to(root / "bridges")}
    assert not {path: engines for path, engines in found.items() if engines}


def test_one_file_imports_precice(root: Path, sources: list[Path]) -> None:
    found = {str(path.relative_to(root)) for path in sources if "precice" in tops(path)}
    assert found <= {"bridges/run/precice.py"}


def test_one_file_touches_the_world_communicator(root: Path, sources: list[Path]) -> None:
    found = {str(path.relative_to(root)) for path in sources if "COMM_WORLD" in path.read_text()}
    assert found <= {"bridges/run/parallel.py"}
    importing = {str(path.relative_to(root)) for path in sources if "mpi4py" in tops(path)}
    assert not {path for path in importing if path.startswith("bridges/") and not path.startswith("bridges/run/")}


def test_a_package_imports_itself_relatively_or_by_its_full_name(root: Path, sources: list[Path]) -> None:
    # "import adapters" works in the checkout only, and there it makes a second copy of every class.
    found = {str(path.relative_to(root)): tops(path) & {"adapters", "bridges"} for path in sources}
    assert not {path: names for path, names in found.items() if names}


def test_only_the_command_line_prints_and_exits(root: Path, sources: list[Path]) -> None:
    found = []
    for path in sources:
        if path.is_relative_to(root / "bridges" / "run"):
            continue
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Call) and ast.unparse(node.func) in ("print", "sys.exit", "exit", "quit"):
                found.append(f"{path.relative_to(root)}:{node.lineno}")
    assert not found
