"""From atoms to PySCF's molecule: the engine line for geometry, basis and electrons."""

from __future__ import annotations

import warnings
from contextlib import suppress
from typing import Any

import numpy as np
from ase import Atoms
from ase.data import chemical_symbols
from pyscf import gto

from ..interface import Array, AtomsError, OptionError
from ..interface.units import BOHR
from .options import PySCFOptions


def check(atoms: Atoms, options: PySCFOptions) -> None:
    """Raise where ``atoms`` are no molecule with the charge and spin of ``options``.

    Raises:
        AtomsError: periodic atoms, two nuclei in one place, a site without an element.
        OptionError: a charge and a spin that do not fit.
    """
    if atoms.pbc.any():
        raise AtomsError(
            "periodic atoms, and the adapter computes molecules", where="pyscf", todo="set atoms.pbc = False"
        )
    if (atoms.numbers < 1).any():
        raise AtomsError(f"atom {int(np.argmin(atoms.numbers))} has no element", where="pyscf")
    electrons = int(atoms.numbers.sum()) - options.charge
    if electrons < 1 or options.spin > electrons or (electrons - options.spin) % 2:
        raise OptionError(
            f"{electrons} electrons (charge {options.charge}) cannot have {options.spin} unpaired",
            where="spin",
            todo=f"an {'even' if electrons % 2 == 0 else 'odd'} spin is needed, or another charge",
        )
    distance = atoms.get_all_distances()
    distance[np.diag_indices(len(atoms))] = np.inf
    if distance.min() < 0.05:
        i, j = (int(k) for k in np.unravel_index(np.argmin(distance), distance.shape))
        raise AtomsError(f"atoms {i} and {j} are {distance.min():.3g} Å apart", where="pyscf")


def molecule(atoms: Atoms, options: PySCFOptions) -> Any:
    """Return the built ``pyscf.gto.Mole`` of ``atoms``.

    Raises:
        OptionError: a basis that an element lacks.
    """
    mol = gto.Mole()
    mol.output, mol.verbose = (None, 0) if options.log is None else (str(options.log), 4)
    mol.max_memory = options.memory
    mol.atom = list(zip(atoms.symbols, (atoms.positions / BOHR).tolist(), strict=True))
    mol.unit = "Bohr"
    mol.basis = _by_element(atoms, options.basis, gto.basis.load, "basis")
    mol.ecp = {} if options.ecp is None else _by_element(atoms, options.ecp, gto.basis.load_ecp, "ecp")
    _check_cores(mol, options.basis)
    mol.charge, mol.spin, mol.cart = options.charge, options.spin, options.cartesian
    try:
        return mol.build(dump_input=False, parse_arg=False)
    except RuntimeError as error:
        raise OptionError(f"PySCF cannot build the molecule: {error}") from error


def moved(mol: Any, positions: Array) -> Any:
    """Return ``mol`` with its nuclei at ``positions`` (n, 3) Å; the basis is not read again."""
    return mol.set_geom_(positions / BOHR, unit="Bohr", inplace=False)


def closest(positions: Array, others: Array) -> tuple[float, int, int]:
    """Return the smallest distance between two sets of places, and its indices."""
    from scipy.spatial import cKDTree

    distances, nearest = cKDTree(positions).query(others)
    k = int(np.argmin(distances))
    return float(distances[k]), int(nearest[k]), k


def _by_element(atoms: Atoms, names: str | dict[str, str], load: Any, what: str) -> dict[str, Any]:
    table = names if isinstance(names, dict) else {"default": names}
    if strange := [key for key in table if key not in {*chemical_symbols[1:], "default"}]:
        raise OptionError(f"'{strange[0]}' is no element", where=what, todo='use symbols, such as C, and "default"')
    found = {}
    for symbol in sorted(set(atoms.symbols)):
        name = table.get(symbol, table.get("default"))
        if name is None:
            if what == "ecp":
                continue
            raise OptionError(
                f"there is no basis for {symbol}", where=what, todo=f'add {symbol} = "…" or default = "…"'
            )
        found[symbol] = _loaded(name, symbol, load, what)
    return {symbol: data for symbol, data in found.items() if data}


def _check_cores(mol: Any, names: str | dict[str, str]) -> None:
    """Raise where a basis leaves out a core that no potential stands for."""
    for symbol in sorted(set(mol.basis) - set(mol.ecp)):
        name = names if isinstance(names, str) else names.get(symbol, names.get("default"))
        cores = []
        with warnings.catch_warnings(action="ignore"), suppress(RuntimeError, KeyError):
            cores = gto.basis.load_ecp(name, symbol)
        if cores:
            raise OptionError(
                f"the basis '{name}' of {symbol} belongs to a core potential, and none is given",
                where="ecp",
                todo=f'add ecp = {{ {symbol} = "{name}" }}',
            )


def _loaded(name: str, symbol: str, load: Any, what: str) -> Any:
    try:
        with warnings.catch_warnings(action="ignore"):  # advice to install a package
            return load(name, symbol)
    except Exception as error:  # PySCF raises errors of several unrelated classes on a name it lacks
        raise OptionError(
            f"PySCF has no {what} '{name}' for {symbol}", where=what, todo="correct the name, or give one per element"
        ) from error
