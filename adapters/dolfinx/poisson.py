"""Electrostatics, −∇·(ε∇φ) = ρ + Σ qᵢ δ(x − xᵢ).

F(φ; v) = ∫ ε∇φ·∇v − ρ v dx − ∮ σ v ds, with σ = ε ∂φ/∂n; a point charge is the load qᵢ v(xᵢ), so that Σ qᵢ φ(xᵢ)
and the loads are one bilinear form (J. D. Jackson, Classical Electrodynamics, 3rd ed., sect. 1.7).
"""

from __future__ import annotations

from ..interface import EngineImport
from .domain import Domain
from .options import PoissonOptions
from .problem import Problem
from .versions import INSTALL

with EngineImport("dolfinx", install=INSTALL) as engine:
    import ufl
    from dolfinx import fem


def poisson(options: PoissonOptions, domain: Domain) -> Problem:
    """Return the problem of electrostatics: give or take potential, surface_charge and charge (nodal)."""
    space = domain.space()
    u, v = fem.Function(space), ufl.TestFunction(space)
    permittivity = domain.formula(options.permittivity)
    residual = ufl.inner(permittivity * ufl.grad(u), ufl.grad(v)) * domain.dx
    residual -= domain.formula(options.source) * v * domain.dx
    for each in options.natural:
        residual -= domain.formula(each.value) * v * domain.ds(each.boundary)
    return Problem(
        name="potential",
        unknown=u,
        test=v,
        residual=residual,
        natural="surface_charge",
        load="charge",
        outflow=-permittivity * ufl.dot(ufl.grad(u), ufl.FacetNormal(domain.mesh)),
        linear=True,
        fixed=options.fixed,
        fields={"electric_field": -ufl.grad(u)},
    )
