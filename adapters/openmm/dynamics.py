"""Motion inside OpenMM: one context with an integrator, and a way back."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from math import ceil

import numpy as np
from ase import Atoms
from ase.constraints import FixAtoms

from ..interface import (
    Array,
    AtomsError,
    CaseError,
    EngineImport,
    Indices,
    Motion,
    NotOffered,
    Observation,
    Potential,
    State,
    under,
)
from ..interface.units import BOLTZMANN, KJ_PER_MOL, NANOMETRE, PICOSECOND
from .barostat import Barostat, attempt
from .cells import frame_of
from .contexts import EXTRA, FAR, Evaluator, asking, components_of, create
from .hosted import HostedPotential
from .model import Model, cutoff_of
from .options import OpenMMSettings

with EngineImport("openmm", install="pip install 'scalespan[openmm]'") as engine:
    import openmm

_TOLERANCE = 1e-6  # of constraints, relative


class Dynamics:
    """Moves a copy of ``atoms`` by OpenMM's integrators, with someone else's potential in the sum.

    * nve: velocity Verlet, positions and velocities at one time.
    * langevin: LangevinMiddleIntegrator; nose-hoover: NoseHooverIntegrator, a chain of three. Both are
      leapfrogs with the thermostat in the middle (Zhang et al. 2019, doi:10.1021/acs.jpca.9b02771): velocities,
      and the kinetic energy, are those of the half step before, whose distribution has the smaller error.
    * npt: langevin, with a Monte Carlo barostat.
    """

    def __init__(
        self, model: Model, settings: OpenMMSettings, atoms: Atoms, motion: Motion, extra: Potential | None
    ) -> None:
        periodic = model.cell is not None
        self._refuse(model, atoms, motion)
        self.motion, self._atoms = motion, atoms.copy()
        self._frame = frame_of(atoms, periodic, cutoff_of(model.system))
        self._hosted = None if extra is None else HostedPotential(extra, self._frame, periodic)
        system, names = _system(model, _fixed(atoms), self._hosted)
        self._masses = np.array([system.getParticleMass(i)._value for i in range(len(model))])
        moving = int((self._masses > 0.0).sum())
        self._freedom = 3 * moving - system.getNumConstraints()
        self._integrator = _integrator(motion)
        self._context = create(system, self._integrator, settings)
        self._evaluator = Evaluator(model, settings, self._context, names)
        self._dragged: tuple[Indices, Array] | None = None  # atoms, and where the next timestep takes them (nm)
        self._place(atoms)
        self._barostat = self._make_barostat() if motion.ensemble == "npt" else None

    def _refuse(self, model: Model, atoms: Atoms, motion: Motion) -> None:
        kinds = {type(force).__name__ for force in model.system.getForces()}
        if "DrudeForce" in kinds:
            raise NotOffered("Drude particles need integrators of their own", where="openmm")
        if strange := [each for each in atoms.constraints if not isinstance(each, FixAtoms)]:
            raise AtomsError(
                f"the constraint {type(strange[0]).__name__} of the atoms means nothing to OpenMM",
                where="openmm",
                todo="use the options constraints and restraints, or ASE's FixAtoms",
            )
        if motion.ensemble != "npt":
            return
        if model.cell is None:
            raise NotOffered("ensemble 'npt' needs a periodic force field", where="openmm", todo="give a box")
        massless = np.setdiff1d(np.flatnonzero(model.masses == 0.0), model.sites)
        if len(_fixed(atoms)) or len(massless):
            raise AtomsError(
                "a barostat moves all molecules, and some atoms here are fixed",
                where="openmm",
                todo="free them, or use position restraints",
            )

    def _place(self, atoms: Atoms) -> None:
        cell = np.array(atoms.cell.array) if self._evaluator.model.cell is not None else None
        self._evaluator.place(atoms.positions, cell, self._frame)
        momenta, masses = atoms.get_momenta(), atoms.get_masses()
        speeds = np.divide(momenta, masses[:, None], out=np.zeros_like(momenta), where=masses[:, None] > 0.0)
        speeds[self._masses == 0.0] = 0.0
        with asking("take the velocities"):
            self._context.setVelocities(self._frame.turned(speeds) * (PICOSECOND / NANOMETRE))
            if self._context.getSystem().getNumConstraints():
                self._context.applyConstraints(_TOLERANCE)
                self._context.computeVirtualSites()
                self._context.applyVelocityConstraints(_TOLERANCE)

    def _make_barostat(self) -> Barostat:
        motion = self.motion
        assert motion.temperature is not None and motion.pressure is not None, "Motion checks this"
        molecules = [list(each) for each in self._context.getMolecules()]
        # In nm: a refused trial puts back the very bits, at which the extra potential has answered already.
        return Barostat(molecules, BOLTZMANN * motion.temperature, motion.pressure * NANOMETRE**3, motion.seed)

    @property
    def atoms(self) -> Atoms:
        """A copy of the atoms as they stand, momenta included."""
        state = self._context.getState(positions=True, velocities=True)
        atoms: Atoms = self._atoms.copy()
        atoms.set_positions(self._frame.back(state.getPositions(asNumpy=True)._value * NANOMETRE), False)
        atoms.set_masses(self._evaluator.model.masses)
        speeds = self._frame.back(state.getVelocities(asNumpy=True)._value * (NANOMETRE / PICOSECOND))
        atoms.set_momenta(speeds * self._masses[:, None], False)
        if self._evaluator.model.cell is not None:
            atoms.set_cell(self._frame.cell(state.getPeriodicBoxVectors(asNumpy=True)._value * NANOMETRE))
        return atoms

    def observe(self) -> Observation:
        """Return the energies as they stand; OpenMM sums its own terms once more, nobody else is asked."""
        with self._asking("compute the energy"):
            found = self._evaluator.evaluate(forces=False)
            state = self._context.getState(velocities=True)
        speeds = state.getVelocities(asNumpy=True)._value
        kinetic = 0.5 * float(self._masses @ np.einsum("ix,ix->i", speeds, speeds)) * KJ_PER_MOL
        volume = state.getPeriodicBoxVolume()._value * NANOMETRE**3
        return Observation(
            potential=found.energy,
            kinetic=kinetic,
            temperature=2.0 * kinetic / (self._freedom * BOLTZMANN) if self._freedom > 0 else 0.0,
            volume=volume if self._evaluator.model.cell is not None else None,
            components=found.components,
        )

    def advance(self, dt: float) -> None:
        """Move by ``dt`` (ASE's time) in steps of at most the timestep, all of one length."""
        timestep = self.motion.timestep
        steps = ceil(dt / timestep - 1e-9)
        size = dt / steps
        if abs(size / timestep - 1.0) <= 1e-9:
            size = timestep
        elif self.motion.ensemble != "nve":
            raise CaseError(
                f"a thermostat cannot take {dt / timestep:g} timesteps",
                todo="make the coupling window a whole multiple of timestep",
            )
        if abs(self._integrator.getStepSize()._value * PICOSECOND - size) > 1e-12 * size:
            self._integrator.setStepSize(size / PICOSECOND)
        with self._asking("move the atoms"):
            self._step(steps)

    def ask_again(self) -> None:
        """Forget what the extra potential has answered, and OpenMM's forces with it."""
        assert self._hosted is not None, "nobody else has a potential that could change"
        self._hosted.forget()
        with self._asking("forget the forces"):
            self._context.setPositions(self._context.getState(positions=True).getPositions(asNumpy=True))

    def drag(self, held: Indices, places: Array) -> None:
        """Let the next timestep take the fixed atoms ``held`` (k,) to ``places`` (k, 3) Å."""
        self._dragged = (held, self._frame.turned(places) / NANOMETRE)

    def moving_forces(self) -> Array:
        """Return the forces (n, 3) eV/Å on all atoms as they stand; OpenMM computes them once more."""
        with self._asking("compute the forces"):
            found = self._evaluator.evaluate(forces=True).forces
        assert found is not None, "they were asked for"
        return found

    def _drag(self) -> None:
        """Put what is dragged into its place, as late in the timestep as positions change."""
        if self._dragged is None:
            return
        (held, places), self._dragged = self._dragged, None
        positions = self._context.getState(positions=True).getPositions(asNumpy=True)._value
        positions[held] = places
        self._context.setPositions(positions)
        if len(self._evaluator.model.sites):
            self._context.computeVirtualSites()

    def _step(self, steps: int) -> None:
        if self._dragged is not None:
            self._integrate(1)  # of velocity Verlet up to where the new forces are needed; of the others all
            self._drag()
            if self.motion.ensemble == "nve":
                self._integrate(1)
            steps -= 1
        if self._barostat is None:
            self._integrate(steps * (2 if self.motion.ensemble == "nve" else 1))  # see _velocity_verlet
            return
        while steps:
            count = min(steps, self.motion.barostat_interval - self._barostat.steps)
            self._integrate(count)
            self._barostat.steps += count
            steps -= count
            if self._barostat.steps == self.motion.barostat_interval:
                self._barostat.steps = 0
                self._try_box(self._barostat)

    def _integrate(self, steps: int) -> None:
        if self._context.getPlatform().getName() != "Reference":
            self._integrator.step(steps)
            return
        for _ in range(steps):
            self._integrator.step(1)
            places = self._context.getState(positions=True).getPositions(asNumpy=True)._value
            if not np.abs(places).max() < FAR:
                raise openmm.OpenMMException("Particle coordinate is NaN or far away")

    def _try_box(self, barostat: Barostat) -> None:
        context = self._context
        state = context.getState(positions=True)
        positions = state.getPositions(asNumpy=True)._value
        box = state.getPeriodicBoxVectors(asNumpy=True)._value

        def energy() -> float:
            return float(context.getState(energy=True).getPotentialEnergy()._value) * KJ_PER_MOL

        def put(at: Array, inside: Array) -> None:
            context.setPeriodicBoxVectors(*inside)
            context.setPositions(at)

        attempt(barostat, (positions, box), energy, put)

    def save(self) -> State:
        """Return OpenMM's checkpoint, the barostat, and what the extra potential last answered."""
        # What a context remembers beside its checkpoint (neighbour lists, for one) changes the last bits
        # of forces. Both the run that goes on and the one restored begin here without it.
        with self._asking("save"):
            self._context.reinitialize(True)
            state: State = {"checkpoint": np.frombuffer(self._context.createCheckpoint(), dtype=np.uint8).copy()}
        if self._barostat is not None:
            state |= {f"barostat/{key}": value for key, value in self._barostat.save().items()}
        if self._hosted is not None:
            state |= {f"extra/{key}": value for key, value in self._hosted.save().items()}
        return state

    def restore(self, state: State) -> None:
        """Return to a saved state, of this run or of one that was made alike.

        Raises:
            CaseError: a checkpoint of other atoms, another integrator or another platform.
        """
        if self._hosted is not None:
            self._hosted.restore(under("extra", state))
        if self._barostat is not None:
            self._barostat.restore(under("barostat", state))
        try:
            self._context.reinitialize(False)
            self._context.loadCheckpoint(state["checkpoint"].tobytes())
        except openmm.OpenMMException as error:
            raise CaseError(
                f"OpenMM cannot go back to this state: {error}",
                where="openmm",
                todo="restart with the same input, platform and version of OpenMM",
            ) from error

    @contextmanager
    def _asking(self, what: str) -> Iterator[None]:
        """Translate OpenMM's errors, but let the extra potential's own come out as they were raised."""
        try:
            with asking(what):
                yield
        except Exception as error:
            if self._hosted is None or self._hosted.error is None:
                raise
            original, self._hosted.error = self._hosted.error, None
            raise original from error


def _fixed(atoms: Atoms) -> set[int]:
    return {int(i) for each in atoms.constraints if isinstance(each, FixAtoms) for i in each.get_indices()}


def _system(model: Model, fixed: set[int], hosted: HostedPotential | None) -> tuple[openmm.System, list[str]]:
    """Return the system that moves, and its components."""
    system = model.system
    if fixed or hosted is not None:
        system = openmm.XmlSerializer.clone(system)
    for index in reversed(range(system.getNumConstraints())) if fixed else ():
        i, j, _ = system.getConstraintParameters(index)
        if {i, j} <= fixed:
            system.removeConstraint(index)
        elif {i, j} & fixed:
            raise AtomsError(
                f"atoms {i} and {j} are constrained, and only one of them is fixed",
                where="openmm",
                todo="fix whole molecules, or none of their constrained atoms",
            )
    for i in fixed:
        system.setParticleMass(i, 0.0)
    names = components_of(system)
    if hosted is not None:
        force = hosted.force()
        force.setForceGroup(len(names))
        system.addForce(force)
        names.append(EXTRA)
    return system, names


def _integrator(motion: Motion) -> openmm.Integrator:
    step, temperature = motion.timestep / PICOSECOND, motion.temperature
    if motion.ensemble == "nve":
        return _velocity_verlet(step)
    if motion.ensemble == "nose-hoover":
        assert motion.damping_time is not None, "Motion checks this"
        integrator = openmm.NoseHooverIntegrator(temperature, PICOSECOND / motion.damping_time, step)
    else:
        assert motion.friction is not None, "Motion checks this"
        integrator = openmm.LangevinMiddleIntegrator(temperature, motion.friction * PICOSECOND, step)
        integrator.setRandomNumberSeed(1 + motion.seed % (2**31 - 2))  # zero would be a new seed each time
    integrator.setConstraintTolerance(_TOLERANCE)
    return integrator


def _velocity_verlet(step: float) -> openmm.CustomIntegrator:
    """Swope et al. 1982, doi:10.1063/1.442716, with RATTLE (Andersen 1983, doi:10.1016/0021-9991(83)90014-1).

    A timestep is two steps of the integrator, the first ends where forces are needed: OpenMM puts virtual
    sites in their new places at the end of a step only, and within one it would take forces at the old.
    """
    integrator = openmm.CustomIntegrator(step)
    integrator.addGlobalVariable("half", 0.0)
    integrator.addPerDofVariable("x1", 0.0)
    integrator.beginIfBlock("half = 0")
    integrator.addComputePerDof("v", "v+0.5*dt*f/m")
    integrator.addComputePerDof("x", "x+dt*v")
    integrator.addComputePerDof("x1", "x")
    integrator.addConstrainPositions()
    integrator.addComputePerDof("v", "v+(x-x1)/dt")
    integrator.endBlock()
    integrator.beginIfBlock("half = 1")
    integrator.addComputePerDof("v", "v+0.5*dt*f/m")
    integrator.addConstrainVelocities()
    integrator.endBlock()
    integrator.addComputeGlobal("half", "1-half")
    integrator.setConstraintTolerance(_TOLERANCE)
    return integrator
