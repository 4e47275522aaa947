"""The five kinds of input, each to a `Model`."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from ase.cell import Cell

from ..interface import Array, AtomsError, CaseError, EngineImport, OptionError, nearest
from ..interface.units import NANOMETRE, PICOSECOND
from .cells import Frame
from .model import Model, default_cell, nanometres, nonbonded_of, prepare, read_topology
from .options import OpenMMOptions

with EngineImport("openmm", install="pip install 'scalespan[openmm]'") as engine:
    import openmm
    from openmm import app, unit


class _Input(NamedTuple):
    system: openmm.System
    topology: app.Topology
    positions: Any  # Quantity (n, 3)
    velocities: Any = None  # Quantity (n, 3)


def load(options: OpenMMOptions) -> Model:
    """Return the model that the options describe.

    Raises:
        OptionError: a force field or a combination of options that OpenMM does not know.
        CaseError: a file that cannot be read, or a residue without a template.
        AtomsError: files that do not fit each other.
    """
    readers: dict[str, Callable[[OpenMMOptions], _Input]] = {
        "force_field": _pdb,
        "prmtop": _amber,
        "psf": _charmm,
        "top": _gromacs,
        "system": _serialised,
    }
    found = readers[options.route](options)
    if options.route != "system":
        _finish(found.system, options)
    return of_openmm(*found)


def of_openmm(system: openmm.System, topology: app.Topology, positions: Any, velocities: Any = None) -> Model:
    """Return the model of OpenMM's own objects; the system is prepared in place.

    Args:
        system: any system.
        topology: of its particles, virtual sites included.
        positions: (n, 3), a Quantity, or numbers in Å.
        velocities: (n, 3), a Quantity, or None.
    """
    n = system.getNumParticles()
    places = _in_units(positions, unit.angstrom)
    if not n == topology.getNumAtoms() == len(places):
        raise AtomsError(
            f"the system has {n} particles, the topology {topology.getNumAtoms()} atoms, and there are "
            f"{len(places)} positions",
            where="openmm",
            todo="take all files from one preparation, virtual sites included",
        )
    prepare(system)
    speeds = None
    if velocities is not None:
        speeds = _in_units(velocities, unit.nanometer / unit.picosecond) * (NANOMETRE / PICOSECOND)
    return Model(system, read_topology(topology, system), places, default_cell(system), speeds)


def _in_units(values: Any, of: unit.Unit) -> Array:
    if unit.is_quantity(values):
        values = values.value_in_unit(of)
    return np.array(values, dtype=float).reshape(-1, 3)


@contextmanager
def _reading(what: str, *paths: Path) -> Iterator[None]:
    """Turn whatever a reader of OpenMM raises into one sentence that names the files."""
    try:
        yield
    except CaseError:
        raise
    except Exception as error:  # the readers raise errors of every class, KeyError and IndexError too
        names = ", ".join(path.name for path in paths)
        raise CaseError(f"OpenMM cannot {what}: {_said(error)}", where=names) from error


def _said(error: Exception) -> str:
    text = " ".join(str(error).split()) or "no reason was given"
    return f"{type(error).__name__} {text}" if isinstance(error, (KeyError, IndexError)) else text.rstrip(".")


def _pdb(options: OpenMMOptions) -> _Input:
    topology, positions = _structure(options)
    field = _force_field(options.force_field or [])
    assert options.pdb is not None, "OpenMMOptions checks this"
    if options.extra_particles:
        with _reading("add the extra particles", options.pdb):
            modeller = app.Modeller(topology, positions)
            modeller.addExtraParticles(field)
            topology, positions = modeller.topology, modeller.positions
    with _templates(options.pdb):
        return _Input(_create(field, topology, _recipe(options, _box_of(topology))), topology, positions)


def _create(field: app.ForceField, topology: app.Topology, recipe: dict[str, Any]) -> openmm.System:
    """Keep the terms that constraints hold still, where there are any."""
    try:
        return field.createSystem(topology, flexibleConstraints=True, **recipe)
    except ValueError as error:
        if "'flexibleConstraints'" not in str(error):  # it complains where nothing is constrained
            raise
        return field.createSystem(topology, **recipe)


def _force_field(names: list[str]) -> app.ForceField:
    folders = [Path(folder) for folder in app.forcefield._getDataDirectories()]
    for name in names:
        if not Path(name).is_file() and not any((folder / name).is_file() for folder in folders):
            known = {str(file.relative_to(folder)) for folder in folders for file in folder.glob("**/*.xml")}
            raise OptionError(
                f"no force field '{name}', neither beside the case nor in OpenMM",
                where="force_field",
                todo=nearest(name, known),
            )
    with _reading("read the force field", *map(Path, names)):
        return app.ForceField(*names)


@contextmanager
def _templates(pdb: Path) -> Iterator[None]:
    try:
        with _reading("build the system", pdb):
            yield
    except CaseError as error:
        found = re.search(r"No template found for residue (\d+) \((\w+)\)\.\s*(.*)", str(error.what))
        if found is None:
            raise
        index, residue, reason = found.groups()
        raise CaseError(
            f"the force field has no template for residue {residue} (number {int(index) + 1} in the file): "
            f"{reason.split(' For more information')[0].rstrip('.')}",
            where=pdb.name,
            todo=f"add a force-field file with a template for {residue}, or correct its atoms and bonds",
        ) from error


def _structure(options: OpenMMOptions) -> tuple[app.Topology, Any]:
    path = options.pdb
    assert path is not None, "OpenMMOptions checks this"
    with _reading("read the structure", path):
        read = app.PDBxFile if path.suffix.lower() in {".cif", ".mmcif", ".pdbx"} else app.PDBFile
        file = read(str(path))
    topology = file.topology
    if (box := _box(options)) is not None:
        topology.setPeriodicBoxVectors(box)
    atoms = list(topology.atoms())
    there = {frozenset((bond.atom1.index, bond.atom2.index)) for bond in topology.bonds()}
    for i, j in options.bonds:
        if not 0 <= min(i, j) < max(i, j) < len(atoms):
            raise OptionError(f"no bond joins atoms {i} and {j} of {len(atoms)}", where="bonds")
        if frozenset((i, j)) not in there:
            topology.addBond(atoms[i], atoms[j])
    return topology, file.getPositions(asNumpy=True)


def _amber(options: OpenMMOptions) -> _Input:
    assert options.prmtop is not None and options.inpcrd is not None, "OpenMMOptions checks this"
    with _reading("read the coordinates", options.inpcrd):
        places = app.AmberInpcrdFile(str(options.inpcrd))
    box = _box(options) if options.cell else places.boxVectors
    with _reading("read the topology", options.prmtop):
        file = app.AmberPrmtopFile(str(options.prmtop), periodicBoxVectors=box)
    with _reading("build the system", options.prmtop):
        recipe = _recipe(options, box)
        system = file.createSystem(flexibleConstraints=True, **recipe)
    return _Input(system, file.topology, places.getPositions(asNumpy=True), places.velocities)


def _charmm(options: OpenMMOptions) -> _Input:
    assert options.psf is not None and options.parameters, "OpenMMOptions checks this"
    with _reading("read the topology", options.psf):
        file = app.CharmmPsfFile(str(options.psf), periodicBoxVectors=_box(options))
    with _reading("read the parameters", *options.parameters):
        parameters = app.CharmmParameterSet(*map(str, options.parameters))
    if options.crd is not None:
        with _reading("read the coordinates", options.crd):
            positions, box = app.CharmmCrdFile(str(options.crd)).positions, _box(options)
    else:
        topology, positions = _structure(options)
        if (box := _box_of(topology)) is not None:
            file = app.CharmmPsfFile(str(options.psf), periodicBoxVectors=box)
    with _reading("build the system", options.psf, *options.parameters):
        system = file.createSystem(parameters, flexibleConstraints=True, **_recipe(options, box))
    for force in system.getForces():
        if force.getForceGroup() == file.UREY_BRADLEY_FORCE_GROUP and isinstance(force, openmm.HarmonicBondForce):
            force.setName("UreyBradleyForce")
    return _Input(system, file.topology, positions)


def _gromacs(options: OpenMMOptions) -> _Input:
    assert options.top is not None and options.gro is not None, "OpenMMOptions checks this"
    with _reading("read the coordinates", options.gro):
        places = app.GromacsGroFile(str(options.gro))
    box = _box(options) if options.cell else places.getPeriodicBoxVectors()
    if box is not None and not any(vector[i]._value for i, vector in enumerate(box)):
        box = None  # a .gro file of a molecule in vacuum ends in three zeros
    with _reading("read the topology", options.top):
        include = {"includeDir": str(options.include)} if options.include else {}
        file = app.GromacsTopFile(str(options.top), periodicBoxVectors=box, defines=options.define, **include)
    with _reading("build the system", options.top):
        recipe = _recipe(options, box)
        system = file.createSystem(**recipe | {"constraints": None, "rigidWater": False})
        held = file.createSystem(**recipe)
    # This reader drops the terms of what it constrains; take its constraints, and keep all terms.
    pairs = {frozenset(system.getConstraintParameters(i)[:2]) for i in range(system.getNumConstraints())}
    for i, j, length in map(held.getConstraintParameters, range(held.getNumConstraints())):
        if frozenset((i, j)) not in pairs:
            system.addConstraint(i, j, length)
    return _Input(system, file.topology, places.getPositions(asNumpy=True))


def _serialised(options: OpenMMOptions) -> _Input:
    assert options.system is not None, "OpenMMOptions checks this"
    topology, positions = _structure(options)
    with _reading("read the system", options.system):
        system = openmm.XmlSerializer.deserialize(options.system.read_text())
        if not isinstance(system, openmm.System):
            raise CaseError(f"it holds a {type(system).__name__}, not a System", where=options.system.name)
    if (box := _box_of(topology)) is not None:
        system.setDefaultPeriodicBoxVectors(*box)
    return _Input(system, topology, positions)


def _box(options: OpenMMOptions) -> tuple[unit.Quantity, ...] | None:
    if options.cell is None:
        return None
    angles = options.cell_angles or (np.pi / 2,) * 3
    cell = np.array(Cell.fromcellpar([*options.cell, *np.degrees(angles)]).array)
    return tuple(openmm.Vec3(*row) * unit.nanometer for row in Frame.of(cell).box(cell) / NANOMETRE)


def _box_of(topology: app.Topology) -> Any:
    return topology.getPeriodicBoxVectors()


def _recipe(options: OpenMMOptions, box: Any) -> dict[str, Any]:
    """Return the arguments that all of OpenMM's createSystem share."""
    method = options.nonbonded or ("no-cutoff" if box is None else "pme")
    if box is None and method not in {"no-cutoff", "cutoff-nonperiodic"}:
        raise OptionError(f"nonbonded '{method}' needs a box, and the input has none", todo="add the key cell")
    methods = {
        "no-cutoff": app.NoCutoff,
        "cutoff-nonperiodic": app.CutoffNonPeriodic,
        "cutoff-periodic": app.CutoffPeriodic,
        "ewald": app.Ewald,
        "pme": app.PME,
        "lj-pme": app.LJPME,
    }
    held = {"none": None, "h-bonds": app.HBonds, "all-bonds": app.AllBonds, "h-angles": app.HAngles}
    recipe: dict[str, Any] = {
        "nonbondedMethod": methods[method],
        "nonbondedCutoff": nanometres(options.cutoff),
        "constraints": held[options.constraints],
        "rigidWater": options.rigid_water,
        "removeCMMotion": False,
        "hydrogenMass": None if options.hydrogen_mass is None else options.hydrogen_mass * unit.dalton,
    }
    if options.switch_distance is not None:
        recipe["switchDistance"] = nanometres(options.switch_distance)
    return recipe


def _finish(system: openmm.System, options: OpenMMOptions) -> None:
    force = nonbonded_of(system)
    if force is not None:
        force.setEwaldErrorTolerance(options.ewald_tolerance)
        if options.dispersion_correction is not None:
            force.setUseDispersionCorrection(options.dispersion_correction)
    if options.dispersion_correction is not None:
        for custom in system.getForces():
            if isinstance(custom, openmm.CustomNonbondedForce) and custom.getUseLongRangeCorrection():
                custom.setUseLongRangeCorrection(options.dispersion_correction)
