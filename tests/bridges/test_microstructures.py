"""Effective constants of generated microstructures: exact ones, tabulated ones, and their bounds."""

from __future__ import annotations

import importlib.util
from typing import Any

import numpy as np
import pytest

from scalespan.adapters.interface import Array
from scalespan.bridges.homogenisation import Cell, HomogenisationOptions, Phase, elastic_bounds

pytest.importorskip("dolfinx", reason="DOLFINx is not installed")
from scalespan.adapters.dolfinx import DolfinxAdapter

COMPOSITE = {"young": [50e3, 210e3], "poisson": [0.2, 0.3]}
needs_gmsh = pytest.mark.skipif(
    importlib.util.find_spec("meshio") is None or importlib.util.find_spec("gmsh") is None,
    reason="gmsh and meshio, which mesh and read, are not installed: pip install gmsh meshio",
)


def continuum(mesh: dict[str, Any], degree: int = 2, **problem: Any) -> DolfinxAdapter:
    return DolfinxAdapter(DolfinxAdapter.Options.read({"mesh": mesh, "degree": degree} | problem))


def tangent(body: DolfinxAdapter) -> Array:
    """Return the condensed tangent (m, d, m, d) of a periodic cell at rest."""
    micro = body.microstructure()
    cell = Cell(micro, HomogenisationOptions())
    found = cell.answer(np.zeros((micro.components, micro.points.shape[1])), tangent=True).tangent
    assert found is not None
    return found


def phases(body: DolfinxAdapter) -> list[Phase]:
    """Return the composite's phases, with the fractions that the elements fill: bounds hold of what is meshed."""
    both = zip(body.domain.fractions(), COMPOSITE["young"], COMPOSITE["poisson"], strict=True)
    return [Phase(float(part), young, ratio) for part, young, ratio in both]


def moduli(found: Array) -> tuple[float, float]:
    """Return the isotropic part: k = C_iijj/d², μ = (C_ijij − C_iijj/d)/((d + 2)(d − 1))."""
    d, volumes = len(found), float(np.einsum("iijj", found))
    return volumes / d**2, (float(np.einsum("ijij", found)) - volumes / d) / ((d + 2) * (d - 1))


def test_a_generated_laminate_is_exact() -> None:
    """G. W. Milton, The Theory of Composites, ch. 9, with layers of 0.3 and 0.7 that no even mesh meets."""
    c, young, ratio = np.array([0.3, 0.7]), np.array([1.0, 10.0]), np.array([0.3, 0.2])
    first, shear = young * ratio / ((1.0 + ratio) * (1.0 - 2.0 * ratio)), young / (2.0 * (1.0 + ratio))
    wave = first + 2.0 * shear
    c11 = 1.0 / (c / wave).sum()
    c12 = c11 * (c * first / wave).sum()
    exact = c11, (c * (wave - first**2 / wave)).sum() + c12**2 / c11, c12, 1.0 / (c / shear).sum()
    solid = {"young": young.tolist(), "poisson": ratio.tolist()}
    found = tangent(continuum({"laminate": {"layers": [0.3, 0.7], "across": 2, "along": 2}}, elasticity=solid))
    constants = found[0, 0, 0, 0], found[1, 1, 1, 1], found[0, 0, 1, 1], found[0, 1, 0, 1]
    assert constants == pytest.approx(exact, rel=1e-12)


@needs_gmsh
def test_hexagonal_fibres_have_their_tabulated_constants() -> None:
    """The cell of J. Bleyer's tour of FEniCS (R = 0.2, f = 0.1451), whose constants C11 = 65598.6, C12 = 17454.2 and
    C66 = 24077.8 were computed independently on a mesh of 96 elements along its edge, of f = 0.1452."""
    found = tangent(continuum({"fibres": {"radius": 0.2, "size": 0.06, "curved": True}}, elasticity=COMPOSITE))
    constants = found[0, 0, 0, 0], found[0, 0, 1, 1], found[0, 1, 0, 1]
    assert constants == pytest.approx((65598.6, 17454.2, 24077.8), rel=8e-4)


@needs_gmsh
def test_hexagonal_fibres_converge_to_an_isotropic_plane_at_hashins_lower_bound() -> None:
    faults, above = [], []
    for size in (0.2, 0.06):
        body = continuum({"fibres": {"radius": 0.2, "size": size, "curved": True}}, elasticity=COMPOSITE)
        found, bounds = tangent(body), elastic_bounds(phases(body), 2)
        faults.append(abs((found[0, 0, 0, 0] - found[0, 0, 1, 1]) / (2.0 * found[0, 1, 0, 1]) - 1.0))
        bulk, shear = moduli(found)
        assert bounds["bulk"].holds(bulk) and bounds["shear"].holds(shear)
        above.append(bulk / bounds["bulk"].low - 1.0)
    assert faults[1] < 1e-5 < faults[0]
    assert above[1] < 3e-5  # a hexagonal lattice of stiff fibres is next to Hashin's assemblage of cylinders


@needs_gmsh
def test_spheres_lie_within_hashin_and_shtrikmans_bounds() -> None:
    """Of a cubic lattice the bulk modulus is bounded as it is; the shear modulus is that of grains of it turned
    anyhow, above which Voigt's mean over the directions lies, and below which Reuss's."""
    body = continuum({"spheres": {"fraction": 0.2, "size": 0.3, "curved": True}}, elasticity=COMPOSITE)
    found, bounds = tangent(body), elastic_bounds(phases(body), 3)
    bulk, voigt = moduli(found)
    shears = 0.5 * (found[0, 0, 0, 0] - found[0, 0, 1, 1]), found[0, 1, 0, 1]
    reuss = 1.0 / (0.4 / shears[0] + 0.6 / shears[1])
    assert bounds["bulk"].holds(bulk)
    assert reuss < bounds["shear"].high and voigt > bounds["shear"].low
    assert bulk / bounds["bulk"].low - 1.0 < 5e-3


def test_the_corners_of_a_checkerboard_make_it_slow() -> None:
    """A. M. Dykhne 1971: √(1·10). At a corner u ~ r^s with tan(πs/4) = √(κ₁/κ₂) (R. B. Kellogg 1974,
    doi:10.1080/00036817408839086), so that the error of the energy falls as h^(2s)."""
    exact = np.sqrt(10.0)
    rate = 2.0 * 4.0 / np.pi * np.arctan(np.sqrt(0.1))
    errors = []
    for cells in (16, 32, 64):
        mesh = {"checkerboard": {"squares": [2, 2], "cells": cells}, "cell": "quadrilateral"}
        found = tangent(continuum(mesh, 1, heat={"conductivity": [1.0, 10.0], "capacity": 0.0}))
        errors.append(found[0, 0, 0, 0] / exact - 1.0)
    measured = np.log2(np.array(errors[:-1]) / np.array(errors[1:]))
    assert errors[0] > errors[1] > errors[2] > 0.0
    assert measured == pytest.approx([rate, rate], abs=0.06)
