"""A handshake as a case: DOLFINx and an ASE calculator, on ranks, restarted, and when one of them dies."""

from __future__ import annotations

import json
import time
from pathlib import Path

import numpy as np
import pytest

from scalespan.adapters.interface import CaseError, CouplingError, State
from scalespan.adapters.interface.units import FEMTOSECOND
from scalespan.bridges.run.coupled import rules
from scalespan.bridges.run.coupled.doing import joint_checks
from scalespan.bridges.run.coupled.restart import kept, state_name
from scalespan.bridges.run.results import Value

from .faulty import alive, fell
from .small_pulse import WINDOW, in_one_process, small_pulse
from .test_faults import IN_TIME
from .test_restart_coupled import go

pytest.importorskip("dolfinx", reason="DOLFINx is not installed: conda install -c conda-forge fenics-dolfinx")


def end_of(case: Path, windows: int) -> State:
    """Return the atoms' last state."""
    return kept(case / "results" / "Atoms" / state_name(windows, 0))[1]


def largest_error(case: Path, windows: int) -> float:
    """Return the largest distance (Å) of an atom, or of a site that follows the mesh, from the one process's."""
    end, model = end_of(case, windows), in_one_process(case)
    model.advance(windows * WINDOW * FEMTOSECOND)
    positions = model.atoms.positions
    moved = model.slaved.interpolation @ model.displacement(positions)
    assert np.abs(moved).max() > 1e-3
    atoms = np.abs(positions[: model.free] - end["positions"]).max()
    return float(max(atoms, np.abs(moved - end["moved"]).max()))


def check_of(case: Path, name: str) -> dict:
    """Return a check that every run makes."""
    summary = json.loads((case / "results" / "summary.json").read_text(encoding="utf-8"))
    return next(each for each in summary["checks"] if each["name"] == name)


def another_way_back(case: Path) -> None:
    """Let the force go to nearest nodes, where displacements are interpolated."""
    xml = case / "precice-config.xml"
    before, mapping, after = xml.read_text(encoding="utf-8").rpartition("linear-cell-interpolation")
    assert mapping
    xml.write_text(f"{before}nearest-neighbor{after}", encoding="utf-8")


def test_a_force_that_comes_back_by_another_mapping_is_refused_before_anything_runs(tmp_path: Path) -> None:
    case = small_pulse(tmp_path, windows=4)
    another_way_back(case)
    with pytest.raises(CaseError, match=r"goes back by nearest-neighbor \(conservative\), which is not its transpose"):
        go(case, "embedded")


@pytest.mark.parametrize("kind", ["embedded", "precice"])
def test_a_mapping_that_loses_work_is_caught_by_the_number(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    """The rule that reads the XML is taken away: what is left is the work of random fields, before the first step."""
    monkeypatch.setattr(rules, "_fit_adjoint", lambda config, name: None)
    case = small_pulse(tmp_path, windows=4)
    another_way_back(case)
    with pytest.raises(CaseError, match=r"0\.0\d+ of the work between Displacement and Force is lost at the joint"):
        go(case, kind)
    assert not (case / "results" / "Atoms" / "series.csv").exists()
    assert not (case / "results" / ".rehearsal").exists()


@pytest.mark.parametrize(("arrived", "passed"), [(1e-3, True), (1.001e-3, False)])
def test_work_that_is_lost_is_told_at_the_end(arrived: float, passed: bool) -> None:
    left = {f"Atoms.work on partner_{kind}": Value(value, "eV") for kind, value in (("min", 0.0), ("max", 1e-3))}
    booked = {"Atoms.work on partner_last": Value(1e-3, "eV"), "Continuum.work_last": Value(arrived, "eV")}
    assert [check.passed for check in joint_checks(left | booked)] == [passed]


@pytest.mark.slow
@pytest.mark.parametrize(("steps", "kind"), [(5, "embedded"), (1, "precice")])
def test_dolfinx_on_two_ranks_and_ase_give_the_numbers_of_one_process(tmp_path: Path, steps: int, kind: str) -> None:
    """Over 200 windows of one step the error is 2e-14 Å, with either coupling; on one rank it is the case itself.

    So is the work that crosses the joint, on either side: the mappings are each other's transpose.
    """
    case = small_pulse(tmp_path, windows=20, steps=steps, ranks=2, keep=20)
    go(case, kind)
    assert largest_error(case, 20) < 1e-10
    check = check_of(case, "Atoms.work on Continuum")
    assert check["passed"]
    assert abs(check["value"]) > 1e-5
    assert check_of(case, "Atoms: work of Displacement and Force that is lost at the start")["value"] < 1e-15


@pytest.mark.slow
def test_a_restart_from_disk_continues_the_trajectory(tmp_path: Path) -> None:
    (tmp_path / "whole").mkdir()
    (tmp_path / "parts").mkdir()
    whole, parts = (small_pulse(tmp_path / name, windows=8, keep=2) for name in ("whole", "parts"))
    go(whole, "embedded")
    xml = parts / "precice-config.xml"
    text = xml.read_text(encoding="utf-8")
    end = f'max-time value="{8 * WINDOW:g}"'
    assert end in text
    xml.write_text(text.replace(end, f'max-time value="{5 * WINDOW:g}"'), encoding="utf-8")
    go(parts, "embedded")
    xml.write_text(text, encoding="utf-8")
    go(parts, "embedded", restart=True)
    for key, value in end_of(whole, 8).items():
        assert end_of(parts, 8)[key] == pytest.approx(value, abs=1e-12)


DYING = """
import os, signal, time
from pathlib import Path
from scalespan.bridges.handshake_atoms import HandshakeAtoms

class Dying(HandshakeAtoms):
    name = "dying"
    windows = 0

    def advance(self, dt):
        self.windows += 1
        if self.windows == 4:
            Path(__file__).with_name("fell").write_text(repr(time.time()))
            os.kill(os.getpid(), signal.SIGKILL)
        super().advance(dt)
"""


@pytest.mark.slow
def test_a_killed_participant_of_atoms_ends_the_continuum(tmp_path: Path) -> None:
    case = small_pulse(tmp_path, windows=2000)
    (case / "dying.py").write_text(DYING, encoding="utf-8")
    text = (case / "case.toml").read_text(encoding="utf-8")
    (case / "case.toml").write_text(text.replace("handshake_atoms", "dying"), encoding="utf-8")
    with pytest.raises(CouplingError, match="Atoms was ended by the signal SIGKILL"):
        go(case, "embedded")
    ended, cause = time.time(), fell(case)
    assert alive(case) == []
    assert cause is not None
    assert ended - cause < IN_TIME


def test_missing_triangles_are_refused(tmp_path: Path) -> None:
    case = small_pulse(tmp_path)
    text = (case / "case.toml").read_text(encoding="utf-8")
    assert "connectivity = true" in text
    (case / "case.toml").write_text(text.replace("connectivity = true", "connectivity = false"), encoding="utf-8")
    with pytest.raises(CaseError, match="gives it no triangles"):
        go(case, "embedded")
    assert alive(case) == []
