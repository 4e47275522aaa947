"""Cook's membrane: its mesh, and the same membrane with every layer resolved, which `reference.toml` is from.

Type `python membrane.py` for the mesh of the case, `python membrane.py 4 8 16` for tips of membranes of so many pairs
of layers. The trapezoid is R. D. Cook's (1974, doi:10.1061/JSDEAG.0003877): 48 wide, 44 high on the left, from 44 to 60
on the right.
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

import numpy as np

from scalespan.adapters.dolfinx import DolfinxAdapter

WIDTH = 48.0
PAIR = {"material": "neo-hookean", "poisson": 0.3}
UNITS = {"length": "mm", "mass": "tonne", "time": "s"}


def write_mesh(path: Path, across: int, up: int) -> Path:
    """Write quadrilaterals as a file of gmsh; lines of the mesh are at equal distances in x."""
    s, t = np.meshgrid(np.linspace(0, 1, across + 1), np.linspace(0, 1, up + 1), indexing="ij")
    nodes = np.column_stack([(WIDTH * s).ravel(), (44 * s + t * (44 - 28 * s)).ravel()])
    numbers = 1 + np.arange(len(nodes)).reshape(s.shape)
    cells = np.stack([numbers[:-1, :-1], numbers[1:, :-1], numbers[1:, 1:], numbers[:-1, 1:]], axis=-1).reshape(-1, 4)
    lines = ["$MeshFormat", "2.2 0 8", "$EndMeshFormat", "$Nodes", str(len(nodes))]
    lines += [f"{i} {x!r} {y!r} 0" for i, (x, y) in enumerate(nodes.tolist(), 1)]
    lines += ["$EndNodes", "$Elements", str(len(cells))]
    lines += [f"{i} 3 2 1 1 {' '.join(map(str, each))}" for i, each in enumerate(cells.tolist(), 1)]
    path.write_text("\n".join([*lines, "$EndElements", ""]))
    return path


def table(mesh: Path, **solid: object) -> dict[str, object]:
    """Return the options of the membrane, clamped on its left and pulled upwards on its right."""
    sides = {"left": "x < 1e-9", "right": f"x > {WIDTH} - 1e-9"}
    held = {"fixed": [{"boundary": "left", "value": 0.0}]}
    pulled = {"natural": [{"boundary": "right", "value": [0.0, "0.02*t"]}]}
    shape = {"mesh": {"file": mesh, "dimension": 2, "boundaries": sides}, "degree": 2, "timestep": 0.25}
    return UNITS | shape | {"elasticity": {"density": 0.0, **held, **pulled, **solid}}


def resolved(pairs: int, each: int = 4, up: int = 32) -> DolfinxAdapter:
    """Return the membrane of so many pairs of layers, with ``each`` elements of degree 2 across a pair."""
    with tempfile.TemporaryDirectory() as folder:
        mesh = write_mesh(Path(folder) / "resolved.msh", pairs * each, up)
        young = f"where(sin(2*pi*{pairs}*x/{WIDTH}) > 0, 1, 10)"
        return DolfinxAdapter(DolfinxAdapter.Options.read(table(mesh, young=young, **PAIR)))


def tip(body: DolfinxAdapter) -> tuple[float, float]:
    """Return the displacement of the upper right corner after the whole load, in four steps."""
    for _ in range(4):
        body.advance(0.25)
    x, y = body.evaluate("displacement", np.array([[WIDTH, 60.0]]))[0]
    return float(x), float(y)


if __name__ == "__main__":
    for pairs in map(int, sys.argv[1:]):
        print(pairs, *tip(resolved(pairs, up=max(32, 3 * pairs))), flush=True)
    if len(sys.argv) == 1:
        write_mesh(Path(__file__).parent / "membrane.msh", 6, 6)
