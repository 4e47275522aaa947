"""Force-blended coupling of atoms and a continuum (BQCF): each force is right where it is used, and there is no energy.

X. Li, M. Luskin, C. Ortner and A. Shapeev 2013, arXiv:1304.1368: with a blending β that rises from 0 on
the atoms to 1 beyond a layer of sites around them,

    ⟨F(u), v⟩ = ⟨F_at(u), (1 − β) v⟩ + ⟨F_FE(u), I(β v)⟩

so that a node J feels f_J = Σ_i Π_iJ (1 − β_i) f_i^at + β_J f_J^FE, the sum over slaved sites, whose forces are asked
in a cluster that goes on beyond the layer by the engine's cut-off. Under a uniform strain every term vanishes by
itself: the patch test is exact. The Jacobian is not symmetric; a layer too thin makes it unstable. Motion needs a
friction that takes what forces without an energy bring in. What is shown as the
energy is the handshake's count of the same state, of which the forces are not the gradient.
"""

from __future__ import annotations

import numpy as np
from ase import Atoms
from ase.constraints import FixCartesian
from pydantic import Field
from scipy.spatial import cKDTree

from scalespan.adapters.interface import (
    Array,
    FieldAdapter,
    Motion,
    NotOffered,
    OptionError,
    ParticleAdapter,
    Results,
    Table,
)
from scalespan.adapters.interface.units import Length

from .handshake import Handshake, HandshakeOptions


class ForceBlendingOptions(HandshakeOptions):
    """Atoms in a continuum of the same crystal, joined by their forces."""

    layer: Length = Field(gt=0)  # thickness of the blending; the pad is this and the engine's cut-off together


class ForceBlending(Handshake):
    """Forces of atoms and of a continuum, blended in a layer: for statics and damped motion."""

    name = "force_blending"
    ensembles = frozenset({"langevin"})
    Options = ForceBlendingOptions  # type: ignore[assignment]  # mypy takes the base's for a name of one type

    def __init__(
        self,
        options: ForceBlendingOptions,
        *,
        atoms: ParticleAdapter | None = None,
        perfect: ParticleAdapter | None = None,
        continuum: FieldAdapter | None = None,
    ) -> None:
        if options.pad <= options.layer:
            raise OptionError("the pad ends within the blending layer", todo="pad = the layer and the cut-off together")
        super().__init__(options, atoms=atoms, perfect=perfect, continuum=continuum)
        self.conservative = False
        sites = self.sites
        tree = cKDTree(sites.points[: sites.free])
        gap = float(tree.query(sites.points[sites.free :])[0].min())  # from the last atoms to the first pads
        if options.layer <= gap:
            raise OptionError(f"the blending layer holds no site: the first is at {gap:.4g} Å", todo="widen the layer")
        width = options.layer - gap
        self.blending = _rise((tree.query(self.solid.nodes)[0] - gap) / width)  # (nodes,) β
        self.atoms_part = 1.0 - _rise((tree.query(sites.points)[0] - gap) / width)  # (sites,) 1 − β
        self.atoms_part[: sites.free] = 0.0  # these have their own forces

    def fast(self, positions: Array) -> Results:
        """Return the atoms' part of all forces."""
        field = self.displacement(positions)
        pads = self.slaved.places(field)[self.sites.free :]
        energy, on_atoms, on_pads = self.clusters.mixed(positions[: self.free], pads)
        on_sites = np.concatenate([np.zeros((self.sites.free, 3)), on_pads]) * self.atoms_part[:, None]
        on_others = self.extension.gather(self.slaved.pull(on_sites, field))
        return Results(energy=energy, forces=self._forces(on_others, on_atoms), components={"atoms": energy})

    def slow(self, positions: Array) -> Results:
        """Return the continuum's part of all forces."""
        field = self.displacement(positions)
        energy, _ = self.clusters.perfect(self.slaved.places(field))
        elastic, on_nodes = self.solid.elastic(field)
        forces = self._forces(self.extension.gather(self.blending[:, None] * on_nodes))
        components = {"counted twice": -energy, "continuum": elastic}
        return Results(energy=elastic - energy, forces=forces, components=components)

    def uniform_forces(self, deformation: Array) -> Array:
        """Return the forces (sites in the region + nodes, dimension), eV/Å, that a uniform F makes: ghosts."""
        d, free = self.sites.dimension, self.sites.free
        field = self.solid.nodes @ (deformation - np.eye(d)).T
        _, on_sites = self.clusters.perfect(self.slaved.places(field))
        _, on_nodes = self.solid.elastic(field)
        nodes = self.blending[:, None] * on_nodes + self.slaved.pull(on_sites * self.atoms_part[:, None], field)
        return np.concatenate([on_sites[:free, :d], self.extension.gather(nodes)[self.moving_nodes]])

    def check_motion(self, atoms: Atoms, motion: Motion) -> list[Table]:
        """Refuse what has no friction on all that moves, and what only the handshake has.

        Raises:
            NotOffered: another ensemble than "langevin".
            OptionError: a clock of the continuum's own, or a thermostat at the rim.
        """
        if motion.ensemble != "langevin":
            raise NotOffered(
                "blended forces have no energy, and atoms that they move without friction heat up",
                where=self.name,
                todo='take ensemble = "langevin" with a friction, or use = "handshake"',
            )
        step = self.options.continuum_step
        if self.options.thermostat is not None or (step is not None and step != motion.timestep):
            raise OptionError(
                "blended forces move on one clock, with friction on all atoms and nodes",
                todo="take thermostat and continuum_step out",
            )
        return []

    def start(self, atoms: Atoms, motion: Motion) -> None:
        """Take a copy of ``atoms``; friction and noise act on all of them, in the crystal's dimensions."""
        self.check_motion(atoms, motion)
        self._hold(atoms.cell)
        mine, d = atoms.copy(), self.sites.dimension
        if d < 3:
            flat = FixCartesian(range(len(mine)), mask=(d < 1, d < 2, d < 3))
            mine.set_constraint([*mine.constraints, flat])
        ParticleAdapter.start(self, mine, motion)

    observe = ParticleAdapter.observe
    save = ParticleAdapter.save
    restore = ParticleAdapter.restore


def _rise(x: Array) -> Array:
    """Return 0 below 0, 1 above 1, and between them a cubic without kinks."""
    y = np.clip(x, 0.0, 1.0)
    found: Array = y * y * (3.0 - 2.0 * y)
    return found
