"""From options to PySCF's method objects."""

from __future__ import annotations

from importlib.util import find_spec
from typing import Any

import numpy as np
from pyscf import df, dft, scf
from pyscf.scf.dispersion import DISP_VERSIONS, parse_dft

from ..interface import EngineMissing, OptionError, nearest
from ..interface.units import HARTREE
from .options import CORRELATED, KOHN_SHAM, PySCFOptions

_ROUNDOFF = 1e-11  # hartree; an energy cannot be asked to stand stiller, its gradient can

_CLASSES: dict[str, Any] = {
    "rhf": scf.RHF,
    "uhf": scf.UHF,
    "rohf": scf.ROHF,
    "rks": dft.RKS,
    "uks": dft.UKS,
    "roks": dft.ROKS,
}


def reference(options: PySCFOptions) -> str:
    """Return the name of the self-consistent method; for mp2 and ccsd the determinant below them."""
    if options.method in CORRELATED:
        return "uhf" if options.spin else "rhf"
    return options.method


def check_functional(options: PySCFOptions) -> None:
    """Raise where PySCF cannot compute the functional or its forces.

    Raises:
        OptionError: an unknown name, or one without the derivative that the options ask for.
        EngineMissing: a dispersion model that is not installed.
    """
    dispersion = options.dispersion
    if options.functional is not None:
        try:
            name, _, suffix = parse_dft(options.functional)
            dft.libxc.parse_xc(name)
        except (KeyError, ValueError, NotImplementedError, RuntimeError) as error:
            raise OptionError(
                f"PySCF knows no functional '{options.functional}'",
                where="functional",
                todo="see libxc's list of names",
            ) from error
        if suffix and suffix.partition(":")[0] not in DISP_VERSIONS:
            raise OptionError(
                f"PySCF knows no dispersion '-{suffix}'", where="functional", todo=nearest(suffix, DISP_VERSIONS)
            )
        if suffix and dispersion:
            raise OptionError(
                f"dispersion is named twice, in '{options.functional}' and in dispersion", todo="keep one of the two"
            )
        dispersion = dispersion or suffix
    if dispersion and find_spec("pyscf.dispersion") is None:
        raise EngineMissing.named(f"the dispersion model {dispersion}", "pip install pyscf-dispersion")


def build(mol: Any, options: PySCFOptions) -> Any:
    """Return the self-consistent method of ``options`` on ``mol``, not run."""
    mf = _CLASSES[reference(options)](mol)
    if options.method in KOHN_SHAM:
        mf.xc = options.functional
        mf.grids.level = options.grid_level
    if options.dispersion is not None:
        mf.disp = options.dispersion
    if options.density_fitting:
        mf = mf.density_fit(auxbasis=options.auxiliary or _usual_auxiliary(mol, options))
    if options.solvent is not None:
        mf = mf.PCM()
        mf.with_solvent.method = options.solvent.model
        mf.with_solvent.eps = options.solvent.permittivity
    mf.chkfile = None  # nothing on disk
    mf.max_memory = options.memory
    mf.max_cycle = options.max_cycles
    convergence = options.convergence / HARTREE
    mf.conv_tol = max(convergence, _ROUNDOFF)
    # Forces err with the orbital gradient; correlated energies do too, for they are not stationary in the orbitals.
    mf.conv_tol_grad = (3e-3 if options.method in CORRELATED else 0.3) * np.sqrt(convergence)
    return mf


def _usual_auxiliary(mol: Any, options: PySCFOptions) -> Any:
    """Return the basis of the fit that PySCF chooses by the name of the orbital basis, which ``mol`` has lost."""
    named = mol.copy()
    table = options.basis if isinstance(options.basis, dict) else {"default": options.basis}
    named.basis = {symbol: table.get(symbol, table.get("default")) for symbol in mol.elements}
    return df.make_auxbasis(named, xc=options.functional or "HF")
