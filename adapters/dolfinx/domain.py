"""The domain of a problem: its mesh, the names of its boundaries, its time, and formulas over it."""

from __future__ import annotations

from functools import cached_property
from typing import Any

import numpy as np

from ..interface import Array, CaseError, EngineFailed, EngineImport, Indices, OptionError, nearest
from .formulas import numeric, symbolic
from .meshing import mesh_of
from .options import Formulas, MeshOptions
from .phases import Phases
from .versions import INSTALL

with EngineImport("dolfinx", install=INSTALL) as engine:
    import basix.ufl
    import ufl
    from dolfinx import fem
    from dolfinx import mesh as meshes
    from petsc4py import PETSc

_SIDES = (("left", "right"), ("bottom", "top"), ("back", "front"))  # low and high along x, y, z


class Domain:
    """A mesh, its boundaries by name, and the time; what a problem is written over."""

    def __init__(self, options: MeshOptions, degree: int, alone: bool = False) -> None:
        """Alone: each rank has a whole mesh of its own."""
        # PETSc's own default: all ranks of this participant's mpirun.
        self.comm = (PETSc.COMM_SELF if alone else PETSc.Sys.getDefaultComm()).tompi4py()
        found = mesh_of(options, self.comm)
        self.mesh, self._tags = found.mesh, found.tags
        self.phases = None if found.bodies is None else Phases(found)
        self.degree = degree
        self.dimension: int = self.mesh.geometry.dim
        self.time = fem.Constant(self.mesh, 0.0)  # the end of the step
        self.dt = fem.Constant(self.mesh, 1.0)
        self.coordinate = ufl.SpatialCoordinate(self.mesh)
        self._spaces: dict[tuple[int, int], Any] = {}
        self._quadratures: dict[tuple[int, int], Any] = {}
        self._conditions = _conditions(options, self.mesh)
        self._facets = {name: self._find(name) for name in self._conditions}
        self.boundaries = list(self._facets)

    @cached_property
    def dx(self) -> Any:
        """The measure of the volume."""
        return ufl.Measure("dx", domain=self.mesh)

    @property
    def gauss_degree(self) -> int:
        """The degree of quadrature of laws at Gauss points: exact for a linear material, one point for P1 simplices."""
        simplex = self.mesh.basix_cell().name in ("triangle", "tetrahedron")
        return max(1, 2 * self.degree - 2) if simplex else 2 * self.degree

    def part(self, cells: Indices) -> Any:
        """Return the measure of some of this rank's cells."""
        return ufl.Measure("dx", domain=self.mesh, subdomain_data=[(1, cells.astype(np.int32))])(1)

    def ds(self, boundary: str) -> Any:
        """Return the measure of a boundary."""
        return self._surface(1 + self.boundaries.index(self.known(boundary)))

    @cached_property
    def _surface(self) -> Any:
        entities = [(1 + i, pairs.ravel().astype(np.int32)) for i, pairs in enumerate(self._facets.values())]
        return ufl.Measure("ds", domain=self.mesh, subdomain_data=entities)

    def facets(self, boundary: str) -> Indices:
        """Return (n, 2) the cell, which this rank owns, and the number in it of each of a boundary's facets."""
        return self._facets[self.known(boundary)]

    def known(self, boundary: str) -> str:
        """Return the name of a boundary, or raise: nobody knows it."""
        if boundary not in self._facets:
            raise OptionError(f"there is no boundary '{boundary}'", todo=nearest(boundary, self._facets))
        return boundary

    def space(self, components: int = 1, degree: int | None = None) -> Any:
        """Return a Lagrange space of scalars, or of vectors where ``components`` is above 1."""
        key = (components, degree or self.degree)
        if key not in self._spaces:
            shape = () if components == 1 else ((components,),)
            self._spaces[key] = fem.functionspace(self.mesh, ("Lagrange", key[1], *shape))
        return self._spaces[key]

    def quadrature(self, degree: int, components: int = 1) -> Any:
        """Return the space of values at Gauss points, for forms with ``dx(metadata={"quadrature_degree": degree})``."""
        key = (degree, components)
        if key not in self._quadratures:
            shape = () if components == 1 else (components,)
            element = basix.ufl.quadrature_element(self.mesh.basix_cell(), value_shape=shape, degree=degree)
            self._quadratures[key] = fem.functionspace(self.mesh, element)
        return self._quadratures[key]

    def formula(self, text: Formulas, components: int = 1, late: float = 0.0) -> Any:
        """Return a formula as UFL, at ``late`` steps before the step's end.

        A vector is a list of formulas, or one number for all components. A list of scalars has one for each phase.
        """
        time = self.time - late * self.dt if late else self.time
        if components == 1 and isinstance(text, list) and len(text) > 1:
            if self.phases is None:
                raise OptionError(f"{text} has one for each phase, and the mesh has no phases")
            return self.phases.formula(text, lambda each: symbolic(each, self.coordinate, time))
        parts = [symbolic(each, self.coordinate, time) for each in _listed(text, components)]
        return parts[0] if components == 1 else ufl.as_vector(parts)

    def fractions(self) -> Array:
        """Return the fraction of the volume that each phase fills, (0,) of a mesh without phases."""
        if self.phases is None:
            return np.zeros(0)
        sums = [self.integral(compiled(each * self.dx)) for each in self.phases.indicators()]
        return np.array(sums) / sum(sums)

    def values(self, text: Formulas, points: Array, components: int = 1) -> Array:
        """Return a formula's values (n, components) at points (n, 3), at the time of the step's end."""
        texts = _listed(text, components)
        columns = [numeric(each, points.T, float(self.time.value)) for each in texts]
        return np.column_stack(columns).astype(np.float64)

    def integral(self, form: Any) -> float:
        """Return the value of a compiled form over all ranks."""
        return float(self.comm.allreduce(fem.assemble_scalar(form)))

    def agreed(self, yes: bool) -> bool:
        """Say whether all ranks say yes."""
        return all(self.comm.allgather(yes))

    def _find(self, name: str) -> Indices:
        topology, dimension = self.mesh.topology, self.dimension - 1
        topology.create_entities(dimension)
        topology.create_connectivity(dimension, dimension + 1)
        topology.create_connectivity(dimension + 1, dimension)
        condition = self._conditions[name]
        if isinstance(condition, int):
            if self._tags is None:
                raise CaseError(f"the boundary '{name}' is a physical group, and the file has none of facets")
            facets = self._tags.find(condition)
        else:
            facets = meshes.locate_entities_boundary(
                self.mesh, dimension, lambda points: numeric(condition, points, 0.0).astype(bool)
            )
        pairs = _pairs(topology, dimension, facets)
        if self.comm.allreduce(len(pairs)) == 0:
            raise CaseError(f"the boundary '{name}' ({condition}) holds no facet")
        return pairs


def compiled(form: Any) -> Any:
    """Return a form of UFL as machine code, from the cache where it has been compiled before.

    Raises:
        EngineFailed: it cannot be compiled, or another process holds it for ten minutes.
    """
    try:
        # Participants that start together compile the same forms; one waits for the other, by default ten seconds.
        return fem.form(form, jit_options={"timeout": 600})
    except Exception as error:  # UFL, FFCx and the C compiler raise errors of many unrelated classes
        raise EngineFailed(
            f"a form cannot be compiled: {error}",
            where="dolfinx",
            todo="see that a C compiler is there, or empty the cache",
        ) from error


def _pairs(topology: Any, dimension: int, facets: Indices) -> Indices:
    """Return (n, 2) the owned cell and the local number of facets that have one cell."""
    cells, inside = topology.connectivity(dimension, dimension + 1), topology.connectivity(dimension + 1, dimension)
    owned = topology.index_map(dimension + 1).size_local
    found = [(int(cells.links(facet)[0]), facet) for facet in facets if len(cells.links(facet)) == 1]
    pairs = [(cell, int(np.flatnonzero(inside.links(cell) == facet)[0])) for cell, facet in found if cell < owned]
    return np.array(pairs, dtype=np.int64).reshape(-1, 2)


def _conditions(options: MeshOptions, mesh: Any) -> dict[str, str | int]:
    found: dict[str, str | int] = {"all": "x == x"}
    if options.file is None and options.points is None:
        low, high = _corners(options, mesh)
        near = 1e-9 * float(np.subtract(high, low).max())
        for axis, sides in enumerate(zip(low, high, strict=True)):
            for name, value in zip(_SIDES[axis], sides, strict=True):
                found[name] = f"abs({'xyz'[axis]} - ({value!r})) < {near!r}"
    return found | options.boundaries


def _corners(options: MeshOptions, mesh: Any) -> tuple[list[float], list[float]]:
    if options.low is not None and options.high is not None:
        return options.low, options.high
    points = mesh.geometry.x[:, : mesh.geometry.dim]
    every = [np.max(mesh.comm.allgather((sign * points).max(axis=0)), axis=0) for sign in (-1.0, 1.0)]
    return (-every[0]).tolist(), every[1].tolist()


def _listed(text: Formulas, components: int) -> list[str | float]:
    if not isinstance(text, list):
        if components > 1 and isinstance(text, str):
            raise OptionError(f"the formula '{text}' is one, and {components} components are wanted")
        return [text] * components
    if len(text) != components:
        raise OptionError(f"{len(text)} formulas are given, and {components} components are wanted")
    return text
