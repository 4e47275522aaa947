"""The options of the DOLFINx adapter: units, mesh, places, solver, and one problem.

All numbers are in one consistent system of units, which `length`, `time` and `mass` name.
"""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from ..interface import CaseFile, Options, Overlap
from .microstructures import Checkerboard, Fibres, Laminate, Spheres, Voxels

Formula = str | float  # of x, y, z and t: "1 + x**2 + 3*y**2 + 1.2*t"
Formulas = Formula | list[Formula]  # one for each component of a vector, or of a scalar for each phase of the mesh
Modulus = Annotated[float, Field(gt=0)] | str
Ratio = Annotated[float, Field(gt=-1, lt=0.5)] | str
Setting = str | int | float | bool
Cell = Literal["triangle", "quadrilateral", "tetrahedron", "hexahedron"]


class MeshOptions(Options):
    """A box of cells, a file of gmsh, nodes to be joined, or a microstructure: one of them."""

    low: list[float] | None = None  # a box's corner; two numbers in 2-D, three in 3-D
    high: list[float] | None = None  # the opposite corner
    cells: list[int] | None = None  # how many along each axis
    cell: Cell | None = None  # None: triangles in 2-D, tetrahedra in 3-D
    file: CaseFile | None = None  # a .msh of gmsh, in place of a box
    points: CaseFile | None = None  # nodes (.txt, .npy or .xyz, in the mesh's unit), to be joined by simplices
    dimension: Literal[2, 3] = 3  # of the space that the file's mesh lies in
    laminate: Laminate | None = None  # layers
    checkerboard: Checkerboard | None = None  # squares of two phases, in turn or at random
    voxels: Voxels | None = None  # an image
    fibres: Fibres | None = None  # discs in a matrix, meshed by gmsh
    spheres: Spheres | None = None  # spheres in a matrix, meshed by gmsh
    # Of a box there are left and right (along x), bottom and top (y), back and front (z); of any mesh, all.
    boundaries: dict[str, str | int] = Field(default_factory=dict)  # name: a condition "x < 1e-9", or a group of gmsh

    @model_validator(mode="after")
    def _one_kind(self) -> Self:
        box = None if None in (self.low, self.high, self.cells) else self.cells
        others = self.laminate, self.checkerboard, self.voxels, self.fibres, self.spheres
        if [each is not None for each in (box, self.file, self.points, *others)].count(True) != 1:
            raise ValueError(
                "a mesh is either a file, or points, or a box with low, high and cells, or one microstructure: "
                "laminate, checkerboard, voxels, fibres or spheres"
            )
        if self.low and self.high and self.cells:
            if not len(self.low) == len(self.high) == len(self.cells) in (2, 3):
                raise ValueError("low, high and cells have two numbers each, or three")
            if not all(low < high for low, high in zip(self.low, self.high, strict=True)) or min(self.cells) < 1:
                raise ValueError("a box has low < high, and at least one cell along each axis")
        return self


class Place(Options):
    """A part of the continuum that a partner touches."""

    boundary: str | None = None  # the name of a boundary; None: the volume
    takes: list[str] = Field(default_factory=list)  # what partners give: temperature, heat_flux, displacement, force …
    # Where the points are: at facets, in the middle of each of a boundary's; at quadrature, the Gauss points.
    at: Literal["nodes", "facets", "quadrature"] = "nodes"
    degree: int | None = Field(default=None, ge=0)  # of the quadrature; None: twice the elements'
    connectivity: bool = False  # of nodes: edges, triangles, tetrahedra; on several ranks, shared ones are then doubled

    @model_validator(mode="after")
    def _points_that_exist(self) -> Self:
        if self.at == "facets" and self.boundary is None:
            raise ValueError("points in the middles of facets are of a boundary")
        if self.at != "nodes" and self.connectivity:
            raise ValueError("only nodes have connectivity")
        if self.at != "quadrature" and self.degree is not None:
            raise ValueError('a degree is that of points at = "quadrature"')
        return self


class Fixed(Options):
    """A value that a boundary keeps."""

    boundary: str
    value: Formulas
    component: int | None = None  # of a vector, from 0; None: all


class Natural(Options):
    """What enters through a boundary: a heat flux, a traction, a surface charge."""

    boundary: str
    value: Formulas


class HeatOptions(Options):
    """ρc ∂u/∂t = ∇·(κ∇u) + f, by the implicit Euler method."""

    conductivity: Formulas = 1.0  # κ; a list: one for each phase of the mesh
    capacity: Formula = 1.0  # ρc, of the volume; 0: steady
    source: Formula = 0.0  # f
    initial: Formula = 0.0  # u at the beginning
    fixed: list[Fixed] = Field(default_factory=list)
    natural: list[Natural] = Field(default_factory=list)  # the heat flux that enters


class ElasticityOptions(Options):
    """ρ ∂²u/∂t² = ∇·P + f: linear elasticity, the neo-Hookean solid, or any law; plane strain in 2-D."""

    material: Literal["linear", "neo-hookean", "j2", "law"] = "linear"  # j2: plastic; law: what the table law says
    # Formulas of the place make phases too: "where(x < 0.5, 1, 10)".
    young: Modulus | list[Modulus] | None = None  # Young's modulus, not of a law; a list: one for each phase
    poisson: Ratio | list[Ratio] | None = None  # Poisson's ratio, likewise
    # Of j2, in uniaxial tension: σ_Y, and the moduli of hardening; by phase or place likewise: 1e9 keeps one elastic.
    yield_stress: Formulas | None = None
    hardening: Formulas = 0.0  # isotropic, H = dσ_Y/dα
    kinematic: Formulas = 0.0  # Prager's, K
    largest_gradient: float = Field(default=0.1, gt=0)  # of the displacement: the largest norm that j2 takes as small
    density: float | None = Field(default=None, ge=0)  # ρ; 0: statics; None: the law's, without a law 0
    spectral_radius: float = Field(default=1.0, ge=0, le=1)  # generalised-α at infinite frequency; 1: no damping
    # newmark: the trapezoidal rule, β = 1/4, γ = 1/2; leapfrog: explicit, with lumped masses
    scheme: Literal["newmark", "generalised-alpha", "leapfrog"] = "newmark"
    overlap: Overlap | None = None  # with atoms that another participant moves; in statics and with leapfrog
    residual_error: float | None = Field(default=None, gt=0)  # the rms noise that a law may bring; None: any
    source: Formulas = 0.0  # f, a force on the volume
    initial: Formulas = 0.0  # u at the beginning
    velocity: Formulas = 0.0  # ∂u/∂t at the beginning
    fixed: list[Fixed] = Field(default_factory=list)
    natural: list[Natural] = Field(default_factory=list)  # the traction

    @model_validator(mode="after")
    def _one_material(self) -> Self:
        given = self.young is not None, self.poisson is not None
        if self.material == "law" and any(given):
            raise ValueError("young and poisson are not of a law")
        if self.material != "law" and self.residual_error is not None:
            raise ValueError('a residual_error is of the noise of material = "law"')
        if self.material != "law" and not all(given):
            raise ValueError(f"the material '{self.material}' needs young and poisson")
        return self

    @model_validator(mode="after")
    def _plastic_or_not(self) -> Self:
        plastic = self.material == "j2"
        if (self.yield_stress is not None) != plastic:
            raise ValueError('a yield_stress is that of material = "j2", which needs one')
        if not plastic and {"hardening", "kinematic", "largest_gradient"} & self.model_fields_set:
            raise ValueError('hardening, kinematic and largest_gradient are those of material = "j2"')
        if plastic and self.scheme != "newmark":
            raise ValueError(f'j2 is at rest or moves by scheme = "newmark", and not by {self.scheme}')
        return self


class PoissonOptions(Options):
    """−∇·(ε∇φ) = ρ + Σ qᵢ δ(x − xᵢ): electrostatics with point charges."""

    permittivity: Formula = 1.0  # ε, absolute; 0.005526 e/(V·Å) in vacuum, with Å, V and e
    source: Formula = 0.0  # ρ
    fixed: list[Fixed] = Field(default_factory=list)
    natural: list[Natural] = Field(default_factory=list)  # the surface charge ε ∂φ/∂n


class OwnOptions(Options):
    """A problem of one's own: a Python file with a function that takes a `Domain` and returns a `Problem`."""

    file: CaseFile
    function: str = "problem"


class DolfinxOptions(Options):
    """A continuum."""

    length: str = "m"  # the unit of the mesh, in pint's spelling
    time: str = "s"  # the unit of times
    mass: str = "kg"  # the unit that makes the system of mechanical units complete
    timestep: float | None = Field(default=None, gt=0)  # the longest step; None: the coupling's window
    degree: Literal[1, 2] = 1  # of the Lagrange elements
    mesh: MeshOptions
    places: dict[str, Place] = Field(default_factory=dict)  # by name
    exact: Formulas | None = None  # a known solution; the series then shows error/1, its relative L2 distance
    solver: dict[str, Setting] = Field(default_factory=dict)  # of PETSc: ksp_type = "cg", pc_type = "gamg"; none: LU
    # exactly one of these:
    heat: HeatOptions | None = None
    elasticity: ElasticityOptions | None = None
    poisson: PoissonOptions | None = None
    own: OwnOptions | None = None

    @model_validator(mode="after")
    def _one_problem(self) -> Self:
        given = [key for key in ("heat", "elasticity", "poisson", "own") if getattr(self, key) is not None]
        if len(given) != 1:
            raise ValueError(f"one problem of heat, elasticity, poisson and own is wanted, not {len(given)}")
        inclusions = self.mesh.fibres or self.mesh.spheres
        if inclusions is not None and inclusions.curved and self.degree == 1:
            raise ValueError("curved elements are for degree = 2")
        return self
