"""The ports of a problem at its places: what partners can give it and what it gives them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from ..interface import Array, EngineImport, Indices, OptionError, Port, nearest
from .domain import Domain
from .flux import Outflow, Projection
from .nodes import Nodes
from .options import Fixed, Place
from .problem import Problem
from .samples import Facets, Gauss
from .versions import INSTALL

with EngineImport("dolfinx", install=INSTALL) as engine:
    import ufl
    from dolfinx import fem

_SOURCE = "source"  # a density in the volume, at Gauss points
_KINDS: dict[str, type[Nodes] | type[Facets] | type[Gauss]] = {"nodes": Nodes, "facets": Facets, "quadrature": Gauss}


class Ports:
    """Functions that hold what partners gave, and the ways to what they want."""

    def __init__(self, places: Mapping[str, Place], problem: Problem, domain: Domain) -> None:
        self._problem, self._domain = problem, domain
        self.nodes = {name: _KINDS[place.at](place, domain) for name, place in places.items()}
        self.components: int = problem.unknown.function_space.dofmap.index_map_bs
        self.given: dict[str, Any] = {}  # port -> the function that holds its values
        self.inputs = {
            f"{name}.{quantity}": self._input(name, place, quantity)
            for name, place in places.items()
            for quantity in place.takes
        }
        self.outputs = {f"{name}.{each}": port for name in places for each, port in self._outputs(name).items()}
        self._fixed = self._fixed_by_options()
        self._projections: dict[str, Projection] = {}
        self._outflows: dict[str, Outflow] = {}

    def entering(self) -> Any:
        """Return the form −Σ ∮ g·v ds of what partners let in; None where there is nothing."""
        natural = [name for name in self.given if _parted(name)[1] == self._problem.natural and not self._loaded(name)]
        terms = [
            -ufl.inner(self.given[name], self._problem.test) * self._domain.ds(str(self._boundary(name)))
            for name in natural
        ]
        return sum(terms[1:], terms[0]) if terms else None

    def fix(self) -> Indices:
        """Set the unknown where it is given, by partners and then by the options; return those degrees of freedom."""
        unknown = self._problem.unknown
        found: list[Indices] = [np.zeros(0, dtype=np.int32)]
        for name in self._prescribed():
            dofs = self.nodes[_parted(name)[0]].dofs(self.components)
            unknown.x.array[dofs] = self.given[name].x.array[dofs]
            found.append(dofs)
        for dofs, fixed, places in self._fixed:
            width = self.components if fixed.component is None else 1
            values = self._domain.values(fixed.value, places, width)
            column = dofs % self.components if width > 1 else np.zeros(len(dofs), dtype=int)
            unknown.x.array[dofs] = values[np.arange(len(dofs)), column]
            found.append(dofs)
        every: Indices = np.unique(np.concatenate(found)).astype(np.int32)
        return every

    def loads(self, into: Any) -> None:
        """Add the nodal loads that partners gave to a function."""
        for name, function in self.given.items():
            if self._loaded(name):
                into.x.array[:] += function.x.array

    def set(self, name: str, values: Array) -> None:
        """Keep the values of an input."""
        place, quantity = _parted(name)
        function, nodes = self.given[name], self.nodes[place]
        if not self._loaded(name):
            nodes.put(values, function)
            return
        function.x.array[:] = 0.0
        if quantity == self._problem.load:
            nodes.add(values, function)
        else:
            assert isinstance(nodes, Gauss)
            nodes.integrate(values, function)

    def get(self, name: str, raw: Any) -> Array:
        """Return the values of an output; ``raw`` is the last residual, None before the first step."""
        place, quantity = _parted(name)
        nodes = self.nodes[place]
        if quantity == self._problem.natural:
            outflow = self._outflow(place)
            known = raw is not None and any(nodes.boundary == self._boundary(name) for name in self._prescribed())
            return nodes.take(outflow.consistent(raw) if known else outflow.projected())
        if quantity == self._problem.load:
            return -nodes.take(raw) if raw is not None else np.zeros((len(nodes.local), self.components))
        return nodes.take(self.field(quantity))

    def field(self, quantity: str) -> Any:
        """Return the unknown, or another field of the problem, as a function on the nodes."""
        if quantity == self._problem.name:
            return self._problem.unknown
        found = self._problem.fields[quantity]
        if isinstance(found, fem.Function):
            return found
        if quantity not in self._projections:
            self._projections[quantity] = Projection(found, self._domain)
        return self._projections[quantity].now()

    @property
    def fields(self) -> dict[str, int]:
        """What `field` gives, and how many components each has."""
        found = {each: _width(form) for each, form in self._problem.fields.items()}
        return {self._problem.name: self.components} | found

    def _input(self, name: str, place: Place, quantity: str) -> Port:
        problem = self._problem
        if place.boundary is not None:
            self._domain.known(place.boundary)
        nodes = self.nodes[name]
        known = {problem.load} | ({problem.natural} if place.boundary else set())
        if isinstance(nodes, Nodes):
            known |= {problem.name, *problem.inputs}
        elif place.boundary is None:
            known |= {_SOURCE, *problem.inputs}
        if quantity not in known:
            raise OptionError(f"the place '{name}' cannot take '{quantity}'", todo=nearest(quantity, known))
        space = problem.unknown.function_space
        if isinstance(nodes, Facets) and quantity == problem.natural:
            space = nodes.space(self.components)
        function = problem.inputs.get(quantity) or fem.Function(space)
        if isinstance(nodes, Nodes) or (isinstance(nodes, Gauss) and quantity in problem.inputs):
            nodes.fits(function, quantity)
        self.given[f"{name}.{quantity}"] = function
        late = quantity in (problem.natural, problem.load) or self._loaded(f"{name}.{quantity}")
        width = function.function_space.dofmap.index_map_bs
        return Port(name, width, at=problem.at if late else 1.0, conservative=quantity == problem.load)

    def _outputs(self, name: str) -> dict[str, Port]:
        problem = self._problem
        found = {each: Port(name, width) for each, width in self.fields.items()}
        if self.nodes[name].boundary is not None and problem.outflow is not None:
            found[problem.natural] = Port(name, self.components)
        if isinstance(self.nodes[name], Nodes) and not self._doubled(name):
            found[problem.load] = Port(name, self.components, conservative=True)
        return found

    def _doubled(self, name: str) -> bool:
        nodes = self.nodes[name]
        return bool(self._domain.comm.allreduce(len(nodes.local) - nodes.owned))

    def _prescribed(self) -> list[str]:
        """Return the ports by which partners give the unknown."""
        return [name for name in self.given if _parted(name)[1] == self._problem.name]

    def _loaded(self, port: str) -> bool:
        """Say whether what is given becomes nodal loads: totals, and densities at Gauss points."""
        place, quantity = _parted(port)
        density = isinstance(self.nodes[place], Gauss) and quantity not in self._problem.inputs
        return quantity == self._problem.load or density

    def _boundary(self, port: str) -> str | None:
        return self.nodes[_parted(port)[0]].boundary

    def _fixed_by_options(self) -> list[tuple[Indices, Fixed, Array]]:
        """Return of each value that is fixed the degrees of freedom and their places (n, 3)."""
        coordinates, found = self._problem.unknown.function_space.tabulate_dof_coordinates(), []
        for fixed in self._problem.fixed:
            dofs = Nodes(Place(boundary=fixed.boundary), self._domain).dofs(self.components)
            if fixed.component is not None:
                dofs = dofs[dofs % self.components == fixed.component]
            found.append((dofs, fixed, coordinates[dofs // self.components]))
        return found

    def _outflow(self, place: str) -> Outflow:
        """Return the flux of a place; elsewhere is where someone else fixes the unknown."""
        if place not in self._outflows:
            others = [dofs for dofs, *_ in self._fixed]
            others += [
                self.nodes[_parted(name)[0]].dofs(self.components)
                for name in self._prescribed()
                if self._boundary(name) != self.nodes[place].boundary
            ]
            elsewhere = np.unique(np.concatenate([np.zeros(0, dtype=np.int32), *others]))
            self._outflows[place] = Outflow(self._problem, self._domain, self.nodes[place], elsewhere)
        return self._outflows[place]


def _parted(port: str) -> tuple[str, str]:
    """Return a port's place and quantity."""
    place, _, quantity = port.rpartition(".")
    return place, quantity


def _width(field: Any) -> int:
    return int(field.ufl_shape[0]) if field.ufl_shape else 1
