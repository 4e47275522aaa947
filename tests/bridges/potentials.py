"""Published potentials for the tests of laws and handshakes, with stress, and a law by formula."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from ase.calculators.eam import EAM

from scalespan.adapters.interface import Array, Material, Options, Response, load_file
from scalespan.adapters.stillinger_weber import StillingerWeberAdapter, StillingerWeberOptions

CASES = Path(__file__).parents[2] / "cases"


def stillinger_weber(**parameters):
    """Return Stillinger and Weber's silicon; ``parameters`` replace the published ones."""
    return StillingerWeberAdapter(StillingerWeberOptions(**parameters))


def tersoff_silicon():
    """Return the case's."""
    return load_file(CASES / "silicon_hot_atom" / "tersoff.py").Silicon()


# X. W. Zhou, R. A. Johnson and H. N. G. Wadley, Phys. Rev. B 69, 144113 (2004), doi:10.1103/PhysRevB.69.144113:
# r_e, f_e, ρ_e, ρ_s, α, β, A, B, κ, λ; F_n0 … F_n3; F_0 … F_3; η, F_e. (A of aluminium is printed there as 0.134873,
# a known misprint.)
_ZHOU = {
    "Al": (
        (2.863924, 1.403115, 20.418205, 23.195740, 6.613165, 3.527021, 0.314873, 0.365551, 0.379846, 0.759692),
        (-2.807602, -0.301435, 1.258562, -1.247604),
        (-2.83, 0.0, 0.622245, -2.488244),
        (0.785902, -2.824528),
    ),
    "Cu": (
        (2.556162, 1.554485, 21.175871, 21.175395, 8.127620, 4.334731, 0.396620, 0.548085, 0.308782, 0.756515),
        (-2.170269, -0.263788, 1.088878, -0.817603),
        (-2.19, 0.0, 0.561830, -2.100595),
        (0.310490, -2.186568),
    ),
}


class Zhou:
    """The functions of one element, and their slopes."""

    cutoff = 7.5  # Å, where all is below 1e-8 eV: the published functions have none

    def __init__(self, symbol):
        (self.re, self.fe, self.rhoe, self.rhos, *decays), self.low, self.middle, self.high = _ZHOU[symbol]
        self.alpha, self.beta, self.A, self.B, self.kappa, self.lamda = decays

    def _decay(self, height, rate, shift, r):
        x = r / self.re
        return height * np.exp(-rate * (x - 1.0)) / (1.0 + (x - shift) ** 20)

    def _slope(self, height, rate, shift, r):
        x = r / self.re
        tail = 20.0 * (x - shift) ** 19 / (1.0 + (x - shift) ** 20)
        return -self._decay(height, rate, shift, r) * (rate + tail) / self.re

    def phi(self, r):
        return self._decay(self.A, self.alpha, self.kappa, r) - self._decay(self.B, self.beta, self.lamda, r)

    def d_phi(self, r):
        return self._slope(self.A, self.alpha, self.kappa, r) - self._slope(self.B, self.beta, self.lamda, r)

    def density(self, r):
        return self._decay(self.fe, self.beta, self.lamda, r)

    def d_density(self, r):
        return self._slope(self.fe, self.beta, self.lamda, r)

    def embedding(self, rho):
        eta, depth = self.high
        x = np.maximum(rho, 1e-30) / self.rhos
        above = depth * (1.0 - eta * np.log(x)) * x**eta
        low = np.polyval(self.low[::-1], rho / (0.85 * self.rhoe) - 1.0)
        middle = np.polyval(self.middle[::-1], rho / self.rhoe - 1.0)
        return np.where(rho < 0.85 * self.rhoe, low, np.where(rho < 1.15 * self.rhoe, middle, above))

    def d_embedding(self, rho):
        eta, depth = self.high
        x = np.maximum(rho, 1e-30) / self.rhos
        above = -depth * eta**2 * np.log(x) * x ** (eta - 1.0) / self.rhos
        low = np.polyval(np.polyder(self.low[::-1]), rho / (0.85 * self.rhoe) - 1.0) / (0.85 * self.rhoe)
        middle = np.polyval(np.polyder(self.middle[::-1]), rho / self.rhoe - 1.0) / self.rhoe
        return np.where(rho < 0.85 * self.rhoe, low, np.where(rho < 1.15 * self.rhoe, middle, above))


def zhou_eam(symbol):
    """Return ASE's EAM with the published functions themselves, no table."""
    made = Zhou(symbol)
    return EAM(
        form="alloy",
        elements=[symbol],
        cutoff=made.cutoff,
        embedded_energy=np.array([made.embedding]),
        d_embedded_energy=np.array([made.d_embedding]),
        electron_density=np.array([made.density]),
        d_electron_density=np.array([made.d_density]),
        phi=np.array([[made.phi]]),
        d_phi=np.array([[made.d_phi]]),
    )


class LennardJonesLaw(Material):
    """The Cauchy–Born law of a lattice with one atom in its cell and E = Σ 4 (r⁻¹² − r⁻⁶), by formula, vectorised.

    W = 1/(2 V₀) Σ_R φ(|F R|) over the lattice vectors R up to ``reach``; units of ε and σ, called eV and Å.
    """

    name = "lennard-jones"
    Options = Options

    def __init__(self, cell: Array, reach: float, mass: float = 1.0) -> None:
        d = len(cell)
        widths = 1.0 / np.linalg.norm(np.linalg.inv(cell), axis=0)
        counts = [np.arange(-n, n + 1) for n in np.ceil(reach / widths).astype(int)]
        vectors = np.stack(np.meshgrid(*counts, indexing="ij"), axis=-1).reshape(-1, d) @ cell
        far = np.linalg.norm(vectors, axis=1)
        self.vectors = vectors[(far > 1e-9) & (far < reach)]
        self.volume, self.mass = float(abs(np.linalg.det(cell))), mass

    @property
    def dimension(self) -> int:
        return self.vectors.shape[1]

    @property
    def stress_unit(self) -> str:
        return f"eV/angstrom**{self.dimension}"

    @property
    def density(self) -> float:
        return self.mass / self.volume

    def _respond(self, deformation: Array, tangent: bool) -> Response:
        along = np.einsum("nij,rj->nri", deformation, self.vectors)
        s = (along**2).sum(axis=2)  # r², of which φ, φ′ = dφ/d(r²), φ″
        six = s**-3
        scale = 0.5 / self.volume
        energy = scale * (4.0 * (six**2 - six)).sum(axis=1)
        first = 2.0 * scale * 4.0 * (-6.0 * six**2 + 3.0 * six) / s
        stress = np.einsum("nr,nri,rj->nij", first, along, self.vectors, optimize=True)
        if not tangent:
            return Response(energy, stress)
        second = 4.0 * scale * 4.0 * (42.0 * six**2 - 12.0 * six) / s**2
        found = np.einsum("nr,nri,rj,nrk,rl->nijkl", second, along, self.vectors, along, self.vectors, optimize=True)
        curl = np.einsum("nr,rj,rl->njl", first, self.vectors, self.vectors, optimize=True)
        return Response(energy, stress, found + np.einsum("ik,njl->nijkl", np.eye(self.dimension), curl))
