"""How atoms move: the ensemble as options, and ASE's integrators for adapters without their own."""

from __future__ import annotations

import json
from math import ceil
from typing import TYPE_CHECKING, Any, Literal, Self

import numpy as np
import numpy.typing as npt
from ase import Atoms
from ase.constraints import FixAtoms
from pydantic import Field, model_validator

from .data import Array, Indices, State
from .errors import CaseError, NotOffered
from .options import Options
from .units import Frequency, Pressure, Temperature, Time

if TYPE_CHECKING:  # imported where used: they bring all optimisers of SciPy, half a second
    from ase.md.langevin import Langevin
    from ase.md.nose_hoover_chain import NoseHooverChainNVT
    from ase.md.verlet import VelocityVerlet


class Motion(Options):
    """The equations of motion: an ensemble with its numbers."""

    timestep: Time  # of the integrator
    ensemble: Literal["nve", "langevin", "nose-hoover", "npt"] = "nve"  # what is conserved or controlled
    temperature: Temperature | None = None  # all but nve
    friction: Frequency | None = None  # langevin and npt
    damping_time: Time | None = None  # nose-hoover
    pressure: Pressure | None = None  # npt: Langevin with a Monte Carlo barostat
    barostat_interval: int = Field(default=25, gt=0)  # steps between trial boxes
    seed: int = Field(default=1, ge=0)  # of the thermostat's random numbers

    @model_validator(mode="after")
    def _complete(self) -> Self:
        for key in ("timestep", "friction", "damping_time"):
            value = getattr(self, key)
            if value is not None and not value > 0.0:
                raise ValueError(f"{key} must be above zero")
        if self.temperature is not None and self.temperature < 0.0:
            raise ValueError("temperature must not be below zero")
        wanted = {
            "nve": set[str](),
            "langevin": {"temperature", "friction"},
            "nose-hoover": {"temperature", "damping_time"},
            "npt": {"temperature", "friction", "pressure"},
        }[self.ensemble]
        for key in ("temperature", "friction", "damping_time", "pressure"):
            given = getattr(self, key) is not None
            if key in wanted and not given:
                raise ValueError(f"ensemble '{self.ensemble}' needs the key '{key}'")
            if given and key not in wanted:
                raise ValueError(f"ensemble '{self.ensemble}' has no use for the key '{key}'")
        return self


class Dragged(FixAtoms):
    """Atoms that someone else moves: a timestep takes them to ``places`` (k, 3) Å, and their momenta stay zero."""

    def __init__(self, held: Indices, places: Array) -> None:
        super().__init__(indices=held)  # type: ignore[no-untyped-call]
        self.places = places

    def adjust_positions(self, atoms: Atoms, new: Array) -> None:
        """Put the atoms where they are to go; ASE's integrators ask this of a constraint."""
        new[self.index] = self.places


class AseMotion:
    """Moves atoms that carry a calculator by ASE's integrators, and can go back.

    NVE is velocity Verlet; Langevin is Eq. 23 of Vanden-Eijnden and Ciccotti
    (doi:10.1016/j.cplett.2006.07.086); Nosé-Hoover is a chain of three
    (doi:10.1080/00268979600100761).
    """

    def __init__(self, atoms: Atoms, motion: Motion) -> None:
        self.atoms, self.motion = atoms, motion
        self._friction: Array | None = None  # (n, 1) 1/(ASE's time), in place of the motion's
        self._rng = np.random.default_rng(motion.seed)
        self._integrator = self._build()

    def _build(self) -> VelocityVerlet | Langevin | NoseHooverChainNVT:
        from ase.md.langevin import Langevin
        from ase.md.nose_hoover_chain import NoseHooverChainNVT
        from ase.md.verlet import VelocityVerlet

        motion = self.motion
        if motion.ensemble == "nve":
            return VelocityVerlet(self.atoms, motion.timestep)
        if motion.ensemble == "langevin":
            friction: Any = motion.friction if self._friction is None else self._friction  # ASE names numbers only
            return Langevin(
                self.atoms,
                motion.timestep,
                temperature_K=motion.temperature,
                friction=friction,
                fixcm=False,
                rng=self._rng,
            )
        if motion.ensemble == "nose-hoover":
            assert motion.temperature is not None and motion.damping_time is not None, "Motion checks this"
            if self.atoms.constraints:
                raise NotOffered(
                    "ASE's Nosé-Hoover chain takes no fixed atoms", todo="choose the ensemble 'langevin' or 'nve'"
                )
            return NoseHooverChainNVT(
                self.atoms, motion.timestep, temperature_K=motion.temperature, tdamp=motion.damping_time
            )
        raise NotOffered(
            "ensemble 'npt' needs an engine that integrates by itself",
            todo="use openmm as the adapter or as the embedding's low level",
        )

    def advance(self, dt: float) -> None:
        """Move by ``dt`` (ASE's time) in steps of at most the timestep, all of one length."""
        steps = ceil(dt / self.motion.timestep - 1e-9)
        size = dt / steps
        if abs(size / self.motion.timestep - 1.0) > 1e-9:
            if self.motion.ensemble != "nve":
                raise CaseError(
                    f"a thermostat cannot take {dt / self.motion.timestep:g} timesteps",
                    todo="make the coupling window a whole multiple of timestep",
                )
            self._integrator.dt = size
        else:
            self._integrator.dt = self.motion.timestep
        for _ in range(steps):
            self._integrator.step()

    def thermostat(self, atoms: Array) -> None:
        """Let Langevin's friction and noise act on the atoms of a mask (n,) only, from the next timestep on."""
        assert self.motion.friction is not None, "only a motion with friction has a thermostat of each atom"
        self._friction = np.where(atoms, self.motion.friction, 0.0)[:, None]
        self._integrator = self._build()

    def drag(self, held: Indices, places: Array) -> None:
        """Let the next timestep take the fixed atoms ``held`` (k,) to ``places`` (k, 3) Å."""
        mine = set(held.tolist())
        others = [
            each
            for each in self.atoms.constraints
            if not (isinstance(each, FixAtoms) and mine.issuperset(each.get_indices().tolist()))
        ]
        self.atoms.set_constraint([*others, Dragged(held, places)])

    def save(self) -> State:
        """Return positions, momenta, cell, random numbers and thermostat."""
        state: State = {
            "positions": self.atoms.get_positions(),
            "momenta": self.atoms.get_momenta(),
            "cell": self.atoms.cell.array.copy(),
            "rng": _to_bytes(json.dumps(self._rng.bit_generator.state)),
        }
        if self._friction is not None:
            state["friction"] = self._friction.copy()
        if self.motion.ensemble == "nose-hoover":
            chain = self._chain()
            state |= {"eta": chain._eta.copy(), "p_eta": chain._p_eta.copy()}
        return state

    def restore(self, state: State) -> None:
        """Return to a state that `save` gave."""
        self.atoms.set_cell(state["cell"])
        self.atoms.set_positions(state["positions"], apply_constraint=False)
        self.atoms.set_momenta(state["momenta"], apply_constraint=False)
        self._rng.bit_generator.state = json.loads(state["rng"].tobytes())
        self._friction = state["friction"].astype(float) if "friction" in state else None
        self._integrator = self._build()
        if self.motion.ensemble == "nose-hoover":
            chain = self._chain()
            chain._eta[:], chain._p_eta[:] = state["eta"], state["p_eta"]

    def _chain(self) -> Any:
        """Return the chain of thermostats; ASE gives no public way to it."""
        integrator: Any = self._integrator
        return integrator._thermostat


def _to_bytes(text: str) -> npt.NDArray[np.uint8]:
    return np.frombuffer(text.encode(), dtype=np.uint8)
