"""The numbers of reference.toml, without scalespan: the resolved field by DOLFINx alone, the methods by NumPy.

Bilinear elements by hand on N × N squares, 5 × 5 Gauss points for the coefficient; a period's correctors by periodic
numbering; an element's basis with bilinear values on its sides. Takes two minutes: python make_reference.py
"""

from __future__ import annotations

import numpy as np
import ufl
from dolfinx import fem, mesh
from dolfinx.fem import petsc
from mpi4py import MPI
from scipy.sparse import coo_array, csc_array
from scipy.sparse.linalg import spsolve

EPS, FINE = 1 / 64, 16  # the period, and its elements along each side
COARSE = (4, 8, 16, 32, 64)


def coefficient(x, y, m=np):
    """T. Y. Hou and X.-H. Wu 1997, doi:10.1006/jcph.1997.5682."""
    x, y = 2 * np.pi * x / EPS, 2 * np.pi * y / EPS
    return (2 + 1.8 * m.sin(x)) / (2 + 1.8 * m.cos(y)) + (2 + m.sin(y)) / (2 + 1.8 * m.sin(x))


def resolved(n: int) -> np.ndarray:
    """Return the nodal values (n + 1, n + 1) of the resolved problem."""
    square = mesh.create_unit_square(MPI.COMM_SELF, n, n, mesh.CellType.quadrilateral)
    space = fem.functionspace(square, ("Lagrange", 1))
    u, v = ufl.TrialFunction(space), ufl.TestFunction(space)
    square.topology.create_connectivity(1, 2)
    edge = fem.locate_dofs_topological(space, 1, mesh.exterior_facet_indices(square.topology))
    form = coefficient(*ufl.SpatialCoordinate(square), ufl) * ufl.inner(ufl.grad(u), ufl.grad(v)) * ufl.dx
    options = {"ksp_type": "cg", "pc_type": "gamg", "ksp_rtol": 1e-11}
    known = [fem.dirichletbc(0.0, edge, space)]
    found = petsc.LinearProblem(form, v * ufl.dx, bcs=known, petsc_options=options).solve()
    place = np.rint(space.tabulate_dof_coordinates()[:, :2] * n).astype(int)
    values = np.zeros((n + 1, n + 1))
    values[place[:, 0], place[:, 1]] = found.x.array
    return values


def numbers(n: int) -> np.ndarray:
    """Return the nodes (n², 4) of squares: anticlockwise."""
    i, j = (each.ravel() for each in np.meshgrid(np.arange(n), np.arange(n), indexing="ij"))
    return np.stack([i * (n + 1) + j, (i + 1) * (n + 1) + j, (i + 1) * (n + 1) + j + 1, i * (n + 1) + j + 1], axis=1)


def gradients(s: float, t: float) -> np.ndarray:
    """Return the gradients (4, 2) in the unit square."""
    return np.array([[t - 1, s - 1], [1 - t, -s], [t, s], [-t, 1 - s]])


def stiffness(n: int, h: float) -> csc_array:
    """Return the fine stiffness of n × n squares of side h, from the origin."""
    at, weights = np.polynomial.legendre.leggauss(5)
    nodes, local = numbers(n), np.zeros((n * n, 4, 4))
    i, j = np.divmod(np.arange(n * n), n)
    for s, ws in zip((at + 1) / 2, weights / 2, strict=True):
        for t, wt in zip((at + 1) / 2, weights / 2, strict=True):
            slope = gradients(s, t)
            local += (ws * wt * coefficient((i + s) * h, (j + t) * h))[:, None, None] * (slope @ slope.T)
    rows, columns = np.repeat(nodes, 4, axis=1).ravel(), np.tile(nodes, 4).ravel()
    return csc_array(coo_array((local.ravel(), (rows, columns)), shape=((n + 1) ** 2,) * 2))


def homogenised() -> np.ndarray:
    """Return a* (2, 2) of one period."""
    n, h = FINE, EPS / FINE
    matrix = stiffness(n, h)
    i, j = np.divmod(np.arange((n + 1) ** 2), n + 1)
    same = (i % n) * n + j % n
    fold = csc_array((np.ones(len(same)), (np.arange(len(same)), same)))[:, 1:]
    affine = np.stack([i * h, j * h], axis=1)
    moved = affine - fold @ spsolve(csc_array(fold.T @ matrix @ fold), fold.T @ (matrix @ affine))
    return affine.T @ (matrix @ moved) / EPS**2


def mean() -> np.ndarray:
    """Return ⟨a⟩ (2, 2) of one period, which is not a*: its stiffness against affine fields."""
    i, j = np.divmod(np.arange((FINE + 1) ** 2), FINE + 1)
    affine = np.stack([i, j], axis=1) / FINE
    return affine.T @ (stiffness(FINE, EPS / FINE) @ affine)


def element_of_law(law: np.ndarray) -> np.ndarray:
    """Return a square's matrix (4, 4) under a constant law."""
    half = 0.5 / np.sqrt(3)
    slopes = [gradients(0.5 + s * half, 0.5 + t * half) for s in (-1, 1) for t in (-1, 1)]
    return sum(0.25 * slope @ law @ slope.T for slope in slopes)


def element_of_basis(count: int) -> np.ndarray:
    """Return the matrix (4, 4) of a square of 1/count by its multiscale basis; whole periods, so all are alike."""
    n = FINE * round(1 / EPS) // count
    matrix = stiffness(n, EPS / FINE)
    i, j = (each / n for each in np.divmod(np.arange((n + 1) ** 2), n + 1))
    basis = np.stack([(1 - i) * (1 - j), i * (1 - j), i * j, (1 - i) * j], axis=1)
    inside = np.flatnonzero((i > 0) & (i < 1) & (j > 0) & (j < 1))
    rows = matrix[inside]
    basis[inside] -= spsolve(csc_array(rows[:, inside]), rows @ basis)
    return basis.T @ (matrix @ basis)


def coarse(count: int, element: np.ndarray) -> np.ndarray:
    """Return the nodal values (count + 1, count + 1) for a unit source."""
    nodes = numbers(count)
    rows, columns = np.repeat(nodes, 4, axis=1).ravel(), np.tile(nodes, 4).ravel()
    values = np.tile(element.ravel(), len(nodes))
    matrix = csc_array(coo_array((values, (rows, columns)), shape=((count + 1) ** 2,) * 2))
    found = np.zeros((count + 1, count + 1))
    inside = np.arange((count + 1) ** 2).reshape(count + 1, -1)[1:-1, 1:-1].ravel()
    loads = np.full(len(inside), 1 / count**2)
    found.ravel()[inside] = spsolve(csc_array(matrix[inside][:, inside]), loads)
    return found


def at(values: np.ndarray, points: np.ndarray) -> np.ndarray:
    """Return a bilinear field at all pairs of points (p,)."""
    n = len(values) - 1
    low = np.minimum((points * n).astype(int), n - 1)
    share = points * n - low
    along = values[low] * (1 - share)[:, None] + values[low + 1] * share[:, None]
    return along[:, low] * (1 - share) + along[:, low + 1] * share


def main() -> None:
    """Print the numbers."""
    points = (np.arange(4 / EPS) + 0.5) * EPS / 4
    true = at(resolved(round(FINE / EPS)), points)
    law = homogenised()
    print("a*", law.tolist(), "mean", true.mean())
    for count in COARSE:
        elements = {
            "hmm": element_of_law(law),
            "msfem": element_of_basis(count),
            "mean": element_of_law(mean()),
        }
        for name, element in elements.items():
            error = np.linalg.norm(at(coarse(count, element), points) - true) / np.linalg.norm(true)
            print(f"{name} {count}: {error:.6e}")


if __name__ == "__main__":
    main()
