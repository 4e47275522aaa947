"""What moves: the low level everywhere, with the difference that a window gives, as one adapter."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

from ase import Atoms

from scalespan.adapters.interface import (
    AdapterCalculator,
    Array,
    ExternalCharges,
    Options,
    ParticleAdapter,
    Quantity,
    Results,
)

from .windows import Difference, Window

Ask: TypeAlias = Callable[[Atoms, Array], Difference]  # of atoms, and the low level's forces on them (n, 3) eV/Å


class Moving(ParticleAdapter):
    """F = F_low + D at one part of a window; the energy is the low level's."""

    name = "force_mixing"
    Options = Options
    offers = frozenset({Quantity.ENERGY, Quantity.FORCES})
    conservative = False

    def __init__(self, low: Callable[[], ParticleAdapter], ask: Ask) -> None:
        """Move by ``low``, called for only when forces are: it may have to be measured first."""
        self._make, self._ask = low, ask
        self._low: AdapterCalculator | None = None
        self.window, self.part = Window(), 0.0

    def question(self, atoms: Atoms) -> Difference:
        """Ask the high level about ``atoms``."""
        forces = self._low_results(atoms).forces
        assert forces is not None
        return self._ask(atoms, forces)

    def _compute(self, atoms: Atoms, wanted: frozenset[Quantity], charges: ExternalCharges | None) -> Results:
        if self.window.begin is None:
            self.window = Window(begin=self.question(atoms))
        found = self._low_results(atoms)
        assert found.energy is not None and found.forces is not None
        forces: Array = found.forces + self.window.at(self.part, len(atoms))
        return Results(energy=found.energy, forces=forces, components={"low": found.energy})

    def _low_results(self, atoms: Atoms) -> Results:
        """Return the low level's energy and forces; where the atoms are as they were, it is not asked again."""
        if self._low is None:
            self._low = self._make().as_calculator()
        self._low.get_forces(atoms.copy())  # type: ignore[no-untyped-call]
        return self._low.last

    def forget(self) -> None:
        """Let the low level be called for, and asked, again."""
        self._low = None
