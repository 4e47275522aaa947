"""How the energy is put together: which terms of the low level, with which sign.

With the terms of a force field divided into those inside the region, across its border and outside,

    additive               E = E_low(across) + E_low(outside)            + E_high(capped)
    subtractive, terms     E = E_low(all) − E_low(inside)                + E_high(capped)
    subtractive, capped    E = E_low(all) − E_low(capped)                + E_high(capped)

where "capped" is the region with its link hydrogens. The first two are one number, put
together in two ways. The third is ONIOM (Dapprich et al., doi:10.1016/S0166-1280(98)00475-8) and
another number where bonds are cut. In electrostatic embedding the low level's
charges are zero inside the region, so that the Coulomb interaction with it is the high level's alone.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from scalespan.adapters.interface import (
    Array,
    CaseError,
    ForceField,
    Indices,
    NotOffered,
    ParticleAdapter,
    Quantity,
)

from .options import EmbeddingOptions


@dataclass(frozen=True)
class Share:
    """A part of the energy."""

    label: str
    sign: float
    adapter: ParticleAdapter


@dataclass(frozen=True)
class Partition:
    """The low level's shares of the energy, made as they are needed."""

    low: ParticleAdapter
    model: ParticleAdapter | None  # the low level of the capped region; None: terms are subtracted, or never added
    scheme: str  # "additive", "terms", "capped"
    region: Indices
    charges: Array | None  # (n,) e of the force field; None: its own

    @property
    def whole(self) -> Iterator[Share]:
        """The shares that all atoms have."""
        if self.scheme == "additive":
            yield Share("low", 1.0, self.rest)
        elif self.scheme == "terms":
            yield Share("low", 1.0, self.all)
            yield Share("low of the region", -1.0, self.inside)
        else:
            yield Share("low", 1.0, self.all if isinstance(self.low, ForceField) else self.low)

    @property
    def capped(self) -> Iterator[Share]:
        """The shares that the capped region has."""
        if self.model is not None:
            yield Share("low of the region", -1.0, self._model)

    @property
    def host(self) -> ForceField | None:
        """The force field whose integrator can move all atoms."""
        if not isinstance(self.low, ForceField):
            return None
        return self.all if self.scheme == "capped" else self.rest

    @cached_property
    def all(self) -> ForceField:
        """Every term of the low level."""
        assert isinstance(self.low, ForceField)
        return self.low.select(self.region, "all", self.charges)

    @cached_property
    def inside(self) -> ForceField:
        """The terms all of whose atoms are in the region."""
        assert isinstance(self.low, ForceField)
        return self.low.select(self.region, "inside", self.charges)

    @cached_property
    def rest(self) -> ForceField:
        """The terms with an atom outside the region."""
        assert isinstance(self.low, ForceField)
        return self.low.select(self.region, "rest", self.charges)

    @cached_property
    def _model(self) -> ParticleAdapter:
        if self.charges is None or not isinstance(self.model, ForceField):
            assert self.model is not None
            return self.model
        n = len(self.model.topology)
        return self.model.select(np.arange(n), "all", np.zeros(n))

    def close(self) -> None:
        """Close the selections that were made."""
        for name in ("all", "inside", "rest", "_model"):
            if name in self.__dict__:
                self.__dict__[name].close()


def scheme_of(options: EmbeddingOptions, low: ParticleAdapter, model: ParticleAdapter | None) -> str:
    """Return ``additive``, ``terms`` or ``capped``, having checked that these levels can do it.

    Raises:
        NotOffered: terms, or zero charges, of a low level that is not a force field.
        CaseError: a model of the low level that is missing, or has no place.
    """
    known = isinstance(low, ForceField)
    scheme = "additive" if options.scheme == "additive" else options.subtract or ("terms" if known else "capped")
    if not known and options.embedding == "electrostatic":
        raise NotOffered(
            f"electrostatic embedding needs a low level whose charges can be changed, and {low.name} is no force field",
            where="embedding",
            todo='choose embedding = "mechanical", or a force field such as openmm as the low level',
        )
    if not known and scheme != "capped":
        raise NotOffered(
            f"{low.name} has no terms to choose from, because it is no force field",
            where="embedding",
            todo='choose scheme = "subtractive" with subtract = "capped"',
        )
    if scheme != "capped" and model is not None:
        raise CaseError("the table 'model' has no use without subtract = \"capped\"", where="embedding")
    if scheme == "capped" and known:
        _check_model(model, options)
    return scheme


def _check_model(model: ParticleAdapter | None, options: EmbeddingOptions) -> None:
    if model is None:
        raise CaseError(
            'subtract = "capped" needs the low level of the capped region, which a force field does not know',
            where="embedding",
            todo="add the table 'model' beside 'low', or choose subtract = \"terms\"",
        )
    if options.embedding == "electrostatic" and not isinstance(model, ForceField):
        raise NotOffered(
            f"the charges of the capped region must be left out, and {model.name} is no force field",
            where="embedding.model",
            todo='choose embedding = "mechanical", or a force field',
        )


def offers_of(high: ParticleAdapter, low: ParticleAdapter, model: ParticleAdapter | None) -> frozenset[Quantity]:
    """Return what the sum of these levels can give: outer charges act only where every level feels them."""
    levels = [each for each in (high, low, model) if each is not None]
    offered = {Quantity.ENERGY, Quantity.FORCES, Quantity.CHARGE_FORCES, Quantity.CHARGE_POTENTIAL}
    return frozenset(offered.intersection(*(each.offers for each in levels)))
