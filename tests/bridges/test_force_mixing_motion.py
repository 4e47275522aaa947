"""Force mixing in motion: windows and their order, going back, the thermostat, a region that moves."""

from __future__ import annotations

import numpy as np
import pytest
from ase.geometry import find_mic
from ase.md.velocitydistribution import thermalize_momenta
from ase.units import fs, kB

from scalespan.adapters.ase import ASEAdapter, ASEOptions
from scalespan.adapters.interface import CaseError, Motion, Quantity, RegionError

from .silicon import crystal, mixing, site_energies, stillinger_weber

THIN = {"radius": "4.3 angstrom"}  # two shells: all that Tersoff's forces reach
ONE = {"hops": 1}
AT_THE_SHELL = {"enter": "2.34 angstrom", "leave": "2.4 angstrom"}  # which lies at 2.35 Å: its atoms come and go


def warm(size=2, temperature=600.0, rattle=0.02):
    """Return a crystal with momenta, at half of ``temperature`` when they are shared out."""
    atoms = crystal(size, rattle)
    thermalize_momenta(atoms, temperature, rng=np.random.default_rng(3))
    atoms.set_momenta(atoms.get_momenta() - atoms.get_momenta().mean(axis=0))
    return atoms


def started(atoms, timestep=1.0, ensemble=None, **table):
    """Return a force mixing that moves ``atoms``; its high level is a stiffer Stillinger–Weber, which is fast."""
    mixed = mixing(high=stillinger_weber(lamda=27.0, epsilon="2.4 eV"), **({"buffer": ONE} | table))
    mixed.start(atoms, Motion.read({"timestep": f"{timestep} fs", **(ensemble or {})}))
    return mixed


LANGEVIN = {"ensemble": "langevin", "temperature": "300 K", "friction": "10 / ps", "seed": 4}


# ---- windows ----


def interpolation_error(interval):
    """Return the longest error of a force in the corrected motion, in the middle of its windows."""
    mixed = started(warm(), moving=None, interval=f"{interval} fs")
    errors = []
    for window in range(32 // interval):
        mixed.advance(interval // 2 * fs)
        if window:  # the first predicts from nothing
            used = mixed._motion.atoms.get_forces()
            errors.append(abs(used - mixed.compute(mixed.atoms, {Quantity.FORCES}).forces).max())
        mixed.advance(interval // 2 * fs)
    return max(errors)


def test_interpolation_is_of_second_order():
    coarse, fine = interpolation_error(8), interpolation_error(4)
    assert 3.0 < coarse / fine < 5.5, f"{coarse:.2e}, {fine:.2e} eV/Å"
    assert fine < 0.01


def test_extrapolation_is_told_its_error():
    mixed = started(warm(), moving=None, interval="4 fs")
    mixed.advance(12 * fs)
    window = mixed.course.window
    assert window.done == 0 and window.end is None, "three whole windows"
    assert 1e-4 < mixed.course.prediction_error < 0.2


@pytest.mark.parametrize(("interval", "questions"), [("1 fs", 11), ("5 fs", 3), ("10 fs", 2)])
def test_the_high_level_is_asked_once_in_a_window(monkeypatch, interval, questions):
    mixed = mixing(high=stillinger_weber(lamda=27.0), moving=None, buffer=ONE, interval=interval)
    asked = []
    ask = mixed.high._compute
    monkeypatch.setattr(mixed.high, "_compute", lambda *given: asked.append(1) or ask(*given))
    mixed.start(warm(), Motion.read({"timestep": "1 fs"}))
    mixed.advance(10 * fs)
    assert len(asked) == questions


def test_asking_at_each_timestep_is_velocity_verlet_with_the_mixed_forces():
    atoms, mixed = warm(), started(warm(), moving=None)
    forces = mixed.compute(atoms, {Quantity.FORCES}).forces
    for _ in range(3):
        mixed.advance(fs)
        atoms.set_momenta(atoms.get_momenta() + 0.5 * fs * forces)
        atoms.positions += fs * atoms.get_velocities()
        forces = mixed.compute(atoms, {Quantity.FORCES}).forces
        atoms.set_momenta(atoms.get_momenta() + 0.5 * fs * forces)
    assert mixed.atoms.positions == pytest.approx(atoms.positions, abs=1e-12)
    assert mixed.atoms.get_momenta() == pytest.approx(atoms.get_momenta(), abs=1e-12)


def ledger(timestep):
    """Return how far E_low + E_kin − work strays, and the work, with the region's border in motion."""
    mixed = started(warm(2, 1200.0), timestep, moving=AT_THE_SHELL, interval="4 fs")
    seen, kept = [], []
    for _ in range(round(32 / timestep)):
        mixed.advance(timestep * fs)
        now = mixed.observe()
        kept.append(now.conserved)
        seen.append(now.given["mixing"])
    return np.ptp(kept), np.ptp(seen)


def test_energy_less_the_work_of_the_difference_is_what_the_integrator_keeps():
    (coarse, work), (fine, _) = ledger(1.0), ledger(0.5)
    assert work > 0.02, "the mixed forces do not conserve E_low + E_kin"
    assert 3.0 < coarse / fine < 5.0, "what is left is velocity Verlet's own, of second order"


def test_momentum_is_kept_where_the_net_force_is_removed():
    drifts = {}
    for way in ("leave", "remove"):
        mixed = started(warm(), net_force=way, interval="4 fs")
        mixed.advance(8 * fs)
        drifts[way] = np.linalg.norm(mixed.atoms.get_momenta().sum(axis=0))
    assert drifts["remove"] < 1e-10
    assert drifts["leave"] > 1e-3


# ---- going back ----


@pytest.mark.parametrize("ensemble", [None, LANGEVIN])
def test_going_back_within_a_window_is_exact(ensemble):
    table = {"interval": "4 fs", "moving": AT_THE_SHELL, "ensemble": ensemble}
    if ensemble:
        table["thermostat_margin"] = "2.6 angstrom"
    mixed, other = started(warm(2, 1200.0), **table), started(warm(2, 1200.0), **table)
    mixed.advance(6 * fs)
    mixed.reseed([1])
    state = {key: value.copy() for key, value in mixed.save().items()}
    ends = []
    for each in (mixed, mixed, other):
        each.restore(state)
        each.advance(11 * fs)
        ends.append((each.atoms, each.course.work, each.region_of(each.atoms), each.observe()))
    assert not np.array_equal(ends[0][2], state["engine/members"]), "the region moved meanwhile"
    for again in ends[1:]:
        assert np.array_equal(again[0].positions, ends[0][0].positions)
        assert np.array_equal(again[0].get_momenta(), ends[0][0].get_momenta())
        assert again[1] == ends[0][1] and np.array_equal(again[2], ends[0][2]) and again[3] == ends[0][3]


def test_a_restart_does_not_measure_the_match_again(monkeypatch):
    match = {"element": "Si", "structure": "diamond", "near": "5.43 angstrom"}
    mixed = started(warm(), match=match)
    mixed.advance(fs)
    state = mixed.save()
    monkeypatch.setattr("scalespan.bridges.force_mixing.force_mixing.measure", None)  # cannot be called
    other = mixing(high=mixed.high, match=match, buffer=ONE)
    other.start(warm(), Motion.read({"timestep": "1 fs"}))
    other.restore(state)
    for each in (mixed, other):
        each.advance(fs)
    assert np.array_equal(other.atoms.positions, mixed.atoms.positions)


# ---- the thermostat ----


def test_the_thermostat_keeps_off_the_region_and_its_margin():
    atoms = crystal(2, 0.0)  # at rest and without forces but the levels' difference: noise alone moves atoms
    mixed = started(atoms, ensemble=LANGEVIN, moving=None, thermostat_margin="2.6 angstrom")
    mixed.advance(fs)
    quiet = np.flatnonzero(np.linalg.norm(mixed.atoms.get_momenta(), axis=1) < 1e-3)
    assert quiet.tolist() == np.flatnonzero(atoms.get_distances(0, range(64), mic=True) < 2.6).tolist()


# ---- a region that moves ----


def chain(ideal, length):
    """Return the atoms of a zigzag chain along [110] from atom 0."""
    here, found = ideal.positions[0].copy(), [0]
    for k in range(length - 1):
        here += 5.431 / 4 * np.array([1, 1, 1 if k % 2 == 0 else -1])
        found.append(int(find_mic(ideal.positions - here, ideal.cell)[1].argmin()))
    return found


def far_field(ideal, distance):
    """Return a mask of the atoms farther than ``distance`` from the chain's line."""
    away, _ = find_mic(ideal.positions - ideal.positions[0], ideal.cell)
    along = np.array([1.0, 1.0, 0.0]) / np.sqrt(2.0)
    return np.linalg.norm(away - np.outer(away @ along, along), axis=1) > distance


def travel(mixed, atoms, seeds, far, steps=500, every=10):
    """Let the region follow ``seeds``; return the far field's energy per atom, the work, and when the region moved."""
    mixed.start(atoms, Motion.read({"timestep": "1 fs"}))
    energies, works, moved, before = [], [], [], None
    for block in range(steps // every):
        mixed.reseed([seeds[block * every * len(seeds) // steps]])
        mixed.advance(every * fs)
        now = mixed.atoms
        kinetic = (now.get_momenta() ** 2).sum(axis=1) / (2.0 * now.get_masses())
        energies.append((site_energies(now) + kinetic)[far].mean())
        works.append(mixed.course.work)
        region = mixed.course.window.at_begin.region
        moved.append(before is not None and not np.array_equal(region, before))
        before = region
    return np.array(energies), np.diff(works, prepend=0.0), np.array(moved)


def check_no_jump(energies, work, moved, temperature):
    changes = abs(np.diff(energies))
    print(
        f"moves {moved.sum()}; far field: mean of the halves {energies[:25].mean():.5f} {energies[25:].mean():.5f} eV, "
        f"largest change {changes[moved[1:]].max():.2e} where the region moved, {changes[~moved[1:]].max():.2e} else; "
        f"work {work.sum():+.4f} eV, in one window {abs(work[moved]).max():.4f}, {abs(work[~moved]).max():.4f}"
    )
    assert moved.sum() >= 8
    assert changes[moved[1:]].max() < 1.5 * changes[~moved[1:]].max(), "the far field does not feel the move"
    assert abs(work[moved]).max() < 2.0 * abs(work[~moved]).max(), "nor does the whole"
    assert abs(energies[:25].mean() - energies[25:].mean()) < 0.05 * 3.0 * kB * temperature


@pytest.mark.slow
def test_a_moving_tersoff_region_leaves_the_far_field_alone():
    atoms, ideal = warm(3, 1200.0), crystal(3, 0.0)
    match = {"element": "Si", "structure": "diamond", "near": "5.43 angstrom"}
    moving = {"enter": "3 angstrom", "leave": "4.2 angstrom"}
    mixed = mixing(match=match, interval="10 fs", buffer=THIN, moving=moving, net_force="remove")
    check_no_jump(*travel(mixed, atoms, chain(ideal, 10), far_field(ideal, 6.0)), temperature=600.0)


@pytest.mark.slow
def test_a_moving_tight_binding_region_leaves_the_far_field_alone():
    pytest.importorskip("tblite", reason="tight binding needs tblite: pip install 'scalespan[xtb]'")
    high = ASEAdapter(ASEOptions(calculator="tblite", keywords={"method": "GFN1-xTB"}))
    atoms, ideal = warm((2, 2, 3), 600.0), crystal((2, 2, 3), 0.0)
    table = {"buffer": {"hops": 1}, "ends": {"element": "H"}, "interval": "10 fs", "net_force": "remove"}
    mixed = mixing(high=high, moving={"enter": "3 angstrom", "leave": "3.3 angstrom"}, **table)
    assert str(mixed.cluster_atoms(ideal, mixed.cluster_of(ideal)).symbols) == "Si17H36"
    check_no_jump(*travel(mixed, atoms, chain(ideal, 10), far_field(ideal, 5.0)), temperature=300.0)


def test_reseeding_is_checked():
    with pytest.raises(CaseError, match="no seeds to replace"):
        mixing().reseed([1])
    mixed = started(warm())
    with pytest.raises(RegionError, match="atom 64 does not exist"):
        mixed.reseed([64])
