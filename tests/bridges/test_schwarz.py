"""Overlapping Schwarz: the rates of theory, acceleration, and no dynamics."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from ase.io import write

from scalespan.adapters.interface import CaseError, Motion, NotOffered
from scalespan.adapters.simplex import SimplexAdapter, SimplexOptions
from scalespan.bridges.run.tasks.relax import Relax
from scalespan.bridges.schwarz import Schwarz, SchwarzOptions

from .crystals import WANTED, LennardJones, PairEngine, PairLaw, Springs, ball, box, chain, lengths, spacing, triangle

LJ, SPRINGS = LennardJones(), Springs()


def schwarz(folder: Path, crystal, pair, mesh: dict, **options) -> Schwarz:
    write(folder / "crystal.extxyz", crystal)
    table = {"crystal": "crystal.extxyz", "pad": f"{pair.cutoff + 0.3} angstrom"} | options
    body = SimplexAdapter(SimplexOptions.read({"timestep": "1 fs"} | mesh, folder=folder), law=PairLaw(pair, crystal))
    return Schwarz(SchwarzOptions.read(table, folder=folder), atoms=PairEngine(pair), continuum=body)


def linear_chain(folder: Path, length: float, pads: int, core: int, **more) -> Schwarz:
    """Return springs with atoms up to ``pads`` − 1, and nodes that follow them up to ``core``."""
    options = {"region": ball(pads - 0.5, 1), "overlap": f"{pads - core - 0.5} angstrom"} | more
    return schwarz(folder, chain(1.0), SPRINGS, box(length, 1.0), **options)


def rate(model: Schwarz, way, passes: int = 3) -> float:
    """Return what a pass leaves of a displacement (n, d) of everything."""
    rest = model.initial_atoms().positions
    now = rest.copy()
    now[:, : way.shape[1]] += 1e-4 * way
    sizes = []
    for _ in range(passes):
        now = model.sweep(now)
        sizes.append(np.linalg.norm(now - rest))
    return sizes[-1] / sizes[-2]


@pytest.mark.parametrize(("pads", "core"), [(12, 8), (11, 9), (18, 3)])
def test_the_rates_in_one_dimension(tmp_path: Path, pads: int, core: int) -> None:
    """P.-L. Lions 1988: a (L − b)/(b (L − a)) of the odd, (L − b)/(L − a) of the even part."""
    model, length = linear_chain(tmp_path, 20.0, pads, core), 20.0
    x = model.initial_atoms().positions[:, :1]
    even = (length - pads) / (length - core)
    assert rate(model, x / length) == pytest.approx(core / pads * even, rel=1e-5)
    assert rate(model, np.ones_like(x)) == pytest.approx(even, rel=1e-5)


def test_the_rate_of_a_disc_in_an_annulus(tmp_path: Path) -> None:
    """ln(R∞/R_a)/ln(R∞/R_c) of a translation."""
    crystal = triangle(1.0)
    steps = np.stack([each.ravel() for each in np.meshgrid(*[np.arange(-40, 41)] * 2)], axis=1)
    nodes = steps @ crystal.cell.array[:2, :2]
    np.savetxt(tmp_path / "nodes.txt", nodes[np.linalg.norm(nodes, axis=1) <= 24.0])
    options = {"region": ball(7.6, 2), "overlap": "2.2 angstrom"}
    model = schwarz(tmp_path, crystal, SPRINGS, {"file": "nodes.txt"}, **options)
    pads = np.linalg.norm(model._pad_sites, axis=1).min()
    core = np.linalg.norm(model.solid.nodes[model._follow], axis=1).max()
    free = len(model.initial_atoms())
    found = rate(model, np.tile([1.0, 0.0], (free, 1)))
    assert found == pytest.approx(np.log(24.0 / pads) / np.log(24.0 / core), rel=0.04)


def settles(model: Schwarz, optimiser: str, passes: int) -> bool:
    atoms, rng = model.initial_atoms(), np.random.default_rng(1)
    atoms.positions[:, 0] += 0.01 * rng.standard_normal(len(atoms)) + 0.05
    atoms.calc = model.as_calculator()
    relax = Relax(optimiser=optimiser, fmax="1e-7 eV/angstrom", max_steps=passes)
    return relax.to_minimum(atoms, lambda step, memory: None)


def test_anderson_takes_below_12_passes_where_the_plain_method_takes_over_100(tmp_path: Path) -> None:
    model = linear_chain(tmp_path, 40.0, 5, 3)
    assert not settles(model, "sweeps", 100)
    assert settles(model, "anderson", 11)


def strained(folder: Path, **options) -> Schwarz:
    a = float(spacing(LJ, triangle))
    table = {"region": ball(6.1, 2), "overlap": "2.2 angstrom", "deformation": [[1.02, 0.02], [0.0, 1.0]]} | options
    return schwarz(folder, triangle(a), LJ, box([13.0, 13.0], 1.6), **table)


def test_the_patch_test_is_passed(tmp_path: Path) -> None:
    model = strained(tmp_path)
    assert np.abs(model.compute(model.initial_atoms(), WANTED).forces).max() < 1e-10


@pytest.mark.slow
def test_both_parts_are_at_rest_around_a_vacancy_and_a_restart_goes_on_where_it_was(tmp_path: Path) -> None:
    model = strained(tmp_path, vacancies=[lengths([0.0, 0.0])])
    relax, kept = Relax(optimiser="anderson", fmax="1e-6 eV/angstrom", max_steps=11), {}
    atoms = model.initial_atoms()
    atoms.calc = model.as_calculator()

    def heard(step, memory):
        if step == 3:
            kept.update(memory(), positions=atoms.get_positions())

    assert relax.to_minimum(atoms, heard)
    again = model.initial_atoms()
    again.calc, again.positions = model.as_calculator(), kept["positions"]
    assert relax.to_minimum(again, lambda step, memory: None, kept)
    assert np.array_equal(again.positions, atoms.positions)


def test_dynamics_is_refused_unless_it_is_asked_for(tmp_path: Path) -> None:
    model = linear_chain(tmp_path, 20.0, 8, 5)
    with pytest.raises(NotOffered, match="exponentially unstable"):
        model.start(model.initial_atoms(), Motion(timestep="1 fs"))
    asked = linear_chain(tmp_path, 20.0, 8, 5, unstable_dynamics=True)
    asked.start(asked.initial_atoms(), Motion(timestep="1 fs"))
    assert not asked.conservative


def test_an_overlap_that_leaves_no_node_is_refused(tmp_path: Path) -> None:
    with pytest.raises(CaseError, match="overlap"):
        schwarz(tmp_path, chain(1.0), SPRINGS, box(20.0, 1.0), region=ball(5.5, 1), overlap="7 angstrom")
