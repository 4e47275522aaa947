r"""The atoms of a handshake as a participant: the continuum's displacement in, the force on its nodes out.

The energy is that of the handshake in one process, E = E_at[y ∪ s_P] − E_at[s_A ∪ s_P] + E_FE[U], s = X + ΠU, and the
coupling is Π: the mesh has the sites' reference positions X and never moves, displacements come by a consistent
mapping, and

    f = −∂/∂s (E_at[y ∪ s_P] − E_at[s_A ∪ s_P])

goes back by the conservative one, its transpose. Within a window pads move linearly (waveform of degree 1), the atoms
make steps of velocity Verlet, and the force is that of the window's end. With a continuum that goes first in a
serial-explicit scheme and moves by leapfrog, this is the Störmer–Verlet method of one Hamiltonian where a window is one
step, and the conventional staggered scheme where it is several (doi:10.1016/j.cma.2004.11.031). A force averaged over
the window would lag by half of it and put energy in; there is no such choice.
"""

from __future__ import annotations

from collections.abc import Mapping
from math import inf
from pathlib import Path

import numpy as np
from ase import Atoms
from ase.io import read as read_atoms
from ase.io.extxyz import write_extxyz
from scipy.spatial import cKDTree

from scalespan.adapters.interface import (
    Array,
    AtomsError,
    CaseError,
    NotOffered,
    OptionError,
    ParticleAdapter,
    State,
    Table,
)
from scalespan.adapters.interface.units import FEMTOSECOND, convert
from scalespan.bridges.handshake import (
    Clusters,
    Sites,
    check_clocks,
    find_sites,
    free_atoms,
    highest_frequency,
    rim_table,
)
from scalespan.bridges.interface import Bridge, Exchange, Field, Mesh, Read

from .options import HandshakeAtomsOptions

_SAME = 1e-9  # Å, and relative of times
_NEAR = 1e-5  # Å and amu: what formats keep


class HandshakeAtoms(Bridge):
    """Free atoms and their pads, in the continuum of another participant."""

    name = "handshake_atoms"
    Options = HandshakeAtomsOptions
    parts = ("atoms", "perfect")
    time_unit = "fs"
    adjoint = True
    longest_step = inf  # a window is divided into timesteps

    def __init__(
        self,
        options: HandshakeAtomsOptions,
        *,
        atoms: ParticleAdapter | None = None,
        perfect: ParticleAdapter | None = None,
    ) -> None:
        if not isinstance(atoms, ParticleAdapter):
            raise OptionError("a handshake's atoms need an engine", todo="give it the part 'atoms'")
        self.options, self.engine, self._perfect = options, atoms, perfect or atoms.surroundings()
        self.sites = find_sites(options)
        _check_sites(self.sites, options)
        self._steps = round(options.window / options.timestep)
        if self._steps < 1 or abs(options.window / options.timestep - self._steps) > _SAME * self._steps:
            raise OptionError(
                f"a window is {options.window / options.timestep:g} timesteps", todo="make it a whole multiple"
            )
        self.dimension = d = self.sites.dimension
        self._reads = Field(options.displacement, options.mesh, "angstrom", d)
        self._writes = Field(options.force, options.mesh, options.force_unit, d)
        self._per_force = convert(1.0, "eV/angstrom", options.force_unit)
        paced = atoms.paced(options.timestep)
        if paced is not None and paced.steps > 1:
            raise NotOffered(
                f"an interval of {paced.name} spans windows of a coupling, which go forward only",
                todo="leave the interval away, or join both in one process: handshake",
            )
        self._start(options)
        self.work = 0.0  # eV, on the continuum since the start: Σ f(t_n)·(s(n+1) − s(n))

    def _start(self, options: HandshakeAtomsOptions) -> None:
        d = self.dimension
        deformation = np.asarray(options.deformation or np.eye(d))
        if deformation.shape != (d, d) or np.linalg.det(deformation) <= 0.0:
            raise OptionError(f"the deformation must be a {d}×{d} matrix with a determinant above zero")
        self._atoms = free_atoms(options, self.sites)
        self.clusters = Clusters(self.engine, self._perfect, self._atoms, self.sites)
        self._atoms.positions[:, :d] = self._atoms.positions[:, :d] @ deformation.T
        self._masses = self._atoms.get_masses()[:, None]
        self._momenta: Array = np.zeros((len(self._atoms), 3))
        self._moved: Array = self.sites.points @ (deformation - np.eye(d)).T  # the sites' displacement (s, d), Å
        self._feel(self._moved)
        self._meet(self._moved)

    @property
    def exchange(self) -> Exchange:
        """Displacements and forces at the sites' reference positions."""
        return Exchange([self._reads], [self._writes], {self.options.mesh: Mesh(self.sites.points)})

    def receive(self, read: Read) -> None:
        """Keep the way to the continuum's displacements."""
        self._read = read

    def advance(self, dt: float) -> None:
        """Move by a window of ``dt`` (fs).

        Raises:
            CaseError: another window than the options', or displacements that do not go on where they were.
        """
        if abs(dt * FEMTOSECOND / self.options.window - 1.0) > _SAME:
            raise CaseError(
                f"a window has {dt:.6g} fs, and the options say {self.options.window / FEMTOSECOND:.6g} fs",
                where=self.name,
                todo="make 'window' and the XML's time-window-size the same",
            )
        self._check_continuity()
        before, force = self._moved, self._force
        for step in range(1, self._steps + 1):
            self._verlet(self._displacement(dt if step == self._steps else dt * step / self._steps))
        self._meet(self._moved)
        self.work += float((force * (self._moved - before)).sum())

    def _verlet(self, moved: Array) -> None:
        h = self.options.timestep
        self._momenta += 0.5 * h * self._forces
        self._atoms.positions += h * self._momenta / self._masses
        self._feel(moved)
        self._momenta += 0.5 * h * self._forces

    def _feel(self, moved: Array) -> None:
        """Find the forces on free atoms and pads where the atoms are and the sites have ``moved`` (s, d)."""
        self._moved = moved
        pads = self._places(moved)[self.sites.free :]
        self._energy, self._forces, self._on_pads = self.clusters.mixed(self._atoms.positions, pads)

    def _meet(self, moved: Array) -> None:
        """Find the force on the continuum."""
        self._twice, on_sites = self.clusters.perfect(self._places(moved))
        force = -on_sites[:, : self.dimension]
        force[self.sites.free :] += self._on_pads[:, : self.dimension]
        self._force = force

    def _places(self, moved: Array) -> Array:
        places = self.sites.reference.copy()
        places[:, : self.dimension] += moved
        return places

    def _displacement(self, at: float) -> Array:
        return self._read(self._reads, at)

    def _check_continuity(self) -> None:
        jump = float(np.abs(self._displacement(0.0) - self._moved).max())
        if jump > _SAME:
            raise CaseError(
                f"the continuum's displacement jumps by {jump:.2g} Å at a window's beginning",
                where=self.name,
                todo="let the continuum be first in a serial-explicit scheme, with a waveform-degree of 1; at the "
                "start, give both sides the same deformation, and initialize the displacement",
            )

    def write(self, field: Field) -> Array:
        """Return the force (s, d) on the continuum at the window's end."""
        return self._per_force * self._force

    def observe(self) -> Mapping[str, float]:
        """Return the energies at the window's end, and the work on the continuum."""
        kinetic = 0.5 * float((self._momenta**2 / self._masses).sum())
        return {
            "atoms/eV": self._energy,
            "counted twice/eV": -self._twice,
            "kinetic/eV": kinetic,
            "work on partner/eV": self.work,
        }

    @property
    def atoms(self) -> Atoms:
        """A copy of the free atoms, with their momenta."""
        found: Atoms = self._atoms.copy()
        found.set_momenta(self._momenta)
        return found

    def frame(self, folder: Path, time: float) -> None:
        """Append the free atoms to ``trajectory.extxyz``."""
        atoms = self.atoms
        atoms.info["time"] = time
        with (folder / "trajectory.extxyz").open("a", encoding="utf-8") as file:
            write_extxyz(file, [atoms])

    def save(self) -> State:
        """Return the atoms, where the sites are, and the forces there."""
        arrays = {
            "positions": self._atoms.positions,
            "momenta": self._momenta,
            "moved": self._moved,
            "forces": self._forces,
            "force": self._force,
        }
        numbers = np.array([self._energy, self._twice, self.work])
        return {key: value.copy() for key, value in arrays.items()} | {"energies": numbers}

    def restore(self, state: State) -> None:
        """Return to a saved state."""
        self._atoms.positions = np.array(state["positions"])
        self._momenta, self._moved = np.array(state["momenta"]), np.array(state["moved"])
        self._forces, self._force = np.array(state["forces"]), np.array(state["force"])
        self._energy, self._twice, self.work = (float(each) for each in state["energies"])

    def audit(self) -> list[Table]:
        """Return who carries what, the ghost forces that the atoms can see, the clocks, and the engine's tables.

        Raises:
            CaseError: a pad too thin, or a window too long.
        """
        pads = self._places(self._moved)[self.sites.free :]
        frequency = highest_frequency(
            lambda places: self.clusters.mixed(places, pads)[1], self._atoms.positions, self._masses[:, 0]
        )
        options = self.options
        clocks = check_clocks(frequency, options.timestep, options.window, "the window", options.beyond_limit)
        limit = options.ghost_force
        ghosts = rim_table(self.sites, self.clusters, self._strained, limit, frozen=True)
        return [self._counts(), ghosts, clocks, *self.engine.audit(self._atoms)]

    def _counts(self) -> Table:
        taken = float(self.sites.masses[: self.sites.free].sum())
        rows = (
            ("free atoms", f"{len(self._atoms)}, in the place of {self.sites.free} sites"),
            ("pads", str(len(self.sites.reference) - self.sites.free)),
            ("mass that the continuum takes out", f"{taken:.8g} amu"),
            ("density of the crystal", f"{self.sites.density:.8g} amu/Å^{self.dimension}"),
        )
        return Table("Atoms in another participant's continuum", ("what", "how much"), rows)

    def _strained(self, gradient: Array) -> Array:
        return self._places(self.sites.points @ gradient.T)

    def close(self) -> None:
        """Close the engines."""
        self.engine.close()
        self._perfect.close()


def _check_sites(sites: Sites, options: HandshakeAtomsOptions) -> None:
    """Raise unless a coupling can carry the sites, and the continuum's file has those of the region."""
    if sites.dimension < 2:
        raise NotOffered("couplings have meshes in two and three dimensions", todo="take the handshake in one process")
    if sites.basis.max() > 0:
        raise NotOffered(
            "sites with inner displacements would need the continuum's gradient, which is not exchanged",
            todo="take a crystal of one atom a cell, or the handshake in one process",
        )
    try:
        found = read_atoms(options.sites)
    except Exception as error:  # ASE's readers raise anything
        raise AtomsError(f"ASE cannot read the sites {options.sites}: {error}") from error
    assert isinstance(found, Atoms), "one frame was asked for"
    if not _same_sites(found, sites):
        raise CaseError(
            f"{options.sites} has {len(found)} sites, and the region {sites.free}, or others",
            todo="write the file anew from the same crystal and region, by scalespan.bridges.handshake.write_sites",
        )


def _same_sites(found: Atoms, sites: Sites) -> bool:
    if len(found) != sites.free:
        return False
    distance, index = cKDTree(sites.reference[: sites.free]).query(found.positions)
    masses = np.abs(sites.masses[index] - found.get_masses())
    return len(np.unique(index)) == sites.free and float(distance.max()) < _NEAR and float(masses.max()) < _NEAR
