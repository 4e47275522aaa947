"""What a question to an engine in another process costs beside the engine: one that answers at once with zeros.

Wall time, because most of it is waiting for each other; the median of the questions of one run.
"""

from __future__ import annotations

import importlib.util
import multiprocessing
from pathlib import Path
from time import perf_counter

import numpy as np
import pytest
from ase import Atoms

from scalespan.adapters.interface import ExternalCharges, Options, ParticleAdapter, Quantity, Results
from scalespan.bridges.engine import Engine, EngineOptions
from scalespan.bridges.interface import Coupling
from scalespan.bridges.remote import Remote, RemoteOptions
from scalespan.bridges.run.loop import drive

from .table import write_table

CASE = Path(__file__).parents[2] / "cases" / "remote_qm"
MESHES = {"atoms_mesh": "Classical-Mesh-Atoms", "charges_mesh": "Classical-Mesh-Charges"}
SIZES = {3: 300, 1_000: 300, 10_000: 60, 100_000: 15}  # charges -> questions


class Zeros(ParticleAdapter):
    """Answers at once."""

    name = "zeros"
    Options = Options
    offers = frozenset({Quantity.ENERGY, Quantity.FORCES, Quantity.CHARGE_FORCES, Quantity.CHARGE_POTENTIAL})

    def _compute(self, atoms: Atoms, wanted: frozenset[Quantity], charges: ExternalCharges | None) -> Results:
        count = 0 if charges is None else len(charges)
        return Results(
            0.0, np.zeros((len(atoms), 3)), charge_forces=np.zeros((count, 3)), charge_potential=np.zeros(count)
        )


def coupling(kind: str, name: str, folder: Path) -> Coupling:
    if kind == "precice":
        from scalespan.bridges.run.precice import Precice

        return Precice(folder / "precice-config.xml", name)
    from scalespan.bridges.run.embedded import Embedded
    from scalespan.bridges.run.precice_config import read_config

    return Embedded(read_config(folder / "precice-config.xml"), name, folder)


def serve(kind: str, folder: Path) -> None:
    drive(Engine(EngineOptions.read(MESHES), engine=Zeros()), coupling(kind, "Quantum", folder))


def question_time(kind: str, charges: int, questions: int, folder: Path) -> float:
    """Return the median time of a question, s."""
    folder.mkdir()
    text = (CASE / "precice-config.xml").read_text(encoding="utf-8")
    text = text.replace('exchange-directory=".."', f'exchange-directory="{folder}"').replace(
        "<log>", '<log enabled="0">'
    )
    (folder / "precice-config.xml").write_text(text, encoding="utf-8")
    server = multiprocessing.get_context("spawn").Process(target=serve, args=(kind, folder))
    server.start()
    options = RemoteOptions.read({"participant": "Quantum", "charges": charges, **MESHES})
    remote = Remote(options, coupling=lambda: coupling(kind, "Classical", folder))
    rng, times = np.random.default_rng(1), []
    water, around = Atoms("OHH", rng.normal(size=(3, 3))), rng.normal(size=(charges, 3))
    for _ in range(questions):
        start = perf_counter()
        remote.compute(water, Zeros.offers, ExternalCharges(around, np.ones(charges)))
        times.append(perf_counter() - start)
    remote.close()
    server.join(60)
    assert server.exitcode == 0
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
