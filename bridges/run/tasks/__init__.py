"""What can be done with a model: one kind of task in each file, and `run` that does it."""

from .compare import Compare
from .doing import TASKS, Ready, check, look, read_task, run
from .dynamics import Dynamics
from .march import March
from .minimise import Minimise
from .response import Response
from .scan import Scan
from .single_point import SinglePoint
from .study import Rows
from .task import FAMILIES, AnyTask, BareRun, BareTask, Findings, Run, Task
from .vibrations import Vibrations

__all__ = [
    "FAMILIES",
    "TASKS",
    "AnyTask",
    "BareRun",
    "BareTask",
    "Compare",
    "Dynamics",
    "Findings",
    "March",
    "Minimise",
    "Ready",
    "Response",
    "Rows",
    "Run",
    "Scan",
    "SinglePoint",
    "Task",
    "Vibrations",
    "check",
    "look",
    "read_task",
    "run",
]
