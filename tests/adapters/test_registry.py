"""A name finds a file beside the case, a file in adapters/, a foreign distribution; what is broken stays alone."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from ase import Atoms

import scalespan.adapters
from scalespan.adapters.harmonic import HarmonicAdapter
from scalespan.adapters.interface import (
    ADAPTERS,
    CaseError,
    EngineMissing,
    Entry,
    OptionError,
    ParticleAdapter,
    Quantity,
)

MORSE = '''
"""A diatomic molecule by Morse's potential (doi:10.1103/PhysRev.34.57)."""

import numpy as np

from scalespan.adapters.interface import AtomsError, Options, ParticleAdapter, Results
from scalespan.adapters.interface.units import Energy, Length


class MorseOptions(Options):
    """The well."""

    depth: Energy
    length: Length
    steepness: float = 2.0  # 1/Å


class MorseAdapter(ParticleAdapter):
    """Two atoms, E = D (1 - exp(-a (r - r0)))^2."""

    name = "NAME"
    Options = MorseOptions

    def __init__(self, options):
        self.options = options

    def _compute(self, atoms, wanted, charges):
        if len(atoms) != 2:
            raise AtomsError("morse takes two atoms")
        along = atoms.positions[1] - atoms.positions[0]
        r = np.linalg.norm(along)
        decay = np.exp(-self.options.steepness * (r - self.options.length))
        pull = 2 * self.options.depth * self.options.steepness * (1 - decay) * decay * along / r
        return Results(energy=float(self.options.depth * (1 - decay) ** 2), forces=np.array([pull, -pull]))
'''

ITS_TEST = """
from ase import Atoms
from scalespan.adapters.interface import ADAPTERS
from scalespan.adapters.interface.contract import ParticleContract

class TestMorse(ParticleContract):
    extensive = False  # two atoms, no more
    def make_adapter(self):
        found = ADAPTERS.find("morse")
        return found(found.Options.read({"depth": "4 eV", "length": "0.9 angstrom"}))
    def make_atoms(self):
        return Atoms("HF", [(0.1, 0.2, 0.3), (0.8, 0.9, -0.1)])
"""

USE_IT = """
import json
from scalespan.adapters.interface import ADAPTERS, Quantity
from ase import Atoms
found = ADAPTERS.find("morse")
adapter = found(found.Options.read({"depth": "4 eV", "length": "0.9 angstrom"}))
energy = adapter.compute(Atoms("HF", [(0, 0, 0), (0, 0, 0.9)]), {Quantity.ENERGY}).energy
entries = [[e.name, e.status, e.origin, e.hint, e.summary] for e in ADAPTERS.listing()]
print(json.dumps({"module": found.__module__, "energy": energy, "entries": entries}))
"""


def project(folder: Path, name: str, points: dict[str, str], modules: dict[str, str]) -> Path:
    """Write a distribution with entry points and modules of its own."""
    folder.mkdir()
    lines = [
        '[build-system]\nrequires = ["setuptools"]\nbuild-backend = "setuptools.build_meta"',
        f'[project]\nname = "{name}"\nversion = "1.0"\ndependencies = ["scalespan"]',
        '[project.entry-points."scalespan.adapters"]',
        *(f'{key} = "{value}"' for key, value in points.items()),
        f"[tool.setuptools]\npy-modules = {json.dumps(list(modules))}",
    ]
    (folder / "pyproject.toml").write_text("\n".join(lines))
    for module, text in modules.items():
        (folder / f"{module}.py").write_text(text)
    return folder


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder where two foreign distributions are installed by pip: a good one and a broken one."""
    folder = tmp_path_factory.mktemp("foreign")
    good = project(
        folder / "good",
        "scalespan-morse",
        {"morse": "foreign_morse:MorseAdapter"},
        {"foreign_morse": MORSE.replace("NAME", "morse")},
    )
    bad = project(
        folder / "bad",
        "scalespan-bad",
        {
            "raises": "foreign_raises:X",
            "absent": "foreign_empty:X",
            "number": "foreign_empty:N",
            "half": "foreign_empty:H",
        },
        {
            "foreign_raises": "raise RuntimeError('no licence found')",
            "foreign_empty": (
                "from scalespan.adapters.interface import ParticleAdapter\n"
                "N = 3\n"
                "class H(ParticleAdapter):\n    name = 'half'\n"
            ),
        },
    )
    command = [sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-index"]
    command += ["--no-build-isolation", "--no-deps", "--target", str(folder / "site"), str(good), str(bad)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return folder / "site"


def run_with(site: Path, *command: str) -> str:
    env = os.environ | {"PYTHONPATH": str(site)}
    done = subprocess.run([sys.executable, *command], env=env, cwd=site, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def seen(site: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(run_with(site, "-c", USE_IT))
    return found


def entry(seen: dict[str, Any], name: str) -> Entry:
    return next(Entry(*each) for each in seen["entries"] if each[0] == name)


def test_an_adapter_of_another_distribution_is_used(seen: dict[str, Any]) -> None:
    assert seen["module"] == "foreign_morse"
    assert seen["energy"] == pytest.approx(0.0, abs=1e-12)


def test_the_listing_shows_it_ready_with_its_distribution(seen: dict[str, Any]) -> None:
    summary = "Two atoms, E = D (1 - exp(-a (r - r0)))^2."
    assert entry(seen, "morse") == Entry("morse", "ready", "scalespan-morse", "", summary)


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("raises", "no licence found"),
        ("absent", "has no attribute 'X'"),
        ("number", "'number' is 3, not a subclass of Adapter"),
        ("half", "'half' is not complete: it lacks _compute"),
    ],
)
def test_a_broken_one_says_why_and_breaks_no_other(seen: dict[str, Any], name: str, reason: str) -> None:
    found = entry(seen, name)
    assert found.status == "broken"
    assert found.origin == "scalespan-bad"
    assert reason in found.hint
    assert entry(seen, "harmonic").status == "ready"


def test_a_foreign_adapter_is_held_to_the_contract_in_its_own_tests(site: Path, tmp_path: Path) -> None:
    (tmp_path / "test_morse.py").write_text(ITS_TEST)
    out = run_with(site, "-m", "pytest", "-q", "-p", "no:cacheprovider", "--rootdir", str(tmp_path), str(tmp_path))
    assert " passed" in out
    assert "failed" not in out


def test_a_file_beside_the_case(tmp_path: Path) -> None:
    (tmp_path / "morse.py").write_text(MORSE.replace("NAME", "morse"))
    found = ADAPTERS.find("morse", tmp_path)
    adapter = found(found.Options.read({"depth": "4 eV", "length": "0.9 angstrom"}))  # type: ignore[call-arg]
    assert isinstance(adapter, ParticleAdapter)
    energy = adapter.compute(Atoms("HF", [(0, 0, 0), (0, 0, 0.9)]), {Quantity.ENERGY}).energy
    assert energy == pytest.approx(0.0, abs=1e-12)
    assert Entry("morse", "ready", "morse.py", "", "Two atoms, E = D (1 - exp(-a (r - r0)))^2.") in ADAPTERS.listing(
        tmp_path
    )


def test_a_file_beside_the_case_comes_first(tmp_path: Path) -> None:
    (tmp_path / "harmonic.py").write_text(MORSE.replace("NAME", "harmonic"))
    assert ADAPTERS.find("harmonic", tmp_path).__name__ == "MorseAdapter"
    assert ADAPTERS.find("harmonic") is HarmonicAdapter


def test_two_cases_may_each_have_a_file_of_one_name(tmp_path: Path) -> None:
    for case in ("a", "b"):
        (tmp_path / case).mkdir()
        (tmp_path / case / "mine.py").write_text(MORSE.replace("NAME", "mine") + f"\nWHO = '{case}'\n")
    first, second = (ADAPTERS.find("mine", tmp_path / case) for case in ("a", "b"))
    assert first is not second
    assert ADAPTERS.find("mine", tmp_path / "a") is first


def test_a_file_dropped_into_adapters_is_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    text = MORSE.replace("NAME", "dropped").replace("scalespan.adapters.interface", ".interface")
    (tmp_path / "dropped.py").write_text(text)
    monkeypatch.setattr(scalespan.adapters, "__path__", [*scalespan.adapters.__path__, str(tmp_path)])
    assert "dropped" in ADAPTERS.names()
    assert ADAPTERS.find("dropped").__module__ == "scalespan.adapters.dropped"
    del sys.modules["scalespan.adapters.dropped"]


def test_an_engine_that_is_absent_is_missing_and_not_broken(tmp_path: Path) -> None:
    guarded = (
        "from scalespan.adapters.interface import EngineImport\n"
        "with EngineImport('absent', install='pip install absent-engine') as engine:\n"
        "    import absent_engine\n"
    )
    (tmp_path / "absent.py").write_text(guarded + MORSE.replace("NAME", "absent"))
    (found,) = [each for each in ADAPTERS.listing(tmp_path) if each.name == "absent"]
    assert (found.status, found.hint) == ("missing", "type: pip install absent-engine")
    with pytest.raises(EngineMissing, match="pip install absent-engine"):
        ADAPTERS.find("absent", tmp_path)


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("def (:\n", "cannot be imported: invalid syntax"),
        ("import no_such_module\n", "cannot be imported: No module named 'no_such_module'"),
        ("x = 1\n", "defines no adapter called 'mine'; give one subclass of ParticleAdapter the line name"),
        (MORSE.replace("NAME", "yours"), "defines no adapter called 'mine'"),
        (MORSE.replace("NAME", "mine").replace("_compute", "_comput"), "'mine' is not complete: it lacks _compute"),
    ],
)
def test_a_file_that_is_no_adapter_says_why(tmp_path: Path, text: str, sentence: str) -> None:
    (tmp_path / "mine.py").write_text(text)
    with pytest.raises(CaseError) as caught:
        ADAPTERS.find("mine", tmp_path)
    assert sentence in str(caught.value)
    (found,) = [each for each in ADAPTERS.listing(tmp_path) if each.name == "mine"]
    assert found.status == "broken"
    assert sentence in found.hint


def test_an_unknown_name_names_the_nearest() -> None:
    with pytest.raises(OptionError, match=r"nothing called 'harmonics' in .*; did you mean 'harmonic'\?"):
        ADAPTERS.find("harmonics")


def test_what_is_shipped_is_ready_or_its_engine_is_missing() -> None:
    for each in ADAPTERS.listing():
        if each.origin == ADAPTERS.package:
            assert each.status in ("ready", "missing"), f"{each.name}: {each.hint}"
            if each.status == "ready":
                found = ADAPTERS.find(each.name)
                assert found.name == each.name
                assert found.__name__.lower() == f"{each.name.replace('_', '')}adapter"
                assert each.summary.endswith(".")


def test_listing_imports_no_engine_before_it_is_asked() -> None:
    code = "import sys; from scalespan.adapters.interface import ADAPTERS; ADAPTERS.names(); "
    code += "assert not {'openmm', 'pyscf', 'tblite', 'dolfinx'} & set(sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True)
