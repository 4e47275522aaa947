r"""An energy known by noisy slopes: a Gaussian process whose stress is a gradient, whatever the noise.

The energy W(x) of a strain x (k,) is a normal process with the covariance

$$k(x, x') = c^2 \ell^4 \, e^{-|x - x'|^2 / 2 \ell^2}, \qquad
\mathrm{cov}(\partial_p W, \partial'_q W) = c^2 \ell^2 \Bigl(\delta_{pq} - \frac{d_p d_q}{\ell^2}\Bigr)
e^{-|d|^2 / 2 \ell^2}, \quad d = x - x'$$

about ½ x ℂ₀ x, so that c is the size of the stiffness ∂²W − ℂ₀ and ℓ the strain over which it changes. Given stresses
s_i at x_i with covariances R_i, stress, energy and stiffness are the conditional means, with α = (K + R)⁻¹ (s − ℂ₀ x):

$$S(x) = \mathbb{C}_0 x + K(x, \cdot)\, \alpha, \qquad
\mathrm{cov}\, S(x) = K(x, x) - K(x, \cdot) (K + R)^{-1} K(\cdot, x)$$

Independent processes of each component, as libraries have them, have a tangent that is not symmetric and no energy.
c and ℓ are where the likelihood of the data, times a log-normal belief of them, is largest. Sources: C. E. Rasmussen
and C. K. I. Williams, Gaussian Processes for Machine Learning (2006), eqs. 2.23, 2.24, 5.8 and sect. 9.4 (derivatives);
E. Solak, R. Murray-Smith, W. E. Leithead, D. J. Leith and C. E. Rasmussen, Adv. Neural Inf. Process. Syst. 15 (2002).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.linalg import cho_solve, cholesky, solve_triangular
from scipy.optimize import minimize

from scalespan.adapters.interface import Array

_NUGGET = 1e-12  # of the stress's own variance: what an exact law is taken to be uncertain by
_SURE = np.array([0.5, 0.5])  # the standard deviations of the belief of ln c and ln ℓ
_WIDE = 4.0  # of those: how far from the belief they may go
_CHUNK = 256  # points at once


@dataclass(frozen=True)
class Knowledge:
    """What a process says at n strains."""

    energy: Array  # (n,) above that at no strain
    stress: Array  # (n, k)
    covariance: Array  # (n, k, k) of the stress
    stiffness: Array  # (n, k, k)


@dataclass(frozen=True)
class Data:
    """Stresses that were measured."""

    strains: Array  # (N, k)
    stresses: Array  # (N, k)
    noise: Array  # (N, k, k) their covariances

    def with_one(self, strain: Array, stress: Array, noise: Array) -> Data:
        """Return these and one more: (k,), (k,), (k, k)."""
        mine, new = (self.strains, self.stresses, self.noise), (strain, stress, noise)
        return Data(*(np.concatenate([each, one[None]]) for each, one in zip(mine, new, strict=True)))


class GradientProcess:
    """W of strains x (k,), from stresses.

    Args:
        data: the stresses.
        scales: (2,) c and ℓ.
        mean: (k, k) the stiffness ℂ₀ that is believed beforehand: the process is of W − ½ x ℂ₀ x.
    """

    def __init__(self, data: Data, scales: Array, mean: Array) -> None:
        self.data, self.scales, self.mean = data, scales, mean
        self.count, self.size = data.strains.shape
        self._factor = self._factored(scales)
        self._rest = data.stresses - data.strains @ mean
        self._weights = cho_solve((self._factor, True), self._rest.ravel()).reshape(data.strains.shape)

    def fitted(self, belief: Array) -> GradientProcess:
        """Return the process with the likeliest scales, near a ``belief`` (2,) of them."""
        start, wide = np.log(self.scales), _WIDE * _SURE
        middle = np.log(belief)
        bounds = list(zip(middle - wide, middle + wide, strict=True))
        found = minimize(self._unlikely, start, args=(middle,), method="L-BFGS-B", bounds=bounds)
        return GradientProcess(self.data, np.exp(found.x), self.mean)

    def at(self, strains: Array) -> Knowledge:
        """Return what is known at strains (n, k)."""
        parts = [self._at(strains[i : i + _CHUNK]) for i in range(0, len(strains), _CHUNK)]
        joined = {name: np.concatenate([getattr(each, name) for each in parts]) for name in Knowledge.__annotations__}
        return Knowledge(**joined)

    def covariance(self, strains: Array) -> Array:
        """Return the covariance (n, k, k) of the stress at strains (n, k)."""
        return np.concatenate(
            [self._covariance(self._mixed(strains[i : i + _CHUNK])) for i in range(0, len(strains), _CHUNK)]
        )

    def _at(self, strains: Array) -> Knowledge:
        mixed = self._mixed(strains)
        believed = strains @ self.mean
        stress = believed + np.einsum("npjq,jq->np", mixed, self._weights)
        energy = 0.5 * (believed * strains).sum(axis=1) + self._energy(strains) - self._energy(0.0 * strains[:1])
        return Knowledge(energy, stress, self._covariance(mixed), self.mean + self._stiffness(strains))

    def _covariance(self, mixed: Array) -> Array:
        n = len(mixed)
        flat = mixed.reshape(n * self.size, -1)
        seen = solve_triangular(self._factor, flat.T, lower=True).T.reshape(n, self.size, -1)
        c, length = self.scales
        found: Array = (c * length) ** 2 * np.eye(self.size) - seen @ seen.transpose(0, 2, 1)
        return found

    def _apart(self, strains: Array) -> tuple[Array, Array]:
        """Return d (n, N, k) and e^{−|d|²/2ℓ²} (n, N)."""
        apart = strains[:, None] - self.data.strains
        return apart, np.exp(-0.5 * (apart**2).sum(axis=2) / self.scales[1] ** 2)

    def _mixed(self, strains: Array) -> Array:
        """Return cov(∂_p W(x), ∂_q W(x_j)) (n, k, N, k)."""
        apart, near = self._apart(strains)
        return _slopes(apart, near, self.scales)

    def _energy(self, strains: Array) -> Array:
        apart, near = self._apart(strains)
        c, length = self.scales
        found: Array = (c * length) ** 2 * np.einsum("nj,njq,jq->n", near, apart, self._weights)
        return found

    def _stiffness(self, strains: Array) -> Array:
        """Return ∂²W (n, k, k), the slope of the mean stress."""
        apart, near = self._apart(strains)
        (c, length), weights = self.scales, self._weights
        along = near * np.einsum("njq,jq->nj", apart, weights)
        found = np.einsum("nj,njp,njm->npm", along, apart, apart, optimize=True) / length**2
        found -= along.sum(axis=1)[:, None, None] * np.eye(self.size)
        across = np.einsum("nj,njp,jm->npm", near, apart, weights, optimize=True)
        return np.asarray(c**2 * (found - across - across.transpose(0, 2, 1)))

    def _factored(self, scales: Array) -> Array:
        """Return the lower Cholesky factor of K + R (N k, N k)."""
        apart = self.data.strains[:, None] - self.data.strains
        near = np.exp(-0.5 * (apart**2).sum(axis=2) / scales[1] ** 2)
        whole = _slopes(apart, near, scales)
        own = np.arange(self.count)
        whole[own, :, own, :] += self.data.noise + _NUGGET * (scales[0] * scales[1]) ** 2 * np.eye(self.size)
        return np.asarray(cholesky(whole.reshape(self.count * self.size, -1), lower=True))

    def _unlikely(self, logarithms: Array, belief: Array) -> float:
        """Return −ln of likelihood and belief, but for a constant."""
        factor = self._factored(np.exp(logarithms))
        inside = solve_triangular(factor, self._rest.ravel(), lower=True)
        far = (logarithms - belief) / _SURE
        return float(0.5 * inside @ inside + np.log(np.diag(factor)).sum() + 0.5 * far @ far)


def _slopes(apart: Array, near: Array, scales: Array) -> Array:
    """Return cov(∂_p W(x_n), ∂_q W(x_j)) (n, k, N, k)."""
    c, length = scales
    size = apart.shape[2]
    found = -np.einsum("nj,njp,njq->npjq", near / length**2, apart, apart, optimize=True)
    for p in range(size):
        found[:, p, :, p] += near
    return np.asarray((c * length) ** 2 * found)
