"""DOLFINx: meshes of microstructures, their phases, and what cannot be meshed."""

from __future__ import annotations

import importlib.util
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("dolfinx", reason="DOLFINx is not installed: conda install -c conda-forge fenics-dolfinx")

from scalespan.adapters.dolfinx import DolfinxAdapter, Domain
from scalespan.adapters.dolfinx import gmsh as program
from scalespan.adapters.dolfinx.domain import compiled
from scalespan.adapters.dolfinx.microstructures import Fibres, Spheres
from scalespan.adapters.dolfinx.options import MeshOptions
from scalespan.adapters.dolfinx.packing import centres
from scalespan.adapters.interface import Array, EngineMissing, NotOffered, ScalespanError

HEAT = {"conductivity": [1.0, 10.0], "capacity": 0.0}
needs_gmsh = pytest.mark.skipif(
    importlib.util.find_spec("meshio") is None or importlib.util.find_spec("gmsh") is None,
    reason="gmsh and meshio, which mesh and read, are not installed: pip install gmsh meshio",
)


def domain(folder: Path | None = None, **mesh: Any) -> Domain:
    return Domain(MeshOptions.read(mesh, folder=folder), 1)


def fraction(of: Domain, phase: int) -> float:
    """Return the part of the volume that a phase fills."""
    return float(of.fractions()[phase])


def value(of: Domain, table: list[Any], place: tuple[float, ...]) -> float:
    """Return a number by phase in the cell whose middle is nearest to a place."""
    from dolfinx import mesh as meshes

    cells = np.arange(of.mesh.topology.index_map(of.dimension).size_local, dtype=np.int32)
    middles = meshes.compute_midpoints(of.mesh, of.dimension, cells)[:, : of.dimension]
    found = of.formula(table)
    nearest = int(np.argmin(np.linalg.norm(middles - place, axis=1)))
    return float(found.x.array[found.function_space.dofmap.list[nearest, 0]])


# ---- structured ----


@pytest.mark.parametrize("widths", [[0.5], [0.5, 2.0]])
def test_layers_have_their_thickness_whatever_the_elements(widths: list[float]) -> None:
    layers = domain(laminate={"layers": [0.13, 0.9, 0.37], "phases": [1, 0, 1], "widths": widths, "across": 3})
    assert fraction(layers, 1) == pytest.approx(0.5 / 1.4, rel=1e-12)
    assert np.ptp(layers.mesh.geometry.x[:, 0]) == pytest.approx(1.4, rel=1e-14)


def test_a_regular_checkerboard_is_black_and_white_in_turn() -> None:
    board = domain(checkerboard={"squares": [4, 2], "cells": 1, "edge": 2.0}, cell="quadrilateral")
    seen = [[value(board, [0.0, 1.0], (2 * i + 1.0, 2 * j + 1.0)) for j in range(2)] for i in range(4)]
    assert seen == [[0, 1], [1, 0], [0, 1], [1, 0]]


def test_a_random_checkerboard_is_the_same_by_its_seed() -> None:
    one, same, other = (
        domain(checkerboard={"squares": [6, 6], "seed": seed, "fraction": 0.3}).phases for seed in (1, 1, 2)
    )
    assert one is not None and same is not None and other is not None
    assert np.array_equal(one.numbers, same.numbers)
    assert not np.array_equal(one.numbers, other.numbers)


IMAGE = np.array([[0, 1, 1], [0, 0, 2]])  # rows from the top


def image(folder: Path, kind: str, rows: Array = IMAGE) -> str:
    """Write an image, and return its name."""
    from matplotlib.image import imsave

    file = folder / f"image.{kind}"
    if kind == "png":
        imsave(file, rows, cmap="gray")
    elif kind == "txt":
        np.savetxt(file, rows, fmt="%d")
    else:
        np.save(file, rows[::-1].T)  # along x, y
    return file.name


@pytest.mark.parametrize("kind", ["png", "txt", "npy"])
def test_an_image_stands_upright(tmp_path: Path, kind: str) -> None:
    seen = domain(tmp_path, voxels={"file": image(tmp_path, kind), "edge": 0.5, "cells": 2})
    places = product((0.25, 0.75, 1.25), (0.25, 0.75))
    assert [value(seen, [0.0, 1.0, 2.0], place) for place in places] == [0, 0, 0, 1, 2, 1]


def test_a_formula_may_differ_by_phase() -> None:
    layers = domain(laminate={"layers": [1.0, 1.0]})
    mean = layers.integral(compiled(layers.formula(["2*x", 5.0]) * layers.dx))
    assert mean == pytest.approx(1.0 + 5.0, rel=1e-12)


# ---- by gmsh ----


@needs_gmsh
@pytest.mark.parametrize(
    ("mesh", "off"),
    [
        ({"fibres": {"radius": 0.2, "size": 0.1, "curved": True}}, 2e-3),
        ({"fibres": {"arrangement": "square", "fraction": 0.5, "size": 0.05}}, 1e-2),
        ({"fibres": {"arrangement": "random", "fraction": 0.4, "seed": 3}}, 3e-2),
        ({"spheres": {"fraction": 0.2, "size": 0.2, "curved": True}}, 5e-3),
        ({"spheres": {"arrangement": "bcc", "fraction": 0.3, "size": 0.15}}, 1e-1),
        ({"spheres": {"arrangement": "random", "count": 3, "fraction": 0.15, "seed": 1}}, 1e-1),
    ],
)
def test_inclusions_fill_their_fraction_and_cut_opposite_sides_alike(mesh: dict[str, Any], off: float) -> None:
    ((_, options),) = mesh.items()
    wanted = (Fibres if "fibres" in mesh else Spheres).model_validate(options)
    found = domain(**mesh)
    assert fraction(found, 1) == pytest.approx(wanted.filled, rel=off)
    points, box = found.mesh.geometry.x[:, : found.dimension], np.array(wanted.box)
    for axis in range(found.dimension):
        low, high = (points[np.abs(points[:, axis] - end) < 1e-9] for end in (0.0, box[axis]))
        shift = np.where(np.arange(found.dimension) == axis, box[axis], 0.0)
        assert len(low) == len(high) > 0
        away = np.linalg.norm((low + shift)[:, None] - high[None], axis=2).min(axis=1)
        assert away.max() < 1e-9 * box[axis]


@pytest.mark.parametrize("options", [Fibres(arrangement="random", fraction=0.35, count=30, seed=5, gap=0.2)])
def test_random_fibres_keep_their_gap_across_the_sides(options: Fibres) -> None:
    placed = centres(options)
    apart = np.linalg.norm(placed[:, None] - placed[None], axis=2)
    assert apart[apart > 0].min() >= 2.2 * options.reach
    inside = ((placed >= 0.0) & (placed < options.edge)).all(axis=1)
    assert inside.sum() == 30


@needs_gmsh
def test_groups_of_a_file_are_phases_in_the_order_of_their_numbers(tmp_path: Path) -> None:
    with program.meshed(Fibres(radius=0.2, size=0.1)) as file:
        text = file.read_text()
    own = tmp_path / "own.msh"
    own.write_text(text)
    assert fraction(domain(file=own, dimension=2), 1) == pytest.approx(Fibres(radius=0.2).filled, rel=5e-2)


# ---- realisations ----


def continuum(**mesh: Any) -> DolfinxAdapter:
    return DolfinxAdapter(DolfinxAdapter.Options.read({"mesh": mesh, "heat": HEAT}))


def flux(cell: Any) -> Array:
    return np.asarray(cell.answer(cell.points[:, :1]).flux)


def test_a_realisation_is_the_medium_of_that_size_and_seed() -> None:
    medium = continuum(checkerboard={"squares": [2, 2], "seed": 0})
    first = medium.realisation(5, 7)
    other = medium.realisation(5, 8)  # of the same mesh
    alone = continuum(checkerboard={"squares": [5, 5], "seed": 7}).microstructure()
    assert np.array_equal(flux(first), flux(alone))
    assert not np.array_equal(flux(first), flux(other))
    assert np.array_equal(flux(first), flux(alone))


def test_realisations_of_an_image_are_windows_of_it(tmp_path: Path) -> None:
    rows = np.arange(36).reshape(6, 6) % 2
    medium = DolfinxAdapter(
        DolfinxAdapter.Options.read(
            {"mesh": {"voxels": {"file": image(tmp_path, "npy", rows)}}, "heat": HEAT}, folder=tmp_path
        )
    )
    assert medium.realisation(4, 1).volume == pytest.approx(16.0)


@needs_gmsh
def test_larger_realisations_of_fibres_have_more_of_the_same() -> None:
    medium = continuum(fibres={"arrangement": "random", "count": 4, "fraction": 0.2, "size": 0.1})
    assert medium.realisation(3, 1).volume == pytest.approx(9.0 / 4.0, rel=1e-9)


# ---- mistakes ----


def no_gmsh(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(program.shutil, "which", lambda name: None)
    monkeypatch.setattr(program.importlib.util, "find_spec", lambda name: None)


MISTAKES: dict[str, tuple[dict[str, Any], str]] = {
    "an unknown generator": ({"laminat": {"layers": [1, 1]}}, "unknown key 'laminat'; did you mean 'laminate'"),
    "two generators": ({"laminate": {"layers": [1, 1]}, "fibres": {"radius": 0.1}}, "a mesh is either a file"),
    "one layer": ({"laminate": {"layers": [1.0]}}, "at least two layers"),
    "phases and layers": ({"laminate": {"layers": [1, 1], "phases": [0, 1, 0]}}, "3 phases are given"),
    "a phase left out": ({"laminate": {"layers": [1, 1], "phases": [0, 2]}}, r"without gaps, and are \[0, 2\]"),
    "an odd board": ({"checkerboard": {"squares": [3, 4]}}, "an even number of squares"),
    "fibres that overlap": ({"fibres": {"radius": 0.51}}, "do not fit: they touch at 0.9069"),
    "too many at random": ({"fibres": {"arrangement": "random", "fraction": 0.55}}, "with a gap of 0.1 radii jam"),
    "no place left": (
        {"spheres": {"arrangement": "random", "fraction": 0.32, "count": 30}},
        "of 30 random inclusions found a place",
    ),
    "radius and fraction": ({"fibres": {"radius": 0.1, "fraction": 0.1}}, "of radius and fraction one is given"),
    "no image": ({"voxels": {"file": "none.png"}}, "none.png does not exist"),
    "another cell": ({"laminate": {"layers": [1, 1]}, "cell": "hexahedron"}, "2-D has no cells of the kind hexahedron"),
}


@pytest.mark.parametrize("mistake", MISTAKES)
def test_a_mistake_has_its_sentence(mistake: str, tmp_path: Path) -> None:
    mesh, says = MISTAKES[mistake]
    with pytest.raises(ScalespanError, match=says):
        domain(tmp_path, **mesh)


@pytest.mark.parametrize(
    ("rows", "says"),
    [
        (np.zeros((3, 3)), "the image has one phase"),
        (np.array([[0, 2], [2, 0]]), "numbered from 0 without gaps"),
        (np.array([[0.5, 1.0]]), "give phase numbers"),
    ],
)
def test_an_image_without_phases_is_refused(tmp_path: Path, rows: Array, says: str) -> None:
    np.save(tmp_path / "image.npy", rows)
    with pytest.raises(ScalespanError, match=says):
        domain(tmp_path, voxels={"file": "image.npy"})


def test_a_photograph_is_no_image_of_phases(tmp_path: Path) -> None:
    with pytest.raises(ScalespanError, match="it has 100 greys"):
        domain(tmp_path, voxels={"file": image(tmp_path, "png", np.arange(100).reshape(10, 10))})


def test_another_number_of_values_than_of_phases_is_refused() -> None:
    with pytest.raises(ScalespanError, match="has 3 values, and the mesh 2 phases"):
        domain(laminate={"layers": [1, 1]}).formula([1.0, 2.0, 3.0])


def test_a_mesh_without_phases_takes_one_value() -> None:
    with pytest.raises(ScalespanError, match="the mesh has no phases"):
        domain(low=[0, 0], high=[1, 1], cells=[1, 1]).formula([1.0, 2.0])


def test_curved_elements_are_for_degree_two() -> None:
    with pytest.raises(ScalespanError, match="curved elements are for degree = 2"):
        continuum(fibres={"radius": 0.2, "curved": True})


def test_a_laminate_has_no_realisations() -> None:
    with pytest.raises(NotOffered, match="no random medium"):
        continuum(laminate={"layers": [1, 1]}).realisation(2, 0)


def test_without_gmsh_it_is_said_what_to_type(monkeypatch: pytest.MonkeyPatch) -> None:
    no_gmsh(monkeypatch)
    with pytest.raises(EngineMissing, match=r"gmsh, which meshes .* is not installed"):
        domain(fibres={"radius": 0.2})
