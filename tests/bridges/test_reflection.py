"""Waves at the joint of a chain and a coarser mesh: what comes back, what is damped, what goes through.

Of harmonic neighbours (a = m = k = 1) joined with linear elements of size na and lumped masses, the joint's node having
the mass (1 + n)/2, a wave of amplitude 1 comes back as

    R(k) = (cos(ka/2) − √(1 − n² sin²(ka/2))) / (cos(ka/2) + √(1 − n² sin²(ka/2))),

and as 1 above the mesh's cut-off ka = 2 asin(1/n). Both sides see the same frequency, so that the formula holds for
leapfrog's waves too.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from ase import units

from scalespan.adapters.interface import Array, Motion, ParticleAdapter
from scalespan.bridges.handshake.layer import Layer

from .crystals import Springs, box, chain, fs, handshake, lengths

STEP = 0.8  # of √(m/k): 0.8 of the stability limit


def closed_form(k: Array, n: int) -> Array:
    inside = 1.0 - n**2 * np.sin(0.5 * k) ** 2
    root, half = np.sqrt(np.maximum(inside, 0.0)), np.cos(0.5 * k)
    return np.where(inside > 0.0, (half - root) / (half + root), 1.0)


def joined(folder: Path, n: int, reach: int, **options: object):
    """Return atoms on both sides of the middle, up to the node at ±``reach``, and a mesh of ``n`` atoms' size."""
    region = {"centre": lengths([0.0]), "radius": f"{reach - 0.5} angstrom"}
    size = n * int(np.ceil(2.1 * reach / n))
    return handshake(folder, chain(1.0), Springs(), box(float(size), float(n)), region=region, **options)


def waves(positions: Array, momenta: Array, k: Array) -> tuple[Array, Array]:
    """Return the amplitudes of the waves of each k that go right and left: u and p of velocity Verlet at one time.

    Of a wave exp(i(kx − ωt)) they are −i u sin(ωΔt)/Δt = p/m, sin(ωΔt/2) = Δt sin(k/2).
    """
    x = np.rint(positions)
    fourier = np.exp(-1j * np.outer(k, x))
    u, v = fourier @ (positions - x), fourier @ momenta
    phase = 2.0 * np.arcsin(STEP * np.sin(0.5 * k))
    turn = 1j * v * STEP / np.sin(phase)
    return 0.5 * (u + turn), 0.5 * (u - turn)


def shot(model: ParticleAdapter, reach: int, middle: float, width: float) -> tuple[Array, Array, Array, Array, float]:
    """Send a packet of waves around the wave number ``middle`` to the right; let it come back to where it was.

    Returns:
        wave numbers k, the amplitudes sent at each, those that then go right and left; the share of the energy left.
    """
    atoms = model.initial_atoms()
    free = np.flatnonzero(np.abs(atoms.positions[:, 0]) < reach - 0.25)
    x = atoms.positions[free, 0].copy()
    k = middle + width * np.linspace(-3.5, 3.5, 141)
    phase = 2.0 * np.arcsin(STEP * np.sin(0.5 * k))
    each = 1e-3 * np.exp(1j * np.outer(x, k)) * np.exp(-(((k - middle) / width) ** 2)) * (k[1] - k[0]) / width
    atoms.positions[free, 0] += each.sum(axis=1).real
    momenta = np.zeros_like(atoms.positions)
    momenta[free, 0] = (each @ (-1j * np.sin(phase) / STEP)).real
    atoms.set_momenta(momenta)
    k = middle + width * np.linspace(-1.0, 1.0, 9)
    sent = waves(atoms.positions[free, 0], momenta[free, 0], k)[0]
    model.start(atoms, Motion.read({"timestep": fs(STEP), "ensemble": "nve"}))
    begin = left_over(model)
    model.advance(STEP * round(2.0 * reach / np.cos(0.5 * middle) / STEP))
    after = model.atoms
    right, left = waves(after.positions[free, 0], after.get_momenta()[free, 0], k)
    return k, sent, right, left, left_over(model) / begin


def left_over(model: ParticleAdapter) -> float:
    seen = model.observe()
    return seen.potential + seen.kinetic


@pytest.mark.parametrize("part", [0.5, 1.5], ids=["below the cut-off", "above"])
@pytest.mark.parametrize(("n", "reach"), [(2, 160), (4, 160), (8, 200), (16, 320)])
def test_what_comes_back_is_the_closed_form(tmp_path: Path, n: int, reach: int, part: float) -> None:
    """At each wave number of a packet, within 1e-4 of the amplitude sent."""
    cut_off = 2.0 * np.arcsin(1.0 / n)
    k, sent, right, left, _ = shot(joined(tmp_path, n, reach), reach, part * cut_off, 0.15 * cut_off)
    assert np.abs(left / sent) == pytest.approx(closed_form(k, n), abs=1e-4)
    assert np.abs(right / sent).max() < 1e-4


def damped(folder: Path, width: float, friction: float):
    """Return a joint with n = 4 whose layer of atoms is damped, with γ in √(k/m)."""
    rate = {"friction": f"{friction * units.fs!r} 1/fs", "width": f"{width!r} angstrom", "temperature": "0 K"}
    return joined(folder, 4, 160, thermostat=rate)


@pytest.mark.parametrize(("k", "back"), [(0.8, 0.05), (1.5, 1e-3)])
def test_what_the_mesh_cannot_carry_is_absorbed(tmp_path: Path, k: float, back: float) -> None:
    """Above the cut-off of 0.505 all came back; of the energy about exp(−γw/v) does, far above, at the group's speed v.

    A friction γ that rises from 0 over the width w takes the share exp(−½γw/v) on the way in, and again on the way out.
    """
    _, sent, _, left, _ = shot(damped(tmp_path, 64.0, 0.1), 160, k, 0.1)
    assert np.abs(left / sent)[4] ** 2 < back


@pytest.mark.parametrize("k", [0.1, 0.2])
def test_long_waves_pass_the_damped_layer(tmp_path: Path, k: float) -> None:
    """They lose less than 1 % of their energy, and come back as without damping."""
    plain, layer = joined(tmp_path, 4, 160), damped(tmp_path, 64.0, 0.1)
    both = [shot(model, 160, k, 0.03) for model in (plain, layer)]
    assert 0.99 < both[1][-1] / both[0][-1] < 1.0
    assert both[0][-1] == pytest.approx(1.0, abs=1e-3)
    back = [np.abs(left / sent)[4] for _, sent, _, left, _ in both]
    assert back[1] == pytest.approx(back[0], abs=1e-3)


def test_the_layer_leaves_a_motion_of_the_mesh_alone(tmp_path: Path) -> None:
    """To the last digits, momentum and energy; of any motion it takes energy and no momentum."""
    model = damped(tmp_path, 20.0, 0.3)
    layer, atoms = Layer(model, STEP), model.initial_atoms()
    shapes = model.solid.interpolation(atoms.positions[: model.free, :1])
    for v, kept in (
        (shapes @ np.sin(model.solid.nodes), True),
        (np.sin(2.0 * atoms.positions[: model.free, :1]), False),
    ):
        momenta = np.zeros((len(atoms), 3))
        momenta[: model.free, :1] = v
        before = momenta.copy()
        layer.heat = 0.0
        layer.act(momenta, atoms.get_masses()[:, None])
        assert momenta.sum() == pytest.approx(before.sum(), abs=1e-12)
        assert np.allclose(momenta, before, rtol=0, atol=1e-12) is kept
        assert (layer.heat < -1e-2) is not kept


def test_the_layers_noise_keeps_the_distribution_of_its_temperature(tmp_path: Path) -> None:
    """A kT m Aᵀ + N = kT m, where A is the friction's map of momenta and N the covariance of the noise."""
    model = damped(tmp_path, 20.0, 0.3)
    layer = Layer(model, STEP)
    mass, loss, one = layer._masses, 1.0 - layer._kept, np.eye(len(layer._masses))
    friction = one - loss * mass * layer._fine.of(one / mass)
    noise = loss * mass * layer._fine.of(np.diag(np.sqrt((2.0 - loss) / (loss * mass))[:, 0]))
    assert np.allclose(friction @ (mass * friction.T) + noise @ noise.T, np.diag(mass[:, 0]), rtol=0, atol=1e-11)
