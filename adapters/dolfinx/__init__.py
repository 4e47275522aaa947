"""DOLFINx: finite elements for heat, solids, electrostatics and a problem of one's own in UFL."""

from .adapter import DolfinxAdapter
from .domain import Domain
from .options import DolfinxOptions
from .problem import Problem

__all__ = ["DolfinxAdapter", "DolfinxOptions", "Domain", "Problem"]
