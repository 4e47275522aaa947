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

from .interface import (
    Array,
    CaseError,
    CaseFile,
    HandOff,
    Material,
    OptionError,
    Options,
    Response,
    Table,
    stiffness_of,
)
from .interface.units import Length, Temperature, convert

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
    record: CaseFile | None = None  # or: a hand-off record of them, with their errors and the box where they hold
    temperature: Temperature | None = None  # at which a record is used, where it holds at some temperatures only
    thickness: Length | None = None  # of a plane whose record is of a solid in plane strain
    density: str  # of the undeformed body: "1.66 g/cm**3"; of a sheet "dalton/angstrom**2"

    @model_validator(mode="after")
    def _one_way(self) -> Self:
        if [self.cubic, self.stiffness, self.record].count(None) != 2:
            raise ValueError("a law of measured constants needs one of 'cubic', 'stiffness' and 'record'")
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
        self.record = None if options.record is None else HandOff.load(options.record)
        self._roots: Array = np.zeros((0, 0, 0))  # matrices whose squares add up to the covariance of the constants
        if self.record is None:
            size = 6 if options.stiffness is None else len(options.stiffness)
            self._dimension = {1: 1, 3: 2, 6: 3}[size]
            self.constants = _matrix(options, self.stress_unit)
        else:
            self.constants, self._roots = _recorded(self.record, options)
            self._dimension = {1: 1, 3: 2, 6: 3}[len(self.constants)]
        _check(self.constants)
        self._density = _number(options.density, f"dalton/angstrom**{self._dimension}", "density")
        if at_rest is not None and (not isinstance(at_rest, Material) or at_rest.dimension != self._dimension):
            raise CaseError("the law at rest is no material of as many dimensions", where="elastic.at_rest")
        self._rest = at_rest
        self._tensor = _tensor(self.constants, self._dimension)
        self._errors = np.array([_tensor(each, self._dimension) for each in self._roots])

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
        if self.record is not None:
            self.record.require("strain", strain)
        second = np.einsum("ijkl,nkl->nij", c, strain)
        energy, stress = 0.5 * np.einsum("nij,nij->n", second, strain), deformation @ second
        slope = _tangent(deformation, c, second) if tangent else None
        if len(self._errors) == 0:
            return Response(energy, stress, slope)
        # The stress is linear in the constants, so that the first order is exact.
        parts = np.einsum("rijkl,nkl->rnij", self._errors, strain)
        moved = deformation @ parts
        covariance = np.einsum("rnij,rnkl->nijkl", moved, moved, optimize=True)
        variance = np.zeros(())
        for each, part in zip(self._errors, parts, strict=True) if tangent else ():
            variance = variance + _tangent(deformation, each, part) ** 2
        return Response(energy, stress, slope, covariance, variance if tangent else None)

    def audit(self) -> list[Table]:
        """Return the constants, and whether a law at rest stands beside them."""
        least = float(np.linalg.eigvalsh(self.constants).min())
        rows = (
            ("softest strain", f"{least:.6g} {self.stress_unit}"),
            ("density", f"{self.density:.6g} dalton/angstrom**{self._dimension}"),
            ("atoms at rest", "the same law" if self._rest is None else self._rest.name),
        )
        tables = [Table("Measured elastic constants", ("", ""), rows)]
        if self.record is not None:
            tables.append(self.record.table())
        return [*tables, *(self._rest.audit() if self._rest else [])]

    def close(self) -> None:
        """Close the law at rest."""
        if self._rest is not None:
            self._rest.close()


def _matrix(options: ElasticOptions, unit: str) -> Array:
    if options.stiffness is not None:
        return np.array([[_number(each, unit, "stiffness") for each in row] for row in options.stiffness])
    assert options.cubic is not None, "the options check it"
    c11, c12, c44 = (_number(each, unit, "cubic") for each in options.cubic)
    found = np.diag([c11 - c12] * 3 + [c44] * 3)
    found[:3, :3] += c12
    return found


def _check(constants: Array) -> None:
    uneven = np.abs(constants - constants.T).max() > 1e-9 * np.abs(constants).max()
    if uneven or np.linalg.eigvalsh(constants).min() <= 0.0:
        raise OptionError(
            "the elastic constants are no symmetric matrix with eigenvalues above zero: no stable material has them",
            where="elastic",
        )


def _recorded(record: HandOff, options: ElasticOptions) -> tuple[Array, Array]:
    """Return a record's constants (k, k), eV/Å^d, and (r, k, k) whose squares add up to their covariance.

    Raises:
        CaseError: a record with other conventions than this law's, or used outside its box.
    """
    record.agree({"strain": "green_lagrange", "stress": "second_piola_kirchhoff", "sign": "tension_positive"})
    if "temperature" in record.validity:
        if options.temperature is None:
            raise OptionError(
                f"{record.what} hold in a range of temperatures, and the key 'temperature' is missing", where="elastic"
            )
        record.require("temperature", options.temperature, "kelvin")
    plane = record.conventions.plane
    unit = {"sheet": "eV/angstrom**2", "chain": "eV/angstrom"}.get(plane, "eV/angstrom**3")
    if (plane == "plane_strain") != (options.thickness is not None):
        raise OptionError(
            f"{record.what} are of a {plane.replace('_', ' ')}: the key 'thickness' is for a solid in plane strain, "
            "whose three rows are no solid's six",
            where="elastic",
            todo="give the body's thickness, or take the six rows of the solid" if options.thickness is None else "",
        )
    spread = stiffness_of(record.value.names, record.conventions)  # (k, k, n)
    thick = 1.0 if options.thickness is None else options.thickness
    values, axes = np.linalg.eigh(thick**2 * record.covariance(unit))
    kept = values > 1e-14 * max(float(values[-1]), 1e-300)
    roots = (axes * np.sqrt(np.clip(values, 0.0, None)))[:, kept]
    return spread @ (thick * record.numbers(unit)), np.einsum("pqn,nr->rpq", spread, roots)


def _tangent(deformation: Array, tensor: Array, second: Array) -> Array:
    """Return ∂P/∂F (n, d, d, d, d) of F (n, d, d), ℂ (d, d, d, d) and S (n, d, d)."""
    found: Array = np.einsum("niM,MJNL,nkN->niJkL", deformation, tensor, deformation, optimize=True)
    found += np.einsum("ik,nJL->niJkL", np.eye(deformation.shape[1]), second)
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
