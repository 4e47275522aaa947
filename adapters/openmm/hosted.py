"""Someone else's potential inside OpenMM: asked once for each configuration, and its errors kept."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..interface import Array, EngineFailed, EngineImport, Potential, State
from ..interface.units import KJ_PER_MOL, NANOMETRE
from .cells import Frame
from .contexts import FORCE_UNIT

with EngineImport("openmm", install="pip install 'scalespan[openmm]'") as engine:
    import openmm

_KEPT = 2  # the last two: a barostat that refuses its trial box goes back to the one before


class HostedPotential:
    """What a PythonForce calls. It remembers its last answers, so that reports cost nothing.

    OpenMM may ask again where it has asked before: for an energy, after a barostat's trial,
    after a restore.
    """

    def __init__(self, potential: Potential, frame: Frame, periodic: bool) -> None:
        self._potential, self._frame, self._periodic = potential, frame, periodic
        self._known: list[tuple[Array, Array, float, Array]] = []  # nm, nm, kJ/mol, kJ/mol/nm; latest last
        self.error: BaseException | None = None

    def force(self) -> openmm.PythonForce:
        """Return the force for a System."""
        force = openmm.PythonForce(self)
        force.setUsesPeriodicBoundaryConditions(self._periodic)
        return force

    def __call__(self, state: Any) -> tuple[float, Array]:
        """Answer OpenMM: energy in kJ/mol, forces (n, 3) in kJ/mol/nm."""
        try:
            positions = state.getPositions(asNumpy=True)._value
            box = state.getPeriodicBoxVectors(asNumpy=True)._value if self._periodic else np.zeros((3, 3))
            return self._answer(positions, box)
        except BaseException as error:  # OpenMM passes on nothing but a text
            self.error = error
            raise

    def _answer(self, positions: Array, box: Array) -> tuple[float, Array]:
        for place, (at, inside, energy, forces) in enumerate(self._known):
            if at[0, 0] == positions[0, 0] and np.array_equal(at, positions) and np.array_equal(inside, box):
                self._known.append(self._known.pop(place))
                return energy, forces
        frame = self._frame
        cell = frame.cell(box * NANOMETRE) if self._periodic else box
        found, pulls = self._potential(frame.back(positions * NANOMETRE), cell)
        pulls = np.asarray(pulls, dtype=float)
        if pulls.shape != positions.shape or not (np.isfinite(found) and np.isfinite(pulls.sum())):
            raise EngineFailed(
                f"the extra potential answered with an energy of {found} and forces of shape {pulls.shape}; "
                f"finite numbers and the shape {positions.shape} are wanted"
            )
        energy, forces = float(found) / KJ_PER_MOL, frame.turned(pulls) / FORCE_UNIT
        self._known = [*self._known[1 - _KEPT :], (positions, box, energy, forces)]
        return energy, forces

    def forget(self) -> None:
        """Drop the remembered answers: the potential has changed."""
        self._known = []

    def save(self) -> State:
        """Return the remembered answers, so that a continued run asks no more than the first did."""
        names = ("positions", "box", "energy", "forces")
        return {
            f"{place}/{name}": np.array(value)
            for place, known in enumerate(self._known)
            for name, value in zip(names, known, strict=True)
        }

    def restore(self, state: State) -> None:
        """Return to what `save` gave."""
        self._known = [
            (
                np.array(state[f"{place}/positions"], dtype=float),
                np.array(state[f"{place}/box"], dtype=float),
                float(state[f"{place}/energy"]),
                np.array(state[f"{place}/forces"], dtype=float),
            )
            for place in range(len(state) // 4)
        ]
