"""Defects in a strained triangular sheet: all of its atoms, and each method's few, with the error of the strain."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from ase import Atoms
from ase.io import write
from scipy.sparse import coo_array
from scipy.spatial import cKDTree

from scalespan.adapters.interface import Array, ParticleAdapter, Results, Solid
from scalespan.adapters.simplex import SimplexAdapter, SimplexOptions
from scalespan.bridges.blending import BlendedEnergy, BlendingOptions
from scalespan.bridges.bridging_domain import BridgingDomain, BridgingDomainOptions
from scalespan.bridges.force_blending import ForceBlending, ForceBlendingOptions
from scalespan.bridges.handshake import graded_nodes
from scalespan.bridges.run.tasks.relax import Relax
from scalespan.bridges.schwarz import Schwarz, SchwarzOptions

from .crystals import LennardJones, NoOptions, PairEngine, PairLaw, ball, handshake, lengths, spacing, triangle

LJ = LennardJones()
STRAIN = np.array([[1.0, 0.02], [0.0, 1.02]])
DEFECTS = {"vacancy": [0], "crack": [-1, 0, 1]}  # sites along x that are empty
PAD = 3.3  # lattice constants: the cut-off, and some


class Clamped(PairEngine):
    """Pair forces on free atoms among clamped ones; its stiffness is springs between nearest neighbours."""

    Options = NoOptions

    def __init__(self, places, free) -> None:
        super().__init__(LJ)
        self.places, self.free = places.copy(), free

    def _compute(self, atoms, wanted, charges):
        places = self.places.copy()
        places[self.free] = atoms.positions
        found = super()._compute(Atoms(numbers=np.zeros(len(places)), positions=places), wanted, charges)
        return Results(energy=found.energy, forces=found.forces[self.free], components=found.components)

    def preconditioner(self, atoms):
        i, j = cKDTree(self.places).query_pairs(1.3, output_type="ndarray").T
        both, count = np.concatenate([i, j]), len(self.places)
        springs = coo_array((np.full(len(i), -100.0), (i, j)), shape=(count, count)).tocsr()
        springs = springs + springs.T
        springs = springs + coo_array((np.full(len(both), 100.0), (both, both)), shape=(count, count)).tocsr()
        return springs[self.free][:, self.free]


def minimum(
    model: ParticleAdapter, atoms: Atoms, fmax: float = 1e-6, steps: int = 200, optimiser: str = "precon-lbfgs"
) -> tuple[Atoms, int]:
    atoms.calc, counted = model.as_calculator(), []
    relax = Relax(optimiser=optimiser, fmax=f"{fmax} eV/angstrom", max_steps=steps)
    assert relax.to_minimum(atoms, lambda step, memory: counted.append(step))
    return atoms, counted[-1]


def strained(places: Array) -> Array:
    found = places.copy()
    found[:, :2] = places[:, :2] @ STRAIN.T
    return found


class Reference:
    """A rhombus of atoms, clamped outside of ``cells``, with a defect in its middle."""

    def __init__(self, defect: str, cells: int) -> None:
        self.cells, self.cell = cells, triangle(spacing(LJ, triangle))
        self.a = float(self.cell.cell.array[0, 0])
        reach = np.arange(-cells - 3, cells + 4)
        self.indices = np.stack([each.ravel() for each in np.meshgrid(reach, reach, indexing="ij")], axis=1)
        self.empty = [self.cell.cell.array[0] * k for k in DEFECTS[defect]]
        keep = (self.indices[:, 1] != 0) | ~np.isin(self.indices[:, 0], DEFECTS[defect])
        self.indices = self.indices[keep]
        self.places = self.indices @ self.cell.cell.array[:2]
        self.inside = np.abs(self.indices).max(axis=1) < cells
        self.bonds = cKDTree(self.places).query_pairs(1.3, output_type="ndarray")
        self.displacement = self.relaxed(self.inside)

    @property
    def vacancies(self) -> list[list[str]]:
        return [lengths(each[:2]) for each in self.empty]

    def relaxed(self, free: Array) -> Array:
        """Return the displacements (n, 3), beside the uniform strain, of the sheet of which ``free`` (n,) may move."""
        model = Clamped(strained(self.places), np.flatnonzero(free))
        atoms, _ = minimum(model, Atoms(numbers=np.zeros(free.sum()), positions=model.places[free]))
        model.places[free] = atoms.positions
        return model.places - strained(self.places)

    def error(self, displacement: Array) -> float:
        """Return the root mean square error of neighbours' strains over that of the defect's own.

        The ``largest`` of the errors is kept.
        """
        i, j = self.bonds.T
        missed, whole = displacement - self.displacement, self.displacement
        self.largest = float(np.linalg.norm(missed[i] - missed[j], axis=1).max() / self.a)
        return float(np.linalg.norm(missed[i] - missed[j]) / np.linalg.norm(whole[i] - whole[j]))

    def error_of(self, solid: Solid, field: Array, before: Array, after: Array) -> float:
        """Return the error of nodes' displacements ``field`` (k, 2), and of atoms that went from ``before`` (m, 3)."""
        inside = np.abs(self.indices).max(axis=1) <= self.cells
        found, points = np.zeros_like(self.places), self.places[inside, :2]
        found[inside, :2] = solid.interpolation(points) @ field - points @ (STRAIN - np.eye(2)).T
        _, which = cKDTree(strained(self.places)).query(before)
        found[which] = after - before
        return self.error(found)


def rate(points: list[tuple[int, float]]) -> float:
    """Return the exponent of the unknowns by which the error falls."""
    unknowns, errors = np.array(points).T
    return float(np.polyfit(np.log(unknowns), np.log(errors), 1)[0])


# ---- the methods: unknowns and error of each, with atoms up to ``radius`` lattice constants ----


def truncated(folder: Path, reference: Reference, radius: float) -> tuple[int, float]:
    free = np.linalg.norm(reference.places, axis=1) < radius * reference.a
    return int(free.sum()), reference.error(reference.relaxed(free))


def joined(folder: Path, reference: Reference, radius: float) -> tuple[int, float]:
    """Return those of the handshake."""
    mesh = nodes_file(folder, reference, radius + PAD)
    more = {"vacancies": reference.vacancies, "deformation": STRAIN.tolist()}
    model = handshake(folder, reference.cell, LJ, mesh, region=disc(reference, radius), **more)
    return settled(reference, model)


def by_forces(folder: Path, reference: Reference, radius: float) -> tuple[int, float]:
    """Return those of blended forces, BQCF, in a layer as wide as the atoms' radius."""
    table = table_of(reference, radius) | {
        "layer": f"{radius * reference.a!r} angstrom",
        "pad": f"{radius * reference.a + LJ.cutoff + 0.3!r} angstrom",
        "vacancies": reference.vacancies,
    }
    body = body_of(folder, reference, 2.0 * radius)
    options = ForceBlendingOptions.read(table, folder=folder)
    return settled(reference, ForceBlending(options, atoms=PairEngine(LJ), continuum=body))


def by_turns(folder: Path, reference: Reference, radius: float) -> tuple[int, float]:
    """Return those of Schwarz's method."""
    table = table_of(reference, radius) | {"overlap": f"{1.5 * reference.a!r} angstrom"}
    body = body_of(folder, reference, radius + PAD)
    options = SchwarzOptions.read(table | {"vacancies": reference.vacancies}, folder=folder)
    return settled(reference, Schwarz(options, atoms=PairEngine(LJ), continuum=body), "anderson")


def settled(reference: Reference, model, optimiser: str = "precon-lbfgs") -> tuple[int, float]:
    atoms, _ = minimum(model, model.initial_atoms(), optimiser=optimiser)
    start, free = model.initial_atoms().positions, model.free
    field = model.displacement(atoms.positions)
    return len(atoms), reference.error_of(model.solid, field, start[:free], atoms.positions[:free])


def by_weights(
    folder: Path, reference: Reference, radius: float, width: float, shape: str = "cubic", correction: str = "none"
) -> tuple[int, float]:
    """Return those of blended energies, with a blend ``width`` lattice constants wide; 0 is the sharp joint."""
    table = table_of(reference, radius) | {
        "width": f"{width * reference.a!r} angstrom",
        "shape": shape,
        "correction": correction,
        "vacancies": reference.vacancies,
    }
    body = body_of(folder, reference, radius + width)
    parts = {"atoms": PairEngine(LJ), "perfect": PairEngine(LJ), "continuum": body}
    model = BlendedEnergy(BlendingOptions.read(table, folder=folder), **parts)
    return faded(reference, model)


def tied(folder: Path, reference: Reference, radius: float, width: float, shape: str = "linear") -> tuple[int, float]:
    """Return those of the bridging domain, on a mesh twice as coarse as the lattice."""
    table = table_of(reference, radius) | {"width": f"{width * reference.a!r} angstrom", "shape": shape}
    body = body_of(folder, reference, radius + width, 2)
    options = BridgingDomainOptions.read(table | {"vacancies": reference.vacancies}, folder=folder)
    model = BridgingDomain(options, atoms=PairEngine(LJ), continuum=body)
    unknowns, error = faded(reference, model)
    return unknowns - model.initial_atoms().constraints[0].matrix.shape[0], error


def faded(reference: Reference, model) -> tuple[int, float]:
    start = model.initial_atoms()
    atoms, _ = minimum(model, model.initial_atoms())
    field = model.displacement(atoms.positions)
    known = np.flatnonzero(model.layout.fade[model.blend.present] < 0.5)  # farther out, the mesh tells
    return len(atoms), reference.error_of(model.layout.solid, field, start.positions[known], atoms.positions[known])


def table_of(reference: Reference, radius: float) -> dict:
    table = {"region": disc(reference, radius), "pad": f"{LJ.cutoff + 0.3!r} angstrom"}
    return table | {"crystal": "crystal.extxyz", "deformation": STRAIN.tolist()}


def disc(reference: Reference, radius: float) -> dict:
    return ball(radius * reference.a, 2)


def nodes_file(folder: Path, reference: Reference, fine: float, step: int = 1) -> dict:
    """Write nodes: every ``step``-th of the lattice up to ``fine`` lattice constants, ever fewer beyond."""
    np.savetxt(
        folder / "nodes.txt", graded_nodes(triangle(step * reference.a), fine * reference.a, reference.cells // step)
    )
    return {"file": "nodes.txt"}


def body_of(folder: Path, reference: Reference, fine: float, step: int = 1) -> SimplexAdapter:
    write(folder / "crystal.extxyz", reference.cell)
    mesh = {"timestep": "1 fs"} | nodes_file(folder, reference, fine, step)
    return SimplexAdapter(SimplexOptions.read(mesh, folder=folder), law=PairLaw(LJ, reference.cell))
