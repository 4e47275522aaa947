"""The macro problem: heat in a plate, with a conductivity and a porosity at each Gauss point that the cells give.

(ρ_s ψ + ρ_g (1 − ψ)) ∂c/∂t = ∇·(K ∇c), with c = 0 at one corner and no flux elsewhere, by the implicit Euler method.
"""

import ufl
from dolfinx import fem

from scalespan.adapters.dolfinx import Domain, Problem

OPEN, GRAIN = 1.0, 1.0  # ρ_s and ρ_g, the heat capacities of the volume
INITIAL, CORNER = 0.5, 0.0
DEGREE = 2  # of the quadrature: two points along each axis
HOLD = 1e12  # what holds the corner: a conductance to it, of the largest there is


def problem(domain: Domain) -> Problem:
    """Return the plate, which takes k_00, …, k_11 and porosity at its Gauss points."""
    space, gauss = domain.space(), domain.quadrature(DEGREE)
    c, old, v = fem.Function(space), fem.Function(space), ufl.TestFunction(space)
    c.x.array[:] = old.x.array[:] = INITIAL
    given = {name: fem.Function(gauss) for name in ("k_00", "k_01", "k_10", "k_11", "porosity")}
    k = ufl.as_matrix([[given["k_00"], given["k_01"]], [given["k_10"], given["k_11"]]])
    capacity = OPEN * given["porosity"] + GRAIN * (1 - given["porosity"])
    dx = domain.dx(metadata={"quadrature_degree": DEGREE})
    residual = capacity * (c - old) / domain.dt * v * dx + ufl.dot(k * ufl.grad(c), ufl.grad(v)) * dx
    residual += HOLD * _corner(domain) * (c - CORNER) * v * domain.dx(metadata=_VERTICES)

    def after() -> None:
        old.x.array[:] = c.x.array

    return Problem(
        name="concentration",
        unknown=c,
        test=v,
        residual=residual,
        inputs=given,
        history={"old": old},
        measures={"amount/m**2": c * dx},
        after=after,
    )


_VERTICES = {"quadrature_rule": "vertex", "quadrature_degree": 1}  # what is integrated is then at single nodes


def _corner(domain: Domain) -> fem.Function:
    """Return what is 1 at the node of the lower left corner and 0 at all others."""
    found = fem.Function(domain.space())
    found.interpolate(lambda x: 1.0 * ((x[0] < 1e-9) & (x[1] < 1e-9)))
    return found
