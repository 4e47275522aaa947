"""What an adapter is: the abstract classes, the data that crosses the line, and their rules.

Everything public is imported from here; the contract tests are in `.contract`, because
they need pytest.
"""

from .adapter import Adapter, ForceField, Observation, Part, ParticleAdapter, Potential, under
from .calculator import AdapterCalculator
from .cells import CellAnswer, Microstructure, SolidCell
from .constants import Header, record_of, stiffness_of
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
from .formulas import FUNCTIONS, evaluated, numeric
from .hand_off import Amount, HandOff, Origin, Range, first_order, sampled, sha256
from .materials import Material, Response, Spread, in_turn
from .micro import Datum, MicroModel
from .motion import AseMotion, Motion
from .options import CaseFile, Options
from .overlap import JOINT, BesideAtoms, Extension, Overlap, check_law, node_frequency, read_sites
from .paced import Paced
from .registry import ADAPTERS, Entry, Registry, load_file
from .solids import Solid, barycentric, shape_gradients
from .studies import Conclusion, Study

__all__ = [
    "ADAPTERS",
    "FUNCTIONS",
    "JOINT",
    "Adapter",
    "AdapterCalculator",
    "Amount",
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
    "Conclusion",
    "CouplingError",
    "Datum",
    "EngineFailed",
    "EngineImport",
    "EngineMissing",
    "EngineProgram",
    "Entry",
    "Extension",
    "ExternalCharges",
    "FieldAdapter",
    "ForceField",
    "HandOff",
    "Header",
    "Indices",
    "Material",
    "Mesh",
    "MicroModel",
    "Microstructure",
    "Motion",
    "NotConverged",
    "NotOffered",
    "Observation",
    "OptionError",
    "Options",
    "Origin",
    "Overlap",
    "Paced",
    "Part",
    "ParticleAdapter",
    "Port",
    "Potential",
    "Quantity",
    "Range",
    "RegionError",
    "Registry",
    "Response",
    "Results",
    "ScalespanError",
    "Solid",
    "SolidCell",
    "Spread",
    "State",
    "Study",
    "Table",
    "TermCount",
    "Topology",
    "UnitError",
    "barycentric",
    "check_law",
    "evaluated",
    "first_order",
    "in_turn",
    "load_file",
    "nearest",
    "node_frequency",
    "numeric",
    "pairs",
    "read_sites",
    "record_of",
    "sampled",
    "sha256",
    "shape_gradients",
    "stiffness_of",
    "under",
]
