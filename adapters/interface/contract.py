"""The tests that every adapter must pass, shipped so that yours can be held to them too.

    from scalespan.adapters.interface.contract import ParticleContract

    class TestMine(ParticleContract):
        def make_adapter(self):
            return MineAdapter(MineOptions())

        def make_atoms(self):
            return molecule("CH3CH2OH")

A force field subclasses `ForceFieldContract` instead, and its atoms are its own. Tolerances are
class attributes; loosen one only for a reason that you can write beside it. This needs pytest.
"""

from .contract_force_fields import ForceFieldContract, Tether
from .contract_particles import Ensemble, ParticleContract
from .contract_probes import slopes

__all__ = ["Ensemble", "ForceFieldContract", "ParticleContract", "Tether", "slopes"]
