"""What goes over the line between a remote engine and who asks it: fields on atoms and on charges.

preCICE has no data without a mesh, so what belongs to all atoms (the energy, what is wanted) is a
field with the same value at each of them. All values are doubles and pass unchanged.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from ase import Atoms
from pydantic import Field as Key

from scalespan.adapters.interface import Array, ExternalCharges, Options, Quantity, Results
from scalespan.bridges.interface import Field

# What is wanted and what else is said, as bits of one whole number; the rest of the number is the memory's.
_BITS = (
    *(quantity.value for quantity in Quantity),
    "periodic-1",
    "periodic-2",
    "periodic-3",
    "field",  # external charges are given
    "radii",
    "save",
    "restore",
)
_UNUSED = -1.0  # Å, the radius of a point of the mesh that carries no charge now


class Line(Options):
    """What both ends of the line must agree on."""

    atoms_mesh: str = "Atoms-Mesh"  # where the atoms are when they are first asked for
    charges_mesh: str = "Charges-Mesh"  # the external charges, the same; none without charge_forces
    offers: list[Quantity] = Key(  # what the engine can be asked for
        default=[Quantity.ENERGY, Quantity.FORCES, Quantity.CHARGE_FORCES, Quantity.CHARGE_POTENTIAL]
    )
    cell: bool = False  # the atoms may be periodic: their cell goes along

    @property
    def charged(self) -> bool:
        """Whether external charges are taken."""
        return Quantity.CHARGE_FORCES in self.offers


@dataclass(frozen=True)
class Request:
    """What is asked for, beside the atoms and the charges."""

    flags: frozenset[str]  # of `_BITS`
    memory: int = 0  # the number of a state of the engine

    def code(self) -> float:
        """Return the request as a whole number."""
        bits = sum(1 << place for place, name in enumerate(_BITS) if name in self.flags)
        return float(bits + (self.memory << len(_BITS)))

    @classmethod
    def of(cls, code: float) -> Request:
        """Return what `code` gave."""
        number = int(code)
        flags = frozenset(name for place, name in enumerate(_BITS) if number >> place & 1)
        return cls(flags, number >> len(_BITS))

    @property
    def wanted(self) -> frozenset[Quantity]:
        """The quantities."""
        return frozenset(quantity for quantity in Quantity if quantity.value in self.flags)


def questions(line: Line) -> dict[str, Field]:
    """Return the fields from who asks to the engine, by name."""
    found = _fields(line.atoms_mesh, {"Position": ("angstrom", 3), "Atomic-Number": ("", 1), "Request": ("", 1)})
    if line.cell:
        found |= _fields(line.atoms_mesh, {f"Cell-{axis}": ("angstrom", 3) for axis in (1, 2, 3)})
    if line.charged:
        known = {"Charge-Position": ("angstrom", 3), "Charge": ("e", 1), "Charge-Radius": ("angstrom", 1)}
        found |= _fields(line.charges_mesh, known)
    return found


# Quantity -> its fields on the atoms: name, unit, components.
_ON_ATOMS: Mapping[Quantity, Mapping[str, tuple[str, int]]] = {
    Quantity.ENERGY: {"Energy": ("eV", 1)},
    Quantity.FORCES: {"Force": ("eV/angstrom", 3)},
    Quantity.STRESS: {"Stress-Normal": ("eV/angstrom**3", 3), "Stress-Shear": ("eV/angstrom**3", 3)},
    Quantity.CHARGES: {"Atom-Charge": ("e", 1)},
    Quantity.DIPOLE: {"Dipole": ("e*angstrom", 3)},
}
_ON_CHARGES: Mapping[Quantity, Mapping[str, tuple[str, int]]] = {
    Quantity.CHARGE_FORCES: {"Charge-Force": ("eV/angstrom", 3)},
    Quantity.CHARGE_POTENTIAL: {"Charge-Potential": ("V", 1)},
}


def answers(line: Line) -> dict[str, Field]:
    """Return the fields from the engine to who asks, by name."""
    found: dict[str, Field] = {}
    for quantity in line.offers:
        found |= _fields(line.atoms_mesh, _ON_ATOMS.get(quantity, {}))
        found |= _fields(line.charges_mesh, _ON_CHARGES.get(quantity, {}))
    return found


def _fields(mesh: str, known: Mapping[str, tuple[str, int]]) -> dict[str, Field]:
    return {name: Field(name, mesh, unit, components) for name, (unit, components) in known.items()}


def pack_atoms(line: Line, atoms: Atoms, request: Request) -> dict[str, Array]:
    """Return the values of the fields on atoms."""
    n = len(atoms)
    values = {"Position": atoms.get_positions(), "Atomic-Number": atoms.numbers.astype(float)[:, None]}
    values["Request"] = np.full((n, 1), request.code())
    if line.cell:
        values |= {f"Cell-{axis + 1}": np.tile(atoms.cell.array[axis], (n, 1)) for axis in range(3)}
    return values


def unpack_atoms(line: Line, values: Mapping[str, Array], request: Request) -> Atoms:
    """Return the atoms that `pack_atoms` was given: numbers, positions and cell."""
    atoms = Atoms(numbers=values["Atomic-Number"][:, 0].round().astype(int), positions=values["Position"])
    if line.cell:
        atoms.set_cell(np.array([values[f"Cell-{axis}"][0] for axis in (1, 2, 3)]))
        atoms.set_pbc([f"periodic-{axis}" in request.flags for axis in (1, 2, 3)])
    return atoms


def pack_charges(charges: ExternalCharges | None, spare: Array) -> dict[str, Array]:
    """Return the values of the fields on charges, as many as ``spare`` (m, 3) has places; the first are used."""
    places, amounts, radii = spare.copy(), np.zeros((len(spare), 1)), np.full((len(spare), 1), _UNUSED)
    if charges is not None:
        used = slice(len(charges))
        places[used], amounts[used, 0] = charges.positions, charges.charges
        radii[used, 0] = 0.0 if charges.radii is None else charges.radii
    return {"Charge-Position": places, "Charge": amounts, "Charge-Radius": radii}


def unpack_charges(values: Mapping[str, Array], request: Request) -> ExternalCharges | None:
    """Return the charges that `pack_charges` was given."""
    if "field" not in request.flags:
        return None
    radii = values["Charge-Radius"][:, 0]
    used = radii != _UNUSED
    return ExternalCharges(
        values["Charge-Position"][used],
        values["Charge"][used, 0],
        radii[used] if "radii" in request.flags else None,
    )


def pack_results(results: Results, wanted: frozenset[Quantity], atoms: int, points: int) -> dict[str, Array]:
    """Return the values of the answer's fields that are wanted."""
    values: dict[str, Array] = {}
    for quantity in wanted:
        found = np.asarray(results.need(quantity), dtype=float)
        if quantity in _ON_CHARGES:
            ((name, (_, components)),) = _ON_CHARGES[quantity].items()
            values[name] = np.zeros((points, components))
            values[name][: len(found)] = found.reshape(-1, components)
        elif quantity in (Quantity.FORCES, Quantity.CHARGES):
            (name,) = _ON_ATOMS[quantity]
            values[name] = found.reshape(atoms, -1)
        else:  # one for all atoms
            parts = np.split(found.reshape(-1), len(_ON_ATOMS[quantity]))
            values |= {name: np.tile(part, (atoms, 1)) for name, part in zip(_ON_ATOMS[quantity], parts, strict=True)}
    return values


def unpack_results(values: Mapping[str, Array], wanted: frozenset[Quantity], charges: int) -> Results:
    """Return what `pack_results` was given."""
    found: dict[str, Array | float] = {}
    for quantity in wanted:
        names: Sequence[str] = [*_ON_ATOMS.get(quantity, {}), *_ON_CHARGES.get(quantity, {})]
        first = values[names[0]]
        if quantity is Quantity.ENERGY:
            found[quantity.value] = float(first[0, 0])
        elif quantity in (Quantity.STRESS, Quantity.DIPOLE):
            found[quantity.value] = np.concatenate([values[name][0] for name in names])
        elif quantity is Quantity.CHARGE_FORCES:
            found[quantity.value] = first[:charges].copy()
        elif quantity is Quantity.CHARGE_POTENTIAL:
            found[quantity.value] = first[:charges, 0].copy()
        else:
            found[quantity.value] = first[:, 0].copy() if quantity is Quantity.CHARGES else first.copy()
    return Results(**found)  # type: ignore[arg-type]  # each of the type of its field


def names_of(wanted: frozenset[Quantity]) -> set[str]:
    """Return the names of the answer's fields that hold ``wanted``."""
    return {name for quantity in wanted for name in (*_ON_ATOMS.get(quantity, {}), *_ON_CHARGES.get(quantity, {}))}
