"""What the atoms of a handshake exchange with their continuum, and their clocks."""

from __future__ import annotations

from pydantic import Field

from scalespan.adapters.interface import CaseFile
from scalespan.adapters.interface.units import Time
from scalespan.bridges.handshake import CrystalRegion


class HandshakeAtomsOptions(CrystalRegion):
    """Atoms whose continuum is another participant."""

    timestep: Time = Field(gt=0)  # of the atoms
    window: Time = Field(gt=0)  # the continuum's step, as in precice-config.xml; a whole multiple of the timestep
    sites: CaseFile  # the file of the continuum's overlap: it is compared with the sites of the region
    mesh: str = "Atoms-Mesh"  # its name in precice-config.xml; the points are reference positions of all sites, in Å
    displacement: str = "Displacement"  # read there, in Å
    force: str = "Force"  # written there
    force_unit: str = "eV/angstrom"  # the unit in which the continuum reads it
