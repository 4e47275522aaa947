"""The SCF to its end: one ladder of attempts, then an error that says what was tried."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any

import numpy as np
from pyscf.scf.rohf import ROHF

from ..interface import Array, NotConverged

_log = logging.getLogger(__name__)


class Attempts:
    """The ladder: the guess, a cold start, level shift with damping, a second-order solver.

    The second-order solver is Q. Sun, arXiv:1610.08423.
    """

    def __init__(self, mf: Any) -> None:
        self.mf = mf
        self.tried: list[str] = []
        self._energy = self._change = self._slope = np.nan

    def run(self, guess: Array | None, contact: Callable[[], str]) -> None:
        """Converge the method in place.

        Args:
            guess: the first density, or None for a cold start.
            contact: says which particles are closest, for the error.

        Raises:
            NotConverged: nothing on the ladder did.
        """
        ladder: list[tuple[str, Callable[[], None]]] = [
            ("a cold start", lambda: self.mf.kernel(dm0=None)),
            ("level shift and damping", self._shifted),
            ("a second-order solver", self._second_order),
        ]
        if guess is not None:
            ladder.insert(0, ("the extrapolated guess", lambda: self.mf.kernel(dm0=guess)))
        self.mf.callback = self._watch
        try:
            for name, attempt in ladder:
                if self._succeeds(name, attempt):
                    return
        finally:
            self.mf.callback = None
        raise NotConverged(
            f"the SCF did not converge, tried: {', '.join(self.tried)}; {self._last()}; {contact()}",
            todo="look at the geometry, charge and spin, or raise max_cycles",
        )

    def _last(self) -> str:
        if not abs(self._change) > 0.0:  # one cycle has nothing to compare with
            return f"the energy's gradient was {self._slope:.1e} hartree"
        return f"the energy still changed by {self._change:.1e} hartree, its gradient was {self._slope:.1e}"

    def _succeeds(self, name: str, attempt: Callable[[], None]) -> bool:
        self._energy = self._change = self._slope = np.nan
        try:
            attempt()
        except np.linalg.LinAlgError as error:  # not finite, or not positive: this attempt led nowhere
            _log.debug("%s: %s", name, error)
            self.mf.converged = False
        if self.mf.converged:
            if self.tried:
                _log.warning("the SCF needed %s, after %s", name, ", ".join(self.tried))
            return True
        self.tried.append(name)
        _log.info("the SCF did not converge with %s", name)
        return False

    def _watch(self, state: dict[str, Any]) -> None:
        energy = float(state["e_tot"])
        self._energy, self._change = energy, energy - self._energy
        self._slope = float(state["norm_gorb"])

    def _shifted(self) -> None:
        mf = self.mf
        before = mf.level_shift, mf.damp, mf.diis_start_cycle
        mf.level_shift = 0.3  # hartree
        if not isinstance(mf, ROHF):  # PySCF has no damping there
            mf.damp, mf.diis_start_cycle = 0.5, 8  # damped until DIIS starts
        try:
            mf.kernel(dm0=self._best())
        finally:
            mf.level_shift, mf.damp, mf.diis_start_cycle = before

    def _second_order(self) -> None:
        mf = self.mf
        solver = mf.newton()
        solver.callback = self._watch
        solver.kernel(dm0=self._best())
        mf.converged, mf.e_tot = solver.converged, solver.e_tot
        mf.mo_coeff, mf.mo_occ, mf.mo_energy = solver.mo_coeff, solver.mo_occ, solver.mo_energy
        mf.scf_summary = solver.scf_summary

    def _best(self) -> Array | None:
        if self.mf.mo_coeff is None or not np.all(np.isfinite(self.mf.mo_coeff)):
            return None
        density: Array = self.mf.make_rdm1()
        return density
