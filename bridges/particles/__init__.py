"""Atoms as a participant: any particle adapter, moved by its engine and by what partners do to it."""

from .options import AtomsSource, Datum, ParticlesOptions, Reads, WallsOptions, Writes
from .particles import Particles

__all__ = ["AtomsSource", "Datum", "Particles", "ParticlesOptions", "Reads", "WallsOptions", "Writes"]
