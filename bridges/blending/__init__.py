"""Atoms' own energies faded into a continuum: BQCE, BGFC, and their sharp limits."""

from .blending import Blend, BlendedEnergy
from .layout import Layout, find_layout, vacant
from .options import BlendingOptions, FadeOptions

__all__ = ["Blend", "BlendedEnergy", "BlendingOptions", "FadeOptions", "Layout", "find_layout", "vacant"]
