"""A mesh from its options: a box, a file, joined nodes, or a microstructure."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..interface import CaseError, EngineImport
from .blocks import blocks_of
from .cloud import mesh_of_points
from .gmsh import meshed
from .microstructures import Inclusions
from .msh import Content, Read, content_of, read_msh, spread
from .options import MeshOptions
from .versions import INSTALL

with EngineImport("dolfinx", install=INSTALL) as engine:
    from dolfinx import mesh as meshes


def mesh_of(options: MeshOptions, comm: Any) -> Read:
    """Return the mesh that the options say, spread over the ranks.

    Raises:
        CaseError: what the options say cannot be meshed.
        EngineMissing: a reader or mesher is not installed.
    """
    if options.file is not None:
        return read_msh(options.file, comm, options.dimension)
    if options.points is not None:
        return Read(mesh_of_points(options.points, comm))
    inclusions = options.fibres or options.spheres
    if inclusions is not None:
        return spread(lambda: _around(inclusions), comm, inclusions.dimension)
    medium = options.laminate or options.checkerboard or options.voxels
    if medium is not None:
        blocks = blocks_of(medium)
        mesh, bodies = blocks.mesh(comm, _kind(options, blocks.phases.ndim))
        return Read(mesh, None, bodies, blocks.phases.ravel(), blocks.kinds)
    return Read(_box(options, comm))


def _around(inclusions: Inclusions) -> Content:
    with meshed(inclusions) as file:
        return content_of(file, inclusions.dimension)


def _box(options: MeshOptions, comm: Any) -> Any:
    assert options.low is not None and options.high is not None and options.cells is not None
    kind = getattr(meshes.CellType, _kind(options, len(options.cells)))
    create = meshes.create_rectangle if len(options.cells) == 2 else meshes.create_box
    corners = [np.array(options.low), np.array(options.high)]
    return create(comm, corners, options.cells, cell_type=kind)


def _kind(options: MeshOptions, dimension: int) -> str:
    """Return the kind of structured cells, simplices by default."""
    flat = dimension == 2
    cell = options.cell or ("triangle" if flat else "tetrahedron")
    if flat != (cell in ("triangle", "quadrilateral")):
        raise CaseError(f"a box in {dimension}-D has no cells of the kind {cell}")
    return cell
