"""Pictures of a force mixing in motion: what its forces and the thermostat give, the region, the prediction."""

from __future__ import annotations

from collections.abc import Mapping

from matplotlib.figure import Figure

from scalespan.adapters.interface import Array

from .plots import BLUE, INK, VERMILION, Plot, axes, in_time

_WORK = "given_mixing/eV"
_REGION, _ERROR = "region/1", "prediction_error/(eV/angstrom)"


def mixing_plots(table: Mapping[str, Array]) -> list[Plot]:
    """Return the pictures of the series of a force mixing; nothing of other motions."""
    if _WORK not in table:
        return []
    time, label = in_time(table)
    heat = axes(label, "energy − start (eV)")
    total = table["total/eV"] - table["total/eV"][0]
    heat.plot(time, table[_WORK], color=VERMILION, linewidth=1.3, label="by the mixing")
    heat.plot(time, total - table[_WORK], color=BLUE, linewidth=1.3, label="by the thermostat")
    heat.plot(time, total, color=INK, linewidth=1.3, label="both")
    region, error = axes(label, "atoms in the region"), axes(label, "error of prediction (eV/Å)")
    region.step(time, table[_REGION], where="post", color=BLUE, linewidth=1.3)
    error.plot(time, table[_ERROR], color=BLUE, linewidth=1.3)
    for ax in (heat, region, error):
        ax.margins(x=0.0)
    region.set_ylim(bottom=0.0)
    heat.legend(frameon=False, fontsize=9, loc="lower left", bbox_to_anchor=(0.0, 1.0), ncols=3, borderaxespad=0.2)
    named = (
        (
            "What is given",
            heat,
            "To the low level's energy and the motion. By the mixing: the work of the difference of the levels, their "
            "energies' difference and the border's heat. By the thermostat: the rest, in NVE the integrator's error.",
        ),
        ("The region", region, ""),
        (
            "Prediction",
            error,
            "The longest error of a force in the region as predicted, before it is corrected.",
        ),
    )
    return [Plot(title, _figure_of(ax.figure), caption) for title, ax, caption in named]


def _figure_of(figure: object) -> Figure:
    assert isinstance(figure, Figure), "axes makes it"
    return figure
