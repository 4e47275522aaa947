"""The elements of a precice-config.xml of preCICE 3.4, and the attributes that each may have."""

from __future__ import annotations

from collections.abc import Iterator

from scalespan.adapters.interface import nearest

from .element import Element

_MAPPING = "direction constraint from to"
_DEAD = "x-dead y-dead z-dead"
_MESH_TO_MESH = "acceptor connector exchange-directory enforce-gather-scatter use-two-level-initialization"
_MEASURE = "data mesh suffices strict"
_QUASI_NEWTON = "reduced-time-grid on-bound-violation"
_BOUNDS = " ".join(f"{end}-bound-{axis}" for end in ("lower", "upper") for axis in "xyz")
_MULTISCALE = "multiscale-type multiscale-axis multiscale-radius"

# Elements of one kind, and their attributes.
_TABLE = {
    "precice-configuration": "experimental allow-remeshing wait-in-finalize",
    "log": "enabled",
    "sink": "type output format filter enabled",
    "profiling": "mode flush-every directory synchronize",
    "data:scalar": "name waveform-degree lower-bound upper-bound",
    "data:vector": f"name waveform-degree {_BOUNDS}",
    "mesh": "name dimensions",
    "use-data provide-mesh source-data target-data path module": "name",
    "participant": "name control",
    "receive-mesh": "name from api-access direct-access geometric-filter safety-factor",
    "read-data write-data": "name mesh",
    "watch-point": "name mesh coordinate",
    "watch-integral": "name mesh scale-with-connectivity",
    "m2n:sockets": f"{_MESH_TO_MESH} port network",
    "m2n:mpi m2n:mpi-multiple-ports": _MESH_TO_MESH,
    "intra-comm:sockets": "port network exchange-directory",
    "intra-comm:mpi": "exchange-directory",
    "mapping:nearest-neighbor mapping:nearest-projection": _MAPPING,
    "mapping:nearest-neighbor-gradient mapping:linear-cell-interpolation": _MAPPING,
    "mapping:rbf": f"{_MAPPING} {_DEAD}",
    "mapping:rbf-global-direct": f"{_MAPPING} {_DEAD} polynomial",
    "mapping:rbf-global-iterative": f"{_MAPPING} {_DEAD} polynomial solver-rtol",
    "mapping:rbf-pum-direct": f"{_MAPPING} polynomial vertices-per-cluster relative-overlap project-to-input",
    "mapping:coarse-graining": f"{_MAPPING} radius",
    "mapping:radial-geometric-multiscale": f"{_MAPPING} {_MULTISCALE}",
    "mapping:axial-geometric-multiscale": (
        f"{_MAPPING} {_MULTISCALE} multiscale-dimension multiscale-cross-section multiscale-cross-section-profile"
    ),
    "executor:cpu basis-function:thin-plate-splines basis-function:volume-splines": "",
    "executor:cuda executor:hip executor:sycl": "gpu-device-id execution-mode",
    "executor:openmp": "n-threads execution-mode",
    " ".join(f"basis-function:compact-polynomial-c{order}" for order in (0, 2, 4, 6, 8)): "support-radius",
    "basis-function:compact-tps-c2": "support-radius",
    "basis-function:multiquadrics basis-function:inverse-multiquadrics": "shape-parameter",
    "basis-function:gaussian": "shape-parameter support-radius",
    "action:multiply-by-area action:divide-by-area action:summation action:recorder action:python": "timing mesh",
    "export:vtk export:vtu export:vtp export:csv": "directory every-n-time-windows every-iteration update-series",
    "coupling-scheme:serial-explicit coupling-scheme:parallel-explicit coupling-scheme:multi": "",
    "coupling-scheme:serial-implicit coupling-scheme:parallel-implicit": "",
    "participants": "first second",
    "max-time max-time-windows min-iterations max-iterations": "value",
    "time-window-size": "value method",
    "exchange": "data mesh from to initialize substeps",
    "absolute-convergence-measure relative-convergence-measure": f"{_MEASURE} limit",
    "residual-relative-convergence-measure": f"{_MEASURE} limit",
    "absolute-or-relative-convergence-measure": f"{_MEASURE} abs-limit rel-limit",
    "acceleration:constant acceleration:aitken": "",
    "acceleration:IQN-ILS": _QUASI_NEWTON,
    "acceleration:IQN-IMVJ": f"{_QUASI_NEWTON} always-build-jacobian",
    "relaxation max-used-iterations time-windows-reused": "value",
    "initial-relaxation": "value enforce",
    "data": "name mesh scaling",
    "filter": "type limit",
    "preconditioner": "type update-on-threshold freeze-after",
    "imvj-restart-mode": "type chunk-size reused-time-windows-at-restart truncation-threshold",
}
ATTRIBUTES = {tag: frozenset(words.split()) for tags, words in _TABLE.items() for tag in tags.split()}


def check_names(root: Element) -> None:
    """Raise a `CaseError` for the first element or attribute that preCICE does not know; it names the nearest."""
    for element in root.walk():
        if element.tag not in ATTRIBUTES:
            raise element.wrong("preCICE has no such element", todo=nearest(element.tag, ATTRIBUTES))
        for name in _unknown(element):
            raise element.wrong(f"it has no attribute '{name}'", todo=nearest(name, ATTRIBUTES[element.tag]))


def _unknown(element: Element) -> Iterator[str]:
    """Yield the attributes that ``element`` cannot have; a declared namespace is for people's editors."""
    for name in element.attributes:
        if name not in ATTRIBUTES[element.tag] and not name.startswith("xmlns"):
            yield name
