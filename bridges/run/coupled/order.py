"""What one participant's process is to do, and the folder where it does it."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path

from ..files import write_whole
from .case import Kind


@dataclass(frozen=True)
class Order:
    """The order of one participant, as the supervisor writes it down."""

    case: str  # the case's folder
    name: str  # the participant
    kind: Kind  # the coupling
    xml: str  # the XML of this run
    folder: str  # results/NAME
    meeting: str  # the folder by which embedded participants find each other
    gate: str = ""  # the file that must appear before the participants may meet; "": no waiting
    only_look: bool = False  # say what would be exchanged, and end
    window: int = 0  # windows that lie behind
    restart: bool = False  # whether the task, if this participant does it, goes on from its restart file

    @property
    def place(self) -> Path:
        """The participant's results."""
        return Path(self.folder)

    def write(self) -> Path:
        """Write it down; return where."""
        path = self.place / "order.json"
        write_whole(path, json.dumps(asdict(self), indent=2).encode(), sync=False)
        return path

    @classmethod
    def read(cls, path: Path) -> Order:
        """Return the order that was written down at ``path``."""
        return cls(**json.loads(path.read_text(encoding="utf-8")))
