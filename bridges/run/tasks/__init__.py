"""What can be done with a model: one kind of task in each file, and `run` that does it."""

from .compare import Compare
from .doing import TASKS, check, read_task, run
from .dynamics import Dynamics
from .minimise import Minimise
from .scan import Scan
from .single_point import SinglePoint
from .task import Findings, Run, Task
from .vibrations import Vibrations

__all__ = [
    "TASKS",
    "Compare",
    "Dynamics",
    "Findings",
    "Minimise",
    "Run",
    "Scan",
    "SinglePoint",
    "Task",
    "Vibrations",
    "check",
    "read_task",
    "run",
]
