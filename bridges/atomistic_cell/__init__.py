"""Boxes of atoms in place of a material's law: remapped by F, then relaxed, or sampled at a temperature."""

from .law import AtomisticCell
from .options import AtomisticCellOptions, SamplingOptions

__all__ = ["AtomisticCell", "AtomisticCellOptions", "SamplingOptions"]
