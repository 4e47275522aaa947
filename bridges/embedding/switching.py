"""A smooth edge for the charges: each group fades as a whole, and the forces know it.

A group of charges (a molecule, a residue) at distances r_i of its centre from the atoms i of
the region counts by the factor s = 1 − Π_i (1 − w(r_i)): one where any atom of the region is
nearer than the inner radius, zero where all are beyond the outer one, smooth between. w is the
quintic 1 − 10 t³ + 15 t⁴ − 6 t⁵, t = (r − inner)/(outer − inner), with two continuous
derivatives (Steinbach and Brooks, doi:10.1002/jcc.540150702, for switching by groups).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from scalespan.adapters.interface import Array, Indices


@dataclass(frozen=True)
class Edge:
    """Where charges begin to fade and where they are gone."""

    inner: float  # Å
    outer: float  # Å

    def weight(self, r: Array) -> tuple[Array, Array]:
        """Return w and dw/dr (1/Å) at distances ``r`` (Å)."""
        width = self.outer - self.inner
        t = np.clip((r - self.inner) / width, 0.0, 1.0)
        return 1.0 - t**3 * (10.0 - 15.0 * t + 6.0 * t**2), -30.0 * t**2 * (1.0 - t) ** 2 / width

    def factors(self, centres: Array, region: Array) -> tuple[Array, Indices, Array]:
        """Return the factor of each group, and how it changes.

        Args:
            centres: (g, 3) Å.
            region: (k, 3) Å.

        Returns:
            the factors s (g,); the fading groups (f,), those with 0 < s < 1; and
            ∂s/∂r_i (f, k, 3), 1/Å, of these with respect to their centres, atom by atom of
            the region: the sum over i moves the centre, the negative moves atom i.
        """
        along = centres[:, None, :] - region[None, :, :]
        r = np.sqrt(np.einsum("gkx,gkx->gk", along, along))
        w, slope = self.weight(r)
        product = np.prod(1.0 - w, axis=1)
        fading: Indices = np.flatnonzero((product > 0.0) & (product < 1.0))
        r, w, slope, along = r[fading], w[fading], slope[fading], along[fading]
        others = product[fading, None] / (1.0 - w)  # Π over j ≠ i; no factor is zero here
        return 1.0 - product, fading, (others * slope / r)[:, :, None] * along
