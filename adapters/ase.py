"""Any ASE calculator as an adapter, by import path and keywords.

Engine: the calculators of ASE and those that other packages write for it, tested with ASE 3.29
and tblite 0.8 (GFN2-xTB, doi:10.1021/acs.jctc.8b01176). https://ase-lib.org

The other direction, any adapter as an ASE calculator, is `ParticleAdapter.as_calculator`.
The calculator is made to forget its last answer before each new one, so that what it
answers depends on the atoms alone and going back is exact; tblite, started cold for that, takes
about a tenth more time. Where a calculator has a free energy, that is the energy, because the
forces are its gradient.
"""

from __future__ import annotations

import importlib
import importlib.util
import inspect
import sys
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import numpy as np
from ase import Atoms
from ase.calculators.calculator import (
    BadConfiguration,
    CalculationFailed,
    CalculatorSetupError,
    FileIOCalculator,
    InputError,
    PropertyNotImplementedError,
    SCFError,
    get_calculator_class,
)
from ase.calculators.names import names as ase_names
from ase.stress import full_3x3_to_voigt_6_stress
from pydantic import Field

from .interface import (
    AdapterCalculator,
    AtomsError,
    EngineFailed,
    EngineMissing,
    ExternalCharges,
    NotConverged,
    NotOffered,
    OptionError,
    Options,
    ParticleAdapter,
    Quantity,
    Results,
    ScalespanError,
    Table,
    nearest,
)


class ASEOptions(Options):
    """Which calculator, and the keywords of its constructor."""

    calculator: str = Field(min_length=1)  # ASE's own name, "emt"; "tblite"; or an import path, "tblite.ase.TBLite"
    keywords: dict[str, Any] = Field(default_factory=dict)
    conservative: bool = True  # false: the forces are not the gradient of the energy


class _Known(NamedTuple):
    path: str
    keywords: Mapping[str, object]  # where the caller does not say otherwise


# cache_api would start each SCF from the last density, and print; both are the caller's to ask for.
_KNOWN = {"tblite": _Known("tblite.ase.TBLite", {"verbosity": 0, "cache_api": False})}
_INSTALL = {
    "tblite": "pip install 'scalespan[xtb]'",
    "gpaw": "pip install gpaw",
    "mace": "pip install mace-torch",
}
# These hand unlisted keywords on to their program, or check them themselves.
_OPEN = {"ase.calculators.eam", "ase.calculators.psi4"}
_TAKEN = (Quantity.FORCES, Quantity.STRESS, Quantity.CHARGES, Quantity.DIPOLE, Quantity.ENERGY)


class ASEAdapter(ParticleAdapter):
    """Any ASE calculator, such as tblite's GFN2-xTB, by import path and keywords."""

    name = "ase"
    Options = ASEOptions

    def __init__(self, options: ASEOptions, calculator: Any = None) -> None:
        """Make the calculator that the options name, or take one that exists (see `of`)."""
        self.calculator = _build(options) if calculator is None else calculator
        self.label = options.calculator
        self.keywords = options.keywords
        self.conservative = options.conservative
        given = set(getattr(self.calculator, "implemented_properties", ()))
        if not given & {"energy", "free_energy"}:
            raise NotOffered(f"{self.label} gives no energy", todo="name a class of ASE calculators")
        self._energy = "free_energy" if "free_energy" in given else "energy"
        self.offers = frozenset({Quantity.ENERGY} | {q for q in _TAKEN if q.value in given})

    @classmethod
    def of(cls, calculator: Any, *, conservative: bool = True) -> ASEAdapter:
        """Return the adapter of an ASE calculator that exists already."""
        kind = type(calculator)
        options = ASEOptions(calculator=f"{kind.__module__}.{kind.__qualname__}", conservative=conservative)
        return cls(options, calculator)

    def _compute(self, atoms: Atoms, wanted: frozenset[Quantity], charges: ExternalCharges | None) -> Results:
        mine = atoms.copy()
        self._forget()
        try:
            found = {q.value: self._ask(q, mine) for q in _TAKEN if q in wanted}
        except Exception as error:  # a calculator may raise anything
            raise _translated(self.label, error) from error
        return Results(**found)

    def _ask(self, quantity: Quantity, atoms: Atoms) -> Any:
        if quantity is Quantity.ENERGY:
            return float(self.calculator.get_property(self._energy, atoms))
        value = np.array(self.calculator.get_property(quantity.value, atoms), dtype=float)
        return full_3x3_to_voigt_6_stress(value) if quantity is Quantity.STRESS and value.ndim == 2 else value

    def _forget(self) -> None:
        reset = getattr(self.calculator, "reset", None)
        if reset is not None:
            reset()

    def as_calculator(self) -> AdapterCalculator:
        """Return an ASE calculator that asks this adapter."""
        lifted = super().as_calculator()
        lifted.ignored_changes = set()  # calculators take charge and spin from the initial charges and moments
        return lifted

    def audit(self, atoms: Atoms) -> list[Table]:
        """Return which calculator is asked, with what, and what it gives."""
        keywords = ", ".join(f"{key} = {value!r}" for key, value in self.keywords.items())
        offers = ", ".join(sorted(quantity.value for quantity in self.offers))
        return [Table("ASE calculator", ("calculator", "keywords", "gives"), ((self.label, keywords, offers),))]

    def close(self) -> None:
        """Close the calculator, if it knows how."""
        close = getattr(self.calculator, "close", None)
        if close is not None:
            close()


def _translated(label: str, error: Exception) -> ScalespanError:
    if isinstance(error, PropertyNotImplementedError):
        return NotOffered(f"{label} does not give all that was wanted of these atoms: {error}")
    if isinstance(error, NotImplementedError):
        return AtomsError(f"{label} cannot take these atoms: {error}")
    if isinstance(error, InputError):
        return OptionError(f"{label} refuses its input: {error}")
    if isinstance(error, SCFError) or (isinstance(error, CalculationFailed) and "not converged" in str(error)):
        return NotConverged(f"{label} did not converge: {error}", todo="look at the geometry, the charge and the spin")
    return EngineFailed(f"{label} raised {type(error).__name__}: {error}")


def _build(options: ASEOptions) -> Any:
    label = options.calculator
    known = _KNOWN.get(label) or next((each for each in _KNOWN.values() if each.path == label), _Known(label, {}))
    make = _find(known.path)
    keywords = {**known.keywords, **options.keywords}
    _check_keywords(make, keywords, label)
    try:
        return make(**keywords)
    except (TypeError, InputError) as error:
        raise OptionError(f"{label} refuses its keywords: {error}", where="keywords") from error
    except (CalculatorSetupError, BadConfiguration) as error:
        raise EngineMissing(f"{label} is not set up here: {error}", todo="configure it as ASE's manual says") from error
    except Exception as error:  # a constructor may raise anything
        raise EngineFailed(f"{label} could not be made: {type(error).__name__}: {error}") from error


def _find(path: str) -> Callable[..., Any]:
    place, _, kind = path.rpartition(".")
    if not place and path not in ase_names:
        todo = f"{nearest(path, [*ase_names, *_KNOWN])}, or give an import path such as tblite.ase.TBLite"
        raise OptionError(f"ASE has no calculator called '{path}'", where="calculator", todo=todo)
    try:
        found = getattr(importlib.import_module(place), kind, None) if place else get_calculator_class(path)
    except ModuleNotFoundError as error:
        raise _absent(path, error.name or place) from error
    except Exception as error:  # an installation may be broken in any way
        raise EngineFailed(f"{path} cannot be imported: {type(error).__name__}: {error}") from error
    if not callable(found):
        classes = [name for name, value in vars(sys.modules[place]).items() if inspect.isclass(value)]
        raise OptionError(f"{place} has no class called '{kind}'", where="calculator", todo=nearest(kind, classes))
    made: Callable[..., Any] = found
    return made


def _absent(path: str, module: str) -> OptionError | EngineMissing:
    top = module.partition(".")[0]
    if module != top and path.startswith(f"{module}.") and importlib.util.find_spec(top) is not None:
        return OptionError(f"there is no module {module}", where="calculator", todo="correct the import path")
    if top in _INSTALL:
        return EngineMissing.named(top, _INSTALL[top])
    return EngineMissing(f"{top} is not installed for {sys.executable}", todo=f"install what provides '{top}'")


def _check_keywords(make: Callable[..., Any], keywords: Mapping[str, object], label: str) -> None:
    """Refuse a misspelt keyword: ASE's base class would keep it and say nothing."""
    parameters = inspect.signature(make).parameters.values()
    known = {each.name for each in parameters if each.kind not in (each.VAR_KEYWORD, each.VAR_POSITIONAL)}
    if any(each.kind is each.VAR_KEYWORD for each in parameters):
        listed = getattr(make, "default_parameters", {})
        files = inspect.isclass(make) and issubclass(make, FileIOCalculator)
        if not listed or files or make.__module__ in _OPEN:
            return
        known |= set(listed)
    for key in keywords:
        if key not in known:
            raise OptionError(f"{label} knows no keyword '{key}'", where="keywords", todo=nearest(key, known))
