"""Homogenisation: a cell of a microstructure in place of a material's law."""

from .bounds import Interval, Phase, bounds_table, conductivity_bounds, elastic_bounds, voigt_reuss
from .cell import Cell, Condensed
from .law import Homogenisation
from .options import Family, HomogenisationOptions
from .separation import Separation, separation

__all__ = [
    "Cell",
    "Condensed",
    "Family",
    "Homogenisation",
    "HomogenisationOptions",
    "Interval",
    "Phase",
    "Separation",
    "bounds_table",
    "conductivity_bounds",
    "elastic_bounds",
    "separation",
    "voigt_reuss",
]
