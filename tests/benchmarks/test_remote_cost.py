"""What a question to an engine in another process costs beside the engine: one that answers at once with zeros.

Wall time, because most of it is waiting for each other; the median of the questions of one run.
"""

from __future__ import annotations

import importlib.util
import subprocess
import sys
from pathlib import Path
from time import perf_counter

import numpy as np
import pytest
from ase import Atoms

from scalespan.adapters.interface import ExternalCharges
from scalespan.bridges.remote import Remote, RemoteOptions

from . import zeros
from .table import write_table

CASE = Path(__file__).parents[2] / "cases" / "remote_qm"
SIZES = {3: 300, 1_000: 300, 10_000: 60, 100_000: 15}  # charges -> questions


def question_time(kind: str, charges: int, questions: int, folder: Path) -> float:
    """Return the median time of a question, s."""
    folder.mkdir()
    text = (CASE / "precice-config.xml").read_text(encoding="utf-8")
    text = text.replace('exchange-directory=".."', f'exchange-directory="{folder}"').replace(
        "<log>", '<log enabled="false">'
    )
    (folder / "precice-config.xml").write_text(text, encoding="utf-8")
    server = subprocess.Popen([sys.executable, zeros.__file__, kind, str(folder)], stdout=subprocess.DEVNULL)
    options = RemoteOptions.read({"participant": "Quantum", "charges": charges, **zeros.MESHES})
    remote = Remote(options, coupling=lambda: zeros.coupling(kind, "Classical", folder))
    rng, times = np.random.default_rng(1), []
    water, around = Atoms("OHH", rng.normal(size=(3, 3))), rng.normal(size=(charges, 3))
    for _ in range(questions):
        start = perf_counter()
        remote.compute(water, zeros.Zeros.offers, ExternalCharges(around, np.ones(charges)))
        times.append(perf_counter() - start)
    remote.close()
    assert server.wait(60) == 0
    return float(np.median(times))


@pytest.mark.benchmark
def test_remote_cost(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    kinds = ["embedded", *(["precice"] if importlib.util.find_spec("precice") else [])]
    rows = []
    for charges, questions in SIZES.items():
        found = {kind: question_time(kind, charges, questions, tmp_path / f"{kind}-{charges}") for kind in kinds}
        rows.append(
            [charges, *(f"{1e3 * found[kind]:.2f}" if kind in found else "–" for kind in ("embedded", "precice"))]
        )
    write_table("remote", ["external charges", "embedded, ms a question", "preCICE, ms a question"], rows)
