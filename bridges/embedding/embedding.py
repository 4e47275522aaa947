"""Subtractive and additive embedding of a region at a high level in its surroundings at a low one.

The high level sees the region, closed by link hydrogens, and in electrostatic embedding the charges around it.
See partition.py for the energy, boundary.py for links, charges.py for cut bonds, surroundings.py for boxes;
Senn and Thiel, doi:10.1002/anie.200802019, for a review.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import numpy as np
from ase import Atoms

from scalespan.adapters.interface import (
    Array,
    ExternalCharges,
    ForceField,
    Indices,
    Motion,
    NotOffered,
    Observation,
    OptionError,
    ParticleAdapter,
    Quantity,
    Results,
    State,
    Table,
    pairs,
    under,
)

from .audit import audit_tables
from .boundary import Cut, find_cuts
from .layout import Layout, cell_of
from .options import EmbeddingOptions
from .partition import Partition, Share, offers_of, scheme_of
from .region import find_region, guessed_topology
from .surroundings import View

_CHARGE_QUANTITIES = frozenset({Quantity.CHARGE_FORCES, Quantity.CHARGE_POTENTIAL})


@dataclass
class _Sum:
    """Energies, and forces where wanted, as they add up."""

    forces: Array | None  # (n, 3) eV/Å
    wanted: frozenset[Quantity]  # of the outer charges
    outer: int = 0  # how many those are
    energies: dict[str, float] = field(default_factory=dict)  # eV
    charges: dict[Quantity, Array] = field(default_factory=dict)

    @property
    def asked(self) -> frozenset[Quantity]:
        """What every level is asked for."""
        return self.wanted | ({Quantity.ENERGY} if self.forces is None else {Quantity.ENERGY, Quantity.FORCES})

    def add(self, share: Share, results: Results) -> None:
        """Add energy and what the outer charges feel, the first of all; forces are added by those who know where."""
        energy = share.sign * float(results.need(Quantity.ENERGY))
        self.energies[share.label] = self.energies.get(share.label, 0.0) + energy
        for quantity in self.wanted:
            value = share.sign * np.asarray(results.need(quantity))[: self.outer]
            self.charges[quantity] = self.charges.get(quantity, 0.0) + value


class Embedding(ParticleAdapter):
    """QM/MM and its kin: a region at a high level within a low one."""

    name = "embedding"
    Options = EmbeddingOptions
    parts = ("low", "high", "model")

    def __init__(
        self,
        options: EmbeddingOptions,
        *,
        low: ParticleAdapter | None = None,
        high: ParticleAdapter | None = None,
        model: ParticleAdapter | None = None,
    ) -> None:
        """Join two levels; ``model`` is the low level of the capped region, where that is subtracted.

        A force field as the low level brings the atoms, and the region is found among them at once; else it is
        found among the first atoms that come, with bonds guessed from their distances.
        """
        self.low, self.high = _level(low, "low"), _level(high, "high")
        self.options = _with_charge(options, self.high.total_charge)
        self.model = None if model is None else _level(model, "model")
        self._scheme = scheme_of(options, self.low, self.model)
        self._check_high()
        levels = [each for each in (self.low, self.high, self.model) if each is not None]
        self.conservative = all(each.conservative for each in levels)
        self.offers = offers_of(self.high, self.low, self.model)
        self._layout: Layout | None = None
        self._partition: Partition  # settled together with the layout
        self._host: ForceField | None = None
        self._asked: list[dict[str, float]] = []  # the last two answers to the host, eV
        if isinstance(self.low, ForceField):
            self.ensembles = self.low.ensembles
            self._settle(self.low.initial_atoms())

    def _check_high(self) -> None:
        if self.options.embedding == "mechanical":
            return
        if Quantity.CHARGE_FORCES not in self.high.offers:
            raise NotOffered(
                f"{self.high.name} takes no external charges",
                where="embedding.high",
                todo='choose embedding = "mechanical", or an engine that takes them, such as pyscf',
            )

    def _settle(self, atoms: Atoms) -> Layout:
        """Find the region among ``atoms`` and lay everything out."""
        topology = self.low.topology if isinstance(self.low, ForceField) else guessed_topology(atoms)
        region = find_region(self.options.region, atoms, topology)
        cuts = find_cuts(topology, region, self.options.links.allow_cuts)
        return self._lay_out(
            Layout.of(topology, region, cuts, self.options, periodic=cell_of(atoms) is not None), atoms
        )

    def _lay_out(self, layout: Layout, atoms: Atoms) -> Layout:
        if layout.edge is not None and Quantity.CHARGE_POTENTIAL not in self.high.offers:
            raise NotOffered(
                f"charges that fade need their potential, which {self.high.name} does not offer",
                where="embedding.high",
                todo="set charges.all_charges = true",
            )
        model = (self.model or self.low) if self._scheme == "capped" else None
        self._partition = Partition(self.low, model, self._scheme, layout.region, layout.charges_of_low)
        if layout.sites is not None and layout.edge is None and atoms.pbc.any():
            self.conservative = False  # a molecule that crosses to its other image takes its charges along
        self._layout = layout
        return layout

    def focus(self, atoms: Atoms) -> Indices:
        """Return the region."""
        return self.layout_of(atoms).region.copy()

    def layout_of(self, atoms: Atoms) -> Layout:
        """Return what is settled about ``atoms``: the region, its links, its charges.

        Raises:
            AtomsError: other atoms than the low level's.
        """
        layout = self._layout
        known = isinstance(self.low, ForceField)
        if layout is None or (not known and not np.array_equal(layout.topology.numbers, atoms.numbers)):
            layout = self._settle(atoms)
        layout.check(atoms)
        return layout

    def _compute(self, atoms: Atoms, wanted: frozenset[Quantity], charges: ExternalCharges | None) -> Results:
        layout = self.layout_of(atoms)
        if Quantity.FORCES in wanted:
            layout.check_sites()
        outer = 0 if charges is None else len(charges)
        forces = np.zeros((len(atoms), 3)) if Quantity.FORCES in wanted else None
        total = _Sum(forces, wanted & _CHARGE_QUANTITIES, outer)
        for share in self._partition.whole:
            found = share.adapter.compute(atoms, total.asked, charges)
            total.add(share, found)
            if total.forces is not None:
                total.forces += share.sign * np.asarray(found.need(Quantity.FORCES))
        self._add_capped(layout, total, atoms.positions, cell_of(atoms), charges)
        return Results(
            energy=sum(total.energies.values()),
            forces=total.forces,
            charge_forces=total.charges.get(Quantity.CHARGE_FORCES),
            charge_potential=total.charges.get(Quantity.CHARGE_POTENTIAL),
            components=total.energies,
        )

    def _add_capped(
        self, layout: Layout, total: _Sum, positions: Array, cell: Array | None, outer: ExternalCharges | None
    ) -> None:
        """Add the shares of the capped region: the high level, and the low one where it is subtracted there."""
        view = layout.surroundings.look(positions, cell)
        atoms = layout.capped(view)
        for share in self._partition.capped:
            found = share.adapter.compute(atoms, total.asked, outer)
            total.add(share, found)
            if total.forces is not None:
                layout.add_capped_forces(total.forces, view, share.sign * np.asarray(found.need(Quantity.FORCES)))
        self._add_high(layout, total, view, atoms, outer)

    def _add_high(self, layout: Layout, total: _Sum, view: View, atoms: Atoms, outer: ExternalCharges | None) -> None:
        asked, hands_back = total.asked, total.forces is not None and len(view.charges) > 0
        if hands_back:
            asked |= {Quantity.CHARGE_FORCES}
        if hands_back and len(view.fading):
            asked |= {Quantity.CHARGE_POTENTIAL}
        seen = view.charges if outer is None else outer.followed_by(view.charges)
        found = self.high.compute(atoms, asked, seen if len(seen) else None)
        total.add(Share("high", 1.0, self.high), found)
        if total.forces is None:
            return
        layout.add_capped_forces(total.forces, view, np.asarray(found.need(Quantity.FORCES)))
        if hands_back:
            potential = found.charge_potential if len(view.fading) else np.zeros(len(seen))
            assert found.charge_forces is not None and potential is not None
            forces, potential = found.charge_forces[total.outer :], potential[total.outer :]
            layout.add_charge_forces(total.forces, view, forces, potential)

    def initial_atoms(self) -> Atoms | None:
        """Return the low level's atoms; None where it has none."""
        return self.low.initial_atoms()

    def audit(self, atoms: Atoms) -> list[Table]:
        """Return who computes what, the links, the charges, what looks wrong; then the levels' own tables.

        Raises:
            CaseError: an interaction that is not counted exactly once.
        """
        layout = self.layout_of(atoms)
        view = layout.surroundings.look(atoms.positions, cell_of(atoms))
        tables = audit_tables(layout, self._partition, view, self.options, conservative=self.conservative)
        tables += self.low.audit(atoms)
        for level in (self.high, self.model):
            tables += [] if level is None else level.audit(layout.capped(view))
        return tables

    # Motion: inside the low level's engine where it has one, by ASE's drivers otherwise.

    def start(self, atoms: Atoms, motion: Motion) -> None:
        """Take a copy of ``atoms`` as the state that `advance` moves."""
        self.layout_of(atoms)
        self._host = self._partition.host
        if self._host is None:
            super().start(atoms, motion)
        else:
            self._host.host(atoms, motion, extra=self._potential)

    def _potential(self, positions: Array, cell: Array) -> tuple[float, Array]:
        """Return energy and forces of all that the host does not compute; see `Potential`."""
        assert self._layout is not None
        total = _Sum(np.zeros((len(positions), 3)), frozenset())
        self._add_capped(self._layout, total, positions, cell if cell.any() else None, None)
        assert total.forces is not None
        self._asked = [*self._asked[-1:], total.energies]
        return sum(total.energies.values()), total.forces

    @property
    def atoms(self) -> Atoms:
        """A copy of the moving atoms, momenta included, without a calculator."""
        return super().atoms if self._host is None else self._host.atoms

    @property
    def longest_step(self) -> float:
        """The timestep (ASE's time)."""
        return super().longest_step if self._host is None else self._host.longest_step

    def advance(self, dt: float) -> None:
        """Move the atoms by ``dt`` (ASE's time)."""
        if self._host is None:
            super().advance(dt)
        else:
            self._host.advance(dt)

    def observe(self) -> Observation:
        """Return the energies of the moving atoms as they stand."""
        if self._host is None:
            return super().observe()
        seen = self._host.observe()
        extra = seen.components["extra"]
        # A barostat may have gone back from the last configuration to the one before.
        parts = min(self._asked, key=lambda energies: abs(sum(energies.values()) - extra))
        return replace(seen, components={"low": seen.potential - sum(parts.values()), **parts})

    def save(self) -> State:
        """Return the moving atoms, the integrator and what the engines remember."""
        if self._host is None:
            return super().save()
        host = {f"host/{key}": value for key, value in self._host.save().items()}
        labels = self._asked[-1] if self._asked else ()
        asked = {f"asked/{label}": np.array([each[label] for each in self._asked]) for label in labels}
        return host | asked | {f"engine/{key}": value for key, value in self._save_engine().items()}

    def restore(self, state: State) -> None:
        """Return to a saved state."""
        if self._host is None:
            super().restore(state)
        else:
            asked = under("asked", state)
            self._asked = [
                {label: float(asked[label][i]) for label in asked} for i in range(len(asked.get("high", ())))
            ]
            self._host.restore(under("host", state))
            self._restore_engine(under("engine", state))

    def _save_engine(self) -> State:
        state: State = {}
        for name, level in self._levels().items():
            state |= {f"{name}/{key}": value for key, value in level._save_engine().items()}
        if self._layout is not None and not isinstance(self.low, ForceField):
            state["region"] = self._layout.region.copy()
            state["cuts"] = np.array([(cut.q, cut.m) for cut in self._layout.cuts], dtype=np.int64).reshape(-1, 2)
        return state

    def _restore_engine(self, state: State) -> None:
        for name, level in self._levels().items():
            level._restore_engine(under(name, state))
        if "region" in state and self._motion is not None:
            self._settle_again(state["region"].astype(np.int64), state["cuts"].astype(np.int64))

    def _settle_again(self, region: Indices, cuts: Indices) -> None:
        """Keep to the region and bonds that the saved run began with, whatever the atoms look like now."""
        atoms = self._moving.atoms
        found = [Cut(q, m) for q, m in pairs(cuts)]
        layout = self.layout_of(atoms)
        if not (np.array_equal(layout.region, region) and list(layout.cuts) == found):
            periodic = cell_of(atoms) is not None
            self._lay_out(Layout.of(layout.topology, region, found, self.options, periodic=periodic), atoms)

    def _levels(self) -> dict[str, ParticleAdapter]:
        levels = {"low": self.low, "high": self.high}
        return levels if self.model is None else levels | {"model": self.model}

    def close(self) -> None:
        """Close the levels, and what was selected from them."""
        if self._layout is not None:
            self._partition.close()
        for level in self._levels().values():
            level.close()


def _level(level: object, name: str) -> ParticleAdapter:
    if level is None:
        raise OptionError(
            f"the table '{name}' is missing", where="embedding", todo=f'add [model.{name}] with use = "…"'
        )
    if not isinstance(level, ParticleAdapter):
        raise OptionError(f"'{name}' is no adapter of atoms", where="embedding")
    return level


def _with_charge(options: EmbeddingOptions, charge: int | None) -> EmbeddingOptions:
    """Return the options with the high level's own charge, where it has one and they name none."""
    if charge is None or options.charges.region_charge is not None:
        return options
    charges = options.charges.model_copy(update={"region_charge": charge})
    return options.model_copy(update={"charges": charges})
