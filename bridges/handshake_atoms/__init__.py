"""The atoms of a handshake as a participant."""

from .handshake_atoms import HandshakeAtoms
from .options import HandshakeAtomsOptions

__all__ = ["HandshakeAtoms", "HandshakeAtomsOptions"]
