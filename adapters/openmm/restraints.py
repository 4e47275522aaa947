"""Restraints and umbrella biases: harmonic forces, each a component of the energy by its own name."""

from __future__ import annotations

from math import pi

import numpy as np

from ..interface import EngineImport, OptionError
from ..interface.units import KJ_PER_MOL, NANOMETRE
from .model import RESTRAINT, Model
from .options import AngleRestraint, DihedralRestraint, DistanceRestraint, PositionRestraint, Restraint

with EngineImport("openmm", install="pip install 'scalespan[openmm]'") as engine:
    import openmm


def add_restraints(model: Model, restraints: list[Restraint]) -> None:
    """Add the forces to the model's system, in place.

    Raises:
        OptionError: an atom that is not there or is named twice, or a name used twice.
    """
    names: set[str] = set()
    for number, restraint in enumerate(restraints, start=1):
        name = restraint.name or f"{restraint.kind} restraint {number}"
        where = f"restraints {number}"
        if name in names:
            raise OptionError(f"two restraints are called '{name}'", where=where, todo="give each its own name")
        if strange := [i for i in restraint.atoms if not 0 <= i < len(model)]:
            raise OptionError(f"there is no atom {strange[0]}; they go from 0 to {len(model) - 1}", where=where)
        if len(set(restraint.atoms)) < len(restraint.atoms):
            raise OptionError("an atom is named twice", where=where)
        names.add(name)
        force = _force(model, restraint, where)
        force.setName(RESTRAINT + name)
        model.system.addForce(force)


def _force(model: Model, restraint: Restraint, where: str) -> openmm.Force:
    periodic = model.cell is not None
    if isinstance(restraint, PositionRestraint):
        return _position(model, restraint, where)
    force: openmm.CustomBondForce | openmm.CustomAngleForce | openmm.CustomTorsionForce
    if isinstance(restraint, DistanceRestraint):
        force = openmm.CustomBondForce("0.5*k*(r-r0)^2")
        force.addPerBondParameter("k")
        force.addPerBondParameter("r0")
        force.addBond(*restraint.atoms, [restraint.force_constant * _SPRING, restraint.centre / NANOMETRE])
    elif isinstance(restraint, AngleRestraint):
        force = openmm.CustomAngleForce("0.5*k*(theta-theta0)^2")
        force.addPerAngleParameter("k")
        force.addPerAngleParameter("theta0")
        force.addAngle(*restraint.atoms, [restraint.force_constant / KJ_PER_MOL, restraint.centre])
    else:
        force = _dihedral(restraint)
    force.setUsesPeriodicBoundaryConditions(periodic)
    return force


_SPRING = NANOMETRE**2 / KJ_PER_MOL  # kJ/mol/nm² in an eV/Å²


def _dihedral(restraint: DihedralRestraint) -> openmm.CustomTorsionForce:
    force = openmm.CustomTorsionForce(f"0.5*k*d^2; d=x-{2 * pi!r}*floor(x/{2 * pi!r}+0.5); x=theta-theta0")
    force.addPerTorsionParameter("k")
    force.addPerTorsionParameter("theta0")
    force.addTorsion(*restraint.atoms, [restraint.force_constant / KJ_PER_MOL, restraint.centre])
    return force


def _position(model: Model, restraint: PositionRestraint, where: str) -> openmm.CustomExternalForce:
    centres = model.positions[restraint.atoms] if restraint.centres is None else np.array(restraint.centres)
    if len(centres) != len(restraint.atoms):
        raise OptionError(f"there are {len(restraint.atoms)} atoms and {len(centres)} centres", where=where)
    square = "periodicdistance(x,y,z,x0,y0,z0)^2" if model.cell is not None else "(x-x0)^2+(y-y0)^2+(z-z0)^2"
    force = openmm.CustomExternalForce(f"0.5*k*({square})")
    for name in ("k", "x0", "y0", "z0"):
        force.addPerParticleParameter(name)
    for atom, centre in zip(restraint.atoms, centres / NANOMETRE, strict=True):
        force.addParticle(atom, [restraint.force_constant * _SPRING, *centre])
    return force
