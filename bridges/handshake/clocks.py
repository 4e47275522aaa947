"""How long a step may be: half the shortest period of the atoms for the continuum's, 2/ω for the atoms' own.

A force that acts once in a step Δt, as in r-RESPA and across a coupling's windows, is in resonance where it is
half that period: Δt ≤ π/ω (T. Schlick, M. Mandziuk, R. D. Skeel and K. Srinivas 1998, doi:10.1006/jcph.1998.5879).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np

from scalespan.adapters.interface import JOINT, Array, CaseError, Motion, NotOffered, Paced, Table, node_frequency
from scalespan.adapters.interface.units import FEMTOSECOND

from .probe import reflection_table

if TYPE_CHECKING:
    from .handshake import Handshake

_SHIFT = 1e-4  # Å, of a finite difference of forces
_WHOLE = 1e-9  # relative, of a multiple
_TOLERANCE = 1e-3  # relative, of ω²


def highest_frequency(forces: Callable[[Array], Array], positions: Array, masses: Array) -> float:
    """Return the highest frequency (1/ASE's time) of atoms about ``positions``, by Lanczos's method.

    Args:
        forces: eV/Å (n, 3) at positions (n, 3) Å; asked twice for each of some ten to forty vectors.
        positions: (n, 3) Å.
        masses: (n,) amu.
    """
    from scipy.sparse.linalg import LinearOperator, eigsh

    weights = np.repeat(1.0 / np.sqrt(masses), 3)

    def apply(moved: Array) -> Array:
        way = (weights * moved.ravel()).reshape(-1, 3)
        size = _SHIFT / float(np.abs(way).max())
        pull = forces(positions - size * way) - forces(positions + size * way)
        return np.asarray(weights * pull.ravel() / (2.0 * size))

    start = np.random.default_rng(1).standard_normal(positions.size)
    operator = LinearOperator((positions.size,) * 2, matvec=apply, dtype=float)
    largest = eigsh(operator, k=1, which="LA", v0=start, tol=_TOLERANCE, return_eigenvectors=False)[0]
    return float(np.sqrt(max(float(largest), 0.0)))


def motion_tables(handshake: Handshake, motion: Motion) -> list[Table]:
    """Return how long the steps of a motion may be, and what comes back from the joint.

    Raises:
        NotOffered: another ensemble than "nve".
        CaseError: a step that is too long, and the options do not allow that; steps that do not fit each other.
    """
    check_ensemble(motion)
    longer = whole_multiple(handshake.options.continuum_step, motion.timestep) * motion.timestep
    table, paced = _clock_table(handshake, motion.timestep, longer), handshake.engine.paced(motion.timestep)
    if paced is not None:
        check_interval(paced, round(longer / motion.timestep))
        row = (f"interval of {paced.name}", f"{paced.steps * motion.timestep / FEMTOSECOND:.4g} fs")
        table = Table(table.title, table.columns, (*table.rows, row))
    return [table, reflection_table(handshake)]


def check_interval(paced: Paced, every: int) -> None:
    """Check an engine's interval beside the continuum's step of ``every`` timesteps.

    Raises:
        CaseError: it is no whole multiple.
    """
    if paced.steps % every:
        raise CaseError(
            f"the interval of {paced.name} has {paced.steps} timesteps, and the continuum's step {every}",
            todo="make the interval a whole multiple of continuum_step",
        )


def _clock_table(handshake: Handshake, step: float, longer: float) -> Table:
    beyond = handshake.options.beyond_limit
    table = check_clocks(_of_atoms(handshake), step, longer, "the continuum's step", beyond)
    if longer == step:
        return table
    displacement = handshake.displacement(handshake.initial_atoms().positions)
    product = longer * node_frequency(handshake.solid, handshake.extension, displacement)
    if product > JOINT and not beyond:
        raise CaseError(
            f"Δt·ω of the continuum is {product:.3g}, and beside atoms at most {JOINT}",
            todo="take a shorter continuum_step or larger cells, or say beyond_limit = true",
        )
    row = (f"Δt·ω of the continuum, at most {JOINT}", f"{product:.3g}")
    return Table(table.title, table.columns, (*table.rows, row))


def _of_atoms(handshake: Handshake) -> float:
    """Return the atoms' highest frequency where they are at the start."""
    start, free = handshake.initial_atoms(), handshake.free

    def forces(places: Array) -> Array:
        found: Array = np.asarray(handshake.fast(np.concatenate([places, start.positions[free:]])).forces)[:free]
        return found

    with handshake.clusters.asking(handshake.engine.surroundings()):  # a better engine is too dear to be asked so often
        return highest_frequency(forces, start.positions[:free], start.get_masses()[:free])


def check_ensemble(motion: Motion) -> None:
    """Raise NotOffered for another ensemble than "nve"."""
    if motion.ensemble != "nve":
        raise NotOffered(
            f"a handshake does not move in the ensemble '{motion.ensemble}'",
            todo='take "nve", and [model.thermostat] for a bath around the core',
        )


def whole_multiple(longer: float | None, step: float) -> int:
    """Return how many timesteps the continuum's step has; 1 where it has none of its own.

    Raises:
        CaseError: no whole number.
    """
    if longer is None:
        return 1
    count = round(longer / step)
    if count < 1 or abs(longer / step - count) > _WHOLE * count:
        raise CaseError(
            f"continuum_step is {longer / step:g} times the timestep", todo="make it a whole multiple of the timestep"
        )
    return count


def check_clocks(frequency: float, timestep: float | None, longer: float, what: str, beyond: bool) -> Table:
    """Return how long the steps are beside their limits.

    Args:
        frequency: the atoms' highest, 1/ASE's time.
        timestep: of the atoms, ASE's time; None where it is not known.
        longer: the continuum's step or the window, ASE's time.
        what: its name.
        beyond: let it be above its limit.

    Raises:
        CaseError: a step above its limit.
    """
    longest = np.pi / frequency
    if timestep is not None and timestep * frequency >= 2.0:
        raise CaseError(
            f"the atoms' timestep of {timestep / FEMTOSECOND:.4g} fs is above what velocity Verlet can do",
            todo=f"take one below {1.0 / frequency / FEMTOSECOND:.3g} fs",
        )
    if longer > longest * (1.0 + _TOLERANCE) and not beyond:
        raise CaseError(
            f"{what} of {longer / FEMTOSECOND:.4g} fs is longer than half the atoms' shortest period, "
            f"{longest / FEMTOSECOND:.4g} fs: energy would grow",
            todo="take a shorter one, or say beyond_limit = true",
        )
    rows = [
        ("half the atoms' shortest period", f"{longest / FEMTOSECOND:.4g} fs"),
        (what, f"{longer / FEMTOSECOND:.4g} fs"),
    ]
    if timestep is not None:
        rows.append(("atoms' timestep", f"{timestep / FEMTOSECOND:.4g} fs, Δt·ω = {timestep * frequency:.3g}"))
    return Table("Clocks", ("what", "how long"), tuple(rows))
