"""A case with several participants: read, checked, run by one command, supervised to its end."""

from .case import CoupledCase, read
from .doing import check, run, run_one

__all__ = ["CoupledCase", "check", "read", "run", "run_one"]
