"""What a bridge is, what it exchanges, and who it exchanges with."""

from .bridge import Bridge, Coupling, Exchange, Field
from .registry import BRIDGES, Parts, build

__all__ = ["BRIDGES", "Bridge", "Coupling", "Exchange", "Field", "Parts", "build"]
