"""Solids: linear, neo-Hookean, plastic (see `plasticity`) and of laws from outside, at rest or moving.

F(u; v) = ∫ ρ a·v + P(u):∇v − f·v dx − ∮ t·v ds. In time, the generalised-α method of J. Chung
and G. M. Hulbert 1993 (doi:10.1115/1.2900803): a at n+1−αm, u, f and t at n+1−αf; with
αm = αf = 0, β = 1/4, γ = 1/2 it is Newmark's trapezoidal rule (N. M. Newmark 1959,
doi:10.1061/JMCEA3.0000098), which keeps a linear solid's energy.
The neo-Hookean energy is W = μ/2 (I₁ − 3 − 2 ln J) + λ/2 (ln J)² (P. Wriggers, Nonlinear Finite Element Methods,
2008, doi:10.1007/978-3-540-71001-1, sect. 3.3.1).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from ..interface import Array, CaseError, EngineImport, Indices, OptionError
from .domain import Domain
from .law import Law
from .options import ElasticityOptions
from .overlap import Extension
from .plasticity import Plasticity
from .problem import Problem
from .versions import INSTALL

with EngineImport("dolfinx", install=INSTALL) as engine:
    import ufl
    from dolfinx import fem


@dataclass(frozen=True)
class Scheme:
    """The numbers of the generalised-α method."""

    alpha_m: float
    alpha_f: float

    @property
    def gamma(self) -> float:
        """The weight of the new acceleration in the velocity: second order."""
        return 0.5 - self.alpha_m + self.alpha_f

    @property
    def beta(self) -> float:
        """The weight of the new acceleration in the displacement: most damping at high frequencies."""
        return 0.25 * (1.0 - self.alpha_m + self.alpha_f) ** 2


def scheme_of(options: ElasticityOptions) -> Scheme:
    """Return the scheme's numbers (Chung and Hulbert 1993, Eq. 25)."""
    if options.scheme == "newmark":
        return Scheme(0.0, 0.0)
    radius = options.spectral_radius
    return Scheme((2.0 * radius - 1.0) / (radius + 1.0), radius / (radius + 1.0))


def elasticity(options: ElasticityOptions, domain: Domain, law: Law | None, extension: Extension | None) -> Problem:
    """Return the problem of a solid: give or take displacement, traction and force (nodal)."""
    space, n = domain.space(domain.dimension), domain.dimension
    u, v = fem.Function(space), ufl.TestFunction(space)
    u.interpolate(lambda x: domain.values(options.initial, x.T, n).T)
    solid = Elastic(options, domain, law)
    problem = Problem(
        name="displacement",
        unknown=u,
        test=v,
        residual=solid.static(u, v),
        natural="traction",
        load="force",
        flux=solid.flux(u) if density_of(options, law) == 0.0 else None,
        outflow=-ufl.dot(solid.stress_in_cells(u), ufl.FacetNormal(domain.mesh)),
        linear=options.material == "linear",
        fixed=options.fixed,
        measures=solid.measures(u),
        slaved=extension,
    )
    density = density_of(options, law)
    if density > 0.0 and options.scheme == "leapfrog":
        _set_leaping(problem, solid, density)
    elif density > 0.0:
        _set_in_motion(problem, solid, density)
    elif options.scheme == "leapfrog":
        raise CaseError("a leapfrog needs masses", todo="give the density")
    if law is not None:
        _follow(problem, law, options)
    if solid.plastic is not None:
        _remember(problem, solid.plastic, options.largest_gradient)
    return problem


def density_of(options: ElasticityOptions, law: Law | None) -> float:
    """Return the density of the moving solid; 0 is a solid at rest."""
    if options.density is None:
        return 0.0 if law is None else law.density
    return options.density


def density_to_count(options: ElasticityOptions, law: Law | None) -> float:
    """Return the density of the solid's mass, that of a solid at rest too.

    Raises:
        OptionError: nobody says it.
    """
    density = options.density or (law.density if law is not None else 0.0)
    if density <= 0.0:
        raise OptionError("the masses of a solid that is joined with atoms are not known", todo="give its density")
    return density


class Share:
    """Cells that count, and how much: those of a weight other than 0."""

    def __init__(self, weights: Array, domain: Domain) -> None:
        """Take ``weights`` (k,) of this rank's cells."""
        self.cells: Indices = np.flatnonzero(weights)
        self.weight = fem.Function(fem.functionspace(domain.mesh, ("DG", 0)))
        self.weight.x.array[self.weight.function_space.dofmap.list[: len(weights), 0]] = weights


class Elastic:
    """The forms of a solid: of UFL's own materials, or of a law at Gauss points."""

    def __init__(self, options: ElasticityOptions, domain: Domain, law: Law | None, share: Share | None = None) -> None:
        self.options, self.domain, self._law = options, domain, law
        self._weight: Any = 1 if share is None else share.weight
        self.plastic = Plasticity(options, domain) if options.material == "j2" else None
        special = law or self.plastic
        self._moduli = (0.0, 0.0) if special is not None else _moduli(options, domain)
        over = domain.dx if share is None else domain.part(share.cells)
        self._dx = over if special is None else special.dx

    def internal(self, u: Any, v: Any) -> Any:
        """Return ∫ P(u):∇v."""
        return self._weight * ufl.inner(self._stress(u), ufl.grad(v)) * self._dx

    def energy(self, u: Any) -> Any:
        """Return ∫ W(u)."""
        return self._weight * self._energy(u) * self._dx

    def measures(self, u: Any) -> dict[str, Any]:
        """Return the energy and, of a plastic solid, what it has lost."""
        lost = {} if self.plastic is None else {"dissipated": self.plastic.dissipated * self._dx}
        return {"elastic": self.energy(u)} | lost

    def slope(self, u: Any, trial: Any, v: Any) -> Any:
        """Return ∫ ∇v:∂P/∂F:∇w."""
        if self._law is not None:
            return self._law.tangent(trial, v, self._weight)
        return ufl.derivative(self.internal(u, v), u, trial)

    def flux(self, u: Any) -> tuple[Any, Any]:
        """Return P(u) and its measure."""
        return self._stress(u), self._dx

    def stress_in_cells(self, u: Any) -> Any:
        """Return P(u) where facets can see it too; a law's is its mean over each cell."""
        if self.plastic is not None:
            return self.plastic.stress_in_cells(u)
        return self._stress(u) if self._law is None else self._law.mean

    def _stress(self, u: Any) -> Any:
        if self.plastic is not None:
            return self.plastic.stress(u)
        return _stress(self.options.material, self._moduli, u) if self._law is None else self._law.stress

    def _energy(self, u: Any) -> Any:
        if self.plastic is not None:
            return self.plastic.energy(u)
        return _energy(self.options.material, self._moduli, u) if self._law is None else self._law.energy

    def static(self, u: Any, v: Any, late: float = 0.0) -> Any:
        """Return ∫ P(u):∇v − f·v dx − ∮ t·v ds, with f and t at ``late`` steps before the step's end."""
        n, domain = self.domain.dimension, self.domain
        form = self.internal(u, v)
        form -= ufl.inner(domain.formula(self.options.source, n, late), v) * domain.dx
        for each in self.options.natural:
            form -= ufl.inner(domain.formula(each.value, n, late), v) * domain.ds(each.boundary)
        return form


def _set_in_motion(problem: Problem, solid: Elastic, density: float) -> None:
    """Add inertia: a = (u − u_n − Δt v_n)/(βΔt²) − (1/(2β) − 1) a_n."""
    if problem.slaved is not None:
        raise CaseError("atoms move by leapfrog, and so must the continuum", todo='take scheme = "leapfrog"')
    u, v, domain = problem.unknown, problem.test, solid.domain
    scheme, dt = scheme_of(solid.options), domain.dt
    old, velocity = _moved(problem, solid)
    acceleration = fem.Function(u.function_space)
    beta, gamma, late = scheme.beta, scheme.gamma, scheme.alpha_f
    newer = (u - old - dt * velocity) / (beta * dt**2) - (0.5 / beta - 1.0) * acceleration
    inertia = (1.0 - scheme.alpha_m) * newer + scheme.alpha_m * acceleration
    problem.residual = density * ufl.inner(inertia, v) * domain.dx + solid.static(_stage(u, old, late), v, late)

    def after() -> None:
        h, new, before = float(dt.value), u.x.array, acceleration.x.array.copy()
        step = (new - old.x.array - h * velocity.x.array) / (beta * h**2) - (0.5 / beta - 1.0) * before
        acceleration.x.array[:] = step
        velocity.x.array[:] += h * ((1.0 - gamma) * before + gamma * step)
        old.x.array[:] = new

    problem.after, problem.at = after, 1.0 - late
    problem.history = {"old": old, "velocity": velocity, "acceleration": acceleration}
    problem.fields = {"velocity": velocity, "acceleration": acceleration}
    kinetic = 0.5 * density * ufl.inner(velocity, velocity) * domain.dx
    problem.measures = dict(problem.measures) | {"kinetic": kinetic}
    rest = density * ufl.inner(acceleration, v) * domain.dx + solid.static(u, v)
    problem.begin = (acceleration, rest)


def _set_leaping(problem: Problem, solid: Elastic, density: float) -> None:
    """Say what the leapfrog moves; it keeps the inertia itself."""
    if solid.domain.degree != 1:
        raise CaseError("only elements of degree 1 have positive lumped masses", todo="take degree = 1")
    old, velocity = _moved(problem, solid)
    internal, acceleration = (fem.Function(old.function_space) for _ in range(2))
    half = fem.Function(old.function_space)
    half.x.array[:] = velocity.x.array
    problem.lumped = density * sum(problem.test[i] for i in range(solid.domain.dimension)) * solid.domain.dx
    problem.at = 0.0
    problem.history = {"old": old, "half": half, "internal": internal}
    problem.fields = {"velocity": velocity, "acceleration": acceleration}
    problem.history = dict(problem.history) | dict(problem.fields)


def _moved(problem: Problem, solid: Elastic) -> tuple[Any, Any]:
    """Return the displacement and the velocity at the beginning."""
    u, n = problem.unknown, solid.domain.dimension
    old, velocity = fem.Function(u.function_space), fem.Function(u.function_space)
    old.x.array[:] = u.x.array
    velocity.interpolate(lambda x: solid.domain.values(solid.options.velocity, x.T, n).T)
    return old, velocity


def _stage(u: Any, old: Any, late: float) -> Any:
    return u if late == 0.0 else (1.0 - late) * u + late * old


def _follow(problem: Problem, law: Law, options: ElasticityOptions) -> None:
    """Let the law be asked wherever F is assembled."""
    moving = problem.begin is not None
    late = scheme_of(options).alpha_f if moving else 0.0
    u, trial = problem.unknown, ufl.TrialFunction(problem.unknown.function_space)
    law.follow(_stage(u, problem.history.get("old"), late), u if late else None)
    if options.residual_error is not None:
        law.quieten(options.residual_error)
    problem.tangent = (1.0 - late) * law.tangent(trial, problem.test)
    problem.refresh = law.refresh
    problem.exactly = law.exactly
    moved = problem.after

    def after() -> None:
        moved()
        law.settle()

    problem.after = after


def _remember(problem: Problem, plastic: Plasticity, largest: float) -> None:
    """Let the plastic strain move on with each step."""
    moved = problem.after
    plastic.follow(problem.unknown)

    def after() -> None:
        plastic.commit()
        moved()

    problem.after, problem.largest_gradient = after, largest
    problem.history = dict(problem.history) | plastic.history


def _moduli(options: ElasticityOptions, domain: Domain) -> tuple[Any, Any]:
    """Return Lamé's λ and μ."""
    assert options.young is not None and options.poisson is not None, "the options check it"
    young, ratio = domain.formula(options.young), domain.formula(options.poisson)
    return young * ratio / ((1.0 + ratio) * (1.0 - 2.0 * ratio)), young / (2.0 * (1.0 + ratio))


def _stress(material: str, moduli: tuple[Any, Any], u: Any) -> Any:
    """Return the first Piola–Kirchhoff stress P."""
    stiff, shear = moduli
    unit = ufl.Identity(u.ufl_shape[0])
    if material == "linear":
        strain = ufl.sym(ufl.grad(u))
        return 2.0 * shear * strain + stiff * ufl.tr(strain) * unit
    gradient = unit + ufl.grad(u)
    inverse = ufl.inv(gradient).T
    return shear * (gradient - inverse) + stiff * ufl.ln(ufl.det(gradient)) * inverse


def _energy(material: str, moduli: tuple[Any, Any], u: Any) -> Any:
    """Return the density of the elastic energy."""
    stiff, shear = moduli
    if material == "linear":
        strain = ufl.sym(ufl.grad(u))
        return shear * ufl.inner(strain, strain) + 0.5 * stiff * ufl.tr(strain) ** 2
    gradient = ufl.Identity(u.ufl_shape[0]) + ufl.grad(u)
    swelling = ufl.ln(ufl.det(gradient))
    first = ufl.inner(gradient, gradient) - u.ufl_shape[0]
    return 0.5 * shear * (first - 2.0 * swelling) + 0.5 * stiff * swelling**2
