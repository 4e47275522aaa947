r"""A box of atoms as a material: at each point of a continuum its own box, under the continuum's F.

At rest W, P and ∂P/∂F are those of the relaxed box. At a temperature they are means over its motion, with their
covariances, and W is the work done on the box since F = 1, the change of its free energy, summed from step to step,

$$W_{n+1} = W_n + \tfrac12 \left( P_n + P_{n+1} \right) : \left( F_{n+1} - F_n \right).$$

This is the heterogeneous multiscale method with atoms: W. E and B. Engquist 2003, doi:10.4310/CMS.2003.v1.n1.a8; for
solids at a temperature X. Li and W. E, J. Mech. Phys. Solids 53, 1650 (2005).
"""

from __future__ import annotations

from collections.abc import Mapping
from math import ceil

import numpy as np

from scalespan.adapters.interface import (
    Array,
    CaseError,
    Material,
    ParticleAdapter,
    Response,
    Spread,
    State,
    Table,
)
from scalespan.adapters.interface.units import show

from .box import box_of
from .options import AtomisticCellOptions
from .points import PointsAtRest, PointsInMotion
from .relaxed import AtRest
from .sampled import InMotion

_STRAIN = 1e-3  # of the audit's comparison of stress and energy


class AtomisticCell(Material):
    """The law of a box of atoms; each point keeps its own."""

    name = "atomistic_cell"
    Options = AtomisticCellOptions
    parts = ("atoms",)

    def __init__(self, options: AtomisticCellOptions, atoms: ParticleAdapter | None = None) -> None:
        self.options, self.box = options, box_of(options, atoms)
        self._motion = None if options.sampling is None else InMotion(self.box, options, options.sampling)
        self._points: PointsAtRest | PointsInMotion = self._none()

    def _none(self) -> PointsAtRest | PointsInMotion:
        """Return no points yet."""
        if self._motion is not None:
            return PointsInMotion(self._motion)
        return PointsAtRest(AtRest(self.box, self.options))

    @property
    def dimension(self) -> int:
        """Three."""
        return 3

    @property
    def stress_unit(self) -> str:
        """ASE's."""
        return "eV/angstrom**3"

    @property
    def density(self) -> float:
        """The box's mass of its undeformed volume, amu/Å³."""
        return self.box.mass / self.box.volume

    @property
    def samples(self) -> int:
        """How many samples an answer takes; none at rest."""
        return 0 if self._motion is None else self._motion.samples

    def sharpen(self, factor: float) -> None:
        """Take ``factor`` times as many samples from the next answer on; under the same F, a trajectory goes on."""
        if self._motion is None:
            super().sharpen(factor)
        elif not factor > 0.0:
            raise CaseError(f"{factor:g} times as many samples cannot be taken", where=self.name)
        else:
            self._motion.samples = ceil(factor * self._motion.samples)

    def _respond(self, deformation: Array, tangent: bool) -> Response:
        found = self._points.respond(deformation, tangent)

        def stacked(name: str) -> Array | None:
            values = [getattr(each, name) for each in found]
            return None if not values or values[0] is None else np.array(values)

        return Response(
            energy=np.array([each.energy for each in found]),
            stress=np.array([each.stress for each in found]).reshape(deformation.shape),
            tangent=stacked("tangent") if tangent else None,
            covariance=stacked("covariance"),
            tangent_variance=stacked("tangent_variance") if tangent else None,
        )

    def advance(self, dt: float) -> None:
        """Let the atoms go on from the last answers."""
        self._points.advance()

    def share(self, spread: Spread, rank: int) -> None:
        """Hear that there are other ranks, whose points hear other noise; each rank follows its own boxes."""
        if self._motion is not None:
            self._motion.rank = rank

    def observe(self) -> Mapping[str, float]:
        """Return how many samples have been taken, those of other strains included."""
        return {} if self._motion is None else {"samples/1": float(self._motion.taken)}

    def save(self) -> State:
        """Return where the atoms of each point are."""
        return self._points.save()

    def restore(self, state: State) -> None:
        """Return to a saved state."""
        self._points.restore(state)

    def audit(self) -> list[Table]:
        """Return what the box is and what it answers at F = 1, with errors.

        Raises:
            CaseError: at rest, a stress that is not the slope of the energy, or a box that is not stable.
        """
        if isinstance(self._points, PointsInMotion):
            return [self._table([]), self._statistics(self._points)]
        return [self._table(self._at_rest())]

    def _table(self, more: list[tuple[str, str]]) -> Table:
        sampling = self.options.sampling
        state = "at rest" if sampling is None else f"at {sampling.temperature:g} K"
        rows = [
            ("atoms", f"{len(self.box)}, {state}, moved by {self.box.engine.name}"),
            ("undeformed volume", f"{self.box.volume:.6g} Å³"),
        ]
        return Table("Box of atoms", ("what", "how much"), (*rows, *more))

    def _at_rest(self) -> list[tuple[str, str]]:
        law = AtomisticCell(self.options, self.box.engine)
        rest = law.respond(np.eye(3)[None], tangent=True)
        assert rest.tangent is not None, "it was wanted"
        tangent = rest.tangent[0]
        lowest = float(np.linalg.eigvalsh(_symmetric(tangent)).min())
        if lowest <= 0.0:
            raise CaseError(
                f"the box is not stable: a uniform strain has the stiffness {show(lowest, 'GPa', 'pressure')}",
                where=self.name,
                todo="relax its cell first",
            )
        along = np.array([[1.0, 0.4, -0.3], [0.4, 0.7, 0.2], [-0.3, 0.2, 0.5]]) * _STRAIN
        shifted = [law.respond((np.eye(3) + times * along)[None]) for times in (-1.0, 0.0, 1.0)]
        slope = float(shifted[2].energy[0] - shifted[0].energy[0]) / 2.0
        off = abs(slope - float((rest.stress[0] * along).sum())) / float(np.einsum("ij,ijkl,kl", along, tangent, along))
        if off > 5e-3:
            raise CaseError(
                f"the stress of {self.box.engine.name} is not the slope of its energy: by {off:.1e} of the stress at a "
                f"strain of {_STRAIN}",
                where=self.name,
                todo="use a smooth cut-off, or an engine whose stress is right",
            )
        rows = [(f"P{i + 1}{j + 1} at F = 1", show(rest.stress[0, i, j], "MPa", "pressure")) for i, j in _UPPER]
        rows += [(name, show(tangent[index], "GPa", "pressure")) for name, index in _CONSTANTS.items()]
        return [*rows, ("stress against the energy's slope (Hill's condition)", f"{off:.1e}")]

    def _statistics(self, points: PointsInMotion) -> Table:
        trace, skip, answer = points.reference()
        found = points.motion.mean(trace, skip)
        assert answer.covariance is not None, "it is measured"
        rows = []
        for i, j in _UPPER:
            k, scale = 3 * i + j, 1.0 / self.box.volume
            rows.append(
                (
                    f"P{i + 1}{j + 1}",
                    show(float(answer.stress[i, j]), "MPa", "pressure"),
                    show(scale * float(found.errors[k]), "MPa", "pressure"),
                    show(scale * float(found.block_errors[k]), "MPa", "pressure"),
                    f"{found.inefficiency[k]:.1f}",
                    f"{found.count / found.inefficiency[k]:.0f}",
                )
            )
        warm = trace.temperatures[skip:]
        return Table(
            "Stress at F = 1",
            ("", "mean", "standard error", "by blocks", "inefficiency", "effective samples"),
            tuple(rows),
            note=f"{skip} of {len(trace)} samples left out before equilibrium; the momenta's temperature is "
            f"{warm.mean():.4g} K of {points.motion.sampling.temperature:g} K",
        )

    def close(self) -> None:
        """Close the engine."""
        self.box.engine.close()


_UPPER = ((0, 0), (1, 1), (2, 2), (1, 2), (0, 2), (0, 1))
_CONSTANTS = {"C11": (0, 0, 0, 0), "C12": (0, 0, 1, 1), "C44": (1, 2, 1, 2)}


def _symmetric(tangent: Array) -> Array:
    """Return the tangent (6, 6) over symmetric strains of norm 1."""
    basis = np.zeros((6, 3, 3))
    for p, (i, j) in enumerate(_UPPER):
        basis[p, i, j] = basis[p, j, i] = 1.0 if i == j else np.sqrt(0.5)
    found: Array = np.einsum("pij,ijkl,qkl->pq", basis, tangent, basis)
    return found
