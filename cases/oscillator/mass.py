"""One of two masses on three springs: the smallest participant, to read before writing another.

m ü = −(k_wall + k_middle) u + k_middle u_other, with u_other from the partner at any time of the step.
"""

from __future__ import annotations

from collections.abc import Mapping
from math import pi
from typing import Literal

import numpy as np
from pydantic import Field as Number
from scipy.linalg import eigh

from scalespan.adapters.interface import Array, Options, State
from scalespan.bridges.interface import Bridge, Exchange, Field, Mesh, Read


class MassOptions(Options):
    side: Literal["Left", "Right"]
    integrator: Literal["velocity-verlet", "newmark", "rk4"] = "rk4"
    step: float = Number(gt=0.0)  # s; a window takes as many as it needs
    mass: float = Number(1.0, gt=0.0)  # kg, of each mass
    wall: float = Number(4.0 * pi**2, gt=0.0)  # N/m, of the spring to the wall, left and right
    middle: float = Number(16.0 * pi**2, gt=0.0)  # N/m, of the spring between the masses
    displacements: tuple[float, float] = (1.0, 0.0)  # m at the start, left and right
    velocities: tuple[float, float] = (0.0, 0.0)  # m/s at the start, left and right


class Mass(Bridge):
    """A mass that hangs on a wall and on its partner."""

    name = "mass"
    Options = MassOptions
    time_unit = "s"

    def __init__(self, options: MassOptions) -> None:
        self.options, self.index = options, ("Left", "Right").index(options.side)
        other = ("Right", "Left")[self.index]
        mesh = f"Mass-{options.side}-Mesh"
        self.mine = Field(f"Displacement-{options.side}", mesh, "m", 1)
        self.other = Field(f"Displacement-{other}", mesh, "m", 1)
        wall, middle = options.wall, options.middle
        # The normal modes of both masses, against which the error is taken.
        self.squares, self.modes = eigh(np.array([[wall + middle, -middle], [-middle, wall + middle]]) / options.mass)
        # Displacement, velocity, time, and the largest error so far: all that a step depends on.
        self.state = np.array([options.displacements[self.index], options.velocities[self.index], 0.0, 0.0])

    @property
    def exchange(self) -> Exchange:
        return Exchange((self.other,), (self.mine,), {self.mine.mesh: Mesh(np.zeros((1, 2)))})

    @property
    def longest_step(self) -> float:
        return self.options.step

    def receive(self, read: Read) -> None:
        self.read = read

    def write(self, field: Field) -> Array:
        return self.state[:1].reshape(1, 1)

    def advance(self, dt: float) -> None:
        steps = {"velocity-verlet": self.verlet, "newmark": self.newmark, "rk4": self.rk4}
        u, v = steps[self.options.integrator](*self.state[:2], dt)
        time = self.state[2] + dt
        self.state = np.array([u, v, time, max(self.state[3], abs(u - self.exact(time)))])

    def save(self) -> State:
        return {"mass": self.state.copy()}

    def restore(self, state: State) -> None:
        self.state = np.array(state["mass"])

    def observe(self) -> Mapping[str, float]:
        u, v, time, error = self.state.tolist()
        return {"displacement/m": u, "velocity/m/s": v, "error/m": u - self.exact(time), "largest_error/m": error}

    def exact(self, time: float) -> float:
        """Return the displacement by the normal modes."""
        angles = np.sqrt(self.squares) * time
        u, v = self.modes.T @ self.options.displacements, self.modes.T @ self.options.velocities
        return float(self.modes[self.index] @ (u * np.cos(angles) + v * time * np.sinc(angles / pi)))

    def acceleration(self, u: float, at: float) -> float:
        other = float(self.read(self.other, at)[0, 0])
        return (self.options.middle * (other - u) - self.options.wall * u) / self.options.mass

    def verlet(self, u: float, v: float, dt: float) -> tuple[float, float]:
        """Velocity Verlet (doi:10.1063/1.442716)."""
        before = self.acceleration(u, 0.0)
        u += dt * v + 0.5 * dt**2 * before
        return u, v + 0.5 * dt * (before + self.acceleration(u, dt))

    def newmark(self, u: float, v: float, dt: float) -> tuple[float, float]:
        """Newmark with β = 1/4, γ = 1/2 (doi:10.1061/JMCEA3.0000098): the mean acceleration of both ends."""
        before = self.acceleration(u, 0.0)
        stiffness = (self.options.wall + self.options.middle) / self.options.mass
        free = u + dt * v + 0.25 * dt**2 * (before + self.acceleration(0.0, dt))
        new = free / (1.0 + 0.25 * dt**2 * stiffness)
        return new, 2.0 * (new - u) / dt - v

    def rk4(self, u: float, v: float, dt: float) -> tuple[float, float]:
        """The classical Runge–Kutta method, with the partner at 0, dt/2 and dt."""
        y, slopes = np.array([u, v]), np.zeros((4, 2))
        for stage, part in enumerate((0.0, 0.5, 0.5, 1.0)):
            now = y + part * dt * slopes[stage - 1]
            slopes[stage] = now[1], self.acceleration(now[0], part * dt)
        u, v = y + dt / 6.0 * np.array([1.0, 2.0, 2.0, 1.0]) @ slopes
        return float(u), float(v)
