"""Motion inside OpenMM: the same as ASE's, one question a step to the extra potential, and an exact way back."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import openmm
import pytest
from ase import Atoms
from ase.constraints import FixAtoms, FixBondLengths, FixInternals
from ase.md.verlet import VelocityVerlet
from openmm import app
from scipy.spatial.transform import Rotation

from scalespan.adapters.interface import (
    Array,
    AtomsError,
    CaseError,
    EngineFailed,
    Motion,
    NotConverged,
    NotOffered,
    Quantity,
)
from scalespan.adapters.interface.contract import Tether
from scalespan.adapters.interface.contract_probes import warmed
from scalespan.adapters.interface.units import FEMTOSECOND
from scalespan.adapters.openmm import OpenMMAdapter, OpenMMOptions, OpenMMSettings

DATA = Path(__file__).parents[1] / "data" / "openmm"
REFERENCE = OpenMMSettings(platform="Reference")
MOTIONS: dict[str, dict[str, object]] = {
    "nve": {},
    "langevin": {"temperature": "300 K", "friction": "10 / ps"},
    "nose-hoover": {"temperature": "300 K", "damping_time": "20 fs"},
    "npt": {"temperature": "300 K", "friction": "10 / ps", "pressure": "1 bar", "barostat_interval": 3},
}


def make(platform: str = "Reference", **table: object) -> OpenMMAdapter:
    files = {"pdb": "ethanol_water.pdb", "force_field": ["ethanol_water.xml"], "platform": platform}
    return OpenMMAdapter(OpenMMOptions.read(files | {"cutoff": "5 angstrom"} | table, folder=DATA))


def motion(ensemble: str = "nve", timestep: str = "0.5 fs", **other: object) -> Motion:
    return Motion.read({"timestep": timestep, "ensemble": ensemble, **MOTIONS[ensemble], **other})


def warm(adapter: OpenMMAdapter, temperature: float = 300.0) -> Atoms:
    return warmed(adapter.initial_atoms(), temperature)


def tether(atoms: Atoms) -> Tether:
    return Tether(atoms.positions + 0.05, 0.5)


def test_velocity_verlet_is_ase_s() -> None:
    """200 steps agree to the growth of round-off: from 1e-15 Å a step, by the system's own instability."""
    adapter = make()
    atoms = warm(adapter)
    adapter.start(atoms, motion())
    atoms.calc = make().as_calculator()
    verlet = VelocityVerlet(atoms, 0.5 * FEMTOSECOND)
    for _ in range(4):
        adapter.advance(50 * 0.5 * FEMTOSECOND)
        verlet.run(50)
        np.testing.assert_allclose(adapter.atoms.positions, atoms.positions, atol=1e-10)
        np.testing.assert_allclose(adapter.atoms.get_momenta(), atoms.get_momenta(), atol=1e-9)
    assert adapter.observe().potential + adapter.observe().kinetic == pytest.approx(atoms.get_total_energy(), abs=1e-9)
    assert adapter.observe().temperature == pytest.approx(atoms.get_temperature(), abs=1e-6)


def test_constrained_velocity_verlet_is_ase_s() -> None:
    """RATTLE against ASE's, whose tolerance is set as small as it goes."""
    adapter = make(rigid_water=True)
    atoms = warm(adapter)
    held = [adapter.model.system.getConstraintParameters(i) for i in range(adapter.model.system.getNumConstraints())]
    rule = FixBondLengths([(i, j) for i, j, _ in held], tolerance=1e-11, bondlengths=[d._value * 10 for *_, d in held])
    rule.iterations = 5000
    start = atoms.copy()
    start.set_constraint(rule)
    start.set_positions(start.positions)
    start.set_momenta(start.get_momenta())
    free = start.copy()
    free.set_constraint()
    adapter.start(free, motion())
    start.calc = make(rigid_water=True).as_calculator()
    adapter.advance(8 * 0.5 * FEMTOSECOND)
    VelocityVerlet(start, 0.5 * FEMTOSECOND).run(8)
    np.testing.assert_allclose(adapter.atoms.positions, start.positions, atol=2e-5)
    assert adapter.observe().temperature == pytest.approx(start.get_temperature(), rel=1e-3)


@pytest.mark.parametrize("ensemble", ["nve", "langevin"])
def test_constraints_hold(ensemble: str) -> None:
    adapter = make(rigid_water=True, constraints="h-bonds")
    adapter.start(warm(adapter), motion(ensemble, "1 fs"))
    adapter.advance(50 * FEMTOSECOND)
    atoms, system = adapter.atoms, adapter.model.system
    for i, j, length in map(system.getConstraintParameters, range(system.getNumConstraints())):
        assert atoms.get_distance(i, j) == pytest.approx(10.0 * length._value, rel=1e-5)
        relative = (atoms.get_velocities()[i] - atoms.get_velocities()[j]) @ (atoms.positions[i] - atoms.positions[j])
        assert ensemble != "nve" or abs(relative) < 1e-5


def four_site(constrained: bool) -> OpenMMAdapter:
    """Return waters of TIP4P-Ew, whose negative charge is on a virtual site, in vacuum."""
    field = app.ForceField("tip4pew.xml")
    modeller = app.Modeller(app.Topology(), [])
    modeller.addSolvent(field, model="tip4pew", boxSize=openmm.Vec3(0.9, 0.9, 0.9))
    system = field.createSystem(modeller.topology, rigidWater=constrained)
    return OpenMMAdapter.of(system, modeller.topology, modeller.positions, REFERENCE)


@pytest.mark.parametrize("constrained", [False, True])
def test_the_energy_error_goes_with_the_square_of_the_timestep(constrained: bool) -> None:
    """The mark of a symplectic integrator of second order whose forces are the gradient; sites and constraints too."""
    adapter = four_site(constrained)
    atoms = relaxed(adapter)
    spread = []
    for timestep in (0.5, 0.25):
        adapter.start(atoms, motion(timestep=f"{timestep} fs"))
        total = []
        for _ in range(int(40 / timestep)):
            adapter.advance(timestep * FEMTOSECOND)
            seen = adapter.observe()
            total.append(seen.potential + seen.kinetic)
        spread.append(np.std(total))
    assert 3.5 < spread[0] / spread[1] < 4.5


@pytest.mark.parametrize("ensemble", ["nve", "nose-hoover"])
def test_forces_are_taken_where_the_virtual_sites_are(ensemble: str) -> None:
    """Against the schemes by hand; within one step of a CustomIntegrator OpenMM 8.6 leaves the sites behind.

    A Nosé-Hoover thermostat that never acts is the leapfrog: kicks of a whole step.
    """
    run = motion() if ensemble == "nve" else motion(ensemble, damping_time="1e9 fs")
    adapter = four_site(constrained=False)
    atoms = relaxed(adapter)
    adapter.start(atoms, run)
    masses = adapter.model.masses[:, None]
    inverse = np.divide(1.0, masses, out=np.zeros_like(masses), where=masses > 0.0)
    velocities, first = atoms.get_momenta() * inverse, 0.5 if ensemble == "nve" else 1.0

    def kick(part: float) -> Array:
        return part * run.timestep * adapter.compute(atoms, {Quantity.FORCES}).forces * inverse

    for _ in range(20):
        adapter.advance(run.timestep)
        velocities = velocities + kick(first)
        atoms.positions += run.timestep * velocities
        velocities = velocities + kick(1.0 - first)
    real = masses[:, 0] > 0.0
    np.testing.assert_allclose(adapter.atoms.positions[real], atoms.positions[real], atol=1e-9)
    np.testing.assert_allclose(adapter.atoms.get_momenta(), masses * velocities, atol=1e-9)


def relaxed(adapter: OpenMMAdapter) -> Atoms:
    """Return atoms that a strong friction has cooled from OpenMM's first guess of a box."""
    adapter.start(adapter.initial_atoms(), motion("langevin", "0.2 fs", temperature="50 K", friction="50 / ps"))
    adapter.advance(500 * 0.2 * FEMTOSECOND)
    atoms = adapter.atoms
    atoms.set_momenta(atoms.get_momenta())
    return atoms


@pytest.mark.parametrize("platform", ["Reference", "CPU"])
@pytest.mark.parametrize("ensemble", MOTIONS)
def test_the_extra_potential_is_asked_once_a_step(ensemble: str, platform: str) -> None:
    """However often energies are read; a trial box costs one question more, taken or not."""
    adapter = make(platform)
    atoms = warm(adapter)
    extra, steps = tether(atoms), 12
    adapter.host(atoms, motion(ensemble), extra)
    for _ in range(steps):
        adapter.advance(0.5 * FEMTOSECOND)
        for _ in range(2):
            assert adapter.observe().components["extra"] == pytest.approx(energy_of(extra, adapter.atoms), abs=1e-6)
    extra_calls = extra.calls - 2 * steps  # `energy_of` has counted, too
    assert extra_calls == steps + 1 + (steps // 3 if ensemble == "npt" else 0)


def energy_of(extra: Tether, atoms: Atoms) -> float:
    return extra(atoms.positions, atoms.cell.array)[0]


@pytest.mark.parametrize("with_extra", [False, True], ids=["alone", "with extra"])
@pytest.mark.parametrize("platform", ["Reference", "CPU"])
@pytest.mark.parametrize("ensemble", MOTIONS)
def test_a_run_goes_on_in_another_process_bit_for_bit(ensemble: str, platform: str, with_extra: bool) -> None:
    """Noise, thermostat chains and the barostat's width and turn are in the state, and no question is asked twice."""

    def fresh() -> tuple[OpenMMAdapter, Tether]:
        adapter = make(platform)
        extra = tether(adapter.initial_atoms())
        adapter.host(warm(adapter), motion(ensemble), extra if with_extra else None)
        return adapter, extra

    def seen(adapter: OpenMMAdapter) -> Array:
        atoms, energy = adapter.atoms, adapter.observe()
        return np.vstack([atoms.positions, atoms.get_momenta(), atoms.cell.array, [[energy.potential, 0.0, 0.0]]])

    first, asked = fresh()
    first.advance(31 * 0.5 * FEMTOSECOND)
    state = first.save()
    calls = asked.calls
    first.advance(40 * 0.5 * FEMTOSECOND)
    calls = asked.calls - calls
    second, asked = fresh()
    second.advance(5 * 0.5 * FEMTOSECOND)
    asked.calls = 0
    second.restore(state)
    second.advance(40 * 0.5 * FEMTOSECOND)
    assert asked.calls == calls
    assert np.array_equal(seen(first), seen(second))
    first.restore(state)
    first.advance(40 * 0.5 * FEMTOSECOND)
    assert np.array_equal(seen(first), seen(second))


def test_a_state_of_another_run_is_refused() -> None:
    one, other = make(), make(platform="CPU")
    for adapter in (one, other):
        adapter.start(warm(adapter), motion())
    with pytest.raises(CaseError, match="cannot go back to this state"):
        other.restore(one.save())


class Failing:
    def __init__(self, error: Exception, after: int) -> None:
        self.error, self.left = error, after

    def __call__(self, positions: Array, cell: Array) -> tuple[float, Array]:
        self.left -= 1
        if self.left < 0:
            raise self.error
        return 0.0, np.zeros_like(positions)


@pytest.mark.parametrize("error", [NotConverged("SCF ended without an answer"), KeyError("a bug")])
def test_an_error_of_the_extra_potential_comes_out_as_it_was(error: Exception) -> None:
    adapter = make()
    adapter.host(warm(adapter), motion(), Failing(error, 3))
    with pytest.raises(type(error)) as found:
        adapter.advance(10 * 0.5 * FEMTOSECOND)
    assert found.value is error


@pytest.mark.parametrize("answer", [(0.0, np.zeros((3, 3))), (np.nan, np.zeros((15, 3)))])
def test_an_answer_without_sense_is_refused(answer: tuple[float, Array]) -> None:
    adapter = make()
    adapter.host(warm(adapter), motion(), lambda positions, cell: answer)
    with pytest.raises(EngineFailed, match="the extra potential answered"):
        adapter.advance(0.5 * FEMTOSECOND)


@pytest.mark.parametrize("platform", ["Reference", "CPU"])
def test_atoms_that_fly_apart_are_reported(platform: str) -> None:
    """The Reference platform's PME would end the whole process; see `Dynamics`."""
    adapter = make(platform)
    atoms = adapter.initial_atoms()
    atoms.positions[9] = atoms.positions[12] + 1e-3
    adapter.start(atoms, motion(timestep="2 fs"))
    with pytest.raises(EngineFailed, match="minimise first, or shorten the timestep"):
        adapter.advance(200 * FEMTOSECOND)


def test_nve_takes_any_time_and_a_thermostat_whole_steps() -> None:
    adapter = make()
    adapter.start(warm(adapter), motion())
    adapter.advance(1.3 * FEMTOSECOND)
    atoms = warm(adapter)
    atoms.calc = make().as_calculator()
    VelocityVerlet(atoms, 1.3 * FEMTOSECOND / 3).run(3)
    np.testing.assert_allclose(adapter.atoms.positions, atoms.positions, atol=1e-12)
    adapter.start(warm(adapter), motion("langevin"))
    adapter.advance(1.5 * FEMTOSECOND)
    with pytest.raises(CaseError, match=r"a thermostat cannot take 2\.6 timesteps"):
        adapter.advance(1.3 * FEMTOSECOND)


def test_a_turned_cell_moves_as_the_straight_one() -> None:
    """OpenMM wants a along x; the extra potential sees the atoms and the cell as they were given."""
    adapter, turn = make(), Rotation.from_rotvec([0.4, -1.1, 0.7]).as_matrix()
    straight = warm(adapter)
    straight.set_cell([[13.0, 0.0, 0.0], [6.0, 12.5, 0.0], [-2.0, 3.0, 12.0]])
    turned = straight.copy()
    turned.set_cell(straight.cell.array @ turn.T)
    turned.set_positions(straight.positions @ turn.T)
    turned.set_momenta(straight.get_momenta() @ turn.T)
    ends, cells = [], []

    class Seen(Tether):
        def __call__(self, positions: Array, cell: Array) -> tuple[float, Array]:
            cells.append(cell)
            return super().__call__(positions, cell)

    for atoms in (straight, turned):
        adapter.host(atoms, motion(), Seen(atoms.positions + 0.1 * atoms.positions[3] / 10.0))
        adapter.advance(10 * FEMTOSECOND)
        np.testing.assert_allclose(cells[-1], atoms.cell.array, atol=1e-12)
        ends.append(adapter.atoms)
    np.testing.assert_allclose(ends[1].positions, ends[0].positions @ turn.T, atol=1e-9)
    np.testing.assert_allclose(ends[1].cell.array, turned.cell.array, atol=1e-12)


def test_fixed_atoms_stay_and_a_barostat_refuses_them() -> None:
    adapter = make()
    atoms = warm(adapter)
    atoms.set_constraint(FixAtoms([0, 9]))
    adapter.start(atoms, motion())
    adapter.advance(10 * FEMTOSECOND)
    moved = np.linalg.norm(adapter.atoms.positions - atoms.positions, axis=1)
    np.testing.assert_allclose(moved[[0, 9]], 0.0, atol=1e-12)  # the unit of length is turned over and back
    assert np.delete(moved, [0, 9]).min() > 1e-4
    with pytest.raises(AtomsError, match="a barostat moves all molecules"):
        adapter.start(atoms, motion("npt"))
    atoms.set_constraint(FixInternals())
    with pytest.raises(AtomsError, match="FixInternals"):
        adapter.start(atoms, motion())


def test_what_openmm_cannot_move_is_refused() -> None:
    files = {"pdb": "ethanol_water.pdb", "force_field": ["ethanol_water.xml"], "nonbonded": "no-cutoff"}
    vacuum = OpenMMAdapter(OpenMMOptions.read(files, folder=DATA))
    with pytest.raises(NotOffered, match="needs a periodic force field"):
        vacuum.start(vacuum.initial_atoms(), motion("npt"))
    with pytest.raises(CaseError, match="call start"):
        make().advance(1.0)


def test_a_site_s_force_is_handed_on_by_the_chain_rule() -> None:
    """OpenMM's own redistribution of a PythonForce equals Jᵀ f of a link atom by hand, for both its placements.

    r_L = r_Q + d u, u = (r_M − r_Q)/|r_M − r_Q|: the force on M is (d/|r_M − r_Q|)(1 − u uᵀ) f. And
    r_L = (1 − g) r_Q + g r_M: it is g f. Q has the remainder (Senn and Thiel 2009, doi:10.1002/anie.200802019).
    """
    places = np.array([[0.1, 0.2, 0.3], [0.9, 1.4, -0.4], [0.0, 0.0, 0.0], [0.0, 0.0, 0.0], [2.0, 1.0, 0.5]])
    length, ratio = 1.09, 0.723
    system, topology = openmm.System(), app.Topology()
    residue = topology.addResidue("X", topology.addChain())
    for index, element in enumerate(["C", "C", None, None, "C"]):
        system.addParticle(12.0 if element else 0.0)
        topology.addAtom(f"A{index}", app.Element.getBySymbol(element) if element else None, residue)
    fixed = openmm.LocalCoordinatesSite([0, 1], [1.0, 0.0], [-1.0, 1.0], [0.0, 0.0], [0.1 * length, 0.0, 0.0])
    system.setVirtualSite(2, fixed)
    system.setVirtualSite(3, openmm.TwoParticleAverageSite(0, 1, 1.0 - ratio, ratio))
    pull = np.random.default_rng(3).normal(size=(5, 3))
    adapter = OpenMMAdapter.of(system, topology, places, REFERENCE)
    atoms = adapter.initial_atoms()
    adapter.host(atoms, motion(timestep="0.001 fs"), lambda positions, cell: (0.0, pull))
    adapter.advance(0.001 * FEMTOSECOND)
    gained = adapter.atoms.get_momenta() / (0.001 * FEMTOSECOND)

    between = places[1] - places[0]
    u = between / np.linalg.norm(between)
    matrix = length / np.linalg.norm(between) * (np.eye(3) - np.outer(u, u))
    on_m = pull[1] + matrix @ pull[2] + ratio * pull[3]
    on_q = pull[0] + pull[2] - matrix @ pull[2] + (1.0 - ratio) * pull[3]
    np.testing.assert_allclose(gained[[0, 1, 4]], [on_q, on_m, pull[4]], atol=1e-6)
