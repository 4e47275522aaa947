"""Cells over other boxes than the mesh's own: the same formulas, elements of the same size."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from scalespan.adapters.interface import Array, CaseError, NotOffered

pytest.importorskip("dolfinx", reason="DOLFINx is not installed")
from scalespan.adapters.dolfinx import DolfinxAdapter

SLOPE = {"conductivity": "1 + x + 2*y", "capacity": 0.0}


def sheet(low: tuple[float, float], high: tuple[float, float], cells: list[int], **problem: Any) -> DolfinxAdapter:
    mesh = {"low": list(low), "high": list(high), "cells": cells, "cell": "quadrilateral"}
    return DolfinxAdapter(DolfinxAdapter.Options.read({"mesh": mesh} | (problem or {"heat": SLOPE})))


def stiffness(micro: Any) -> Array:
    """Return the dense stiffness, nodes by their place."""
    order = np.lexsort(np.rint(1e6 * micro.points).T)
    found = micro.answer(np.zeros((len(order), 1)), stiffness=True).stiffness
    return np.asarray(found.toarray()[order][:, order])


def test_a_box_elsewhere_is_the_mesh_that_would_be_made_there() -> None:
    there = sheet((0.5, 1.0), (1.5, 1.5), [4, 2]).microstructure()
    moved = sheet((0.0, 0.0), (0.5, 0.5), [2, 2]).microstructure_of(np.array([0.5, 1.0]), np.array([1.5, 1.5]))
    assert stiffness(moved) == pytest.approx(stiffness(there), rel=1e-12)
    assert moved.points.min(axis=0) == pytest.approx([0.5, 1.0])
    assert moved.volume == pytest.approx(0.5)


def test_boxes_of_one_shape_do_not_disturb_each_other() -> None:
    body = sheet((0.0, 0.0), (1.0, 1.0), [2, 2])
    first = body.microstructure_of(np.zeros(2), np.ones(2))
    before = stiffness(first)
    second = body.microstructure_of(np.array([3.0, 0.0]), np.array([4.0, 1.0]))
    assert stiffness(second) == pytest.approx(stiffness(sheet((3.0, 0.0), (4.0, 1.0), [2, 2]).microstructure()))
    assert np.array_equal(stiffness(first), before)
    assert np.array_equal(stiffness(body.microstructure()), before)


def test_a_box_of_part_of_an_element_is_refused() -> None:
    with pytest.raises(CaseError, match="no whole number of elements"):
        sheet((0.0, 0.0), (1.0, 1.0), [2, 2]).microstructure_of(np.zeros(2), np.array([0.7, 1.0]))


def test_a_problem_with_rates_is_no_microstructure() -> None:
    with pytest.raises(NotOffered, match="at rest"):
        sheet((0.0, 0.0), (1.0, 1.0), [2, 2], heat={}).microstructure_of(np.zeros(2), np.ones(2))


def test_nodes_of_a_file_are_laid_over_no_other_box(tmp_path: Any) -> None:
    (tmp_path / "nodes.txt").write_text("0 0\n1 0\n0 1\n1 1\n", encoding="utf-8")
    table = {"mesh": {"points": str(tmp_path / "nodes.txt"), "dimension": 2}, "heat": SLOPE}
    with pytest.raises(NotOffered, match="only the mesh of a box"):
        DolfinxAdapter(DolfinxAdapter.Options.read(table)).microstructure_of(np.zeros(2), np.ones(2))
