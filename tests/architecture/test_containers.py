"""The environment: its three lists name the same packages, and `containers/enter` keeps its promises."""

from __future__ import annotations

import os
import re
import runpy
import shutil
import subprocess
from pathlib import Path

import pytest

# What conda-forge calls what PyPI calls otherwise.
ON_CONDA = {"matplotlib": "matplotlib-base", "tblite": "tblite-python"}

# What conda-forge calls Debian's packages; a browser, a font and an image's process 1 are not its affair.
DEBIAN_ON_CONDA = {
    "g++": "cxx-compiler",
    "libopenblas0-openmp": "libblas",
    "openmpi-bin": "openmpi",
    "python3": "python",
    "python3-dolfinx": "fenics-dolfinx",
    "python3-dolfinx-mpc": "dolfinx_mpc",
    "python3-gmsh": "python-gmsh",
    "python3-venv": "pip",
}
ONLY_DEBIAN = {"ca-certificates", "chromium", "fonts-dejavu-core", "tini"}


def split(requirement: str) -> tuple[str, str]:
    """Return name and version: ``ase>=3.26`` gives ``ase``, ``>=3.26``."""
    found = re.match(r"[\w.-]+", requirement)
    assert found is not None, requirement
    return found[0].lower(), requirement[found.end() :].replace(" ", "")


@pytest.fixture(scope="module")
def conda(root: Path) -> dict[str, str]:
    """The packages of environment.yml and their versions."""
    lines = (root / "containers" / "environment.yml").read_text().partition("dependencies:")[2].splitlines()
    return dict(split(line.strip("- ")) for line in lines if re.match(r" +- \w", line) and not line.endswith(":"))


@pytest.fixture(scope="module")
def pypi(root: Path) -> list[str]:
    """Every requirement of pyproject.toml, as the tree and the image install them."""
    listed: list[str] = runpy.run_path(str(root / "containers" / "requirements.py"))["requirements"](
        root / "pyproject.toml"
    )
    return listed


@pytest.fixture(scope="module")
def debian(root: Path) -> set[str]:
    """The packages of apt.txt."""
    lines = (root / "containers" / "apt.txt").read_text().splitlines()
    return {name for line in lines if (name := line.partition("#")[0].strip())}


def enter(root: Path, *command: str, **env: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [root / "containers" / "enter", *command], env=os.environ | env, capture_output=True, text=True, check=False
    )


def test_conda_has_every_requirement_of_pyproject(conda: dict[str, str], pypi: list[str]) -> None:
    versions: dict[str, set[str]] = {}
    for name, version in map(split, pypi):  # a test may ask for a newer one than scalespan itself
        versions.setdefault(name, set()).add(version)
    for name, accepted in versions.items():
        assert conda.get(ON_CONDA.get(name, name)) in accepted, name


def test_conda_has_every_package_of_debian(conda: dict[str, str], debian: set[str]) -> None:
    for name in debian - ONLY_DEBIAN:
        assert DEBIAN_ON_CONDA.get(name, name.removeprefix("python3-")) in conda


def test_no_name_is_explained_that_is_not_listed(debian: set[str], pypi: list[str]) -> None:
    assert DEBIAN_ON_CONDA.keys() | ONLY_DEBIAN <= debian
    assert ON_CONDA.keys() <= {split(requirement)[0] for requirement in pypi}


def test_the_requirements_hold_every_extra_and_not_scalespan_itself(pypi: list[str]) -> None:
    names = {split(requirement)[0] for requirement in pypi}
    assert {"setuptools", "numpy", "openmm", "pyscf", "pytest", "sphinx"} <= names
    assert "scalespan" not in names


@pytest.mark.parametrize("script", ["containers/enter", "containers/python.sh", ".ci/run"])
def test_scripts_can_be_run(root: Path, script: str) -> None:
    assert os.access(root / script, os.X_OK)
    assert subprocess.run(["bash", "-n", root / script], check=False).returncode == 0


def test_without_a_command_it_says_how_it_is_called(root: Path) -> None:
    done = enter(root)
    assert (done.returncode, done.stdout) == (2, "")
    assert "usage: containers/enter COMMAND" in done.stderr


def test_an_unknown_way_is_refused(root: Path) -> None:
    done = enter(root, "true", SCALESPAN_ENTER="cloud")
    assert done.returncode == 2
    assert "SCALESPAN_ENTER=cloud is none of here, container, tree" in done.stderr


def test_an_unknown_suite_of_debian_is_refused(root: Path) -> None:
    done = enter(root, "true", SCALESPAN_DEBIAN="buster")
    assert done.returncode == 2
    assert "SCALESPAN_DEBIAN=buster is none of trixie, sid" in done.stderr


def test_an_environment_that_is_there_is_no_suite_that_was_asked_for(root: Path) -> None:
    done = enter(root, "true", SCALESPAN_ENTER="here", SCALESPAN_DEBIAN="sid")
    assert done.returncode == 3
    assert "SCALESPAN_DEBIAN=sid asks for an image or a tree" in done.stderr


# Writes down how it is called; starts containers, has no image and builds none.
ENGINE = """#!/bin/sh
echo "$@" >>"$(dirname "$0")/calls"
case "$1 $2" in "image inspect" | build*) exit 1 ;; import*) cat >/dev/null ;; esac
"""


def image_asked_for(root: Path, folder: Path, **env: str) -> tuple[str, str]:
    """Return the name and the base of the image that a docker or podman would be told to build."""
    folder.mkdir()
    (folder / "podman").write_text(ENGINE)
    (folder / "podman").chmod(0o755)
    path, cache = f"{folder}:{os.environ['PATH']}", str(folder / "cache")
    done = enter(root, "true", SCALESPAN_ENTER="container", PATH=path, XDG_CACHE_HOME=cache, **env)
    assert (done.returncode, "could not build the image" in done.stderr) == (3, True)
    calls = (folder / "calls").read_text()
    found = re.search(r"^build .*--tag (\S+) .*--build-arg BASE=(\S+)", calls, re.MULTILINE)
    assert found is not None, calls
    return found[1], found[2]


def test_each_suite_of_debian_has_an_image_of_its_own(root: Path, tmp_path: Path) -> None:
    stable, base = image_asked_for(root, tmp_path / "stable")
    unstable, other = image_asked_for(root, tmp_path / "unstable", SCALESPAN_DEBIAN="sid")
    assert (base, other) == ("docker.io/library/debian:trixie-slim", "docker.io/library/debian:sid-slim")
    assert stable != unstable


def test_a_base_of_ones_own_is_taken(root: Path, tmp_path: Path) -> None:
    assert image_asked_for(root, tmp_path / "own", SCALESPAN_BASE="localhost/debian:sid")[1] == "localhost/debian:sid"


def test_where_nothing_works_it_says_why_and_what_to_do(root: Path, tmp_path: Path) -> None:
    for program in ("bash", "dirname", "sed", "awk", "cat", "sha256sum", "cut", "uname", "nproc", "xargs", "id"):
        (tmp_path / program).symlink_to(shutil.which(program) or pytest.fail(program))
    done = enter(root, "true", SCALESPAN_ENTER="container", PATH=str(tmp_path))
    assert done.returncode == 3
    assert "no docker or podman can start a container" in done.stderr
    assert "containers/environment.yml" in done.stderr


inside = pytest.mark.skipif(
    not Path("/scalespan/python").exists(), reason="this is a conda environment, which containers/enter does not make"
)


@pytest.fixture(scope="module")
def clone(root: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A second checkout, with a module that the first has not."""
    copy = tmp_path_factory.mktemp("clone")
    for name in ("adapters", "bridges", "containers"):
        shutil.copytree(root / name, copy / name, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(root / name, copy / name)
    return copy


@inside
def test_each_checkout_sees_its_own_code_and_new_files_at_once(clone: Path, tmp_path: Path) -> None:
    code = "import scalespan.adapters.dropped_in as module; print(module.__file__)"
    assert enter(clone, "python", "-c", code, XDG_CACHE_HOME=str(tmp_path)).returncode == 1
    (clone / "adapters" / "dropped_in.py").touch()
    done = enter(clone, "python", "-c", code, XDG_CACHE_HOME=str(tmp_path))
    assert done.stdout.strip() == str(clone / "adapters" / "dropped_in.py")


@inside
def test_entering_leaves_the_checkout_as_it_was(clone: Path, tmp_path: Path) -> None:
    before = sorted(clone.iterdir())
    assert enter(clone, "true", XDG_CACHE_HOME=str(tmp_path)).returncode == 0
    assert sorted(clone.iterdir()) == before


@inside
def test_folder_input_and_status_pass_through(root: Path, tmp_path: Path) -> None:
    command = [str(root / "containers" / "enter"), "sh", "-c", "pwd; cat; exit 7"]
    done = subprocess.run(command, cwd=tmp_path, input="hello", capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (7, f"{tmp_path}\nhello")


@inside
@pytest.mark.parametrize(
    ("env", "printed"),
    [({}, "all all"), ({"OMP_NUM_THREADS": "3"}, "3 3"), ({"OPENMM_CPU_THREADS": "3"}, "3 3")],
    ids=["nothing set", "one set", "the other set"],
)
def test_the_two_thread_pools_agree(
    root: Path, monkeypatch: pytest.MonkeyPatch, env: dict[str, str], printed: str
) -> None:
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    monkeypatch.delenv("OPENMM_CPU_THREADS", raising=False)
    done = enter(root, "printenv", "OMP_NUM_THREADS", "OPENMM_CPU_THREADS", **env)
    assert done.stdout.split() == printed.replace("all", str(len(os.sched_getaffinity(0)))).split()


@inside
@pytest.mark.parametrize("program", ["pytest", "mpirun", "mpiexec"])
def test_programs_of_many_processes_get_one_thread_each(
    root: Path, monkeypatch: pytest.MonkeyPatch, program: str
) -> None:
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    monkeypatch.delenv("OPENMM_CPU_THREADS", raising=False)
    assert enter(root, "printenv", "OMP_NUM_THREADS", program).stdout == "1\n"
