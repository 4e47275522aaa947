"""The study: each row is one realisation of the medium, under all families of boundary conditions.

Of each cell the isotropic part of its condensed tangent is kept: the conductivity tr κ/d, or the bulk modulus
k = C_iijj/d² and the shear modulus μ = (C_ijij − C_iijj/d)/((d + 2)(d − 1)). A kinematic cell is never below a periodic
one, and that never below a static one, in every realisation: a row that breaks the order is refused.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import ClassVar

import numpy as np

from scalespan.adapters.interface import (
    Array,
    CaseError,
    Chart,
    Conclusion,
    EngineFailed,
    FieldAdapter,
    Microstructure,
    Study,
    Table,
)

from ..homogenisation import Cell, HomogenisationOptions
from .options import RveLadderOptions
from .statistics import Power, Spread, power_of, realisations_for, spread_of

_ORDER = ("static", "periodic", "kinematic")  # from below
_SLACK = 1e-8
_WORDS = {"conductivity": "conductivity", "bulk": "bulk modulus", "shear": "shear modulus"}


class RveLadder(Study):
    """Realisations of a random medium, from small cells to large ones."""

    name = "rve_ladder"
    Options = RveLadderOptions
    parts = ("cell",)
    values: ClassVar[tuple[str, ...]] = (
        "{}_{n}",
        "{}_error_{n}",
        "{}_deviation_{n}",
        "{}_realisations_{n}",
        "{}_scatter_exponent",
        "{}_scatter_exponent_error",
        "{}_half_gap_{n}",
        "{}_bias_exponent",
        "{}_bias_exponent_error",
        "{}_last_bias_exponent",
        "{}_last_bias_exponent_error",
    )

    def __init__(self, options: RveLadderOptions, cell: FieldAdapter | None = None) -> None:
        if not isinstance(cell, FieldAdapter):
            raise CaseError("a ladder needs a cell", todo='give it the part "cell": use = "dolfinx", …')
        self.options, self.engine = options, cell
        first = cell.realisation(options.sizes[0], options.seed)
        conducts = first.components == 1
        self._quantities = ("conductivity",) if conducts else ("bulk", "shear")
        self._unit = "1" if conducts else first.flux_unit
        self._numbers = [size for size, n in zip(options.sizes, options.realisations, strict=True) for _ in range(n)]

    @property
    def columns(self) -> Sequence[str]:
        """The size, the seed, and each quantity under each family."""
        unit = "1" if self._unit == "1" else f"({self._unit})"
        return ["size/1", "seed/1", *(f"{name}/{unit}" for name in self._names())]

    @property
    def rows(self) -> int:
        """All realisations of all sizes."""
        return len(self._numbers)

    def row(self, number: int) -> Sequence[float]:
        """Compute one realisation.

        Raises:
            EngineFailed: the families are not in order.
        """
        size, seed = self._numbers[number], self.options.seed + number
        medium = self.engine.realisation(size, seed)
        found = {family: _isotropic(medium, family) for family in self.options.families}
        ordered = [found[family] for family in _ORDER if family in found]
        for low, high in pairwise(ordered):
            if (high < low * (1.0 - _SLACK)).any():
                raise EngineFailed(
                    f"the families of realisation {number + 1} are not in order: {low.tolist()} above {high.tolist()}",
                    where=self.name,
                )
        parts = [found[family][i] for family in self.options.families for i in range(len(self._quantities))]
        return [float(size), float(seed), *(float(each) for each in parts)]

    def title(self, number: int) -> str:
        """The size and the realisation."""
        size = self._numbers[number]
        return f"size {size}, realisation {number - self._numbers.index(size) + 1} of {self._numbers.count(size)}"

    def audit(self) -> list[Table]:
        """Return what will be computed."""
        both = zip(self.options.sizes, self.options.realisations, strict=True)
        rows = tuple((str(size), str(count), ", ".join(self.options.families)) for size, count in both)
        return [Table("The ladder", ("size", "realisations", "families"), rows)]

    def conclude(self, table: Mapping[str, Array]) -> Conclusion:
        """Return means, scatters, biases, the powers by which they fall, and how many realisations are needed."""
        values: dict[str, tuple[float, str]] = {}
        tables: list[Table] = []
        for quantity in self._quantities:
            families: list[str] = [*self.options.families]
            spreads = {family: self._spreads(table, f"{quantity}_{family}") for family in families}
            for family, each in spreads.items():
                values |= self._of_family(f"{quantity}_{family}", each)
            gap = self._gap(table, quantity)
            values |= self._of_bias(quantity, gap)
            tables += [self._means(quantity, spreads), self._falling(quantity, spreads, gap, values)]
        return Conclusion(values, tables)

    def close(self) -> None:
        """Close the cell's engine."""
        self.engine.close()

    def _names(self) -> list[str]:
        return [f"{quantity}_{family}" for family in self.options.families for quantity in self._quantities]

    def _spreads(self, table: Mapping[str, Array], name: str) -> list[Spread]:
        column = next(key for key in table if key.partition("/")[0] == name)
        return [spread_of(table[column][table["size/1"] == size]) for size in self.options.sizes]

    def _gap(self, table: Mapping[str, Array], quantity: str) -> list[Spread] | None:
        """Return half the difference of kinematic and static, of each realisation; None without one of them."""
        columns = {key.partition("/")[0]: values for key, values in table.items()}
        ends = [columns.get(f"{quantity}_{family}") for family in ("kinematic", "static")]
        if ends[0] is None or ends[1] is None:
            return None
        half = 0.5 * (ends[0] - ends[1])
        return [spread_of(half[table["size/1"] == size]) for size in self.options.sizes]

    def _of_family(self, name: str, spreads: list[Spread]) -> dict[str, tuple[float, str]]:
        found: dict[str, tuple[float, str]] = {}
        for size, each in zip(self.options.sizes, spreads, strict=True):
            found[f"{name}_{size}"] = each.mean, self._unit
            found[f"{name}_error_{size}"] = each.error, self._unit
            found[f"{name}_deviation_{size}"] = each.deviation, self._unit
            found[f"{name}_realisations_{size}"] = float(realisations_for(each, self.options.error)), "1"
        both = np.array([(each.deviation, each.deviation_error) for each in spreads])
        return found | _exponent(f"{name}_scatter", power_of(np.array(self.options.sizes), *both.T))

    def _of_bias(self, quantity: str, gap: list[Spread] | None) -> dict[str, tuple[float, str]]:
        if gap is None:
            return {}
        found = {
            f"{quantity}_half_gap_{n}": (each.mean, self._unit) for n, each in zip(self.options.sizes, gap, strict=True)
        }
        both, sizes = np.array([(each.mean, each.error) for each in gap]), np.array(self.options.sizes)
        found |= _exponent(f"{quantity}_bias", power_of(sizes, *both.T))
        # Small cells are not yet on the power: the last two sizes say where it tends to.
        return found | _exponent(f"{quantity}_last_bias", power_of(sizes[-2:], *both[-2:].T))

    def _means(self, quantity: str, spreads: Mapping[str, list[Spread]]) -> Table:
        rows = []
        for i, size in enumerate(self.options.sizes):
            shown = [f"{each[i].mean:.4g} ± {each[i].error:.2g}" for each in spreads.values()]
            rows.append((str(size), str(self.options.realisations[i]), *shown))
        curves = {family: _curve(self.options.sizes, [s.mean for s in each]) for family, each in spreads.items()}
        return Table(
            f"Mean {_WORDS[quantity]} of cells" + ("" if self._unit == "1" else f", {self._unit}"),
            ("size", "realisations", *spreads),
            tuple(rows),
            note="± the standard error. The families tend to one value; their difference is the bias of the size.",
            chart=Chart("size", f"mean {_WORDS[quantity]}", curves),
        )

    def _falling(
        self,
        quantity: str,
        spreads: Mapping[str, list[Spread]],
        gap: list[Spread] | None,
        values: Mapping[str, tuple[float, str]],
    ) -> Table:
        """Return the table of what falls with the size: scatter, half-gap, and the realisations that are needed."""
        sizes, rows = self.options.sizes, []
        for i, size in enumerate(sizes):
            cells = [
                f"{each[i].deviation:.3g} ({realisations_for(each[i], self.options.error)})"
                for each in spreads.values()
            ]
            rows.append((str(size), *cells, *([] if gap is None else [f"{gap[i].mean:.3g}"])))
        names = [
            *(f"{quantity}_{family}_scatter" for family in spreads),
            *([] if gap is None else [f"{quantity}_bias"]),
        ]
        rows.append(("power", *(_shown(values, each) for each in names)))
        if gap is not None:
            rows.append(("of the last two", *("" for _ in spreads), _shown(values, f"{quantity}_last_bias")))
        curves = {f"scatter, {family}": _curve(sizes, [s.deviation for s in each]) for family, each in spreads.items()}
        curves |= {} if gap is None else {"half-gap": _curve(sizes, [each.mean for each in gap])}
        return Table(
            f"Scatter of the {_WORDS[quantity]}, and its bias",
            ("size", *spreads, *([] if gap is None else ["half-gap"])),
            tuple(rows),
            note=f"Standard deviation of one cell; in brackets, how many give the mean to {self.options.error:g}.",
            chart=Chart("size", f"{_WORDS[quantity]}: scatter and half-gap", curves, log=True),
        )


def _isotropic(medium: Microstructure, family: str) -> Array:
    """Return the isotropic constants of a cell's tangent at rest: (conductivity,) or (bulk, shear)."""
    cell = Cell(medium, HomogenisationOptions.model_validate({"boundary": family}))
    m, d = medium.components, medium.points.shape[1]
    tangent = cell.answer(np.zeros((m, d)), tangent=True).tangent
    assert tangent is not None, "it was wanted"
    if m == 1:
        return np.array([np.trace(tangent[0, :, 0]) / d])
    volumes, all_of_it = float(np.einsum("iijj", tangent)), float(np.einsum("ijij", tangent))
    return np.array([volumes / d**2, (all_of_it - volumes / d) / ((d + 2) * (d - 1))])


def _exponent(name: str, power: Power | None) -> dict[str, tuple[float, str]]:
    if power is None:
        return {}
    return {f"{name}_exponent": (power.exponent, "1"), f"{name}_exponent_error": (power.error, "1")}


def _shown(values: Mapping[str, tuple[float, str]], name: str) -> str:
    power, error = (values.get(f"{name}_{what}") for what in ("exponent", "exponent_error"))
    return "" if power is None or error is None else f"{power[0]:.2f} ± {error[0]:.2f}"


def _curve(sizes: Sequence[int], values: Sequence[float]) -> tuple[tuple[float, float], ...]:
    found: tuple[tuple[float, float], ...] = Chart.points(np.array(sizes, dtype=float), np.array(values))
    return found
