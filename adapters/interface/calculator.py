"""Any particle adapter as an ASE calculator, so that ASE's optimisers, NEB and vibrations work on it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from ase import Atoms
from ase.calculators.calculator import Calculator, all_changes

from .data import Quantity, Results, State

if TYPE_CHECKING:
    from .adapter import ParticleAdapter

_LIFTED = (Quantity.ENERGY, Quantity.FORCES, Quantity.STRESS, Quantity.CHARGES, Quantity.DIPOLE)


class AdapterCalculator(Calculator):
    """The calculator of one adapter. It keeps the last `Results`, so nothing is computed twice."""

    def __init__(self, adapter: ParticleAdapter) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.ignored_changes = {"initial_charges", "initial_magmoms"}  # no adapter reads them
        self.adapter = adapter
        self.implemented_properties = ["free_energy", *(q.value for q in _LIFTED if q in adapter.offers)]
        self.last = Results()

    def calculate(
        self,
        atoms: Atoms | None = None,
        properties: list[str] | None = None,
        system_changes: list[str] = all_changes,
    ) -> None:
        """Compute what is asked, and forces with every energy: the drivers always want both."""
        super().calculate(atoms, properties, system_changes)  # type: ignore[no-untyped-call]
        wanted = {Quantity(name) for name in properties or () if name != "free_energy"} | {Quantity.ENERGY}
        if Quantity.FORCES in self.adapter.offers:
            wanted.add(Quantity.FORCES)
        self.last = self.adapter.compute(self.atoms, wanted)  # type: ignore[arg-type]  # ASE set it above
        self.results = _as_ase(self.last)

    def save(self) -> State:
        """Return the last answer: an engine with a memory would not give it again bit for bit."""
        if not self.results:
            return {}
        known = {q.value: np.array(value) for q in _LIFTED if (value := getattr(self.last, q.value)) is not None}
        names, energies = list(self.last.components), list(self.last.components.values())
        return known | {"components": np.array(energies), "component_names": np.array(names, dtype=np.str_)}

    def restore(self, atoms: Atoms, state: State) -> None:
        """Give ``atoms`` the answer that `save` returned, or none, so that they are computed again."""
        self.reset()  # type: ignore[no-untyped-call]
        if not state:
            return
        known: dict[str, Any] = {q.value: state[q.value].copy() for q in _LIFTED if q.value in state}
        components = zip(state["component_names"].tolist(), state["components"].tolist(), strict=True)
        self.last = Results(**known | {"energy": float(known["energy"]), "components": dict(components)})
        self.results, self.atoms = _as_ase(self.last), atoms.copy()


def _as_ase(found: Results) -> dict[str, Any]:
    results = {q.value: value for q in _LIFTED if (value := getattr(found, q.value)) is not None}
    results["free_energy"] = results["energy"]
    return results
