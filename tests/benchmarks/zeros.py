"""An engine that answers at once, served in a process of its own: ``python zeros.py KIND FOLDER``."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
from ase import Atoms

from scalespan.adapters.interface import ExternalCharges, Options, ParticleAdapter, Quantity, Results
from scalespan.bridges.engine import Engine, EngineOptions
from scalespan.bridges.interface import Coupling
from scalespan.bridges.run.loop import drive

MESHES = {"atoms_mesh": "Classical-Mesh-Atoms", "charges_mesh": "Classical-Mesh-Charges"}


class Zeros(ParticleAdapter):
    """Answers at once."""

    name = "zeros"
    Options = Options
    offers = frozenset({Quantity.ENERGY, Quantity.FORCES, Quantity.CHARGE_FORCES, Quantity.CHARGE_POTENTIAL})

    def _compute(self, atoms: Atoms, wanted: frozenset[Quantity], charges: ExternalCharges | None) -> Results:
        count = 0 if charges is None else len(charges)
        return Results(
            0.0, np.zeros((len(atoms), 3)), charge_forces=np.zeros((count, 3)), charge_potential=np.zeros(count)
        )


def coupling(kind: str, name: str, folder: Path) -> Coupling:
    if kind == "precice":
        from scalespan.bridges.run.precice import Precice

        return Precice(folder / "precice-config.xml", name)
    from scalespan.bridges.run.embedded import Embedded
    from scalespan.bridges.run.precice_config import read_config

    return Embedded(read_config(folder / "precice-config.xml"), name, folder)


if __name__ == "__main__":
    drive(Engine(EngineOptions.read(MESHES), engine=Zeros()), coupling(sys.argv[1], "Quantum", Path(sys.argv[2])))
