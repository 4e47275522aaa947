"""A table in place of a law that is measured: asked where it knows enough, filled where it does not."""

from .law import Surrogate
from .options import SurrogateOptions
from .process import GradientProcess

__all__ = ["GradientProcess", "Surrogate", "SurrogateOptions"]
