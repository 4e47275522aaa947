"""Coupled cases meet preCICE's guidelines for application cases and for adapters' configuration (version 0.4)."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from scalespan.bridges.run.coupled import CoupledCase, read
from scalespan.bridges.run.coupled.guidelines import case_files, write_case_files

from .faulty import faulty

CASES = Path(__file__).parents[3] / "cases"
COUPLED = sorted(path.parent for path in CASES.glob("*/precice-config.xml"))


@pytest.fixture(params=COUPLED, ids=lambda path: path.name)
def case(request: pytest.FixtureRequest) -> CoupledCase:
    found = read(request.param)
    assert isinstance(found, CoupledCase)
    return found


def test_there_are_cases() -> None:
    assert len(COUPLED) >= 4


def test_r2_r8_r9_the_files_are_those_that_the_case_gives(case: CoupledCase) -> None:
    for relative, text in case_files(case).items():
        path = case.folder / relative
        assert path.is_file(), "write it: python -m scalespan.bridges.run.coupled.guidelines cases/NAME"
        assert path.read_text(encoding="utf-8") == text
        assert os.access(path, os.X_OK) == (path.suffix == ".sh")


def test_r2_solvers_start_in_their_own_folders(case: CoupledCase) -> None:
    assert {each.folder for each in case.config.connections} == {".."}


def test_r3_the_readme_has_the_sections(case: CoupledCase) -> None:
    text = (case.folder / "README.md").read_text(encoding="utf-8")
    wanted = {"Setup", "Configuration", "Solvers", "Running", "Post-processing"}
    assert wanted <= set(re.findall(r"^## (.*)$", text, re.MULTILINE))


def test_r5_precices_formatter_changes_nothing(case: CoupledCase, tmp_path: Path) -> None:
    unchanged_by_the_formatter(case.xml, tmp_path)


def test_r5_a_new_case_is_formatted(tmp_path: Path) -> None:
    unchanged_by_the_formatter(faulty(tmp_path) / "precice-config.xml", tmp_path)


def unchanged_by_the_formatter(xml: Path, folder: Path) -> None:
    """By version 2, which `precice-cli config format` calls."""
    formatter = shutil.which("precice-config-format")
    if formatter is None:
        pytest.skip("precice-config-format is not installed")
    copy = folder / "copy.xml"
    shutil.copy(xml, copy)
    done = subprocess.run([formatter, copy], capture_output=True, check=False, timeout=60.0)
    assert done.returncode == 0, done.stderr
    assert copy.read_bytes() == xml.read_bytes()


def test_r6_the_offline_check_finds_nothing(case: CoupledCase) -> None:
    checker = shutil.which("precice-config-check")
    if checker is None:
        pytest.skip("precice-config-check is not installed")
    done = subprocess.run([checker, str(case.xml)], capture_output=True, text=True, check=False, timeout=60.0)
    assert "logical issues" in done.stdout
    assert not re.search(r">>> .*(ERROR|WARNING)", done.stdout)  # what it only remarks is for its debug mode


def test_r7_names_are_sub_domains_with_an_upper_case_start(case: CoupledCase) -> None:
    config = case.config
    names = [each.name for each in (*config.participants, *config.data, *config.meshes)]
    assert [name for name in names if not re.fullmatch(r"[A-Z][A-Za-z0-9]*(-[A-Z0-9][A-Za-z0-9]*)*", name)] == []
    provided = {mesh: each.name for each in config.participants for mesh in each.provides}
    assert [mesh for mesh, owner in provided.items() if not mesh.startswith(f"{owner}-Mesh")] == []


def test_a7_scripts_stop_at_the_first_error(case: CoupledCase) -> None:
    for path in case.folder.rglob("*.sh"):
        assert path.read_text(encoding="utf-8").startswith("#!/usr/bin/env bash\nset -e -u\n")


def test_adapter_r10_the_configuration_follows_the_schema(case: CoupledCase) -> None:
    schema = pytest.importorskip("preciceadapterschema", reason="precice-adapter-schema is not installed")
    configs = [json.loads(text) for path, text in case_files(case).items() if path.suffix == ".json"]
    assert {each["participant_name"] for each in configs} == set(case.parts)
    for each in configs:
        schema.validate(each)


def test_a_new_case_carries_its_files_and_cleans_up(tmp_path: Path) -> None:
    folder = faulty(tmp_path)
    assert (folder / "Left" / "run.sh").read_text(encoding="utf-8").endswith('run .. --participant Left "$@"\n')
    (folder / "clean.sh").unlink()
    found = read(folder)
    assert isinstance(found, CoupledCase)
    assert folder / "clean.sh" in write_case_files(found)
    for litter in ("results/Left", "precice-run/x", "Left/precice-profiling"):
        (folder / litter).mkdir(parents=True)
    subprocess.run([folder / "clean.sh"], check=True)
    assert {path.name for path in folder.iterdir() if path.is_dir()} - {"__pycache__"} == {"Left", "Right"}
    assert not (folder / "Left" / "precice-profiling").exists()
