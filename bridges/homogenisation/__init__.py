"""Homogenisation: a cell of a microstructure in place of a material's law."""

from .cell import Cell, Condensed
from .law import Homogenisation
from .options import HomogenisationOptions

__all__ = ["Cell", "Condensed", "Homogenisation", "HomogenisationOptions"]
