"""The same two scales by other methods, in NumPy and SciPy alone; it prints the numbers of reference.toml.

The cells: finite volumes on a periodic grid, where the case has finite elements. All cells begin alike, so that after
one window a cell is a function of its concentration, and after two a function of two: both are tabulated at Chebyshev
points and interpolated (L. N. Trefethen, Approximation Theory and Approximation Practice, 2013, ch. 5). The plate: the
case's own bilinear elements, because a temperature that is given at a point alone depends on the mesh.
Two grids give the limit of none by Richardson's extrapolation, of second order.
"""

import sys

import numpy as np
from numpy.polynomial import chebyshev
from scipy.sparse import csr_array, diags_array, eye_array, kron
from scipy.sparse.linalg import splu

LAMBDA, GAMMA, RATE, EQUILIBRIUM, RADIUS = 1 / 12, 0.05, 1.0, 0.5, 0.4
DT, WINDOWS = 0.01, 2
LOW, HIGH, POINTS = 0.15, 0.6, 5  # what concentrations there are, and how many are tabulated


class Grid:
    """n × n volumes of a periodic unit cell."""

    def __init__(self, n):
        self.n, h = n, 1 / n
        shift = csr_array((np.ones(n), (np.arange(n), (np.arange(n) + 1) % n)))
        one = eye_array(n)
        self.next = [csr_array(kron(shift, one)), csr_array(kron(one, shift))]
        self.slope = [(each - eye_array(n * n)) / h for each in self.next]  # on the faces after each volume
        self.laplace = csr_array(-sum(each.T @ each for each in self.slope))
        middle = (np.arange(n) + 0.5) * h - 0.5
        x, y = np.meshgrid(middle, middle, indexing="ij")
        self.start = (1 / (1 + np.exp(-4 / LAMBDA * (np.hypot(x, y) - RADIUS)))).ravel()

    def moved(self, old, c):
        """Return φ after one step of implicit Euler, by Newton's method."""
        phi, f = old.copy(), RATE * (c / EQUILIBRIUM) ** 2 - 1
        for _ in range(20):
            well, slope = 16 * phi * (1 - phi) * (1 - 2 * phi), 16 * (1 - 6 * phi + 6 * phi**2)
            residual = LAMBDA**2 * (phi - old) / DT + GAMMA * well - GAMMA * LAMBDA**2 * (self.laplace @ phi)
            residual += 4 * LAMBDA * f * phi * (1 - phi)
            diagonal = LAMBDA**2 / DT + GAMMA * slope + 4 * LAMBDA * f * (1 - 2 * phi)
            matrix = diags_array(diagonal) - GAMMA * LAMBDA**2 * self.laplace
            step = splu(matrix.tocsc()).solve(residual)
            phi = phi - step
            if np.abs(step).max() < 1e-12:
                return phi
        raise RuntimeError("Newton's method found no phase field")

    def answer(self, phi):
        """Return K along x, which is that along y by symmetry, and the porosity."""
        faces = [0.5 * (phi + step @ phi) for step in self.next]
        matrix = sum(slope.T @ diags_array(k) @ slope for slope, k in zip(self.slope, faces, strict=True)).tocsc()
        force = -self.slope[0].T @ faces[0]
        w = np.zeros(len(phi))
        w[1:] = splu(matrix[1:, 1:]).solve(force[1:])
        return np.array([np.mean(faces[0] * (1 + self.slope[0] @ w)), phi.mean()])


def tables(grid):
    """Return the coefficients of (K, ψ) as polynomials of c after one window, and of c₁ and c₂ after two."""
    nodes = chebyshev.chebpts1(POINTS)
    c = LOW + (HIGH - LOW) * (nodes + 1) / 2
    first = [grid.moved(grid.start, each) for each in c]
    once = np.array([grid.answer(phi) for phi in first])
    twice = np.array([[grid.answer(grid.moved(phi, each)) for each in c] for phi in first])
    inverse = np.linalg.inv(chebyshev.chebvander(nodes, POINTS - 1))
    return inverse @ once, np.einsum("ai,bj,ijk->abk", inverse, inverse, twice)


def plate():
    """Return of the 4 × 3 bilinear elements: weights, values and slopes of the 20 functions at the 48 Gauss points."""
    gauss = np.array([-1, 1]) / np.sqrt(3)
    hx, hy, weights, values, slopes = 1 / 4, 0.5 / 3, [], [], []
    for i, j in np.ndindex(4, 3):
        nodes = [5 * b + a for b in (j, j + 1) for a in (i, i + 1)]
        for s, t in ((s, t) for t in gauss for s in gauss):
            one = np.array([(1 - s) * (1 - t), (1 + s) * (1 - t), (1 - s) * (1 + t), (1 + s) * (1 + t)]) / 4
            dx = np.array([-(1 - t), 1 - t, -(1 + t), 1 + t]) / (2 * hx)
            dy = np.array([-(1 - s), -(1 + s), 1 - s, 1 + s]) / (2 * hy)
            row = np.zeros((3, 20))
            row[:, nodes] = one, dx, dy
            weights.append(hx * hy / 4)
            values.append(row[0])
            slopes.append(row[1:])
    return np.array(weights), np.array(values), np.array(slopes)


def run(n):
    """Return mean, least and largest porosity and conductivity at the end, and the amount ∫c."""
    once, twice = tables(Grid(n))
    weights, values, slopes = plate()
    mass = np.einsum("q,qa,qb->ab", weights, values, values)
    c, before = np.full(20, 0.5), None
    free = np.arange(1, 20)  # node 0 is the corner
    for window in range(WINDOWS):
        old, k, points = c.copy(), np.full(48, 0.33), None
        for _ in range(100):
            matrix = mass / DT + np.einsum("q,qia,qib->ab", weights * k, slopes, slopes)
            c = np.zeros(20)
            c[free] = np.linalg.solve(matrix[np.ix_(free, free)], (mass @ old / DT)[free])
            points = values @ c
            assert LOW < points.min() < points.max() < HIGH, points
            z = 2 * (points - LOW) / (HIGH - LOW) - 1
            answer = chebyshev.chebval(z, once) if window == 0 else pairs(before, z, twice)
            change, k = np.abs(answer[0] - k).max(), answer[0]
            if change < 1e-13:
                break
        before = z
    k, porosity = answer
    return np.array([*(f(porosity) for f in (np.mean, np.min, np.max)), np.mean(k), k.max(), mass.sum(axis=0) @ c])


def pairs(one, two, coefficients):
    """Return the polynomials of two variables at pairs of values."""
    vander = chebyshev.chebvander2d(one, two, [POINTS - 1, POINTS - 1])
    return (vander @ coefficients.reshape(POINTS**2, -1)).T


if __name__ == "__main__":
    sizes = [int(each) for each in sys.argv[1:]] or [48, 80]
    coarse, fine = (run(n) for n in sizes)
    ratio = (sizes[1] / sizes[0]) ** 2
    for name, a, b in zip(("ψ", "least ψ", "largest ψ", "K", "largest K", "∫c"), coarse, fine, strict=True):
        print(f"{name:10} {a:.7f} {b:.7f} -> {(ratio * b - a) / (ratio - 1):.7f}")
