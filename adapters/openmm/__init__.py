"""OpenMM: molecular mechanics of any System, with room in its integrators for another potential."""

from .adapter import OpenMMAdapter
from .model import Model
from .options import OpenMMOptions, OpenMMSettings

__all__ = ["Model", "OpenMMAdapter", "OpenMMOptions", "OpenMMSettings"]
