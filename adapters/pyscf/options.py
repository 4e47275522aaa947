"""The options of the PySCF adapter. Reading them needs no PySCF."""

from __future__ import annotations

from math import inf
from pathlib import Path
from typing import Literal, Self

from pydantic import Field, ValidatorFunctionWrapHandler, field_validator, model_validator

from ..interface import OptionError, Options
from ..interface.units import HARTREE, Energy, Length

Method = Literal["rhf", "uhf", "rohf", "rks", "uks", "roks", "mp2", "ccsd"]
KOHN_SHAM = ("rks", "uks", "roks")
CORRELATED = ("mp2", "ccsd")


class SolventOptions(Options):
    """A polarisable continuum around the atoms: J. Tomasi et al., Chem. Rev. 105 (2005) 2999."""

    model: Literal["C-PCM", "IEF-PCM", "SS(V)PE", "COSMO"] = "IEF-PCM"
    permittivity: float = Field(78.3553, gt=1.0)  # relative; the default is water at 298 K


class PySCFOptions(Options):
    """The method, the basis, the molecule's charge and spin, and how far to converge."""

    method: Method  # mp2 and ccsd are restricted for spin = 0, unrestricted otherwise
    functional: str | None = None  # any of PySCF's, with "-d3bj" or "-d4" at its end if wanted
    dispersion: Literal["d3bj", "d3zero", "d4"] | None = None  # beside a functional without one in its name
    basis: str | dict[str, str]  # a name, or one for each element with "default" for the others
    ecp: str | dict[str, str] | None = None  # effective core potential, in the same two forms
    charge: int = 0  # e
    spin: int = Field(0, ge=0)  # 2S, the number of unpaired electrons
    cartesian: bool = False  # 6d, 10f functions

    density_fitting: bool = False  # Coulomb and exchange through an auxiliary basis
    auxiliary: str | dict[str, str] | None = None  # basis of the fit; None: PySCF's choice
    grid_level: int = Field(3, ge=0, le=9)  # of a functional: PySCF's 0 (coarse) to 9
    grid_response: bool = True  # the grid's own derivative; without it forces do not add up to zero

    convergence: Energy = Field(1e-10 * HARTREE, gt=0.0)  # of the energy; of its gradient, 0.3 √
    max_cycles: int = Field(100, ge=1)  # of each attempt
    guess: Literal["extrapolated", "cold"] = "extrapolated"  # see `guess.py`
    far_field: Length = 10.0  # charges beyond it act by multipoles, see `far.py`; "never": none does

    solvent: SolventOptions | None = None
    threads: int | None = Field(None, ge=1)  # None: OMP_NUM_THREADS
    memory: int = Field(4000, ge=100)  # MB
    log: Path | None = None  # PySCF's own output; None: nowhere

    @field_validator("far_field", mode="wrap")
    @classmethod
    def _or_never(cls, given: object, read: ValidatorFunctionWrapHandler) -> float:
        return inf if given == "never" else float(read(given))

    @model_validator(mode="after")
    def _agree(self) -> Self:
        if self.method in KOHN_SHAM and self.functional is None:
            raise OptionError(f"method '{self.method}' needs a functional", todo='add functional = "pbe", or another')
        if self.method not in KOHN_SHAM and self.functional is not None:
            raise OptionError(f"method '{self.method}' takes no functional", todo="remove it, or use rks, uks or roks")
        if self.method in ("rhf", "rks") and self.spin:
            raise OptionError(
                f"method '{self.method}' is for closed shells, and spin is {self.spin}",
                todo=f"use u{self.method[1:]} or ro{self.method[1:]}",
            )
        if self.method in CORRELATED:
            self._refuse_with_correlation()
        return self

    def _refuse_with_correlation(self) -> None:
        if self.density_fitting:
            raise OptionError(
                f"PySCF has no gradient of {self.method} with density fitting", todo="remove density_fitting"
            )
        if self.solvent is not None:
            raise OptionError(
                f"PySCF's gradient of {self.method} in a solvent is approximate",
                todo="use Hartree-Fock or a functional",
            )
        if self.dispersion is not None:
            raise OptionError(f"{self.method} holds dispersion already", todo="remove dispersion")
