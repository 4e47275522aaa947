"""The oscillator with both couplings: orders in time, the tutorial's errors, and what is known exactly.

Writes docs/tables/oscillator.md where both couplings run.
"""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path

import numpy as np
import pytest
from scipy.linalg import eigh

from .oscillator_side import CASE
from .processes import HERE, run_all

TABLE = Path(__file__).parents[3] / "docs" / "tables" / "oscillator.md"
WINDOWS = (0.04, 0.02, 0.01, 0.005)
# name -> scheme, integrator, steps in a window, degree of the interpolation in time
METHODS = {
    "velocity Verlet": ("serial-implicit", "velocity-verlet", 1, 1),
    "Newmark": ("serial-implicit", "newmark", 1, 1),
    "Runge-Kutta 4, 4 steps, degree 1": ("serial-implicit", "rk4", 4, 1),
    "Runge-Kutta 4, 4 steps, degree 3": ("serial-implicit", "rk4", 4, 3),
    "Runge-Kutta 4, 4 steps, degree 3, parallel": ("parallel-implicit", "rk4", 4, 3),
    "Runge-Kutta 4, 4 steps, explicit": ("serial-explicit", "rk4", 4, 1),
}
ORDERS = dict(zip(METHODS, (2, 2, 2, 4, 4, 1), strict=True))
# Largest errors of the left mass by the published oscillator tutorial's own Python solver, with the same schemes, run
# with preCICE 3.4.1; https://precice.org/tutorials-oscillator.html, https://www.scipedia.com/public/Rodenberg_2022a.
PUBLISHED = {
    "Newmark": (3.591e-1, 1.0216e-1, 2.5975e-2, 6.514e-3),
    "Runge-Kutta 4, 4 steps, degree 1": (6.220e-3, 1.557e-3, 3.889e-4, 9.721e-5),
    "Runge-Kutta 4, 4 steps, degree 3": (3.0173e-5, 1.8752e-6, 1.1683e-7, 7.292e-9),
}
COUPLINGS = ["precice", "embedded"]
pytestmark = pytest.mark.slow


def config(scheme: str, window: float, degree: int) -> str:
    """Return the case's XML with another scheme, window and degree, for partners in one folder."""
    text = (CASE / "precice-config.xml").read_text()
    text = text.replace('exchange-directory=".."', 'exchange-directory="."').replace("serial-implicit", scheme)
    text = text.replace("> debug", "> warning").replace("  </log>", '  </log>\n  <profiling mode="off" />')
    text = text.replace('waveform-degree="3"', f'waveform-degree="{degree}"')
    text = text.replace('window-size value="0.01"', f'window-size value="{window}"')
    if scheme == "serial-explicit":
        start, rest = text.split("    <max-iterations", 1)
        first, second = rest[rest.index("    <exchange") :].split("/>", 1)
        # Only the second participant of an explicit scheme reads what was initialised.
        return start + first.replace('initialize="true" ', "") + "/>" + second
    return text


@cache
def found(coupling: str, folder: Path) -> dict[str, dict[str, list[dict[str, object]]]]:
    """Return side -> method -> one record for each window length, all from one pair of processes."""
    runs = []
    for number, (scheme, integrator, steps, degree) in enumerate(METHODS.values()):
        for window in WINDOWS:
            file = f"{number}_{window}.xml"
            (folder / file).write_text(config(scheme, window, degree))
            runs.append(f"{file}:{integrator}:{window / steps!r}")
    script = HERE / "oscillator_side.py"
    ended = run_all(folder, {side: [script, coupling, side, *runs] for side in ("Left", "Right")}, timeout=240.0)
    for side, each in ended.items():
        assert each.status == 0, f"{side}: {each.output[-3000:]}"
    records = {side: json.loads((folder / f"{side}.json").read_text()) for side in ended}
    count = len(WINDOWS)
    return {
        side: {name: each[i * count : (i + 1) * count] for i, name in enumerate(METHODS)}
        for side, each in records.items()
    }


@pytest.fixture(scope="module", params=COUPLINGS)
def results(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory):
    if request.param == "precice":
        pytest.importorskip("precice", reason="pyprecice is not installed: the oscillator runs without preCICE only")
    return request.param, found(request.param, tmp_path_factory.getbasetemp())


def errors(results, method: str, side: str = "Left") -> list[float]:
    return [each["error"] for each in results[1][side][method]]


@pytest.mark.parametrize("method", METHODS)
def test_the_order_in_time(results, method: str) -> None:
    error = errors(results, method)
    assert np.log2(error[-2] / error[-1]) == pytest.approx(ORDERS[method], abs=0.12)


@pytest.mark.parametrize("method", PUBLISHED)
def test_the_errors_are_the_tutorials(results, method: str) -> None:
    for mine, published in zip(errors(results, method), PUBLISHED[method], strict=True):
        assert mine == pytest.approx(published, rel=5e-4)


def test_the_right_mass_too(results) -> None:
    published = (2.7655e-5, 1.7190e-6, 1.0706e-7, 6.680e-9)  # as above
    assert errors(results, "Runge-Kutta 4, 4 steps, degree 3", "Right") == pytest.approx(published, rel=1e-3)


@pytest.mark.parametrize("number", range(len(WINDOWS)))
@pytest.mark.parametrize(
    ("method", "frequency"),
    [
        # Velocity Verlet and Newmark's mean acceleration follow a harmonic mode exactly, at another frequency
        # (Hairer, Lubich, Wanner 2003, doi:10.1017/S0962492902000144). One step in a window, converged, is the
        # integrator on both masses at once.
        ("velocity Verlet", lambda omega, dt: 2.0 / dt * np.arcsin(0.5 * omega * dt)),
        ("Newmark", lambda omega, dt: 2.0 / dt * np.arctan(0.5 * omega * dt)),
    ],
)
def test_the_partitioned_answer_is_the_undivided_one(results, method: str, frequency, number: int) -> None:
    squares, modes = eigh(4.0 * np.pi**2 * np.array([[5.0, -4.0], [-4.0, 5.0]]))
    dt = WINDOWS[number]
    times = dt * np.arange(1, round(1.0 / dt) + 1)
    amplitudes = (modes.T @ [1.0, 0.0])[:, None] * np.cos(np.outer(frequency(np.sqrt(squares), dt), times))
    for side, exact in zip(("Left", "Right"), modes @ amplitudes, strict=True):
        assert results[1][side][method][number]["places"] == pytest.approx(exact, abs=2e-9)


def test_both_couplings_give_the_same_numbers(tmp_path_factory: pytest.TempPathFactory) -> None:
    pytest.importorskip("precice", reason="pyprecice is not installed: the oscillator runs without preCICE only")
    both = {coupling: found(coupling, tmp_path_factory.getbasetemp()) for coupling in COUPLINGS}
    write_table(both)
    for method in METHODS:
        mine, theirs = ([each["places"] for each in both[c]["Left"][method]] for c in COUPLINGS)
        for one, other in zip(mine, theirs, strict=True):
            assert one == pytest.approx(other, abs=1e-9)


def write_table(both) -> None:
    """Write a row for each method and window: the error of the left mass with each coupling, and the tutorial's."""
    lines = [
        "# The oscillator",
        "",
        "Written by `tests/run/coupling/test_oscillator.py`; do not edit. Largest error of the left mass against the",
        "normal modes, over all steps of T = 1, with preCICE 3.4 and with the embedded coupling, from the same XML;",
        "*order* is that between two windows. *Tutorial*: the solver of preCICE's own tutorial.",
        "",
        "| method | window | preCICE | order | embedded | order | tutorial |",
        "|---|---|---|---|---|---|---|",
    ]
    for method in METHODS:
        columns = [[each["error"] for each in both[c]["Left"][method]] for c in COUPLINGS]
        published = PUBLISHED.get(method, (None,) * len(WINDOWS))
        for i, window in enumerate(WINDOWS):
            cells = [method if i == 0 else "", f"{window:g}"]
            for column in columns:
                cells += [f"{column[i]:.4e}", f"{np.log2(column[i - 1] / column[i]):.2f}" if i else ""]
            lines.append("| " + " | ".join([*cells, f"{published[i]:.4e}" if published[i] else ""]) + " |")
    TABLE.parent.mkdir(parents=True, exist_ok=True)
    TABLE.write_text("\n".join(lines) + "\n")
