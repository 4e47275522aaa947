"""What an adapter is. Read `adapters/harmonic.py` beside this page: it is the smallest real one."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Collection
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, ClassVar, Literal, Protocol, final

import numpy as np
from ase import Atoms
from scipy.sparse import csr_array

from .calculator import AdapterCalculator
from .data import Array, ExternalCharges, Indices, Quantity, Results, State, Table, TermCount, Topology
from .errors import AtomsError, CaseError, EngineFailed, NotOffered
from .motion import AseMotion, Motion
from .options import Options
from .paced import Paced

if TYPE_CHECKING:
    from collections.abc import Mapping


class Adapter(ABC):
    """Drives one engine: goes forward in time, and back to a saved state.

    A subclass is named after its engine, takes its ``Options`` first, and imports the engine
    under an `EngineImport`.
    """

    name: ClassVar[str]  # the file's name, the name in case.toml
    Options: ClassVar[type[Options]]

    @property
    @abstractmethod
    def longest_step(self) -> float:
        """The longest time (ASE's) that `advance` takes as one step."""

    @abstractmethod
    def advance(self, dt: float) -> None:
        """Move the state on by ``dt`` (ASE's time)."""

    @abstractmethod
    def save(self) -> State:
        """Return everything that a later step depends on, as arrays."""

    @abstractmethod
    def restore(self, state: State) -> None:
        """Return to a saved state; what follows is the same bit for bit."""

    def close(self) -> None:
        """Give back what the engine holds: memory, files, processes. May be called twice."""
        return


@dataclass(frozen=True)
class Observation:
    """What a moving adapter shows of itself; taking one never costs an engine call more."""

    potential: float  # eV
    kinetic: float  # eV, at the same time as `potential`
    temperature: float  # K, over the degrees of freedom that move
    volume: float | None  # Å³; None without a cell
    components: Mapping[str, float] = field(default_factory=dict)  # eV; they add up to `potential`
    kinetic_parts: Mapping[str, float] = field(default_factory=dict)  # eV; they add up to `kinetic`
    given: Mapping[str, float] = field(default_factory=dict)  # eV; from outside since the start, such as a bath's heat
    books: Mapping[str, float] = field(default_factory=dict)  # eV; what else a ledger of the energy shows
    numbers: Mapping[str, float] = field(default_factory=dict)  # of any other unit: "members/1"

    @property
    def conserved(self) -> float:
        """Potential and kinetic energy less what was given (eV): a constant of the exact motion."""
        return self.potential + self.kinetic - sum(self.given.values())


class ParticleAdapter(Adapter):
    """An engine of atoms: an energy of positions, its forces, and the motion they make.

    A subclass gives `offers` and `_compute`. Energies are in eV, lengths in Å, and every
    array is new: the caller may keep and change it.
    """

    offers: frozenset[Quantity] = frozenset({Quantity.ENERGY, Quantity.FORCES})
    conservative: bool = True  # False: the forces are not the gradient of the energy
    exact_stress: bool = True  # False: good for means, and not to be differentiated: off by about 1e-5 of the stiffness
    elements: frozenset[int] | None = None  # atomic numbers that can be taken; None: all
    total_charge: int | None = None  # e, of all atoms; None: not for the adapter to say
    ensembles: frozenset[str] = frozenset({"nve", "langevin", "nose-hoover"})  # that `start` can move in
    _motion: AseMotion | None = None

    @final
    def compute(self, atoms: Atoms, wanted: Collection[Quantity], charges: ExternalCharges | None = None) -> Results:
        """Return the wanted quantities of ``atoms``, in the field of ``charges`` where given.

        The energy with charges holds the atoms' energy and their interaction with the
        charges, and nothing of the charges among themselves.

        Raises:
            NotOffered: a quantity outside `offers`.
            AtomsError: atoms that this adapter cannot take.
            EngineFailed: the engine raised, or answered with something not finite.
        """
        self._check(atoms, wanted, charges)
        results = self._compute(atoms, frozenset(wanted), charges)
        for quantity in sorted(wanted):
            if not np.isfinite(np.sum(results.need(quantity))):
                raise EngineFailed(
                    f"{self.name} gave a result that is not finite: {quantity.value.replace('_', ' ')}",
                    todo="look for atoms on top of each other",
                )
        return results

    @abstractmethod
    def _compute(self, atoms: Atoms, wanted: frozenset[Quantity], charges: ExternalCharges | None) -> Results:
        """Compute; the input has been checked, the answer will be."""

    def as_calculator(self) -> AdapterCalculator:
        """Return an ASE calculator that asks this adapter."""
        return AdapterCalculator(self)

    def initial_atoms(self) -> Atoms | None:
        """Return the atoms of the adapter's own input files; None where it has none."""
        return None

    def audit(self, atoms: Atoms) -> list[Table]:
        """Return what a person should see before running; raise what makes running wrong."""
        return []

    def check_motion(self, atoms: Atoms, motion: Motion) -> list[Table]:
        """Return what a person should see of a motion before it starts; raise what makes it wrong."""
        return []

    def review(self, atoms: Atoms) -> list[Table]:
        """Return what a person should see of ``atoms`` at a minimum, such as how far it can be trusted."""
        return []

    def surroundings(self) -> ParticleAdapter:
        """Return the adapter that answers for atoms far from what this one treats apart: itself where all are alike."""
        return self

    def paced(self, timestep: float) -> Paced | None:
        """Return the intervals of a motion that someone else makes, by ``timestep`` (ASE's); None without any."""
        return None

    def focus(self, atoms: Atoms) -> Indices:
        """Return the atoms that a picture should bring out, such as an embedding's region; none by default."""
        return np.zeros(0, dtype=np.int64)

    def weighted(self, weights: Array) -> ParticleAdapter:
        """Return an adapter of the same atoms that counts each one's own energy by a weight: E = Σ w_i Φ_i.

        The Φ_i add up to the energy; of a pair, each atom has half. What a weight of 0 leaves out is exactly nothing.

        Args:
            weights: (n,) one for each atom.

        Raises:
            NotOffered: the engine's energy is not a sum over atoms, or it cannot weigh it.
        """
        raise NotOffered(
            f"{self.name} cannot weigh the energies of single atoms",
            todo="use openmm with custom forces, or a handshake that asks for whole clusters",
        )

    def preconditioner(self, atoms: Atoms) -> csr_array:
        """Return an approximate stiffness (n, n), eV/Å², the same along x, y and z: sparse, positive definite.

        An optimiser takes the steps that it tells: a stretch of soft atoms then costs no more steps than one atom.

        Raises:
            NotOffered: the adapter knows none.
        """
        raise NotOffered(f"{self.name} knows no stiffness of its atoms", todo='use another optimiser, such as "lbfgs"')

    def sweep(self, positions: Array) -> Array:
        """Return the positions (n, 3) after one pass of a method that alternates; at equilibrium they stay.

        Raises:
            NotOffered: the adapter does not alternate.
        """
        raise NotOffered(f"{self.name} does not alternate between parts", todo='use another optimiser, such as "lbfgs"')

    def start(self, atoms: Atoms, motion: Motion) -> None:
        """Take a copy of ``atoms``, with their momenta, as the state that `advance` moves.

        Raises:
            NotOffered: a motion that this adapter cannot make.
        """
        mine = atoms.copy()
        mine.calc = self.as_calculator()
        self._motion = AseMotion(mine, motion)

    @property
    def atoms(self) -> Atoms:
        """A copy of the moving atoms, momenta included, without a calculator."""
        copy: Atoms = self._moving.atoms.copy()
        return copy

    @property
    def longest_step(self) -> float:
        """The timestep (ASE's time)."""
        return self._moving.motion.timestep

    def advance(self, dt: float) -> None:
        """Move the atoms by ``dt`` (ASE's time)."""
        self._moving.advance(dt)

    def observe(self) -> Observation:
        """Return the energies of the moving atoms as they stand."""
        atoms = self._moving.atoms
        potential = float(atoms.get_potential_energy())
        components = atoms.calc.last.components or {self.name: potential}
        return Observation(
            potential=potential,
            kinetic=float(atoms.get_kinetic_energy()),
            temperature=float(atoms.get_temperature()),
            volume=float(atoms.get_volume()) if atoms.cell.rank == 3 else None,
            components=dict(components),
        )

    def save(self) -> State:
        """Return the moving atoms, the integrator, the engine's last answer and what it remembers."""
        parts = {"motion": self._moving.save(), "answer": self._moving.atoms.calc.save(), "engine": self._save_engine()}
        return {f"{part}/{key}": value for part, state in parts.items() for key, value in state.items()}

    def restore(self, state: State) -> None:
        """Return to a saved state."""
        self._moving.restore(under("motion", state))
        self._moving.atoms.calc.restore(self._moving.atoms, under("answer", state))
        self._restore_engine(under("engine", state))

    def _save_engine(self) -> State:
        """Return what the next answer depends on beside the atoms, such as the SCF guess."""
        return {}

    def _restore_engine(self, state: State) -> None:
        """Return to what `_save_engine` gave."""

    @property
    def _moving(self) -> AseMotion:
        if self._motion is None:
            raise CaseError(f"{self.name} has no atoms to move", todo="call start(atoms, motion) first")
        return self._motion

    def _check(self, atoms: Atoms, wanted: Collection[Quantity], charges: ExternalCharges | None) -> None:
        asked = set(wanted)
        if charges is not None and Quantity.CHARGE_FORCES not in self.offers:
            raise NotOffered(
                f"{self.name} takes no external charges", todo="use mechanical embedding, or another engine"
            )
        if missing := sorted(q.value for q in asked - self.offers):
            offered = ", ".join(sorted(q.value for q in self.offers))
            raise NotOffered(f"{self.name} does not offer {', '.join(missing)}", todo=f"it offers {offered}")
        if len(atoms) == 0:
            raise AtomsError(f"{self.name} was given no atoms")
        if not np.isfinite(atoms.positions.sum()):
            i = int(np.flatnonzero(~np.isfinite(atoms.positions).all(axis=1))[0])
            raise AtomsError(f"the position of atom {i} is not finite", where=self.name)
        if Quantity.STRESS in asked and atoms.cell.rank < 3:
            raise AtomsError(f"{self.name} was asked for the stress of atoms without a cell")
        if self.elements is not None and (strange := set(atoms.numbers.tolist()) - self.elements):
            raise AtomsError(f"{self.name} does not know the element number {min(strange)}")


class Potential(Protocol):
    """An energy that joins an engine's own motion: asked once for each configuration."""

    def __call__(self, positions: Array, cell: Array) -> tuple[float, Array]:
        """Return the energy (eV) and forces (n, 3) (eV/Å) at ``positions`` (n, 3) Å.

        ``cell`` is (3, 3) Å, rows are vectors, zeros without one.
        """


Part = Literal["all", "inside", "rest"]


class ForceField(ParticleAdapter):
    """A particle adapter whose energy is a sum of terms over known atoms.

    It is built for fixed atoms, in a fixed order, with a known topology. What an embedding
    needs of a low level is here: the terms of a region, other charges, and room in the
    engine's integrator for someone else's potential.
    """

    @property
    @abstractmethod
    def topology(self) -> Topology:
        """Bonds, names and charges."""

    @abstractmethod
    def initial_atoms(self) -> Atoms:
        """The atoms of the input files: positions, cell, masses."""

    @abstractmethod
    def terms(self, region: Indices) -> Mapping[str, TermCount]:
        """Count the terms that the engine really holds, by class.

        Classes are ``bond``, ``angle``, ``torsion``, ``1-4``, ``Coulomb``, ``dispersion`` and, where
        there are others, the engine's own names. A Coulomb pair counts where both charges are non-zero.
        """

    @abstractmethod
    def select(self, region: Indices, part: Part, charges: Array | None = None) -> ForceField:
        """Return a force field with part of the terms, over the same atoms.

        ``"inside"`` keeps the terms all of whose atoms are in ``region``, ``"rest"`` all
        others, ``"all"`` every one, so that E(all) = E(inside) + E(rest) exactly, with the
        same ``charges``. Where the engine cannot split a term (the reciprocal sum of an
        Ewald method), it raises `NotOffered` or splits so that the sum still holds, and its docs say how.

        Args:
            region: (k,) indices of atoms.
            part: which terms.
            charges: (n,) e, in place of the atoms' own, in every Coulomb term, 1-4 pairs
                included; None keeps the force field's.
        """

    @abstractmethod
    def host(self, atoms: Atoms, motion: Motion, extra: Potential | None = None) -> None:
        """Like `start`, with ``extra`` added to the energy and the forces inside the engine.

        In `observe`, its energy is the component ``extra``.
        """

    def ask_again(self) -> None:
        """Hear that the ``extra`` of `host` has changed where the atoms are: it is asked again before they move.

        Raises:
            NotOffered: the engine cannot do that.
        """
        raise NotOffered(f"{self.name} takes no extra potential that changes with time")

    def drag(self, held: Indices, places: Array) -> None:
        """Let the next timestep of `advance` take fixed atoms to new places, where its last forces are computed.

        Args:
            held: (k,) atoms that `host` was given with ASE's FixAtoms.
            places: (k, 3) Å.

        Raises:
            NotOffered: the engine cannot do that.
        """
        raise NotOffered(f"{self.name} cannot move fixed atoms")

    def moving_forces(self) -> Array:
        """Return the forces (n, 3) eV/Å on the moving atoms as they stand, fixed ones and ``extra`` included.

        Raises:
            NotOffered: the engine cannot do that.
        """
        raise NotOffered(f"{self.name} does not tell the forces on fixed atoms")

    def start(self, atoms: Atoms, motion: Motion) -> None:
        """Take a copy of ``atoms`` as the state that `advance` moves by the engine's integrator."""
        self.host(atoms, motion)


def under(prefix: str, state: State) -> State:
    """Return the entries of ``state`` below ``prefix/``, with the prefix taken off."""
    return {key.removeprefix(f"{prefix}/"): value for key, value in state.items() if key.startswith(f"{prefix}/")}
