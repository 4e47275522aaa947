"""The plots a person would look at, for each task, as figures of matplotlib's object interface."""

from __future__ import annotations

import io
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MultipleLocator

from scalespan.adapters.interface import Array
from scalespan.adapters.interface.units import KJ_PER_MOL

from .record import read_series
from .series import conserved, fit_line

# Okabe and Ito's colours, told apart by colour-blind eyes: https://jfly.uni-koeln.de/color/
INK, SOFT, RULE = "#1c2430", "#5c6774", "#dfe4e9"
BLUE, ORANGE, GREEN, VERMILION, PURPLE, SKY = "#0072b2", "#e69f00", "#009e73", "#d55e00", "#cc79a7", "#56b4e9"
CYCLE = (BLUE, VERMILION, GREEN, PURPLE, ORANGE, SKY)
_RAISED = str.maketrans("−-0123456789", "⁻⁻⁰¹²³⁴⁵⁶⁷⁸⁹")


@dataclass(frozen=True)
class Plot:
    """One figure of the report."""

    title: str
    figure: Figure
    caption: str = ""

    def svg(self) -> str:
        """Return the figure as an inline SVG element, its text as text."""
        _name_powers(self.figure)
        buffer = io.StringIO()
        with rc_context({"svg.fonttype": "none", "svg.hashsalt": self.title}):
            self.figure.savefig(buffer, format="svg", metadata={"Date": None})
        text = buffer.getvalue()
        return text[text.index("<svg") :]


def plots(results: Path, summary: Mapping[str, Any]) -> list[Plot]:
    """Return the plots of the task in a results folder; those whose series are not there are left out."""
    from .continua import march_plots, path_plots
    from .coupled import plots as coupled

    makers: dict[str, Callable[[Path, Mapping[str, Any]], list[Plot]]] = {
        "dynamics": _dynamics,
        "minimise": _minimise,
        "scan": _scan,
        "vibrations": _vibrations,
        "single-point": _single_point,
        "compare": _compare,
        "coupled": coupled.plots,
        "march": march_plots,
        "response": path_plots,
        "study": lambda results, summary: [],  # its tables bring their charts
    }
    from .displacements import displacement_plots
    from .strains import strain_plots

    return [*displacement_plots(results), *strain_plots(results), *makers[summary["task"]](results, summary)]


def axes(x: str, y: str, *, height: float = 3.1) -> Axes:
    """Return the axes of a new figure, with names and units: no frame, ticks outside, a faint grid."""
    figure = Figure(figsize=(5.6, height), layout="constrained")
    ax = figure.add_subplot()
    ax.spines[["top", "right"]].set_visible(False)
    ax.spines[["left", "bottom"]].set_color(SOFT)
    ax.tick_params(colors=SOFT, labelcolor=INK, labelsize=9)
    ax.grid(axis="y", color=RULE, linewidth=0.8)
    ax.set_axisbelow(True)
    ax.set_xlabel(x, color=INK, fontsize=10)
    ax.set_ylabel(y, color=INK, fontsize=10)
    ax.ticklabel_format(useOffset=False)
    return ax


def _name_powers(figure: Figure) -> None:
    """Move an axis' common power of ten into its name: at the axis' end, the legend is in the way."""
    figure.draw_without_rendering()
    for axis in [each for ax in figure.axes for each in (ax.xaxis, ax.yaxis)]:
        at_end = axis.get_offset_text()
        power = re.search(r"(?:e|10\^\{)([−-]?\d+)", at_end.get_text())
        if power and at_end.get_visible():
            name, bracket, unit = axis.get_label_text().rpartition("(")
            axis.set_label_text(f"{name}{bracket}10{power[1].translate(_RAISED)} {unit}")
            at_end.set_visible(False)


def _figure(ax: Axes) -> Figure:
    if len(ax.get_legend_handles_labels()[0]) > 1:
        ax.legend(frameon=False, fontsize=9, loc="lower left", bbox_to_anchor=(0.0, 1.0), ncols=3, borderaxespad=0.2)
    figure = ax.figure
    assert isinstance(figure, Figure), "axes makes it"
    return figure


def _series(results: Path, name: str) -> dict[str, Array] | None:
    path = results / f"{name}.csv"
    table = read_series(path) if path.exists() else {}
    return table if any(len(column) for column in table.values()) else None


def in_time(table: Mapping[str, Array]) -> tuple[Array, str]:
    """Return the times of a series, in fs or ps, and what to write below them."""
    fs = table["time/fs"]
    return (fs / 1000.0, "time (ps)") if fs[-1] >= 2000.0 else (fs, "time (fs)")


def _kj(series: Array) -> Array:
    return series / KJ_PER_MOL


# Dynamics


def _dynamics(results: Path, summary: Mapping[str, Any]) -> list[Plot]:
    from .ledger import ledger_plots
    from .mixing import mixing_plots

    table = _series(results, "energies")
    if table is None or len(table["step"]) < 2:
        return []
    found = [_energies(table)]
    if any(check["name"] == "drift" for check in summary["checks"]):
        found.append(_drift(table))
    found += [*ledger_plots(table), *mixing_plots(table), _temperature(table, summary)]
    volume = table.get("volume/angstrom^3")
    if volume is not None and np.ptp(volume) > 0.0:
        found.append(_line(table, volume / 1000.0, "Volume", "volume (nm³)"))
    return [*found, *_components(table), *_measures(table)]


def _energies(table: Mapping[str, Array]) -> Plot:
    time, label = in_time(table)
    ax = axes(label, "energy − start (kJ/mol)")
    for name, colour in (("potential", BLUE), ("kinetic", ORANGE), ("total", INK)):
        series = _kj(table[f"{name}/eV"])
        ax.plot(time, series - series[0], color=colour, label=name, linewidth=1.3)
    ax.margins(x=0.0)
    start = table["potential/eV"][0]
    return Plot("Energies", _figure(ax), f"Each from its value at the start; potential energy there: {start:.6f} eV.")


def _drift(table: Mapping[str, Array]) -> Plot:
    time, label = in_time(table)
    ax = axes(label, "total energy − mean (kJ/mol)")
    total = _kj(conserved(table))
    line = fit_line(table["time/fs"] / 1000.0, total)
    name = "total, less what was given" if "conserved/eV" in table else "total"
    ax.plot(time, total - total.mean(), color=INK, linewidth=1.1, label=name)
    ps = table["time/fs"] / 1000.0
    ax.plot(time, line.slope * (ps - ps.mean()), color=VERMILION, linewidth=1.8, label="linear fit")
    ax.margins(x=0.0)
    text = f"Drift {_signed(line.slope)} ± {line.error:.2g} kJ/mol/ps; scatter {line.scatter:.2g} kJ/mol."
    return Plot("Conservation of energy", _figure(ax), text)


def _temperature(table: Mapping[str, Array], summary: Mapping[str, Any]) -> Plot:
    time, label = in_time(table)
    ax = axes(label, "temperature (K)")
    series = table["temperature/K"]
    ax.plot(time, series, color=VERMILION, linewidth=1.2, label="temperature")
    target = summary.get("notes", {}).get("temperature")
    if target is not None:
        ax.axhline(target, color=SOFT, linewidth=1.2, linestyle=(0, (4, 3)), label=f"thermostat, {target:g} K")
    ax.margins(x=0.0)
    ax.set_ylim(bottom=0.0)
    return Plot("Temperature", _figure(ax), f"Mean {series.mean():.1f} K, standard deviation {series.std():.1f} K.")


def _components(table: Mapping[str, Array]) -> list[Plot]:
    names = [name for name in table if name.startswith("energy_") and name.endswith("/eV")]
    if len(names) < 2:
        return []
    time, label = in_time(table)
    ax = axes(label, "energy − mean (kJ/mol)")
    for name, colour, style in zip(names, _colours(len(names)), _styles(len(names)), strict=True):
        series = _kj(table[name])
        shown = name.removeprefix("energy_").removesuffix("/eV")
        ax.plot(time, series - series.mean(), color=colour, linestyle=style, linewidth=1.2, label=shown)
    ax.margins(x=0.0)
    return [Plot("Components of the potential energy", _figure(ax), "Each from its mean.")]


def _measures(table: Mapping[str, Array], x: str = "") -> list[Plot]:
    found = []
    for unit, shown in (("angstrom", "distance (Å)"), ("degree", "angle (°)")):
        names = [name for name in table if name.endswith(f"/{unit}") and name != x]
        if not names:
            continue
        along, label = (table[x], _named(x)) if x else in_time(table)
        ax = axes(label, shown)
        for name, colour, style in zip(names, _colours(len(names)), _styles(len(names)), strict=True):
            ax.plot(along, table[name], color=colour, linestyle=style, linewidth=1.2, label=name.rsplit("/", 1)[0])
        ax.margins(x=0.0)
        only = names[0].rsplit("/", 1)[0] if len(names) == 1 else ""
        found.append(Plot(f"Geometry: {only}" if only else f"Geometry: {shown.split(' ')[0]}s", _figure(ax)))
    return found


def _line(table: Mapping[str, Array], series: Array, title: str, y: str) -> Plot:
    time, label = in_time(table)
    ax = axes(label, y)
    ax.plot(time, series, color=BLUE, linewidth=1.2)
    ax.margins(x=0.0)
    return Plot(title, _figure(ax))


# The other tasks


def _minimise(results: Path, summary: Mapping[str, Any]) -> list[Plot]:
    table = _series(results, "minimisation")
    if table is None:
        return []
    energy, force = axes("step", "energy − lowest (kJ/mol)"), axes("step", "longest force (eV/Å)")
    series = _kj(table["energy/eV"])
    energy.plot(table["step"], series - series.min(), color=BLUE, linewidth=1.3, marker="o", markersize=3)
    force.semilogy(table["step"], table["force_max/(eV/angstrom)"], color=BLUE, linewidth=1.3, marker="o", markersize=3)
    limit = next((check["tolerance"] for check in summary["checks"] if check["name"] == "force_max"), None)
    if limit is not None:
        force.axhline(limit, color=VERMILION, linewidth=1.4, linestyle=(0, (4, 3)))
    force.yaxis.set_major_formatter(_powers)
    caption = f"The dashed line is the goal, {limit:g} eV/Å." if limit is not None else ""
    return [Plot("Energy", _figure(energy)), Plot("Convergence", _figure(force), caption), *_measures_by_step(table)]


def _measures_by_step(table: Mapping[str, Array]) -> list[Plot]:
    return [Plot(plot.title, plot.figure, plot.caption) for plot in _measures(table, x="step")]


def _scan(results: Path, summary: Mapping[str, Any]) -> list[Plot]:
    table = _series(results, "scan")
    if table is None:
        return []
    names = list(table)
    at, energy = names[1], _kj(table["energy/eV"])
    values = summary.get("values", {})
    relative = np.array(
        [values[f"relative_{n}"]["value"] for n in range(1, len(energy) + 1) if f"relative_{n}" in values]
    )
    zero = energy[0] - _kj(relative)[0] if len(relative) == len(energy) else energy.min()
    shown, caption = _shown(table[at], at)
    ax = axes(_named(at), "relative energy (kJ/mol)")
    ax.plot(
        table[at][:shown],
        (energy - zero)[:shown],
        color=BLUE,
        linewidth=1.5,
        marker="o",
        markersize=4,
        label="this run",
    )
    points = _reference_points(summary, shown, zero)
    if points:
        n, heights = np.array(list(points)), np.array(list(points.values()))
        ax.plot(table[at][n - 1], heights, "D", color=VERMILION, markersize=6, fillstyle="none", label="reference")
    if at == "dihedral/degree" and np.ptp(table[at]) > 150.0:
        ax.xaxis.set_major_locator(MultipleLocator(60.0))
    found = [Plot("Energy along the coordinate", _figure(ax), caption)]
    parts = [name for name in names if name.startswith("energy_")]
    if len(parts) > 1:
        found.append(_scan_parts(table, at, parts))
    return [*found, *_measures({name: table[name][:shown] for name in names}, x=at)]


def _shown(at: Array, column: str) -> tuple[int, str]:
    """Return how many points to draw, and what to say: a last one far out would squeeze all others."""
    if len(at) < 4 or abs(at[-1] - at[-2]) < 3.0 * np.ptp(at[:-1]):
        return len(at), ""
    unit = _named(column).rpartition("(")[2].rstrip(")")
    return len(at) - 1, f"The last point, at {at[-1]:g} {unit}, is not drawn."


def _scan_parts(table: Mapping[str, Array], at: str, parts: Sequence[str]) -> Plot:
    ax = axes(_named(at), "energy − last (kJ/mol)")
    shown, _ = _shown(table[at], at)
    for name, colour, style in zip(parts, _colours(len(parts)), _styles(len(parts)), strict=True):
        series = (_kj(table[name]) - _kj(table[name])[-1])[:shown]
        label = name.removeprefix("energy_").removesuffix("/eV")
        ax.plot(table[at][:shown], series, color=colour, linestyle=style, linewidth=1.3, label=label)
    return Plot("Components of the energy", _figure(ax), "Each from its value at the last point.")


def _reference_points(summary: Mapping[str, Any], count: int, zero: float) -> dict[int, float]:
    """Return the reference's heights (kJ/mol) by point, where `reference.toml` has them."""
    from scalespan.adapters.interface.units import convert

    found = {}
    for check in summary["checks"]:
        kind, _, number = check["name"].rpartition("_")
        if kind in ("energy", "relative") and number.isdigit() and 1 <= int(number) <= count:
            height = convert(check["reference"], check["unit"], "eV") / KJ_PER_MOL
            found[int(number)] = height - zero if kind == "energy" else height
    return found


def _vibrations(results: Path, summary: Mapping[str, Any]) -> list[Plot]:
    table = _series(results, "frequencies")
    if table is None:
        return []
    ax = axes("wavenumber (cm⁻¹)", "reduced mass (amu)")
    frequency, mass, rigid = table["frequency/(1/cm)"], table["reduced_mass/amu"], table["rigid_part"] >= 0.5
    kinds = (
        ("vibration", BLUE, ~rigid & (frequency >= 0.0)),
        ("imaginary", VERMILION, ~rigid & (frequency < 0.0)),
        ("whole body", SOFT, rigid),
    )
    for name, colour, chosen in kinds:
        if chosen.any():
            ax.vlines(frequency[chosen], 0.0, mass[chosen], color=colour, linewidth=1.8)
            ax.plot(frequency[chosen], mass[chosen], "o", color=colour, markersize=4, label=name)
    ax.set_ylim(bottom=0.0)
    return [Plot("Normal modes", _figure(ax), "An imaginary wavenumber is drawn as a negative one.")]


def _single_point(results: Path, summary: Mapping[str, Any]) -> list[Plot]:
    values = summary.get("values", {})
    parts = {name.removeprefix("energy_"): each["value"] for name, each in values.items() if name.startswith("energy_")}
    if len(parts) < 2:
        return []
    ax = axes("energy (eV)", "", height=0.9 + 0.32 * len(parts))
    ax.barh(list(parts), list(parts.values()), color=BLUE, height=0.6)
    ax.axvline(0.0, color=SOFT, linewidth=0.8)
    ax.grid(axis="y", visible=False)
    ax.grid(axis="x", color=RULE, linewidth=0.8)
    ax.invert_yaxis()
    return [Plot("Components of the energy", _figure(ax))]


def _compare(results: Path, summary: Mapping[str, Any]) -> list[Plot]:
    """Draw the differences of states, or, with one state, the energies from their mean."""
    values, notes = summary.get("values", {}), summary.get("notes", {})
    kind = "difference" if len(notes.get("states", ())) > 1 else "energy"
    names = [name for name in notes.get("variants", ()) if f"{kind}_{name}" in values]
    if not names:
        return []
    heights = _kj(np.array([values[f"{kind}_{name}"]["value"] for name in names]))
    lowest = heights.min()
    ax = axes("energy − lowest (kJ/mol)", "", height=0.9 + 0.34 * len(names))
    ax.barh(names, heights - lowest, color=BLUE, height=0.6)
    for row, height in enumerate(heights - lowest):
        ax.annotate(f"{height:.1f}", (height, row), xytext=(4, 0), textcoords="offset points", va="center", fontsize=9)
    ax.margins(x=0.12)
    ax.grid(axis="y", visible=False)
    ax.grid(axis="x", color=RULE, linewidth=0.8)
    ax.invert_yaxis()
    of = f"{notes['states'][-1]} − {notes['states'][0]}" if kind == "difference" else "energy"
    return [Plot(f"Side by side: {of}", _figure(ax), f"The lowest is {lowest:.1f} kJ/mol.")]


# Words


def _named(column: str) -> str:
    name, _, unit = column.rpartition("/")
    shown = {"angstrom": "Å", "degree": "°"}.get(unit, unit)
    return f"{name} ({shown})" if name and unit != "1" else name or column


def _signed(value: float) -> str:
    return f"{value:+.2g}".replace("-", "−")


def _powers(value: float, place: float = 0.0) -> str:
    power = round(np.log10(value))
    digits = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")
    return f"{value:g}" if -3 < power < 4 else "10" + str(power).translate(digits)


def _colours(count: int) -> list[str]:
    return [CYCLE[i % len(CYCLE)] for i in range(count)]


def _styles(count: int) -> list[Any]:
    return [("-", (0, (5, 2)), (0, (1, 1.5)))[(i // len(CYCLE)) % 3] for i in range(count)]
