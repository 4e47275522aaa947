r"""A law from measured elastic constants, such as those of a crystal at a temperature. It needs no engine.

$$W(F) = \tfrac{1}{2} E : \mathbb{C} : E, \quad E = \tfrac{1}{2} (F^T F - 1), \quad S = \mathbb{C} : E, \quad P = F S$$

The tangent is $\partial P_{iJ} / \partial F_{kL} = \delta_{ik} S_{JL} + F_{iM} \mathbb{C}_{MJNL} F_{kN}$. It is the
law of Saint Venant and Kirchhoff (J. Bonet and R. D. Wood, Nonlinear Continuum Mechanics for Finite Element Analysis,
ch. 6, doi:10.1017/CBO9780511755446): linear in the strain, exact in rotations, for small strains only.
"""

from __future__ import annotations

from typing import Self

import numpy as np
from pydantic import model_validator

from .interface import Array, CaseError, Material, OptionError, Options, Response, Table
from .interface.units import convert

_PAIRS = {
    1: ((0, 0),),
    3: ((0, 0), (1, 1), (0, 1)),
    6: ((0, 0), (1, 1), (2, 2), (1, 2), (0, 2), (0, 1)),
}  # Voigt's order, by the number of strains


class ElasticOptions(Options):
    """Constants and density, as text with units; of a chain "eV/angstrom", of a sheet "eV/angstrom**2"."""

    cubic: tuple[str, str, str] | None = None  # C11, C12, C44 of a cubic crystal along the axes
    # or: the matrix of C_ij in Voigt's order, xx yy zz yz xz xy in space, xx yy xy in a plane, xx on a line
    stiffness: list[list[str]] | None = None
    density: str  # of the undeformed body: "1.66 g/cm**3"; of a sheet "dalton/angstrom**2"

    @model_validator(mode="after")
    def _one_way(self) -> Self:
        if (self.cubic is None) == (self.stiffness is None):
            raise ValueError("a law of measured constants needs one of 'cubic' and 'stiffness'")
        if self.stiffness is not None:
            size = len(self.stiffness)
            if size not in _PAIRS or any(len(row) != size for row in self.stiffness):
                raise ValueError("'stiffness' has one, three or six rows, and as many columns")
        return self


class ElasticAdapter(Material):
    """Saint Venant and Kirchhoff's law with any constants.

    Args:
        options: constants and density.
        at_rest: the law of the same atoms at rest, where the constants are of moving ones.
    """

    name = "elastic"
    Options = ElasticOptions
    parts = ("at_rest",)

    def __init__(self, options: ElasticOptions, at_rest: Material | None = None) -> None:
        size = 6 if options.stiffness is None else len(options.stiffness)
        self._dimension = {1: 1, 3: 2, 6: 3}[size]
        self.constants = _matrix(options, self.stress_unit)
        self._density = _number(options.density, f"dalton/angstrom**{self._dimension}", "density")
        if at_rest is not None and (not isinstance(at_rest, Material) or at_rest.dimension != self._dimension):
            raise CaseError("the law at rest is no material of as many dimensions", where="elastic.at_rest")
        self._rest = at_rest
        self._tensor = _tensor(self.constants, self._dimension)

    @property
    def dimension(self) -> int:
        """By the number of constants."""
        return self._dimension

    @property
    def stress_unit(self) -> str:
        """Electronvolts of the volume, the area or the length."""
        return f"eV/angstrom**{self._dimension}"

    @property
    def density(self) -> float:
        """As the options give it."""
        return self._density

    def at_rest(self) -> Material | None:
        """Return the part of this name."""
        return self._rest

    def _respond(self, deformation: Array, tangent: bool) -> Response:
        d, c = self._dimension, self._tensor
        strain = 0.5 * (np.einsum("nki,nkj->nij", deformation, deformation) - np.eye(d))
        second = np.einsum("ijkl,nkl->nij", c, strain)
        energy, stress = 0.5 * np.einsum("nij,nij->n", second, strain), deformation @ second
        if not tangent:
            return Response(energy, stress)
        found = np.einsum("niM,MJNL,nkN->niJkL", deformation, c, deformation, optimize=True)
        found += np.einsum("ik,nJL->niJkL", np.eye(d), second)
        return Response(energy, stress, found)

    def audit(self) -> list[Table]:
        """Return the constants, and whether a law at rest stands beside them."""
        least = float(np.linalg.eigvalsh(self.constants).min())
        rows = (
            ("softest strain", f"{least:.6g} {self.stress_unit}"),
            ("density", f"{self.density:.6g} dalton/angstrom**{self._dimension}"),
            ("atoms at rest", "the same law" if self._rest is None else self._rest.name),
        )
        return [Table("Measured elastic constants", ("", ""), rows), *(self._rest.audit() if self._rest else [])]

    def close(self) -> None:
        """Close the law at rest."""
        if self._rest is not None:
            self._rest.close()


def _matrix(options: ElasticOptions, unit: str) -> Array:
    if options.stiffness is not None:
        found = np.array([[_number(each, unit, "stiffness") for each in row] for row in options.stiffness])
    else:
        assert options.cubic is not None, "the options check it"
        c11, c12, c44 = (_number(each, unit, "cubic") for each in options.cubic)
        found = np.diag([c11 - c12] * 3 + [c44] * 3)
        found[:3, :3] += c12
    if np.abs(found - found.T).max() > 1e-9 * np.abs(found).max() or np.linalg.eigvalsh(found).min() <= 0.0:
        raise OptionError(
            "the elastic constants are no symmetric matrix with eigenvalues above zero: no stable material has them",
            where="elastic",
        )
    return found


def _tensor(matrix: Array, d: int) -> Array:
    found = np.zeros((d,) * 4)
    for p, (i, j) in enumerate(_PAIRS[len(matrix)]):
        for q, (k, m) in enumerate(_PAIRS[len(matrix)]):
            found[i, j, k, m] = found[j, i, k, m] = found[i, j, m, k] = found[j, i, m, k] = matrix[p, q]
    return found


def _number(text: str, unit: str, where: str) -> float:
    value, _, given = text.strip().partition(" ")
    try:
        number = float(value)
    except ValueError as error:
        raise OptionError(
            f"'{text}' is no number with a unit", where=f"elastic.{where}", todo=f'write it like "4.4 {unit}"'
        ) from error
    return convert(number, given or "dimensionless", unit)
