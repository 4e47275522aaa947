"""An elastic body of P1 elements on simplices, in 1-D, 2-D and 3-D: the reference field adapter. It needs no engine.

With F = 1 + Σ_I u_I ∇N_I, constant in each simplex T of volume v_T, the energy is E(u) = Σ_T v_T W(F), and
the force on a node f_I = −Σ_T v_T P(F) ∇N_I; W and P = ∂W/∂F are asked of the part ``law``. Masses are lumped,
M_I = Σ_T ρ v_T / (d + 1). In time, the staggered leapfrog (Störmer–Verlet; E. Hairer, C. Lubich, G. Wanner 2003,
doi:10.1017/S0962492902000144):

    v(n+½) = v(n−½) + Δt M⁻¹ (f(u_n) + f_ext(t_n)),    u(n+1) = u_n + Δt v(n+½)

The first step starts with half a kick; where Δt changes, a kick is half of either step. Beside atoms of another
participant (``overlap``), M are the masses without theirs, and nodes in their region follow the others.
"""

from __future__ import annotations

from collections.abc import Mapping
from copy import copy
from itertools import permutations
from typing import Literal, Self

import numpy as np
from ase import Atoms
from pydantic import Field, model_validator
from scipy.sparse import coo_array, csr_array
from scipy.spatial import Delaunay

from .interface import (
    Array,
    BesideAtoms,
    CaseError,
    CaseFile,
    FieldAdapter,
    Indices,
    Material,
    Mesh,
    Microstructure,
    Options,
    Overlap,
    Port,
    Solid,
    SolidCell,
    State,
    Table,
    check_law,
    shape_gradients,
    under,
)
from .interface.units import FEMTOSECOND, Length, Time, convert

_FLAT = 1e-9  # of the mean volume: Delaunay's slivers between points of the hull
_SHEAR = np.array([[1.0, 0.0613, 0.0271], [0.0, 1.0, 0.0457], [0.0, 0.0, 1.0]])  # no lattice's own
Side = Literal["left", "right", "bottom", "top", "back", "front", "all"]
_SIDES = ("left", "right", "bottom", "top", "back", "front")  # low and high along x, y, z


class SimplexOptions(Options):
    """The mesh, what holds it, and the step."""

    low: list[Length] | None = None  # a box's corner; one number in 1-D, two in 2-D, three in 3-D
    high: list[Length] | None = None  # the opposite corner
    spacing: Length | None = Field(default=None, gt=0)  # of the box's nodes: each side is cut into the nearest number
    file: CaseFile | None = None  # nodes, in place of a box: a point (Å) a line, joined by Delaunay's simplices
    held: tuple[Side, ...] = ("all",)  # sides whose outermost nodes do not move; all: the whole surface
    strain: list[list[float]] | None = None  # F − 1 of the body at the beginning, kept where it is held; None: 0
    timestep: Time = Field(gt=0)  # the longest step; stable below 2/ω of the fastest element
    overlap: Overlap | None = None  # with atoms that another participant moves; None: the body is whole

    @model_validator(mode="after")
    def _one_mesh(self) -> Self:
        box = (self.low, self.high, self.spacing)
        if (self.file is None) == (None in box) or (self.file is not None and box != (None, None, None)):
            raise ValueError("a mesh is either a file, or a box with low, high and spacing")
        if self.low and self.high:
            if not len(self.low) == len(self.high) in (1, 2, 3):
                raise ValueError("low and high have as many numbers as the space has dimensions, one to three")
            if not all(low < high for low, high in zip(self.low, self.high, strict=True)):
                raise ValueError("a box has low < high along each axis")
        return self


class SimplexSolid(Solid):
    """P1 elements that ask a law; units are ASE's."""

    def __init__(self, nodes: Array, cells: Indices, law: Material) -> None:
        self._nodes, self._cells, self.law = nodes, cells, law
        d = nodes.shape[1]
        if law.dimension != d:
            raise CaseError(f"the mesh is {d}-dimensional, and the law '{law.name}' {law.dimension}-dimensional")
        self.gradients, self.volumes = shape_gradients(nodes, cells)
        self._counted = cells  # those with an energy, of which `gradients` and `volumes` are
        self._slopes = self._sloped()
        self._unit = convert(1.0, law.stress_unit, f"eV/angstrom**{d}")
        self._masses = _gathered(cells, np.repeat(law.density * self.volumes[:, None] / (d + 1), d + 1, 1), len(nodes))
        self._held: Array = np.zeros(len(nodes), dtype=bool)
        self._held_displacement: Array = np.zeros_like(nodes)

    def hold(self, held: Array, displacement: Array) -> None:
        """Keep the nodes ``held`` (n,) at their rows of ``displacement`` (n, d), Å."""
        self._held, self._held_displacement = held, np.where(held[:, None], displacement, 0.0)

    @property
    def nodes(self) -> Array:
        """Where the mesh has them."""
        return self._nodes

    @property
    def cells(self) -> Indices:
        """The simplices."""
        return self._cells

    @property
    def masses(self) -> Array:
        """Each simplex gives its corners equal parts."""
        return self._masses

    @property
    def held(self) -> Array:
        """As `hold` said."""
        return self._held

    @property
    def held_displacement(self) -> Array:
        """As `hold` said."""
        return self._held_displacement

    def weighted(self, weights: Array) -> SimplexSolid:
        """Return the same solid with other weights of its simplices."""
        if weights.shape != (len(self.cells),):
            raise CaseError(f"{len(self.cells)} weights of simplices are wanted, and the shape is {weights.shape}")
        found, counts = copy(self), np.flatnonzero(weights)
        gradients, volumes = shape_gradients(self.nodes, self.cells[counts])
        found._counted, found.gradients, found.volumes = self.cells[counts], gradients, weights[counts] * volumes
        found._slopes = found._sloped()
        return found

    def _sloped(self) -> csr_array:
        """Return the matrix (k d, n) that gives a field's gradient in each simplex."""
        count, corners, d = self.gradients.shape
        columns = np.repeat(self._counted[:, None, :], d, axis=1).ravel()
        rows = np.arange(count * d + 1) * corners
        entries = self.gradients.transpose(0, 2, 1).ravel()
        return csr_array((entries, columns, rows), shape=(count * d, len(self.nodes)))

    def at_rest(self) -> SimplexSolid | None:
        """Return the same solid with the law's law at rest, where it has one."""
        law = self.law.at_rest()
        if law is None:
            return None
        found = copy(self)
        found.law, found._unit = law, convert(1.0, law.stress_unit, f"eV/angstrom**{law.dimension}")
        return found

    def deformation(self, displacement: Array) -> Array:
        """Return F (k, d, d) of each simplex that counts."""
        d = self.nodes.shape[1]
        found: Array = np.eye(d) + (self._slopes @ displacement).reshape(-1, d, d).transpose(0, 2, 1)
        return found

    def elastic(self, displacement: Array) -> tuple[float, Array]:
        """Return E = Σ v W(F) and f_I = −Σ v P ∇N_I."""
        answer = self.law.respond(self.deformation(displacement))
        pull = (self._unit * self.volumes)[:, None, None] * answer.stress
        forces: Array = -(self._slopes.T @ pull.transpose(0, 2, 1).reshape(-1, self.nodes.shape[1]))
        return self._unit * float(self.volumes @ answer.energy), forces

    def stiffness(self, displacement: Array) -> csr_array:
        """Return K_IiJk = Σ v ∇N_Ij (∂P_ij/∂F_kl) ∇N_Jl."""
        tangent = self.law.respond(self.deformation(displacement), tangent=True).tangent
        assert tangent is not None, "a tangent was wanted"
        gradients, d = self.gradients, self.nodes.shape[1]
        entries = self._unit * np.einsum("e,eaj,eijkl,ebl->eaibk", self.volumes, gradients, tangent, gradients)
        places = d * self._counted[:, :, None] + np.arange(d)
        rows = np.broadcast_to(places[:, :, :, None, None], entries.shape).ravel()
        columns = np.broadcast_to(places[:, None, None, :, :], entries.shape).ravel()
        return coo_array((entries.ravel(), (rows, columns)), shape=(self.nodes.size,) * 2).tocsr()

    def inner(self, deformation: Array) -> tuple[Array, Array] | None:
        """Return the law's."""
        return self.law.inner(deformation)

    def lattice(self) -> Atoms | None:
        """Return the law's."""
        return self.law.lattice()


class SimplexAdapter(FieldAdapter):
    """An elastic body whose nodes take forces and give displacements; lengths in Å, times in fs."""

    name = "simplex"
    Options = SimplexOptions
    parts = ("law",)
    dimension, length_unit, time_unit = 0, "angstrom", "fs"

    def __init__(self, options: SimplexOptions, law: Material | None = None) -> None:
        if not isinstance(law, Material):
            raise CaseError("a body of simplices needs a material", todo='add the table law, with use = "cauchy_born"')
        nodes, cells = _mesh_of(options)
        self._timestep, self.law, self.body = options.timestep / FEMTOSECOND, law, SimplexSolid(nodes, cells, law)
        self.dimension = nodes.shape[1]
        self.displacement = _affine(nodes, options.strain)
        self.body.hold(_held_nodes(nodes, cells, options.held), self.displacement)
        if options.overlap is not None:
            check_law(law)
        self._beside = None if options.overlap is None else BesideAtoms(self.body, options.overlap)
        if self._beside is not None:
            self.displacement = self._beside.extended(self.displacement)
        self.velocity = np.zeros_like(nodes)  # Å per ASE's time, half a step before `displacement`
        self.work = 0.0  # eV, of the loads since the start: Σ f(t_n)·(u(n+1) − u(n))
        self._last = 0.0  # the length of the last step, ASE's time
        self._given = np.zeros_like(nodes)
        self._load(np.zeros((0, self.dimension)), np.zeros((0, self.dimension)))
        self._answer: tuple[float, Array] | None = None  # energy and forces at `displacement`

    @property
    def inputs(self) -> Mapping[str, Port]:
        """Forces on the nodes, at a step's beginning (eV/Å)."""
        return {"volume.force": Port("volume", self.dimension, at=0.0, conservative=True)}

    @property
    def outputs(self) -> Mapping[str, Port]:
        """Displacements (Å), and velocities (Å/fs) in the middle of the last step."""
        return {f"volume.{name}": Port("volume", width) for name, width in self.fields.items()}

    @property
    def fields(self) -> Mapping[str, int]:
        """What the outputs give, anywhere."""
        return {"displacement": self.dimension, "velocity": self.dimension}

    def points(self, place: str) -> Mesh:
        """Return the nodes and the simplices."""
        kind = ("edges", "triangles", "tetrahedra")[self.dimension - 1]
        return Mesh(self.body.nodes, **{kind: self.body.cells})

    def _set_input(self, name: str, values: Array) -> None:
        self._given = values.copy()

    def _output(self, name: str) -> Array:
        return self._field(name.removeprefix("volume."))

    def _evaluate(self, name: str, points: Array) -> Array:
        found: Array = self.body.interpolation(points) @ self._field(name)
        return found

    def _load(self, points: Array, values: Array) -> None:
        if values.shape[1] != self.dimension:
            raise CaseError(f"a load has {values.shape[1]} components, and must have {self.dimension}")
        self._points, self._loads = points.copy(), values.copy()
        self._spread = self.body.interpolation(points).T @ values

    def solid(self) -> Solid:
        """Return the body."""
        return self.body

    def microstructure(self) -> Microstructure:
        """Return the body."""
        return SolidCell(self.body)

    @property
    def longest_step(self) -> float:
        """The timestep (fs)."""
        return self._timestep

    def advance(self, dt: float) -> None:
        """Kick and drift by ``dt`` (fs)."""
        step = dt * FEMTOSECOND
        self.velocity += 0.5 * (self._last + step) * self._acceleration()
        self.displacement = self.displacement + step * self.velocity
        self.work += step * float(((self._given + self._spread) * self.velocity).sum())
        self._last, self._answer = step, None
        self.law.advance(step)

    def save(self) -> State:
        """Return the motion, what partners gave, and the law's history."""
        motion = {"displacement": self.displacement, "velocity": self.velocity, "last": np.array(self._last)}
        motion["work"] = np.array(self.work)
        given = {"given": self._given, "points": self._points, "loads": self._loads}
        return {key: value.copy() for key, value in (motion | given).items()} | {
            f"law/{key}": value for key, value in self.law.save().items()
        }

    def restore(self, state: State) -> None:
        """Return to a saved state."""
        motion: dict[str, Array] = {key: np.array(value) for key, value in state.items()}
        self.displacement, self.velocity, self._given = motion["displacement"], motion["velocity"], motion["given"]
        self._last, self.work, self._answer = float(motion["last"]), float(motion["work"]), None
        self._load(motion["points"], motion["loads"])
        self.law.restore(under("law", state))

    def observe(self) -> Mapping[str, float]:
        """Return the energies; the kinetic one, ½ v(n−½)·M v(n+½), belongs to the time of the elastic one."""
        coming = self.velocity + self._last * self._acceleration()
        masses = self.body.masses if self._beside is None else self._beside.masses
        kinetic = 0.5 * float((masses[:, None] * self.velocity * coming).sum())
        return {"elastic/eV": self._energy_and_forces()[0], "kinetic/eV": kinetic, "work/eV": self.work}

    def audit(self) -> list[Table]:
        """Return who carries the mass beside atoms, and what the law shows.

        Raises:
            CaseError: beside atoms, a step above Δt·ω = 0.6.
        """
        beside = [] if self._beside is None else [self._beside.audit(self.displacement, self._timestep * FEMTOSECOND)]
        return [*beside, *self.law.audit()]

    def close(self) -> None:
        """Close the law."""
        self.law.close()

    def _field(self, name: str) -> Array:
        return self.displacement.copy() if name == "displacement" else FEMTOSECOND * self.velocity

    def _energy_and_forces(self) -> tuple[float, Array]:
        if self._answer is None:
            self._answer = self.body.elastic(self.displacement)
        return self._answer

    def _acceleration(self) -> Array:
        forces = self._energy_and_forces()[1] + self._given + self._spread
        if self._beside is not None:
            return self._beside.acceleration(forces)
        found: Array = np.where(self.body.held[:, None], 0.0, forces / self.body.masses[:, None])
        return found


def box_mesh(low: Array, high: Array, counts: Indices) -> tuple[Array, Indices]:
    """Return the nodes and simplices of a box (d,) cut into ``counts`` (d,) bricks of d! simplices each.

    A simplex goes from a brick's low corner to its high one, along the axes in one of their orders
    (H. W. Kuhn 1960, doi:10.1147/rd.45.0518): neighbours fit.
    """
    axes = [np.linspace(a, b, n + 1) for a, b, n in zip(low, high, counts, strict=True)]
    nodes = np.stack(np.meshgrid(*axes, indexing="ij"), axis=-1).reshape(-1, len(axes))
    number = np.arange(len(nodes)).reshape(np.asarray(counts) + 1)
    strides = np.array(number.strides) // number.itemsize
    first = number[tuple(slice(n) for n in counts)].reshape(-1, 1)
    paths = [np.concatenate([[0], np.cumsum(strides[list(order)])]) for order in permutations(range(len(axes)))]
    return nodes, np.concatenate([first + path for path in paths])


def outer_nodes(cells: Indices, count: int) -> Array:
    """Return whether each of ``count`` nodes lies on a facet that only one simplex has."""
    width = cells.shape[1]
    facets = np.sort(np.concatenate([np.delete(cells, i, axis=1) for i in range(width)]), axis=1)
    each, times = np.unique(facets, axis=0, return_counts=True)
    found = np.zeros(count, dtype=bool)
    found[each[times == 1].ravel()] = True
    return found


def _mesh_of(options: SimplexOptions) -> tuple[Array, Indices]:
    if options.file is None:
        assert options.low is not None and options.high is not None and options.spacing is not None
        low, high = np.array(options.low), np.array(options.high)
        return box_mesh(low, high, np.maximum(np.rint((high - low) / options.spacing).astype(int), 1))
    try:
        nodes = np.loadtxt(options.file, ndmin=2)
    except ValueError as error:
        raise CaseError(f"{options.file} cannot be read: {error}", todo="write a point a line, numbers in Å") from error
    if nodes.shape[1] not in (1, 2, 3) or len(nodes) <= nodes.shape[1] or not np.isfinite(nodes).all():
        raise CaseError(f"{options.file} has the shape {nodes.shape}", todo="write a point a line, of 1 to 3 numbers")
    if nodes.shape[1] == 1:
        order = np.argsort(nodes[:, 0])
        return nodes, np.stack([order[:-1], order[1:]], axis=1)
    # Sheared, a lattice has no more points on a sphere than a simplex has, and so one set of simplices that fit.
    d = nodes.shape[1]
    cells = Delaunay(nodes @ _SHEAR[:d, :d]).simplices.astype(np.int64)
    volumes = np.abs(np.linalg.det(nodes[cells[:, 1:]] - nodes[cells[:, :1]]))
    return nodes, cells[volumes > _FLAT * volumes.mean()]


def _held_nodes(nodes: Array, cells: Indices, sides: tuple[Side, ...]) -> Array:
    low, high = nodes.min(axis=0), nodes.max(axis=0)
    near = 1e-9 * float((high - low).max())
    found = outer_nodes(cells, len(nodes)) & ("all" in sides)
    for side in set(sides) - {"all"}:
        axis, top = divmod(_SIDES.index(side), 2)
        if axis >= nodes.shape[1]:
            raise CaseError(f"the side '{side}' is along {'xyz'[axis]}, and the mesh is {nodes.shape[1]}-dimensional")
        found |= np.abs(nodes[:, axis] - (high if top else low)[axis]) < near
    return found


def _affine(nodes: Array, strain: list[list[float]] | None) -> Array:
    d = nodes.shape[1]
    given = np.zeros((d, d)) if strain is None else np.array(strain, dtype=float)
    if given.shape != (d, d):
        raise CaseError(f"the strain has the shape {given.shape}, and must have ({d}, {d})")
    return np.array(nodes @ given.T)


def _gathered(cells: Indices, values: Array, count: int) -> Array:
    """Return the sums at ``count`` nodes of ``values`` (k, d + 1, …) at the corners of simplices."""
    found = np.zeros((count, *values.shape[2:]))
    np.add.at(found, cells, values)
    return found
