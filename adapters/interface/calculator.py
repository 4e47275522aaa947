"""Any particle adapter as an ASE calculator, so that ASE's optimisers, NEB and vibrations work on it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ase import Atoms
from ase.calculators.calculator import Calculator, all_changes

from .data import Quantity, Results

if TYPE_CHECKING:
    from .adapter import ParticleAdapter

_LIFTED = (Quantity.ENERGY, Quantity.FORCES, Quantity.STRESS, Quantity.CHARGES, Quantity.DIPOLE)


class AdapterCalculator(Calculator):
    """The calculator of one adapter. It keeps the last `Results`, so nothing is computed twice."""

    def __init__(self, adapter: ParticleAdapter) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.ignored_changes = {"initial_charges", "initial_magmoms"}  # no adapter reads them
        self.adapter = adapter
        self.implemented_properties = [q.value for q in _LIFTED if q in adapter.offers]
        self.last = Results()

    def calculate(
        self,
        atoms: Atoms | None = None,
        properties: list[str] | None = None,
        system_changes: list[str] = all_changes,
    ) -> None:
        """Compute what is asked, and forces with every energy: the drivers always want both."""
        super().calculate(atoms, properties, system_changes)  # type: ignore[no-untyped-call]
        wanted = {Quantity(name) for name in properties or ["energy"]} | {Quantity.ENERGY}
        if Quantity.FORCES in self.adapter.offers:
            wanted.add(Quantity.FORCES)
        self.last = self.adapter.compute(self.atoms, wanted)  # type: ignore[arg-type]  # ASE set it above
        results: dict[str, Any] = {
            q.value: value for q in _LIFTED if (value := getattr(self.last, q.value)) is not None
        }
        results["free_energy"] = results["energy"]
        self.results = results
