"""The gradient without external charges, and the density that the energy's derivatives see.

For a variational energy this is the total density of the SCF. For MP2 and CCSD it is the
relaxed one: dE/dh, the orbitals' response included (N. C. Handy, H. F. Schaefer, J. Chem. Phys.
81 (1984) 5031, doi:10.1063/1.447489). PySCF computes it inside its gradients and contracts it
with the derivative of the core Hamiltonian; a probe put in that place keeps it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from pyscf import cc, lib, mp
from pyscf.scf.uhf import UHF

from ..interface import Array, EngineFailed, NotConverged
from ..interface.units import HARTREE
from .options import PySCFOptions


def correlated(mf: Any, options: PySCFOptions) -> Any:
    """Return the converged MP2 or CCSD method above ``mf``.

    Raises:
        NotConverged: the amplitudes did not.
    """
    open_shell = isinstance(mf, UHF)
    if options.method == "mp2":
        method = (mp.UMP2 if open_shell else mp.RMP2)(mf)
        method.kernel()
        return method
    method = (cc.UCCSD if open_shell else cc.CCSD)(mf)
    method.max_cycle = options.max_cycles
    method.conv_tol = mf.conv_tol
    method.conv_tol_normt = 1e-2 * np.sqrt(options.convergence / HARTREE)
    method.kernel()
    if not method.converged:
        raise NotConverged(f"CCSD did not converge in {options.max_cycles} cycles", todo="raise max_cycles")
    return method


def total_density(mf: Any) -> Array:
    """Return the density of a converged SCF, alpha and beta together, (nao, nao)."""
    density = np.asarray(mf.make_rdm1())
    total: Array = density.sum(axis=0) if density.ndim == 3 else density
    return total


def scf_gradient(mf: Any, grid_response: bool) -> Array:
    """Return dE/dR (n, 3) hartree/bohr of a converged SCF; external charges enter by the density alone."""
    method = mf.nuc_grad_method()
    if hasattr(method, "grid_response"):
        method.grid_response = grid_response
    gradient: Array = method.kernel()
    return gradient


def relaxed_gradient(method: Any) -> tuple[Array, Array]:
    """Return dE/dR (n, 3) hartree/bohr and the relaxed density (nao, nao) of MP2 or CCSD."""
    if hasattr(method, "solve_lambda"):
        method.solve_lambda()
        if not method.converged_lambda:
            raise NotConverged("the Λ equations of CCSD did not converge", todo="raise max_cycles")
    mf = method._scf
    seen: list[Array] = []
    ordinary = mf.nuc_grad_method

    def probed() -> Any:
        gradient = ordinary()
        gradient.hcore_generator = _probing(gradient.hcore_generator, seen)
        return gradient

    mf.nuc_grad_method = probed
    try:
        # PySCF's response solver stops at residuals of 1e-5, which would be in the forces and go unsaid.
        with lib.temporary_env(lib, krylov=_solved):
            gradient: Array = method.nuc_grad_method().kernel()
    finally:
        del mf.nuc_grad_method
    if not seen:
        raise EngineFailed("PySCF's gradient no longer shows its relaxed density", todo="use PySCF 2.14")
    return gradient, 0.5 * (seen[0] + seen[0].T)


_krylov = lib.krylov
_RESPONSE = 1e-8  # largest residual of the response equations that is taken


def _solved(operator: Callable[[Array], Array], right: Array, **given: Any) -> Array:
    """Solve x + A x = b for the orbitals' response, in place of ``pyscf.lib.krylov``, and look at the residual."""
    right = np.asarray(right)
    solution: Array = np.zeros_like(right)
    residual = right
    for _ in range(5):
        step = np.asarray(_krylov(operator, residual, tol=1e-11, lindep=1e-28, max_cycle=50))
        solution = solution + step.reshape(right.shape)
        residual = right - solution - np.asarray(operator(solution)).reshape(right.shape)
        if abs(residual).max() < _RESPONSE:
            return solution
    raise NotConverged(
        f"the orbitals' response did not converge, its residual is {abs(residual).max():.1e}",
        todo="the determinant is close to another one: look at the spin, or use a functional",
    )


class _Probe(np.ndarray[Any, Any]):
    """The derivative of the core Hamiltonian that notes what it is contracted with."""

    seen: list[Array]

    def __array_function__(self, function: Any, types: Any, args: Any, keywords: Any) -> Any:
        self.seen.append(np.array(args[2]))
        plain = [np.asarray(each) if isinstance(each, _Probe) else each for each in args]
        return function(*plain, **keywords)


def _probing(generator: Callable[..., Any], seen: list[Array]) -> Callable[..., Any]:
    def probing(mol: Any = None) -> Callable[[int], Array]:
        derivative = generator(mol)

        def of_atom(atom: int) -> Array:
            probe = np.asarray(derivative(atom)).view(_Probe)
            probe.seen = seen
            return probe

        return of_atom

    return probing
