"""Optimisers: ASE's and geomeTRIC, step by step, with their memory for a restart."""

from __future__ import annotations

import logging
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal

import numpy as np
from ase import Atoms
from ase.constraints import FixAtoms
from ase.io.jsonio import encode
from ase.optimize import BFGS, FIRE, LBFGS, BFGSLineSearch
from pydantic import Field
from scipy.sparse import block_array, csr_array, vstack
from scipy.sparse.linalg import LinearOperator, splu

from scalespan.adapters.interface import Array, EngineFailed, EngineMissing, NotOffered, Options, ParticleAdapter, State
from scalespan.adapters.interface.units import BOHR, HARTREE, Force

_ASE = {"bfgs": BFGS, "bfgs-line-search": BFGSLineSearch, "lbfgs": LBFGS, "precon-lbfgs": LBFGS, "fire": FIRE}

_BY_ENERGY = {"bfgs-line-search", "geometric"}

_REMEMBERED = 12  # passes
_SAME_DIRECTION = 1e-12  # relative: differences of residuals below it tell nothing

# Hears of each geometry that has been computed, with the number of steps made and what the
# optimiser remembers, to be called only where it is to be saved.
Heard = Callable[[int, Callable[[], State]], None]


class Relax(Options):
    """How to find the nearest minimum."""

    optimiser: Literal[
        "bfgs", "bfgs-line-search", "lbfgs", "precon-lbfgs", "fire", "geometric", "sweeps", "anderson"
    ] = "lbfgs"
    fmax: Force  # the longest force on an atom that moves, at the end
    max_steps: int = Field(default=500, gt=0)

    def check_model(self, model: ParticleAdapter, where: str) -> None:
        """Raise NotOffered where the optimiser compares energies, and the forces are not their gradient."""
        if not model.conservative and self.optimiser in _BY_ENERGY:
            raise NotOffered(
                f"the forces of {model.name} are no gradient of its energy, and {self.optimiser} compares energies",
                where=where,
                todo="choose an optimiser that goes by forces alone: lbfgs, bfgs or fire",
            )

    def to_minimum(self, atoms: Atoms, heard: Heard, memory: State | None = None) -> bool:
        """Move ``atoms``, which carry a calculator and constraints, downhill; return whether `fmax` was reached.

        Args:
            atoms: moved in place.
            heard: called for every step, the start included unless there is a memory.
            memory: what ``heard`` was given when the optimiser was interrupted here.

        Raises:
            EngineMissing: no geomeTRIC.
            EngineFailed: the optimiser gave up.
            NotOffered: precon-lbfgs, and the model knows no stiffness; sweeps or anderson, and it does not alternate.
        """
        if self.optimiser == "geometric":
            _geometric(self, atoms, heard)
        elif self.optimiser in ("sweeps", "anderson"):
            _sweep(self, atoms, heard, memory)
        else:
            _ase(self, atoms, heard, memory)
        return longest_force(atoms) <= self.fmax


def longest_force(atoms: Atoms) -> float:
    """Return the longest force (eV/Å) on an atom, constraints applied."""
    return float(np.linalg.norm(atoms.get_forces(), axis=1).max())


def _ase(relax: Relax, atoms: Atoms, heard: Heard, memory: State | None) -> None:
    done = int(memory["steps"]) if memory else 0
    optimiser = _remembering(relax, atoms, memory)
    if relax.optimiser == "precon-lbfgs":
        getattr(optimiser, "state", optimiser).H0 = _soft_first(atoms)  # its place depends on ASE's version
    kept: dict[str, Any] = {}
    optimiser.dump = lambda data: kept.update(data=data)  # ASE would write a file at each step

    def save() -> State:
        text = encode(kept["data"]) if kept else ""
        return {"steps": np.array(done + optimiser.nsteps), "optimiser": np.frombuffer(text.encode(), np.uint8)}

    for _ in optimiser.irun(fmax=relax.fmax, steps=relax.max_steps - done):
        if optimiser.nsteps > 0 or memory is None:
            heard(done + optimiser.nsteps, save)


def _remembering(relax: Relax, atoms: Atoms, memory: State | None) -> Any:
    make = _ASE[relax.optimiser]
    if memory is None or not memory["optimiser"].size:
        return make(atoms, logfile=None)
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "optimiser.json"
        file.write_bytes(memory["optimiser"].tobytes())
        return make(atoms, logfile=None, restart=file)


def _sweep(relax: Relax, atoms: Atoms, heard: Heard, memory: State | None) -> None:
    """Let the model alternate between its parts, x ← g(x), which ``anderson`` accelerates.

    D. G. Anderson, J. ACM 12, 547 (1965), doi:10.1145/321296.321305; in coupling, IQN-ILS: the residuals r = g(x) − x
    of the last passes are combined to their least, x ← g − Σ γ_k Δg_k with min |r − Σ γ_k Δr_k|.
    """
    if atoms.constraints:
        raise NotOffered("a model that alternates between parts moves all its atoms", todo="freeze none")
    steps = int(memory["steps"]) if memory else 0
    inputs = list(memory["inputs"]) if memory else []
    outputs = list(memory["outputs"]) if memory else []

    def save() -> State:
        return {"steps": np.array(steps), "inputs": np.array(inputs), "outputs": np.array(outputs)}

    while steps == 0 or (longest_force(atoms) > relax.fmax and steps < relax.max_steps):
        if steps == 0:
            heard(0, save)
        inputs = [*inputs, atoms.get_positions()][-_REMEMBERED:]
        outputs = [*outputs, atoms.calc.adapter.sweep(inputs[-1])][-_REMEMBERED:]
        steps += 1
        atoms.set_positions(_accelerated(inputs, outputs) if relax.optimiser == "anderson" else outputs[-1])
        heard(steps, save)


def _accelerated(inputs: list[Array], outputs: list[Array]) -> Array:
    residuals = np.array(outputs).reshape(len(outputs), -1) - np.array(inputs).reshape(len(inputs), -1)
    if len(outputs) == 1:
        return outputs[-1]
    weights, *_ = np.linalg.lstsq(np.diff(residuals, axis=0).T, residuals[-1], rcond=_SAME_DIRECTION)
    found: Array = outputs[-1] - np.tensordot(weights, np.diff(np.array(outputs), axis=0), axes=1)
    return found


def _soft_first(atoms: Atoms) -> LinearOperator:
    """Return P⁻¹ of the model's stiffness, in place of the number with which L-BFGS begins.

    Steps keep linear ties C u = 0 of the model's own, which its constraints show as `matrix`: (P Cᵀ; C 0).
    ASE's PreconLBFGS would line-search by the energy, which cannot tell steps in its last digits.
    """
    tied = [each for each in atoms.constraints if hasattr(each, "matrix")]
    frozen = [i for each in atoms.constraints if each not in tied for i in each.get_indices()]
    free = np.setdiff1d(np.arange(len(atoms)), frozen)
    matrix = atoms.calc.adapter.preconditioner(atoms)[free][:, free]
    if tied:
        ties = vstack([csr_array(each.matrix[:, free]) for each in tied])
        matrix = block_array([[matrix, ties.T], [ties, None]])
    solver = splu(matrix.tocsc())

    def solve(forces: Array) -> Array:
        found, given = np.zeros((len(atoms), 3)), np.zeros((matrix.shape[0], 3))
        given[: len(free)] = forces.reshape(-1, 3)[free]
        found[free] = solver.solve(given)[: len(free)]
        return found.ravel()

    return LinearOperator((3 * len(atoms),) * 2, matvec=solve, dtype=np.float64)


def _geometric(relax: Relax, atoms: Atoms, heard: Heard) -> None:
    """Let geomeTRIC (doi:10.1063/1.4952956) move the atoms in its own coordinates.

    It sees only the atoms that move, so that frozen ones stay exactly and cost nothing.
    """
    try:
        from geometric.errors import Error, GeomOptNotConvergedError
        from geometric.internal import DelocalizedInternalCoordinates
        from geometric.optimize import Optimize
        from geometric.params import OptParams
    except ModuleNotFoundError as error:
        raise EngineMissing.named("geometric", "pip install 'scalespan[optimise]'") from error
    moving = _moving(atoms)
    molecule, engine = _engine(atoms, moving, heard)
    force = relax.fmax * BOHR / HARTREE
    parameters = OptParams(
        convergence_gmax=force,
        convergence_grms=force,
        convergence_energy=np.inf,
        convergence_drms=np.inf,
        convergence_dmax=np.inf,
        maxiter=relax.max_steps,
        subfrctor=0,  # the atoms may feel frozen ones, or a field
    )
    try:
        with tempfile.TemporaryDirectory() as folder:
            internal = DelocalizedInternalCoordinates(molecule, build=True, connect=False, addcart=False)
            start = molecule.xyzs[0].flatten() / BOHR
            path = Optimize(start, molecule, internal, engine, folder, parameters, print_info=False)
            atoms.positions[moving] = path.xyzs[-1]
    except GeomOptNotConvergedError:
        return  # the forces tell
    except (Error, RuntimeError, np.linalg.LinAlgError) as error:  # it raises bare RuntimeErrors, too
        raise EngineFailed(f"geomeTRIC gave up: {error}", todo="try another optimiser, such as lbfgs") from error


def _engine(atoms: Atoms, moving: list[int], heard: Heard) -> tuple[Any, Any]:
    from geometric.ase_engine import EngineASE
    from geometric.molecule import Molecule

    class Listening(EngineASE):  # type: ignore[misc]  # geomeTRIC is untyped
        """Moves our atoms, with their cell, and tells of each evaluation."""

        evaluations = -1

        def update_atoms(self, coords: Array) -> None:
            atoms.positions[moving] = coords.reshape(-1, 3) * BOHR

        def calc_new(self, coords: Array, dirname: str) -> dict[str, Any]:
            self.update_atoms(coords)
            energy, forces = atoms.get_potential_energy(), atoms.get_forces(apply_constraint=False)
            self.evaluations += 1
            heard(self.evaluations, dict)
            return {"energy": energy / HARTREE, "gradient": -forces[moving].flatten() * BOHR / HARTREE}

    logging.getLogger("geometric.nifty").setLevel(logging.WARNING)  # its own steps, in colour
    molecule = Molecule()
    molecule.elem = [atoms.symbols[i] for i in moving]
    molecule.xyzs = [atoms.positions[moving]]
    molecule.comms = [""]
    molecule.build_topology()
    return molecule, Listening(molecule, atoms.calc)


def _moving(atoms: Atoms) -> list[int]:
    if any(not isinstance(each, FixAtoms) for each in atoms.constraints):
        raise NotOffered("geomeTRIC takes only frozen atoms here", todo="use one of ASE's optimisers")
    frozen = {int(i) for each in atoms.constraints for i in each.get_indices()}
    moving = [i for i in range(len(atoms)) if i not in frozen]
    if len(moving) < 2:
        raise NotOffered("geomeTRIC needs at least two atoms that move", todo="use one of ASE's optimisers")
    return moving
