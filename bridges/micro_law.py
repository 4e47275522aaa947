r"""A material as a micro model: strains or deformation gradients in, stresses and tangent out, split in vectors.

preCICE has scalars and vectors, no tensors. A tensor goes as its components in one row, split in vectors of the macro
mesh's dimension d, with scalars for what is left: in 3-D, six strains are two vectors, and the upper triangle of the
symmetric tangent, row by row, is seven. Strains are small, F = 1 + ε; in the order 11, 22, 33, 12, 13, 23 they are

$$(\varepsilon_{11}, \varepsilon_{22}, \varepsilon_{33}, s \varepsilon_{12}, s \varepsilon_{13}, s \varepsilon_{23})$$

with s = 2 after Voigt, whose stresses are σ_ij, or s = √2 after Mandel, who puts √2 before the shear stresses too
(J. Mandel 1965, doi:10.1016/0020-7683(65)90034-X); σ:ε is the product of the rows in both.
"""

from __future__ import annotations

from collections.abc import Mapping
from itertools import combinations
from typing import Literal

import numpy as np

from scalespan.adapters.interface import (
    Array,
    CaseError,
    Datum,
    EngineFailed,
    Material,
    MicroModel,
    Options,
    State,
    Table,
)
from scalespan.adapters.interface.units import convert

_SYMMETRIC = 1e-6  # of the largest component: what a tangent may lack of symmetry


class MicroLawOptions(Options):
    """How tensors go as vectors."""

    # strain: small strains, six in 3-D and three in 2-D; gradient: F by rows, with P and ∂P/∂F.
    measure: Literal["strain", "gradient"] = "strain"
    notation: Literal["voigt", "mandel"] = "voigt"  # of strains: shears twice, or √2 times; not of gradients
    width: Literal[2, 3] | None = None  # the components of a vector of the macro mesh; None: as many as the law has
    tangent: bool = True  # whether it is given
    time: str = "s"  # the unit of the steps, in pint's spelling


class MicroLaw(MicroModel):
    """The law of one point, with its own history."""

    name = "micro_law"
    Options = MicroLawOptions
    parts = ("law",)

    def __init__(self, options: MicroLawOptions, law: Material | None = None) -> None:
        if not isinstance(law, Material):
            raise CaseError("a micro law needs a material", todo='give it the part "law": use = "homogenisation", …')
        self.options, self.law, self.time_unit = options, law, options.time
        self._size = 3 * law.dimension - 3 if options.measure == "strain" else law.dimension**2
        self._width = options.width or law.dimension
        self._inward = "Strains" if options.measure == "strain" else "Gradient"
        if law.dimension < 2:
            raise CaseError("a micro law is of two dimensions or three", todo="take another law")

    @property
    def takes(self) -> Mapping[str, Datum]:
        """The strains, or the deformation gradient by rows."""
        return {name: Datum(last - first, "1") for name, (first, last) in self._slices(self._inward).items()}

    @property
    def gives(self) -> Mapping[str, Datum]:
        """The stresses, and the upper triangle of the tangent."""
        names = self._slices("Stresses") | (self._slices("Cmat") if self.options.tangent else {})
        return {name: Datum(last - first, self.law.stress_unit) for name, (first, last) in names.items()}

    def initial(self) -> State:
        """Return the history of a material that nothing has happened to."""
        if not hasattr(self, "_begin"):
            self._begin = {key: value.copy() for key, value in self.law.save().items()}
        return {key: value.copy() for key, value in self._begin.items()}

    def _step(self, state: State, given: Mapping[str, Array], dt: float) -> tuple[State, Mapping[str, Array]]:
        self.initial()  # the law's own beginning is kept before the first state is set
        row = join(self._slices(self._inward), given)
        self.law.restore(state)
        found = self.law.respond(self._deformation(row)[None], self.options.tangent)
        self.law.advance(convert(dt, self.time_unit, "ase_time"))
        answer = split(self._slices("Stresses"), self._basis @ found.stress[0].ravel())
        if self.options.tangent:
            if found.tangent is None:
                raise EngineFailed("it has no tangent", where=self.law.name, todo="set tangent = false")
            basis = self._basis
            matrix = basis @ found.tangent[0].reshape(basis.shape[1], -1) @ basis.T
            answer |= split(self._slices("Cmat"), upper(matrix))
        return {key: value.copy() for key, value in self.law.save().items()}, answer

    def initial_answer(self) -> Mapping[str, Array]:
        """Return what the law gives undeformed, at a time of no length."""
        zero = np.zeros(self._size) if self.options.measure == "strain" else np.eye(self.law.dimension).ravel()
        return self._step(self.initial(), split(self._slices(self._inward), zero), 0.0)[1]

    def audit(self) -> list[Table]:
        """Return what the law shows."""
        return self.law.audit()

    def close(self) -> None:
        """Close the law."""
        self.law.close()

    def _slices(self, name: str) -> dict[str, tuple[int, int]]:
        """Return where in its row each vector, and each scalar that is left, begins and ends."""
        size = self._size * (self._size + 1) // 2 if name == "Cmat" else self._size
        whole = size - size % self._width
        ends = [(i, i + self._width) for i in range(0, whole, self._width)] + [(i, i + 1) for i in range(whole, size)]
        if name == "Cmat":
            return {f"{name}{number}": each for number, each in enumerate(ends, 1)}
        return {f"{name}{a + 1}" + (f"to{b}" if b > a + 1 else ""): (a, b) for a, b in ends}

    @property
    def _basis(self) -> Array:
        """Return B (rows, d d), a tensor for each row: F = 1 + Σ_k e_k B_k, and the rows of the stress are P:B_k."""
        d = self.law.dimension
        if self.options.measure == "gradient":
            return np.eye(d * d)
        found, shear = np.zeros((self._size, d, d)), 2.0 if self.options.notation == "voigt" else np.sqrt(2.0)
        for k, (i, j) in enumerate([*((i, i) for i in range(d)), *combinations(range(d), 2)]):
            found[k, i, j] = found[k, j, i] = 1.0 if i == j else 1.0 / shear
        return found.reshape(self._size, d * d)

    def _deformation(self, row: Array) -> Array:
        d = self.law.dimension
        rest = np.zeros((d, d)) if self.options.measure == "gradient" else np.eye(d)
        found: Array = rest + (row @ self._basis).reshape(d, d)
        return found


def split(slices: Mapping[str, tuple[int, int]], row: Array) -> dict[str, Array]:
    """Return a row as vectors and scalars by name."""
    return {name: row[first:last].copy() for name, (first, last) in slices.items()}


def join(slices: Mapping[str, tuple[int, int]], parts: Mapping[str, Array]) -> Array:
    """Return the row that `split` was given."""
    return np.concatenate([parts[name] for name in slices])


def upper(matrix: Array) -> Array:
    """Return the upper triangle (n (n + 1)/2,) of a symmetric matrix (n, n), row by row.

    Raises:
        EngineFailed: it is not symmetric.
    """
    fault = float(np.abs(matrix - matrix.T).max() / max(np.abs(matrix).max(), np.finfo(float).tiny))
    if fault > _SYMMETRIC:
        raise EngineFailed(
            f"a tangent lacks {fault:.1e} of symmetry, and its upper triangle does not hold it",
            where="micro_law",
            todo="set tangent = false, or take a law with an energy",
        )
    found: Array = matrix[np.triu_indices(len(matrix))]
    return found


def whole(row: Array) -> Array:
    """Return the symmetric matrix (n, n) of an upper triangle."""
    size = int(np.sqrt(2 * len(row) + 0.25))
    found = np.zeros((size, size))
    found[np.triu_indices(size)] = row
    symmetric: Array = found + np.triu(found, 1).T
    return symmetric
