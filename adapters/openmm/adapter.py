"""OpenMM as an adapter. https://openmm.org, tested with 8.6."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
from ase import Atoms

from ..interface import (
    Array,
    AtomsError,
    CaseError,
    ChargeError,
    EngineImport,
    ExternalCharges,
    ForceField,
    Indices,
    Motion,
    Observation,
    Part,
    Potential,
    Quantity,
    RegionError,
    Results,
    State,
    Table,
    TermCount,
    Topology,
)
from .cells import frame_of
from .contexts import Evaluator, components_of, create
from .counting import Census
from .dynamics import Dynamics
from .inputs import load, of_openmm
from .model import Model, cutoff_of, nonbonded_of
from .options import OpenMMOptions, OpenMMSettings
from .restraints import add_restraints
from .selection import select, take_apart
from .stress import StressMeter, refusal
from .weights import weigh

with EngineImport("openmm", install="pip install 'scalespan[openmm]'") as engine:
    import openmm

if TYPE_CHECKING:
    from openmm import app

_METHODS = ("no-cutoff", "cutoff-nonperiodic", "cutoff-periodic", "ewald", "pme", "lj-pme")


class OpenMMAdapter(ForceField):
    """Any System that OpenMM can build: Amber, CHARMM, GROMACS, PDB with force-field XML, serialised."""

    name = "openmm"
    Options = OpenMMOptions
    offers = frozenset({Quantity.ENERGY, Quantity.FORCES, Quantity.CHARGES})  # and stress, where OpenMM has it
    exact_stress = False

    def __init__(self, options: OpenMMSettings, model: Model | None = None) -> None:
        engine.need()
        if model is None:
            assert isinstance(options, OpenMMOptions), "settings alone name no input"
            model = load(options)
            add_restraints(model, options.restraints)
        self.settings, self.model = options, model
        self.released: tuple[tuple[int, int], ...] = ()  # constraints that `select` left out
        self._names = components_of(model.system)
        self._still: Evaluator | None = None
        self._meter: StressMeter | None = None
        self._dynamics: Dynamics | None = None
        self._census: Census | None = None
        self._periodic, self._cutoff = model.cell is not None, cutoff_of(model.system)
        if self._periodic:
            self.ensembles = type(self).ensembles | {"npt"}
        if refusal(model) is None:
            self.offers = type(self).offers | {Quantity.STRESS}

    @classmethod
    def of(
        cls,
        system: openmm.System,
        topology: app.Topology,
        positions: Any,
        settings: OpenMMSettings | None = None,
    ) -> OpenMMAdapter:
        """Return the adapter of objects in memory.

        Args:
            system: any system; a copy is taken.
            topology: of its particles, virtual sites included.
            positions: (n, 3), a Quantity, or numbers in Å.
            settings: platform, precision, restraints; None for the defaults.
        """
        engine.need()
        settings = settings or OpenMMSettings()
        model = of_openmm(openmm.XmlSerializer.clone(system), topology, positions)
        add_restraints(model, settings.restraints)
        return cls(settings, model)

    def _check(self, atoms: Atoms, wanted: Collection[Quantity], charges: ExternalCharges | None) -> None:
        self._check_atoms(atoms)
        if Quantity.STRESS in wanted and (reason := refusal(self.model)) is not None:
            raise reason
        super()._check(atoms, wanted, charges)

    def _check_atoms(self, atoms: Atoms) -> None:
        if len(atoms) != len(self.model):
            raise AtomsError(
                f"there are {len(atoms)} atoms and the force field is of {len(self.model)}",
                where="openmm",
                todo="give all particles of the system, virtual sites included, in its order",
            )
        known = self.topology.numbers
        if len(other := np.flatnonzero(known != atoms.numbers)):
            i = int(other[0])
            raise AtomsError(
                f"atom {i} has the atomic number {atoms.numbers[i]}, and the force field's has {known[i]}",
                where="openmm",
                todo="give the atoms in the order of the force field's input",
            )

    def _compute(self, atoms: Atoms, wanted: frozenset[Quantity], charges: ExternalCharges | None) -> Results:
        frame = frame_of(atoms, self._periodic, self._cutoff)
        measured = Quantity.STRESS in wanted
        evaluator = self._measuring.evaluator if measured else self._asked
        cell = np.array(atoms.cell.array) if self._periodic else None
        evaluator.place(atoms.positions, cell, frame)
        found = evaluator.evaluate(forces=Quantity.FORCES in wanted)
        return Results(
            energy=found.energy,
            forces=found.forces,
            stress=self._measuring.read() if measured else None,
            charges=self.topology.charges.copy() if Quantity.CHARGES in wanted else None,
            components=found.components,
        )

    @property
    def _asked(self) -> Evaluator:
        if self._still is None:
            context = create(self.model.system, openmm.VerletIntegrator(0.001), self.settings)
            self._still = Evaluator(self.model, self.settings, context, self._names)
        return self._still

    @property
    def _measuring(self) -> StressMeter:
        if self._meter is None:
            self._meter = StressMeter(self.model, self.settings, self._names)
        return self._meter

    @property
    def topology(self) -> Topology:
        """Bonds, names and charges."""
        return self.model.topology

    def initial_atoms(self) -> Atoms:
        """The particles of the input; a virtual site is an X without mass."""
        return self.model.atoms()

    def terms(self, region: Indices) -> Mapping[str, TermCount]:
        """Count the terms that the system holds; restraints are not among them."""
        if self._census is None:
            self._census = Census(take_apart(self.model.system), len(self.model))
        return self._census.count(self._region(region))

    def select(self, region: Indices, part: Part, charges: Array | None = None) -> OpenMMAdapter:
        """Return a force field with part of the terms; the page of `selection` says how each is split.

        Constraints that touch the region are left out of every part and listed in ``released``,
        because its atoms are to move by another energy. Restraints stay with ``all`` and ``rest``.
        """
        region = self._region(region)
        if charges is not None and np.shape(charges) != (len(self.model),):
            raise ChargeError(f"{len(self.model)} charges are wanted, and the shape given is {np.shape(charges)}")
        system = select(self.model.system, region, part, charges)
        topology = self.topology if charges is None else replace(self.topology, charges=np.array(charges, dtype=float))
        found = OpenMMAdapter(self.settings, replace(self.model, system=system, topology=topology))
        found._periodic, found._cutoff = self._periodic, self._cutoff
        found.released = self.released + tuple(sorted(_held(self.model.system) - _held(system)))
        return found

    def weighted(self, weights: Array) -> OpenMMAdapter:
        """Return a force field whose custom forces hold the weights (n,) as their particles' parameter ``weight``."""
        return OpenMMAdapter(self.settings, replace(self.model, system=weigh(self.model.system, weights)))

    def _region(self, region: Indices) -> Indices:
        found = np.unique(np.asarray(region, dtype=np.int64))
        if len(found) and not 0 <= found[0] <= found[-1] < len(self.model):
            raise RegionError(f"the region names atoms outside 0 to {len(self.model) - 1}", where="openmm")
        return found

    def host(self, atoms: Atoms, motion: Motion, extra: Potential | None = None) -> None:
        """Take a copy of ``atoms``, to be moved by OpenMM with ``extra`` in the sum."""
        self._check_atoms(atoms)
        super()._check(atoms, (), None)
        self._dynamics = Dynamics(self.model, self.settings, atoms, motion, extra)

    def ask_again(self) -> None:
        """Hear that the extra potential has changed where the atoms are."""
        self._hosting.ask_again()

    def drag(self, held: Indices, places: Array) -> None:
        """Let the next timestep take the fixed atoms ``held`` (k,) to ``places`` (k, 3) Å."""
        self._hosting.drag(held, places)

    def moving_forces(self) -> Array:
        """Return the forces (n, 3) on the moving atoms, fixed ones included; OpenMM computes them once more."""
        return self._hosting.moving_forces()

    @property
    def atoms(self) -> Atoms:
        """A copy of the moving atoms, momenta included; positions are not wrapped."""
        return self._hosting.atoms

    @property
    def longest_step(self) -> float:
        """The timestep (ASE's time)."""
        return self._hosting.motion.timestep

    def advance(self, dt: float) -> None:
        """Move the atoms by ``dt`` (ASE's time), in NVE by any, else by whole timesteps."""
        self._hosting.advance(dt)

    def observe(self) -> Observation:
        """Return the energies of the moving atoms as they stand."""
        return self._hosting.observe()

    def save(self) -> State:
        """Return the state of OpenMM, random numbers included, and of the extra potential's last answers."""
        return self._hosting.save()

    def restore(self, state: State) -> None:
        """Return to a saved state, on the platform that it was saved on."""
        self._hosting.restore(state)

    def close(self) -> None:
        """Let the contexts go."""
        self._still = self._meter = self._dynamics = None

    @property
    def _hosting(self) -> Dynamics:
        if self._dynamics is None:
            raise CaseError("openmm has no atoms to move", todo="call start(atoms, motion) first")
        return self._dynamics

    def audit(self, atoms: Atoms) -> list[Table]:
        """Return how the force field is summed, constrained and restrained."""
        self._check_atoms(atoms)
        frame_of(atoms, self._periodic, self._cutoff)
        system, force = self.model.system, nonbonded_of(self.model.system)
        rows = [
            ("particles", f"{len(self.model)}, of them {len(self.model.sites)} virtual sites"),
            ("charge", f"{self.topology.charges.sum():+.6f} e"),
            ("components", ", ".join(self._names)),
            ("constraints", f"{system.getNumConstraints()}, and {len(self.released)} released in the region"),
        ]
        if force is not None:
            method = _METHODS[force.getNonbondedMethod()]
            cutoff = f", cutoff {force.getCutoffDistance()._value * 10:g} Å" if method != "no-cutoff" else ""
            rows.insert(1, ("nonbonded", method + cutoff))
        return [Table("OpenMM", ("what", "value"), tuple(rows))]


def _held(system: openmm.System) -> set[tuple[int, int]]:
    return {tuple(sorted(system.getConstraintParameters(i)[:2])) for i in range(system.getNumConstraints())}
