"""Which atoms the high level takes: by selection, by radius, by index."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from ase import Atoms
from ase.data import chemical_symbols
from ase.neighborlist import natural_cutoffs, neighbor_list

from scalespan.adapters.interface import EngineMissing, Indices, RegionError, Topology

from .options import RegionOptions

if TYPE_CHECKING:
    from MDAnalysis import Universe


def find_region(options: RegionOptions, atoms: Atoms, topology: Topology) -> Indices:
    """Return the region's atoms (k,), ascending.

    Raises:
        RegionError: an empty region, an index twice or out of range, a selection that cannot be read.
        EngineMissing: a selection without MDAnalysis.
    """
    if options.atoms is not None:
        return named_atoms(options.atoms, len(topology))
    if options.select is not None:
        return _selected(options.select, atoms, topology)
    # Whole residues: a radius that cuts through one would cut bonds at random.
    near = f"same residue as (({options.around}) or (around {options.radius!r} ({options.around})))"
    return _selected(near, atoms, topology)


def named_atoms(indices: list[int], n: int) -> Indices:
    """Return ``indices`` of ``n`` atoms, ascending.

    Raises:
        RegionError: none, one twice, one out of range.
    """
    if not indices:
        raise RegionError("the region is empty", where="region.atoms", todo="name at least one atom")
    if out := [i for i in indices if not 0 <= i < n]:
        raise RegionError(f"atom {out[0]} does not exist", where="region.atoms", todo=f"indices go from 0 to {n - 1}")
    unique, counts = np.unique(np.array(indices, dtype=np.int64), return_counts=True)
    if (counts > 1).any():
        raise RegionError(f"atom {unique[counts > 1][0]} is named twice", where="region.atoms", todo="name it once")
    return unique


def _selected(text: str, atoms: Atoms, topology: Topology) -> Indices:
    try:
        from MDAnalysis.exceptions import NoDataError, SelectionError
    except ModuleNotFoundError as error:
        raise EngineMissing.named("MDAnalysis", "pip install 'scalespan[select]'") from error
    try:
        found: Indices = _universe(atoms, topology).select_atoms(text).indices.astype(np.int64)
    except (SelectionError, NoDataError, AttributeError, ValueError) as error:
        raise RegionError(
            f"the selection '{text}' cannot be read: {error}", where="region", todo="see MDAnalysis' selection language"
        ) from error
    if len(found) == 0:
        names = sorted(set(topology.residue_names))
        raise RegionError(
            f"the selection '{text}' finds no atom", where="region", todo=f"residue names here: {', '.join(names[:12])}"
        )
    return found


def _universe(atoms: Atoms, topology: Topology) -> Universe:
    import MDAnalysis

    chains, chain_of = np.unique(np.array(topology.chains), return_inverse=True)
    universe = MDAnalysis.Universe.empty(
        len(topology),
        n_residues=len(topology.residue_names),
        n_segments=len(chains),
        atom_resindex=topology.residues,
        residue_segindex=chain_of,
        trajectory=True,
    )
    symbols = [chemical_symbols[z] for z in topology.numbers]
    per_atom = {"names": list(topology.names), "elements": symbols, "types": symbols, "charges": topology.charges}
    per_atom["chainIDs"] = np.array(topology.chains)[topology.residues]
    per_residue = {"resnames": list(topology.residue_names), "resids": list(topology.residue_numbers)}
    for name, values in (per_atom | per_residue | {"segids": chains}).items():
        universe.add_TopologyAttr(name, values)
    universe.add_TopologyAttr("bonds", [tuple(bond) for bond in topology.bonds.tolist()])
    universe.atoms.positions = atoms.positions
    if atoms.pbc.all():
        universe.dimensions = atoms.cell.cellpar()
    return universe


def guessed_topology(atoms: Atoms) -> Topology:
    """Return a topology with bonds guessed from distances, for a low level that knows none.

    Two atoms are bonded where they are nearer than 1.2 times the sum of their covalent radii
    (Cordero et al., doi:10.1039/b801115j). Each molecule is a residue; there are no charges.
    """
    i, j = neighbor_list("ij", atoms, natural_cutoffs(atoms, mult=1.2))
    bonds = np.unique(np.stack([i, j], axis=1)[i < j].astype(np.int64), axis=0)
    n = len(atoms)
    bare = Topology(
        numbers=atoms.numbers.astype(np.int64),
        names=tuple(atoms.get_chemical_symbols()),
        residues=np.zeros(n, dtype=np.int64),
        residue_names=("MOL",),
        residue_numbers=(1,),
        chains=("A",),
        bonds=bonds,
        charges=np.zeros(n),
    )
    molecules = bare.molecules()
    count = int(molecules.max()) + 1
    return Topology(
        numbers=bare.numbers,
        names=bare.names,
        residues=molecules,
        residue_names=("MOL",) * count,
        residue_numbers=tuple(range(1, count + 1)),
        chains=("A",) * count,
        bonds=bonds,
        charges=bare.charges,
    )
