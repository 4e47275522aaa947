"""Buffered force mixing: the high level's forces in a region, the low level's elsewhere.

    F_i = F_i^high[cluster of region, buffer and ends]   for i in the region
    F_i = F_i^low[all atoms]                             elsewhere

(N. Bernstein, J. R. Kermode and G. Csányi 2009, doi:10.1088/0034-4885/72/2/026501; with regions that move,
doi:10.1039/c1cp22600b.) Where the buffer is thicker than the high level's range, the forces in the region are those
of the high level in the whole, and no boundary is felt. The price: the forces are the gradient of no energy, and do
not add up to zero. The energy that is given is the low level's; it is not the forces' potential. `Course.work` is what
the difference has done on the atoms, so that E_low + E_kin − work is what the integrator keeps.
"""

from __future__ import annotations

from dataclasses import replace
from functools import partial

import numpy as np
from ase import Atoms

from scalespan.adapters.interface import (
    Array,
    AseMotion,
    AtomsError,
    CaseError,
    ExternalCharges,
    ForceField,
    Indices,
    Motion,
    NotOffered,
    Observation,
    OptionError,
    Paced,
    ParticleAdapter,
    Quantity,
    Results,
    State,
    Table,
    under,
)

from ..embedding import find_region, guessed_topology, named_atoms
from .audit import audit_tables
from .cluster import Cluster, carve
from .course import Course, asking
from .matching import Match, Rescaled, measure
from .moving import Moving
from .neighbourhood import Neighbourhood
from .options import ForceMixingOptions
from .paced import Intervals
from .region import follow
from .windows import Difference

_NOBODY = np.zeros(0, dtype=np.int64)


class ForceMixing(ParticleAdapter):
    """A region moved by the forces of a high level, in surroundings moved by a low one."""

    name = "force_mixing"
    Options = ForceMixingOptions
    parts = ("low", "high")
    offers = frozenset({Quantity.ENERGY, Quantity.FORCES})
    conservative = False
    ensembles = frozenset({"nve", "langevin"})

    def __init__(
        self, options: ForceMixingOptions, *, low: ParticleAdapter | None = None, high: ParticleAdapter | None = None
    ) -> None:
        """Join two levels. Seeds are found among the low level's atoms, or the first that come."""
        self.options = options
        self.low, self.high = _level(low, "low"), _level(high, "high")
        self._match: Match | None = None
        self._matched: ParticleAdapter | None = None
        self._seeds: tuple[Array, Indices] | None = None  # of atoms with these numbers
        self._members: Indices = _NOBODY  # the region at the last question of a motion
        self._course: Course | None = None

    # The two levels

    @property
    def match(self) -> Match | None:
        """Both levels as measured in the crystal of the options; None without one. Measured once."""
        if self.options.match is not None and self._match is None:
            self._match = Match(measure(self.high, self.options.match), measure(self.low, self.options.match))
        return self._match

    @property
    def matched(self) -> ParticleAdapter:
        """The low level, scaled where the options ask for it."""
        if self._matched is None:
            match = self.match
            self._matched = self.low if match is None else Rescaled(self.low, match.alpha, match.scale)
        return self._matched

    # The region and its cluster

    def seeds_of(self, atoms: Atoms) -> Indices:
        """Return the atoms that are always in the region (k,), ascending."""
        if self._seeds is None or not np.array_equal(self._seeds[0], atoms.numbers):
            topology = self.low.topology if isinstance(self.low, ForceField) else guessed_topology(atoms)
            if len(topology) != len(atoms):
                raise AtomsError(
                    f"the low level has {len(topology)} atoms, and {len(atoms)} were given", where="force_mixing"
                )
            self._seeds = (atoms.numbers.copy(), find_region(self.options.region, atoms, topology))
        return self._seeds[1]

    def reseed(self, atoms: list[int]) -> None:
        """Let the region follow other seeds from the next question on, such as a crack's tip that has moved.

        Atoms of the region stay in it until they are farther than ``leave`` from all new seeds.

        Raises:
            CaseError: before any atoms were seen.
            RegionError: an index out of range or named twice, or none at all.
        """
        if self._seeds is None:
            raise CaseError("force mixing has no seeds to replace", todo="call start(atoms, motion) first")
        numbers, _ = self._seeds
        self._seeds = (numbers, named_atoms(atoms, len(numbers)))

    def region_of(self, atoms: Atoms) -> Indices:
        """Return the region (k,): by the seeds, and by who was in it at the last question of a motion."""
        return self._region(atoms, Neighbourhood(atoms))

    def _region(self, atoms: Atoms, around: Neighbourhood) -> Indices:
        return follow(around, self.seeds_of(atoms), self.options.moving, self._members)

    def cluster_of(self, atoms: Atoms) -> Cluster:
        """Return what the high level sees of ``atoms``.

        Raises:
            RegionError: it would meet its own image.
        """
        around = Neighbourhood(atoms)
        return carve(atoms, self._region(atoms, around), self.options, around)

    def cluster_atoms(self, atoms: Atoms, cluster: Cluster) -> Atoms:
        """Return what the high level is given."""
        found = cluster.atoms(atoms, tuple(axis in self.options.along for axis in "abc"))
        if self.high.elements is not None and len(cluster.links) and cluster.element not in self.high.elements:
            raise NotOffered(
                f"{self.high.name} does not know the element {self.options.ends.element} that closes cut bonds",
                where="force_mixing.ends",
                todo='choose another element, or element = "none"',
            )
        return found

    def difference(self, atoms: Atoms, low_forces: Array) -> Difference:
        """Ask the high level, and return its difference to ``low_forces`` (n, 3) in the region."""
        cluster = self.cluster_of(atoms)
        found = self.high.compute(self.cluster_atoms(atoms, cluster), {Quantity.FORCES})
        assert found.forces is not None
        mixed = cluster.forces_on_region(atoms, found.forces) - low_forces[cluster.region]
        removed = np.zeros(3)
        if self.options.net_force == "remove":
            removed = mixed.sum(axis=0)
            mixed -= removed / len(mixed)
        return Difference(cluster.region, mixed, removed)

    def focus(self, atoms: Atoms) -> Indices:
        """Return the region."""
        return self.region_of(atoms)

    def surroundings(self) -> ParticleAdapter:
        """Return the low level, matched."""
        return self.matched

    def paced(self, timestep: float) -> Paced:
        """Return the windows of a motion that another adapter makes.

        Raises:
            OptionError: an interval that is no whole multiple of the timestep; a margin for a thermostat.
        """
        self._members = _NOBODY
        return Intervals(self, partial(asking, self), timestep)

    def initial_atoms(self) -> Atoms | None:
        """Return the low level's atoms; None where it has none."""
        return self.low.initial_atoms()

    def audit(self, atoms: Atoms) -> list[Table]:
        """Return region, buffer and ends, what is not conserved, the match; then the levels' own tables."""
        cluster = self.cluster_of(atoms)
        seen = self.cluster_atoms(atoms, cluster)
        return [*audit_tables(self, atoms, cluster, seen), *self.low.audit(atoms), *self.high.audit(seen)]

    def _compute(self, atoms: Atoms, wanted: frozenset[Quantity], charges: ExternalCharges | None) -> Results:
        found = self.matched.compute(atoms, wanted | {Quantity.ENERGY})
        forces = found.forces
        if forces is not None and Quantity.FORCES in wanted:
            forces = forces + self.difference(atoms, forces).on(len(atoms))
        assert found.energy is not None
        return Results(energy=found.energy, forces=forces, components={"low": found.energy})

    # Motion

    def start(self, atoms: Atoms, motion: Motion) -> None:
        """Take a copy of ``atoms`` as the state that `advance` moves; the region begins without a past.

        Raises:
            NotOffered: an ensemble other than nve and langevin.
            OptionError: an interval that is no whole multiple of the timestep.
        """
        if motion.ensemble not in self.ensembles:
            raise NotOffered(
                f"force mixing does not move in the ensemble '{motion.ensemble}'",
                todo="choose 'langevin', which takes the heat of the border away, or 'nve'",
            )
        self.seeds_of(atoms)
        mine, self._members = atoms.copy(), _NOBODY
        moving = Moving(lambda: self.matched, partial(asking, self))
        mine.calc = moving.as_calculator()
        self._motion = AseMotion(mine, motion)
        self._course = Course(self, moving, self._motion)

    @property
    def course(self) -> Course:
        """The motion: its window, the work of the difference, the error of the last prediction."""
        if self._course is None:
            raise CaseError("force mixing has no atoms to move", todo="call start(atoms, motion) first")
        return self._course

    def advance(self, dt: float) -> None:
        """Move by ``dt`` (ASE's time), a whole number of timesteps."""
        self.course.advance(dt)

    def observe(self) -> Observation:
        """Return the low level's energy, what the difference has given, the region's size, the prediction's error."""
        members = self._members if len(self._members) else self.region_of(self._moving.atoms)
        numbers = {
            "region/1": float(len(members)),
            "prediction_error/(eV/angstrom)": self.course.prediction_error,
        }
        return replace(super().observe(), given={"mixing": self.course.work}, numbers=numbers)

    @property
    def members(self) -> Indices:
        """Who was in the region (k,) at the last question of a motion."""
        return self._members

    def remember(self, region: Indices) -> None:
        """Let ``region`` (k,) be who is in from now on: atoms stay in it until they are farther than ``leave``.

        A motion does this by itself; it is for those who drive `as_calculator` on their own.
        """
        self._members = region.copy()

    def _save_engine(self) -> State:
        state: State = {"members": self._members.copy()}
        for name, level in {"low": self.low, "high": self.high}.items():
            state |= {f"{name}/{key}": value for key, value in level._save_engine().items()}
        if self._seeds is not None:
            state["seeds"] = self._seeds[1].copy()
        if self._course is not None:
            state |= {f"course/{key}": value for key, value in self._course.save().items()}
        return state | ({} if self._match is None else self._match.save())

    def _restore_engine(self, state: State) -> None:
        if "match" in state:
            self._match, self._matched = Match.saved(state), None
        self._members = state["members"].astype(np.int64)
        for name, level in {"low": self.low, "high": self.high}.items():
            level._restore_engine(under(name, state))
        if "seeds" in state:
            self._seeds = (self._moving.atoms.numbers.copy(), state["seeds"].astype(np.int64))
        if self._course is not None:
            self._course.restore(under("course", state))

    def close(self) -> None:
        """Close both levels."""
        self.low.close()
        self.high.close()


def _level(level: object, name: str) -> ParticleAdapter:
    if level is None:
        raise OptionError(
            f"the table '{name}' is missing", where="force_mixing", todo=f'add [model.{name}] with use = "…"'
        )
    if not isinstance(level, ParticleAdapter):
        raise OptionError(f"'{name}' is no engine of atoms", where="force_mixing", todo="name a particle adapter")
    if Quantity.FORCES not in level.offers:
        raise NotOffered(f"{level.name} gives no forces", where=f"force_mixing.{name}", todo="choose another engine")
    return level
