"""A noisy law in a continuum: the residual's noise is what the covariance says, and samples bring it down."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import chi2

pytest.importorskip("dolfinx", reason="DOLFINx is not installed: conda install -c conda-forge fenics-dolfinx")

from scalespan.adapters.dolfinx import DolfinxAdapter, DolfinxOptions
from scalespan.adapters.dolfinx.domain import Domain
from scalespan.adapters.dolfinx.noise import ResidualNoise, quiet
from scalespan.adapters.dolfinx.options import MeshOptions
from scalespan.adapters.interface import Array, Material, NotConverged, NotOffered, OptionError, Options, Response

from .laws import NeoHookean


class Measured(Material):
    """A law whose stress has independent, normal errors at each point: size² over the samples there, of each entry."""

    name = "measured"
    Options = Options

    def __init__(self, truth: Material, sizes: Array, seed: int = 0, by_points: bool = True) -> None:
        self.truth, self.sizes, self.by_points = truth, sizes, by_points
        self.samples = np.ones(len(sizes))
        self.random = np.random.default_rng(seed)

    @property
    def dimension(self) -> int:
        return self.truth.dimension

    @property
    def stress_unit(self) -> str:
        return self.truth.stress_unit

    @property
    def density(self) -> float:
        return self.truth.density

    def _respond(self, deformation: Array, tangent: bool) -> Response:
        exact, d = self.truth.respond(deformation, tangent), self.dimension
        errors = self.sizes / np.sqrt(self.samples)
        noise = errors[:, None, None] * self.random.standard_normal(deformation.shape)
        one = np.einsum("ik,jl->ijkl", np.eye(d), np.eye(d))
        covariance = (errors**2)[:, None, None, None, None] * one
        return Response(exact.energy, exact.stress + noise, exact.tangent, covariance)

    def sharpen(self, factor: float) -> None:
        self.samples = self.samples * factor

    def tolerate(self, errors: Array) -> None:
        if not self.by_points:
            super().tolerate(errors)
        self.samples = np.maximum(self.samples, (self.sizes / errors) ** 2)


def noise_of(cells=(4, 3), dimension=2) -> tuple[ResidualNoise, int]:
    """Return the noise of a box that is held at its left side, and its number of Gauss points."""
    options = MeshOptions.read({"low": [0.0] * dimension, "high": [1.0] * dimension, "cells": list(cells)})
    domain = Domain(options, 1)
    space = domain.space(dimension)
    nodes = np.flatnonzero(space.tabulate_dof_coordinates()[:, 0] > 1e-9)
    free = (nodes[:, None] * dimension + np.arange(dimension)).ravel()
    return ResidualNoise(domain, domain.gauss_degree, free, unit=2.0), domain.mesh.topology.index_map(
        dimension
    ).size_local


@pytest.mark.parametrize("cells", [(4, 3), (2, 2, 1)])
def test_the_residuals_spread_is_what_the_covariance_says(cells) -> None:
    """E |δr|² over many draws, within the 99.9 % of its own spread; each node's variance likewise."""
    d = len(cells)
    noise, points = noise_of(cells, d)
    random, draws = np.random.default_rng(4), 2000
    roots = random.uniform(-1.0, 1.0, (points, d * d, d * d))
    covariance = (roots @ roots.transpose(0, 2, 1)).reshape(points, d, d, d, d)
    errors = np.einsum("nef,rnf->rne", roots, random.standard_normal((draws, points, d * d)))
    residuals = 2.0 * (noise.slopes @ errors.reshape(draws, -1).T)
    low, high = chi2.ppf([5e-5, 1.0 - 5e-5], draws) / draws
    told = noise.errors(covariance) ** 2
    seen = (residuals**2).mean(axis=1)
    assert (seen > low * told).all()
    assert (seen < high * told).all()
    assert noise.shares(covariance).sum() == pytest.approx(told.sum(), rel=1e-12)
    assert noise.error(covariance) == pytest.approx(np.sqrt(told.sum()), rel=1e-12)


def test_a_bars_end_feels_its_own_noise() -> None:
    """One square cell, held at its left side, an error of P alike and sure in all but one entry: by hand.

    Two triangles of area ½ with slopes of 1: r at a node is Σ ½ P·∇N.
    """
    noise, points = noise_of((1, 1))
    covariance = np.zeros((points, 2, 2, 2, 2))
    covariance[:, 0, 0, 0, 0] = 0.25
    # ∇N along x of the two nodes at the right side: ±1 in one triangle each, so that var r = (2 · ½)² · 0.25.
    assert np.sort(noise.errors(covariance)) == pytest.approx([0.0, 0.0, 0.5, 0.5])


def asked(seed=0, by_points=True, wanted=0.02):
    noise, points = noise_of()
    sizes = np.linspace(0.05, 1.0, points)
    law = Measured(NeoHookean(2), sizes, seed, by_points)
    at = np.eye(2) + 0.05 * np.random.default_rng(1).uniform(-1.0, 1.0, (points, 2, 2))
    answer = quiet(lambda: law.respond(at), law, noise, wanted)
    return law, noise, answer, at


def test_samples_bring_the_noise_below_what_is_wanted_and_cost_what_neyman_says() -> None:
    law, noise, answer, _ = asked()
    first = law.sizes**2
    g = noise.shares(np.einsum("n,ik,jl->nijkl", first, np.eye(2), np.eye(2)))
    assert noise.error(answer.covariance) <= 0.02
    assert law.samples.sum() == pytest.approx(np.sqrt(g).sum() ** 2 / (0.9 * 0.02) ** 2, rel=1e-6)


def test_the_residuals_true_error_is_the_wanted_one() -> None:
    """Over 60 seeds, |δr|² has the mean (0.9 τ)², within 5 of its standard errors."""
    found = []
    for seed in range(60):
        law, noise, answer, at = asked(seed)
        off = (answer.stress - law.truth.respond(at).stress).ravel()
        found.append(float((4.0 * (noise.slopes @ off) ** 2).sum()))
    spread = np.std(found) / np.sqrt(60)
    assert np.mean(found) == pytest.approx((0.9 * 0.02) ** 2, abs=5.0 * spread)
    assert spread < 0.2 * np.mean(found)


def test_samples_by_points_are_fewer_than_the_same_at_all() -> None:
    shared, everywhere = asked()[0], asked(by_points=False)[0]
    assert shared.samples.sum() < 0.8 * everywhere.samples.sum()


def test_an_exact_law_is_asked_once() -> None:
    noise, points = noise_of()
    law, times = NeoHookean(2), []

    def ask() -> Response:
        times.append(1)
        return law.respond(np.tile(np.eye(2), (points, 1, 1)))

    quiet(ask, law, noise, 1e-12)
    assert len(times) == 1


def test_samples_that_do_not_help_are_noticed() -> None:
    class Stubborn(Measured):
        def tolerate(self, errors: Array) -> None:
            return

    noise, points = noise_of()
    law = Stubborn(NeoHookean(2), np.ones(points))
    at = np.tile(np.eye(2), (points, 1, 1))
    with pytest.raises(NotConverged, match="keeps an error of"):
        quiet(lambda: law.respond(at), law, noise, 1e-3)


def test_a_law_that_takes_no_more_samples_says_so() -> None:
    class Fixed(Measured):
        def tolerate(self, errors: Array) -> None:
            Material.tolerate(self, errors)

        def sharpen(self, factor: float) -> None:
            Material.sharpen(self, factor)

    noise, points = noise_of()
    law = Fixed(NeoHookean(2), np.ones(points))
    at = np.tile(np.eye(2), (points, 1, 1))
    with pytest.raises(NotOffered, match="no mean of samples"):
        quiet(lambda: law.respond(at), law, noise, 1e-3)


# ---- Newton's method ----


class Fresh(Measured):
    """New noise at each new F, the same at the same one."""

    def _respond(self, deformation: Array, tangent: bool) -> Response:
        self.random = np.random.default_rng([*deformation.tobytes(), int(self.samples.sum())])
        return super()._respond(deformation, tangent)


def pulled(law: Material, **solid: object) -> DolfinxAdapter:
    table = {
        **{"length": "angstrom", "time": "ase_time", "mass": "dalton"},
        "mesh": {"low": [0, 0], "high": [1, 1], "cells": [4, 3]},
        "solver": {"snes_atol": 1e-3, "snes_rtol": 1e-9},
        "elasticity": {
            "material": "law",
            "density": 0.0,
            "fixed": [{"boundary": "left", "value": 0.0}],
            "natural": [{"boundary": "right", "value": [0.1, 0.05]}],
            **solid,
        },
    }
    return DolfinxAdapter(DolfinxOptions.read(table), law)


def test_newtons_method_ends_where_the_noise_is_below_its_tolerance() -> None:
    """With 1e-4 of noise to a tolerance of 1e-3, and not with the noise as it is, which is about 0.1."""
    law = Fresh(NeoHookean(2), np.full(24, 0.2))
    quiet_body = pulled(law, residual_error=1e-4)
    quiet_body.advance(1.0)
    assert law.samples.min() > 100.0
    exact = pulled(NeoHookean(2))
    exact.advance(1.0)
    ours, theirs = ({**each.observe()} for each in (quiet_body, exact))
    name = next(each for each in theirs if each.startswith("elastic"))
    assert ours[name] == pytest.approx(theirs[name], rel=0.02)
    with pytest.raises(NotConverged):
        pulled(Fresh(NeoHookean(2), np.full(24, 0.2))).advance(1.0)


def test_a_residual_error_is_of_a_law() -> None:
    with pytest.raises(OptionError, match="residual_error is of the noise"):
        pulled(NeoHookean(2), material="linear", young=1.0, poisson=0.3, residual_error=1e-4)
