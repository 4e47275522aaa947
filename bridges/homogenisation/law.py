r"""A cell as a material: at each point of a continuum its own cell, under the continuum's F (FE²).

$$\bar P(F) = \frac1V \int_{cell} P, \qquad F = 1 + \langle \nabla u \rangle$$

F. Feyel and J.-L. Chaboche 2000, doi:10.1016/S0045-7825(99)00224-8; V. Kouznetsova, W. A. M. Brekelmans and
F. P. T. Baaijens 2001, doi:10.1007/s004660000212.
"""

from __future__ import annotations

import numpy as np

from scalespan.adapters.interface import Array, CaseError, FieldAdapter, Material, Response, State, Table

from .cell import Cell, Condensed
from .options import HomogenisationOptions


class Homogenisation(Material):
    """The law of a cell; each point keeps its own fluctuation."""

    name = "homogenisation"
    Options = HomogenisationOptions
    parts = ("cell",)

    def __init__(self, options: HomogenisationOptions, cell: FieldAdapter | None = None) -> None:
        if not isinstance(cell, FieldAdapter):
            raise CaseError("a homogenisation needs a cell", todo='give it the part "cell": use = "dolfinx", …')
        self.options, self.engine = options, cell
        self.cell = Cell(cell.microstructure(), options)
        if self.cell.micro.components != self.cell.micro.points.shape[1]:
            raise CaseError("a material's cell has displacements as its unknown", todo="take elasticity")
        self._starts: list[Array] = []  # the last fluctuation at each point, from which the next search starts

    @property
    def dimension(self) -> int:
        """The cell's."""
        return int(self.cell.micro.points.shape[1])

    @property
    def stress_unit(self) -> str:
        """The cell's."""
        return self.cell.micro.flux_unit

    @property
    def density(self) -> float:
        """As the options say."""
        return self.options.density

    def _respond(self, deformation: Array, tangent: bool) -> Response:
        known: dict[bytes, Condensed] = {}
        gradients = deformation - np.eye(self.dimension)
        starts = self._starts if len(self._starts) == len(gradients) else [None] * len(gradients)
        found = []
        for gradient, start in zip(gradients, starts, strict=True):
            key = gradient.tobytes()
            if key not in known:
                known[key] = self.cell.answer(gradient, start, tangent)
            found.append(known[key])
        self._starts = [each.fluctuation for each in found]
        return Response(
            energy=np.array([_energy(each, gradient) for each, gradient in zip(found, gradients, strict=True)]),
            stress=np.array([each.flux for each in found]).reshape(gradients.shape),
            tangent=np.array([each.tangent for each in found]) if tangent else None,
        )

    def audit(self) -> list[Table]:
        """Return the law at rest: its condensed tangent, its bounds, Hill's condition at a strain of 1e-3."""
        d = self.dimension
        small = 1e-3 * (np.eye(d) + np.ones((d, d)))
        at_rest, strained = self.cell.answer(np.zeros((d, d)), tangent=True), self.cell.answer(small)
        assert at_rest.tangent is not None and at_rest.voigt is not None, "they were wanted"
        below = np.linalg.eigvalsh((at_rest.voigt - at_rest.tangent).reshape(d * d, d * d)).min()
        rows = [(f"C{i + 1}{i + 1}", f"{at_rest.tangent[i, i, i, i]:.7g} {self.stress_unit}") for i in range(d)]
        rows += [("C12", f"{at_rest.tangent[0, 0, 1, 1]:.7g} {self.stress_unit}")] if d > 1 else []
        rows += [("below the uniform strain's (Voigt), at least", f"{below:.3g} {self.stress_unit}")]
        rows += [("Hill's condition", f"{strained.hill_mandel:.1e}")]
        return [Table(f"The cell's law, {self.options.boundary} boundary", ("what", "how much"), tuple(rows))]

    def save(self) -> State:
        """Return the fluctuations, from which the next search starts."""
        return {"fluctuations": np.array(self._starts)}

    def restore(self, state: State) -> None:
        """Return to a saved state."""
        self._starts = list(state["fluctuations"])

    def close(self) -> None:
        """Close the cell's engine."""
        self.engine.close()


def _energy(found: Condensed, gradient: Array) -> float:
    """Return the energy density; of a cell without one, the work ½⟨P⟩:H of a linear law."""
    return 0.5 * float((found.flux * gradient).sum()) if found.energy is None else found.energy
