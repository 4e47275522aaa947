"""Atoms and a continuum in one calculation, counted by subtraction."""

from .clusters import Clusters
from .handshake import Handshake
from .options import HandshakeOptions
from .sites import Sites

__all__ = ["Clusters", "Handshake", "HandshakeOptions", "Sites"]
