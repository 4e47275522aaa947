"""What a handshake says of itself: its energy's ledger, what comes back, ghost forces, how far it can be trusted."""

from __future__ import annotations

import json
import re
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
import pytest
from ase import units

from scalespan.adapters.interface import CaseError, Chart, Motion, Observation, Quantity, Table
from scalespan.bridges.handshake.audit import audit_tables
from scalespan.bridges.handshake.estimate import error_table, strain_error
from scalespan.bridges.handshake.probe import absorbed, reflected, strip_of
from scalespan.bridges.handshake.strip import Strip
from scalespan.bridges.run.charts import chart_svg
from scalespan.bridges.run.coupled.plots import plots as coupled_plots
from scalespan.bridges.run.ledger import joint_plots, ledger_plots

from .coupled_crystals import STEP, apart, by_embedded, write_files, xml
from .coupled_crystals import region as coupled_region
from .crystals import LennardJones, Springs, ball, box, chain, fs, handshake, lengths, spacing, triangle
from .defects import LJ, STRAIN, Reference, minimum, nodes_file

A = spacing(LennardJones(), chain)


# ---- the ledger ----


def moving(folder: Path, dt: float = 0.005, pair=LJ, a: float = A, **options):
    """Return a chain with a pulse in its atoms, moving; and the energy of the pulse."""
    model = handshake(folder, chain(a), pair, box(32.0 * a, 4.0 * a), region=ball(8.2 * a, 1), **options)
    atoms = model.initial_atoms()
    rest = model.compute(atoms, {Quantity.ENERGY}).energy
    x = atoms.positions[: model.free, 0]
    atoms.positions[: model.free, 0] += 0.02 * np.exp(-0.5 * (x / (2.0 * a)) ** 2)
    energy = model.compute(atoms, {Quantity.ENERGY}).energy - rest
    model.start(atoms, Motion.read({"timestep": fs(dt)}))
    return model, energy


def sides(seen: Observation) -> tuple[float, float]:
    """Return K + E₁ + W − Q of the atoms, and K + E_FE − E₂ − W of the continuum."""
    work, parts = seen.books["work on continuum"], seen.components
    return (
        seen.kinetic_parts["atoms"] + parts["atoms"] + work - sum(seen.given.values()),
        seen.kinetic_parts["continuum"] + parts["continuum"] + parts["counted twice"] - work,
    )


def course(model, steps: int = 100, every: float = 0.05) -> list[Observation]:
    found = [model.observe()]
    for _ in range(steps):
        model.advance(every)
        found.append(model.observe())
    return found


def unbalanced(seen: list[Observation]) -> np.ndarray:
    """Return the largest change of either side's balance (2,)."""
    both = np.array([sides(each) for each in seen])
    return np.abs(both - both[0]).max(axis=0)


FIVE = {"continuum_step": fs(0.025)}


@pytest.mark.parametrize(("clocks", "bound"), [({}, 2e-4), (FIVE, 1e-3), (FIVE | {"scheme": "staggered"}, 3e-3)])
def test_each_side_of_the_ledger_balances(tmp_path: Path, clocks: dict, bound: float) -> None:
    """With the work across the joint booked, to the integrator's offset; the parts are those of the whole."""
    model, energy = moving(tmp_path, **clocks)
    seen = course(model)
    assert max(each.books["work on continuum"] for each in seen) > 0.5 * energy
    assert unbalanced(seen).max() < bound * energy
    last = seen[-1]
    assert sum(last.kinetic_parts.values()) == pytest.approx(last.kinetic, rel=1e-12)
    assert sum(last.components.values()) == pytest.approx(last.potential, rel=1e-12)
    assert sum(sides(last)) == pytest.approx(last.conserved, rel=1e-12)


def test_what_does_not_balance_is_the_integrators(tmp_path: Path) -> None:
    """It falls as the square of the step, on either side."""
    found = []
    for dt in (0.01, 0.005):
        model, _ = moving(tmp_path, dt)
        found.append(unbalanced(course(model, 25, 0.2)))
    assert np.log2(found[0] / found[1]) == pytest.approx(2.0, abs=0.4)


@pytest.fixture(scope="module")
def pulse(tmp_path_factory) -> tuple[list[Observation], float]:
    """A pulse's course, and its energy."""
    model, energy = moving(tmp_path_factory.mktemp("pulse"))
    return course(model), energy


WRONG = [
    "kinetic_parts/atoms",
    "kinetic_parts/continuum",
    "components/atoms",
    "components/continuum",
    "books/work on continuum",
]


@pytest.mark.parametrize("channel", WRONG)
def test_a_channel_that_is_wrong_by_a_hundredth_breaks_the_balance(pulse, channel: str) -> None:
    seen, energy = pulse
    field, _, name = channel.partition("/")
    first = getattr(seen[0], field)[name]

    def spoilt(each: Observation) -> Observation:
        parts = dict(getattr(each, field))
        parts[name] = first + 1.01 * (parts[name] - first)
        return replace(each, **{field: parts})

    right, wrong = unbalanced(seen).max(), unbalanced([spoilt(each) for each in seen]).max()
    assert right < 2e-4 * energy
    assert wrong > 1e-3 * energy


def test_what_a_bath_gives_is_booked(tmp_path: Path) -> None:
    """The energy less its heat is kept, as well as without a bath, while the energy itself is not."""
    bath = {"width": f"{8.0 * A!r} angstrom", "friction": f"{0.5 * units.fs!r} 1/fs", "temperature": "20 K"}
    model, energy = moving(tmp_path, thermostat=bath)
    seen = course(model)
    kept = np.array([each.conserved for each in seen])
    total = np.array([each.potential + each.kinetic for each in seen])
    given = seen[-1].given["bath"]
    assert abs(given) > 0.2 * energy
    assert np.abs(kept - kept[0]).max() < 2e-3 * max(energy, abs(given))
    assert np.ptp(total) > 30.0 * np.ptp(kept)


def test_leapfrogs_own_energy_is_kept_to_round_off_by_linear_forces(tmp_path: Path) -> None:
    """½ p(n−½)·M⁻¹p(n+½) + V, where H at whole steps is off by the second order."""
    model, energy = moving(tmp_path, 0.4, Springs(), 1.0)
    seen = course(model, 100, 4.0)
    staggered = np.array([each.books["staggered"] for each in seen])
    total = np.array([each.potential + each.kinetic for each in seen])
    assert np.ptp(staggered) < 1e-10 * energy
    assert np.ptp(total) > 1e-4 * energy


def test_the_ledger_goes_on_after_a_restore(tmp_path: Path) -> None:
    model, _ = moving(tmp_path)
    model.advance(2.0)
    saved = {key: value.copy() for key, value in model.save().items()}
    model.advance(2.0)
    first = model.observe()
    model.restore(saved)
    model.advance(2.0)
    assert model.observe() == first


def test_the_report_draws_the_ledger(pulse) -> None:
    seen, table = pulse[0], {}
    table["time/fs"] = np.linspace(0.0, 5.0, len(seen))
    table["total/eV"] = np.array([each.potential + each.kinetic for each in seen])
    for kind, field in {"energy": "components", "kinetic": "kinetic_parts", "ledger": "books"}.items():
        for name in getattr(seen[0], field):
            table[f"{kind}_{name}/eV"] = np.array([getattr(each, field)[name] for each in seen])
    drawn = ledger_plots(table)
    assert [plot.title for plot in drawn] == ["Energy by channel", "What does not balance"]
    assert all(word in drawn[0].svg() for word in ("atoms, kinetic", "continuum, potential", "sum"))
    assert ledger_plots({"time/fs": np.zeros(2), "total/eV": np.zeros(2)}) == []
    tiny = ledger_plots({name: column * (1.0 if name == "time/fs" else 1e-18) for name, column in table.items()})[1]
    tiny.svg()
    assert re.search(r"energy − start \(10⁻.* peV\)", tiny.figure.axes[0].get_ylabel())


def test_the_ledger_of_two_participants_closes(tmp_path: Path) -> None:
    """What the atoms lose, the continuum has: their energies' sum moves by a hundredth of what crossed the joint."""
    write_files(tmp_path, coupled_region())
    bridges = apart(tmp_path, coupled_region(), 1)
    series: dict[str, list[dict[str, float]]] = {name: [] for name in bridges}
    for name, bridge in bridges.items():
        bridge.accept = lambda time, name=name, bridge=bridge: series[name].append(dict(bridge.observe()))
    by_embedded(tmp_path, bridges, xml(STEP, 200))
    for name, rows in series.items():
        columns = ["window,iterations,time/fs," + ",".join(rows[0])]
        columns += [f"{i},1,{i}," + ",".join(repr(v) for v in row.values()) for i, row in enumerate(rows)]
        (tmp_path / name).mkdir()
        (tmp_path / name / "series.csv").write_text("\n".join(columns))
    energies = {
        name: [sum(v for k, v in row.items() if "work" not in k) for row in rows] for name, rows in series.items()
    }
    both = np.sum([np.array(each) for each in energies.values()], axis=0)
    crossed = np.ptp([row["work on partner/eV"] for row in series["Atoms"]])
    assert np.ptp(both) < 0.01 * crossed
    titles = [plot.title for plot in coupled_plots(tmp_path, {"participants": {"Continuum": {}, "Atoms": {}}})]
    assert titles[0] == "Energy ledger of the participants"
    assert joint_plots({"Atoms": {"time/fs": np.zeros(3), "window": np.zeros(3)}}) == []


# ---- what comes back ----


@pytest.mark.parametrize("n", [1, 2, 3, 4, 8, 16])
def test_the_probe_sends_back_what_the_closed_form_says(n: int) -> None:
    """Of the energy, within 1e-4, at wave numbers below and above the elements' cut-off; in any units."""
    strip = Strip(plane=1.9, element=n, density=10.5, modulus=2.3)
    wave, back = reflected(strip)
    assert np.array(back) == pytest.approx(strip.closed_form(np.array(wave)), abs=1e-4)


def test_a_layer_absorbs_what_the_elements_cannot_carry() -> None:
    strip = Strip(plane=1.0, element=4, density=1.0, modulus=1.0)
    back = [absorbed(strip, 64.0, friction) for friction in (1e-6, 0.05, 0.2)]
    assert back[0] == pytest.approx(1.0, abs=1e-3)
    assert back[2] < back[1] < 0.4


def test_the_strip_is_the_cases_own(tmp_path: Path) -> None:
    """Close-packed rows of a triangular lattice are a/2 apart along x; a modulus is that of the law."""
    a = spacing(LJ, triangle)
    model = handshake(tmp_path, triangle(a), LJ, box([12.0 * a, 12.0 * a], 3.0 * a), region=ball(4.1, 2))
    strip = strip_of(model)
    tangent = model.solid.law.respond(np.eye(2)[None], tangent=True).tangent
    assert strip.plane == pytest.approx(0.5 * a, rel=1e-4)
    assert strip.element == 6
    assert strip.density == pytest.approx(1.0 / (a**2 * np.sqrt(0.75)), rel=1e-12)
    assert strip.modulus == pytest.approx(tangent[0, 0, 0, 0, 0], rel=1e-4)


def test_a_motion_is_checked_with_its_clocks_and_the_probe(tmp_path: Path) -> None:
    model = handshake(tmp_path, chain(A), LJ, box(30.0, 4.0 * A), region=ball(6.2, 1))
    tables = model.check_motion(model.initial_atoms(), Motion.read({"timestep": fs(0.01)}))
    assert tables[0].title == "Clocks"
    assert tables[1].title.startswith("What comes back from a joint of elements of")
    assert tables[1].rows[-1][2] == "100 %"
    with pytest.raises(CaseError, match="above what velocity Verlet can do"):
        model.check_motion(model.initial_atoms(), Motion.read({"timestep": fs(0.3)}))


# ---- ghost forces and work at the joint ----


def sheet(folder: Path, **options):
    a = spacing(LJ, triangle)
    return handshake(folder, triangle(a), LJ, box([14.0, 14.0], 2.0), **{"region": ball(4.1, 2), **options})


def named(tables: list[Table], title: str) -> Table:
    return next(each for each in tables if each.title == title)


def test_the_map_shows_where_a_thin_pad_makes_ghost_forces(tmp_path: Path) -> None:
    """At the region's rim: within a pad of the joint, and drawn there."""
    table = named(
        audit_tables(sheet(tmp_path, pad="1.2 angstrom", ghost_force=1e3)), "Ghost forces on the perfect crystal"
    )
    spots = np.array(table.chart.spots)
    worst = spots[spots[:, 2].argmax()]
    assert worst[2] == pytest.approx(max(float(row[1]) for row in table.rows), rel=0.05)
    assert 2.0 < np.hypot(worst[0], worst[1]) < 4.1 + 2.0
    assert "0 % are in the core, 98 % within a pad of the joint, 2 % beyond" in table.note


def test_a_consistent_joint_has_rounding_only(tmp_path: Path) -> None:
    table = named(audit_tables(sheet(tmp_path)), "Ghost forces on the perfect crystal")
    assert "rounding" in table.note
    assert np.array(table.chart.spots)[:, 2].max() < 1e-10


def test_work_that_is_lost_at_the_joint_is_refused(tmp_path: Path) -> None:
    model = sheet(tmp_path)
    gather = model.extension.gather
    model.extension.gather = lambda forces: (1.0 + 1e-9) * gather(forces)
    with pytest.raises(CaseError, match="of the work between atoms and mesh is lost"):
        audit_tables(model)


def test_charts_are_drawn_from_a_summary(tmp_path: Path) -> None:
    """As JSON has them: a map, a line of spots, and curves."""
    model = sheet(tmp_path)
    tables = [named(audit_tables(model), "Ghost forces on the perfect crystal")]
    tables += model.check_motion(model.initial_atoms(), Motion.read({"timestep": fs(0.01)}))[1:]
    one = Chart("x", "y", spots=((0.0, 0.0, 1e-3), (1.0, 0.0, 1e-9)), size="force", range=(1e-12, 1.0))
    for table in [*tables, Table("a chain", (), (), chart=one)]:
        text = json.loads(json.dumps(asdict(table)))
        assert chart_svg(text).startswith("<svg")
    assert "closed form" in chart_svg(json.loads(json.dumps(asdict(tables[1]))))


# ---- how far strains can be trusted ----


@pytest.mark.slow
@pytest.mark.parametrize("defect", ["vacancy", "crack"])
def test_the_estimated_error_is_right_to_a_factor_of_two(tmp_path: Path, defect: str) -> None:
    """Against all atoms of the same sheet: a graded mesh, and one so fine that the law's error is left."""
    reference = Reference(defect, 32)
    for radius, fine in ((2.1, 5.4), (4.1, 7.4), (8.1, 11.4), (2.1, 27.0)):
        mesh = nodes_file(tmp_path, reference, fine)
        more = {"vacancies": reference.vacancies, "deformation": STRAIN.tolist()}
        model = handshake(tmp_path, reference.cell, LJ, mesh, region=ball(radius * reference.a, 2), **more)
        atoms, _ = minimum(model, model.initial_atoms())
        start, free = model.initial_atoms().positions, model.free
        field = model.displacement(atoms.positions)
        true = reference.error_of(model.solid, field, start[:free], atoms.positions[:free])
        found = strain_error(model, atoms)
        assert 0.5 < found.total / true < 2.0
        assert bool(found.coupling > found.mesh) is (fine == 27.0)


def test_the_next_size_follows_from_the_decay_of_the_field(tmp_path: Path) -> None:
    """In 2-D the error falls as R⁻², so that a half needs √2 of the radius and twice the atoms."""
    model = sheet(tmp_path, vacancies=[lengths([0.0, 0.0])])
    atoms, _ = minimum(model, model.initial_atoms())
    (table,) = error_table(model, atoms)
    error = [float(row[0].split(" %")[0]) for row in table.rows if "radius to try" in row[0]]
    assert table.rows[3][1].startswith(f"{4.1 * np.sqrt(2.0):.3g} Å, about {2 * model.sites.free} atoms")
    assert error[0] == pytest.approx(2.0 * error[1], rel=0.1)


def test_a_body_that_nothing_strains_has_no_error_to_tell(tmp_path: Path) -> None:
    model = sheet(tmp_path)
    assert model.review(model.initial_atoms()) == []
