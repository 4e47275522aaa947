"""Force mixing: a high level's forces in a region that may move, a low level's elsewhere."""

from ..embedding import RegionOptions
from .buffers import buffer_errors, forces_in_region
from .cluster import Cluster
from .course import Course
from .force_mixing import ForceMixing
from .matching import Crystal, Match, Rescaled, measure
from .options import BufferOptions, EndOptions, ForceMixingOptions, MatchOptions, MovingOptions

__all__ = [
    "BufferOptions",
    "Cluster",
    "Course",
    "Crystal",
    "EndOptions",
    "ForceMixing",
    "ForceMixingOptions",
    "Match",
    "MatchOptions",
    "MovingOptions",
    "RegionOptions",
    "Rescaled",
    "buffer_errors",
    "forces_in_region",
    "measure",
]
