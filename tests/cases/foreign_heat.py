"""Heat conduction by DOLFINx alone, coupled by the official fenicsxprecice: what someone else would write.

Run in a participant's folder beside its precice-adapter-config.json, as `python foreign_heat.py Neumann`. It knows
nothing of scalespan. u = 1 + x² + 3y² + 1.2t; the flux is ∂u/∂x, as in preCICE's tutorial.
"""

import sys
from pathlib import Path

import numpy as np
import ufl
from dolfinx import fem, mesh
from dolfinx.fem.petsc import LinearProblem
from fenicsxprecice import Adapter, CouplingMesh
from mpi4py import MPI

DIRICHLET = sys.argv[1] == "Dirichlet"
CELLS = 8


class Exact:
    t = 0.0

    def __call__(self, x):
        return 1 + x[0] ** 2 + 3 * x[1] ** 2 + 1.2 * self.t


def on_interface(x):
    return np.isclose(x[0], 1.0)


def on_outer(x):
    return np.isclose(x[0], 0.0 if DIRICHLET else 2.0) | np.isclose(x[1], 0.0) | np.isclose(x[1], 1.0)


start = 0.0 if DIRICHLET else 1.0
domain = mesh.create_rectangle(MPI.COMM_WORLD, [[start, 0.0], [start + 1.0, 1.0]], [CELLS, CELLS])
V = fem.functionspace(domain, ("Lagrange", 2))
exact = Exact()
u, old, outer, given, flux = (fem.Function(V) for _ in range(5))
old.interpolate(exact)
u.interpolate(exact)
outer.interpolate(exact)
given.interpolate(exact)
points = V.element.interpolation_points
slope = fem.Expression(old.dx(0), points() if callable(points) else points)
flux.interpolate(slope)

name = "Dirichlet" if DIRICHLET else "Neumann"
read, write, written = ("Temperature", "Heat-Flux", flux) if DIRICHLET else ("Heat-Flux", "Temperature", old)
precice = Adapter(MPI.COMM_WORLD, "precice-adapter-config.json")
precice.initialize([CouplingMesh(f"{name}-Mesh", on_interface, {read: V}, {write: written})])

dt = fem.Constant(domain, 0.1)
w, v = ufl.TrialFunction(V), ufl.TestFunction(V)
form = (w - old) / dt * v * ufl.dx + ufl.inner(ufl.grad(w), ufl.grad(v)) * ufl.dx - (1.2 - 8.0) * v * ufl.dx
conditions = [fem.dirichletbc(outer, fem.locate_dofs_geometrical(V, on_outer))]
if DIRICHLET:
    conditions.insert(0, fem.dirichletbc(given, fem.locate_dofs_geometrical(V, on_interface)))
else:
    form += given * v * ufl.ds  # counts at the interface only: elsewhere the temperature is fixed
lu = {"ksp_type": "preonly", "pc_type": "lu"}
problem = LinearProblem(ufl.lhs(form), ufl.rhs(form), conditions, u=u, petsc_options=lu)

time, step = 0.0, 0
while precice.is_coupling_ongoing():
    if precice.requires_writing_checkpoint():
        precice.store_checkpoint(old, time, step)
    dt.value = precice.get_max_time_step_size()
    precice.read_data(f"{name}-Mesh", read, float(dt.value), given)
    exact.t = time + float(dt.value)
    outer.interpolate(exact)
    problem.solve()
    old.x.array[:] = u.x.array
    flux.interpolate(slope)
    precice.write_data(f"{name}-Mesh", write, written)
    precice.advance(float(dt.value))
    if precice.requires_reading_checkpoint():
        kept, time, step = precice.retrieve_checkpoint()
        old.x.array[:] = kept.x.array
    else:
        time, step = exact.t, step + 1

outer.interpolate(exact)
Path("error.txt").write_text(repr(float(np.abs(u.x.array - outer.x.array).max())))
precice.finalize()
