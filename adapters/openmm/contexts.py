"""OpenMM's contexts: on which platform, and how numbers go in and come out."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np

from ..interface import Array, AtomsError, CaseError, EngineFailed, EngineImport, OptionError, nearest
from ..interface.units import KJ_PER_MOL, NANOMETRE
from .cells import STILL, Frame
from .counting import class_of
from .model import RESTRAINT, Model
from .options import OpenMMSettings

with EngineImport("openmm", install="pip install 'scalespan[openmm]'") as engine:
    import openmm

log = logging.getLogger(__name__)

FORCE_UNIT = KJ_PER_MOL / NANOMETRE  # eV/Å in a kJ/mol/nm
FAR = 1e6  # nm; the mesh of the Reference platform would be left, and the process with it
EXTRA = "extra"  # the component of someone else's potential
_GPU = {"CUDA", "OpenCL", "HIP"}
_ABLE = {"single": {"CPU", *_GPU}, "mixed": _GPU, "double": {"Reference", *_GPU}}


@contextmanager
def asking(what: str) -> Iterator[None]:
    """Turn OpenMM's errors into ours, in a sentence that says what it was asked for."""
    try:
        yield
    except openmm.OpenMMException as error:
        text = str(error).split("See https")[0].strip().rstrip(".")
        if "half the periodic box" in text or "less than twice the nonbonded cutoff" in text:
            raise AtomsError(f"the cell became too small: {text}", where="openmm", todo="use a larger cell") from error
        todo = "minimise first, or shorten the timestep" if "NaN" in text else ""
        raise EngineFailed(f"OpenMM failed to {what}: {text}", todo=todo) from error


def components_of(system: openmm.System) -> list[str]:
    """Give each force the group of its component, and return the names in the groups' order.

    Raises:
        CaseError: more components than OpenMM has groups.
    """
    names: list[str] = []
    for force in system.getForces():
        own = force.getName()
        name = own.removeprefix(RESTRAINT) if own.startswith(RESTRAINT) else class_of(type(force).__name__, own)
        if name not in names:
            names.append(name)
        if names.index(name) > 31:
            raise CaseError("the system has more than 32 kinds of force", where="openmm", todo="use fewer restraints")
        force.setForceGroup(names.index(name))
        if isinstance(force, openmm.NonbondedForce):
            force.setReciprocalSpaceForceGroup(-1)
    return names


def create(system: openmm.System, integrator: openmm.Integrator, settings: OpenMMSettings) -> openmm.Context:
    """Return a context on the platform of the settings, or on the fastest that works.

    Raises:
        OptionError: no such platform here, or none of the wanted precision.
        EngineFailed: the platform cannot take the system.
    """
    failed: list[str] = []
    for platform in _candidates(settings):
        name = platform.getName()
        try:
            context = openmm.Context(system, integrator, platform, _properties(platform, settings))
        except openmm.OpenMMException as error:
            failed.append(f"{name}: {str(error).strip()}")
            continue
        values = {key: platform.getPropertyValue(context, key) for key in platform.getPropertyNames()}
        shown = ", ".join(f"{key} {values[key]}" for key in ("Threads", "Precision", "DeviceName") if key in values)
        log.info("OpenMM %s on platform %s%s", openmm.__version__, name, f" ({shown})" if shown else "")
        return context
    raise EngineFailed(f"OpenMM cannot make a context of this system: {'; '.join(failed)}")


def _candidates(settings: OpenMMSettings) -> list[openmm.Platform]:
    there = [openmm.Platform.getPlatform(i) for i in range(openmm.Platform.getNumPlatforms())]
    if settings.platform is not None:
        named = [each for each in there if each.getName() == settings.platform]
        if not named:
            known = nearest(settings.platform, [each.getName() for each in there])
            raise OptionError(f"OpenMM has no platform '{settings.platform}' here", where="platform", todo=known)
        there = named
    if settings.precision is not None:
        names = ", ".join(each.getName() for each in there)
        there = [each for each in there if each.getName() in _ABLE[settings.precision]]
        if not there:
            raise OptionError(
                f"there is no {settings.precision} precision on {names}",
                where="precision",
                todo="Reference is double, CPU single, and CUDA, HIP and OpenCL have all",
            )
    return sorted(there, key=lambda each: -float(each.getSpeed()))


def _properties(platform: openmm.Platform, settings: OpenMMSettings) -> dict[str, str]:
    wanted = {"DeterministicForces": "true"}
    if settings.threads is not None:
        wanted["Threads"] = str(settings.threads)
    if settings.precision is not None:
        wanted["Precision"] = settings.precision
    return {key: value for key, value in wanted.items() if key in platform.getPropertyNames()}


@dataclass(frozen=True)
class Energies:
    """The energy of one configuration."""

    energy: float  # eV
    forces: Array | None  # (n, 3) eV/Å, in the atoms' frame; zero on virtual sites
    components: Mapping[str, float]  # eV


class Evaluator:
    """Energies and forces of a model in one context, kept and used again."""

    def __init__(self, model: Model, settings: OpenMMSettings, context: openmm.Context, names: list[str]) -> None:
        self.model, self.context, self.names = model, context, names
        self.frame: Frame = STILL
        self._sites = model.sites
        self._split = _without_charges(model, settings) if settings.split_nonbonded else None

    def place(self, positions: Array, cell: Array | None, frame: Frame) -> None:
        """Set positions (n, 3) Å and cell (3, 3) Å; virtual sites go where their atoms put them.

        Raises:
            AtomsError: a cell that OpenMM refuses, or one turned against position restraints; an atom too far away.
        """
        if frame.rotation is not None and any(
            isinstance(force, openmm.CustomExternalForce) for force in self.model.system.getForces()
        ):
            raise AtomsError(
                "the cell is turned and the force field has places fixed in space",
                where="openmm",
                todo="turn the atoms so that a is along x and b in the x-y plane",
            )
        if len(positions) and np.abs(positions).max() > FAR * NANOMETRE:
            raise AtomsError("an atom is too far away for OpenMM", where="openmm", todo="look at the positions")
        self.frame = frame
        with asking("take the atoms"):
            if cell is not None:
                self.context.setPeriodicBoxVectors(*(frame.box(cell) / NANOMETRE))
            self.context.setPositions(frame.turned(positions) / NANOMETRE)
            if len(self._sites):
                self.context.computeVirtualSites()

    def evaluate(self, forces: bool) -> Energies:
        """Return energies where the atoms are; the components add up to the energy."""
        with asking("compute the energy"):
            state = self.context.getState(energy=True, forces=forces)
            total = state.getPotentialEnergy()._value * KJ_PER_MOL
            components = self._components(total)
        if not forces:
            return Energies(total, None, components)
        found = self.frame.back(state.getForces(asNumpy=True)._value * FORCE_UNIT)
        found[self._sites] = 0.0  # OpenMM has handed them on and leaves them there
        return Energies(total, found, components)

    def _components(self, total: float) -> dict[str, float]:
        found = {
            name: self.context.getState(energy=True, groups=1 << group).getPotentialEnergy()._value * KJ_PER_MOL
            for group, name in enumerate(self.names)
            if name != "nonbonded"
        }
        if "nonbonded" not in self.names:
            return found
        nonbonded = total - sum(found.values())
        if self._split is None:
            return found | {"nonbonded": nonbonded}
        here = self.context.getState(positions=True)
        self._split.setPeriodicBoxVectors(*here.getPeriodicBoxVectors())
        self._split.setPositions(here.getPositions(asNumpy=True)._value)
        dispersion = self._split.getState(energy=True).getPotentialEnergy()._value * KJ_PER_MOL
        return found | {"Coulomb": nonbonded - dispersion, "dispersion": dispersion}


def _without_charges(model: Model, settings: OpenMMSettings) -> openmm.Context:
    """Return a context of the nonbonded forces with all charges zero: what is left is dispersion."""
    from .exceptions import recharge
    from .selection import forces_in, put_together, section, take_apart

    root = take_apart(model.system)
    for force in forces_in(root):
        kind = force.attrib["type"]
        if kind == "NonbondedForce":
            recharge(force, np.zeros(len(model)))
        elif class_of(kind, force.attrib["name"]) != "nonbonded":
            section(root, "Forces").remove(force)
    return create(put_together(root), openmm.VerletIntegrator(0.001), settings)
