r"""The free energy of a crystal's vibrations, by lattice dynamics at each strain (the quasi-harmonic approximation).

$$A(e) = \frac{1}{V_0} \Bigl\langle \sum_s f(\omega_s) \Bigr\rangle_q, \qquad
f = k_B T \ln\Bigl(2 \sinh\frac{\hbar\omega}{2 k_B T}\Bigr), \qquad
f \to k_B T \ln\frac{\hbar\omega}{k_B T} \text{ (classical)}$$

ω² are the eigenvalues of the dynamical matrix of the crystal under the strain e,

$$D_{i\alpha,j\beta}(q) = (m_i m_j)^{-1/2} \sum_R \Phi_{i\alpha,j\beta}(R)\, e^{2\pi i q R}$$

with the force constants Φ from central differences of the engine's forces in some cells of it, and q on a mesh about
q = 0, which has the crystal's symmetry; the translations there, which have no frequency, count as the mean of all
others. ``modes = "local"`` takes each atom's own block of Φ alone, as if all others were at rest (R. LeSar, R.
Najafabadi and D. J. Srolovitz, Phys. Rev. Lett. 63, 624 (1989), doi:10.1103/PhysRevLett.63.624). Atoms vibrate in the
crystal's own dimensions: those of a chain along it. Source: M. Born and K. Huang, Dynamical Theory of Crystal
Lattices (1954), §§ 4, 16, 23 and 38.
"""

from __future__ import annotations

from functools import cached_property
from itertools import product

import numpy as np
from ase import units

from scalespan.adapters.interface import Array, CaseError, NotOffered, Quantity

from .cell import Cell
from .options import VibrationOptions, WaveOptions
from .strain import stretch

_HBAR = units._hbar * units.J * units.s  # eV × ASE's time
_CHANGE = 1e-3  # kT an atom, with a cell more
_TIE = 1e-6  # Å: images of an atom as near as that share it


class Waves:
    """ω² of a cell's crystal under strain."""

    def __init__(self, cell: Cell, options: WaveOptions) -> None:
        if Quantity.FORCES not in cell.engine.offers:
            raise NotOffered(f"{cell.engine.name} gives no forces, and vibrations follow from them")
        self.options, self._cell = options, cell
        d = cell.crystal.dimension
        if max(options.repeat[d:], default=1) > 1:
            raise CaseError(f"the crystal repeats in {d} directions", where="vibrations.repeat")

    @cached_property
    def vectors(self) -> tuple[Array, Array]:
        """Wave vectors (waves, 3) in the reciprocal cell, q = 0 first, and how many of ±q each stands for."""
        return _waves(self._cell.crystal.dimension, self.options.waves)

    @cached_property
    def _phases(self) -> Array:
        return _phases(self._cell, self.options.repeat, self.vectors[0])

    def squares(self, constants: Array) -> Array:
        """Return ω² (waves, b d), rising, from `constants`."""
        b, d = constants.shape[:2]
        roots = 1.0 / np.sqrt(self._cell.crystal.atoms.get_masses())
        matrices = np.einsum("iajbn,qijn,i,j->qiajb", constants, self._phases, roots, roots, optimize=True)
        flat = matrices.reshape(-1, b * d, b * d)
        return np.asarray(np.linalg.eigvalsh(0.5 * (flat + flat.conj().transpose(0, 2, 1))))

    def lowest(self, strain: Array, inner: Array) -> tuple[float, Array]:
        """Return the lowest ω² over the highest, and its wave vector (d,) in the reciprocal cell.

        Translations are not counted: at q = 0, the d that are nearest to zero.
        """
        squares, d = self.squares(self.constants(strain, inner)), self._cell.crystal.dimension
        squares[0, np.argsort(np.abs(squares[0]))[:d]] = np.inf
        q = int(np.argmin(squares.min(axis=1)))
        highest = float(np.abs(squares[np.isfinite(squares)]).max())
        return float(squares[q].min()) / highest, self.vectors[0][q, :d]

    def constants(self, strain: Array, inner: Array) -> Array:
        """Return Φ (b, d, b, d, cells) between the first cell's atoms and all, by differences of forces."""
        crystal, b, d = self._cell.crystal, self._cell.count, self._cell.crystal.dimension
        gradient = stretch(strain, d)
        atoms = crystal.deformed(gradient, inner.reshape(-1, 3), self.options.repeat)
        atoms.positions += gradient @ crystal.clear_of_faces
        start, size, wanted = atoms.get_positions(), self.options.displacement, {Quantity.ENERGY, Quantity.FORCES}
        found = np.zeros((b, d, b, d, len(atoms) // b))
        for i, axis, sign in product(range(b), range(d), (1.0, -1.0)):
            atoms.positions = start
            atoms.positions[i, axis] += sign * size
            forces = self._cell.engine.compute(atoms, wanted).forces
            self._cell.asked += 1
            assert forces is not None, "forces were wanted"
            found[i, axis] -= sign / (2.0 * size) * forces.reshape(-1, b, 3)[:, :, :d].transpose(1, 2, 0)
        return found


class Vibrations:
    """A(e, η) of a cell's crystal."""

    def __init__(self, cell: Cell, options: VibrationOptions) -> None:
        self.options, self._cell, self._waves = options, cell, Waves(cell, options)
        self._kT = units.kB * options.temperature

    def free_energy(self, strain: Array, inner: Array) -> float:
        """Return A, eV/Å^d, at Green's strain e (k,) and η (3b,) Å.

        Raises:
            CaseError: a wave whose ω² is not above zero: the crystal is not stable there.
        """
        constants = self._waves.constants(strain, inner)
        b, d = constants.shape[:2]
        squares = (
            self._local(constants) if self.options.modes == "local" else self._waves.squares(constants).ravel()[d:]
        )
        if squares.min() <= 0.0:
            raise CaseError(
                f"a vibration of the crystal at the strain {strain.tolist()} has ω² = {squares.min():.3g}, not above "
                "zero: it is not stable",
                where="vibrations",
                todo="see that the cells of 'repeat' are twice as wide as forces reach, and take smaller strains",
            )
        each = self._each(np.sqrt(squares))
        if self.options.modes == "full":  # the translations, which are left out, count as the mean of all others
            weights = np.repeat(self._waves.vectors[1], b * d)[d:]
            each *= weights / weights.sum() * b * d
        return float(each.sum()) / self._cell.crystal.volume

    def change_with_cells(self) -> float:
        """Return by how much A of the reference crystal changes with a cell more along each axis, in kT an atom.

        Raises:
            CaseError: it is not small: in so few cells, forces reach an atom's images, too.
        """
        cell = self._cell
        d, repeat = cell.crystal.dimension, self.options.repeat
        more = tuple(n + 1 if i < d else n for i, n in enumerate(repeat))
        other = Vibrations(cell, self.options.model_copy(update={"repeat": more}))
        still = np.zeros(cell.size), np.zeros(3 * cell.count)
        change = abs(other.free_energy(*still) - self.free_energy(*still)) * cell.crystal.volume / self._kT / cell.count
        if change > _CHANGE:
            raise CaseError(
                f"the free energy of {repeat} cells changes by {change:.1e} kT an atom with a cell more each way",
                where="vibrations.repeat",
                todo="take more cells, as wide as twice what forces reach",
            )
        return change

    def _each(self, frequencies: Array) -> Array:
        quanta = _HBAR * frequencies
        if self.options.statistics == "classical":
            return np.asarray(self._kT * np.log(quanta / self._kT))
        return np.asarray(0.5 * quanta + self._kT * np.log(-np.expm1(-quanta / self._kT)))

    def _local(self, constants: Array) -> Array:
        """Return ω² (b d,) of each atom alone, from force constants (b, d, b, d, cells), eV/Å²."""
        masses = self._cell.crystal.atoms.get_masses()
        own = np.array([constants[i, :, i, :, 0] / mass for i, mass in enumerate(masses)])
        return np.linalg.eigvalsh(0.5 * (own + own.transpose(0, 2, 1))).ravel()


def _waves(d: int, count: int) -> tuple[Array, Array]:
    """Return wave vectors (waves, 3) in the reciprocal cell, q = 0 first, and how many of ±q each stands for."""
    numbers = np.array(list(product(*(range(count) if i < d else (0,) for i in range(3)))))
    place = count ** np.arange(3)[::-1]
    index, minus = numbers @ place, (-numbers % count) @ place
    kept = index <= minus
    return numbers[kept] / count, np.where(index == minus, 1.0, 2.0)[kept]


def _phases(cell: Cell, repeat: tuple[int, int, int], waves: Array) -> Array:
    """Return exp(2πi q·R) (waves, b, b, cells), an atom's nearest images in equal parts."""
    crystal, d = cell.crystal, cell.crystal.dimension
    cells = np.array(list(product(*(range(n) for n in repeat))))
    places = crystal.atoms.positions
    images = np.array(list(product(*((-1, 0, 1) if i < d else (0,) for i in range(3))))) * repeat
    moved = cells[:, None] + images  # (cells, images, 3)
    ways = (moved @ crystal.atoms.cell.array)[None, None] + (places[None] - places[:, None])[:, :, None, None]
    distances = np.linalg.norm(ways, axis=-1)  # (b, b, cells, images)
    near = distances < distances.min(axis=-1, keepdims=True) + _TIE
    shares = near / near.sum(axis=-1, keepdims=True)
    turned = np.exp(2j * np.pi * np.einsum("qk,cmk->qcm", waves, moved))
    return np.asarray(np.einsum("qcm,ijcm->qijc", turned, shares, optimize=True))
