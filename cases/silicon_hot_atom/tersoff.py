"""Silicon of J. Tersoff (1989), doi:10.1103/PhysRevB.39.5566, of ASE, as an adapter beside its case."""

from __future__ import annotations

from ase.calculators.tersoff import Tersoff, TersoffParameters

from scalespan.adapters.ase import ASEAdapter, ASEOptions
from scalespan.adapters.interface import Options

PUBLISHED = TersoffParameters(
    m=3.0,
    gamma=1.0,
    lambda3=0.0,
    c=1.0039e5,
    d=16.217,
    h=-0.59825,
    n=0.78734,
    beta=1.1e-6,
    lambda2=1.7322,
    B=471.18,
    R=2.85,  # Å; from 2.7 to 3.0 Å bonds fade
    D=0.15,
    lambda1=2.4799,
    A=1830.8,
)


class Silicon(Tersoff):
    """ASE's Tersoff with the published numbers, for surfaces, too."""

    def __init__(self) -> None:
        super().__init__({("Si", "Si", "Si"): PUBLISHED})

    def _calc_bij_d(self, zeta: float, beta: float, n: float) -> float:
        # ASE divides by zero where an atom has one neighbour; nothing can change its bond order.
        return float(super()._calc_bij_d(zeta, beta, n)) if zeta > 0.0 else 0.0


class TersoffAdapter(ASEAdapter):
    """Silicon by bond orders, of Tersoff."""

    name = "tersoff"
    Options = Options  # none

    def __init__(self, options: Options) -> None:
        super().__init__(ASEOptions(calculator="ase.calculators.tersoff.Tersoff"), Silicon())
