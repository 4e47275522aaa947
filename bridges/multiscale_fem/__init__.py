"""Coarse meshes over a fine microstructure: the heterogeneous multiscale method and the multiscale finite elements."""

from .basis import MsFEM, Oversampled
from .grid import Grid
from .medium import Medium
from .methods import HMM, Mean, Method, NonlinearHMM, Source
from .options import MultiscaleOptions
from .solver import Multiscale, Solution, resolved
from .study import MultiscaleStudy

__all__ = [
    "HMM",
    "Grid",
    "Mean",
    "Medium",
    "Method",
    "MsFEM",
    "Multiscale",
    "MultiscaleOptions",
    "MultiscaleStudy",
    "NonlinearHMM",
    "Oversampled",
    "Solution",
    "Source",
    "resolved",
]
