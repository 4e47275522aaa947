"""Which crystal, and how its law is asked."""

from __future__ import annotations

from typing import Literal, Self

from pydantic import Field, model_validator

from scalespan.adapters.interface import CaseFile, Options
from scalespan.adapters.interface.units import Force, Length, Mass, Temperature

_Direction = tuple[float, float, float]


class CrystalOptions(Options):
    """One cell of a crystal: a file, or a structure with its lattice constant."""

    file: CaseFile | None = None  # any cell that ASE reads, periodic in x, in x and y, or in all three
    symbol: str | None = None  # or, without a file: of a structure, "Si"
    structure: str | None = None  # ase.build.bulk's name ("fcc", "diamond"), "triangular" (a sheet) or "chain"
    a: Length | None = None  # the lattice constant; of a sheet and of a chain, the distance of neighbours
    c: Length | None = None  # the other one, of hcp and its like
    cubic: bool = False  # the conventional cell, not the primitive one
    mass: Mass | None = None  # of each atom; None: the elements'
    axes: tuple[_Direction, _Direction, _Direction] | None = None  # what lies along x, y, z: [1, -1, 0], …; None: as is
    dimension: Literal[1, 2, 3] | None = None  # None: the number of periodic directions

    @model_validator(mode="after")
    def _one_way(self) -> Self:
        inline = {"symbol": self.symbol, "structure": self.structure, "a": self.a}
        given = [key for key, value in inline.items() if value is not None]
        if self.file is not None and (given or self.c is not None or self.cubic):
            raise ValueError("give the crystal by 'file', or by 'symbol', 'structure' and 'a', not by both")
        if self.file is None and len(given) < len(inline):
            lacking = next(key for key in inline if key not in given)
            raise ValueError(f"a crystal without a 'file' needs the key '{lacking}'")
        return self


class PolynomialOptions(Options):
    """A polynomial in the strain, fitted once to the engine's answers."""

    strain: float = Field(default=0.02, gt=0.0, lt=0.3)  # how far: the largest norm √(E_ij E_ij) of the Green strain
    error: float = Field(default=1e-5, gt=0.0)  # the largest error of the stress, of the largest stress
    degree: int = Field(default=7, ge=2, le=10)  # the highest that is tried
    beyond: Literal["refuse", "engine"] = "refuse"  # at larger strains, stop or ask the engine


class WaveOptions(Options):
    """The waves of a crystal, by force constants."""

    repeat: tuple[int, int, int]  # cells whose forces are asked for: as wide as twice what forces reach
    waves: int = Field(default=8, ge=1)  # wave vectors along each axis of the reciprocal cell
    displacement: Length = Field(default=0.002, gt=0)  # of the differences of forces; larger for inexact engines


class VibrationOptions(WaveOptions):
    """The motion of the atoms about their places, by the quasi-harmonic approximation."""

    temperature: Temperature = Field(gt=0)
    statistics: Literal["classical", "quantum"] = "classical"  # classical: as molecular dynamics has it
    modes: Literal["full", "local"] = "full"  # waves, or each atom as if the others were at rest: cheaper, less exact


class CauchyBornOptions(Options):
    """The law of a crystal."""

    crystal: CrystalOptions
    repeat: tuple[int, int, int] = (1, 1, 1)  # cells in one question, where the engine needs a box above its cut-off
    inner: Literal["relaxed", "frozen"] = "relaxed"  # the atoms of a cell beside F; frozen is too stiff: see the page
    law: Literal["full", "polynomial", "quadratic"] = "full"  # the engine at each F, a fit, or its C_ij at F = 1
    polynomial: PolynomialOptions = PolynomialOptions()
    vibrations: VibrationOptions | None = None  # None: atoms at rest, at no temperature
    check_stability: bool = True  # refuse F where a long wave is unstable (wherever the tangent is asked for)
    phonons: WaveOptions | None = None  # refuse F where a wave of any length is unstable; None: not looked for
    force_tolerance: Force = Field(default=1e-9, gt=0.0)  # when the inner displacements are relaxed
    difference: float = Field(default=1e-3, gt=0.0, lt=0.05)  # the strain of the tangent's differences

    @model_validator(mode="after")
    def _fits(self) -> Self:
        if min(self.repeat) < 1:
            raise ValueError("'repeat' counts cells, at least 1 in each direction")
        return self
