"""Atoms as a participant: exact motion under forces from outside, going back, units, what is booked."""

from __future__ import annotations

import numpy as np
import pytest
from ase import Atoms
from ase.io import read, write
from ase.units import fs

from scalespan.adapters.harmonic import HarmonicAdapter
from scalespan.adapters.interface import ADAPTERS, AtomsError, OptionError, Quantity
from scalespan.bridges.interface import Unchanging, build
from scalespan.bridges.run.loop import Alone, Recording, drive

SPRING = {"springs": [{"atoms": [0, 1], "stiffness": "2 eV/angstrom**2", "length": "3 angstrom"}]}
MOTION = {"timestep": "0.5 fs"}
ENGINES = ["harmonic", "openmm"]


class Law(Unchanging):
    """A coupling whose partner is a formula: values of time and place, asked where and when the bridge asks."""

    must_save = must_restore = False

    def __init__(self, duration, window, **laws):
        self.inner, self.laws, self.time = Alone(duration, window), laws, 0.0
        self.asked, self.written, self.where = [], {}, {}

    def start(self, exchange, initial):
        self.exchange, self.initial = exchange, {field.name: values for field, values in initial.items()}

    def points(self, mesh):
        return np.zeros((0, 3))

    @property
    def running(self):
        return self.inner.running

    @property
    def longest_step(self):
        return self.inner.longest_step

    def read(self, field, at, points=None):
        self.asked.append((field.name, self.time + at))
        return self.laws[field.name](self.time + at, points)

    def write(self, field, values, points=None):
        self.written.setdefault(field.name, []).append(values)
        self.where.setdefault(field.name, []).append(points)

    def advance(self, dt):
        self.time += dt
        self.inner.advance(dt)

    def finish(self):
        pass


@pytest.fixture
def place(tmp_path):
    """A folder with two atoms of argon, in the forms that both engines read."""
    pytest.importorskip("openmm", reason="OpenMM is not installed")
    atoms = Atoms("ArAr", [(0.0, 0.0, 0.0), (3.0, 0.4, -0.2)])
    write(tmp_path / "pair.xyz", atoms)
    lines = [
        f"HETATM    {i + 1} Ar   AR  A   {i + 1}    {x:8.3f}{y:8.3f}{z:8.3f}  1.00  0.00          AR"
        for i, (x, y, z) in enumerate(atoms.positions)
    ]
    (tmp_path / "pair.pdb").write_text("\n".join([*lines, "END", ""]))
    (tmp_path / "argon.xml").write_text(
        '<ForceField><AtomTypes><Type name="Ar" class="Ar" element="Ar" mass="39.95"/></AtomTypes>'
        '<Residues><Residue name="AR"><Atom name="Ar" type="Ar"/></Residue></Residues>'
        '<NonbondedForce coulomb14scale="1" lj14scale="1">'
        '<Atom type="Ar" charge="0.25" sigma="0.34" epsilon="0.996"/></NonbondedForce></ForceField>'
    )
    return tmp_path


def particles(place, engine="harmonic", **table):
    models = {
        "harmonic": {"use": "harmonic", **SPRING},
        "openmm": {
            "use": "openmm",
            "pdb": "pair.pdb",
            "force_field": ["argon.xml"],
            "nonbonded": "no-cutoff",
            "platform": "Reference",
        },
    }
    base = {"use": "particles", "mesh": "Ions-Mesh", "motion": MOTION, "model": models[engine]}
    if engine == "harmonic":
        base |= {"atoms": {"file": "pair.xyz"}, "charges": [0.25, 0.25]}
    return build(base | table, where="case.toml: participants.Ions", folder=place)


def steady(force):
    return lambda time, points: np.array(force, dtype=float)


def same(one, other):
    assert one.keys() == other.keys()
    for name in one:
        assert len(one[name]) == len(other[name])
        for mine, theirs in zip(one[name], other[name], strict=True):
            assert np.array_equal(mine, theirs), name


@pytest.mark.parametrize("engine", ENGINES)
def test_a_force_on_the_whole_gives_the_parabola(place, engine):
    """Of equal forces the springs feel nothing, and velocity Verlet is exact: x = F t²/2m, also in uneven windows."""
    bridge = particles(place, engine, reads={"forces": "Force"}, writes={"displacements": "Displacement"})
    force = np.array([0.03, -0.02, 0.01])
    law = Law(20.0, 1.3, Force=steady([force, force]))
    drive(bridge, law)
    mass = bridge._atoms.get_masses()[0]
    centre = law.written["Displacement"][-1].mean(axis=0)
    assert np.allclose(centre, force * (20.0 * fs) ** 2 / (2 * mass), rtol=1e-6, atol=0)
    assert np.array_equal(law.initial["Displacement"], np.zeros((2, 3)))


@pytest.mark.parametrize("engine", ENGINES)
def test_forces_are_asked_when_the_engine_needs_them(place, engine):
    """At the window's beginning, then at each timestep's end; velocities follow ∫F dt by the trapezoid rule."""
    bridge = particles(place, engine, reads={"forces": "Force"}, writes={"velocities": "Velocity"})
    law = Law(4.0, 2.0, Force=lambda time, points: np.tile([0.01 * (1.0 + time**2), 0.0, 0.0], (2, 1)))
    drive(bridge, law)
    assert [time for _, time in law.asked] == pytest.approx([0, 0.5, 1, 1.5, 2, 2, 2.5, 3, 3.5, 4], abs=1e-12)
    times = np.arange(0.0, 4.1, 0.5)
    impulse = 0.5 * 0.5 * np.sum(0.01 * (2.0 + times[1:] ** 2 + times[:-1] ** 2))
    mass = bridge._atoms.get_masses()[0]
    assert law.written["Velocity"][-1].mean(axis=0)[0] == pytest.approx(impulse * fs**2 / mass, rel=1e-7)


@pytest.mark.parametrize("engine", ENGINES)
def test_new_data_at_a_window_s_start_is_used(place, engine):
    """A partner that came first has changed its mind about now: both halves of the kick are the new force's."""
    bridge = particles(
        place, engine, reads={"forces": "Force"}, writes={"velocities": "Velocity"}, motion={"timestep": "1 fs"}
    )
    tape = Recording(2.0, 1.0, {"Force": [np.tile([f, 0.0, 0.0], (2, 1)) for f in (0.01, 0.03)]})
    drive(bridge, tape)
    mass = bridge._atoms.get_masses()[0]
    speeds = [each.mean(axis=0)[0] * mass / fs**2 for each in tape.written["Velocity"]]
    assert speeds == pytest.approx([0.01, 0.04], rel=1e-7)


@pytest.mark.parametrize("scheme", ["verlet", "impulse"])
@pytest.mark.parametrize("engine", ENGINES)
def test_a_window_done_again_is_the_same_bit_for_bit(place, engine, scheme):
    rng = np.random.default_rng(5)
    forces = [rng.normal(scale=0.05, size=(2, 3)) for _ in range(6)]
    found = []
    for repeats in (0, 2):
        bridge = particles(
            place, engine, scheme=scheme, reads={"forces": "Force"}, writes={"positions": "X", "velocities": "V"}
        )
        tape = Recording(6.0, 1.0, {"Force": forces}, repeats=repeats)
        drive(bridge, tape)
        found.append(tape.written)
        assert bridge.observe()["work/eV"] != 0.0
    same(*found)


@pytest.mark.parametrize("ensemble", ["langevin", "nose-hoover"])
@pytest.mark.parametrize("engine", ENGINES)
def test_thermostats_go_back_too(place, engine, ensemble):
    extra = {"friction": "5/ps"} if ensemble == "langevin" else {"damping_time": "20 fs"}
    motion = {"timestep": "1 fs", "ensemble": ensemble, "temperature": "300 K"} | extra
    forces = [np.full((2, 3), 0.01 * i) for i in range(5)]
    bridge = particles(
        place, engine, motion=motion, temperature="300 K", reads={"forces": "Force"}, writes={"positions": "X"}
    )
    drive(bridge, Recording(5.0, 1.0, {"Force": forces}, repeats=1))


@pytest.mark.parametrize("engine", ENGINES)
def test_a_restart_from_a_state_is_the_same_bit_for_bit(place, engine):
    forces = [np.full((2, 3), 0.01 * i) for i in range(6)]

    def run(bridge, tape):
        drive(bridge, tape)
        return tape.written

    table = {"reads": {"forces": "Force"}, "writes": {"positions": "X", "velocities": "V"}}
    whole = run(particles(place, engine, **table), Recording(6.0, 1.0, {"Force": forces}))
    first = particles(place, engine, **table)
    run(first, Recording(3.0, 1.0, {"Force": forces[:3]}))
    second = particles(place, engine, **table)
    second.restore(first.save())
    rest = run(second, Recording(3.0, 1.0, {"Force": forces[3:]}))
    same(rest, {name: values[3:] for name, values in whole.items()})
    assert second.observe().keys() == first.observe().keys()


def trap(time, points):
    """An electric field whose potential is a well: E = −2k x, in V/Å; φ = k x²."""
    return -2.0 * 0.8 * points


def well(time, points):
    return 0.8 * np.sum(points**2, axis=1, keepdims=True)


AT_ATOMS = {
    "electric_field": {"data": "Electric-Field", "mesh": "Field-Mesh"},
    "potential": {"data": "Potential", "mesh": "Field-Mesh"},
}


@pytest.mark.parametrize("engine", ENGINES)
def test_the_total_is_conserved_to_second_order(place, engine):
    """In a field that is the gradient of a potential: with the energy told, and with the work booked instead."""
    drifts = []
    for timestep in (2.0, 1.0):
        bridge = particles(place, engine, reads=AT_ATOMS, motion={"timestep": f"{timestep} fs"}, temperature="100 K")
        totals, booked = [], []

        def note(time, bridge=bridge, totals=totals, booked=booked):
            seen = bridge.observe()
            totals.append(seen["total/eV"])
            booked.append(seen["potential/eV"] + seen["kinetic/eV"] - seen["work/eV"])

        bridge.accept = note
        drive(bridge, Law(400.0, 4.0, **{"Electric-Field": trap, "Potential": well}))
        drifts.append([max(each) - min(each) for each in (totals, booked)])
    ratio = np.array(drifts[0]) / np.array(drifts[1])
    assert np.all(np.abs(ratio - 4.0) < 0.6), drifts


def test_the_impulse_scheme_is_its_formula(place):
    """v ← v + dt F(x)/m, then the engine alone, against the same in NumPy."""
    bridge = particles(
        place,
        scheme="impulse",
        motion={"timestep": "0.25 fs"},
        reads={"electric_field": AT_ATOMS["electric_field"]},
        writes={"positions": "X", "velocities": "V"},
    )
    law = Law(40.0, 1.0, **{"Electric-Field": trap})
    drive(bridge, law)
    model = HarmonicAdapter(HarmonicAdapter.Options.read(SPRING))
    atoms, h = bridge._atoms.copy(), 0.25 * fs
    mass = atoms.get_masses()[:, None]
    v = np.zeros((2, 3))

    def spring():
        return model.compute(atoms, {Quantity.FORCES}).forces

    for _ in range(40):
        v += 1.0 * fs * 0.25 * trap(0.0, atoms.positions) / mass
        for _ in range(4):
            v += 0.5 * h * spring() / mass
            atoms.positions += h * v
            v += 0.5 * h * spring() / mass
    assert np.allclose(law.written["X"][-1], atoms.positions, rtol=0, atol=1e-10)
    assert np.allclose(law.written["V"][-1], v * fs, rtol=0, atol=1e-10)
    assert len(law.asked) == 40


def test_fields_are_asked_where_the_atoms_are(place):
    bridge = particles(place, reads=AT_ATOMS, writes={"charges": {"data": "Charge", "mesh": "Field-Mesh"}}, mesh=None)
    places = []
    law = Law(2.0, 1.0, **{"Electric-Field": lambda t, x: places.append(x) or trap(t, x), "Potential": well})
    drive(bridge, law)
    start = read(place / "pair.xyz").positions
    assert np.array_equal(places[0], start) and abs(places[-1] - start).max() > 1e-4
    assert np.array_equal(law.where["Charge"][-1], places[-1])
    assert np.array_equal(law.written["Charge"][-1], [[0.25], [0.25]])
    assert not law.exchange.meshes and law.initial == {}
    assert np.allclose(law.exchange.regions["Field-Mesh"], [[-10, -10, -10.2], [13, 10.4, 10]])


@pytest.mark.parametrize(("unit", "factor"), [("nN", 1.602176634), ("kJ/mol/nm", 964.8533212331)])
def test_partners_may_speak_other_units(place, unit, factor):
    """1 eV/Å = 1.602176634 nN by definition of the electronvolt (2019 SI), and 964.853… kJ/mol/nm."""
    force = np.array([[0.03, 0.0, 0.0], [0.0, 0.02, 0.0]])
    found = []
    for table, scale in (({"data": "Force"}, 1.0), ({"data": "Force", "unit": unit}, factor)):
        bridge = particles(
            place,
            reads={"forces": table},
            length="nm",
            writes={"displacements": {"data": "D", "unit": "nm"}, "velocities": {"data": "V", "unit": "m/s"}},
        )
        law = Law(5.0, 1.0, Force=steady(force * scale))
        drive(bridge, law)
        found.append(law.written["D"][-1])
    assert np.allclose(*found, rtol=1e-7, atol=0)
    moved = 10.0 * found[0] + read(place / "pair.xyz").positions
    assert np.allclose(moved, bridge._mover.atoms.positions, atol=1e-10)
    assert np.allclose(law.written["V"][-1], bridge._mover.atoms.get_velocities() * fs * 1e5, rtol=1e-9)
    assert np.allclose(law.exchange.meshes["Ions-Mesh"].points * 10.0, read(place / "pair.xyz").positions)


def test_each_timestep_can_be_a_step_of_the_coupling(place):
    bridge = particles(place, every_step=True, writes={"positions": "X"})
    law = Law(2.0, 1.0)
    drive(bridge, law)
    assert len(law.written["X"]) == 4


def test_some_atoms_can_be_coupled(place):
    bridge = particles(place, select=[1], charges=[0.5], reads={"forces": "Force"}, writes={"positions": "X"})
    law = Law(1.0, 1.0, Force=steady([[0.1, 0.0, 0.0]]))
    drive(bridge, law)
    assert law.written["X"][-1].shape == (1, 3)
    assert bridge._mover.atoms.get_momenta()[1, 0] != 0.0


def test_frames_are_read_back(place):
    bridge = particles(place, writes={"positions": "X"})
    for time in (1.0, 2.0):
        bridge.frame(place, time)
    frames = read(place / "trajectory.extxyz", index=":")
    assert [frame.info["time"] for frame in frames] == [1.0, 2.0]
    assert any("Force" in str(row) for row in particles(place, reads={"forces": "Force"}).audit()[0].rows)


@pytest.mark.parametrize(
    ("table", "error", "words"),
    [
        ({"mesh": None, "reads": {"forces": "Force"}}, OptionError, "give the key 'mesh'"),
        ({"select": [5]}, OptionError, "outside 0 to 1"),
        ({"charges": [1.0]}, OptionError, "1 charges, and 2 atoms"),
        ({"atoms": None}, AtomsError, "brings no atoms"),
        ({"reads": {"energies": "E", "potential": "P"}}, OptionError, "one of 'energies', 'potential'"),
        (
            {
                "motion": {"timestep": "1 fs", "ensemble": "langevin", "temperature": "9 K", "friction": "1/ps"},
                "scheme": "impulse",
            },
            OptionError,
            "needs motion.ensemble 'nve'",
        ),
    ],
)
def test_what_does_not_fit_is_refused(place, table, error, words):
    with pytest.raises(error, match=words):
        particles(place, **table)


def test_a_model_is_needed(place):
    with pytest.raises(OptionError, match="the table 'model' is missing"):
        build({"use": "particles", "motion": MOTION}, where="x", folder=place)
    assert "particles" not in ADAPTERS.names()
