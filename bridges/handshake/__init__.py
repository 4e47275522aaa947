"""Atoms and a continuum in one calculation, counted by subtraction."""

from .audit import rim_table
from .clocks import check_clocks, highest_frequency
from .clusters import Clusters
from .grading import graded_nodes
from .handshake import Handshake
from .layer import FineScale
from .options import AtomsRegion, CrystalRegion, HandshakeOptions, Thermostat
from .preconditioner import spring_of, stiff_modulus, unit_springs
from .sites import Sites, find_sites, free_atoms, write_sites
from .slaved import SlavedSites

__all__ = [
    "AtomsRegion",
    "Clusters",
    "CrystalRegion",
    "FineScale",
    "Handshake",
    "HandshakeOptions",
    "Sites",
    "SlavedSites",
    "Thermostat",
    "check_clocks",
    "find_sites",
    "free_atoms",
    "graded_nodes",
    "highest_frequency",
    "rim_table",
    "spring_of",
    "stiff_modulus",
    "unit_springs",
    "write_sites",
]
