"""The exact answer of one dimension: a bar of linear hardening, isotropic and kinematic, of any path."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass
class Bar:
    """σ = E(ε − ε_p), |σ − K ε_p| ≤ σ_Y + H α, dα = |dε_p|: linear in each part of a path that turns nowhere."""

    young: float
    yields: float
    isotropic: float = 0.0
    kinematic: float = 0.0
    plastic: float = 0.0  # ε_p
    alpha: float = 0.0
    stress: float = 0.0

    @property
    def strain(self) -> float:
        return self.stress / self.young + self.plastic

    @property
    def elastic_range(self) -> tuple[float, float]:
        """The stresses at which it yields next."""
        middle, radius = self.kinematic * self.plastic, self.yields + self.isotropic * self.alpha
        return middle - radius, middle + radius

    @property
    def energy(self) -> float:
        hardening = self.isotropic * self.alpha**2 + self.kinematic * self.plastic**2
        return 0.5 * (self.stress**2 / self.young + hardening)

    @property
    def dissipated(self) -> float:
        return self.yields * self.alpha

    def to_strain(self, strain: float) -> float:
        """Go to a strain, and return the stress."""
        trial = self.young * (strain - self.plastic)
        self._flow(self._beyond(trial) / (self.young + self.isotropic + self.kinematic))
        self.stress = self.young * (strain - self.plastic)
        return self.stress

    def to_stress(self, stress: float) -> float:
        """Go to a stress, and return the strain."""
        self._flow(self._beyond(stress) / (self.isotropic + self.kinematic))
        self.stress = stress
        return self.strain

    def _beyond(self, stress: float) -> float:
        low, high = self.elastic_range
        return max(stress - high, 0.0) + min(stress - low, 0.0)

    def _flow(self, strain: float) -> None:
        self.plastic += strain
        self.alpha += abs(strain)


def sheared(young: float, poisson: float, yields: float, isotropic: float, kinematic: float) -> Bar:
    """Return the bar whose stress √3 τ and strain γ/√3 are those of pure shear: E is 3μ."""
    return Bar(1.5 * young / (1.0 + poisson), yields, isotropic, kinematic)
