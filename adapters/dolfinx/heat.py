"""Heat conduction, ρc ∂u/∂t = ∇·(κ∇u) + f, by the implicit Euler method.

F(u; v) = ∫ ρc (u − u_n)/Δt v + κ∇u·∇v − f v dx − ∮ q v ds, with q the heat flux that enters
(T. J. R. Hughes, The Finite Element Method, 2000, ch. 8).
"""

from __future__ import annotations

from ..interface import EngineImport
from .domain import Domain
from .options import HeatOptions
from .problem import Problem
from .versions import INSTALL

with EngineImport("dolfinx", install=INSTALL) as engine:
    import ufl
    from dolfinx import fem


def heat(options: HeatOptions, domain: Domain) -> Problem:
    """Return the problem of heat conduction: give or take temperature, heat_flux and heat (nodal)."""
    space = domain.space()
    u, old, v = fem.Function(space), fem.Function(space), ufl.TestFunction(space)
    u.interpolate(lambda x: domain.values(options.initial, x.T)[:, 0])
    old.x.array[:] = u.x.array
    conductivity, capacity = domain.formula(options.conductivity), domain.formula(options.capacity)
    residual = ufl.inner(conductivity * ufl.grad(u), ufl.grad(v)) * domain.dx
    residual -= domain.formula(options.source) * v * domain.dx
    if options.capacity != 0.0:
        residual += capacity * (u - old) / domain.dt * v * domain.dx
    for each in options.natural:
        residual -= domain.formula(each.value) * v * domain.ds(each.boundary)

    def after() -> None:
        old.x.array[:] = u.x.array

    return Problem(
        name="temperature",
        unknown=u,
        test=v,
        residual=residual,
        natural="heat_flux",
        load="heat",
        flux=(conductivity * ufl.grad(u), domain.dx) if options.capacity == 0.0 else None,
        outflow=-conductivity * ufl.dot(ufl.grad(u), ufl.FacetNormal(domain.mesh)),
        linear=True,
        fixed=options.fixed,
        history={"old": old} if options.capacity != 0.0 else {},
        after=after,
    )
