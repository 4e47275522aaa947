"""The coupling without preCICE: two participants on one machine, by the same precice-config.xml, to the same numbers.

It does serial and parallel, explicit and implicit schemes; nearest-neighbour, radial-basis and linear-cell mappings,
consistent and conservative; constant, Aitken and IQN-ILS acceleration; waveforms; direct mesh access. Everything
else is refused with a sentence that says so: preCICE does it.
"""

from pathlib import Path

from scalespan.bridges.interface import Coupling

from ..precice_config import Config
from .coupling import Serial
from .ranks import Communicator, Parallel
from .support import unsupported

__all__ = ["Embedded", "unsupported"]


def Embedded(config: Config, participant: str, folder: Path, communicator: Communicator | None = None) -> Coupling:
    """Return the coupling of one participant.

    Args:
        config: the case's precice-config.xml.
        participant: its name in there.
        folder: of the case, the same for both participants: it is how they find each other.
        communicator: the participant's ranks, as mpi4py has them; None for one rank.

    Raises:
        CaseError: the XML asks for what only preCICE does, or does not name the participant.
    """
    if communicator is None or communicator.size == 1:
        return Serial(config, participant, folder)
    return Parallel(config, participant, folder, communicator)
