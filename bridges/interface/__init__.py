"""What a bridge is, what it exchanges, and who it exchanges with."""

from scalespan.adapters.interface import Mesh

from .bridge import Bridge, Coupling, Exchange, Field, Read, Unchanging
from .registry import BRIDGES, Parts, build, class_of

__all__ = [
    "BRIDGES",
    "Bridge",
    "Coupling",
    "Exchange",
    "Field",
    "Mesh",
    "Parts",
    "Read",
    "Unchanging",
    "build",
    "class_of",
]
