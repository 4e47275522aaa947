"""Micro models at the points of a partner's mesh: in this process, or under preCICE's Micro Manager."""

from .host import MicroSimulations, MicroSimulationsOptions
from .simulation import MicroSimulation

__all__ = ["MicroSimulation", "MicroSimulations", "MicroSimulationsOptions"]
