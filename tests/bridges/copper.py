"""Copper by LAMMPS: Zhou's embedded atoms as a table of ours, all atoms of a crystal, a handshake in the same body."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from time import perf_counter

import numpy as np
from ase import Atoms
from scipy.sparse import coo_array, csr_array
from scipy.spatial import cKDTree

from scalespan.adapters.interface import Array, Options, ParticleAdapter, Quantity, Results
from scalespan.adapters.lammps import LAMMPSAdapter, LAMMPSOptions
from scalespan.adapters.simplex import SimplexAdapter, SimplexOptions
from scalespan.bridges.cauchy_born import CauchyBorn, CauchyBornOptions, elastic_constants, unstressed
from scalespan.bridges.handshake import Handshake, HandshakeOptions, graded_nodes
from scalespan.bridges.run.tasks.relax import Relax

from .crystals import ball, lengths
from .potentials import Zhou

INNER, CUTOFF = 5.2, 5.6  # Å, between the fourth and the fifth shell: where the functions are switched off
_ROWS, _MOST = 5000, 60.0  # of the table; the largest density, of which a perfect crystal's atoms have 21.2


def switched(r: Array) -> Array:
    """Return 1 up to `INNER` and 0 from `CUTOFF`, with two continuous derivatives."""
    x = np.clip((r - INNER) / (CUTOFF - INNER), 0.0, 1.0)
    return np.asarray(1.0 - x**3 * (10.0 - 15.0 * x + 6.0 * x**2))


def write_setfl(file: Path, symbol: str, number: int, mass: float) -> None:
    """Write one element's published functions as LAMMPS and ASE read them: F(ρ), then the density, then r φ(r)."""
    functions, r, rho = Zhou(symbol), np.linspace(0.0, CUTOFF, _ROWS), np.linspace(0.0, _MOST, _ROWS)
    head = f"{_ROWS} {rho[1]:.17g} {_ROWS} {r[1]:.17g} {CUTOFF}\n{number} {mass} 3.615 fcc\n"
    columns = (functions.embedding(rho), switched(r) * functions.density(r), r * switched(r) * functions.phi(r))
    body = "\n".join(f"{value:.17g}" for column in columns for value in column)
    file.write_text(
        f"Zhou, Johnson and Wadley (2004)\nswitched off from {INNER} to {CUTOFF} A\n\n1 {symbol}\n{head}{body}\n"
    )


def engine(folder: Path) -> LAMMPSAdapter:
    """Return LAMMPS with copper's table."""
    write_setfl(folder / "Cu.eam.alloy", "Cu", 29, 63.546)
    table = {
        "elements": ["Cu"],
        "interaction": ["pair_style eam/alloy", "pair_coeff * * Cu.eam.alloy Cu"],
        "files": ["Cu.eam.alloy"],
    }
    return LAMMPSAdapter(LAMMPSOptions.read(table, folder=folder))


def law(copper: ParticleAdapter, strain: float = 0.02) -> CauchyBorn:
    """Return the law of the unstressed crystal, a polynomial up to a ``strain``."""
    crystal = {"symbol": "Cu", "structure": "fcc", "a": "3.615 angstrom"}
    free = unstressed(CauchyBorn(CauchyBornOptions.read({"crystal": crystal}), copper))
    crystal["a"] = f"{float(np.linalg.det(free.cell.array) * 4.0) ** (1.0 / 3.0)!r} angstrom"
    table = {"crystal": crystal, "law": "polynomial", "polynomial": {"strain": strain, "error": 1e-3}}
    return CauchyBorn(CauchyBornOptions.read(table), copper)


class Clamped(ParticleAdapter):
    """Free atoms among atoms at rest, in a periodic box; its stiffness is the handshake's springs."""

    name = "clamped"
    Options = Options

    def __init__(self, copper: ParticleAdapter, whole: Atoms, free: Array, spring: float) -> None:
        self.copper, self.whole, self.free, self.spring = copper, whole, np.flatnonzero(free), spring

    def initial_atoms(self) -> Atoms:
        return Atoms(self.whole.numbers[self.free], self.whole.positions[self.free])

    def _compute(self, atoms, wanted, charges):
        self.whole.positions[self.free] = atoms.positions
        found = self.copper.compute(self.whole, wanted)
        return Results(energy=found.energy, forces=found.forces[self.free], components={"atoms": found.energy})

    def preconditioner(self, atoms: Atoms) -> csr_array:
        i, j = cKDTree(self.whole.positions).query_pairs(3.0, output_type="ndarray").T
        count, both = len(self.whole), np.concatenate([i, j])
        springs = coo_array((np.full(len(i), -self.spring), (i, j)), shape=(count, count)).tocsr()
        springs = springs + springs.T + coo_array((np.full(len(both), self.spring), (both, both)), shape=(count, count))
        return springs.tocsr()[self.free][:, self.free]


def clamped(copper: ParticleAdapter, material: CauchyBorn, cells: int, empty: bool) -> Clamped:
    """Return all atoms of a rhombohedron of 2 ``cells``, at rest from its surface outwards, one of them ``empty``.

    The box is periodic, and wider by atoms at rest than forces reach: no surface, and no image is felt.
    """
    crystal = material.crystal.atoms
    apart = crystal.get_volume() / float(np.linalg.norm(np.cross(*crystal.cell.array[:2])))  # lattice planes
    wider = int(np.ceil(CUTOFF / apart))
    whole = crystal.repeat(2 * (cells + wider))
    whole.positions -= (cells + wider) * crystal.cell.array.sum(axis=0)
    if empty:
        del whole[int(np.argmin(np.linalg.norm(whole.positions, axis=1)))]
    free = np.abs(whole.positions @ np.linalg.inv(crystal.cell.array)).max(axis=1) < cells - 1e-6
    c, nearest = elastic_constants(material), np.linalg.norm(crystal.cell.array[0])
    modulus = 2.0 * (c[0, 0] + 2.0 * c[3, 3]) / 3.0  # the handshake's, above the mean by its factor of 2
    return Clamped(copper, whole, free, 2.0 * 3.0 * modulus * crystal.get_volume() / (12.0 * nearest**2))


def joined(folder: Path, copper: ParticleAdapter, material: CauchyBorn, mesh: dict, **region) -> Handshake:
    """Return a handshake of copper in a body of simplices, with pads of twice the cut-off."""
    body = SimplexAdapter(SimplexOptions.read({"timestep": "1 fs"} | mesh, folder=folder), law=material)
    table = {"pad": f"{2.0 * CUTOFF} angstrom"} | region
    return Handshake(HandshakeOptions.read(table, folder=folder), atoms=copper, continuum=body)


class Run:
    """A relaxation to 1e-4 eV/Å: its atoms, the energies (eV) before and after, steps, and wall time (s)."""

    def __init__(self, model: ParticleAdapter, optimiser: str) -> None:
        self.atoms, steps = model.initial_atoms(), []
        self.atoms.calc = model.as_calculator()
        self.before = self.atoms.get_potential_energy()
        begin = perf_counter()
        relax = Relax.read({"optimiser": optimiser, "fmax": "1e-4 eV/angstrom"})
        assert relax.to_minimum(self.atoms, lambda step, memory: steps.append(step))
        self.seconds, self.steps = perf_counter() - begin, steps[-1]
        self.after = self.atoms.get_potential_energy()


@dataclass(frozen=True)
class Vacancy:
    """What is known of a relaxed vacancy."""

    run: Run
    perfect: float  # eV: the formation energy is E − perfect
    places: Array  # (n, 3) Å, of all the crystal's free atoms
    displacement: Array  # (n, 3) Å

    @property
    def unknowns(self) -> int:
        """Atoms and nodes that move."""
        return len(self.run.atoms)

    @property
    def energy(self) -> float:
        """Of formation, eV: E − E(perfect) + E(perfect) / N."""
        return float(self.run.after - self.perfect)

    @property
    def unrelaxed(self) -> float:
        """With all atoms on their sites, eV."""
        return float(self.run.before - self.perfect)


def full_vacancy(copper: LAMMPSAdapter, material: CauchyBorn, cells: int, optimiser: str = "precon-lbfgs") -> Vacancy:
    """Relax the vacancy among all atoms of the body."""
    model = clamped(copper, material, cells, True)
    places = model.initial_atoms().positions
    # Of as many atoms, because a sum over a hundred thousand loses 1e-4 eV, the same in both.
    perfect = energy(copper, clamped(copper, material, cells, False).whole)
    run = Run(model, optimiser)
    return Vacancy(run, perfect - energy(copper, material.crystal.atoms), places, run.atoms.positions - places)


def joined_vacancy(
    folder: Path, copper: LAMMPSAdapter, material: CauchyBorn, cells: int, radius: float, fine: float
) -> Vacancy:
    """Relax it in a handshake in the same body: atoms up to ``radius``, all sites as nodes up to 1.5 ``fine``, Å."""
    np.savetxt(folder / "nodes.txt", graded_nodes(material.crystal.atoms, fine, cells))
    empty = [lengths([0.0, 0.0, 0.0])]
    model = joined(folder, copper, material, {"file": "nodes.txt"}, region=ball(radius, 3), vacancies=empty)
    places = clamped(copper, material, cells, True).initial_atoms().positions
    start = model.initial_atoms().positions[: model.free]
    run = Run(model, "precon-lbfgs")
    displacement = model.solid.interpolation(places) @ model.displacement(run.atoms.positions)
    _, which = cKDTree(places).query(start)
    displacement[which] = run.atoms.positions[: model.free] - start
    perfect, _ = model.solid.elastic(np.zeros_like(model.solid.nodes))
    return Vacancy(run, perfect - energy(copper, material.crystal.atoms), places, displacement)


def energy(copper: LAMMPSAdapter, atoms: Atoms) -> float:
    return float(copper.compute(atoms, {Quantity.ENERGY}).need(Quantity.ENERGY))
