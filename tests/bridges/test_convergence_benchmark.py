"""Error against unknowns of every way to join atoms and a continuum, in one table and for one picture."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from scalespan.adapters.interface import load_file

from .defects import DEFECTS, Reference, by_forces, by_turns, by_weights, joined, rate, tied, truncated

DOCS = Path(__file__).parents[2] / "docs"
write_table = load_file(Path(__file__).parents[1] / "benchmarks" / "table.py").write_table
CELLS = 96  # of the body, to either side: 37 249 sites
Method = Callable[[Path, Reference, float], tuple[int, float]]
METHODS: dict[str, tuple[Method, tuple[float, ...]]] = {
    "handshake": (joined, (2.1, 4.1, 8.1, 16.1)),
    "blended forces (BQCF)": (by_forces, (2.1, 4.1, 8.1)),
    "corrected blended energy (BGFC)": (lambda *at: by_weights(*at, at[-1], correction="deformed"), (2.1, 4.1, 8.1)),
    "Schwarz": (by_turns, (4.1, 6.1, 10.1)),
    "clamped atoms only": (truncated, (4.1, 8.1, 16.1, 32.1)),
    "cubic blended energy (BQCE)": (lambda *at: by_weights(*at, at[-1]), (2.1, 4.1, 8.1, 16.1)),
    "linear blended energy (BQCE)": (lambda *at: by_weights(*at, at[-1], "linear"), (2.1, 4.1, 8.1, 16.1)),
    "bridging domain": (lambda *at: tied(*at, at[-1]), (4.1, 8.1, 16.1)),
    "sharp joint (QCE)": (lambda *at: by_weights(*at, 0.0), (4.1, 8.1, 16.1, 32.1)),
}


def percent(error: float) -> str:
    return f"{100.0 * error:.2g} %" if error < 0.995 else f"{100.0 * error:.0f} %"


@pytest.mark.benchmark
def test_the_error_of_every_method_against_its_unknowns(tmp_path: Path) -> None:
    rows, lines = [], ["defect,method,unknowns,error,largest"]
    for defect in DEFECTS:
        reference = Reference(defect, CELLS)
        for name, (method, sizes) in METHODS.items():
            points, largest = [], []
            for size in sizes:
                points.append(method(tmp_path, reference, size))
                largest.append(reference.largest)
                lines.append(f"{defect},{name},{points[-1][0]},{points[-1][1]:.6g},{largest[-1]:.6g}")
            shown = ", ".join(f"{unknowns}: {percent(error)}" for unknowns, error in points)
            rates = [f"{rate(some):.2f}".replace("-", "−") for some in (points, points[-2:])]
            extremes = f"{largest[0]:.1e} to {largest[-1]:.1e}".replace("e-0", "e−")
            rows.append((defect if name == "handshake" else "", name, shown, *rates, extremes))
    header = ("defect", "method", "unknowns: error", "rate, all", "rate, last two", "largest error of a strain")
    write_table("handshake errors", header, rows, DOCS / "choose_a_handshake.md")
    (DOCS / "tables" / "handshake_errors.csv").write_text("\n".join(lines) + "\n", encoding="utf-8")
    assert rows
