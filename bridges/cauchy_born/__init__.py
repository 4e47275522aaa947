"""The Cauchy–Born law: a continuum's material from the engine that moves the atoms."""

from .crystal import Crystal
from .elastic import acoustic_tensor, elastic_constants, ellipticity
from .law import CauchyBorn, unstressed
from .options import CauchyBornOptions, CrystalOptions, PolynomialOptions, VibrationOptions, WaveOptions
from .vibrations import Vibrations, Waves

__all__ = [
    "CauchyBorn",
    "CauchyBornOptions",
    "Crystal",
    "CrystalOptions",
    "PolynomialOptions",
    "VibrationOptions",
    "Vibrations",
    "WaveOptions",
    "Waves",
    "acoustic_tensor",
    "elastic_constants",
    "ellipticity",
    "unstressed",
]
