"""What every force field keeps beside the particle contract, as tests. Import it from `.contract`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar, get_args

import numpy as np
import pytest
from ase import Atoms
from ase.calculators.calculator import Calculator, all_changes
from ase.md.verlet import VelocityVerlet

from .adapter import ForceField, Part, ParticleAdapter, Potential
from .contract_particles import ParticleContract
from .contract_probes import close, energy_of, forces_of, warmed
from .data import Array, Indices, Quantity, TermCount
from .errors import AtomsError

none = TermCount(0, 0, 0)


class ForceFieldContract(ParticleContract):
    """What every `ForceField` keeps. The atoms are its own, shaken; `make_atoms` may give others."""

    bound = True
    trajectory_tolerance: ClassVar[float] = 1e-6  # Å, and amu·Å per ASE time: against ASE's velocity Verlet
    drift_tolerance: ClassVar[float] = 1e-3  # eV per atom: the total energy of a few steps with an extra potential

    def make_adapter(self) -> ForceField:
        """Return a new force field."""
        raise NotImplementedError("give make_adapter()")

    def make_atoms(self) -> Atoms:
        """Return the force field's atoms, displaced by 0.03 Å at random."""
        atoms = self.make_adapter().initial_atoms()
        atoms.rattle(0.03, seed=2)
        return atoms

    def make_regions(self, n: int) -> Sequence[Indices]:
        """Return regions: nothing, one atom, some that bonds cross, a scattered half, everything."""
        half = np.random.default_rng(4).permutation(n)[: n // 2]
        return [np.array(each, dtype=np.int64) for each in ([], [0], range(n // 3), half, range(n))]

    def make_extra(self, atoms: Atoms) -> Tether:
        """Return an extra potential that the motion feels within a few steps."""
        return Tether(atoms.positions + 0.1)

    def test_topology(self, adapter: ForceField) -> None:
        """Every array has the atoms' length, and a bond is named once."""
        topology, atoms = adapter.topology, adapter.initial_atoms()
        n, residues = len(atoms), len(topology.residue_names)
        assert len(topology) == len(topology.names) == len(topology.residues) == len(topology.charges) == n
        assert residues == len(topology.residue_numbers) == len(topology.chains) == topology.residues.max() + 1
        assert np.array_equal(topology.numbers, atoms.numbers), "the topology's elements are not the atoms'"
        i, j = topology.bonds.reshape(-1, 2).T
        assert np.all(i < j) and np.all(j < n), "a bond is (i, j) with i < j < n"
        assert len(np.unique(topology.bonds, axis=0)) == len(topology.bonds), "a bond is there twice"

    def test_other_atoms_are_refused(self, adapter: ForceField, atoms: Atoms) -> None:
        """A force field is built for its own atoms."""
        with pytest.raises(AtomsError):
            adapter.compute(atoms[:-1], {Quantity.ENERGY})

    @pytest.mark.parametrize("own", [True, False], ids=["own charges", "other charges"])
    def test_parts_add_up(self, adapter: ForceField, atoms: Atoms, own: bool) -> None:
        """E(all) = E(inside) + E(rest), and so the forces; the inside pulls on nobody outside."""
        charges = None if own else np.random.default_rng(6).uniform(-0.5, 0.5, len(atoms))
        for region in self.make_regions(len(atoms)):
            parts: dict[Part, ForceField] = {p: adapter.select(region, p, charges) for p in get_args(Part)}
            energy = {p: energy_of(each, atoms) for p, each in parts.items()}
            forces = {p: forces_of(each, atoms) for p, each in parts.items()}
            close(energy["inside"] + energy["rest"], energy["all"], self.energy_tolerance, "the sum of parts")
            close(forces["inside"] + forces["rest"], forces["all"], self.force_tolerance, "the sum of forces")
            outside = np.setdiff1d(np.arange(len(atoms)), region)
            assert not forces["inside"][outside].any(), "a term of the inside pulls on an atom outside"
            for each in parts.values():
                each.close()

    def test_select_without_charges_keeps_the_own(self, adapter: ForceField, atoms: Atoms) -> None:
        """All terms with the force field's own charges are the force field; with others they are not."""
        nothing, own = np.array([], dtype=np.int64), adapter.topology.charges
        for charges in (None, own):
            same = energy_of(adapter.select(nothing, "all", charges), atoms)
            close(same, energy_of(adapter, atoms), self.energy_tolerance, "the energy of all terms")
        if own.any():
            assert abs(energy_of(adapter.select(nothing, "all", 0.5 * own), atoms) - same) > 1e-6

    def test_terms_are_counted_once(self, adapter: ForceField) -> None:
        """Each class has one total, whatever the region, and `select` keeps what its name says."""
        n = len(adapter.topology)
        total = {name: c.inside + c.across + c.outside for name, c in adapter.terms(np.arange(n)).items()}
        for region in self.make_regions(n):
            every = adapter.terms(region)
            inside, rest = (adapter.select(region, part).terms(region) for part in ("inside", "rest"))
            for name, count in every.items():
                assert count.inside + count.across + count.outside == total[name], name
                assert inside.get(name, none) == TermCount(count.inside, 0, 0), name
                assert rest.get(name, none) == TermCount(0, count.across, count.outside), name

    def test_no_charges_are_no_coulomb_terms(self, adapter: ForceField) -> None:
        """A Coulomb pair counts where both charges are non-zero."""
        n = len(adapter.topology)
        count = adapter.select(np.arange(n), "all", np.zeros(n)).terms(np.arange(n))
        assert count.get("Coulomb", none) == none

    def test_an_extra_potential_joins_the_motion(self, adapter: ForceField) -> None:
        """With an extra potential, NVE is ASE's velocity Verlet on the sum, and the extra is asked once a step."""
        atoms, motion = warmed(self.make_atoms()), self.motion("nve")
        extra, steps = self.make_extra(atoms), 4 * self.steps
        adapter.host(atoms, motion, extra)
        total = []
        for _ in range(steps):
            adapter.advance(motion.timestep)
            seen = adapter.observe()
            total.append(seen.potential + seen.kinetic)
        assert extra.calls <= steps + 1, "the extra potential was asked more than once a step"
        assert np.ptp(total) < self.drift_tolerance * len(atoms), "the energy is not conserved"
        atoms.calc = _Sum(self.make_adapter(), self.make_extra(atoms))
        VelocityVerlet(atoms, motion.timestep).run(steps)
        moved = adapter.atoms
        close(moved.positions, atoms.positions, self.trajectory_tolerance, "the trajectory")
        close(moved.get_momenta(), atoms.get_momenta(), self.trajectory_tolerance, "the momenta")
        close(total[-1], atoms.get_total_energy(), self.drift_tolerance, "the total energy")


class Tether:
    """An extra potential: E = ½ k Σ (x − x₀)². It counts how often it is asked."""

    def __init__(self, centre: Array, stiffness: float = 2.0) -> None:
        self.centre, self.stiffness, self.calls = centre, stiffness, 0

    def __call__(self, positions: Array, cell: Array) -> tuple[float, Array]:
        """Return the energy (eV) and the forces (eV/Å) at ``positions`` (n, 3) Å."""
        self.calls += 1
        shift = positions - self.centre
        return float(0.5 * self.stiffness * np.sum(shift**2)), -self.stiffness * shift


class _Sum(Calculator):
    def __init__(self, adapter: ParticleAdapter, extra: Potential) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.implemented_properties = ["energy", "forces"]
        self.adapter, self.extra = adapter, extra

    def calculate(
        self, atoms: Any = None, properties: list[str] | None = None, system_changes: list[str] = all_changes
    ) -> None:
        super().calculate(atoms, ["energy"], system_changes)  # type: ignore[no-untyped-call]
        energy, forces = self.extra(atoms.positions, atoms.cell.array)
        self.results = {
            "energy": energy + energy_of(self.adapter, atoms),
            "forces": forces + forces_of(self.adapter, atoms),
        }
