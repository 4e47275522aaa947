"""What test_dolfinx_ranks runs under mpirun: each line of the answer is a number that must not depend on the ranks."""

from __future__ import annotations

import importlib.util
import json
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
from mpi4py import MPI

sys.path.insert(0, str(Path(__file__).parent))
from dolfinx import fem
from dolfinx_problems import box, make, warm
from laws import NeoHookean

from scalespan.adapters.dolfinx import DolfinxAdapter, DolfinxOptions
from scalespan.adapters.dolfinx.domain import Domain
from scalespan.adapters.dolfinx.options import MeshOptions
from scalespan.adapters.interface import CaseError

WORLD = MPI.COMM_WORLD


def total(values: Any) -> float:
    return float(WORLD.allreduce(float(np.sum(values))))


def mine(points: np.ndarray, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """A rank's part of points that all know, dealt out without regard to who owns their cells."""
    return points[WORLD.rank :: WORLD.size], rows[WORLD.rank :: WORLD.size]


def adjoint(cells: tuple[int, ...]) -> dict[str, float]:
    random = np.random.default_rng(7)
    points, loads = mine(random.random((40, len(cells))), random.standard_normal((40, 1)))
    adapter = make(degree=2, mesh=box(*cells), poisson={})
    unknown = adapter.problem.unknown
    unknown.interpolate(lambda x: np.sin(3 * x[0]) + x[1] ** 2)
    adapter.load(points, loads)
    values = adapter.evaluate("potential", points)
    owned = unknown.function_space.dofmap.index_map.size_local
    nodal = total(adapter.nodal_loads()[:owned] * unknown.x.array[:owned])
    order = points @ np.arange(1.0, 1.0 + len(cells))
    return {"work": total(values * loads), "nodal": nodal, "ordered": total(values[:, 0] * order)}


def conduction(cells: tuple[int, ...]) -> dict[str, float]:
    """Temperature in, flux out; then the saved state again."""
    adapter = warm(box(*cells), "temperature", connectivity=True)
    mesh = adapter.points("interface")
    points = mesh.points

    def step(time: float) -> np.ndarray:
        exact = 1 + points[:, 0] ** 2 + 3 * points[:, 1] ** 2 + 1.2 * time
        adapter.set_input("interface.temperature", exact[:, None])
        adapter.advance(0.1)
        return adapter.output("interface.heat_flux")

    step(0.1)
    saved = adapter.save()
    first = step(0.2)
    adapter.restore(saved)
    again = step(0.2)
    whole = mesh.edges if len(cells) == 2 else mesh.triangles
    corners = points[whole][:, :, 1:]
    sizes = np.abs(np.linalg.det(corners[:, 1:] - corners[:, :1])) / (len(cells) - 1)
    return {
        "error": adapter.observe()["error/1"],
        "flux": float(WORLD.allreduce(np.abs(first + 2.0).max(initial=0.0), op=MPI.MAX)),
        "same": total(not np.array_equal(first, again)),
        "area": total(sizes),
        "owned": total(len(adapter.points("space").points)),
    }


def doubled() -> dict[str, float]:
    """Loads on doubled points add up, each where it arrives."""
    solid = {"young": 3.0, "poisson": 0.3, "fixed": [{"boundary": "left", "value": 0.0}]}
    place = {"space": {"takes": ["force"], "connectivity": True}, "wall": {"boundary": "left"}}
    adapter = make(mesh=box(4, 4), elasticity=solid, places=place)
    points = adapter.points("space").points
    adapter.set_input("space.force", np.full(points.shape, 0.5))
    adapter.advance(1.0)
    force = adapter.output("wall.force")
    return {"given": total(np.full(points.shape, 0.5)), "leaves": total(force)}


def quadrature(cells: tuple[int, ...]) -> dict[str, float]:
    """Loads at Gauss points are the adjoint of evaluation; densities there add up to their integrals."""
    places = {
        "rim": {"boundary": "all", "at": "quadrature", "takes": ["surface_charge"]},
        "inside": {"at": "quadrature", "takes": ["source"]},
        "loaded": {"boundary": "right", "at": "quadrature", "takes": ["charge"]},
    }
    adapter = make(degree=2, mesh=box(*cells), poisson={}, places=places)
    unknown = adapter.problem.unknown
    unknown.interpolate(lambda x: np.sin(3 * x[0]) + x[1] ** 2)
    owned = unknown.function_space.dofmap.index_map.size_local
    x = adapter.points("loaded").points
    loads = np.cos(x @ np.arange(1.0, 1.0 + len(cells)))[:, None]
    adapter.set_input("loaded.charge", loads)
    found = {
        "work": total(adapter.output("loaded.potential") * loads),
        "nodal": total(adapter.nodal_loads()[:owned] * unknown.x.array[:owned]),
    }
    for name in ("rim.surface_charge", "inside.source"):
        points = adapter.points(name.partition(".")[0]).points
        adapter.set_input(name, points[:, :1] ** 2)
    adapter.set_input("loaded.charge", np.zeros_like(loads))
    return found | {"given": total(adapter.nodal_loads()[:owned])}


def strip(cells: int) -> str:
    """A file of gmsh, format 2.2: a row of squares, each of two triangles; group 7 is the bottom, 8 the left end.

    Of the triangles one is of group 1, the other of group 3.
    """
    nodes = [f"{1 + 2 * i + j} {i} {j} 0" for i in range(cells + 1) for j in (0, 1)]
    found = ["1 2 8 1 1 2"]
    for each in range(cells):
        a, b, c, d = (2 * each + corner for corner in (1, 2, 3, 4))
        found += [f"1 2 7 2 {a} {c}", f"2 2 1 1 {a} {c} {b}", f"2 2 3 1 {b} {c} {d}"]
    elements = [f"{1 + number} {each}" for number, each in enumerate(found)]
    blocks = {
        "MeshFormat": ["2.2 0 8"],
        "Nodes": [str(len(nodes)), *nodes],
        "Elements": [str(len(elements)), *elements],
    }
    return "".join("\n".join([f"${name}", *lines, f"$End{name}\n"]) for name, lines in blocks.items())


def read() -> dict[str, float]:
    """The lengths of a file's boundaries and its area; and whether all ranks refuse a file that is none."""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(WORLD.bcast(folder)) / "strip.msh"
        if WORLD.rank == 0:
            file.write_text(strip(9))
            file.with_name("none.msh").write_text("$MeshFormat\n4.1 0 8\n")
        WORLD.barrier()
        domain = Domain(MeshOptions(file=file, dimension=2, boundaries={"bottom": 7, "left": 8}), degree=1)
        one = fem.Constant(domain.mesh, 1.0)
        measures = {"area": domain.dx, "bottom": domain.ds("bottom"), "left": domain.ds("left")}
        found = {name: domain.integral(fem.form(one * measure)) for name, measure in measures.items()}
        board = MeshOptions.read({"checkerboard": {"squares": [5, 4], "seed": 1, "fraction": 0.3}})
        found |= {"second": domain.fractions()[1], "board": Domain(board, degree=1).fractions()[1]}
        try:
            Domain(MeshOptions(file=file.with_name("none.msh"), dimension=2), degree=1)
        except CaseError:
            found["refused"] = total(1.0)
        return found


def body(folder: Path, **solid: Any) -> DolfinxAdapter:
    """A body of points, part of whose mass is atoms', with a law from outside on each rank."""
    table = {"material": "law", "overlap": {"sites": str(folder / "sites.xyz")}, **solid}
    table["fixed"] = [{"boundary": "wall", "value": 0.0}]
    mesh = {"points": str(folder / "nodes.txt"), "boundaries": {"wall": "x < -5.999"}}
    units = {"length": "angstrom", "time": "ase_time", "mass": "dalton"}
    options = {"mesh": mesh, "elasticity": table, "places": {"wall": {"boundary": "wall"}, "space": {}}}
    return DolfinxAdapter(DolfinxOptions.read(units | options), NeoHookean(2))


def joined(folder: Path) -> dict[str, float]:
    """Leapfrog beside atoms: masses, work on both sides of the extension, motion, energies."""
    adapter = body(folder, scheme="leapfrog", initial=["0.02*sin(x)*y", "0.01*x"])
    unknown, extension = adapter.problem.unknown, adapter.problem.slaved
    owned = 2 * adapter.domain.space().dofmap.index_map.size_local
    u, f = fem.Function(unknown.function_space), fem.Function(unknown.function_space)
    u.interpolate(lambda x: np.stack([np.sin(x[0] + x[1]), np.cos(x[1])]))
    f.interpolate(lambda x: np.stack([np.cos(2 * x[0]), x[0] * x[1]]))
    given, forces = u.x.array[:owned].copy(), f.x.array[:owned].copy()
    extension.fill(u)
    extension.gather(f)
    found = {"filled": total(u.x.array[:owned] * forces), "gathered": total(given * f.x.array[:owned])}
    adapter.load(*mine(np.array([[0.3, 0.2], [4.0, -2.0]]), np.array([[0.1, 0.0], [0.0, -0.2]])))
    for _ in range(8):
        adapter.advance(0.1)
    values = adapter.observe()
    points = mine(np.array([[1.0, 1.0], [-3.0, 2.0], [5.5, -5.0]]), np.eye(3))[0]
    order = adapter.evaluate("displacement", points) * (points @ [1.0, 2.0])[:, None]
    return found | {"elastic": min(values.values()), "sum": sum(values.values()), "moved": total(order)}


def rest(folder: Path) -> dict[str, float]:
    """Statics beside atoms: what is given leaves through the wall."""
    adapter = body(folder, density=0.0)
    adapter.load(*mine(np.array([[0.3, 0.2], [4.0, -2.0]]), np.array([[0.1, 0.0], [0.0, -0.2]])))
    adapter.advance(1.0)
    force = adapter.output("wall.force")
    return {"x": total(force[:, 0]), "y": total(force[:, 1]), "elastic": next(iter(adapter.observe().values()))}


def failing(folder: Path) -> dict[str, float]:
    """A law that fails at the points of one rank fails on all."""
    adapter = body(folder, scheme="leapfrog")
    if WORLD.rank == 0:
        adapter.problem.unknown.x.array[:] *= -2.0
        adapter.problem.unknown.x.array[::2] = -3.0 * adapter.domain.space().tabulate_dof_coordinates()[:, 0]
    try:
        adapter.problem.refresh(False)
    except CaseError:
        return {"failed": total(1) / WORLD.size}
    return {"failed": total(0)}


def flowing() -> dict[str, float]:
    """A plastic body that is bent and let go: its energies, the force that holds it, and whether it repeats itself."""
    solid = {"material": "j2", "young": 200.0, "poisson": 0.3, "yield_stress": 1.0, "hardening": 10.0}
    ends = [{"boundary": "left", "value": 0.0}, {"boundary": "right", "value": ["0.005*sin(t)", "0.02*sin(t)"]}]
    place = {"wall": {"boundary": "left"}}
    adapter = make(mesh=box(5, 4), degree=2, elasticity=solid | {"fixed": ends}, places=place)
    adapter.advance(1.0)
    saved = adapter.save()
    adapter.advance(1.0)
    first = adapter.output("wall.force")
    adapter.restore(saved)
    adapter.advance(1.0)
    force = adapter.output("wall.force")
    elastic, lost = adapter.observe().values()
    again = float(WORLD.allreduce(np.abs(first - force).max(initial=0.0), op=MPI.MAX))
    return {"elastic": elastic, "lost": lost, "force": total(force), "again": again}


if __name__ == "__main__":
    data = Path(sys.argv[1])
    answers = {
        "2": adjoint((6, 5)),
        "3": adjoint((3, 3, 2)),
        "heat2": conduction((5, 4)),
        "heat3": conduction((2, 3, 2)),
    }
    answers["doubled"] = doubled()
    if importlib.util.find_spec("meshio"):
        answers["msh"] = read()
    answers |= {"gauss2": quadrature((5, 4)), "gauss3": quadrature((3, 2, 2))}
    answers |= {"joined": joined(data), "rest": rest(data), "failing": failing(data)}
    answers["flowing"] = flowing()
    if WORLD.rank == 0:
        sys.stdout.write(json.dumps(answers))
