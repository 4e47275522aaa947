"""The plots of a coupled run: what cannot be seen in one axes gets its own."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from scalespan.bridges.run.coupled.plots import plots

HEAD = "window,time/s,iterations,displacement/m,drift/m,error/m,largest_error/m,velocity/(m/s),count"


def drawn(folder: Path) -> dict[str, list[str]]:
    """Return title -> label of the y axis and the lines, for one participant over a hundred windows."""
    (folder / "Left").mkdir()
    t = np.arange(1, 101)
    wave = np.sin(0.1 * t)
    columns = (t, t, 1 + t % 3, wave, 0.02 * wave, 1e-7 * wave, 1e-7 * t / 100, 5 * wave, np.zeros(100))
    np.savetxt(folder / "Left" / "series.csv", np.array(columns).T, delimiter=",", header=HEAD, comments="")
    found = {}
    for plot in plots(folder, {"participants": {"Left": {}}}):
        ax = plot.figure.axes[0]
        found[plot.title] = [ax.get_ylabel(), *(str(line.get_label()) for line in ax.get_lines())]
    return found


def test_sizes_that_are_far_apart_are_drawn_apart(tmp_path: Path) -> None:
    found = drawn(tmp_path)
    assert found.pop("Coupling iterations")[0] == "iterations"
    assert found == {
        "Left: displacement and drift": ["m", "displacement", "drift"],
        "Left: error and largest error": ["m", "error", "largest error"],
        "Left: velocity": ["velocity (m/s)", "velocity"],
        "Left: count": ["count", "count"],
    }


def test_small_numbers_have_a_power_of_ten_in_the_axis_name(tmp_path: Path) -> None:
    """At the axis' end it would lie under the legend; drawn twice, it is there once."""
    drawn(tmp_path)
    plot = next(plot for plot in plots(tmp_path, {"participants": {"Left": {}}}) if "error" in plot.title)
    ax = plot.figure.axes[0]
    for _ in range(2):
        plot.svg()  # what is at the axis is known once it is drawn
        assert ax.get_ylabel() == "10⁻⁷ m"
        assert not ax.yaxis.get_offset_text().get_visible()
