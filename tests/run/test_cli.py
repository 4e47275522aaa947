"""The commands as a shell sees them: what they print, where, and with which status they end."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from scalespan.bridges.run.cli import main

SCALESPAN = [sys.executable, "-c", "import sys; from scalespan.bridges.run.cli import main; sys.exit(main())"]

# An adapter beside the case; `{start}` runs when it is built, `{answer}` when it computes.
ADAPTER = '''
import logging
import numpy as np
from scalespan.adapters.interface import Options, ParticleAdapter, Results


class OwnAdapter(ParticleAdapter):
    """Nothing acts."""

    name = "own"
    Options = Options

    def __init__(self, options):
        {start}

    def _compute(self, atoms, wanted, charges):
        {answer}
'''
NOTHING = "return Results(energy=0.0, forces=np.zeros((len(atoms), 3)))"


def use_own(case: Path, start: str = "pass", answer: str = NOTHING) -> Path:
    """Let the case use an adapter of its own, and have no reference."""
    (case / "own.py").write_text(ADAPTER.format(start=start, answer=answer), encoding="utf-8")
    (case / "reference.toml").unlink()
    text = (case / "case.toml").read_text(encoding="utf-8")
    head, tail = text[: text.index("[model]")], text[text.index("[atoms]") :]
    (case / "case.toml").write_text(f'{head}[model]\nuse = "own"\n\n{tail}', encoding="utf-8")
    return case


def shell(*arguments: str, cwd: Path | None = None) -> subprocess.CompletedProcess[str]:
    return subprocess.run([*SCALESPAN, *arguments], cwd=cwd, capture_output=True, text=True, check=False)


def test_run_prints_its_checks_and_where_the_report_is(springs: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["run", str(springs)]) == 0
    said = capsys.readouterr()
    assert said.err == ""
    assert "bond_mean" in said.out
    assert f"report: {springs / 'results' / 'report.html'}" in said.out
    assert (springs / "results" / "report.html").is_file()


def test_quiet_prints_nothing(springs: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["run", "--quiet", str(springs)]) == 0
    said = capsys.readouterr()
    assert (said.out, said.err) == ("", "")


def test_report_is_written_again(springs: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["run", "-q", str(springs)]) == 0
    page = springs / "results" / "report.html"
    before = page.stat().st_size
    page.unlink()
    assert main(["report", str(springs / "case.toml")]) == 0
    assert str(page) in capsys.readouterr().out
    assert page.stat().st_size == pytest.approx(before, rel=0.1)


def test_report_without_results_says_what_to_do(springs: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["report", str(springs)]) == 2
    assert "scalespan run" in capsys.readouterr().err


def test_what_engines_say_is_kept_in_the_log(springs: Path) -> None:
    case = use_own(springs, start='logging.getLogger("scalespan.own").info("on the fast platform")')
    assert main(["run", "-q", str(case)]) == 0
    log = (case / "results" / "run.log").read_text(encoding="utf-8")
    assert log.count("on the fast platform") == 1
    assert "INFO" in log


def test_a_bug_is_one_sentence_with_status_1_and_a_traceback_on_disk(
    springs: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["run", "-q", str(use_own(springs, answer="return 1 / 0"))]) == 1
    said = capsys.readouterr().err
    kept = springs / "results" / "traceback.txt"
    assert said == (
        "scalespan: this is a bug in scalespan (ZeroDivisionError: division by zero);"
        f" please report it with the file {kept}\n"
    )
    assert "_compute" in kept.read_text(encoding="utf-8")


def test_debug_shows_the_traceback(springs: Path) -> None:
    ran = shell("--debug", "run", "-q", str(use_own(springs, answer="return 1 / 0")))
    assert ran.returncode == 1
    assert ran.stderr.startswith("Traceback")
    assert "ZeroDivisionError" in ran.stderr


def test_a_wrong_command_has_status_2_and_names_the_nearest() -> None:
    ran = shell("rnu")
    assert ran.returncode == 2
    assert "rnu" in ran.stderr and "'run'" in ran.stderr


def test_no_command_shows_the_help() -> None:
    ran = shell()
    assert "new-case" in ran.stdout + ran.stderr


@pytest.mark.parametrize("command", ["run", "check", "list", "new-adapter", "new-case", "report"])
def test_each_command_explains_itself_within_80_columns(
    command: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    assert main([command, "--help"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) > 5
    assert max(len(line) for line in lines) <= 80


def test_the_version_is_shown(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--version"]) == 0
    name, number = capsys.readouterr().out.split()
    assert name == "scalespan" and number[0].isdigit()


def test_list_names_adapters_bridges_and_tasks(
    springs: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "120")
    (springs / "wrecked.py").write_text("1 / 0\n", encoding="utf-8")
    (springs / "test_wrecked.py").write_text("", encoding="utf-8")
    assert main(["list", str(springs)]) == 0
    lines = capsys.readouterr().out.splitlines()
    status = {line.split()[0]: line.split()[1] for line in lines if len(line.split()) > 2}
    assert status["harmonic"] == "ready"
    assert status["wrecked"] == "broken"
    assert "test_wrecked" not in status
    assert {"Adapters", "Bridges", "Tasks"} <= {line.strip() for line in lines}
    assert {"dynamics", "single-point", "minimise", "vibrations", "scan"} <= status.keys()


def test_a_command_runs_from_any_folder(springs: Path, tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    ran = shell("run", "-q", os.path.relpath(springs, elsewhere), cwd=elsewhere)
    assert (ran.returncode, ran.stdout, ran.stderr) == (0, "", "")
    assert list(elsewhere.iterdir()) == []
    assert (springs / "results" / "summary.json").is_file()


@pytest.mark.parametrize("arguments", [["--version"], ["check"]])
def test_starting_is_quick_because_nothing_heavy_is_imported(springs: Path, arguments: list[str]) -> None:
    code = f"""
import sys
from scalespan.bridges.run.cli import main
assert main({arguments + ([str(springs)] if arguments == ["check"] else [])!r}) == 0
print("heavy:", *sorted({{"openmm", "pyscf", "MDAnalysis", "matplotlib"}} & sys.modules.keys()))
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "heavy:"


@pytest.mark.skipif(sys.platform == "win32", reason="signals")
def test_ctrl_c_ends_with_130_and_keeps_what_there_is(springs: Path) -> None:
    text = (springs / "case.toml").read_text(encoding="utf-8")
    (springs / "case.toml").write_text(text.replace('duration = "100 fs"', 'duration = "1000000 fs"'), encoding="utf-8")
    running = subprocess.Popen([*SCALESPAN, "run", "-q", str(springs)], stderr=subprocess.PIPE, text=True)
    restart = springs / "results" / "restart.npz"
    deadline = time.monotonic() + 60.0
    while not restart.is_file() and time.monotonic() < deadline:
        time.sleep(0.05)
    running.send_signal(signal.SIGINT)
    _, said = running.communicate(timeout=60)
    assert running.returncode == 130
    assert said == f"scalespan: stopped; to go on: scalespan run {springs} --restart\n"
    assert restart.is_file()
    assert json.loads((springs / "results" / "summary.json").read_text(encoding="utf-8"))["status"] == "interrupted"
