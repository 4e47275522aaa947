"""Embedding: a region at a high level in its surroundings at a low one (QM/MM, ONIOM, and nested)."""

from .embedding import Embedding
from .options import ChargeOptions, EmbeddingOptions, LinkOptions, RegionOptions

__all__ = ["ChargeOptions", "Embedding", "EmbeddingOptions", "LinkOptions", "RegionOptions"]
