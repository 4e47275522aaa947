"""DOLFINx by leapfrog, alone and where atoms of a partner stand in it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from ase import Atoms
from scipy.linalg import eigh
from scipy.sparse.linalg import splu

pytest.importorskip("dolfinx", reason="DOLFINx is not installed: conda install -c conda-forge fenics-dolfinx")

from dolfinx import fem

from scalespan.adapters.dolfinx import DolfinxAdapter, DolfinxOptions
from scalespan.adapters.dolfinx.leapfrog import Leapfrog
from scalespan.adapters.interface import Array, AtomsError, CaseError, Indices, Material
from scalespan.adapters.interface.contract_fields import FieldContract

from .dolfinx_problems import box, fixed
from .laws import NeoHookean

ASE = {"length": "angstrom", "time": "ase_time", "mass": "dalton"}
HELD = [{"boundary": "left", "value": 0.0}]
LINEAR = {"young": 3.0, "poisson": 0.3, "density": 2.0, "scheme": "leapfrog", "fixed": HELD}


def make(law: Material | None = None, **table: Any) -> DolfinxAdapter:
    return DolfinxAdapter(DolfinxOptions.read(ASE | {"mesh": box(4, 3)} | table), law)


def masses(adapter: DolfinxAdapter) -> Array:
    step = adapter._step
    assert isinstance(step, Leapfrog)
    return step._masses.reshape(-1, adapter.dimension)


@pytest.fixture
def sites(tmp_path: Path) -> Path:
    """A square lattice of atoms in the middle of a body of 12 × 12, as heavy as the body is there."""
    line = np.arange(-2.5, 3.0)
    places = np.stack(np.meshgrid(line, line, [0.0], indexing="ij"), axis=-1).reshape(-1, 3)
    path = tmp_path / "free_sites.xyz"
    Atoms(f"X{len(places)}", places, masses=np.full(len(places), 2.0)).write(path, "extxyz")
    return path


def joined(sites: Path, law: Material | None = None, **solid: Any) -> DolfinxAdapter:
    table = {"material": "law", "overlap": {"sites": str(sites)}, "fixed": HELD, **solid}
    body = {"low": [-6.0, -6.0], "high": [6.0, 6.0], "cells": [9, 9]}
    place = {"space": {"takes": ["force"]}, "wall": {"boundary": "left"}}
    return make(law or NeoHookean(2), mesh=body, elasticity=table, places=place)


class TestLeapfrogContract(FieldContract):
    def make_adapter(self) -> DolfinxAdapter:
        place = {"boundary": "right", "takes": ["traction", "force"]}
        return make(mesh=box(3, 2), places={"end": place}, elasticity=LINEAR)


class TestOverlapContract(FieldContract):
    reciprocal = False  # finite strains are not linear

    @pytest.fixture(autouse=True)
    def _sites(self, sites: Path) -> None:
        self.sites = sites

    def make_adapter(self) -> DolfinxAdapter:
        return joined(self.sites, scheme="leapfrog", initial=["0.02*x", "0.01*x"])


# ---- the motion ----


def test_it_is_stoermer_and_verlets_scheme_to_the_last_digit() -> None:
    """Against NumPy with the solid's matrices, a partner's forces at the beginning of steps of unequal length."""
    table = LINEAR | {"initial": ["0.1*x", "0.0"], "velocity": ["0.0", "0.3*x"]}
    adapter = make(elasticity=table, places={"space": {"takes": ["force"]}})
    solid = adapter.solid()
    stiffness, mass = solid.stiffness(np.zeros_like(solid.nodes)), np.repeat(solid.masses, 2)
    free = np.repeat(~solid.held, 2)
    u, v, last = (solid.nodes[:, :1] * [0.1, 0.0]).ravel(), (solid.nodes[:, :1] * [0.0, 0.3]).ravel(), 0.0
    assert adapter.inputs["space.force"].at == 0.0
    for number, dt in enumerate((0.05, 0.05, 0.03, 0.06)):
        force = np.sin(solid.nodes + number)
        adapter.set_input("space.force", force)
        adapter.advance(dt)
        v += free * 0.5 * (last + dt) * (force.ravel() - stiffness @ u) / mass
        u, last = u + dt * v, dt
    assert np.abs(adapter.output("space.displacement").ravel() - u).max() < 1e-13


def test_a_free_body_falls_exactly() -> None:
    """Under an even force on the volume, u = ½ (f/ρ) t² and v = (f/ρ) t, from the first step's half kick on."""
    adapter = make(elasticity=LINEAR | {"fixed": [], "source": [3.0, -1.0]})
    for _ in range(5):
        adapter.advance(0.05)
    point = np.array([[0.3, 0.6]])
    assert adapter.evaluate("displacement", point)[0] == pytest.approx([0.046875, -0.015625], abs=1e-13)
    assert adapter.evaluate("velocity", point)[0] == pytest.approx([0.375, -0.125], abs=1e-12)


def test_it_converges_in_time_with_order_two() -> None:
    ends = []
    for steps in (20, 40, 80):
        adapter = make(NeoHookean(2), elasticity={"material": "law", "scheme": "leapfrog", "fixed": HELD} | SWUNG)
        for _ in range(steps):
            adapter.advance(1.0 / steps)
        ends.append(np.append(adapter.problem.unknown.x.array, adapter.evaluate("velocity", np.array([[0.9, 0.5]]))))
    assert np.log2(np.abs(ends[0] - ends[1]).max() / np.abs(ends[1] - ends[2]).max()) == pytest.approx(2.0, abs=0.05)


SWUNG = {"initial": ["0.05*sin(pi*x/2)", "0.05*sin(pi*x)*y"]}


def test_a_linear_solid_keeps_the_staggered_energy() -> None:
    """½ v(n−½)·M v(n+½) + ½ u·K u is an invariant of the scheme, at any stable step."""
    adapter = make(elasticity=LINEAR | SWUNG)
    energies = []
    for _ in range(200):
        adapter.advance(0.1)
        energies.append(sum(adapter.observe().values()))
    assert np.ptp(energies) < 1e-12 * energies[0]


def test_the_energy_of_a_law_swings_with_the_step_squared_and_does_not_drift() -> None:
    """Finite strains, for the same time with half the step: the error is the scheme's own."""
    spans = []
    for steps, by in ((600, 0.4), (1200, 0.2)):
        adapter = make(NeoHookean(2), elasticity={"material": "law", "scheme": "leapfrog", "fixed": HELD} | SWUNG)
        step = adapter._step
        assert isinstance(step, Leapfrog)
        adapter.begin()
        dt = by / step.frequency()
        energies = []
        for _ in range(steps):
            adapter.advance(dt)
            energies.append(sum(adapter.observe().values()))
        spans.append(np.ptp(energies) / energies[0])
        quarters = [part.mean() for part in np.array_split(np.array(energies), 4)]
        assert abs(quarters[-1] - quarters[0]) < 0.2 * np.ptp(energies)
    assert spans[0] / spans[1] == pytest.approx(4.0, rel=0.15)


def test_what_the_wall_gives_is_what_the_body_gains() -> None:
    """Σ M a = f_ext − what leaves through the wall."""
    adapter = make(elasticity=LINEAR | {"source": [0.4, 0.1]}, places={"wall": {"boundary": "left"}, "space": {}})
    for _ in range(7):
        adapter.advance(0.1)
    gained = (masses(adapter) * adapter.output("space.acceleration")).sum(axis=0)
    assert gained + adapter.output("wall.force").sum(axis=0) == pytest.approx([0.4, 0.1], abs=1e-13)


def test_the_highest_frequency_is_the_matrices_own_and_longer_steps_are_refused() -> None:
    adapter = make(elasticity=LINEAR)
    solid, step = adapter.solid(), adapter._step
    assert isinstance(step, Leapfrog)
    free = np.repeat(~solid.held, 2)
    matrix = solid.stiffness(np.zeros_like(solid.nodes)).toarray()[np.ix_(free, free)]
    highest = np.sqrt(eigh(matrix, np.diag(np.repeat(solid.masses, 2)[free]), eigvals_only=True)[-1])
    adapter.begin()
    assert step.frequency() == pytest.approx(highest, rel=1e-4)
    adapter.advance(1.9 / highest)
    with pytest.raises(CaseError, match="below 2"):
        adapter.advance(2.1 / highest)


def test_a_step_too_long_beside_atoms_is_refused_before_running(sites: Path) -> None:
    step = joined(sites, scheme="leapfrog")._step
    assert isinstance(step, Leapfrog)
    step.audit(0.55 / step.frequency())
    with pytest.raises(CaseError, match=r"at most 0\.6"):
        step.audit(0.65 / step.frequency())


# ---- atoms of a partner in it ----


def test_masses_are_counted_once_and_none_is_lost(sites: Path) -> None:
    adapter = joined(sites, scheme="leapfrog")
    assert masses(adapter).sum(axis=0) == pytest.approx([2.0 * 144 - 2.0 * 36] * 2, rel=1e-13)
    assert adapter.audit()[0].rows[3] == ("nodes that follow the others", "16")


def test_the_others_are_followed_harmonically_and_forces_come_back_by_the_transpose(sites: Path) -> None:
    """Against u_S = −L_SS⁻¹ L_SF u_F with the solid's own Laplacian; ⟨Hu, f⟩ = ⟨u, Hᵀf⟩."""
    adapter = joined(sites, scheme="leapfrog")
    extension, solid, space = adapter.problem.slaved, adapter.solid(), adapter.problem.unknown.function_space
    rng = np.random.default_rng(4)
    field, back = fem.Function(space), fem.Function(space)
    u, f = rng.standard_normal((2, len(solid.nodes), 2))
    slaved: Indices = np.flatnonzero(extension.slaved[:, 0])
    others = np.setdiff1d(np.arange(len(u)), slaved)
    laplacian = solid.laplacian().tocsc()
    expected = u.copy()
    expected[slaved] = -splu(laplacian[slaved][:, slaved].tocsc()).solve(laplacian[slaved][:, others] @ u[others])
    field.x.array[:], back.x.array[:] = u.ravel(), f.ravel()
    extension.fill(field)
    extension.gather(back)
    assert np.abs(field.x.array - expected.ravel()).max() < 1e-13
    assert float(back.x.array @ u.ravel()) == pytest.approx(float(field.x.array @ f.ravel()), abs=1e-12)
    assert not back.x.array.reshape(-1, 2)[slaved].any()


def test_a_uniform_strain_is_exact_beside_atoms(sites: Path) -> None:
    linear = ["0.1*x + 0.05*y", "-0.03*x + 0.08*y"]
    adapter = joined(sites, density=0.0, fixed=fixed(linear, 2), initial=["0.04*x + 0.02*sin(2*x + y)", "0.01*y"])
    adapter.advance(1.0)
    points = np.random.default_rng(2).uniform(-6.0, 6.0, (20, 2))
    exact = points @ np.array([[0.1, 0.05], [-0.03, 0.08]]).T
    assert np.abs(adapter.evaluate("displacement", points) - exact).max() < 1e-11


def test_a_uniform_strain_stays_at_rest_in_motion_too(sites: Path) -> None:
    """Forces on slaved nodes vanish with those on the others."""
    linear = ["0.1*x + 0.05*y", "-0.03*x + 0.08*y"]
    adapter = joined(sites, scheme="leapfrog", fixed=fixed(linear, 2), initial=linear)
    adapter.advance(0.1)
    assert np.abs(adapter.output("space.acceleration")).max() < 1e-12


def test_a_force_on_the_atoms_region_is_balanced_at_the_wall(sites: Path) -> None:
    """Newton's third law through the transpose: what is given to slaved nodes leaves through the wall."""
    adapter = joined(sites, density=0.0)
    adapter.load(np.array([[0.3, -0.2], [1.0, 1.0]]), np.array([[0.02, 0.01], [0.01, -0.03]]))
    adapter.advance(1.0)
    assert adapter.output("wall.force").sum(axis=0) == pytest.approx([0.03, -0.02], abs=1e-12)


def test_the_energy_beside_atoms_that_are_absent_is_kept(sites: Path) -> None:
    """The continuum alone, its inner nodes slaved, is a Hamiltonian system."""
    adapter = joined(sites, scheme="leapfrog", initial=["0.02*sin(x)*y", "0.0"])
    energies = []
    for _ in range(400):
        adapter.advance(0.05)
        energies.append(sum(adapter.observe().values()))
    assert np.ptp(energies) < 1e-4 * energies[0]


def test_what_cannot_overlap_is_said(sites: Path, tmp_path: Path) -> None:
    for solid in ({"scheme": "newmark"}, {"scheme": "generalised-alpha"}):
        with pytest.raises(CaseError, match="leapfrog"):
            joined(sites, **solid)
    far = tmp_path / "far.xyz"
    Atoms("X", [[60.0, 0.0, 0.0]]).write(far, "extxyz")
    with pytest.raises(CaseError, match="outside the mesh"):
        joined(far, scheme="leapfrog")
    far.write_text("what is this?")
    with pytest.raises(AtomsError, match="cannot read"):
        joined(far, scheme="leapfrog")
