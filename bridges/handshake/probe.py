"""What comes back when a wave leaves the atoms: a packet sent through a strip of the case's own joint.

The strip is a chain of lattice planes, b apart, with springs between neighbours that have the case's density and its
modulus along x, joined by a `Handshake` with linear elements of the size h that the case's mesh has at its pads.
It holds all of the joint but the direction of the wave and farther neighbours: interpolation and its transpose, masses,
slaved nodes, the absorbing layer. For such a strip the amplitude that comes back is known,

    R(k) = (cos(kb/2) − √(1 − n² sin²(kb/2))) / (cos(kb/2) + √(1 − n² sin²(kb/2))),    n = h/b,

and it is 1 above kb = 2 asin(1/n), where the elements carry no wave. It follows from the equation of the joint's node,
of the mass (1 + n)/2, for a wave that comes, one that goes on at the same frequency and one that comes back. One packet
holds waves below and above that, and few near it, which would take long to come back; the amplitudes before and after
are its Fourier components.
"""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np
from ase import Atoms

from scalespan.adapters.interface import Array, Chart, Indices, Motion, Solid, Table, barycentric, shape_gradients

from .options import AtomsRegion, HandshakeOptions, Thermostat
from .strip import Line, Planes, Strip

if TYPE_CHECKING:
    from .handshake import Handshake

_STEP = 0.8  # of √(m/k), of which 2 is velocity Verlet's limit
_PARTS = (0.25, 0.4, 0.55, 0.7, 1.5)  # of the cut-off's wave number
_SHORTEST = 2.0  # kb at most: shorter waves of the atoms are slow
_BELOW, _WIDTH = 0.6, 0.2  # of the cut-off: how far the packet's lower part goes, and how wide its upper one is
_LENGTH = 24  # elements that fit into the atoms on either side
_TIME = 2.3  # how far a long wave goes, of the atoms: to the joint and back
_LARGEST = 40  # planes in an element: with more, the strip would be thousands of atoms


def reflection_table(handshake: Handshake) -> Table:
    """Return what comes back from a strip of the handshake's joint, beside the closed form."""
    strip, bath = strip_of(handshake), handshake.options.thermostat
    size = strip.element * strip.plane
    title = f"What comes back from a joint of elements of {size:.4g} Å, {strip.element} planes"
    if strip.element > _LARGEST:
        return Table(title, ("",), (("elements too large for a probe: waves below a hundred planes come back",),))
    wave, back = (np.array(each) for each in reflected(strip))
    layer = None if bath is None else (float(bath.width), float(bath.friction))
    rows = [
        (f"{2.0 * np.pi / k:.4g} Å", f"{2.0 * np.pi / (k * size):.3g}", f"{100 * one:.3g} %", f"{100 * two:.3g} %")
        for k, one, two in zip(wave, back, strip.closed_form(wave), strict=True)
    ]
    if layer is not None:
        rows.append((rows[-1][0], rows[-1][1], f"{100 * absorbed(strip, *layer):.3g} %", "with the absorbing layer"))
    columns = ("wavelength", "in elements", "energy that comes back", "closed form")
    note = (
        "waves sent through a strip in one dimension: the mesh's largest element at the pads, the crystal's planes "
        "along x with their density and modulus, springs between neighbours; below a wavelength of "
        f"{2.0 * np.pi / strip.cut_off:.4g} Å the elements carry nothing"
    )
    return Table(title, columns, tuple(rows), note, _chart(strip))


def strip_of(handshake: Handshake) -> Strip:
    """Return the strip of a handshake's joint: the largest element that holds a pad, in whole planes."""
    sites, solid = handshake.sites, handshake.solid
    plane = float(np.diff(np.unique(np.round(sites.points[:, 0], 4))).min())
    cells, _ = barycentric(solid.nodes, solid.cells, sites.points[sites.free :])
    volumes = shape_gradients(solid.nodes, solid.cells[np.unique(cells)])[1]
    bricks = np.prod(np.arange(1, sites.dimension + 1))  # d! simplices fill a cube
    size = float((volumes * bricks).max() ** (1.0 / sites.dimension))
    return Strip(plane, max(1, round(size / plane)), sites.density, _modulus(solid))


def _modulus(solid: Solid) -> float:
    """Return ∂²W/∂F_xx² at rest (eV/Å^d), by differences of the body's energy."""
    h, stretched = 1e-3, np.zeros_like(solid.nodes)
    stretched[:, 0] = h * solid.nodes[:, 0]
    ahead, here, behind = (solid.elastic(sign * stretched)[0] for sign in (1.0, 0.0, -1.0))
    return (ahead - 2.0 * here + behind) / (h**2 * float(shape_gradients(solid.nodes, solid.cells)[1].sum()))


@lru_cache(maxsize=16)
def reflected(strip: Strip) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Return wave numbers (1/Å), and the share of each one's energy that comes back, as the motion has it."""
    packet = _Packet(strip)
    wave = np.minimum(np.array(_PARTS) * strip.cut_off, _SHORTEST / strip.plane)
    part = packet.wave / min(strip.cut_off, _SHORTEST / strip.plane)
    below = (part / _BELOW) ** 2 * np.exp(-((part / _BELOW) ** 4))
    above = np.exp(-(((part - _PARTS[-1]) / _WIDTH) ** 2)) if strip.element > 1 else 0.0
    sent, back = packet.sent_and_back(below + above, wave)
    return tuple(wave.tolist()), tuple((np.abs(back / sent) ** 2).tolist())


@lru_cache(maxsize=16)
def absorbed(strip: Strip, width: float, friction: float) -> float:
    """Return the share of a packet's energy that comes back from behind an absorbing layer at 0 K, above the cut-off.

    Args:
        strip: the joint.
        width: of the layer, Å.
        friction: at its outer side, 1/ASE's time.
    """
    packet = _Packet(strip, (width, friction))
    every = np.linspace(0.0, np.pi / strip.plane, 4 * packet.reach)[1:-1]  # a layer changes the wave number, too
    shape = np.exp(-(((packet.wave / strip.cut_off - _PARTS[-1]) / _WIDTH) ** 2))
    sent, back = packet.sent_and_back(shape, every)
    energy = np.sin(0.5 * every * strip.plane) ** 2
    return float(np.abs(back) ** 2 @ energy / (np.abs(sent) ** 2 @ energy))


class _Packet:
    """Waves in a strip, moved by velocity Verlet."""

    def __init__(self, strip: Strip, layer: tuple[float, float] | None = None) -> None:
        planes = _LENGTH * max(strip.element, 3) + (0.0 if layer is None else layer[0] / strip.plane)
        # The joint's node lies on the first plane that is slaved, as in the closed form.
        self.strip, self.reach = strip, strip.element * round(planes / strip.element)
        self._step = _STEP * float(np.sqrt(strip.mass / strip.spring))
        self._places = strip.plane * np.arange(1 - self.reach, self.reach)
        self._model = self._joined(layer)
        self._order: Indices = np.argsort(self._model.initial_atoms().positions[: self._model.free, 0])
        self.wave = np.linspace(0.0, min(2.5 * strip.cut_off, np.pi / strip.plane), 801)

    def _joined(self, layer: tuple[float, float] | None) -> Handshake:
        from .handshake import Handshake  # which shows this probe

        strip = self.strip
        region = AtomsRegion.model_construct(centre=[0.0], radius=(self.reach - 0.5) * strip.plane)
        bath = layer and Thermostat.model_construct(width=layer[0], friction=layer[1])
        options = HandshakeOptions.model_construct(region=region, pad=1.5 * strip.plane, thermostat=bath)
        return Handshake(options, atoms=Planes(strip), continuum=Line(strip, self.reach))

    def sent_and_back(self, shape: Array, wave: Array) -> tuple[Array, Array]:
        """Send a packet right from the atoms' middle; return amplitudes at ``wave`` (k,) then, and of what comes back.

        Args:
            shape: the packet's, at each of `wave`.
            wave: 1/Å.
        """
        strip, atoms = self.strip, self._model.initial_atoms()
        each = np.exp(1j * np.outer(self._places, self.wave)) * (1e-5 * strip.plane * shape)
        momenta = np.zeros_like(atoms.positions)
        momenta[self._order, 0] = strip.mass / self._step * (each @ (-1j * np.sin(self._phase(self.wave)))).real
        atoms.positions[self._order, 0] += each.sum(axis=1).real
        atoms.set_momenta(momenta)
        sent, _ = self._amplitudes(atoms, wave)
        self._model.start(atoms, Motion.model_construct(timestep=self._step))
        self._model.advance(self._step * round(_TIME * self.reach * strip.plane / (self._step * strip.speed)))
        return sent, self._amplitudes(self._model.atoms, wave)[1]

    def _amplitudes(self, atoms: Atoms, wave: Array) -> tuple[Array, Array]:
        """Return the amplitudes (k,) of waves that go right and left: u and p of velocity Verlet at one time.

        Of a wave exp(i(kx − ωt)), −i u sin(ωΔt)/Δt = p/m.
        """
        fourier = np.exp(-1j * np.outer(wave, self._places))
        moved = fourier @ (atoms.positions[self._order, 0] - self._places)
        speed = fourier @ atoms.get_momenta()[self._order, 0] / self.strip.mass
        turn = 1j * speed * self._step / np.sin(self._phase(wave))
        return 0.5 * (moved + turn), 0.5 * (moved - turn)

    def _phase(self, wave: Array) -> Array:
        """Return ωΔt of velocity Verlet: sin(ωΔt/2) = Δt √(k/m) sin(kb/2)."""
        found: Array = 2.0 * np.arcsin(_STEP * np.sin(0.5 * wave * self.strip.plane))
        return found


def _chart(strip: Strip) -> Chart:
    wave, back = (np.array(each) for each in reflected(strip))
    length = 2.0 * np.pi / (strip.element * strip.plane)  # of a wave in elements, times its number
    fine = np.linspace(0.15, 1.7, 120) * strip.cut_off
    curves = {
        "closed form": Chart.points(length / fine, 100.0 * strip.closed_form(fine)),
        "this joint": Chart.points(length / wave, 100.0 * back),
    }
    return Chart("wavelength (elements)", "energy that comes back (%)", curves)
