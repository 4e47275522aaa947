r"""A noisy law behind a table: the table answers where its standard error is small enough, else the law is asked.

The table is of the second Piola–Kirchhoff stress over Green's strain, S = ∂W/∂E; the law is asked at the stretch
U = (1 + 2E)^{1/2}, never in a rotation. So P = F S turns with F exactly, and

$$\frac{\partial P_{iJ}}{\partial F_{kL}} = \delta_{ik} S_{JL} + F_{iM} \mathbb{C}_{MJNL} F_{kN}, \qquad
\mathrm{cov}(P_{iJ}, P_{kL}) = F_{iM} F_{kN}\, \mathrm{cov}(S_{MJ}, S_{NL})$$

The standard error at a strain is the root of the largest eigenvalue of cov S, with each shear counted √2 times: that
of the worst direction, the same in all axes. Where it is above `stress_error`, the law is asked, at the worst of the
points first, with as many samples as bring the error there below 0.7 of what is wanted. Newton's method of the
continuum thus sees a smooth law with its exact tangent, which no longer changes once all points are known.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from scipy.optimize import brentq

from scalespan.adapters.interface import (
    Array,
    CaseError,
    Material,
    NotConverged,
    NotOffered,
    OptionError,
    Response,
    State,
    Table,
)
from scalespan.adapters.interface.units import convert

from .options import SurrogateOptions
from .process import Data, GradientProcess

_SHARP = 0.7  # of the wanted error: what one answer is sampled to, so that it serves its neighbours
_ROUNDS = 6  # of more samples for one answer: errors are themselves estimates
_BELOW = 1.0 - 1e-9  # so that a law that rounds its samples up is back where it was
_NEAR = 1.1  # times as many samples: as good as enough
_LATER = 1.25  # the scales are estimated again when there are so many times as many answers
_FIRST = 4  # answers before the scales are estimated for the first time
_EXACT = 1e-30  # of the stiffness squared: the variance of a law that tells none


class Surrogate(Material):
    """A table of a law's answers.

    ``asked`` counts questions to the law, ``samples`` what they cost in plain answers, ``answered`` the points.
    """

    name = "surrogate"
    Options = SurrogateOptions
    parts = ("law",)

    def __init__(self, options: SurrogateOptions, law: Material | None = None) -> None:
        if not isinstance(law, Material):
            raise CaseError("a surrogate needs the law that it is a table of", todo='give it the part "law"')
        self.options, self.law = options, law
        self.wanted = _with_unit(options.stress_error, law.stress_unit, "stress_error")
        self._basis = _symmetric(law.dimension)
        self._belief: Array = np.zeros(2)  # of c and ℓ; zeros until the law's stiffness is known
        k = len(self._basis)
        self._mean: Array = np.zeros((k, k))  # the stiffness that is believed beforehand
        self._data = Data(np.zeros((0, k)), np.zeros((0, k)), np.zeros((0, k, k)))
        self._plain: Array | None = None  # (k, k) the last covariance, of so many samples as a plain answer has
        self._process: GradientProcess | None = None
        self._fitted = 0  # answers when the scales were last estimated
        self._wanted_there: Array | None = None  # (n,) at the points of this step, where somebody said it
        self.asked, self.answered, self.samples = 0, 0, 0.0

    @property
    def dimension(self) -> int:
        """The law's."""
        return self.law.dimension

    @property
    def stress_unit(self) -> str:
        """The law's."""
        return self.law.stress_unit

    @property
    def density(self) -> float:
        """The law's."""
        return self.law.density

    def _respond(self, deformation: Array, tangent: bool) -> Response:
        d = self.dimension
        green = 0.5 * (np.einsum("nki,nkj->nij", deformation, deformation) - np.eye(d))
        strains = np.einsum("nij,pij->np", green, self._basis)
        process = self._learn(strains)
        self.answered += len(strains)
        known = process.at(strains)
        second = np.einsum("np,pij->nij", known.stress, self._basis)
        turned = np.einsum("niM,pMJ->niJp", deformation, self._basis)  # ∂P/∂s at fixed F
        covariance = np.einsum("niJp,npq,nkLq->niJkL", turned, known.covariance, turned, optimize=True)
        slope = None
        if tangent:
            slope = np.einsum("niJp,npq,nkLq->niJkL", turned, known.stiffness, turned, optimize=True)
            slope += np.einsum("ik,nJL->niJkL", np.eye(d), second)
        return Response(known.energy, deformation @ second, slope, covariance)

    def sharpen(self, factor: float) -> None:
        """Want a standard error smaller by √factor."""
        self.wanted /= float(np.sqrt(factor))

    def tolerate(self, errors: Array) -> None:
        """Want ``errors`` (n,) at the points of the next answers, until the step is final."""
        self._wanted_there = errors

    def observe(self) -> Mapping[str, float]:
        """Return how many points were answered, how many questions went to the law, and what they cost."""
        return {
            "points/1": float(self.answered),
            "questions/1": float(self.asked),
            "samples_of_a_plain_answer/1": self.samples,
        }

    def errors(self, deformation: Array) -> Array:
        """Return the table's standard error (n,) of the stress at F (n, d, d), as it stands; nothing is asked."""
        green = 0.5 * (np.einsum("nki,nkj->nij", deformation, deformation) - np.eye(self.dimension))
        strains = np.einsum("nij,pij->np", green, self._basis)
        return np.full(len(strains), np.inf) if self._process is None else _errors(self._process, strains)

    def _learn(self, strains: Array) -> GradientProcess:
        """Ask until all points (n, k) are known well enough, the worst one first."""
        wanted = np.full(len(strains), self.wanted)
        if self._wanted_there is not None and len(self._wanted_there) == len(strains):
            wanted = np.minimum(wanted, self._wanted_there)
        if self._process is None:
            self._begin(strains[0] if len(strains) else np.zeros(len(self._basis)), float(wanted.min(initial=np.inf)))
        asked = -1
        while asked != self.asked:  # the scales change on the way, and with them what is known
            asked, doubtful = self.asked, np.arange(len(strains))
            while len(doubtful):
                assert self._process is not None
                excess = _errors(self._process, strains[doubtful]) / wanted[doubtful]
                if not (excess > 1.0).any():
                    break
                worst = doubtful[int(np.argmax(excess))]
                doubtful = doubtful[excess > 1.0]
                before = self._process.covariance(strains[worst][None])[0]
                self._ask(strains[worst], before, float(wanted[worst]))
        assert self._process is not None
        return self._process

    def _begin(self, strain: Array, wanted: float) -> None:
        """Find the size of the stiffness, and ask for the first time."""
        if self.options.stiffness is not None:
            size = _with_unit(self.options.stiffness, self.stress_unit, "stiffness")
        else:
            self._mean = self._stiffness()
            self.asked, self.samples = 1, 1.0
            size = float(np.sqrt((np.diag(self._mean) ** 2).mean()))
        self._belief = np.array([size, self.options.smooth])
        self._ask(strain, (size * self.options.smooth) ** 2 * np.eye(len(strain)), min(wanted, self.wanted))

    def _stiffness(self) -> Array:
        """Return the law's own ∂²W (k, k) at no strain."""
        answer = self.law.respond(np.eye(self.dimension)[None], tangent=True)
        if answer.tangent is None:
            raise NotOffered(f"{self.law.name} gives no tangent", where=self.name, todo="give its 'stiffness'")
        moved = np.einsum("ik,jl->ijkl", np.eye(self.dimension), answer.stress[0])
        found = np.einsum("pij,ijkl,qkl->pq", self._basis, answer.tangent[0] - moved, self._basis, optimize=True)
        return np.asarray(0.5 * (found + found.T))

    def _ask(self, strain: Array, before: Array, wanted: float) -> None:
        """Ask the law at a strain (k,), whose stress is known to ``before`` (k, k), and put the answer in the table."""
        if self.asked >= self.options.questions:
            raise NotConverged(
                f"the table asked {self.asked} times and its stress is not known to {wanted:.3g} "
                f"{self.stress_unit} everywhere",
                where=self.name,
                todo="raise 'questions' or 'stress_error', or take smaller steps of the load",
            )
        stress, noise = self._measured(strain, before, _SHARP * wanted)
        self._data = self._data.with_one(strain, stress, noise)
        scales = self._belief if self._process is None else self._process.scales
        self._process = GradientProcess(self._data, scales, self._mean)
        if self._process.count >= max(_FIRST, _LATER * self._fitted):
            self._process, self._fitted = self._process.fitted(self._belief), self._process.count

    def _measured(self, strain: Array, before: Array, wanted: float) -> tuple[Array, Array]:
        """Return the law's stress (k,) and covariance (k, k), by as many samples as are needed."""
        taken = 1.0
        factor = 1.0 if self._plain is None else more_samples(before, self._plain, wanted)
        try:
            for _ in range(_ROUNDS):
                if factor > 1.0:
                    self.law.sharpen(factor)
                    taken *= factor
                stress, noise = self._answer(strain)
                self.asked += 1
                factor = more_samples(before, noise, wanted)
                if factor <= _NEAR:
                    self._plain = taken * noise
                    return stress, noise
        finally:
            self.samples += taken
            if taken > 1.0:
                self.law.sharpen(_BELOW / taken)
            self.law.advance(0.0)  # what it says next has noise of its own
        raise NotConverged(
            f"{taken:.3g} times as many samples do not bring the standard error of {self.law.name} below "
            f"{wanted:.3g} {self.stress_unit}",
            where=self.name,
            todo="raise 'stress_error', or see that the law's samples are independent",
        )

    def _answer(self, strain: Array) -> tuple[Array, Array]:
        """Return S (k,) and its covariance (k, k) at a strain (k,), from one plain answer of the law."""
        values, axes = np.linalg.eigh(np.eye(self.dimension) + 2.0 * np.einsum("p,pij->ij", strain, self._basis))
        stretch, inverse = (axes * values**power @ axes.T for power in (0.5, -0.5))
        answer = self.law.respond(stretch[None])
        if answer.dissipation is not None:
            raise NotOffered(
                f"{self.law.name} dissipates: its stress is no function of the strain",
                where=self.name,
                todo="take it without a table",
            )
        back = np.einsum("IM,pIJ->pMJ", inverse, self._basis)  # ∂s/∂P
        stress = np.einsum("pMJ,MJ->p", back, answer.stress[0])
        if answer.covariance is None:
            return stress, _EXACT * self._belief[0] ** 2 * np.eye(len(stress))
        return stress, np.einsum("pij,ijkl,qkl->pq", back, answer.covariance[0], back, optimize=True)

    @property
    def longest_step(self) -> float:
        """The law's."""
        return self.law.longest_step

    def advance(self, dt: float) -> None:
        """Forget what each point wanted; the table stays."""
        self._wanted_there = None

    def save(self) -> State:
        """Return the table, its scales, the counts, and the law's state."""
        scales = np.zeros(2) if self._process is None else self._process.scales
        mine = {
            "strains": self._data.strains,
            "stresses": self._data.stresses,
            "noise": self._data.noise,
            "mean": self._mean,
            "plain": np.zeros((0, 0)) if self._plain is None else self._plain,
            "there": np.zeros(0) if self._wanted_there is None else self._wanted_there,
            "scales": np.array([scales, self._belief]),
            "counts": np.array([self.asked, self.answered, self._fitted, self.samples, self.wanted]),
        }
        return {name: each.copy() for name, each in mine.items()} | {
            f"law/{name}": each for name, each in self.law.save().items()
        }

    def restore(self, state: State) -> None:
        """Return to a saved table."""
        self._data = Data(*(state[key] for key in ("strains", "stresses", "noise")))
        self._plain = state["plain"] if state["plain"].size else None
        self._wanted_there = state["there"] if state["there"].size else None
        self._mean, scales, self._belief = state["mean"], *state["scales"]
        self.asked, self.answered, self._fitted = (int(each) for each in state["counts"][:3])
        self.samples, self.wanted = (float(each) for each in state["counts"][3:])
        filled = len(self._data.strains) > 0
        self._process = GradientProcess(self._data, scales, self._mean) if filled else None
        self.law.restore({key.removeprefix("law/"): each for key, each in state.items() if key.startswith("law/")})

    def audit(self) -> list[Table]:
        """Return what is wanted, and the law's own."""
        rows = (
            ("wanted standard error of the stress", f"{self.wanted:.4g} {self.stress_unit}"),
            ("questions to the law, at most", str(self.options.questions)),
            ("its stiffness changes over a strain of about", f"{self.options.smooth:g}"),
        )
        return [Table(f"A table of {self.law.name}", ("what", "how much"), rows), *self.law.audit()]

    def close(self) -> None:
        """Close the law."""
        self.law.close()


def more_samples(before: Array, noise: Array, wanted: float) -> float:
    """Return how many times as many samples make a standard error: the smallest f with λ_max ≤ wanted², at least 1.

    With f times the samples, the covariance before, Σ (k, k), becomes Σ − Σ (Σ + R/f)⁻¹ Σ, R (k, k) being the noise of
    one answer (Rasmussen and Williams 2006, eq. 2.24).
    """

    def excess(logarithm: float) -> float:
        sharp = before - before @ np.linalg.solve(before + np.exp(-logarithm) * noise, before)
        return float(np.linalg.eigvalsh(0.5 * (sharp + sharp.T)).max()) / wanted**2 - 1.0

    if excess(0.0) <= 0.0:
        return 1.0
    enough = np.log(float(np.linalg.eigvalsh(noise).max()) / wanted**2)  # the error without anything known before
    return float(np.exp(brentq(excess, 0.0, enough + 1e-6)))


def _errors(process: GradientProcess, strains: Array) -> Array:
    """Return the standard error (n,) of the stress in the worst direction."""
    if len(strains) == 0:
        return np.zeros(0)
    largest = np.linalg.eigvalsh(process.covariance(strains))[:, -1]
    return np.sqrt(np.clip(largest, 0.0, None))


def _symmetric(dimension: int) -> Array:
    """Return an orthonormal basis (k, d, d) of the symmetric matrices: A:B is the product of their components."""
    pairs = [(i, j) for i in range(dimension) for j in range(i, dimension)]
    found = np.zeros((len(pairs), dimension, dimension))
    for p, (i, j) in enumerate(pairs):
        found[p, i, j] = found[p, j, i] = 1.0 if i == j else np.sqrt(0.5)
    return found


def _with_unit(text: str, unit: str, where: str) -> float:
    value, _, given = text.strip().partition(" ")
    try:
        number = float(value)
    except ValueError as error:
        raise OptionError(
            f"'{text}' is no number with a unit", where=f"surrogate.{where}", todo=f'write it like "0.001 {unit}"'
        ) from error
    if not number > 0.0:
        raise OptionError(f"'{text}' is not above zero", where=f"surrogate.{where}")
    return convert(number, given or "dimensionless", unit)
