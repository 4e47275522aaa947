"""How the contract tests look at an adapter: differences, moved atoms, comparisons with a reason."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np
import numpy.typing as npt
from ase import Atoms

from .adapter import ParticleAdapter
from .data import Array, ExternalCharges, Quantity, Results, State
from .units import BOLTZMANN


def slopes(
    function: Callable[[Array], float], shape: tuple[int, ...], step: float, most: int
) -> Iterator[tuple[Array, float]]:
    """Yield directions d of ``shape`` with ∂f(h d)/∂h at zero.

    The directions are the Cartesian ones, or ``most`` random unit vectors if that is fewer;
    the five-point central difference has the error h⁴ f⁗′/30.
    """
    size = int(np.prod(shape))
    rows = np.eye(size) if size <= most else np.random.default_rng(11).normal(size=(most, size))
    for row in rows:
        along = (row / np.linalg.norm(row)).reshape(shape)
        near = function(step * along) - function(-step * along)
        far = function(2.0 * step * along) - function(-2.0 * step * along)
        yield along, (8.0 * near - far) / (12.0 * step)


def close(found: npt.ArrayLike, expected: npt.ArrayLike, tolerance: float, what: str) -> None:
    """Fail, and say what is off, where two numbers or arrays differ by more than ``tolerance``."""
    np.testing.assert_allclose(found, expected, rtol=0.0, atol=tolerance, err_msg=f"{what} is off")  # type: ignore[arg-type]


def array_of(results: Results, quantity: Quantity) -> Array:
    """Return one of the results that are arrays."""
    found = results.need(quantity)
    assert isinstance(found, np.ndarray), f"{quantity.value} is an array"
    return found


def energy_of(adapter: ParticleAdapter, atoms: Atoms, charges: ExternalCharges | None = None) -> float:
    """Return the energy in eV."""
    energy = adapter.compute(atoms, {Quantity.ENERGY}, charges).need(Quantity.ENERGY)
    assert isinstance(energy, float), "the energy is a float"
    return energy


def forces_of(adapter: ParticleAdapter, atoms: Atoms, charges: ExternalCharges | None = None) -> Array:
    """Return the forces (n, 3) in eV/Å."""
    return array_of(adapter.compute(atoms, {Quantity.FORCES}, charges), Quantity.FORCES)


def moved(atoms: Atoms, shift: Array) -> Atoms:
    """Return the atoms displaced by ``shift``, (n, 3) or (3,) Å."""
    other: Atoms = atoms.copy()
    other.set_positions(atoms.positions + shift, apply_constraint=False)
    return other


def turned(atoms: Atoms, matrix: Array) -> Atoms:
    """Return the atoms and their cell with every vector r made ``matrix`` r."""
    other: Atoms = atoms.copy()
    other.set_cell(atoms.cell.array @ matrix.T)
    other.set_positions(atoms.positions @ matrix.T, apply_constraint=False)
    return other


def strained(atoms: Atoms, voigt: Array) -> Atoms:
    """Return the atoms and their cell under the strain xx yy zz yz xz xy, shear as ASE counts it."""
    xx, yy, zz, yz, xz, xy = voigt
    return turned(atoms, np.eye(3) + np.array([[xx, xy / 2, xz / 2], [xy / 2, yy, yz / 2], [xz / 2, yz / 2, zz]]))


def warmed(atoms: Atoms, temperature: float = 300.0) -> Atoms:
    """Return the atoms with random momenta, the same ones each time; ``temperature`` in K."""
    other: Atoms = atoms.copy()
    spread = np.sqrt(atoms.get_masses() * BOLTZMANN * temperature)[:, None]
    other.set_momenta(spread * np.random.default_rng(3).normal(size=(len(atoms), 3)), apply_constraint=False)
    return other


def advanced(adapter: ParticleAdapter, dt: float, steps: int) -> list[Array]:
    """Advance, and return positions, momenta and cell."""
    for _ in range(steps):
        adapter.advance(dt)
    atoms = adapter.atoms
    return [atoms.get_positions(), atoms.get_momenta(), atoms.cell.array.copy()]


def same_motion(found: list[Array], expected: list[Array]) -> None:
    """Fail where two results of `advanced` are not the same bit for bit."""
    for what, mine, theirs in zip(("positions", "momenta", "cell"), found, expected, strict=True):
        np.testing.assert_array_equal(mine, theirs, err_msg=f"the {what} are not the same bit for bit")


def plain_copy(state: State) -> State:
    """Return a copy of a state, which must be plain arrays."""
    for key, value in state.items():
        assert isinstance(value, np.ndarray) and not value.dtype.hasobject, f"'{key}' is not a plain array"
    return {key: value.copy() for key, value in state.items()}
