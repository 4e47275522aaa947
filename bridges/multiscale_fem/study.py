"""The comparison: each method on each coarse mesh against the resolved solution; a table before it runs, and after."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import ClassVar

import numpy as np

from scalespan.adapters.interface import Array, CaseError, Conclusion, FieldAdapter, Study, Table, numeric

from .basis import MsFEM, Oversampled
from .cost import Constants, Estimate, check_scales, domain_of, estimate, expected, resolved_work
from .frame import write_image
from .grid import Grid
from .medium import Medium
from .methods import HMM, Mean, Method, NonlinearHMM, Source
from .options import MethodName, MultiscaleOptions
from .solver import Multiscale, Solution, resolved
from .tables import accuracy, before, redone

_ANOTHER = 0.5  # a relative distance that no error of homogenisation explains


class MultiscaleStudy(Study):
    """HMM, MsFEM and the arithmetic mean on coarse meshes over a microstructure, against the resolved solution."""

    name = "multiscale_fem"
    Options = MultiscaleOptions
    parts = ("cell", "resolved")
    values: ClassVar[tuple[str, ...]] = ("error_{}_{n}", "least_error_{}", "best_elements_{}", "resolved_mean")

    def __init__(
        self, options: MultiscaleOptions, cell: FieldAdapter | None = None, resolved: FieldAdapter | None = None
    ) -> None:
        if not isinstance(cell, FieldAdapter):
            raise CaseError(
                "a multiscale study needs the microstructure of one period",
                todo='give it the part "cell": use = "dolfinx", heat = { capacity = 0, … }',
            )
        if resolved is not None and len(options.sources) > 1:
            raise CaseError("the part 'resolved' has one source, its own", todo="give one in 'sources', the same")
        if resolved is None and options.nonlinear:
            raise CaseError("a nonlinear problem is resolved by an engine", todo="give the part 'resolved'")
        self.options, self._cell, self._whole = options, cell, resolved
        self.medium = Medium(cell, options.periodic)
        self.domain = domain_of(options, 1)
        self.medium.check(self.domain)
        if not options.nonlinear:
            self.medium.check_linear()
        self._pairs = [(method, count) for method in options.methods for count in options.elements]
        for method, count in self._pairs:
            check_scales(method, self.medium, domain_of(options, count))
        self.sources: list[Source] = [_source(each) for each in options.sources]
        for each in self.sources:  # a formula that cannot be read is heard of now
            each(self.domain.nodes)

    @property
    def columns(self) -> Sequence[str]:
        """Errors are relative, in L2: of the coarse field, and of the one with its oscillations."""
        return (
            "method/1",
            "elements/1",
            "periods/1",
            "error/1",
            "fine_error/1",
            "problems/1",
            "factorisations/1",
            "largest/1",
            "work/1",
            "iterations/1",
        )

    @property
    def rows(self) -> int:
        """Each method on each mesh."""
        return len(self._pairs)

    def title(self, number: int) -> str:
        """Return the method and the mesh."""
        method, count = self._pairs[number]
        return f"{method}, {count} × {count}"

    def row(self, number: int) -> Sequence[float]:
        """Solve for all sources by one method on one mesh; the errors are the largest of the sources'."""
        name, count = self._pairs[number]
        solutions, solver = self.solve(name, count)
        coarse, fine = self._errors(solutions)
        if name == "hmm" and coarse > _ANOTHER:
            raise CaseError(
                f"hmm's solution differs from the resolved one by {coarse:.0%}: they are not of one problem",
                where=self.name,
                todo="compare source, boundary values and coefficient of the part 'resolved' with those of 'cell'",
            )
        grid, spent = solver.method.grid, solver.method.spent
        work = spent.work + solver.factorisations * len(grid.inside) ** 1.5
        cost = (spent.problems, spent.factorisations, spent.largest, work)
        periods = float((grid.size / self.medium.period).min())
        which = float(self.options.methods.index(name))
        return (which, float(count), periods, coarse, fine, *map(float, cost), float(solutions[0].iterations))

    def solve(self, name: MethodName, elements: int) -> tuple[list[Solution], Multiscale]:
        """Return one method's solutions on one mesh, one for each source, and the solver that made them."""
        options = self.options
        solver = Multiscale(
            self.method(name, domain_of(options, elements)), tolerance=options.tolerance, iterations=options.iterations
        )
        return [solver.solve(source) for source in self.sources], solver

    def method(self, name: MethodName, grid: Grid) -> Method:
        """Return a method on a coarse mesh."""
        if name == "hmm":
            return (NonlinearHMM if self.options.nonlinear else HMM)(self.medium, grid, self.options.boundary)
        if name == "oversampled":
            return Oversampled(self.medium, grid, self.options.oversampling)
        return MsFEM(self.medium, grid) if name == "msfem" else Mean(self.medium, grid)

    def estimates(self) -> list[Estimate]:
        """Return what each row will cost, and its expected error."""
        return [
            estimate(method, self.medium, domain_of(self.options, count), self.options, self._constants)
            for method, count in self._pairs
        ]

    def audit(self) -> list[Table]:
        """Return cost and accuracy of each row before it runs, and what has to be done again when."""
        unknowns, work = resolved_work(self.medium, self.domain)
        return [before(self.estimates(), self.options, unknowns, self.options.changes * work), redone()]

    def conclude(self, table: Mapping[str, Array]) -> Conclusion:
        """Return the errors, each method's best mesh, and the curves over H/ε and over the work."""
        values: dict[str, tuple[float, str]] = {"resolved_mean": (float(self.reference[:, 0].mean()), "1")}
        for (name, count), error in zip(self._pairs, table["error/1"], strict=True):
            values[f"error_{name}_{count}"] = (float(error), "1")
        for number, name in enumerate(self.options.methods):
            mine = table["method/1"] == number
            best = int(np.argmin(np.where(mine, table["error/1"], np.inf)))
            values[f"least_error_{name}"] = (float(table["error/1"][best]), "1")
            values[f"best_elements_{name}"] = (float(table["elements/1"][best]), "1")
        _, work = resolved_work(self.medium, self.domain)
        estimates, known = self.estimates(), self._constants

        def forecast(name: MethodName, elements: float) -> float:
            return expected(name, self.medium, self.domain, elements, known)

        return Conclusion(values, accuracy(table, self._pairs, estimates, forecast, work))

    def frame(self, folder: Path) -> None:
        """Write the resolved field, and each method's coarse and fine ones on the middle mesh, for ParaView."""
        count = sorted(self.options.elements)[len(self.options.elements) // 2]
        fields = {"resolved": self.reference[:, 0]}
        for name in self.options.methods:
            first = self.solve(name, count)[0][0]
            fields |= {f"{name}_coarse": first.at(self.points), f"{name}_fine": first.fine(self.points)}
            fields[f"{name}_error"] = fields[f"{name}_fine"] - fields["resolved"]
        write_image(folder / f"fields_{count}.vti", self._samples, fields)

    @cached_property
    def _constants(self) -> Constants:
        return Constants.of(self.medium, 0.5 * (self.domain.low + self.domain.high), self.options.boundary)

    @cached_property
    def _samples(self) -> Grid:
        """The squares in whose middles errors are taken."""
        periods = (self.domain.high - self.domain.low) / self.medium.period
        counts = np.maximum(np.rint(self.options.samples * periods), 64).astype(int)
        return Grid(self.domain.low, self.domain.high, (int(counts[0]), int(counts[1])))

    @property
    def points(self) -> Array:
        """The points (p, 2) at which errors are taken: evenly over the domain, and in each period."""
        grid = self._samples
        found: Array = grid.nodes[grid.elements[:, 0]] + 0.5 * grid.size
        return found

    @cached_property
    def reference(self) -> Array:
        """The resolved solutions (p, k) at `points`, computed when first asked for."""
        if self._whole is None:
            grid, values = resolved(self.medium, self.domain, self.sources)
            return np.asarray(grid.interpolation(self.points) @ values)
        whole = self._whole
        name = next((key for key, components in whole.fields.items() if components == 1), None)
        if name is None:
            raise CaseError("the part 'resolved' has no field with one component", where=self.name)
        whole.advance(1.0)
        return whole.evaluate(name, self.points)

    def _errors(self, solutions: list[Solution]) -> tuple[float, float]:
        sizes = np.linalg.norm(self.reference, axis=0)
        coarse = np.column_stack([each.at(self.points) for each in solutions]) - self.reference
        fine = np.column_stack([each.fine(self.points) for each in solutions]) - self.reference
        errors = [float((np.linalg.norm(each, axis=0) / sizes).max()) for each in (coarse, fine)]
        return errors[0], errors[1]

    def close(self) -> None:
        """Close the engines."""
        for part in (self._cell, self._whole):
            if part is not None:
                part.close()


def _source(formula: str | float) -> Source:
    return lambda points: np.asarray(numeric(formula, points.T, 0.0), dtype=np.float64)
