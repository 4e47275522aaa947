r"""A periodic box of atoms under F: the cell and its atoms are remapped together, x = F X.

One question gives the energy U and, from the Cauchy stress σ of the atoms without their motion, the Kirchhoff stress
of the box and the slope of U by F at fixed X,

$$\tau = V \sigma, \qquad \frac{\partial U}{\partial F} = \tau F^{-T}.$$

The second slope follows from U's indifference to rotation. With f a further deformation, S(f) = f⁻¹ τ(f F) f⁻ᵀ and
D = ∂S/∂E at f = 1,

$$\frac{\partial^2 U}{\partial F_{iJ} \partial F_{kL}} =
  F^{-1}_{Jj} F^{-1}_{Ll} \left( \delta_{ik} \tau_{jl} + D_{ijkl} \right),$$

D by central differences over six strains. (M. Born and K. Huang 1954; D. C. Wallace, Thermodynamics of Crystals, 1972.)
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
from ase import Atoms
from ase.io import read
from ase.stress import voigt_6_to_full_3x3_stress

from scalespan.adapters.interface import (
    Array,
    AtomsError,
    CaseError,
    NotOffered,
    OptionError,
    ParticleAdapter,
    Quantity,
    ScalespanError,
)

from .options import AtomisticCellOptions

_PAIRS = ((0, 0), (1, 1), (2, 2), (1, 2), (0, 2), (0, 1))
_SECOND = ((1, 0.5),)  # the steps and weights of f(+) − f(−)
_FOURTH = ((1, 2.0 / 3.0), (2, -1.0 / 12.0))


class Box:
    """The undeformed box, and the engine that answers for it. X are places (n, 3) Å of its atoms there."""

    def __init__(self, atoms: Atoms, engine: ParticleAdapter) -> None:
        if not atoms.pbc.all() or atoms.cell.rank < 3:
            raise AtomsError(
                f"the box of atoms is periodic in {atoms.pbc.tolist()}, and must be in all three directions",
                todo="give it a cell with pbc, or take a crystal's sheet or chain by cauchy_born",
            )
        if Quantity.STRESS not in engine.offers:
            engine.compute(atoms, {Quantity.STRESS})  # its own sentence, where it has one
            raise NotOffered(f"{engine.name} gives no stress, and a box of atoms has no other law")
        if not engine.conservative:
            raise NotOffered(f"the forces of {engine.name} are not the gradient of an energy: no law follows from them")
        self.engine, self._atoms = engine, atoms.copy()
        self._atoms.calc = None
        self.volume = float(atoms.get_volume())
        self.mass = float(atoms.get_masses().sum())
        self.places: Array = atoms.positions + _clear_of_faces(atoms)

    def __len__(self) -> int:
        return len(self._atoms)

    def under(self, deformation: Array, places: Array) -> Atoms:
        """Return the atoms at x = F X in the cell under F (3, 3)."""
        atoms: Atoms = self._atoms.copy()
        atoms.set_cell(atoms.cell.array @ deformation.T)
        atoms.set_positions(places @ deformation.T, apply_constraint=False)
        return atoms

    def ask(self, deformation: Array, places: Array) -> tuple[float, Array]:
        """Return U (eV) and τ (3, 3) eV.

        Raises:
            AtomsError: a box that the engine cannot take, such as one that has become too narrow for its cutoff.
        """
        atoms = self.under(deformation, places)
        try:
            found = self.engine.compute(atoms, {Quantity.ENERGY, Quantity.STRESS})
        except ScalespanError as error:
            raise self.told(error, deformation) from error
        assert found.energy is not None and found.stress is not None, "they were wanted"
        return found.energy, voigt_6_to_full_3x3_stress(found.stress) * atoms.get_volume()

    def told(self, error: ScalespanError, deformation: Array) -> ScalespanError:
        """Return an engine's error with the box's F."""
        return error.at(f"the box under F = {np.round(deformation, 6).tolist()}")


def box_of(options: AtomisticCellOptions, engine: ParticleAdapter | None) -> Box:
    """Return the box that the options describe.

    Raises:
        CaseError: no engine of atoms, no atoms, or a file that holds none.
    """
    if engine is None:
        raise CaseError("a box of atoms needs their engine", todo='give it the part "atoms": use = "openmm", …')
    if not isinstance(engine, ParticleAdapter):
        raise CaseError(f"'{engine.name}' is no engine of atoms", where="atoms")
    if options.file is not None:
        return Box(_from(options.file).repeat(options.repeat), engine)
    atoms = engine.initial_atoms()
    if atoms is None:
        raise CaseError(f"{engine.name} has no atoms of its own", todo="give the box by the key 'file'")
    return Box(atoms, engine)


def stiffness(kirchhoff: Callable[[Array], Array], step: float, fourth: bool = False) -> Array:
    """Return D (…, 3, 3, 3, 3) of τ(f) (…, 3, 3), by central differences at f = 1 of the second or fourth order."""
    columns = []
    for i, j in _PAIRS:
        strain = np.zeros((3, 3))
        strain[i, j] = strain[j, i] = step if i == j else 0.5 * step
        slope: Array = np.zeros(())
        for times, weight in _FOURTH if fourth else _SECOND:
            ahead, behind = (_second(kirchhoff, np.eye(3) + sign * times * strain) for sign in (1.0, -1.0))
            slope = slope + weight / step * (ahead - behind)
        columns.append(np.stack([slope[..., m, n] for m, n in _PAIRS], axis=-1))
    found = np.stack(columns, axis=-1)
    found = 0.5 * (found + np.swapaxes(found, -1, -2))
    index = np.zeros((3, 3), dtype=int)
    for p, (i, j) in enumerate(_PAIRS):
        index[i, j] = index[j, i] = p
    full: Array = found[..., index[:, :, None, None], index[None, None, :, :]]
    return full


def referred(deformation: Array, kirchhoff: Array, stiff: Array) -> Array:
    """Return ∂²U/∂F∂F (…, 3, 3, 3, 3) from τ (…, 3, 3) and D (…, 3, 3, 3, 3)."""
    inverse = np.linalg.inv(deformation)
    spatial = stiff + np.einsum("ik,...jl->...ijkl", np.eye(3), kirchhoff)
    found: Array = np.einsum("Jj,Ll,...ijkl->...iJkL", inverse, inverse, spatial, optimize=True)
    return found


def _second(kirchhoff: Callable[[Array], Array], further: Array) -> Array:
    inverse = np.linalg.inv(further)
    found: Array = inverse @ kirchhoff(further) @ inverse.T
    return found


def _from(file: Path) -> Atoms:
    try:
        found = read(file)
    except Exception as error:  # ASE's readers raise anything
        raise OptionError(f"{file} holds no atoms that ASE can read: {error}", where="file") from error
    if not isinstance(found, Atoms):
        raise OptionError(f"{file} holds more than one configuration", where="file")
    return found


def _clear_of_faces(atoms: Atoms) -> Array:
    """Return the translation (3,) that takes atoms away from the cell's faces.

    It changes no energy, but engines lose pairs of atoms on a face: OpenMM 8.6, Reference, in sheared boxes.
    """
    found = np.zeros(3)
    for i, places in enumerate(atoms.get_scaled_positions(wrap=True).T):
        ends = np.sort(np.append(places, places.min() + 1.0))
        widest = int(np.argmax(np.diff(ends)))
        found[i] = -0.5 * (ends[widest] + ends[widest + 1])
    moved: Array = found @ atoms.cell.array
    return moved
