r"""A crystal's cell under strain: the engine's energy, stress and forces per reference volume.

With y = F (X + η), one question at F and η gives, from the energy $E$, the forces $f$ and the Cauchy stress σ,

$$W = \frac{E}{V_0}, \quad P = \frac{V}{V_0} \sigma F^{-T}, \quad S = F^{-1} P, \quad
\frac{\partial W}{\partial \eta} = -\frac{F^T f}{V_0}$$

Where an engine has no exact stress, S and ∂²W/∂e² are central differences of its energy, of the sixth and the fourth
order: 36 and 265 energies in three dimensions, which must be in double precision. Source: B. Fornberg, Math. Comp. 51,
699 (1988), doi:10.1090/S0025-5718-1988-0935077-0
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from ase.stress import voigt_6_to_full_3x3_stress

from scalespan.adapters.interface import Array, CaseError, NotOffered, ParticleAdapter, Quantity, Table

from .crystal import Crystal
from .strain import PAIRS, stretch

_FOURTH = ((1, 2.0 / 3.0), (2, -1.0 / 12.0))  # the steps and weights of f(+) − f(−)
_SIXTH = ((1, 0.75), (2, -0.15), (3, 1.0 / 60.0))
_CURVATURE = ((1, 4.0 / 3.0), (-1, 4.0 / 3.0), (2, -1.0 / 12.0), (-2, -1.0 / 12.0))
_CURVATURE_STEP = 3e-3  # strain
_ENERGY_STEP = 2e-3  # strain: round-off 1e-13 and the sixth-order error meet about here
_AGREE = 5e-3  # of the stress at _STRAIN: how far an engine's stress may be from its energy's slope
_STRAIN = 0.005


@dataclass(frozen=True)
class CellAnswer:
    """W, S and ∂W/∂η at one strain and one inner displacement."""

    energy: float  # W, eV/Å^d
    stress: Array  # (k,) S, eV/Å^d
    pull: Array  # (3b,) ∂W/∂η, eV/Å^(d+1)


class Cell:
    """A cell and the engine that answers for it."""

    def __init__(self, crystal: Crystal, engine: ParticleAdapter, repeat: tuple[int, int, int]) -> None:
        if Quantity.FORCES not in engine.offers and len(crystal.atoms) > 1:
            raise NotOffered(f"{engine.name} gives no forces, and the crystal has inner displacements")
        self.crystal, self.engine, self.repeat = crystal, engine, repeat
        self.size = len(PAIRS[crystal.dimension])  # k
        self.count = len(crystal.atoms)  # b
        self.asked = 0  # questions to the engine so far
        self._cells = int(np.prod(repeat))
        usable = {Quantity.FORCES, Quantity.STRESS} if engine.exact_stress else {Quantity.FORCES}
        self._wanted = {Quantity.ENERGY} | (usable & engine.offers)

    @property
    def has_stress(self) -> bool:
        """Whether the engine gives its stress."""
        return Quantity.STRESS in self._wanted

    def ask(self, strain: Array, inner: Array) -> CellAnswer:
        """Return the answer at Green's strain e (k,) and η (3b,) Å.

        Raises:
            CaseError: a strain that turns the crystal inside out.
        """
        energy, pull, stress = self._question(strain, inner, self._wanted)
        return CellAnswer(energy, self.energy_slopes(strain, inner) if stress is None else stress, pull)

    def _question(self, strain: Array, inner: Array, wanted: set[Quantity]) -> tuple[float, Array, Array | None]:
        d, volume = self.crystal.dimension, self.crystal.volume * self._cells
        try:
            gradient = stretch(strain, d)
        except np.linalg.LinAlgError as error:
            raise CaseError(f"the strain {strain.tolist()} turns the crystal inside out") from error
        atoms = self.crystal.deformed(gradient, inner.reshape(-1, 3), self.repeat)
        atoms.positions += gradient @ self.crystal.clear_of_faces
        self.asked += 1
        found = self.engine.compute(atoms, wanted)
        assert found.energy is not None, "the energy was wanted"
        pull, stress = np.zeros(3 * self.count), None
        if found.forces is not None and Quantity.FORCES in wanted:
            forces = found.forces.reshape(self._cells, self.count, 3).sum(axis=0)
            pull = -(forces @ gradient).ravel() / volume
        if found.stress is not None and Quantity.STRESS in wanted:
            cauchy = voigt_6_to_full_3x3_stress(found.stress) * atoms.get_volume() / volume
            second = np.linalg.solve(gradient, np.linalg.solve(gradient, cauchy).T)  # F⁻¹ (σ F⁻ᵀ)
            stress = np.array([second[i, j] for i, j in PAIRS[d]])
        return found.energy / volume, pull, stress

    def energy_slopes(self, strain: Array, inner: Array, stencil: tuple[tuple[int, float], ...] = _SIXTH) -> Array:
        """Return ∂W/∂e (k,) by differences of the energy."""
        found = np.zeros(self.size)
        for p, direction in enumerate(np.eye(self.size) * _ENERGY_STEP):
            for times, weight in stencil:
                for sign in (1.0, -1.0):
                    energy = self._question(strain + sign * times * direction, inner, {Quantity.ENERGY})[0]
                    found[p] += sign * weight * energy / _ENERGY_STEP
        return found

    def differences(self, strain: Array, inner: Array, step: float) -> tuple[Array, Array]:
        """Return ∂S/∂e (k, k) and ∂²W/∂η∂e (3b, k) at fixed η, by fourth-order differences of S and of the forces."""
        wanted = self._wanted if self.count > 1 or self.has_stress else set()
        stress, pull = np.zeros((self.size, self.size)), np.zeros((3 * self.count, self.size))
        for p, direction in enumerate(np.eye(self.size) * step):
            for times, weight in _FOURTH if wanted else ():
                for sign in (1.0, -1.0):
                    _, slope, found = self._question(strain + sign * times * direction, inner, wanted)
                    pull[:, p] += sign * weight / step * slope
                    stress[:, p] += 0.0 if found is None else sign * weight / step * found
        return (0.5 * (stress + stress.T) if self.has_stress else self._energy_curvature(strain, inner)), pull

    def _energy_curvature(self, strain: Array, inner: Array) -> Array:
        """Return ∂²W/∂e² (k, k) by fourth-order differences of the energy."""
        steps = np.eye(self.size) * _CURVATURE_STEP
        sides = [(sign * times, sign * weight) for times, weight in _FOURTH for sign in (1.0, -1.0)]
        found = np.zeros((self.size, self.size))

        def energy(move: Array) -> float:
            return self._question(strain + move, inner, {Quantity.ENERGY})[0]

        middle = energy(np.zeros(self.size))
        for p in range(self.size):
            around = sum(weight * energy(times * steps[p]) for times, weight in _CURVATURE)
            found[p, p] = (around - 2.5 * middle) / _CURVATURE_STEP**2
            for q in range(p):
                corners = [u * v * energy(m * steps[p] + n * steps[q]) for m, u in sides for n, v in sides]
                found[p, q] = found[q, p] = sum(corners) / _CURVATURE_STEP**2
        return found

    def inner_hessian(self, strain: Array, inner: Array, step: float) -> Array:
        """Return ∂²W/∂η² (3b, 3b), whose null space are the translations, by differences of the forces.

        ``step`` is in Å.
        """
        wanted = {Quantity.ENERGY, Quantity.FORCES}
        found = np.zeros((3 * self.count, 3 * self.count))
        for p, direction in enumerate(np.eye(3 * self.count) * step):
            if p < 3:
                continue  # the first atom's columns follow from those of a translation
            for times, weight in _FOURTH:
                above, below = (
                    self._question(strain, inner + sign * times * direction, wanted)[1] for sign in (1.0, -1.0)
                )
                found[:, p] += weight / step * (above - below)
        found[:, :3] = -found.reshape(-1, self.count, 3)[:, 1:].sum(axis=1)
        return 0.5 * (found + found.T)

    def compare_stress(self, stiffness: float) -> Table:
        """Return the engine's stress beside the slope of its energy at a strain of 0.5 %, to see before running.

        Raises:
            CaseError: they differ.
        """
        strain, inner = np.linspace(1.0, 0.6, self.size) * _STRAIN, np.zeros(3 * self.count)
        slope = self.energy_slopes(strain, inner)
        other = self.ask(strain, inner).stress if self.has_stress else self.energy_slopes(strain, inner, _FOURTH)
        error = float(np.abs(other - slope).max() / (stiffness * _STRAIN))
        if error > _AGREE:
            raise CaseError(
                f"the stress of {self.engine.name} is not the slope of its energy: at a strain of {_STRAIN} "
                f"they differ by {error:.1e} of it",
                todo="use a smooth cut-off, a larger 'repeat', or an engine whose stress is right",
            )
        names = ("the engine's" if self.has_stress else "differences of the energy (6th against 4th order)",)
        return Table("Stress", ("from", f"error, of the stress at a strain of {_STRAIN}"), ((*names, f"{error:.1e}"),))
