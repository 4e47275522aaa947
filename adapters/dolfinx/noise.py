r"""The noise of a law in the residual of a continuum: how much, and where samples make it smaller.

A residual's part from the stress is $r_I = \sum_q w_q\, P_q : \nabla N_I(x_q)$, linear in the stresses at the Gauss
points. With independent errors of covariance $\mathrm{cov}\, P_q$,

$$\mathrm{var}\, r_I = \sum_q w_q^2\, \nabla N_I : \mathrm{cov}\, P_q : \nabla N_I, \qquad
E |\delta r|^2 = \sum_q g_q, \quad g_q = w_q^2 \sum_I \nabla N_I : \mathrm{cov}\, P_q : \nabla N_I,$$

over the free degrees of freedom. The g_q share out the samples (`allocation`) that bring the residual's noise below a
part of what Newton's method is to reach: A. Abdulle, W. E, B. Engquist and E. Vanden-Eijnden 2012,
doi:10.1017/S0962492912000025; a solver that is asked for less than the noise never ends.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from scipy.sparse import csr_array

from ..interface import Array, EngineImport, Indices, Material, NotConverged, NotOffered, Response
from ..interface.allocation import neyman
from .domain import Domain
from .versions import INSTALL

with EngineImport("dolfinx", install=INSTALL) as engine:
    import basix.ufl
    import ufl
    from dolfinx import fem
    from dolfinx.fem import petsc

_ROUNDS = 8  # of more samples: errors are themselves estimates
_INSIDE = 0.9  # of the wanted error is aimed at


class ResidualNoise:
    """How the stress's errors at Gauss points become errors of the residual, on one rank.

    Args:
        domain: the mesh.
        degree: of the quadrature.
        free: (k,) the degrees of freedom that count; all of them by default.
        unit: one unit of the material's stress, in the mesh's units.
        cells: those whose points are asked; all that this rank owns, by default.

    ``slopes`` (k, n d²) holds w ∂r/∂P, Gauss points in the order in which a material is asked.

    Raises:
        NotOffered: on several ranks.
    """

    def __init__(
        self,
        domain: Domain,
        degree: int,
        free: Indices | None = None,
        unit: float = 1.0,
        cells: Indices | None = None,
    ) -> None:
        if domain.comm.size > 1:
            raise NotOffered("the noise of a residual is computed on one rank only", where="dolfinx")
        d = domain.dimension
        element = basix.ufl.quadrature_element(domain.mesh.basix_cell(), value_shape=(d, d), degree=degree)
        at_points = fem.functionspace(domain.mesh, element)
        stress, test = ufl.TrialFunction(at_points), ufl.TestFunction(domain.space(d))
        dx = domain.dx(metadata={"quadrature_degree": degree})
        form: Any = fem.form(ufl.inner(stress, ufl.grad(test)) * dx)
        matrix = petsc.assemble_matrix(form)
        matrix.assemble()
        indptr, indices, data = matrix.getValuesCSR()
        self._dimension, self._unit = d, unit
        places = at_points.dofmap.list
        order = (places if cells is None else places[cells]).ravel()
        columns = (order[:, None] * d * d + np.arange(d * d)).ravel()
        whole = csr_array((data, indices, indptr), shape=matrix.getSize())[:, columns]
        self.slopes = whole if free is None else whole[free]
        matrix.destroy()

    def shares(self, covariance: Array) -> Array:
        """Return g (n,): what each point adds to the mean square of the residual's error."""
        return np.asarray(self._squares(covariance).sum(axis=0)).ravel()

    def errors(self, covariance: Array) -> Array:
        """Return the standard error (k,) of the residual at each free degree of freedom."""
        return np.asarray(np.sqrt(self._squares(covariance).sum(axis=1))).ravel()

    def error(self, covariance: Array) -> float:
        """Return the root of the mean square of the residual's error, over all free degrees of freedom."""
        return float(np.sqrt(self.shares(covariance).sum()))

    def _squares(self, covariance: Array) -> csr_array:
        """Return w² ∇N_I:cov:∇N_I (k, n) of covariances (n, D, D, D, D); of a solid in plane strain, those in plane."""
        d = self._dimension
        inside = self._unit**2 * covariance[:, :d, :d, :d, :d].reshape(-1, d * d, d * d)
        matrix = self.slopes.tocoo()
        point, entry = np.divmod(matrix.coords[1], d * d)
        rows = csr_array(
            (matrix.data, (matrix.coords[0] * len(inside) + point, entry)), shape=(matrix.shape[0] * len(inside), d * d)
        )
        seen = np.unique(matrix.coords[0] * len(inside) + point)
        slopes = rows[seen].toarray()
        row, point = np.divmod(seen, len(inside))
        squares = np.einsum("se,sef,sf->s", slopes, inside[point], slopes)
        return csr_array((squares, (row, point)), shape=(matrix.shape[0], len(inside)))


def quiet(
    ask: Callable[[], Response], material: Material, noise: ResidualNoise, wanted: float, costs: Array | None = None
) -> Response:
    """Return an answer whose noise in the residual is below ``wanted``, after as many samples as that takes.

    Where the material cannot take them point by point, it takes the most that a point needs at all of them.

    Args:
        ask: asks the material, always at the same F.
        material: that is asked.
        noise: of the residual.
        wanted: the root mean square of the residual's error, in the mesh's units.
        costs: (n,) of a sample at each point; all the same by default.

    Raises:
        NotConverged: the noise does not become less.
    """
    answer = ask()
    for _ in range(_ROUNDS):
        if answer.covariance is None:
            return answer
        shares = noise.shares(answer.covariance)
        if shares.sum() <= wanted**2:
            return answer
        factors = neyman(shares, _INSIDE * wanted, costs)
        n, d = answer.stress.shape[:2]
        largest = np.linalg.eigvalsh(answer.covariance.reshape(n, d * d, d * d))[:, -1]
        try:
            material.tolerate(np.sqrt(np.clip(largest, 0.0, None) / factors))
        except NotOffered:
            material.sharpen(float(shares.sum() / (_INSIDE * wanted) ** 2))
        answer = ask()
    raise NotConverged(
        f"{material.name} was sampled {_ROUNDS} times more sharply, and the noise of its stress keeps an error of "
        f"{np.sqrt(shares.sum()):.3g} in the residual, above {wanted:.3g}",
        where="dolfinx",
        todo="let the continuum reach less, or see that the law's samples are independent",
    )
