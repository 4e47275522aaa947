"""The tables of a study: what is known before it runs, what has to be done again when, and what was found."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TypeAlias

import numpy as np

from scalespan.adapters.interface import Array, Chart, Table

from .cost import Estimate
from .options import MethodName, MultiscaleOptions

_CURVE = 24  # points of an expected curve
Points: TypeAlias = tuple[tuple[float, float], ...]


def before(estimates: Sequence[Estimate], options: MultiscaleOptions, unknowns: int, work: float) -> Table:
    """Return cost and expected error of each row, and which one is recommended."""
    rows = [
        (
            f"{each.method}, {each.elements} × {each.elements}",
            f"{each.periods:.3g}",
            f"{each.problems}",
            f"{each.largest}",
            f"{each.factorisations}",
            f"{each.work / work:.1e}",
            f"{each.error:.1e}",
        )
        for each in estimates
    ]
    columns = ("method", "periods in an element", "local problems", "unknowns of one", "factorisations")
    rows.append(("resolved", "", "", f"{unknowns}", "1", "1", "0"))
    changes = f" for {options.changes} states of the microstructure" if options.changes > 1 else ""
    return Table(
        f"Cost and accuracy, estimated{changes}",
        (*columns, "work, of the resolved problem's", "expected error"),
        tuple(rows),
        note=recommended(estimates, options.error, work),
    )


def recommended(estimates: Sequence[Estimate], error: float, work: float) -> str:
    """Return the sentence that names the cheapest way to a relative error."""
    good = [each for each in estimates if each.error <= error and each.work < work]
    if not good:
        return f"No row is expected within {error:.2g} for less than the resolved problem's work: resolve it."
    best = min(good, key=lambda each: each.work)
    return (
        f"Recommended: {best.method} on {best.elements} × {best.elements} elements, the least work with an expected "
        f"error of at most {error:.2g}."
    )


def redone() -> Table:
    """Return what each kind of problem makes a method do again."""
    rows = (
        ("linear, many sources or time steps", "nothing: its cells once", "nothing: its basis once"),
        ("the microstructure changes in time", "its cells", "its basis: all local problems"),
        ("nonlinear in the gradient", "its cells, at every iteration", "no fixed basis: not offered"),
        ("not periodic", "four cells in each element, once", "each element its own basis, once"),
        ("error in L2", "C (H² + ε)", "C (H² + ε/H): worst where H is near ε"),
    )
    return Table("What has to be done again", ("problem", "hmm", "msfem"), rows)


def accuracy(
    table: Mapping[str, Array],
    pairs: Sequence[tuple[MethodName, int]],
    estimates: Sequence[Estimate],
    forecast: Callable[[MethodName, float], float],
    work: float,
) -> list[Table]:
    """Return errors over H/ε and over the work, with their charts; the forecast is of a method and its elements."""
    names = list(dict.fromkeys(name for name, _ in pairs))
    rows: list[tuple[str, ...]] = []
    over_periods: dict[str, Points] = {}
    over_work: dict[str, Points] = {}
    for number, name in enumerate(names):
        mine = np.flatnonzero(table["method/1"] == number)
        mine = mine[np.argsort(table["elements/1"][mine])]
        over_periods[name] = Chart.points(table["periods/1"][mine], table["error/1"][mine])
        over_work[name] = Chart.points(table["work/1"][mine] / work, table["error/1"][mine])
    over_periods |= _forecasts(table, [name for name in names if name in ("hmm", "msfem")], forecast)
    for i, (name, count) in enumerate(pairs):
        numbers = (table["error/1"][i], estimates[i].error, table["fine_error/1"][i], table["work/1"][i] / work)
        text = tuple(f"{each:.2e}" for each in numbers)
        rows.append((name, f"{count}", f"{table['periods/1'][i]:.3g}", *text))
    columns = ("method", "elements", "H/ε", "error", "expected", "with oscillations", "work")
    error = "relative error in L2"
    return [
        Table("Errors of the coarse solutions", columns, tuple(rows), chart=_chart("H/ε", error, over_periods)),
        Table(
            "Error against work",
            ("method", "least work", "error there"),
            tuple((name, f"{points[0][0]:.1e}", f"{points[0][1]:.1e}") for name, points in over_work.items()),
            chart=_chart("work over that of the resolved problem", error, over_work),
        ),
    ]


def _forecasts(
    table: Mapping[str, Array], names: Sequence[MethodName], forecast: Callable[[MethodName, float], float]
) -> dict[str, Points]:
    """Return the expected errors between the coarsest and the finest mesh."""
    elements, periods = table["elements/1"], table["periods/1"]
    whole = float(elements[0] * periods[0])  # periods along the domain
    between = np.geomspace(elements.min(), elements.max(), _CURVE)
    found = {}
    for name in names if elements.min() < elements.max() else ():
        found[f"{name}, expected"] = Chart.points(whole / between, np.array([forecast(name, n) for n in between]))
    return found


def _chart(x: str, y: str, curves: dict[str, Points]) -> Chart:
    return Chart(x, y, curves, log=True)
