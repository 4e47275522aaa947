"""What DOLFINx 0.9, 0.10 and 0.11 do differently. Run with 0.9 and 0.11; 0.10 after its release notes."""

from __future__ import annotations

import signal
import threading
from typing import Any

from ..interface import Array, EngineImport

with EngineImport("dolfinx", install="conda install -c conda-forge fenics-dolfinx") as engine:
    import petsc4py

    # First of all: PETSc would take the signals, and abort this process when a partner has left its end of a pipe.
    petsc4py.init(["scalespan", "-no_signal_handler"])
    import dolfinx
    from dolfinx import cpp

    if threading.current_thread() is threading.main_thread():  # where somebody else has loaded PETSc before
        signal.signal(signal.SIGPIPE, signal.SIG_IGN)

INSTALL = "conda install -c conda-forge fenics-dolfinx"


def _one_kind_of_cell() -> bool:
    """Say whether a mesh has one coordinate element: from 0.11 on it has a list, one for each kind of cell."""
    return tuple(int(part) for part in version().split(".")[:2]) < (0, 11)


def basix_element(space: Any) -> Any:
    """Return the scalar basix element of a Lagrange space, blocked or not."""
    return space.element.basix_element


def coordinate_element(mesh: Any) -> Any:
    """Return the scalar basix element of the cells' shape."""
    return mesh.ufl_domain().ufl_coordinate_element().basix_element


def coordinate_map(mesh: Any) -> Any:
    """Return the map from the reference cell."""
    return mesh.geometry.cmap if _one_kind_of_cell() else mesh.geometry.cmaps[0]


def coordinate_nodes(mesh: Any) -> Any:
    """Return (cells, nodes of a cell) the rows of the mesh's coordinates."""
    return mesh.geometry.dofmap if _one_kind_of_cell() else mesh.geometry.dofmaps[0]


def owners(mesh: Any, points: Array, padding: float) -> tuple[Array, Array, Array, Array]:
    """Say which rank has the cell of each point (n, 3).

    Returns:
        for the points given: the owning rank, −1 outside (n,); for the points that this rank owns: the rank that asks
        (m,), the points (m, 3), their cells (m,).
    """
    find = cpp.geometry.determine_point_ownership
    try:
        found = find(mesh._cpp_object, points, padding)
    except TypeError:  # 0.10 can be told among which cells to look
        found = find(mesh._cpp_object, points, padding, None)
    return found.src_owner, found.dest_owners, found.dest_points, found.dest_cells


def version() -> str:
    """Return DOLFINx's version."""
    return str(dolfinx.__version__)
