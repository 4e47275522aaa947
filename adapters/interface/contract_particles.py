"""What every particle adapter keeps, as tests. Import it from `.contract`."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from typing import ClassVar, Literal

import numpy as np
import pytest
from ase import Atoms
from ase.optimize import BFGS
from scipy.spatial.transform import Rotation

from .adapter import ParticleAdapter
from .contract_probes import (
    advanced,
    array_of,
    close,
    energy_of,
    forces_of,
    moved,
    plain_copy,
    same_motion,
    slopes,
    strained,
    turned,
    warmed,
)
from .data import Array, ExternalCharges, Quantity, Results
from .errors import AtomsError, NotOffered, OptionError
from .motion import Motion

Ensemble = Literal["nve", "langevin", "nose-hoover", "npt"]


class ParticleContract:
    """What every `ParticleAdapter` with forces keeps. A subclass gives `make_adapter` and `make_atoms`."""

    step: ClassVar[float] = 1e-3  # Å, e and strain: the difference's step
    most_directions: ClassVar[int] = 24  # of differences, for each derivative; four energies each
    gradient_tolerance: ClassVar[float] = 1e-6  # eV/Å and V: against differences
    stress_tolerance: ClassVar[float] = 1e-6  # eV per unit strain: likewise
    energy_tolerance: ClassVar[float] = 1e-8  # eV: invariances
    force_tolerance: ClassVar[float] = 1e-6  # eV/Å: invariances, the sum of forces (eV: of torques)
    rotation_tolerance: ClassVar[float] = 1e-6  # eV and eV/Å: under rotation, where a grid does not turn
    repeat_tolerance: ClassVar[float] = 0.0  # eV and eV/Å: asking the same twice

    bound: ClassVar[bool] = False  # built for these atoms in this order
    extensive: ClassVar[bool] = True  # two far copies have twice the energy (not so with a net charge)
    rotates: ClassVar[bool] = True  # takes atoms, and their cell, in any orientation
    timestep: ClassVar[float] = 0.5  # fs
    steps: ClassVar[int] = 4  # of a motion

    def make_adapter(self) -> ParticleAdapter:
        """Return a new adapter."""
        raise NotImplementedError("give make_adapter()")

    def make_atoms(self) -> Atoms:
        """Return atoms in a generic configuration: no symmetry, no minimum, large forces allowed."""
        raise NotImplementedError("give make_atoms()")

    def make_charges(self) -> Sequence[ExternalCharges]:
        """Return sets of external charges near the atoms, if the adapter takes them: points, and Gaussians."""
        return ()

    @pytest.fixture
    def adapter(self) -> Iterator[ParticleAdapter]:
        """Give an adapter, closed after the test."""
        adapter = self.make_adapter()
        yield adapter
        adapter.close()

    @pytest.fixture
    def atoms(self) -> Atoms:
        """Give the atoms."""
        return self.make_atoms()

    def motion(self, ensemble: Ensemble) -> Motion:
        """Return a motion of ``ensemble`` at 300 K."""
        table: dict[str, object] = {"timestep": f"{self.timestep} fs", "ensemble": ensemble, "seed": 5}
        if ensemble != "nve":
            table["temperature"] = "300 K"
        if ensemble in ("langevin", "npt"):
            table["friction"] = "10 / ps"
        if ensemble == "nose-hoover":
            table["damping_time"] = "20 fs"
        if ensemble == "npt":
            table |= {"pressure": "1 bar", "barostat_interval": 2}
        return Motion.read(table)

    def moving(self, adapter: ParticleAdapter, ensemble: Ensemble = "nve") -> Motion:
        """Start the atoms, at 300 K, and return the motion."""
        motion = self.motion(ensemble)
        adapter.start(warmed(self.make_atoms()), motion)
        return motion

    def _slopes(self, function: Callable[[Array], float], shape: tuple[int, ...]) -> Iterator[tuple[Array, float]]:
        return slopes(function, shape, self.step, self.most_directions)

    # The energy and its derivatives

    def test_forces_are_minus_the_gradient(self, adapter: ParticleAdapter, atoms: Atoms) -> None:
        """F = −∂E/∂x, without and with external charges."""
        if not adapter.conservative:
            pytest.skip("the adapter does not say that its forces are a gradient")
        for charges in (None, *self.make_charges()):
            self._check_forces(adapter, atoms, charges)

    def _check_forces(self, adapter: ParticleAdapter, atoms: Atoms, charges: ExternalCharges | None) -> None:
        forces = forces_of(adapter, atoms, charges)
        assert forces.shape == (len(atoms), 3)
        for along, slope in self._slopes(lambda x: energy_of(adapter, moved(atoms, x), charges), forces.shape):
            close(np.sum(forces * along), -slope, self.gradient_tolerance, "the force")

    def test_stress_is_the_strain_derivative(self, adapter: ParticleAdapter, atoms: Atoms) -> None:
        """σ = (1/V) ∂E/∂ε with r → (1 + ε) r for atoms and cell; without a cell it is refused."""
        if Quantity.STRESS not in adapter.offers or atoms.cell.rank < 3:
            with pytest.raises((NotOffered, AtomsError)):
                adapter.compute(atoms, {Quantity.STRESS})
            return
        stress = array_of(adapter.compute(atoms, {Quantity.STRESS}), Quantity.STRESS)
        for along, slope in self._slopes(lambda e: energy_of(adapter, strained(atoms, e)), (6,)):
            close(atoms.get_volume() * (stress @ along), slope, self.stress_tolerance, "the stress times the volume")

    def test_charge_derivatives(self, adapter: ParticleAdapter, atoms: Atoms) -> None:
        """F = −∂E/∂R of every external charge, and φ = ∂E/∂q where offered."""
        for charges in self.make_charges():
            self._check_charge_forces(adapter, atoms, charges)
            if Quantity.CHARGE_POTENTIAL in adapter.offers:
                self._check_charge_potential(adapter, atoms, charges)

    def _check_charge_forces(self, adapter: ParticleAdapter, atoms: Atoms, at: ExternalCharges) -> None:
        forces = array_of(adapter.compute(atoms, {Quantity.CHARGE_FORCES}, at), Quantity.CHARGE_FORCES)

        def energy(shift: Array) -> float:
            return energy_of(adapter, atoms, replace(at, positions=at.positions + shift))

        for along, slope in self._slopes(energy, (len(at), 3)):
            close(np.sum(forces * along), -slope, self.gradient_tolerance, "the force on a charge")

    def _check_charge_potential(self, adapter: ParticleAdapter, atoms: Atoms, at: ExternalCharges) -> None:
        potential = array_of(adapter.compute(atoms, {Quantity.CHARGE_POTENTIAL}, at), Quantity.CHARGE_POTENTIAL)

        def energy(shift: Array) -> float:
            return energy_of(adapter, atoms, replace(at, charges=at.charges + shift))

        for along, slope in self._slopes(energy, (len(at),)):
            close(potential @ along, slope, self.gradient_tolerance, "the potential at a charge")

    def test_nothing_pulls_on_the_whole(self, adapter: ParticleAdapter, atoms: Atoms) -> None:
        """ΣF = 0, and Σ r × F = 0 without a cell, external charges included."""
        for charges in (None, *self.make_charges()):
            wanted = {Quantity.FORCES} | ({Quantity.CHARGE_FORCES} if charges is not None else set())
            results = adapter.compute(atoms, wanted, charges)
            positions, forces = atoms.positions, array_of(results, Quantity.FORCES)
            if charges is not None:
                positions = np.vstack([positions, charges.positions])
                forces = np.vstack([forces, array_of(results, Quantity.CHARGE_FORCES)])
            close(forces.sum(axis=0), np.zeros(3), self.force_tolerance, "the sum of forces")
            if atoms.cell.rank == 0:
                torque = np.cross(positions - positions.mean(axis=0), forces).sum(axis=0)
                close(torque, np.zeros(3), self.force_tolerance, "the sum of torques")

    def test_components_add_up_to_the_energy(self, adapter: ParticleAdapter, atoms: Atoms) -> None:
        """Every part of the energy is counted once."""
        results = adapter.compute(atoms, {Quantity.ENERGY})
        if results.components:
            energy = float(results.need(Quantity.ENERGY))
            close(sum(results.components.values()), energy, 1e-10 * max(1.0, abs(energy)), "the sum of components")

    # Invariances

    def test_translation(self, adapter: ParticleAdapter, atoms: Atoms) -> None:
        """The energy and forces do not know where the atoms are."""
        other = moved(atoms, np.array([1.37, -0.71, 2.13]))
        close(energy_of(adapter, other), energy_of(adapter, atoms), self.energy_tolerance, "the energy")
        close(forces_of(adapter, other), forces_of(adapter, atoms), self.force_tolerance, "the forces")

    def test_rotation(self, adapter: ParticleAdapter, atoms: Atoms) -> None:
        """The energy does not know how the atoms, and their cell, are turned; the forces turn with them."""
        if not self.rotates:
            pytest.skip("the adapter takes a cell in one orientation only")
        turn = Rotation.from_rotvec([0.4, -1.1, 0.7]).as_matrix()
        other = turned(atoms, turn)
        close(energy_of(adapter, other), energy_of(adapter, atoms), self.rotation_tolerance, "the energy")
        close(forces_of(adapter, other), forces_of(adapter, atoms) @ turn.T, self.rotation_tolerance, "the forces")

    def test_permutation(self, adapter: ParticleAdapter, atoms: Atoms) -> None:
        """The order of the atoms carries no meaning."""
        if self.bound:
            pytest.skip("the adapter is built for fixed atoms in a fixed order")
        order = np.random.default_rng(7).permutation(len(atoms))
        close(energy_of(adapter, atoms[order]), energy_of(adapter, atoms), self.energy_tolerance, "the energy")
        close(forces_of(adapter, atoms[order]), forces_of(adapter, atoms)[order], self.force_tolerance, "the forces")

    def test_two_far_copies_have_twice_the_energy(self, adapter: ParticleAdapter, atoms: Atoms) -> None:
        """Size-extensivity, at a distance where nothing acts any more."""
        if self.bound or not self.extensive or atoms.cell.rank:
            pytest.skip("two copies of these atoms are not two independent systems for this adapter")
        pair = atoms + moved(atoms, np.array([1e4, 0.0, 0.0]))
        close(energy_of(adapter, pair), 2.0 * energy_of(adapter, atoms), 2.0 * self.energy_tolerance, "the energy")

    # Asking

    def test_the_same_twice(self, adapter: ParticleAdapter, atoms: Atoms) -> None:
        """A question asked again has the same answer, bit for bit."""
        wanted = {Quantity.ENERGY, Quantity.FORCES}
        first, again = adapter.compute(atoms, wanted), adapter.compute(atoms, wanted)
        for quantity in wanted:
            close(again.need(quantity), first.need(quantity), self.repeat_tolerance, quantity.value)

    def test_input_is_left_alone_and_output_is_new(self, adapter: ParticleAdapter, atoms: Atoms) -> None:
        """The atoms that went in do not change, nor do arrays that came out."""
        before = atoms.copy()
        forces = forces_of(adapter, atoms)
        kept = forces.copy()
        other = atoms.copy()
        other.positions[0, 2] += 0.1
        forces_of(adapter, other)
        assert np.array_equal(forces, kept), "a later answer overwrote an earlier one"
        forces[:] = 99.0
        assert not np.any(forces_of(adapter, atoms) == 99.0), "the caller's change came back"
        assert atoms == before and atoms.arrays.keys() == before.arrays.keys(), "the atoms were changed"
        assert atoms.calc is None and atoms.info == before.info, "the atoms were changed"

    @pytest.mark.parametrize("quantity", list(Quantity))
    def test_what_is_not_offered_is_refused(self, adapter: ParticleAdapter, atoms: Atoms, quantity: Quantity) -> None:
        """Every quantity is given, or `NotOffered` says that it is not."""
        charges = next(iter(self.make_charges()), None)
        if quantity not in adapter.offers:
            with pytest.raises(NotOffered, match=quantity.value):
                adapter.compute(atoms, {quantity})
        elif quantity is not Quantity.STRESS or atoms.cell.rank == 3:
            assert np.all(np.isfinite(adapter.compute(atoms, {quantity}, charges).need(quantity)))

    def test_external_charges_are_taken_or_refused(self, adapter: ParticleAdapter, atoms: Atoms) -> None:
        """No adapter ignores charges."""
        charges = ExternalCharges(np.array([[9.0, 1.0, 2.0]]), np.array([0.5]))
        if Quantity.CHARGE_FORCES not in adapter.offers:
            with pytest.raises(NotOffered, match="external charges"):
                adapter.compute(atoms, {Quantity.ENERGY}, charges)
        else:
            assert self.make_charges(), "an adapter that takes charges gives make_charges()"
            assert energy_of(adapter, atoms, charges) != energy_of(adapter, atoms)

    @pytest.mark.parametrize("bad", [np.nan, np.inf])
    def test_positions_that_are_not_finite_are_refused(
        self, adapter: ParticleAdapter, atoms: Atoms, bad: float
    ) -> None:
        """The error names the atom."""
        atoms.positions[-1, 1] = bad
        with pytest.raises(AtomsError, match=f"atom {len(atoms) - 1} "):
            adapter.compute(atoms, {Quantity.ENERGY})

    def test_no_atoms_are_refused(self, adapter: ParticleAdapter) -> None:
        """An energy of nothing is not zero, it is a mistake."""
        with pytest.raises(AtomsError):
            adapter.compute(Atoms(), {Quantity.ENERGY})

    def test_an_unknown_element_is_refused(self, adapter: ParticleAdapter, atoms: Atoms) -> None:
        """If the adapter says what elements it knows, it refuses the others."""
        if adapter.elements is not None:
            numbers = atoms.numbers.copy()
            numbers[0] = next(z for z in range(118, 0, -1) if z not in adapter.elements)
            atoms.set_atomic_numbers(numbers)
            with pytest.raises(AtomsError):
                adapter.compute(atoms, {Quantity.ENERGY})

    def test_an_unknown_option_is_refused(self, adapter: ParticleAdapter) -> None:
        """Typing mistakes in case.toml do not pass."""
        with pytest.raises(OptionError, match="no_such_key"):
            type(adapter).Options.read({"no_such_key": 1})

    def test_close_may_be_called_twice(self, adapter: ParticleAdapter, atoms: Atoms) -> None:
        """Cleaning up is safe to repeat."""
        energy_of(adapter, atoms)
        adapter.close()
        adapter.close()

    # ASE's drivers

    def test_as_calculator(self, adapter: ParticleAdapter, atoms: Atoms) -> None:
        """ASE gets the same numbers, and its optimiser goes downhill with them."""
        energy, forces = energy_of(adapter, atoms), forces_of(adapter, atoms)
        atoms.calc = adapter.as_calculator()
        close(atoms.get_potential_energy(), energy, self.repeat_tolerance, "the energy")
        close(atoms.get_forces(), forces, self.repeat_tolerance, "the forces")
        BFGS(atoms, logfile=None).run(fmax=1e-3, steps=6)
        assert atoms.get_potential_energy() < energy, "six steps of BFGS did not lower the energy"

    # Motion

    @pytest.mark.parametrize("ensemble", ["nve", "langevin", "nose-hoover", "npt"])
    def test_going_back_is_exact(self, adapter: ParticleAdapter, ensemble: Ensemble) -> None:
        """After `restore` the same steps follow bit for bit, in this adapter and in a new one."""
        if ensemble not in adapter.ensembles:
            with pytest.raises(NotOffered, match=ensemble):
                self.moving(adapter, ensemble)
            return
        dt = self.moving(adapter, ensemble).timestep
        advanced(adapter, dt, self.steps)
        state = plain_copy(adapter.save())
        expected = advanced(adapter, dt, self.steps)
        adapter.restore(state)
        same_motion(advanced(adapter, dt, self.steps), expected)
        other = self.make_adapter()
        self.moving(other, ensemble)
        other.restore(state)
        same_motion(advanced(other, dt, self.steps), expected)
        other.close()

    def test_the_state_is_plain_arrays(self, adapter: ParticleAdapter) -> None:
        """A state can go to disk and over MPI, and later steps do not change it."""
        dt = self.moving(adapter).timestep
        state = adapter.save()
        copy = plain_copy(state)
        advanced(adapter, dt, self.steps)
        for key, value in copy.items():
            assert np.array_equal(state[key], value), f"a later step changed the saved '{key}'"

    def test_observing_is_true_and_costs_nothing(
        self, adapter: ParticleAdapter, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """`observe` shows the energies of `atoms`, and asks the engine nothing more."""
        calls: list[int] = []
        ask = adapter._compute

        def counted(atoms: Atoms, wanted: frozenset[Quantity], charges: ExternalCharges | None) -> Results:
            calls.append(len(atoms))
            return ask(atoms, wanted, charges)

        monkeypatch.setattr(adapter, "_compute", counted)
        dt = self.moving(adapter).timestep
        advanced(adapter, dt, 2)
        unobserved = len(calls)
        self.moving(adapter)
        for _ in range(2):
            adapter.observe()
            adapter.advance(dt)
        seen = adapter.observe()
        assert len(calls) == 2 * unobserved, "observing asked the engine"
        atoms = adapter.atoms
        close(seen.potential, energy_of(adapter, atoms), self.energy_tolerance, "the potential energy")
        close(seen.kinetic, atoms.get_kinetic_energy(), self.energy_tolerance, "the kinetic energy")
        close(sum(seen.components.values()), seen.potential, self.energy_tolerance, "the sum of components")
