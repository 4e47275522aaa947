"""Pictures of an energy ledger: what each part of a motion has, what crosses between them, what does not balance."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from scalespan.adapters.interface import Array, UnitError
from scalespan.adapters.interface.units import convert

from .plots import BLUE, GREEN, INK, ORANGE, PURPLE, SKY, VERMILION, Plot, axes, in_time
from .series import conserved

_UNITS = {"eV": 1.0, "meV": 1e-3, "µeV": 1e-6, "neV": 1e-9, "peV": 1e-12}
_ATOMS, _CONTINUUM = ("energy_atoms/eV",), ("energy_continuum/eV", "energy_counted twice/eV")
_WORK = "ledger_work on continuum/eV"
_PARTNER = ("work on partner/eV", "work/eV")  # what joins the series of two participants


def ledger_plots(table: Mapping[str, Array]) -> list[Plot]:
    """Return the ledger of atoms in a continuum, from the series of a motion; nothing of other motions."""
    if _WORK not in table:
        return []
    work = _moved(table, [_WORK])
    bath = _moved(table, [name for name in table if name.startswith("given_")])
    parts = {
        "atoms, potential": _moved(table, _ATOMS),
        "atoms, kinetic": _moved(table, ["kinetic_atoms/eV"]),
        "continuum, potential": _moved(table, _CONTINUUM),
        "continuum, kinetic": _moved(table, ["kinetic_continuum/eV"]),
    }
    atoms, continuum = (sum(part for name, part in parts.items() if name.startswith(side)) for side in ("ato", "con"))
    if bath.any():
        parts["taken by the bath"] = -bath
    rest = {"atoms": atoms + work - bath, "continuum": continuum - work}
    rest["sum"] = conserved(table) - conserved(table)[0]
    if "ledger_staggered/eV" in table:
        rest["sum, staggered"] = _moved(table, ["ledger_staggered/eV"])
    share = float(np.abs(rest["sum"]).max()) / max(float(np.abs(each).max()) for each in parts.values())
    return [
        Plot(
            "Energy by channel",
            _drawn(*in_time(table), parts | {"sum": rest["sum"]}),
            "Each from its start. The continuum's potential energy is its law's, less what is counted twice.",
        ),
        Plot(
            "What does not balance",
            _drawn(*in_time(table), rest),
            "Each side's energy, and the work across the joint booked step by step: what is left is the integrator's. "
            f"The largest of the sum is {share:.1g} of the largest channel.",
        ),
    ]


def joint_plots(tables: Mapping[str, Mapping[str, Array]]) -> list[Plot]:
    """Return the ledger of participants that meet by forces and displacements, from their series."""
    owners = [name for name, table in tables.items() if _PARTNER[0] in table]
    others = [name for name, table in tables.items() if name not in owners and _energies(table)]
    if len(owners) != 1 or not others:
        return []
    table = tables[owners[0]]
    time = next(column for column in table if column.startswith("time/"))
    length = min(len(tables[name]["window"]) for name in (*owners, *others))
    parts = {name: _sum(tables[name])[:length] for name in (*owners, *others)}
    parts = {name: each - each[0] for name, each in parts.items()}
    parts["work across the joint"] = table[_PARTNER[0]][:length] - table[_PARTNER[0]][0]
    parts["sum"] = np.sum([parts[name] for name in (*owners, *others)], axis=0)
    caption = (
        "Each participant's energies and their sum, from the first window's end. Work is what the atoms have done."
    )
    return [
        Plot(
            "Energy ledger of the participants",
            _drawn(table[time][:length], f"time ({time.partition('/')[2]})", parts),
            caption,
        )
    ]


def _moved(table: Mapping[str, Array], columns: Sequence[str]) -> Array:
    """Return the sum of columns less its start; zero where there are none."""
    found = np.sum([table[name] for name in columns], axis=0) if columns else np.zeros(len(table["time/fs"]))
    return np.asarray(found - found[0])


def _energies(table: Mapping[str, Array]) -> dict[str, float]:
    """Return the columns of energies but works, and their units in eV."""
    found = {}
    for column in table:
        name, _, unit = column.partition("/")
        if name in ("window", "iterations", "time") or name.startswith("work") or not unit:
            continue
        try:
            found[column] = convert(1.0, unit.strip("()"), "eV")
        except UnitError:
            continue
    return found


def _sum(table: Mapping[str, Array]) -> Array:
    return np.asarray(np.sum([factor * table[name] for name, factor in _energies(table).items()], axis=0))


def _drawn(time: Array, label: str, parts: Mapping[str, Array]) -> Figure:
    largest = max(float(np.abs(series).max()) for series in parts.values())
    unit = next((name for name, size in _UNITS.items() if largest >= size), "peV")
    ax: Axes = axes(label, f"energy − start ({unit})")
    colours = (BLUE, SKY, VERMILION, ORANGE, GREEN, PURPLE)
    for (name, series), colour in zip(parts.items(), colours, strict=False):
        style = {"color": INK, "linewidth": 1.6} if name == "sum" else {"color": colour, "linewidth": 1.2}
        if name.startswith("work"):
            style["linestyle"] = "--"
        ax.plot(time, series / _UNITS[unit], label=name, **style)  # type: ignore[arg-type]  # matplotlib's keywords
    ax.margins(x=0.0)
    ax.legend(frameon=False, fontsize=9, loc="lower left", bbox_to_anchor=(0.0, 1.0), ncols=3, borderaxespad=0.2)
    figure = ax.figure
    assert isinstance(figure, Figure), "axes makes it"
    return figure
