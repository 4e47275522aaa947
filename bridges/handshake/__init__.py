"""Atoms and a continuum in one calculation, counted by subtraction."""

from .clocks import check_clocks, highest_frequency
from .clusters import Clusters
from .handshake import Handshake
from .options import AtomsRegion, CrystalRegion, HandshakeOptions
from .sites import Sites, find_sites, free_atoms, write_sites
from .slaved import SlavedSites

__all__ = [
    "AtomsRegion",
    "Clusters",
    "CrystalRegion",
    "Handshake",
    "HandshakeOptions",
    "Sites",
    "SlavedSites",
    "check_clocks",
    "find_sites",
    "free_atoms",
    "highest_frequency",
    "write_sites",
]
