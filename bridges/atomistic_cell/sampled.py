r"""A box of atoms at a temperature: means over the motion under a thermostat, in the canonical ensemble.

With the free energy A(F) per volume V₀ and the slopes of U at fixed X that `box` gives,

$$P = \frac{\partial A}{\partial F} =
  \frac{1}{V_0} \left( \left\langle \frac{\partial U}{\partial F} \right\rangle - N k T F^{-T} \right),$$

$$\frac{\partial P_{iJ}}{\partial F_{kL}} = \frac{1}{V_0} \left( \left\langle
  \frac{\partial^2 U}{\partial F_{iJ} \partial F_{kL}} \right\rangle - \frac{1}{kT} \mathrm{cov} \left(
  \frac{\partial U}{\partial F_{iJ}}, \frac{\partial U}{\partial F_{kL}} \right) + N k T F^{-1}_{Jk} F^{-1}_{Li}
  \right),$$

Born's term, the fluctuations and the motion's own term (J. F. Lutsko 1989, doi:10.1063/1.342716; J. R. Ray and
A. Rahman 1984, doi:10.1063/1.447221). Momenta do not depend on places, so that their part is taken exactly, −N kT 1
in τ, in place of its noisy samples; the temperature of the momenta is shown beside. From n samples of the inefficiency
g (see `statistics`) the covariance is Σ δa δb/(n − g).
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from scalespan.adapters.interface import (
    Array,
    EngineFailed,
    Motion,
    NotConverged,
    NotOffered,
    ScalespanError,
    State,
)
from scalespan.adapters.interface.units import BOLTZMANN, show

from .box import Box, referred, stiffness
from .options import AtomisticCellOptions, SamplingOptions
from .relaxed import Answer
from .statistics import Average, average, blocks, equilibrated, jackknife

REFERENCE = 2**31  # the number of the box at F = 1, which no point has
_RUNAWAY = 20.0  # times the temperature: no fluctuation, an integrator that has lost its way


@dataclass(frozen=True)
class Start:
    """Where a trajectory begins."""

    places: Array  # X (N, 3) Å
    momenta: Array  # (N, 3)
    seed: int  # of its thermostat


@dataclass(frozen=True)
class Trace:
    """What has been seen of one trajectory under one F."""

    deformation: Array  # F (3, 3)
    energies: Array  # U (n,) eV
    kirchhoff: Array  # τ (n, 3, 3) eV, without the motion's part
    places: Array  # X (n, N, 3) Å
    temperatures: Array  # (n,) K, of the momenta
    momenta: Array  # (N, 3) at the end
    engine: State  # where the engine stands, to go on from

    def __len__(self) -> int:
        return len(self.energies)


def _joined(before: Trace, after: Trace) -> Trace:
    return replace(
        after,
        energies=np.concatenate([before.energies, after.energies]),
        kirchhoff=np.concatenate([before.kirchhoff, after.kirchhoff]),
        places=np.concatenate([before.places, after.places]),
        temperatures=np.concatenate([before.temperatures, after.temperatures]),
    )


class InMotion:
    """Samples a box."""

    def __init__(self, box: Box, options: AtomisticCellOptions, sampling: SamplingOptions) -> None:
        if "langevin" not in box.engine.ensembles:
            raise NotOffered(f"{box.engine.name} has no Langevin thermostat to hold a temperature")
        self.box, self.sampling, self._difference = box, sampling, options.difference
        self.samples = sampling.samples  # of an answer
        self.taken = 0  # in all
        self.rank = 0  # of those who have points
        self.heat = BOLTZMANN * sampling.temperature  # kT, eV
        self._masses = box.under(np.eye(3), box.places).get_masses()
        self._moving = self._masses > 0.0  # all but virtual sites
        # Asked once before anything moves: what an engine makes for its first stress may disturb its noise
        # (OpenMM's Reference platform has one sequence of random numbers for all).
        box.ask(np.eye(3), box.places)

    def begin(self, number: int) -> Start:
        """Return the start of a point: atoms at their places, with momenta of twice the temperature.

        The places of a solid take half of it.
        """
        seed = self.seed(number, 0)
        spread = np.sqrt(2.0 * self._masses * self.heat)[:, None]
        momenta = spread * np.random.default_rng(seed).normal(size=(len(self.box), 3))
        return Start(self.box.places, momenta, seed)

    def seed(self, number: int, step: int) -> int:
        """Return the seed of a point's thermostat in one step of the load; the reference's is the same on all ranks."""
        mine = (self.rank,) if self.rank and number != REFERENCE else ()
        sequence = np.random.SeedSequence([self.sampling.seed, number, step], spawn_key=mine)
        return int(sequence.generate_state(1)[0] >> 1)

    def follow(self, deformation: Array, start: Start, before: Trace | None = None) -> Trace:
        """Return the trajectory under F from ``start``, with the samples wanted; ``before`` is its beginning."""
        count = self.samples - (0 if before is None else len(before))
        if count <= 0:
            assert before is not None, "there is no trajectory without samples"
            return before
        seen = []
        self._put(deformation, start, before)
        for _ in range(count):
            self._move(deformation)
            seen.append(self._look(deformation))
        self.taken += count
        engine = self.box.engine
        energies, kirchhoff, places, temperatures = (np.array(each) for each in zip(*seen, strict=True))
        found = Trace(deformation, energies, kirchhoff, places, temperatures, engine.atoms.get_momenta(), engine.save())
        return found if before is None else _joined(before, found)

    def _put(self, deformation: Array, start: Start, before: Trace | None) -> None:
        numbers = self.sampling
        motion = Motion.read(
            {
                "timestep": f"{numbers.timestep!r} ase_time",
                "ensemble": "langevin",
                "temperature": f"{numbers.temperature!r} K",
                "friction": f"{numbers.friction!r} / ase_time",
                "seed": start.seed,
            }
        )
        atoms = self.box.under(deformation, start.places)
        atoms.set_momenta(start.momenta)
        self.box.engine.start(atoms, motion)
        if before is not None:
            self.box.engine.restore(before.engine)

    def _move(self, deformation: Array) -> None:
        try:
            self.box.engine.advance(self.sampling.interval * self.sampling.timestep)
        except ScalespanError as error:
            raise self.box.told(error, deformation) from error

    def _look(self, deformation: Array) -> tuple[float, Array, Array, float]:
        atoms = self.box.engine.atoms
        places = atoms.positions @ np.linalg.inv(deformation).T
        doubled = (atoms.get_momenta() ** 2)[self._moving] / self._masses[self._moving, None]
        temperature = float(doubled.mean()) / BOLTZMANN
        if not temperature < _RUNAWAY * self.sampling.temperature:
            hot = EngineFailed(
                f"the atoms are at {temperature:.3g} K and are held at {self.sampling.temperature:g} K",
                todo="shorten the timestep, or look for atoms on top of each other",
            )
            raise self.box.told(hot, deformation)
        return *self.box.ask(deformation, places), places, temperature

    def skipped(self, trace: Trace) -> int:
        """Return how many of the first samples are not of equilibrium, by the energy and the pressure."""
        return equilibrated(np.stack([trace.energies, np.trace(trace.kirchhoff, axis1=1, axis2=2)], axis=1))

    def mean(self, trace: Trace, skip: int) -> Average:
        """Return the mean of ∂U/∂F (9,) without the motion's part, eV."""
        slopes = trace.kirchhoff[skip:] @ np.linalg.inv(trace.deformation).T
        try:
            found = average(slopes.reshape(-1, 9))
        except NotConverged as error:
            raise self.box.told(error, trace.deformation) from error
        wanted, error_found = self.sampling.error, float(found.errors.max()) / self.box.volume
        if wanted is not None and error_found > wanted:
            raise NotConverged(
                f"the stress has a standard error of {show(error_found, 'MPa', 'pressure')}, and no more than "
                f"{show(wanted, 'MPa', 'pressure')} is wanted",
                todo=f"take about {int(len(trace) * (error_found / wanted) ** 2) + 1} samples",
            )
        return found

    def answer(self, trace: Trace, skip: int, start: Start, tangent: bool) -> Answer:
        """Return the answer of a trajectory, its first ``skip`` samples left out; the energy is for others to say."""
        found, volume = self.mean(trace, skip), self.box.volume
        stress = (found.mean.reshape(3, 3) - self._motion * np.linalg.inv(trace.deformation).T) / volume
        covariance = found.covariance.reshape(3, 3, 3, 3) / volume**2
        if not tangent:
            return Answer(0.0, stress, None, covariance)
        by = self._by_fluctuations if self.sampling.tangent == "fluctuations" else self._by_differences
        slope, variance = by(trace, start, found)
        return Answer(0.0, stress, slope / volume, covariance, variance / volume**2)

    @property
    def _motion(self) -> float:
        """N kT, eV."""
        return float(self._moving.sum()) * self.heat

    def _by_fluctuations(self, trace: Trace, _: Start, known: Average) -> tuple[Array, Array]:
        inverse, skip, slow = (
            np.linalg.inv(trace.deformation),
            len(trace) - known.count,
            float(known.inefficiency.mean()),
        )
        slopes = (trace.kirchhoff[skip:] @ inverse.T).reshape(-1, 9)
        chosen = np.unique(np.linspace(0, known.count - 1, self.sampling.born).astype(int))
        born = np.array([self._born(trace, skip + index) for index in chosen])
        motion = self._motion * np.einsum("Jk,Li->iJkL", inverse, inverse)

        def estimate(used: Array) -> Array:
            number = int(used.sum())
            spread = np.cov(slopes[used].T, ddof=0).reshape(3, 3, 3, 3) * number / (number - slow)
            found: Array = born[used[chosen]].mean(axis=0) - spread / self.heat + motion
            return found

        parts = blocks(known.count, slow)
        return estimate(np.ones(known.count, dtype=bool)), jackknife(estimate, known.count, parts)

    def _born(self, trace: Trace, index: int) -> Array:
        places, deformation = trace.places[index], trace.deformation
        stiff = stiffness(lambda f: self.box.ask(f @ deformation, places)[1], self._difference)
        return referred(deformation, trace.kirchhoff[index], stiff)

    def _by_differences(self, trace: Trace, start: Start, known: Average) -> tuple[Array, Array]:
        """Follow boxes at neighbouring strains under the same noise: the same Brownian path, so that most cancels.

        (P. Glasserman and D. D. Yao 1992, doi:10.1287/mnsc.38.6.884.)
        """
        motion, skip = self._motion * np.eye(3), len(trace) - known.count

        def further(f: Array) -> Array:
            found: Array = self.follow(f @ trace.deformation, start).kirchhoff[skip:] - motion
            return found

        stiff = stiffness(further, self._difference)
        series = referred(trace.deformation, trace.kirchhoff[skip:] - motion, stiff)
        parts = blocks(known.count, float(known.inefficiency.mean()))
        means = np.array([series[part].mean(axis=0) for part in parts])
        return series.mean(axis=0), means.var(axis=0, ddof=1) / len(parts)
