"""Embedding: a region at a high level in its surroundings at a low one (QM/MM, ONIOM, and nested)."""

from .boundary import HYDRIDE_LENGTHS, Links
from .embedding import Embedding
from .options import ChargeOptions, EmbeddingOptions, LinkOptions, RegionOptions
from .region import find_region, guessed_topology, named_atoms

__all__ = [
    "HYDRIDE_LENGTHS",
    "ChargeOptions",
    "Embedding",
    "EmbeddingOptions",
    "LinkOptions",
    "Links",
    "RegionOptions",
    "find_region",
    "guessed_topology",
    "named_atoms",
]
