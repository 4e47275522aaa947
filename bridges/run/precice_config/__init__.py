"""precice-config.xml, read into dataclasses: what the embedded coupling, the checks and the guard layer go by.

    config = read_config(Path("precice-config.xml"))
    config.participant("Left").provides              ("Left-Mesh",)
    config.participant("Left").received("Right-Mesh").api_access
    config.participant("Left").mappings[0].kind      "nearest-neighbor"
    config.components("Force", "Left-Mesh")          1, or the mesh's dimension
    config.schemes[0].exchanges, .measures, .acceleration
    config.root.all("export")                        every element, as written, with its line

Defaults are those of preCICE 3.4 (its `precice-config-doc`). What is written wrongly raises a
`CaseError` that names file, line and element; what is right but not for everyone is kept:
whether the embedded coupling can do it is decided there.
"""

from .element import Element, parse, unparsed
from .read import read_config
from .types import (
    Acceleration,
    Config,
    Connection,
    Data,
    DataMapping,
    DeclaredMesh,
    Measure,
    Participant,
    ReceivedMesh,
    Scheme,
    Transfer,
    Use,
    WatchPoint,
)

__all__ = [
    "Acceleration",
    "Config",
    "Connection",
    "Data",
    "DataMapping",
    "DeclaredMesh",
    "Element",
    "Measure",
    "Participant",
    "ReceivedMesh",
    "Scheme",
    "Transfer",
    "Use",
    "WatchPoint",
    "parse",
    "read_config",
    "unparsed",
]
