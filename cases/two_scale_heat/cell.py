"""The micro problem: a grain that grows or dissolves in a cell, by Allen and Cahn, and the heat that goes round it.

λ² ∂φ/∂t = γ λ² ∇²φ − γ P'(φ) − 4 λ φ (1 − φ) f(c), with P = 8 φ² (1 − φ)² and f(c) = k (c/c_eq)² − 1; φ is 0 in the
grain and 1 outside (M. Bastidas, C. Bringedal and I. S. Pop 2021, doi:10.1016/j.amc.2020.125933, example 1, in the
numbers of preCICE's tutorial two-scale-heat-conduction). The front keeps the profile 1/(1 + exp(−4 (r − R)/λ)) and
moves by dR/dt = f(c) − γ/R as λ → 0.

The grain is in the middle of the cell: by symmetry no flux of φ leaves it, which is the same as periodic.
"""

import ufl
from dolfinx import fem
from dolfinx.fem.petsc import LinearProblem

from scalespan.adapters.dolfinx import Domain, Problem

LAMBDA = 1 / 12  # the front's width, of the cell's edge
GAMMA = 0.05  # γ, the diffusivity of the front
RATE = 1.0  # k
EQUILIBRIUM = 0.5  # c_eq
RADIUS = 0.4  # of the grain at the beginning
GRAIN, OPEN = 0.0, 1.0  # the conductivities of the grain and of what is around it
DIRECT = {"ksp_type": "preonly", "pc_type": "lu"}
EXACT = {"quadrature_degree": 4}  # Gauss points, as in the tutorial


def phase(domain: Domain) -> Problem:
    """Return the phase field's problem, which takes the concentration, the same at every node."""
    space = domain.space()
    phi, old, given, v = fem.Function(space), fem.Function(space), fem.Function(space), ufl.TestFunction(space)
    x, y = domain.coordinate
    dx = domain.dx(metadata=EXACT)
    profile = 1 / (1 + ufl.exp(-4 / LAMBDA * (ufl.sqrt(x**2 + y**2) - RADIUS)))
    projection = LinearProblem(ufl.TrialFunction(space) * v * dx, profile * v * dx, u=phi, petsc_options=DIRECT)
    projection.solve()
    old.x.array[:] = phi.x.array
    reaction = RATE * (given / EQUILIBRIUM) ** 2 - 1
    well = 16 * phi * (1 - phi) * (1 - 2 * phi)
    residual = LAMBDA**2 * (phi - old) / domain.dt * v * dx + GAMMA * well * v * dx
    residual += GAMMA * LAMBDA**2 * ufl.inner(ufl.grad(phi), ufl.grad(v)) * dx
    residual += 4 * LAMBDA * reaction * phi * (1 - phi) * v * dx

    def after() -> None:
        old.x.array[:] = phi.x.array

    return Problem(
        name="phase",
        unknown=phi,
        test=v,
        residual=residual,
        inputs={"concentration": given},
        history={"old": old},
        after=after,
    )


def conduction(domain: Domain) -> Problem:
    """Return the conduction of heat where φ says, which the bridge homogenises."""
    space = domain.space()
    u, phi, v = fem.Function(space), fem.Function(space), ufl.TestFunction(space)
    flux, dx = (GRAIN + (OPEN - GRAIN) * phi) * ufl.grad(u), domain.dx(metadata=EXACT)
    residual = ufl.inner(flux, ufl.grad(v)) * dx
    return Problem(
        name="temperature", unknown=u, test=v, residual=residual, inputs={"phase": phi}, flux=(flux, dx), linear=True
    )
