"""Materials by formula, for tests of continua: what an engine's law answers, without the engine."""

from __future__ import annotations

import numpy as np

from scalespan.adapters.interface import Array, Material, Options, Response


class NeoHookean(Material):
    """W = μ/2 (I₁ − d − 2 ln J) + λ/2 (ln J)² in d dimensions, in eV/Å^d."""

    name = "neo-hookean"
    Options = Options

    def __init__(self, dimension: int, shear: float = 0.7, swelling: float = 1.1, density: float = 2.0) -> None:
        self._dimension, self.shear, self.swelling, self._density = dimension, shear, swelling, density

    @property
    def dimension(self) -> int:
        return self._dimension

    @property
    def stress_unit(self) -> str:
        return f"eV/angstrom**{self._dimension}"

    @property
    def density(self) -> float:
        return self._density

    def _respond(self, deformation: Array, tangent: bool) -> Response:
        one, mu, lam = np.eye(self._dimension), self.shear, self.swelling
        volume = np.log(np.linalg.det(deformation))
        inverse = np.linalg.inv(deformation)
        first = (deformation**2).sum(axis=(1, 2))
        energy = 0.5 * mu * (first - self._dimension - 2.0 * volume) + 0.5 * lam * volume**2
        stress = mu * deformation + (lam * volume - mu)[:, None, None] * inverse.transpose(0, 2, 1)
        if not tangent:
            return Response(energy, stress)
        # ∂(F⁻ᵀ)_ij/∂F_kl = −F⁻¹_li F⁻¹_jk
        found = mu * np.einsum("ik,jl->ijkl", one, one)[None] + lam * np.einsum("nji,nlk->nijkl", inverse, inverse)
        found = found - np.einsum("n,nli,njk->nijkl", lam * volume - mu, inverse, inverse)
        return Response(energy, stress, found)
