"""The whole ladder of a random checkerboard of conductors 1 : 10, N = 4 … 32, and what a realisation costs."""

from __future__ import annotations

from time import process_time

import numpy as np
import pytest

from scalespan.bridges.rve_ladder import RveLadder, RveLadderOptions

from .table import write_table

FAMILIES = ("kinematic", "periodic", "static")
SIZES = {4: 400, 8: 200, 16: 60, 32: 16}  # squares along an edge: realisations


@pytest.mark.benchmark
def test_a_random_checkerboard_from_small_to_large() -> None:
    pytest.importorskip("dolfinx", reason="DOLFINx is not installed")
    from scalespan.adapters.dolfinx import DolfinxAdapter

    mesh = {"checkerboard": {"squares": [4, 4], "seed": 0, "cells": 4}, "cell": "quadrilateral"}
    table = {"mesh": mesh, "heat": {"conductivity": [1.0, 10.0], "capacity": 0.0}}
    cell = DolfinxAdapter(DolfinxAdapter.Options.read(table))
    study = RveLadder(RveLadderOptions(sizes=list(SIZES), realisations=list(SIZES.values())), cell=cell)
    rows, spent = [], []
    for number in range(study.rows):
        start = process_time()
        rows.append(study.row(number))
        spent.append(process_time() - start)
    columns = np.array(rows).T
    found = study.conclude(dict(zip(study.columns, columns, strict=True))).values
    value = {name: number for name, (number, _) in found.items()}
    lines: list[list[object]] = []
    for n, count in SIZES.items():
        names = [f"conductivity_{family}" for family in FAMILIES]
        shown = [f"{value[f'{name}_{n}']:.2f} ({value[f'{name}_deviation_{n}']:.2f})" for name in names]
        seconds = float(np.median(np.array(spent)[columns[0] == n]))
        needed = f"{value[f'conductivity_periodic_realisations_{n}']:.0f}"
        lines.append([n, count, *shown, f"{value[f'conductivity_half_gap_{n}']:.3f}", needed, f"{seconds:.3f}"])
    powers = [f"{value[f'conductivity_{each}_scatter_exponent']:.2f}" for each in FAMILIES]
    last = value["conductivity_last_bias_exponent"]
    lines.append(["power", "", *powers, f"{value['conductivity_bias_exponent']:.2f}, last two {last:.2f}", "", ""])
    head = [
        "N",
        "realisations",
        *FAMILIES,
        "half-gap",
        "periodic cells for 1 %",
        "s per realisation, all families",
    ]
    write_table("rve ladder", head, lines)
    assert abs(value["conductivity_periodic_scatter_exponent"] + 1.0) < 0.2
    assert abs(last + 1.0) < 0.2
