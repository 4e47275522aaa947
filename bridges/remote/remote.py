"""A particle adapter whose engine lives in another participant, and is asked through the coupling.

One `compute` is one window of a serial-explicit scheme in which this participant is the first. It
writes its question and advances; the second then gets it as the data of its window's end,
computes and advances; and only with that answer does the first one's `advance` return. So the answer
is read at the beginning of the next window, and no call waits for more than its own window:

    this one     write question n | advance(1) ............................ | read answer n at 0
    the engine                      read question n at dt, compute, write |   advance(1)

With ``<time-window-size method="first-participant"/>`` the time of the coupling counts the calls, and
`close` takes one step to max-time, in which nothing is wanted: both ends finish in order.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from math import ceil

import numpy as np
from ase import Atoms
from pydantic import Field as Key

from scalespan.adapters.interface import (
    Array,
    AtomsError,
    CaseError,
    ChargeError,
    CouplingError,
    ExternalCharges,
    ParticleAdapter,
    Quantity,
    Results,
    State,
)
from scalespan.bridges.interface import Coupling, Exchange, Mesh

from .questions import Line, Request, answers, names_of, pack_atoms, pack_charges, questions, unpack_results

_CALL = 1.0  # the coupling's time for one call


class RemoteOptions(Line):
    """Where the engine is, and what it takes."""

    participant: str  # who computes, as in precice-config.xml
    charges: int | None = Key(default=None, ge=0)  # most external charges at once; None: a quarter above the first's
    charge: int | None = None  # e, of all atoms, as the engine's own options say; None: not for it to say
    conservative: bool = True  # the engine's forces are the gradient of its energy


class Remote(ParticleAdapter):
    """An engine in another participant; the bridge `engine` is the other end.

    What the engine remembers (an SCF's guess) stays with it: `save` makes it keep a numbered
    state, `restore` sends the number with the next question, and what follows is the same bit for bit.
    """

    name = "remote"
    Options = RemoteOptions
    coupled = True

    def __init__(self, options: RemoteOptions, *, coupling: Callable[[], Coupling] | None = None) -> None:
        """Take the maker of the coupling, which is called for the first question; None: nothing can be asked."""
        self.options = options
        self.offers = frozenset(options.offers)
        self.conservative, self.total_charge = options.conservative, options.charge
        self._make = coupling
        self._coupling: Coupling | None = None
        self._asked, self._answered = questions(options), answers(options)
        self._numbers = 0  # of atoms
        self._spare: Array = np.zeros((0, 3))  # Å, where charges were at first
        self._memories = 0  # how many states the engine has been told to keep
        self._memory: int | None = 0  # the state that the engine is in; None: it has moved on
        self._return = False  # the engine is to go back to `_memory` first

    def _check(self, atoms: Atoms, wanted: Collection[Quantity], charges: ExternalCharges | None) -> None:
        super()._check(atoms, wanted, charges)
        if atoms.pbc.any() and not self.options.cell:
            raise AtomsError(
                "periodic atoms were given, and the cell does not go along",
                where=self.name,
                todo="set cell = true here and at the engine's participant, and exchange Cell-1, Cell-2, Cell-3",
            )
        if self._coupling is not None and len(atoms) != self._numbers:
            raise AtomsError(
                f"there are {len(atoms)} atoms, and the mesh is of {self._numbers}",
                where=self.name,
                todo="a remote engine computes the same atoms throughout",
            )

    def _compute(self, atoms: Atoms, wanted: frozenset[Quantity], charges: ExternalCharges | None) -> Results:
        flags = {quantity.value for quantity in wanted}
        flags |= {f"periodic-{axis + 1}" for axis in range(3) if atoms.pbc[axis]}
        if charges is not None:
            flags |= {"field"} if charges.radii is None else {"field", "radii"}
        if self._return:
            flags.add("restore")
        self._ask(atoms, charges, Request(frozenset(flags), self._memory or 0))
        self._memory, self._return = None, False
        coupling = self._started
        found = {name: coupling.read(self._answered[name], 0.0) for name in names_of(wanted)}
        return unpack_results(found, wanted, 0 if charges is None else len(charges))

    def _ask(self, atoms: Atoms, charges: ExternalCharges | None, request: Request) -> None:
        """Send one question, and wait until it has been answered."""
        if self._coupling is None:
            self._coupling = self._meet(atoms, charges)
        coupling = self._coupling
        if not coupling.running:
            raise CouplingError(
                f"the coupling with '{self.options.participant}' has come to its end, and there is another question",
                todo="raise max-time in precice-config.xml",
            )
        self._write(coupling, atoms, charges, request)
        self._coupling = None  # whoever closes after a failure must not speak again
        coupling.advance(min(_CALL, coupling.longest_step))
        self._coupling = coupling

    def _write(self, coupling: Coupling, atoms: Atoms, charges: ExternalCharges | None, request: Request) -> None:
        values = pack_atoms(self.options, atoms, request)
        if self.options.charged:
            if charges is not None and len(charges) > len(self._spare):
                raise ChargeError(
                    f"there are {len(charges)} external charges, and the mesh has room for {len(self._spare)}",
                    where=self.name,
                    todo=f"set charges = {ceil(1.25 * len(charges))} or more",
                )
            values |= pack_charges(charges, self._spare)
        for name, field in self._asked.items():
            coupling.write(field, values[name])

    def _meet(self, atoms: Atoms, charges: ExternalCharges | None) -> Coupling:
        """Return the coupling, started with meshes where the atoms and charges are now."""
        if self._make is None:
            raise CaseError(
                "a remote engine needs a coupling, and this case runs alone",
                where=self.name,
                todo="give it [participants] and a precice-config.xml, or name a local engine",
            )
        self._numbers = len(atoms)
        meshes = {self.options.atoms_mesh: Mesh(atoms.get_positions())}
        if self.options.charged:
            self._spare = _places(atoms, charges, self.options.charges)
            meshes[self.options.charges_mesh] = Mesh(self._spare)
        sizes = {name: len(mesh.points) for name, mesh in meshes.items()}
        exchange = Exchange(tuple(self._answered.values()), tuple(self._asked.values()), meshes)
        coupling = self._make()
        coupling.start(exchange, {f: np.zeros((sizes[f.mesh], f.components)) for f in exchange.writes})
        if coupling.must_save:
            raise CouplingError(
                "a question is answered once, and this scheme would ask it again",
                where=self.name,
                todo="take <coupling-scheme:serial-explicit> with this participant as the first",
            )
        self._last = atoms.copy()
        return coupling

    @property
    def _started(self) -> Coupling:
        assert self._coupling is not None, "a question has been asked"
        return self._coupling

    def _save_engine(self) -> State:
        if self._memory is None:
            self._memories += 1
            self._ask(self._last, None, Request(frozenset({"save"}), self._memories))
            self._memory = self._memories
        return {"memory": np.array([self._memory], dtype=np.int64)}

    def _restore_engine(self, state: State) -> None:
        self._memory, self._return = int(state["memory"][0]), True
        self._memories = max(self._memories, self._memory)

    def close(self) -> None:
        """Tell the engine's participant that nothing more is asked."""
        coupling, self._coupling = self._coupling, None
        if coupling is None:
            return
        while coupling.running:
            self._write(coupling, self._last, None, Request(frozenset()))
            coupling.advance(coupling.longest_step)
        coupling.finish()


def _places(atoms: Atoms, charges: ExternalCharges | None, most: int | None) -> Array:
    """Return where the mesh of charges has its points (m, 3) Å: at the charges, the spare ones between the atoms."""
    known = np.zeros((0, 3)) if charges is None else charges.positions
    count = ceil(1.25 * len(known)) if most is None else most
    spare = np.tile(atoms.positions.mean(axis=0), (max(0, count - len(known)), 1))
    places: Array = np.vstack([known, spare])[:count]
    return places
