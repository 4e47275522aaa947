"""The ladder of cell sizes and realisations of a random medium: how large a representative volume must be."""

from .ladder import RveLadder
from .options import RveLadderOptions
from .statistics import Power, Spread, power_of, realisations_for, spread_of

__all__ = ["Power", "RveLadder", "RveLadderOptions", "Spread", "power_of", "realisations_for", "spread_of"]
