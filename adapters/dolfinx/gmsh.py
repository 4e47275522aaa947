"""gmsh as a program of its own (https://gmsh.info, tested with 4.13): it is GPL and stays out of this process."""

from __future__ import annotations

import importlib.util
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from ..interface import Array, EngineFailed, EngineMissing
from .microstructures import Inclusions
from .packing import centres

_SECONDS = 900.0
# The module of Python does what the program does, in a Python of its own.
_MODULE = """
import sys, gmsh
gmsh.initialize()
gmsh.option.setNumber("General.Terminal", 0)
gmsh.logger.start()
try:
    gmsh.open(sys.argv[1])
    gmsh.model.mesh.generate(int(sys.argv[3]))
except Exception as error:
    sys.exit(f"{error} {gmsh.logger.get()[-3:]}")
gmsh.write(sys.argv[2])
"""

# Opposite sides are alike: each part of a high side is the copy of the part of the low side with the same bounds.
_PERIODIC = """
low() = {part} In BoundingBox{{{low}}};
For i In {{0 : #low()-1}}
  here() = BoundingBox {part} {{ low(i) }};
  high() = {part} In BoundingBox{{ here(0)-e+({x}), here(1)-e+({y}), here(2)-e+({z}),
                                  here(3)+e+({x}), here(4)+e+({y}), here(5)+e+({z}) }};
  For j In {{0 : #high()-1}}
    there() = BoundingBox {part} {{ high(j) }};
    If(Abs(there(0)-here(0)-({x})) < e && Abs(there(1)-here(1)-({y})) < e && Abs(there(2)-here(2)-({z})) < e &&
       Abs(there(3)-here(3)-({x})) < e && Abs(there(4)-here(4)-({y})) < e && Abs(there(5)-here(5)-({z})) < e)
      Periodic {part} {{ high(j) }} = {{ low(i) }} Translate {{ {x}, {y}, {z} }};
    EndIf
  EndFor
EndFor
"""


@contextmanager
def meshed(options: Inclusions) -> Iterator[Path]:
    """Give the .msh file of inclusions in their box for a while; group 1 is the matrix, group 2 the inclusions.

    Raises:
        CaseError: random inclusions that do not find their place.
        EngineMissing: there is no gmsh.
        EngineFailed: gmsh made no mesh.
    """
    with tempfile.TemporaryDirectory(prefix="scalespan-") as folder:
        script, mesh = Path(folder, "cell.geo"), Path(folder, "cell.msh")
        script.write_text(language(options, centres(options)))
        _run(script, mesh, options.dimension)
        yield mesh


def language(options: Inclusions, places: Array) -> str:
    """Return the box and the inclusions at ``places`` (n, d) in gmsh's language."""
    box, flat = [*options.box, 0.0][:3], options.dimension == 2
    solid, part = ("Surface", "Curve") if flat else ("Volume", "Surface")
    shape, body = ("Rectangle", "Disk") if flat else ("Box", "Sphere")
    edges = ", ".join(repr(each) for each in options.box)
    lines = ['SetFactory("OpenCASCADE");', f"e = {1e-4 * options.reach!r};", f"{shape}(1) = {{0, 0, 0, {edges}}};"]
    for number, place in enumerate(places, start=2):
        where = ", ".join(repr(float(each)) for each in ([*place, 0.0][:3]))
        lines.append(f"{body}({number}) = {{{where}, {options.reach!r}}};")
    last = len(places) + 1
    lines += [
        f"inside() = BooleanIntersection{{ {solid}{{2:{last}}}; Delete; }}{{ {solid}{{1}}; }};",
        f"all() = BooleanFragments{{ {solid}{{1}}; Delete; }}{{ {solid}{{inside()}}; Delete; }};",
        "all() -= inside();",
        f"Physical {solid}(1) = {{all()}};",
        f"Physical {solid}(2) = {{inside()}};",
        f"Mesh.MeshSizeMin = {options.fine!r};",
        f"Mesh.MeshSizeMax = {options.fine!r};",
        f"Mesh.ElementOrder = {2 if options.curved else 1};",
    ]
    return "\n".join(lines) + "".join(_alike(axis, box, part) for axis in range(options.dimension))


def _alike(axis: int, box: list[float], part: str) -> str:
    """Return what makes the two sides across an axis alike."""
    top = [0.0 if i == axis else each for i, each in enumerate(box)]
    low = "-e, -e, -e, " + ", ".join(f"{each!r}+e" for each in top)
    shift = [box[axis] if i == axis else 0.0 for i in range(3)]
    return _PERIODIC.format(part=part, low=low, **{name: repr(each) for name, each in zip("xyz", shift, strict=True)})


def _command(script: Path, mesh: Path, dimension: int) -> list[str]:
    program = shutil.which("gmsh")
    if program is not None:
        return [program, str(script), f"-{dimension}", "-o", str(mesh), "-v", "2"]
    if importlib.util.find_spec("gmsh") is None:
        raise EngineMissing.named("gmsh, which meshes fibres and spheres,", "pip install gmsh")
    return [sys.executable, "-c", _MODULE, str(script), str(mesh), str(dimension)]


def _run(script: Path, mesh: Path, dimension: int) -> None:
    command = _command(script, mesh, dimension)
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=_SECONDS, check=False)
    except subprocess.TimeoutExpired as error:
        raise EngineFailed(f"gmsh has made no mesh within {_SECONDS:.0f} s", todo="take a larger size") from error
    if done.returncode or not mesh.exists():
        said = (done.stderr or done.stdout).strip()[-300:]
        raise EngineFailed(f"gmsh made no mesh: {said}", todo="take another size, or another seed")
