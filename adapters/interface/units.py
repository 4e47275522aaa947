"""Units: ASE's inside, text with a unit outside, one table of constants between the engines.

Inside, every particle quantity is in ASE's units: eV, Å, e, amu, and ASE's time
Å·√(amu/eV) (1 fs is 0.0982 of it). A person writes ``"0.5 fs"``; pint reads it.
"""

from __future__ import annotations

from functools import cache
from math import isfinite
from typing import TYPE_CHECKING, Annotated, Any

from ase import units as _ase
from pydantic import BeforeValidator

from .errors import UnitError
from .options import held

if TYPE_CHECKING:
    from pint import UnitRegistry

BOHR: float = _ase.Bohr  # Å
HARTREE: float = _ase.Hartree  # eV
FEMTOSECOND: float = _ase.fs  # ASE's time
NANOMETRE = 10.0  # Å
PICOSECOND: float = 1000.0 * _ase.fs  # ASE's time
# 1 kJ/mol is 1 amu·nm²/ps². Taken from mechanics, not from Avogadro's constant, so that an
# engine in kJ/mol, nm, ps and one in eV, Å follow one trajectory; the two differ by 3e-10.
KJ_PER_MOL: float = (NANOMETRE / PICOSECOND) ** 2  # eV
KCAL_PER_MOL: float = 4.184 * KJ_PER_MOL  # eV
BOLTZMANN: float = _ase.kB  # eV/K
COULOMB: float = _ase.Hartree * _ase.Bohr  # eV·Å/e², 1/(4πε₀)
DEBYE: float = _ase.Debye  # e·Å

# dimension -> the unit that is 1 inside, an example to show
_INSIDE: dict[str, tuple[str, str]] = {
    "length": ("angstrom", "1.5 angstrom"),
    "energy": ("eV", "2 kcal/mol"),
    "force": ("eV/angstrom", "0.05 eV/angstrom"),
    "time": ("ase_time", "0.5 fs"),
    "frequency": ("1/ase_time", "1/ps"),
    "temperature": ("kelvin", "300 K"),
    "pressure": ("eV/angstrom**3", "1 bar"),
    "angle": ("radian", "60 deg"),
    "charge": ("e", "1 e"),
    "mass": ("dalton", "12 dalton"),
    "spring": ("eV/angstrom**2", "10 kcal/mol/angstrom**2"),
    "torsion": ("eV/radian**2", "100 kJ/mol/rad**2"),
}


@cache
def _registry() -> UnitRegistry[float]:
    import pint

    registry: UnitRegistry[float] = pint.UnitRegistry(autoconvert_offset_to_baseunit=True, on_redefinition="ignore")
    registry.define(f"ase_time = {1.0 / FEMTOSECOND!r} femtosecond")
    # pint's own are of another CODATA year: 8e-9 apart, 1e-6 hartree in the energy of a molecule.
    registry.define(f"hartree = {HARTREE!r} electron_volt = E_h")
    registry.define(f"bohr = {BOHR!r} angstrom = a_0")
    # By mechanics, so that Å, ase_time and dalton make eV: a continuum in these is joined with atoms to the last digit.
    registry.define("dalton = electron_volt * ase_time**2 / angstrom**2 = Da")
    registry.define("unified_atomic_mass_unit = dalton = amu")
    return registry


def quantity(text: object, dimension: str) -> float:
    """Return ``text``, such as ``"0.5 fs"``, as a number in the unit that is 1 inside.

    Molar energies (``kJ/mol``, ``kcal/mol``) are taken per particle; a bare number is
    refused, because nobody can see its unit.

    Raises:
        UnitError: no unit, an unknown unit, or one of another dimension.
    """
    inside, example = _INSIDE[dimension]
    todo = f'write the {dimension} as text with a unit, like "{example}"'
    if not isinstance(text, str):
        raise UnitError(f"{text!r} has no unit", todo=todo)
    try:
        value: Any = _registry().Quantity(text)
        finite = isfinite(value.magnitude)
    except Exception as error:  # pint raises errors of many unrelated classes on bad text
        raise UnitError(f"'{text}' cannot be read as a quantity", todo=todo) from error
    if not finite:
        raise UnitError(f"'{text}' is not finite", todo=todo)
    if value.unitless:  # of an angle too: "60" could be degrees
        raise UnitError(f"'{text}' has no unit", todo=todo)
    if value.is_compatible_with(inside):
        return float(value.to(inside).magnitude)
    molar = inside.replace("eV", "kJ/mol")
    if value.is_compatible_with(molar):
        return float(value.to(molar).magnitude) * KJ_PER_MOL
    raise UnitError(f"'{text}' has the unit {value.units}, which is no {dimension}", todo=todo)


def show(value: float, unit: str, dimension: str) -> str:
    """Return an inside number as text in ``unit``, for people: ``show(t, "fs", "time")``."""
    registry = _registry()
    return f"{registry.Quantity(value, _INSIDE[dimension][0]).to(unit).magnitude:.6g} {unit}"


def convert(value: float, unit: str, to: str) -> float:
    """Return a number in ``unit`` as a number in ``to``; molar quantities are taken per particle.

    Raises:
        UnitError: an unknown unit, or two units of different dimensions.
    """
    registry = _registry()
    per_mole: Any = (
        registry.Quantity(1.0, "kJ").to("eV") / registry.Quantity(KJ_PER_MOL, "eV") / registry.Quantity("mol")
    )
    try:
        given: Any = registry.Quantity(value, unit)
        for scaled in (given, given * per_mole, given / per_mole):
            if scaled.is_compatible_with(to):
                return float(scaled.to(to).magnitude)
    except UnitError:
        raise
    except Exception as error:  # pint raises errors of many unrelated classes on bad text
        raise UnitError(f"'{unit}' or '{to}' cannot be read as a unit", todo='write it like "kJ/mol"') from error
    raise UnitError(f"'{unit}' cannot be converted to '{to}': the dimensions differ")


def simplified(unit: str) -> str:
    """Return a unit in few words that pint reads again: ``"kg*mm/s**2/mm"`` is ``"kg/s**2"``.

    Raises:
        UnitError: it cannot be read.
    """
    try:
        return f"{_registry().Unit(unit):~C}"
    except Exception as error:  # pint raises errors of many unrelated classes on bad text
        raise UnitError(f"'{unit}' cannot be read as a unit", todo='write it like "kg*m/s**2"') from error


def _reader(dimension: str) -> BeforeValidator:
    def read(text: object) -> float:
        try:
            return quantity(text, dimension)
        except UnitError as error:
            raise held(error) from error

    return BeforeValidator(read)


# For options: ``timestep: Time`` reads "0.5 fs" and is a float in ASE's time.
Length = Annotated[float, _reader("length")]
Energy = Annotated[float, _reader("energy")]
Force = Annotated[float, _reader("force")]
Time = Annotated[float, _reader("time")]
Frequency = Annotated[float, _reader("frequency")]
Temperature = Annotated[float, _reader("temperature")]
Pressure = Annotated[float, _reader("pressure")]
Angle = Annotated[float, _reader("angle")]
Charge = Annotated[float, _reader("charge")]
Mass = Annotated[float, _reader("mass")]
Spring = Annotated[float, _reader("spring")]
Torsion = Annotated[float, _reader("torsion")]
