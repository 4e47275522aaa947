r"""The Cauchy–Born law: a crystal's energy under a uniform F is the continuum's energy density.

$$W(F) = \min_\xi \frac{E_{cell}(F, \xi)}{V_0}, \quad P = \frac{\partial W}{\partial F}, \quad
\frac{\partial P}{\partial F}$$

W depends on F through Green's strain alone, because the engine's energy does not change in a rotation; so the engine is
asked at strains, and P = F S turns with F exactly. Sources: J. L. Ericksen, Math. Mech. Solids 13, 199 (2008),
doi:10.1177/1081286507086898; M. Born and K. Huang, Dynamical Theory of Crystal Lattices (1954).
"""

from __future__ import annotations

from functools import cached_property

import numpy as np
from ase import Atoms
from ase.units import GPa

from scalespan.adapters.interface import (
    Array,
    CaseError,
    Material,
    NotConverged,
    NotOffered,
    ParticleAdapter,
    Response,
    Table,
)

from .cell import Cell
from .crystal import Crystal, crystal_of
from .elastic import ellipticity, surely_elliptic
from .fitted import Polynomial, Quadratic
from .options import CauchyBornOptions
from .relaxed import Asked, rounded
from .strain import PAIRS, at_deformation, green, slopes, stretch
from .vibrations import Vibrations, Waves
from .warm import Warm

_STEPS = 40  # of the search for the unstressed crystal
_STEP = 0.05  # the largest strain of one
_KINK = 1e-4  # of the largest constant
_STILL = 1e-6  # of the highest ω²: rounding about zero
_SMALLER = "take smaller strains, or let atoms move there: a crystal beyond its limit is no uniform one"
_AXES = "xyz"


class CauchyBorn(Material):
    """The law of a crystal, from the engine of its atoms.

    ``crystal`` is the reference: its cell is the atoms' order of `inner`.
    """

    name = "cauchy_born"
    Options = CauchyBornOptions
    parts = ("atoms",)

    def __init__(self, options: CauchyBornOptions, atoms: ParticleAdapter | None = None) -> None:
        if atoms is None:
            raise CaseError("a Cauchy–Born law needs the engine of its atoms", todo="give it the part 'atoms'")
        if not isinstance(atoms, ParticleAdapter):
            raise CaseError(f"'{atoms.name}' is no engine of atoms", where="atoms")
        if not atoms.conservative:
            raise NotOffered(f"the forces of {atoms.name} are not the gradient of an energy: no law follows from them")
        self.options, self.crystal = options, crystal_of(options.crystal)
        self.cell = Cell(self.crystal, atoms, options.repeat)
        self.asked = Asked(self.cell, options.inner == "relaxed", options.force_tolerance, options.difference)
        if options.vibrations is not None:
            self.asked = Warm(self.asked, Vibrations(self.cell, options.vibrations))
        self._known_waves: dict[bytes, tuple[float, Array]] = {}

    @property
    def dimension(self) -> int:
        """The number of directions in which the crystal repeats."""
        return self.crystal.dimension

    @property
    def stress_unit(self) -> str:
        """Electronvolts of the volume, the area or the length."""
        return {1: "eV/angstrom", 2: "eV/angstrom**2", 3: "eV/angstrom**3"}[self.dimension]

    @property
    def density(self) -> float:
        """The crystal's mass of the undeformed volume, amu/Å^d."""
        return self.crystal.density

    @cached_property
    def strain_law(self) -> Asked | Polynomial | Quadratic:
        """The law as a function of strain: the engine's, or what was fitted to it (when first used)."""
        if self.options.law == "quadratic":
            return Quadratic(self.asked)
        return self.asked if self.options.law == "full" else Polynomial(self.asked, self.options.polynomial)

    def _respond(self, deformation: Array, tangent: bool) -> Response:
        strains = green(deformation)
        found = self.strain_law.respond(strains, tangent)
        answer = at_deformation(found, deformation)
        if self.options.phonons is not None:
            self._require_phonons(strains)
        if answer.tangent is not None and self.options.check_stability:
            doubtful = ~surely_elliptic(found, deformation)
            _require_elliptic(strains[doubtful], answer.tangent[doubtful], self.stress_unit)
        return answer

    def stiffness_of_waves(self, deformation: Array) -> Array:
        """Return the stiffness (n,) of the softest long wave at F (n, d, d), eV/Å^d; none is refused.

        At or below zero the crystal is not stable: see `ellipticity`.
        """
        found = at_deformation(self.strain_law.respond(green(deformation), True), deformation)
        assert found.tangent is not None, "the tangent was wanted"
        return ellipticity(found.tangent)

    def slowest_vibration(self, deformation: Array) -> Array:
        """Return the lowest ω² (n,) of a wave of any length at F (n, d, d), over the highest; none is refused.

        Below zero the crystal is not stable.

        Raises:
            CaseError: there is no key 'phonons', which says how waves are looked for.
        """
        return np.array([self._slowest(each)[0] for each in rounded(green(deformation))])

    def _require_phonons(self, strains: Array) -> None:
        for strain in np.unique(rounded(strains), axis=0):
            lowest, wave = self._slowest(strain)
            if lowest < -_STILL:
                raise CaseError(
                    f"the crystal is not stable at the strain {strain.tolist()}: the wave q = {wave.tolist()}, in "
                    f"reciprocal cells, has ω² = {lowest:.3g} of the highest",
                    where=self.name,
                    todo=_SMALLER,
                )

    def _slowest(self, strain: Array) -> tuple[float, Array]:
        key = strain.tobytes()
        if key not in self._known_waves:
            self._known_waves[key] = self._waves.lowest(strain, self.asked.answer(strain)[1])
        return self._known_waves[key]

    @cached_property
    def _waves(self) -> Waves:
        if self.options.phonons is None:
            raise CaseError("waves were asked for without the key 'phonons'", where=self.name)
        return Waves(self.cell, self.options.phonons)

    def inner(self, deformation: Array) -> tuple[Array, Array] | None:
        """Return ξ = F η, and its slopes; None of a lattice with one atom in its cell, and with frozen ones.

        A sheet's or a chain's displacements out of it are not among them.
        """
        if not self.asked.relaxed:
            return None
        n, d, b = len(deformation), self.dimension, self.cell.count
        places, turned = self.strain_law.inner(green(deformation))
        masses = self.crystal.atoms.get_masses() / self.crystal.atoms.get_masses().sum()
        centred = np.kron(np.eye(b) - masses[None, :], np.eye(3)) if b > 1 else np.eye(3)
        eta = (places @ centred.T).reshape(n, b, 3)[:, :, :d]
        slope = np.einsum("ap,npk->nak", centred, turned).reshape(n, b, 3, -1)[:, :, :d]
        found = np.einsum("niJ,nbJ->nbi", deformation, eta)
        spread = np.einsum("niJ,nbJp,npkL->nbikL", deformation, slope, slopes(deformation), optimize=True)
        spread += np.einsum("ik,nbL->nbikL", np.eye(d), eta)
        return found, spread

    def at_rest(self) -> CauchyBorn | None:
        """Return the law without vibrations; None where this one has none."""
        return self._at_rest

    @cached_property
    def _at_rest(self) -> CauchyBorn | None:
        if self.options.vibrations is None:
            return None
        return CauchyBorn(self.options.model_copy(update={"vibrations": None}), self.cell.engine)

    def lattice(self) -> Atoms:
        """Return the reference cell."""
        return _as_given(self.crystal.atoms.copy(), self.dimension)

    def audit(self) -> list[Table]:
        """Return the elastic constants, with and without inner displacements, and what is known of errors.

        Raises:
            CaseError: an engine whose stress is not its energy's slope; a crystal that is not stable.
        """
        none = np.zeros(self.cell.size)
        tangent = self.asked.tangent(none).stiffness
        agreement = self.cell.compare_stress(float(np.abs(tangent).max()))
        there = at_deformation(self.asked.respond(none[None], True), np.eye(self.dimension)[None]).tangent
        assert there is not None, "the tangent was wanted"
        _require_elliptic(none[None], there, self.stress_unit)
        lowest = float(ellipticity(there)[0])
        return [self._constants(tangent), agreement, self._summary(lowest)]

    def _constants(self, relaxed: Array) -> Table:
        none, still = np.zeros(self.cell.size), np.zeros(3 * self.cell.count)
        frozen, half = (self.cell.differences(none, still, step * self.asked.step)[0] for step in (1.0, 0.5))
        scale, unit = (1.0 / GPa, "GPa") if self.dimension == 3 else (1.0, self.stress_unit)
        names = [_AXES[i] + _AXES[j] for i, j in PAIRS[self.dimension]]
        rows = [
            (f"{names[p]} {names[q]}", f"{relaxed[p, q] * scale:.4f}", f"{frozen[p, q] * scale:.4f}")
            for p in range(len(names))
            for q in range(p, len(names))
            if abs(relaxed[p, q]) > 1e-6 * np.abs(relaxed).max()
        ]
        notes = []
        if self.options.inner == "frozen" and self.cell.count > 1:
            notes.append("Inner displacements are frozen, as was asked for: in diamond, C44 is nearly twice too large.")
        if (kink := float(np.abs(half - frozen).max() / np.abs(frozen).max())) > _KINK:
            notes.append(
                f"They change by {kink:.1e} when 'difference' is halved: neighbours lie on a sharp cut-off, or the "
                "energies are not in double precision."
            )
        return Table(f"Elastic constants, {unit}", ("constant", "of this law", "frozen"), tuple(rows), " ".join(notes))

    def _summary(self, lowest: float) -> Table:
        law = self.strain_law
        stress = np.abs(self.asked.answer(np.zeros(self.cell.size))[0].stress).max()
        rows = [
            ("law", self.options.law),
            ("residual stress", f"{stress:.3g} {self.stress_unit}"),
            ("softest plane wave", f"{lowest:.6g} {self.stress_unit}"),
            ("strains where the crystal is not stable", "refused" if self.options.check_stability else "taken"),
            ("questions to the engine so far", str(self.cell.asked)),
        ]
        if (moving := self.options.vibrations) is not None:
            rows.insert(1, ("atoms", f"{moving.statistics}, {moving.modes} vibrations at {moving.temperature:g} K"))
        if self.options.phonons is not None:
            slowest = self.slowest_vibration(np.eye(self.dimension)[None])[0]
            rows.append(("lowest ω² of its waves, of the highest", f"{slowest:.3g}"))
        if isinstance(self.asked, Warm):
            rows.append(("their free energy with a cell more", f"{self.asked.vibrations.change_with_cells():.1e} kT"))
        if isinstance(law, Polynomial):
            rows.append(("degree; error of the stress", f"{law.degree}; {law.error:.1e} of the largest"))
        return Table("Cauchy–Born law", ("", ""), tuple(rows))

    def close(self) -> None:
        """Close the engine."""
        self.cell.engine.close()


def _require_elliptic(strains: Array, tangents: Array, unit: str) -> None:
    if len(strains) == 0:
        return
    found = ellipticity(tangents)
    worst = int(np.argmin(found))
    if found[worst] > 0.0:
        return
    at, todo = "", "use a crystal at its engine's lattice constant"
    if np.abs(strains[worst]).max() > 0.0:
        at, todo = f" at the strain {np.round(strains[worst], 6).tolist()}", _SMALLER
    raise CaseError(
        f"the crystal is not stable{at}: a plane wave has the stiffness {found[worst]:.3g} {unit}",
        where="cauchy_born",
        todo=todo,
    )


def unstressed(law: CauchyBorn, tolerance: float = 1e-10) -> Atoms:
    """Return the law's crystal at no stress, inner displacements relaxed: the same orientation, another cell.

    Args:
        law: of which the engine is asked.
        tolerance: the largest stress that may remain, eV/Å^d.

    Raises:
        NotConverged: no such crystal near the given one.
    """
    strain, crystal = np.zeros(law.cell.size), law.crystal
    for _ in range(_STEPS):
        answer, inner = law.asked.answer(strain)
        if np.abs(answer.stress).max() < tolerance:
            gradient = stretch(strain, law.dimension)
            found = Crystal.deformed(crystal, gradient, inner.reshape(-1, 3), (1, 1, 1))
            return _as_given(found, crystal.dimension)
        move = -np.linalg.solve(law.asked.tangent(strain).stiffness, answer.stress)
        strain = np.round(strain + move * min(1.0, _STEP / np.abs(move).max()), 13)
    raise NotConverged(
        f"no unstressed crystal was found in {_STEPS} steps", where="cauchy_born", todo="begin with a better cell"
    )


def _as_given(atoms: Atoms, dimension: int) -> Atoms:
    """Take off the cell vectors that were put where nothing repeats."""
    cell = atoms.cell.array.copy()
    cell[dimension:][~atoms.pbc[dimension:]] = 0.0
    atoms.set_cell(cell)
    return atoms
