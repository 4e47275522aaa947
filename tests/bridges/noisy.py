"""A known law plus normal noise of known covariance: what is measured of it can be held against the truth."""

from __future__ import annotations

import numpy as np

from scalespan.adapters.interface import Array, Material, Options, Response, State


class Noisy(Material):
    """A law whose stress is the mean of samples with independent, normal errors.

    The error of one sample is symmetric in S = U⁻¹ P, with standard deviation ``size`` of the normal stresses and
    size/√2 of the shears; a plain answer takes ``samples``.
    """

    name = "noisy"
    Options = Options

    def __init__(self, truth: Material, size: float, samples: float = 100.0, seed: int = 0) -> None:
        self.truth, self.size, self.samples = truth, size, samples
        self.random = np.random.default_rng(seed)
        self.known: dict[bytes, tuple[float, Array]] = {}  # samples at an F, and their mean error of S
        self.there: Array | None = None  # samples at each point, where an error has been asked for
        self.taken = 0.0

    @property
    def dimension(self) -> int:
        return self.truth.dimension

    @property
    def stress_unit(self) -> str:
        return self.truth.stress_unit

    @property
    def density(self) -> float:
        return self.truth.density

    def _respond(self, deformation: Array, tangent: bool) -> Response:
        exact, d = self.truth.respond(deformation, tangent), self.dimension
        wanted = np.full(len(deformation), self.samples) if self.there is None else self.there
        errors = np.array([self._error(*each) for each in zip(deformation, wanted, strict=True)])
        two = np.einsum("mp,nq->mnpq", np.eye(d), np.eye(d))
        sym = 0.5 * (two + two.transpose(1, 0, 2, 3)).reshape(d, d, d, d)  # of M J, over p q
        counts = np.array([self.known[each.tobytes()][0] for each in deformation])
        spread = np.einsum("niM,MJpq,nkN,NLpq->niJkL", deformation, sym, deformation, sym, optimize=True)
        covariance = self.size**2 * spread / counts[:, None, None, None, None]
        return Response(exact.energy, exact.stress + deformation @ errors, exact.tangent, covariance)

    def _error(self, deformation: Array, samples: float) -> Array:
        before, mean = self.known.get(deformation.tobytes(), (0.0, np.zeros_like(deformation)))
        new = samples - before
        if new > 0.0:
            drawn = self.size / np.sqrt(new) * self.random.standard_normal(deformation.shape)
            mean = (before * mean + new * 0.5 * (drawn + drawn.T)) / samples
            self.known[deformation.tobytes()] = samples, mean
            self.taken += new
        return mean

    def sharpen(self, factor: float) -> None:
        self.samples *= factor

    def tolerate(self, errors: Array) -> None:
        self.there = (self.size / errors) ** 2

    def save(self) -> State:
        state = self.random.bit_generator.state["state"]
        return {
            "random": np.array([hex(state["state"]), hex(state["inc"])]),
            "at": np.array([np.frombuffer(key).copy() for key in self.known]),
            "samples": np.array(self.samples),
            "counts": np.array([count for count, _ in self.known.values()]),
            "means": np.array([mean for _, mean in self.known.values()]),
        }

    def restore(self, state: State) -> None:
        inside = self.random.bit_generator.state
        inside["state"] = dict(zip(("state", "inc"), (int(each, 16) for each in state["random"]), strict=True))
        self.random.bit_generator.state = inside
        self.samples = float(state["samples"])
        kept = zip(state["at"], state["counts"], state["means"], strict=True)
        self.known = {at.tobytes(): (float(count), mean.copy()) for at, count, mean in kept}
