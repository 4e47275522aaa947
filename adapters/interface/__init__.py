"""What an adapter is: the abstract classes, the data that crosses the line, and their rules.

Everything public is imported from here; the contract tests are in `.contract`, because
they need pytest.
"""

from .adapter import Adapter, ForceField, Observation, Part, ParticleAdapter, Potential, under
from .calculator import AdapterCalculator
from .cells import CellAnswer, Microstructure, SolidCell
from .data import Array, Chart, ExternalCharges, Indices, Quantity, Results, State, Table, TermCount, Topology, pairs
from .engine import EngineImport, EngineProgram
from .errors import (
    AtomsError,
    BoundaryError,
    CaseError,
    ChargeError,
    CouplingError,
    EngineFailed,
    EngineMissing,
    NotConverged,
    NotOffered,
    OptionError,
    RegionError,
    ScalespanError,
    UnitError,
    nearest,
)
from .fields import FieldAdapter, Mesh, Port
from .materials import Material, Response
from .motion import AseMotion, Motion
from .options import CaseFile, Options
from .overlap import JOINT, BesideAtoms, Extension, Overlap, check_law, node_frequency, read_sites
from .paced import Paced
from .registry import ADAPTERS, Entry, Registry, load_file
from .solids import Solid, barycentric, shape_gradients

__all__ = [
    "ADAPTERS",
    "JOINT",
    "Adapter",
    "AdapterCalculator",
    "Array",
    "AseMotion",
    "AtomsError",
    "BesideAtoms",
    "BoundaryError",
    "CaseError",
    "CaseFile",
    "CellAnswer",
    "ChargeError",
    "Chart",
    "CouplingError",
    "EngineFailed",
    "EngineImport",
    "EngineMissing",
    "EngineProgram",
    "Entry",
    "Extension",
    "ExternalCharges",
    "FieldAdapter",
    "ForceField",
    "Indices",
    "Material",
    "Mesh",
    "Microstructure",
    "Motion",
    "NotConverged",
    "NotOffered",
    "Observation",
    "OptionError",
    "Options",
    "Overlap",
    "Paced",
    "Part",
    "ParticleAdapter",
    "Port",
    "Potential",
    "Quantity",
    "RegionError",
    "Registry",
    "Response",
    "Results",
    "ScalespanError",
    "Solid",
    "SolidCell",
    "State",
    "Table",
    "TermCount",
    "Topology",
    "UnitError",
    "barycentric",
    "check_law",
    "load_file",
    "nearest",
    "node_frequency",
    "pairs",
    "read_sites",
    "shape_gradients",
    "under",
]
