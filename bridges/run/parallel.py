"""The ranks of this process's program: the one file that touches MPI.COMM_WORLD.

mpi4py is imported only in a process that an MPI launcher has started, so that a case without
ranks needs no MPI.
"""

from __future__ import annotations

import os
import sys
from dataclasses import dataclass
from typing import Any, NoReturn

from scalespan.adapters.interface import EngineMissing

# How many processes the launcher started: Open MPI, MPICH and Intel MPI, Slurm's srun.
_SIZES = ("OMPI_COMM_WORLD_SIZE", "PMI_SIZE", "SLURM_STEP_NUM_TASKS")


@dataclass(frozen=True)
class World:
    """All ranks of the program."""

    rank: int = 0
    size: int = 1
    comm: Any = None  # mpi4py's COMM_WORLD; None without a launcher

    def together(self) -> None:
        """Wait for all ranks."""
        if self.comm is not None:
            self.comm.Barrier()

    def share(self, value: Any) -> Any:
        """Return rank 0's value on all ranks."""
        return value if self.comm is None else self.comm.bcast(value)

    def gather(self, value: Any) -> list[Any]:
        """Return the values of all ranks on rank 0, and nothing elsewhere."""
        return [value] if self.comm is None else self.comm.gather(value) or []

    def total(self, value: float) -> float:
        """Return the sum over all ranks."""
        return value if self.comm is None else float(self.comm.allreduce(value))

    def end(self, status: int) -> NoReturn:
        """End all ranks at once: a partner that is waited for, or another rank, may never come."""
        sys.stdout.flush()
        sys.stderr.flush()
        if self.size > 1:
            self.comm.Abort(status)
        os._exit(status)


def world() -> World:
    """Return the ranks that this process belongs to.

    Raises:
        EngineMissing: it was started as one of several, and mpi4py is not installed.
    """
    size = next((int(os.environ[key]) for key in _SIZES if os.environ.get(key, "").isdigit()), 1)
    if size == 1:
        return World()
    try:
        from mpi4py import MPI
    except ImportError as error:
        raise EngineMissing.named("mpi4py", "pip install mpi4py") from error
    return World(MPI.COMM_WORLD.rank, MPI.COMM_WORLD.size, MPI.COMM_WORLD)
