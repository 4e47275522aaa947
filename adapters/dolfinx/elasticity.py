"""Solids: linear elasticity and the neo-Hookean solid, at rest or moving.

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

from ..interface import EngineImport
from .domain import Domain
from .options import ElasticityOptions
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


def elasticity(options: ElasticityOptions, domain: Domain) -> Problem:
    """Return the problem of a solid: give or take displacement, traction and force (nodal)."""
    space, n = domain.space(domain.dimension), domain.dimension
    u, v = fem.Function(space), ufl.TestFunction(space)
    u.interpolate(lambda x: domain.values(options.initial, x.T, n).T)
    problem = Problem(
        name="displacement",
        unknown=u,
        test=v,
        residual=_static(options, domain, u, v),
        natural="traction",
        load="force",
        outflow=-ufl.dot(_stress(options, u), ufl.FacetNormal(domain.mesh)),
        linear=options.material == "linear",
        fixed=options.fixed,
        measures={"elastic": _energy(options, u) * domain.dx},
    )
    if options.density > 0.0:
        _set_in_motion(problem, options, domain)
    return problem


def _set_in_motion(problem: Problem, options: ElasticityOptions, domain: Domain) -> None:
    """Add inertia: a = (u − u_n − Δt v_n)/(βΔt²) − (1/(2β) − 1) a_n."""
    u, v, n = problem.unknown, problem.test, domain.dimension
    scheme, dt, density = scheme_of(options), domain.dt, options.density
    old, velocity, acceleration = (fem.Function(u.function_space) for _ in range(3))
    old.x.array[:] = u.x.array
    velocity.interpolate(lambda x: domain.values(options.velocity, x.T, n).T)
    beta, gamma, late = scheme.beta, scheme.gamma, scheme.alpha_f
    newer = (u - old - dt * velocity) / (beta * dt**2) - (0.5 / beta - 1.0) * acceleration
    inertia = (1.0 - scheme.alpha_m) * newer + scheme.alpha_m * acceleration
    stage = u if late == 0.0 else (1.0 - late) * u + late * old
    problem.residual = density * ufl.inner(inertia, v) * domain.dx + _static(options, domain, stage, v, late)

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
    rest = density * ufl.inner(acceleration, v) * domain.dx + _static(options, domain, u, v)
    problem.begin = (acceleration, rest)


def _static(options: ElasticityOptions, domain: Domain, u: Any, v: Any, late: float = 0.0) -> Any:
    """Return ∫ P(u):∇v − f·v dx − ∮ t·v ds, with f and t at ``late`` steps before the step's end."""
    n = domain.dimension
    form = ufl.inner(_stress(options, u), ufl.grad(v)) * domain.dx
    form -= ufl.inner(domain.formula(options.source, n, late), v) * domain.dx
    for each in options.natural:
        form -= ufl.inner(domain.formula(each.value, n, late), v) * domain.ds(each.boundary)
    return form


def _moduli(options: ElasticityOptions) -> tuple[float, float]:
    """Return Lamé's λ and μ."""
    young, ratio = options.young, options.poisson
    return young * ratio / ((1.0 + ratio) * (1.0 - 2.0 * ratio)), young / (2.0 * (1.0 + ratio))


def _stress(options: ElasticityOptions, u: Any) -> Any:
    """Return the first Piola–Kirchhoff stress P."""
    stiff, shear = _moduli(options)
    unit = ufl.Identity(u.ufl_shape[0])
    if options.material == "linear":
        strain = ufl.sym(ufl.grad(u))
        return 2.0 * shear * strain + stiff * ufl.tr(strain) * unit
    gradient = unit + ufl.grad(u)
    inverse = ufl.inv(gradient).T
    return shear * (gradient - inverse) + stiff * ufl.ln(ufl.det(gradient)) * inverse


def _energy(options: ElasticityOptions, u: Any) -> Any:
    """Return the density of the elastic energy."""
    stiff, shear = _moduli(options)
    if options.material == "linear":
        strain = ufl.sym(ufl.grad(u))
        return shear * ufl.inner(strain, strain) + 0.5 * stiff * ufl.tr(strain) ** 2
    gradient = ufl.Identity(u.ufl_shape[0]) + ufl.grad(u)
    swelling = ufl.ln(ufl.det(gradient))
    first = ufl.inner(gradient, gradient) - u.ufl_shape[0]
    return 0.5 * shear * (first - 2.0 * swelling) + 0.5 * stiff * swelling**2
